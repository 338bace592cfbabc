/* What is done with features: normalisation, cosines, probabilities, rankings, class vectors. */
#include "encode/encoder.h"

#include "base/buffer.h"
#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double norm(const float *row, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)row[i] * (double)row[i];
    return sqrt(sum);
}

void tw_normalize(float *features, size_t n, size_t dim) {
    for (size_t i = 0; i < n; i++) {
        float *row = features + i * dim;
        double length = norm(row, dim);
        for (size_t k = 0; k < dim; k++)
            row[k] = (float)((double)row[k] / length);
    }
}

static double dot(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* probs = softmax(scale * cosine) over one row; `cosine` and `probs` may not overlap. */
static void softmax_row(const float *cosine, size_t n, double scale, float *probs) {
    double largest = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++)
        if (scale * (double)cosine[j] > largest) largest = scale * (double)cosine[j];
    for (size_t j = 0; j < n; j++)
        sum += exp(scale * (double)cosine[j] - largest);
    for (size_t j = 0; j < n; j++)
        probs[j] = (float)(exp(scale * (double)cosine[j] - largest) / sum);
}

tw_status tw_similarity(const float *images, size_t n_images, const float *texts, size_t n_texts,
                        size_t dim, float logit_scale, float *cosine, float *logits, float *probs,
                        tw_error *err) {
    double scale = exp((double)logit_scale);
    float *row = malloc(TW_MAX(n_texts, 1) * sizeof *row);
    double *text_norm = malloc(TW_MAX(n_texts, 1) * sizeof *text_norm);
    if (!row || !text_norm) {
        free(row);
        free(text_norm);
        return tw_fail_no_memory(err, n_texts * sizeof *text_norm);
    }
    for (size_t j = 0; j < n_texts; j++)
        text_norm[j] = norm(texts + j * dim, dim);
    for (size_t i = 0; i < n_images; i++) {
        const float *image = images + i * dim;
        double length = norm(image, dim);
        for (size_t j = 0; j < n_texts; j++) {
            double c = dot(image, texts + j * dim, dim) / (length * text_norm[j]);
            row[j] = (float)c;
            if (logits) logits[i * n_texts + j] = (float)(scale * c);
        }
        if (cosine) memcpy(cosine + i * n_texts, row, n_texts * sizeof *row);
        if (probs) softmax_row(row, n_texts, scale, probs + i * n_texts);
    }
    free(row);
    free(text_norm);
    return TW_OK;
}

/* Best first; equal cosines in label order; NaN last. */
static int compare_matches(const void *a, const void *b) {
    const tw_match *x = a, *y = b;
    bool x_nan = isnan(x->cosine), y_nan = isnan(y->cosine);
    if (x_nan != y_nan) return x_nan ? 1 : -1;
    if (x->cosine > y->cosine) return -1;
    if (x->cosine < y->cosine) return 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

tw_status tw_classify(const float *images, size_t n, const float *weights, size_t n_labels,
                      size_t dim, float scale, size_t k, tw_match *matches, tw_error *err) {
    if (k < 1 || k > n_labels)
        return tw_fail(err, TW_ERR_ARGUMENT, "top-k: %zu, expected 1 to the number of labels, %zu",
                       k, n_labels);
    size_t room = n_labels * (sizeof(tw_match) + 2 * sizeof(float));
    tw_match *all = malloc(n_labels * sizeof *all);
    float *cosine = malloc(n_labels * sizeof *cosine), *probs = malloc(n_labels * sizeof *probs);
    tw_status status = TW_OK;
    if (!all || !cosine || !probs) {
        status = tw_fail_no_memory(err, room);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        double length = norm(images + i * dim, dim);
        for (size_t j = 0; j < n_labels; j++)
            cosine[j] = (float)(dot(images + i * dim, weights + j * dim, dim) / length);
        softmax_row(cosine, n_labels, (double)scale, probs);
        for (size_t j = 0; j < n_labels; j++)
            all[j] = (tw_match){(uint32_t)j, cosine[j], probs[j]};
        qsort(all, n_labels, sizeof *all, compare_matches);
        memcpy(matches + i * k, all, k * sizeof *all);
    }
done:
    free(all);
    free(cosine);
    free(probs);
    return status;
}

/* ------------------------------------------------------------------------ class vectors */

/* The template with each "{}" replaced by the label. */
static tw_status fill(const char *template, const char *label, tw_buffer *out, tw_error *err) {
    tw_buffer_clear(out);
    tw_buffer_replace(out, template, "{}", label);
    return out->failed ? tw_fail_no_memory(err, out->n_bytes) : TW_OK;
}

/* sum of normalised rows -> normalised mean */
static void mean_direction(float *rows, size_t n, size_t dim, float *out) {
    tw_normalize(rows, n, dim);
    for (size_t k = 0; k < dim; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)rows[i * dim + k];
        out[k] = (float)(sum / (double)n);
    }
    tw_normalize(out, 1, dim);
}

/* Labels encoded at once: progress is shown and cancelling works in between. */
static tw_status encode_label(tw_encoder *e, const char *label, const char *const *templates,
                              size_t n_templates, tw_buffer *texts, float *rows, float *out,
                              tw_error *err) {
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    /* The byte pairs' own clean-up does as much. */
    const tw_tokenizer *tokenizer = e->model->tokenizer;
    options.eval_quotes = !tokenizer || strcmp(tw_tokenizer_kind(tokenizer), "wordpiece") == 0;
    const char **pointers = malloc(n_templates * sizeof *pointers);
    if (!pointers) return tw_fail_no_memory(err, n_templates * sizeof *pointers);
    tw_status status = TW_OK;
    for (size_t t = 0; t < n_templates; t++) {
        TW_CHECK(fill(templates[t], label, &texts[t], err));
        pointers[t] = texts[t].data ? texts[t].data : "";
    }
    TW_CHECK(tw_encode_texts(e, pointers, n_templates, &options, rows, NULL, err));
    mean_direction(rows, n_templates, (size_t)e->model->arch.embed_dim, out);
done:
    free(pointers);
    return status;
}

typedef struct class_row {
    const float *row;
    size_t n_bytes, index;
} class_row;

static int compare_rows(const void *a, const void *b) {
    const class_row *x = a, *y = b;
    int order = memcmp(x->row, y->row, x->n_bytes);
    return order ? order : x->index < y->index ? -1 : 1;
}

/* Labels whose words are all unknown, or differ only in unknown words, get the same vector: no
 * picture can tell them apart, and the accuracy depends on how a tie is broken. */
static void warn_of_twins(const tw_hooks *hooks, const char *const *labels, const float *weights,
                          size_t n, size_t dim) {
    class_row *rows = hooks->log ? malloc(n * sizeof *rows) : NULL;
    if (!rows) return;
    for (size_t i = 0; i < n; i++)
        rows[i] = (class_row){weights + i * dim, dim * sizeof *weights, i};
    qsort(rows, n, sizeof *rows, compare_rows);
    for (size_t i = 1; i < n; i++)
        if (memcmp(rows[i - 1].row, rows[i].row, rows[i].n_bytes) == 0)
            tw_log(hooks, TW_LOG_WARNING,
                   "labels %zu '%s' and %zu '%s' have the same vector: the model cannot tell them "
                   "apart",
                   rows[i - 1].index, labels[rows[i - 1].index], rows[i].index,
                   labels[rows[i].index]);
    free(rows);
}

tw_status tw_zeroshot_weights(tw_encoder *e, const char *const *labels, size_t n_labels,
                              const char *const *templates, size_t n_templates, float *weights,
                              tw_error *err) {
    size_t dim = (size_t)e->model->arch.embed_dim;
    if (n_labels == 0 || n_templates == 0)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "zero-shot: needs at least one label and one template");
    for (size_t t = 0; t < n_templates; t++)
        if (!strstr(templates[t], "{}"))
            return tw_fail(err, TW_ERR_ARGUMENT, "template %zu has no {} for the label: %s", t,
                           templates[t]);
    tw_buffer *texts = calloc(n_templates, sizeof *texts);
    float *rows = malloc(n_templates * dim * sizeof *rows);
    /* The labels are the steps a person wants to see, not each label's sentences. */
    tw_hooks hooks = e->hooks;
    e->hooks = (tw_hooks){0};
    tw_status status = TW_OK;
    if (!texts || !rows) {
        status = tw_fail_no_memory(err, n_templates * dim * sizeof *rows);
        goto done;
    }
    for (size_t i = 0; i < n_labels; i++) {
        TW_CHECK(encode_label(e, labels[i], templates, n_templates, texts, rows, weights + i * dim,
                              err));
        TW_CHECK(tw_progress(&hooks, "labels", i + 1, n_labels, err));
    }
    warn_of_twins(&hooks, labels, weights, n_labels, dim);
done:
    e->hooks = hooks;
    for (size_t t = 0; texts && t < n_templates; t++)
        tw_buffer_free(&texts[t]);
    free(texts);
    free(rows);
    return status;
}
