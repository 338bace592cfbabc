#define _GNU_SOURCE
#include "calibration.h"

#include "base/size.h"
#include "dataset/walk.h"
#include "recall_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --------------------------------------------------------------------------------- opening */

static bool ends_with(const char *s, const char *ending) {
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && strcmp(s + n - m, ending) == 0;
}

static int open_built_in(cli_calibration *c) {
    tw_error err = TW_ERROR_INIT;
    c->name = "built-in";
    c->n_pictures = VERIFY_PICTURES;
    if (verify_draw_pictures(c->drawn, c->drawn_bytes, &err) != TW_OK ||
        verify_add_texts(&c->own_texts, &err) != TW_OK)
        return cli_fail(&err);
    c->n_texts = c->own_texts.n;
    return CLI_CONTINUE;
}

/* Where the set's pictures and captions are. */
static int find_pairs(cli_calibration *c, const char *path) {
    static const char images[] = "_imgs.tsv", texts[] = "_texts.jsonl";
    if (!ends_with(path, ".tsv")) {
        c->set.data = path;
        return cli_retrieval_find(&c->set);
    }
    if (!ends_with(path, images)) {
        cli_error("--calibrate %s: expected X_imgs.tsv beside X_texts.jsonl", path);
        return CLI_USAGE;
    }
    int stem = (int)(strlen(path) - strlen(images));
    c->set.image_path = strdup(path);
    if (asprintf(&c->set.text_path, "%.*s%s", stem, path, texts) < 0) c->set.text_path = NULL;
    if (c->set.image_path && c->set.text_path) return CLI_CONTINUE;
    cli_error("out of memory");
    return CLI_FAILED;
}

/* A folder of pictures without captions; the texts are those built in. */
static int open_pictures(cli_calibration *c, const char *path) {
    tw_error err = TW_ERROR_INIT;
    if (tw_pictures_create(&c->pictures, &err) != TW_OK ||
        tw_pictures_add(c->pictures, path, &err) != TW_OK ||
        verify_add_texts(&c->own_texts, &err) != TW_OK)
        return cli_fail(&err);
    c->n_pictures = tw_pictures_count(c->pictures);
    c->n_texts = c->own_texts.n;
    if (c->n_pictures) return cli_skips_open(&c->set.skips, NULL, c->n_pictures);
    cli_error("--calibrate %s: no picture in it", path);
    return CLI_FAILED;
}

static int open_set(cli_calibration *c, const char *path) {
    int status = find_pairs(c, path);
    if (status != CLI_CONTINUE) return status;
    c->pairs = access(c->set.text_path, F_OK) == 0;
    if (!c->pairs) return open_pictures(c, path);
    status = cli_retrieval_open(&c->set);
    c->n_pictures = c->set.set.n;
    c->n_texts = c->set.annotations.n;
    return status;
}

static tw_status add_label_texts(const cli_labels *l, tw_strings *out, tw_error *err) {
    tw_buffer text = {0};
    tw_status status = TW_OK;
    for (size_t i = 0; i < l->labels.n && status == TW_OK; i++) {
        tw_buffer_clear(&text);
        tw_buffer_replace(&text, tw_strings_get(&l->prompts, 0), "{}",
                          tw_strings_get(&l->labels, i));
        status = text.failed ? tw_fail_no_memory(err, text.n_bytes)
                             : tw_strings_add(out, text.data, text.n_bytes, err);
    }
    tw_buffer_free(&text);
    return status;
}

static int open_classes(cli_calibration *c, const char *path) {
    tw_error err = TW_ERROR_INIT;
    int status = cli_labels_read(c->labels);
    if (status == CLI_CONTINUE) status = cli_labels_open_folders(c->labels, path, &c->folders);
    if (status != CLI_CONTINUE) return status;
    if (add_label_texts(c->labels, &c->own_texts, &err) != TW_OK) return cli_fail(&err);
    c->n_pictures = tw_pictures_count(c->folders.pictures);
    c->n_texts = c->own_texts.n;
    if (c->n_pictures) return cli_skips_open(&c->set.skips, NULL, c->n_pictures);
    cli_error("--calibrate %s: no picture in its class folders", path);
    return CLI_FAILED;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

int cli_calibration_open(cli_calibration *c, const char *path, cli_labels *labels) {
    if (!path) return open_built_in(c);
    c->name = last_part(path);
    c->labels = labels;
    int status = labels ? open_classes(c, path) : open_set(c, path);
    if (status != CLI_CONTINUE) return status;
    c->set.skips.what = "pictures";
    c->set.skips.keep_nan = true;
    c->set.skips.marks = calloc(c->n_pictures + c->n_texts + 1, sizeof *c->set.skips.marks);
    if (c->set.skips.marks) return CLI_CONTINUE;
    cli_error("out of memory");
    return CLI_FAILED;
}

void cli_calibration_free(cli_calibration *c) {
    for (size_t i = 0; i < VERIFY_PICTURES; i++)
        tw_buffer_free(&c->drawn[i]);
    tw_strings_free(&c->own_texts);
    tw_pictures_free(c->pictures);
    tw_class_folders_free(&c->folders);
    free(c->set.skips.marks);
    cli_retrieval_free(&c->set);
}

/* -------------------------------------------------------------------------------- encoding */

static const tw_pictures *pictures_of(const cli_calibration *c) {
    if (c->labels) return c->folders.pictures;
    return c->pairs ? c->set.set.pictures : c->pictures;
}

static const tw_strings *texts_of(const cli_calibration *c) {
    return c->pairs ? &c->set.annotations.texts : &c->own_texts;
}

/* The texts of a set are prepared as its evaluation does. */
static cli_text text_options(const cli_calibration *c) {
    return (cli_text){.eval_quotes = c->pairs || c->labels};
}

bool cli_calibration_left_out(const cli_calibration *c, size_t i) {
    return c->set.skips.marks && c->set.skips.marks[i];
}

static tw_status keep_rows(void *user, size_t first, const float *rows, size_t n, tw_error *err) {
    const cli_features *f = user;
    memcpy(f->pictures + first * f->dim, rows, n * f->dim * sizeof *rows);
    return TW_OK;
}

static tw_status encode_pictures(cli_calibration *c, cli_session *s, cli_features *f,
                                 tw_error *err) {
    size_t n_values;
    if (!tw_mul_size(c->n_pictures, f->dim, &n_values))
        return tw_fail(err, TW_ERR_LIMIT, "%zu pictures are too many", c->n_pictures);
    f->pictures = calloc(n_values, sizeof *f->pictures);
    if (!f->pictures) return tw_fail_no_memory(err, n_values);
    if (pictures_of(c)) {
        tw_image_options limits = TW_IMAGE_OPTIONS_INIT;
        return cli_encode_pictures(s, pictures_of(c), &limits, true, &c->set.skips, keep_rows, f,
                                   err);
    }
    cli_work_begin("images", c->n_pictures);
    tw_status status = tw_encode_images(s->encoder, c->drawn_bytes, c->n_pictures, &s->recipe, NULL,
                                        f->pictures, NULL, err);
    cli_work_end();
    return status;
}

tw_status cli_calibration_encode(cli_calibration *c, cli_session *s, cli_features *out,
                                 tw_error *err) {
    const tw_arch *arch = tw_model_arch(s->model);
    cli_text how = text_options(c);
    *out = (cli_features){.dim = (size_t)arch->embed_dim};
    if (arch->vision.kind != TW_VISION_NONE) TW_TRY(encode_pictures(c, s, out, err));
    if (!tw_model_tokenizer(s->model)) return TW_OK;
    TW_TRY(cli_text_features(s, texts_of(c), &how, &out->texts, err));
    if (!c->labels) return TW_OK;
    tw_status status = cli_labels_encode(c->labels, s, 100, err);
    out->classes = c->labels->weights;
    c->labels->weights = NULL;
    return status;
}

void cli_features_free(cli_features *f) {
    free(f->pictures);
    free(f->texts);
    free(f->classes);
    *f = (cli_features){0};
}

tw_status cli_calibration_show(const cli_calibration *c, cli_session *s, bool picture, size_t i,
                               tw_error *err) {
    float *feature = calloc((size_t)tw_model_arch(s->model)->embed_dim, sizeof *feature);
    if (!feature) return tw_fail_no_memory(err, 1);
    tw_picture_bytes read = {0};
    tw_status status = TW_OK;
    if (picture) {
        if (pictures_of(c))
            TW_CHECK(tw_pictures_read(pictures_of(c), i, (size_t)256 << 20, &read, err));
        tw_bytes bytes = read.data ? (tw_bytes){read.data, read.n_bytes} : c->drawn_bytes[i];
        status = tw_encode_images(s->encoder, &bytes, 1, &s->recipe, NULL, feature, NULL, err);
    } else {
        const char *text = tw_strings_get(texts_of(c), i);
        cli_text options = text_options(c);
        tw_text_options how = cli_tokenize_options(&options);
        status = tw_encode_texts(s->encoder, &text, 1, &how, feature, NULL, err);
    }
done:
    free(read.owned);
    free(feature);
    return status;
}

tw_status cli_calibration_recall(cli_calibration *c, cli_session *s, const cli_features *f,
                                 tw_recall out[2], tw_error *err) {
    cli_recall_data d = {.set = c->set, .session = *s, .dim = f->dim, .wanted = {true, true}};
    d.texts = f->texts;
    d.images = calloc(c->n_pictures, f->dim * sizeof *d.images);
    d.image_ids = calloc(c->n_pictures, sizeof *d.image_ids);
    tw_status status;
    if (!d.images || !d.image_ids) {
        status = tw_fail_no_memory(err, c->n_pictures * f->dim);
        goto done;
    }
    for (size_t i = 0; i < c->n_pictures; i++) {
        if (cli_calibration_left_out(c, i)) continue;
        memcpy(d.images + d.n_images * f->dim, f->pictures + i * f->dim, f->dim * sizeof *d.images);
        d.image_ids[d.n_images++] = c->set.set.ids[i];
    }
    TW_CHECK(cli_recall_data_search(&d, err));
    memcpy(out, d.recalls, sizeof d.recalls);
done:
    free(d.images);
    free(d.image_ids);
    return status;
}

tw_status cli_calibration_zeroshot(const cli_calibration *c, const cli_features *reference,
                                   const cli_features *f, tw_zeroshot_result *out, tw_error *err) {
    return cli_labels_score(c->labels, &c->folders, reference->pictures, f->pictures, f->classes,
                            f->dim, out, err);
}
