#include "backend/rows.h"

#include "base/size.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a graph that is fixed to them: what it does not need is filled up with zeros. */
enum { MAX_ROWS = 4096, MAX_LENGTH = 4096 };

tw_status tw_graph_input_check(const tw_graph_input *input, const char *name, const tw_model *model,
                               tw_error *err) {
    const int64_t r = model->arch.vision.image_size, *d = input->dims;
    bool pictures = input->n_dims == 4;
    bool known = pictures ? input->type == TW_F32 || input->type == TW_F16
                          : input->type == TW_I64 || input->type == TW_I32;
    if (!known)
        return tw_fail(err, TW_ERR_MISMATCH, "input '%s' has another type than %s", name,
                       pictures ? "f32 or f16" : "i64 or i32");
    if (d[0] == 0 || d[0] > MAX_ROWS)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "input '%s' takes %lld rows a run, expected 1 to %d: export the graph again",
                       name, (long long)d[0], MAX_ROWS);
    if (!pictures && (d[1] == 0 || d[1] > MAX_LENGTH))
        return tw_fail(
            err, TW_ERR_MISMATCH,
            "input '%s' takes %lld tokens a text, expected 1 to %d: export the graph again", name,
            (long long)d[1], MAX_LENGTH);
    if (pictures && ((d[1] > 0 && d[1] != 3) || (d[2] > 0 && d[2] != r) || (d[3] > 0 && d[3] != r)))
        return tw_fail(
            err, TW_ERR_MISMATCH,
            "input '%s' takes pictures of %lld x %lld x %lld, the model's are 3 x %lld x "
            "%lld",
            name, (long long)d[1], (long long)d[2], (long long)d[3], (long long)r, (long long)r);
    return TW_OK;
}

static void take_sizes(const tw_graph_input *input, tw_batch_sizes *out) {
    if (!input) return;
    *out = (tw_batch_sizes){.present = true};
    if (input->dims[0] > 0) out->sizes[out->n_sizes++] = (int32_t)input->dims[0];
}

void tw_graph_capabilities(const tw_graph_input *image, const tw_graph_input *text,
                           const tw_model *model, tw_capabilities *can) {
    int64_t longest = model->arch.text.n_positions;
    take_sizes(image, &can->images);
    take_sizes(text, &can->texts);
    if (text && text->dims[1] > 0) longest = TW_MIN(longest, text->dims[1]);
    can->longest_text = text ? (int32_t)longest : 0;
    can->pads_texts = can->beside = true;
}

/* How many rows a run takes: as many as there are, or what the graph was made for. */
static size_t rows_a_run(const tw_graph_input *input, size_t n) {
    return input->dims[0] > 0 ? (size_t)input->dims[0] : n;
}

void tw_graph_put_pixels(tw_dtype type, const float *from, size_t n, void *out) {
    uint16_t *half = out;
    if (type == TW_F32)
        memcpy(out, from, n * sizeof *from);
    else
        for (size_t i = 0; i < n; i++)
            half[i] = tw_f32_to_f16(from[i]);
}

/* `n` rows of `columns` values into an input of `rows` rows, zeros after them. */
static void *make_pixels(const tw_graph_input *input, const float *from, size_t n, size_t rows,
                         size_t columns) {
    void *data = calloc(rows * columns, tw_dtype_bytes(input->type));
    if (data) tw_graph_put_pixels(input->type, from, n * columns, data);
    return data;
}

tw_status tw_graph_encode_pixels(const tw_graph_input *input, tw_graph_run run, void *session,
                                 const tw_model *model, const float *pixels, size_t n,
                                 float *features, tw_error *err) {
    size_t r = (size_t)model->arch.vision.image_size, columns = 3 * r * r;
    size_t dim = (size_t)model->arch.embed_dim;
    for (size_t i = 0; i < n;) {
        size_t rows = rows_a_run(input, n - i), now = TW_MIN(rows, n - i);
        const int64_t dims[] = {(int64_t)rows, 3, (int64_t)r, (int64_t)r};
        void *data = make_pixels(input, pixels + i * columns, now, rows, columns);
        if (!data) return tw_fail_no_memory(err, rows * columns * sizeof *pixels);
        tw_status status = run(session, data, dims, now, dim, features + i * dim, err);
        free(data);
        if (status != TW_OK) return status;
        i += now;
    }
    return TW_OK;
}

tw_status tw_graph_put_ids(tw_dtype type, const tw_token_rows *all, size_t begin, size_t n,
                           size_t length, void *out, tw_error *err) {
    int64_t *wide = out;
    int32_t *narrow = out;
    for (size_t i = 0; i < n; i++) {
        const int32_t *ids = all->ids + all->offset[begin + i];
        size_t n_ids = all->offset[begin + i + 1] - all->offset[begin + i];
        if (n_ids > length)
            return tw_fail(err, TW_ERR_LIMIT, "a text of %zu tokens, the graph takes %zu", n_ids,
                           length);
        for (size_t k = 0; k < n_ids; k++) {
            if (type == TW_I64)
                wide[i * length + k] = ids[k];
            else
                narrow[i * length + k] = ids[k];
        }
    }
    return TW_OK;
}

static size_t longest_row(const tw_token_rows *rows, size_t begin, size_t n) {
    size_t longest = 1;
    for (size_t i = begin; i < begin + n; i++)
        longest = TW_MAX(longest, rows->offset[i + 1] - rows->offset[i]);
    return longest;
}

tw_status tw_graph_encode_tokens(const tw_graph_input *input, tw_graph_run run, void *session,
                                 const tw_model *model, size_t max_batch, const tw_token_rows *all,
                                 float *features, tw_error *err) {
    size_t dim = (size_t)model->arch.embed_dim;
    for (size_t i = 0; i < all->n;) {
        size_t rows = rows_a_run(input, TW_MIN(all->n - i, max_batch));
        size_t now = TW_MIN(rows, all->n - i);
        size_t length = longest_row(all, i, now);
        if (input->dims[1] > 0) length = (size_t)input->dims[1];
        const int64_t dims[] = {(int64_t)rows, (int64_t)length};
        void *ids = calloc(rows * length, tw_dtype_bytes(input->type));
        if (!ids) return tw_fail_no_memory(err, rows * length * 8);
        tw_status status = tw_graph_put_ids(input->type, all, i, now, length, ids, err);
        if (status == TW_OK) status = run(session, ids, dims, now, dim, features + i * dim, err);
        free(ids);
        if (status != TW_OK) return status;
        i += now;
    }
    return TW_OK;
}

tw_status tw_graph_take_features(tw_dtype type, const void *data, size_t count, size_t rows,
                                 size_t n, size_t dim, float *features, tw_error *err) {
    if (type != TW_F32 && type != TW_F16)
        return tw_fail(err, TW_ERR_MISMATCH, "the graph's features are neither f32 nor f16");
    if (count != rows * dim)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "the graph gives %zu values for %zu rows, the model's features have %zu: it "
                       "is another model's graph",
                       count, rows, dim);
    tw_tensor t = {
        .dtype = type, .n_dims = 1, .shape = {(int64_t)(n * dim)}, .stride = {1}, .data = data};
    tw_tensor_to_f32(&t, features);
    return TW_OK;
}

tw_status tw_graph_check_features(const char *name, const float *features, size_t n, size_t dim,
                                  tw_error *err) {
    for (size_t i = 0; i < n; i++) {
        size_t n_zero = 0;
        bool finite = true;
        for (size_t j = 0; j < dim; j++) {
            float x = features[i * dim + j];
            n_zero += !(x < 0 || x > 0);
            finite = finite && isfinite(x);
        }
        if (!finite || n_zero == dim)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: the library computes %s", name,
                           finite ? "nothing but zeros" : "values that are not finite");
    }
    return TW_OK;
}
