#include "inputs.h"

#include "base/size.h"
#include "dataset/lines.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------------- skips */

int cli_skips_open(cli_skips *skips, const char *errors_path, size_t n_inputs) {
    *skips = (cli_skips){.n_inputs = n_inputs, .what = "pictures"};
    if (!errors_path) return CLI_CONTINUE;
    tw_error err = TW_ERROR_INIT;
    if (tw_output_open(errors_path, &skips->file, &err) != TW_OK) return cli_fail(&err);
    skips->has_file = true;
    return CLI_CONTINUE;
}

tw_status cli_skips_add(cli_skips *skips, size_t index, const char *name, const tw_error *why,
                        tw_error *err) {
    if (skips->marks) {
        if (skips->marks[index]) return TW_OK;
        skips->marks[index] = true;
    }
    skips->n++;
    /* An only input is not skipped, it is what failed. */
    cli_error("%s%s: %s", skips->n_inputs > 1 ? "skipped " : "", name, why->message);
    if (!skips->has_file) return TW_OK;
    tw_buffer b = {0};
    tw_buffer_printf(&b, "{\"index\": %zu", index);
    cli_json_member(&b, "input", name);
    cli_json_member(&b, "status", tw_status_name(why->status));
    cli_json_member(&b, "reason", why->message);
    tw_buffer_puts(&b, "}\n");
    tw_status status = b.failed ? tw_fail_no_memory(err, b.n_bytes)
                                : tw_output_write(&skips->file, b.data, b.n_bytes, err);
    tw_buffer_free(&b);
    return status;
}

bool cli_all_skipped(const cli_skips *skips) {
    return skips->n_inputs > 0 && skips->n == skips->n_inputs;
}

int cli_skips_close(cli_skips *skips, int status) {
    tw_error err = TW_ERROR_INIT;
    if (status != CLI_DONE) {
        tw_output_abort(&skips->file);
        return status;
    }
    if (skips->has_file && tw_output_commit(&skips->file, &err) != TW_OK) return cli_fail(&err);
    if (cli_all_skipped(skips)) {
        if (skips->n_inputs > 1)
            cli_error("none of the %zu %s could be used", skips->n, skips->what);
        return CLI_FAILED;
    }
    if (skips->n) cli_error("%zu of %zu %s skipped", skips->n, skips->n_inputs, skips->what);
    return skips->n ? CLI_SKIPPED : CLI_DONE;
}

/* -------------------------------------------------------------------------------- pictures */

/* Encoded pictures in memory at once: a few batches, so that reading and computing come in long
 * stretches, and at most so many bytes. */
#define CHUNK_BATCHES 4
#define MIN_CHUNK 32
#define MAX_CHUNK_BYTES ((size_t)256 << 20)
#define MAX_PICTURE_BYTES ((size_t)256 << 20)

typedef struct chunk {
    size_t capacity, n;
    tw_picture_bytes *pictures; /* [capacity] */
    tw_bytes *images;           /* the same, as the encoder takes them */
    tw_error *unread, *errors;  /* [capacity]: from reading, from encoding */
    float *features;            /* [capacity, E] */
} chunk;

static size_t chunk_capacity(const cli_session *s, size_t n_inputs) {
    size_t n = TW_MAX((size_t)s->batch, (size_t)tw_pool_threads(s->pool)) * CHUNK_BATCHES;
    n = TW_MAX(n, (size_t)MIN_CHUNK);
    return TW_MAX(TW_MIN(n, n_inputs), (size_t)1);
}

static void free_chunk(chunk *c) {
    for (size_t i = 0; i < c->n; i++)
        free(c->pictures[i].owned);
    free(c->pictures);
    free(c->images);
    free(c->unread);
    free(c->errors);
    free(c->features);
}

static tw_status allocate_chunk(chunk *c, size_t capacity, size_t dim, tw_error *err) {
    *c = (chunk){.capacity = capacity};
    c->pictures = calloc(capacity, sizeof *c->pictures);
    c->images = calloc(capacity, sizeof *c->images);
    c->unread = calloc(capacity, sizeof *c->unread);
    c->errors = calloc(capacity, sizeof *c->errors);
    c->features = calloc(capacity * dim, sizeof *c->features);
    if (c->pictures && c->images && c->unread && c->errors && c->features) return TW_OK;
    return tw_fail_no_memory(err, capacity * (dim * sizeof(float) + 2 * sizeof(tw_error)));
}

/* Reads pictures from `first` on. One that cannot be read goes through as no bytes at all, which
 * the encoder answers with a NaN row. */
static void fill_chunk(chunk *c, const tw_pictures *pictures, size_t first, size_t max_bytes) {
    size_t n_all = tw_pictures_count(pictures), total = 0;
    for (c->n = 0; c->n < c->capacity && first + c->n < n_all && total < MAX_CHUNK_BYTES; c->n++) {
        tw_picture_bytes *p = &c->pictures[c->n];
        tw_error *unread = &c->unread[c->n];
        *unread = (tw_error)TW_ERROR_INIT;
        tw_pictures_read(pictures, first + c->n, max_bytes, p, unread);
        if (unread->status == TW_OK && p->n_bytes == 0)
            tw_fail(unread, TW_ERR_FORMAT, "the file is empty");
        bool readable = unread->status == TW_OK;
        c->images[c->n] = readable ? (tw_bytes){p->data, p->n_bytes} : (tw_bytes){"", 0};
        total += p->n_bytes;
    }
}

bool cli_is_vector(const float *row, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(row[i])) return false;
    return true;
}

/* Reports every picture whose row is not a vector: unread, unreadable, or (weights that are not
 * numbers, a feature of length zero) without a direction. */
static tw_status report_skips(chunk *c, const tw_pictures *pictures, size_t first, size_t dim,
                              cli_skips *skips, tw_error *err) {
    for (size_t i = 0; i < c->n; i++) {
        tw_error *why = c->unread[i].status != TW_OK ? &c->unread[i] : &c->errors[i];
        if (why->status == TW_OK) {
            if (skips->keep_nan || cli_is_vector(c->features + i * dim, dim)) continue;
            tw_fail(why, TW_ERR_FORMAT, "its feature is not a vector of numbers");
        }
        TW_TRY(cli_skips_add(skips, first + i, tw_pictures_name(pictures, first + i), why, err));
    }
    return TW_OK;
}

tw_status cli_encode_pictures(cli_session *s, const tw_pictures *pictures,
                              const tw_image_options *limits, bool normalize, cli_skips *skips,
                              cli_rows_fn rows, void *user, tw_error *err) {
    size_t n_all = tw_pictures_count(pictures), dim = (size_t)tw_model_arch(s->model)->embed_dim;
    size_t max_bytes = limits->max_bytes ? (size_t)limits->max_bytes : MAX_PICTURE_BYTES;
    chunk c;
    tw_status status = allocate_chunk(&c, chunk_capacity(s, n_all), dim, err);
    cli_work_begin("images", n_all);
    for (size_t first = 0; first < n_all && status == TW_OK; first += c.n) {
        for (size_t i = 0; i < c.n; i++)
            free(c.pictures[i].owned);
        fill_chunk(&c, pictures, first, max_bytes);
        TW_CHECK(tw_encode_images(s->encoder, c.images, c.n, &s->recipe, limits, c.features,
                                  c.errors, err));
        if (normalize) tw_normalize(c.features, c.n, dim);
        TW_CHECK(report_skips(&c, pictures, first, dim, skips, err));
        TW_CHECK(rows(user, first, c.features, c.n, err));
        cli_work_at(first + c.n);
    }
done:
    cli_work_end();
    free_chunk(&c);
    return status;
}

/* ----------------------------------------------------------------------------------- texts */

#define TEXT_CHUNK 256

tw_status cli_encode_texts(cli_session *s, const tw_strings *texts, const cli_text *options,
                           bool normalize, cli_rows_fn rows, void *user, tw_error *err) {
    size_t dim = (size_t)tw_model_arch(s->model)->embed_dim, n_truncated = 0;
    size_t capacity = TW_MAX((size_t)s->batch, (size_t)TEXT_CHUNK);
    const char **pointers = calloc(capacity, sizeof *pointers);
    bool *truncated = calloc(capacity, sizeof *truncated);
    float *features = calloc(capacity * dim, sizeof *features);
    tw_text_options how = cli_tokenize_options(options);
    tw_status status = TW_OK;
    cli_work_begin("texts", texts->n);
    if (!pointers || !truncated || !features)
        TW_CHECK(tw_fail_no_memory(err, capacity * dim * sizeof *features));
    for (size_t first = 0; first < texts->n;) {
        size_t n = TW_MIN(capacity, texts->n - first);
        for (size_t i = 0; i < n; i++)
            pointers[i] = tw_strings_get(texts, first + i);
        TW_CHECK(tw_encode_texts(s->encoder, pointers, n, &how, features, truncated, err));
        for (size_t i = 0; i < n; i++)
            n_truncated += truncated[i];
        if (normalize) tw_normalize(features, n, dim);
        TW_CHECK(rows(user, first, features, n, err));
        first += n;
        cli_work_at(first);
    }
done:
    cli_work_end();
    if (status == TW_OK && n_truncated && options->truncation == CLI_TRUNCATE_FLAG)
        cli_error("%zu of %zu texts were too long and were cut", n_truncated, texts->n);
    free(features);
    free(truncated);
    free(pointers);
    return status;
}

typedef struct matrix {
    float *rows;
    size_t dim;
} matrix;

static tw_status keep_rows(void *user, size_t first, const float *features, size_t n,
                           tw_error *err) {
    matrix *m = user;
    memcpy(m->rows + first * m->dim, features, n * m->dim * sizeof *features);
    return TW_OK;
}

tw_status cli_text_features(cli_session *s, const tw_strings *texts, const cli_text *options,
                            float **out, tw_error *err) {
    size_t dim = (size_t)tw_model_arch(s->model)->embed_dim;
    *out = calloc(TW_MAX(texts->n, (size_t)1) * dim, sizeof **out);
    if (!*out) return tw_fail_no_memory(err, texts->n * dim * sizeof **out);
    matrix m = {*out, dim};
    return cli_encode_texts(s, texts, options, true, keep_rows, &m, err);
}

/* ------------------------------------------------------------------------------- gathering */

int cli_gather_pictures(const char *list, const cli_texts *operands, tw_pictures **out) {
    *out = NULL;
    if (!list && operands->n == 0) {
        cli_error("no pictures: give files or folders, or --images LIST");
        return CLI_USAGE;
    }
    tw_error err = TW_ERROR_INIT;
    tw_pictures *p = NULL;
    tw_status status = tw_pictures_create(&p, &err);
    if (status == TW_OK && list) status = tw_pictures_add_list(p, list, &err);
    for (size_t i = 0; i < operands->n && status == TW_OK; i++) {
        size_t before = tw_pictures_count(p);
        status = tw_pictures_add(p, operands->items[i], &err);
        if (status == TW_OK && tw_pictures_count(p) == before)
            cli_error("%s: no picture (.jpg .jpeg .png .webp .bmp .gif .ppm .pgm .pbm .pnm .tif "
                      ".tiff .heic .heif .hif .avif) in it",
                      operands->items[i]);
    }
    if (status != TW_OK) {
        tw_pictures_free(p);
        return cli_fail(&err);
    }
    *out = p;
    return CLI_CONTINUE;
}

int cli_gather_texts(const char *file, const cli_texts *single, tw_strings *out) {
    tw_error err = TW_ERROR_INIT;
    tw_status status = file ? tw_read_lines(file, TW_LINES_TEXTS, out, &err) : TW_OK;
    for (size_t i = 0; single && i < single->n && status == TW_OK; i++)
        status = tw_strings_add(out, single->items[i], strlen(single->items[i]), &err);
    return status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}
