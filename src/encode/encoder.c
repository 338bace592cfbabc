/* Items of any number into batches the backend takes. */
#include "encode/encoder.h"

#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BATCH = 8, MAX_BATCH = 4096 };

static const tw_backend *const backends[] = {&tw_backend_cpu,      &tw_backend_onnxruntime,
                                             &tw_backend_openvino, &tw_backend_sophon,
                                             &tw_backend_ascend,   &tw_backend_magicmind};

const char *const *tw_backend_names(void) {
    static const char *const names[] = {"cpu",    "onnxruntime", "openvino", "sophon",
                                        "ascend", "magicmind",   NULL};
    return names;
}

static const char backend_list[] = "cpu, onnxruntime, openvino, sophon, ascend and magicmind";

static const tw_backend *find_backend(const char *name) {
    for (size_t i = 0; i < TW_COUNT(backends); i++)
        if (!name || strcmp(name, backends[i]->name) == 0) return backends[i];
    return NULL;
}

tw_status tw_backend_probe(const char *name, const char *library, char *buf, size_t n_bytes,
                           tw_error *err) {
    const tw_backend *backend = find_backend(name);
    if (!backend)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "backend '%s' is not in this build, which has %s",
                       name, backend_list);
    snprintf(buf, n_bytes, "%s", "");
    return backend->probe ? backend->probe(library, buf, n_bytes, err) : TW_OK;
}

static void describe(tw_encoder *e) {
    tw_used *u = &e->used;
    *u = (tw_used)TW_USED_INIT;
    snprintf(u->backend, sizeof u->backend, "%s", e->backend->name);
    u->batch = e->batch;
    e->backend->describe(e->state, u);
    snprintf(e->description, sizeof e->description, "%s%s%s %s, %s, %s", u->backend,
             u->runtime[0] ? " " : "", u->runtime, u->device, u->precision, u->detail);
}

/* All but struct_size, which comes first, as far as the caller's struct goes. */
static void take_struct(void *out, const void *from, size_t n_out, size_t n_from) {
    size_t n = TW_MIN(n_out, n_from), head = sizeof(size_t);
    if (n > head) memcpy((char *)out + head, (const char *)from + head, n - head);
}

void tw_encoder_used(const tw_encoder *encoder, tw_used *out) {
    take_struct(out, &encoder->used, out->struct_size, sizeof encoder->used);
}

void tw_encoder_capabilities(const tw_encoder *encoder, tw_capabilities *out) {
    take_struct(out, &encoder->can, out->struct_size, sizeof encoder->can);
}

static int32_t largest_size(const tw_batch_sizes *b) {
    return b->n_sizes ? b->sizes[0] : 0;
}

/* Backends of fixed batches are given as many rows as fill them. */
static int32_t default_batch(const tw_capabilities *can) {
    int64_t most = TW_MAX(largest_size(&can->images), largest_size(&can->texts));
    return most ? (int32_t)TW_MIN(most * can->n_devices, MAX_BATCH) : DEFAULT_BATCH;
}

/* A caller built against an older header has a shorter struct: the rest keeps its default. */
static tw_status take_options(const tw_encoder_options *from, tw_encoder_options *o,
                              tw_error *err) {
    *o = (tw_encoder_options)TW_ENCODER_OPTIONS_INIT;
    if (from) memcpy(o, from, TW_MIN(from->struct_size, sizeof *o));
    if (o->batch < 0 || o->batch > MAX_BATCH)
        return tw_fail(err, TW_ERR_ARGUMENT, "batch: %d, expected 1 to %d", (int)o->batch,
                       MAX_BATCH);
    if (o->vision_only && o->text_only)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "encoder: vision_only and text_only exclude each other");
    return TW_OK;
}

/* Work that nothing of ours goes on beside. */
static tw_status run(tw_encoder *e, const tw_work *work, tw_error *err) {
    tw_submit(&e->flight, work);
    return tw_wait(&e->flight, err);
}

static tw_status open_flight(tw_encoder *e, tw_error *err) {
    size_t r = (size_t)e->model->arch.vision.image_size;
    return tw_flight_open(e->backend, e->state, (size_t)e->batch, 3 * r * r,
                          (size_t)e->model->arch.embed_dim, &e->flight, err);
}

tw_status tw_encoder_create(const tw_model *model, tw_pool *pool, const tw_encoder_options *options,
                            tw_encoder **out, tw_error *err) {
    tw_encoder_options o;
    *out = NULL;
    if (!model) return tw_fail(err, TW_ERR_ARGUMENT, "encoder: needs a model");
    TW_TRY(take_options(options, &o, err));
    const tw_backend *backend = find_backend(o.backend);
    if (!backend)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "backend '%s' is not in this build, which has %s",
                       o.backend, backend_list);
    tw_encoder *e = calloc(1, sizeof *e);
    if (!e) return tw_fail_no_memory(err, sizeof *e);
    e->model = model;
    e->pool = pool;
    e->backend = backend;
    e->batch = o.batch ? o.batch : DEFAULT_BATCH;
    if (o.hooks) e->hooks = *o.hooks;
    const tw_backend_options b = {.max_batch = e->batch,
                                  .vision_only = o.vision_only,
                                  .text_only = o.text_only,
                                  .hooks = o.hooks,
                                  .device = o.device,
                                  .provider = o.provider,
                                  .library = o.library,
                                  .graphs = o.graphs,
                                  .precision = o.precision,
                                  .settings = o.settings,
                                  .n_settings = o.n_settings,
                                  .allow_fallback = o.allow_fallback};
    tw_status status;
    TW_CHECK(backend->open(model, pool, &b, &e->state, err));
    e->can = (tw_capabilities)TW_CAPABILITIES_INIT;
    backend->capabilities(e->state, &e->can);
    if (!o.batch) e->batch = default_batch(&e->can);
    TW_CHECK(open_flight(e, err));
    describe(e);
    *out = e;
    return TW_OK;
done:
    tw_encoder_free(e);
    return status;
}

tw_status tw_encoder_clone(const tw_encoder *encoder, tw_encoder **out, tw_error *err) {
    *out = NULL;
    tw_encoder *e = malloc(sizeof *e);
    if (!e) return tw_fail_no_memory(err, sizeof *e);
    *e = *encoder;
    e->state = NULL;
    e->flight = (tw_flight){0};
    tw_status status;
    TW_CHECK(e->backend->clone(encoder->state, &e->state, err));
    TW_CHECK(open_flight(e, err));
    *out = e;
    return TW_OK;
done:
    tw_encoder_free(e);
    return status;
}

void tw_encoder_free(tw_encoder *encoder) {
    if (!encoder) return;
    tw_flight_close(&encoder->flight);
    encoder->backend->close(encoder->state);
    free(encoder);
}

const char *tw_encoder_description(const tw_encoder *encoder) {
    return encoder->description;
}

tw_status tw_encoder_observe(tw_encoder *e, tw_observer observer, void *user, tw_error *err) {
    if (!e->backend->observe)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the %s backend shows no stages", e->backend->name);
    e->backend->observe(e->state, observer, user);
    return TW_OK;
}

void tw_fill_nan(float *row, size_t n) {
    for (size_t i = 0; i < n; i++)
        row[i] = NAN;
}

tw_status tw_encode_pixels(tw_encoder *e, const float *pixels, size_t n, float *features,
                           tw_error *err) {
    const tw_arch *arch = &e->model->arch;
    size_t r = (size_t)arch->vision.image_size, picture = 3 * r * r;
    if (arch->vision.kind == TW_VISION_NONE)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no image tower");
    for (size_t i = 0; i < n;) {
        const tw_work work = {.pixels = pixels + i * picture,
                              .n = TW_MIN(n - i, (size_t)e->batch),
                              .features = features + i * (size_t)arch->embed_dim};
        TW_TRY(run(e, &work, err));
        i += work.n;
        TW_TRY(tw_progress(&e->hooks, "images", i, n, err));
    }
    return TW_OK;
}

/* ------------------------------------------------------------------------------ token rows */

/* Rows collected until the backend's fill. */
typedef struct token_batch {
    int32_t *ids;
    size_t *offset;
    size_t n, capacity_rows, capacity_tokens;
} token_batch;

static tw_status token_batch_init(token_batch *b, const tw_encoder *e, int32_t longest,
                                  tw_error *err) {
    const tw_text_config *t = &e->model->arch.text;
    if (t->kind == TW_TEXT_NONE)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no text tower");
    *b = (token_batch){0};
    b->capacity_tokens = (size_t)e->batch * (size_t)TW_MAX(longest, t->context_length);
    b->capacity_rows = b->capacity_tokens;
    b->ids = malloc(b->capacity_tokens * sizeof *b->ids);
    b->offset = calloc(b->capacity_rows + 1, sizeof *b->offset);
    if (b->ids && b->offset) return TW_OK;
    free(b->ids);
    free(b->offset);
    return tw_fail_no_memory(err, b->capacity_tokens * sizeof *b->ids);
}

static void token_batch_free(token_batch *b) {
    free(b->ids);
    free(b->offset);
}

static tw_status token_batch_run(token_batch *b, tw_encoder *e, float *features, tw_error *err) {
    const tw_token_rows rows = {b->ids, b->offset, b->n};
    const tw_work work = {.rows = &rows, .features = features};
    if (b->n == 0) return TW_OK;
    tw_status status = run(e, &work, err);
    b->n = 0;
    return status;
}

static bool token_batch_fits(const token_batch *b, size_t n_ids) {
    return b->n < b->capacity_rows && b->offset[b->n] + n_ids <= b->capacity_tokens;
}

static void token_batch_add(token_batch *b, const int32_t *ids, size_t n_ids) {
    size_t at = b->offset[b->n];
    memcpy(b->ids + at, ids, n_ids * sizeof *ids);
    b->offset[++b->n] = at + n_ids;
}

/* A CLIP text tower takes its feature from the end of text, the first largest id of a row, and is
 * causal: nothing after it can matter.
 * Source: OpenAI CLIP clip/model.py encode_text. */
static int32_t end_of_text(const int32_t *ids, int32_t n) {
    int32_t at = 0;
    for (int32_t i = 1; i < n; i++)
        if (ids[i] > ids[at]) at = i;
    return at + 1;
}

/* How much of a zero-padded row is computed; checks every id. Id 0 is padding alone in BERT, also a
 * token ("!") in CLIP. */
static tw_status row_length(const int32_t *ids, int32_t length, const tw_text_config *t, size_t row,
                            size_t *out, tw_error *err) {
    int32_t n = length, least = t->kind == TW_TEXT_CLIP ? 0 : 1;
    while (n > 0 && ids[n - 1] == 0)
        n--;
    if (n == 0) return tw_fail(err, TW_ERR_ARGUMENT, "token row %zu has no token", row);
    for (int32_t i = 0; i < n; i++)
        if (ids[i] < least || ids[i] >= t->vocab_size)
            return tw_fail(err, TW_ERR_ARGUMENT,
                           "token row %zu: id %d at position %d, expected %d to %d", row,
                           (int)ids[i], (int)i, (int)least, (int)t->vocab_size - 1);
    *out = (size_t)(t->kind == TW_TEXT_CLIP ? end_of_text(ids, n) : n);
    return TW_OK;
}

tw_status tw_encode_ids(tw_encoder *e, const int32_t *ids, size_t n, int32_t length,
                        float *features, tw_error *err) {
    const tw_text_config *t = &e->model->arch.text;
    size_t dim = (size_t)e->model->arch.embed_dim, begin = 0;
    token_batch batch;
    TW_TRY(token_batch_init(&batch, e, length, err));
    tw_status status = TW_OK;
    if (length < 1 || length > t->n_positions) {
        status = tw_fail(err, TW_ERR_ARGUMENT, "length of token rows: %d, expected 1 to %d",
                         (int)length, (int)t->n_positions);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t *row = ids + i * (size_t)length;
        size_t n_ids = 0;
        TW_CHECK(row_length(row, length, t, i, &n_ids, err));
        if (!token_batch_fits(&batch, n_ids)) {
            TW_CHECK(token_batch_run(&batch, e, features + begin * dim, err));
            begin = i;
            TW_CHECK(tw_progress(&e->hooks, "texts", i, n, err));
        }
        token_batch_add(&batch, row, n_ids);
    }
    TW_CHECK(token_batch_run(&batch, e, features + begin * dim, err));
    TW_CHECK(tw_progress(&e->hooks, "texts", n, n, err));
done:
    token_batch_free(&batch);
    return status;
}

tw_status tw_encode_texts(tw_encoder *e, const char *const *texts, size_t n,
                          const tw_text_options *options, float *features, bool *truncated,
                          tw_error *err) {
    tw_text_options o = TW_TEXT_OPTIONS_INIT;
    /* A caller built against an older header has a shorter struct: the rest keeps its default. */
    if (options) memcpy(&o, options, TW_MIN(options->struct_size, sizeof o));
    const tw_text_config *t = &e->model->arch.text;
    if (t->kind != TW_TEXT_NONE && o.context_length == 0) o.context_length = t->context_length;
    if (t->kind != TW_TEXT_NONE && o.context_length > t->n_positions)
        return tw_fail(err, TW_ERR_ARGUMENT, "context length %d, the model has %d positions",
                       (int)o.context_length, (int)t->n_positions);
    if (t->kind != TW_TEXT_NONE && !e->model->tokenizer)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "the model has no vocabulary: it takes token ids, not texts");
    size_t dim = (size_t)e->model->arch.embed_dim, begin = 0;
    token_batch batch;
    TW_TRY(token_batch_init(&batch, e, o.context_length, err));
    tw_status status = TW_OK;
    int32_t *row = malloc((size_t)TW_MAX(o.context_length, 1) * sizeof *row);
    if (!row) {
        status = tw_fail_no_memory(err, (size_t)o.context_length * sizeof *row);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t n_ids = 0;
        status = tw_tokenize(e->model->tokenizer, texts[i], strlen(texts[i]), &o, row, &n_ids,
                             truncated ? &truncated[i] : NULL, err);
        if (status != TW_OK) {
            tw_error_context(err, "text %zu", i);
            goto done;
        }
        if (t->kind == TW_TEXT_CLIP) n_ids = end_of_text(row, n_ids);
        if (!token_batch_fits(&batch, (size_t)n_ids)) {
            TW_CHECK(token_batch_run(&batch, e, features + begin * dim, err));
            begin = i;
            TW_CHECK(tw_progress(&e->hooks, "texts", i, n, err));
        }
        token_batch_add(&batch, row, (size_t)n_ids);
    }
    TW_CHECK(token_batch_run(&batch, e, features + begin * dim, err));
    TW_CHECK(tw_progress(&e->hooks, "texts", n, n, err));
done:
    free(row);
    token_batch_free(&batch);
    return status;
}
