#define _GNU_SOURCE
#include "accuracy.h"

#include "base/clock.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

static void free_features(accuracy_features *f) {
    free(f->images);
    free(f->texts);
    *f = (accuracy_features){0};
}

/* -------------------------------------------------------------------------------- computing */

typedef struct sink {
    float *rows;
    size_t dim;
} sink;

static tw_status keep_rows(void *user, size_t first, const float *rows, size_t n, tw_error *err) {
    sink *to = user;
    memcpy(to->rows + first * to->dim, rows, n * to->dim * sizeof *rows);
    return TW_OK;
}

/* Class folders are converted to RGB first, as ImageFolder does; retrieval sets are not. */
static tw_status use_recipe(const accuracy *a, cli_session *s, bool folders, tw_error *err) {
    cli_recipe options = a->recipe;
    if (folders && !options.rgb_after && !options.name) options.rgb_first = true;
    s->recipe = *tw_model_recipe(s->model);
    return cli_apply_recipe(&options, s->recipe.size, &s->recipe, err);
}

static tw_status encode_pictures(accuracy *a, cli_session *s, const tw_pictures *pictures,
                                 cli_skips *skips, accuracy_row *row, accuracy_features *out,
                                 tw_error *err) {
    tw_image_options limits = cli_image_options(&a->limits);
    size_t n = tw_pictures_count(pictures);
    out->n_images = n;
    out->images = calloc(TW_MAX(n, (size_t)1), a->dim * sizeof *out->images);
    if (!out->images) return tw_fail_no_memory(err, n * a->dim * sizeof *out->images);
    sink to = {out->images, a->dim};
    uint64_t begin = tw_now_ns();
    TW_TRY(cli_encode_pictures(s, pictures, &limits, true, skips, keep_rows, &to, err));
    row->seconds += (double)(tw_now_ns() - begin) / 1e9;
    row->n_images += n;
    return TW_OK;
}

static tw_status check_texts(const accuracy_features *f, size_t dim, tw_error *err) {
    for (size_t i = 0; i < f->n_texts; i++)
        if (!cli_is_vector(f->texts + i * dim, dim))
            return tw_fail(err, TW_ERR_FORMAT, "the feature of text %zu is not a vector of numbers",
                           i + 1);
    return TW_OK;
}

static tw_status compute_classes(accuracy *a, cli_session *s, accuracy_row *row,
                                 accuracy_features *f, tw_error *err) {
    TW_TRY(use_recipe(a, s, true, err));
    tw_status status = cli_labels_encode(&a->labels, s, 100, err);
    f->texts = a->labels.weights;
    f->n_texts = a->labels.labels.n;
    a->labels.weights = NULL;
    TW_TRY(status);
    TW_TRY(check_texts(f, a->dim, err));
    return encode_pictures(a, s, a->folders.pictures, &a->skips, row, f, err);
}

static tw_status compute_retrieval(accuracy *a, cli_session *s, accuracy_row *row,
                                   accuracy_features *f, tw_error *err) {
    cli_retrieval *set = &a->retrieval.set;
    TW_TRY(use_recipe(a, s, false, err));
    f->n_texts = set->annotations.n;
    TW_TRY(cli_text_features(s, &set->annotations.texts, &a->retrieval.text, &f->texts, err));
    TW_TRY(check_texts(f, a->dim, err));
    return encode_pictures(a, s, set->set.pictures, &set->skips, row, f, err);
}

/* --------------------------------------------------------------------------------- counting */

/* What the reference has no vector of is no input; what only this row has none of agrees with
 * nothing. */
static void compare(size_t dim, const accuracy_features *reference, const accuracy_features *f,
                    accuracy_row *row) {
    for (size_t i = 0; i < f->n_images; i++)
        if (cli_is_vector(reference->images + i * dim, dim))
            tw_agreement_add(&row->images, i, reference->images + i * dim, f->images + i * dim,
                             dim);
    for (size_t i = 0; i < f->n_texts; i++)
        tw_agreement_add(&row->texts, i, reference->texts + i * dim, f->texts + i * dim, dim);
}

/* Lends the features to the search of `eval recall`, without the pictures that are no vectors. */
static tw_status count_recall(accuracy *a, const accuracy_features *f, accuracy_row *row,
                              tw_error *err) {
    cli_recall_data *d = &a->retrieval;
    tw_status status = TW_OK;
    d->images = calloc(TW_MAX(f->n_images, (size_t)1), a->dim * sizeof *d->images);
    d->image_ids = calloc(TW_MAX(f->n_images, (size_t)1), sizeof *d->image_ids);
    if (!d->images || !d->image_ids)
        TW_CHECK(tw_fail_no_memory(err, f->n_images * a->dim * sizeof *d->images));
    d->dim = a->dim;
    d->texts = f->texts;
    d->n_images = d->n_absent = 0;
    for (size_t i = 0; i < f->n_images; i++) {
        const float *image = f->images + i * a->dim;
        if (!cli_is_vector(image, a->dim)) continue;
        memcpy(d->images + d->n_images * a->dim, image, a->dim * sizeof *image);
        d->image_ids[d->n_images++] = d->set.set.ids[i];
    }
    memset(d->recalls, 0, sizeof d->recalls);
    TW_CHECK(cli_recall_data_search(d, err));
    memcpy(row->recalls, d->recalls, sizeof row->recalls);
done:
    free(d->images);
    free(d->image_ids);
    d->texts = d->images = NULL;
    d->image_ids = NULL;
    return status;
}

/* ------------------------------------------------------------------------------------- rows */

/* Computes and counts one part of the data; the first time the features become the reference's. */
static tw_status measure_part(accuracy *a, cli_session *s, bool classes, accuracy_row *row,
                              tw_error *err) {
    accuracy_features *reference = classes ? &a->of_classes : &a->of_retrieval, own = {0};
    accuracy_features *f = row == &a->reference ? reference : &own;
    tw_status status;
    TW_CHECK(classes ? compute_classes(a, s, row, f, err) : compute_retrieval(a, s, row, f, err));
    compare(a->dim, reference, f, row);
    status = classes ? cli_labels_score(&a->labels, &a->folders, reference->images, f->images,
                                        f->texts, a->dim, &row->zeroshot, err)
                     : count_recall(a, f, row, err);
done:
    free_features(&own);
    return status;
}

static tw_status measure(accuracy *a, cli_session *s, accuracy_row *row, tw_error *err) {
    size_t dim = (size_t)tw_model_arch(s->model)->embed_dim;
    if (dim != a->dim)
        return tw_fail(err, TW_ERR_MISMATCH, "features of %zu values, those of %s have %zu", dim,
                       tw_model_path(a->home.model), a->dim);
    row->used = (tw_used)TW_USED_INIT;
    tw_encoder_used(s->encoder, &row->used);
    if (a->classes) TW_TRY(measure_part(a, s, true, row, err));
    if (a->has_retrieval) TW_TRY(measure_part(a, s, false, row, err));
    row->ran = true;
    return TW_OK;
}

static void take_results(accuracy_row *row, const accuracy_row *from) {
    accuracy_row own = *row;
    *row = *from;
    row->spec = own.spec;
    row->words = own.words;
    row->compute = own.compute;
}

static void run_row(accuracy *a, accuracy_row *row) {
    if (row->is_reference) {
        take_results(row, &a->reference);
        return;
    }
    row->images = row->texts = (tw_agreement)TW_AGREEMENT_INIT;
    cli_session s = {0};
    if (cli_session_try(&s, &a->home, &row->compute, &a->recipe, CLI_BOTH, &row->why) != TW_OK)
        return;
    measure(a, &s, row, &row->why);
    cli_session_close(&s);
}

bool accuracy_row_is_whole(const accuracy_row *row) {
    return row->ran && row->images.n_no_cosine == 0 && row->texts.n_no_cosine == 0;
}

/* ------------------------------------------------------------------------------------- data */

static int open_classes(accuracy *a) {
    int status = cli_labels_read(&a->labels);
    if (status != CLI_CONTINUE) return status;
    status = cli_labels_open_folders(&a->labels, a->classes, &a->folders);
    if (status != CLI_CONTINUE) return status;
    return cli_skips_open(&a->skips, NULL, tw_pictures_count(a->folders.pictures));
}

static int open_retrieval(accuracy *a) {
    cli_recall_data *d = &a->retrieval;
    d->text.eval_quotes = true;
    d->wanted[TW_TEXT_TO_IMAGE] = d->wanted[TW_IMAGE_TO_TEXT] = true;
    int status = cli_retrieval_find(&d->set);
    return status == CLI_CONTINUE ? cli_retrieval_open(&d->set) : status;
}

/* Reasons are told once, not once a row. */
static int mark_skips(cli_skips *skips) {
    skips->marks = calloc(TW_MAX(skips->n_inputs, (size_t)1), sizeof *skips->marks);
    if (skips->marks) return CLI_CONTINUE;
    tw_error err = TW_ERROR_INIT;
    tw_fail_no_memory(&err, skips->n_inputs);
    return cli_fail(&err);
}

/* The cpu backend in f32, whatever the rows are. */
static int run_reference(accuracy *a) {
    tw_error err = TW_ERROR_INIT;
    cli_compute compute = {
        .model = a->compute.model, .threads = a->compute.threads, .batch = a->compute.batch};
    int status = cli_session_open(&a->home, &compute, &a->recipe, CLI_BOTH);
    if (status != CLI_CONTINUE) return status;
    a->dim = (size_t)tw_model_arch(a->home.model)->embed_dim;
    a->retrieval.session = (cli_session){.pool = a->home.pool, .pool_is_lent = true};
    a->reference.images = a->reference.texts = (tw_agreement)TW_AGREEMENT_INIT;
    if (measure(a, &a->home, &a->reference, &err) != TW_OK) return cli_fail(&err);
    if (a->retrieval.n_absent)
        cli_error("%zu annotated pictures are not among the data and count as misses",
                  a->retrieval.n_absent);
    tw_encoder_free(a->home.encoder); /* its weights need not stay beside another's */
    a->home.encoder = NULL;
    if (a->reference.images.n) return CLI_CONTINUE;
    cli_error("none of the pictures could be used");
    return CLI_FAILED;
}

int accuracy_run(accuracy *a) {
    int status = a->classes ? open_classes(a) : CLI_CONTINUE;
    if (status == CLI_CONTINUE && a->has_retrieval) status = open_retrieval(a);
    if (status == CLI_CONTINUE) status = mark_skips(&a->skips);
    if (status == CLI_CONTINUE) status = mark_skips(&a->retrieval.set.skips);
    if (status == CLI_CONTINUE) status = run_reference(a);
    for (size_t i = 0; i < a->n_rows && status == CLI_CONTINUE; i++) {
        run_row(a, &a->rows[i]);
        if (cli_interrupted()) status = cli_fail(&a->rows[i].why);
    }
    return status;
}

void accuracy_free(accuracy *a) {
    free(a->skips.marks);
    free(a->retrieval.set.skips.marks);
    free_features(&a->of_classes);
    free_features(&a->of_retrieval);
    cli_recall_data_free(&a->retrieval);
    cli_session_close(&a->home);
    cli_labels_free(&a->labels);
    tw_class_folders_free(&a->folders);
    for (size_t i = 0; i < a->n_rows; i++)
        free(a->rows[i].words);
    free(a->rows);
}
