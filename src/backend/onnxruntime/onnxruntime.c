/* The backend "onnxruntime": a model's towers as ONNX graphs in ONNX Runtime, opened at run time.
 */
#include "backend/graphs.h"
#include "backend/onnxruntime/session.h"

#include "base/pool.h"
#include "base/size.h"
#include "tensor/tensor.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shared by a state and its clones: sessions may be run by many threads. */
typedef struct towers {
    atomic_int n_users;
    tw_ort_session image, text;
    tw_used used;
} towers;

struct tw_backend_state {
    const tw_model *model;
    towers *towers;
    int32_t max_batch;
};

static void release(towers *t) {
    if (atomic_fetch_sub(&t->n_users, 1) > 1) return;
    tw_ort_session_close(&t->image);
    tw_ort_session_close(&t->text);
    free(t);
}

static tw_status open_tower(const tw_model *model, bool image, const tw_backend_options *o,
                            int threads, tw_ort_session *out, tw_error *err) {
    tw_graph_file file;
    TW_TRY(tw_graph_file_open(model, image, o, &file, err));
    tw_status status = tw_ort_session_open(file.path, image ? 4 : 2, o, threads, out, err);
    tw_graph_file_close(&file);
    return status;
}

static tw_status check_types(const tw_model *model, const towers *t, tw_error *err) {
    const tw_ort_session *i = &t->image, *x = &t->text;
    int64_t r = model->arch.vision.image_size;
    if (i->handle && i->input_type != ORT_F32 && i->input_type != ORT_F16)
        return tw_fail(err, TW_ERR_MISMATCH, "input '%s' has type %d, expected f32 or f16",
                       i->input, i->input_type);
    if (i->handle && ((i->dims[1] > 0 && i->dims[1] != 3) || (i->dims[2] > 0 && i->dims[2] != r) ||
                      (i->dims[3] > 0 && i->dims[3] != r)))
        return tw_fail(err, TW_ERR_MISMATCH,
                       "input '%s' takes pictures of %lld x %lld x %lld, the model "
                       "has 3 x %lld x %lld",
                       i->input, (long long)i->dims[1], (long long)i->dims[2],
                       (long long)i->dims[3], (long long)r, (long long)r);
    if (x->handle && x->input_type != ORT_I64 && x->input_type != ORT_I32)
        return tw_fail(err, TW_ERR_MISMATCH, "input '%s' has type %d, expected i64 or i32",
                       x->input, x->input_type);
    return TW_OK;
}

static void describe_towers(towers *t, const tw_backend_options *o, int threads) {
    size_t n = t->image.n_nodes + t->text.n_nodes;
    size_t taken = t->image.n_provider_nodes + t->text.n_provider_nodes;
    char nodes[64] = "nodes not told";
    if (t->image.knows_nodes || t->text.knows_nodes)
        snprintf(nodes, sizeof nodes, "%zu of %zu nodes there", taken, n);
    snprintf(t->used.runtime, sizeof t->used.runtime, "%s", tw_ort.version);
    snprintf(t->used.device, sizeof t->used.device, "%s", tw_ort_provider_word(o));
    snprintf(t->used.precision, sizeof t->used.precision, "%s",
             o->graphs                ? "as the graphs"
             : o->precision == TW_F16 ? "f16"
                                      : "f32");
    snprintf(t->used.detail, sizeof t->used.detail, "%s, %d thread%s", nodes, threads,
             threads == 1 ? "" : "s");
}

static tw_status open_towers(const tw_model *model, const tw_backend_options *o, int threads,
                             towers *t, tw_error *err) {
    if (o->precision != -1 && o->precision != TW_F32 && o->precision != TW_F16)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "backend onnxruntime computes in f32 or f16");
    TW_TRY(tw_ort_open(o->library, err));
    if (model->arch.vision.kind != TW_VISION_NONE && !o->text_only)
        TW_TRY(open_tower(model, true, o, threads, &t->image, err));
    if (model->arch.text.kind != TW_TEXT_NONE && !o->vision_only)
        TW_TRY(open_tower(model, false, o, threads, &t->text, err));
    TW_TRY(check_types(model, t, err));
    describe_towers(t, o, threads);
    return TW_OK;
}

static tw_status open_state(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                            tw_backend_state **out, tw_error *err) {
    *out = NULL;
    tw_backend_state *s = calloc(1, sizeof *s);
    towers *t = calloc(1, sizeof *t);
    if (!s || !t) {
        free(s);
        free(t);
        return tw_fail_no_memory(err, sizeof *t);
    }
    *s = (tw_backend_state){model, t, options->max_batch};
    atomic_init(&t->n_users, 1);
    tw_status status = open_towers(model, options, tw_pool_threads(pool), t, err);
    if (status != TW_OK) {
        release(t);
        free(s);
        return status;
    }
    *out = s;
    return TW_OK;
}

static tw_status clone_state(const tw_backend_state *from, tw_backend_state **out, tw_error *err) {
    *out = malloc(sizeof **out);
    if (!*out) return tw_fail_no_memory(err, sizeof **out);
    **out = *from;
    atomic_fetch_add(&from->towers->n_users, 1);
    return TW_OK;
}

static void close_state(tw_backend_state *s) {
    if (!s) return;
    release(s->towers);
    free(s);
}

static void describe(const tw_backend_state *s, tw_used *used) {
    const tw_used *u = &s->towers->used;
    memcpy(used->runtime, u->runtime, sizeof used->runtime);
    memcpy(used->device, u->device, sizeof used->device);
    memcpy(used->precision, u->precision, sizeof used->precision);
    memcpy(used->detail, u->detail, sizeof used->detail);
}

/* How many rows a run takes: as many as there are, or what the graph was made for. */
static size_t rows_a_run(const tw_ort_session *session, size_t n) {
    return session->dims[0] > 0 ? (size_t)session->dims[0] : n;
}

/* `n` rows of `columns` values into a run's input of `rows` rows, zeros after them. */
static void *make_input(const tw_ort_session *session, const float *from, size_t n, size_t rows,
                        size_t columns) {
    size_t size = session->input_type == ORT_F16 ? 2 : 4;
    uint8_t *data = calloc(rows * columns, size);
    if (!data) return NULL;
    if (size == 4) {
        memcpy(data, from, n * columns * sizeof *from);
        return data;
    }
    for (size_t i = 0; i < n * columns; i++) {
        uint16_t h = tw_f32_to_f16(from[i]);
        memcpy(data + 2 * i, &h, sizeof h);
    }
    return data;
}

static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    const tw_ort_session *session = &s->towers->image;
    size_t r = (size_t)s->model->arch.vision.image_size, columns = 3 * r * r;
    size_t dim = (size_t)s->model->arch.embed_dim;
    if (!session->handle)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no image tower");
    for (size_t i = 0; i < n;) {
        size_t rows = rows_a_run(session, n - i), now = TW_MIN(rows, n - i);
        const int64_t dims[] = {(int64_t)rows, 3, (int64_t)r, (int64_t)r};
        void *data = make_input(session, pixels + i * columns, now, rows, columns);
        if (!data) return tw_fail_no_memory(err, rows * columns * sizeof *pixels);
        tw_status status =
            tw_ort_session_run(session, data, dims, now, dim, features + i * dim, err);
        free(data);
        if (status != TW_OK) return status;
        i += now;
    }
    return TW_OK;
}

/* Rows [begin, begin + n) as zero-padded ids of the session's type, [rows, length]. */
static void *make_ids(const tw_ort_session *session, const tw_token_rows *all, size_t begin,
                      size_t n, size_t rows, size_t length) {
    bool wide = session->input_type == ORT_I64;
    uint8_t *data = calloc(rows * length, wide ? 8 : 4);
    if (!data) return NULL;
    for (size_t i = 0; i < n; i++) {
        const int32_t *ids = all->ids + all->offset[begin + i];
        size_t n_ids = all->offset[begin + i + 1] - all->offset[begin + i];
        for (size_t k = 0; k < n_ids; k++) {
            int64_t id = ids[k];
            if (wide)
                memcpy(data + 8 * (i * length + k), &id, sizeof id);
            else
                memcpy(data + 4 * (i * length + k), &ids[k], sizeof ids[k]);
        }
    }
    return data;
}

/* The longest of rows [begin, begin + n). */
static size_t longest_row(const tw_token_rows *rows, size_t begin, size_t n) {
    size_t longest = 1;
    for (size_t i = begin; i < begin + n; i++)
        longest = TW_MAX(longest, rows->offset[i + 1] - rows->offset[i]);
    return longest;
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *all, float *features,
                               tw_error *err) {
    const tw_ort_session *session = &s->towers->text;
    size_t dim = (size_t)s->model->arch.embed_dim;
    if (!session->handle) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no text tower");
    for (size_t i = 0; i < all->n;) {
        size_t most = TW_MIN(all->n - i, (size_t)s->max_batch);
        size_t rows = rows_a_run(session, most), now = TW_MIN(rows, most);
        size_t length = longest_row(all, i, now);
        if (session->dims[1] > 0 && length > (size_t)session->dims[1])
            return tw_fail(err, TW_ERR_LIMIT, "a text of %zu tokens, the graph takes %lld", length,
                           (long long)session->dims[1]);
        if (session->dims[1] > 0) length = (size_t)session->dims[1];
        const int64_t dims[] = {(int64_t)rows, (int64_t)length};
        void *ids = make_ids(session, all, i, now, rows, length);
        if (!ids) return tw_fail_no_memory(err, rows * length * 8);
        tw_status status =
            tw_ort_session_run(session, ids, dims, now, dim, features + i * dim, err);
        free(ids);
        if (status != TW_OK) return status;
        i += now;
    }
    return TW_OK;
}

const tw_backend tw_backend_onnxruntime = {
    .abi = TW_BACKEND_ABI,
    .name = "onnxruntime",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
};
