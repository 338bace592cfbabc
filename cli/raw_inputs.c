#include "raw_inputs.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STDIN_BYTES ((size_t)8 << 30)

tw_status cli_array_open(const char *path, cli_array *out, tw_error *err) {
    *out = (cli_array){.path = path};
    const void *data;
    size_t n;
    if (strcmp(path, "-") == 0) {
        TW_TRY(tw_read_file(path, MAX_STDIN_BYTES, &out->owned, &n, err));
        data = out->owned;
    } else {
        TW_TRY(tw_map_file(path, &out->file, err));
        data = out->file.data;
        n = out->file.n_bytes;
    }
    tw_status status = tw_npy_parse(data, n, &out->tensor, err);
    if (status == TW_OK) return TW_OK;
    tw_error_context(err, "%s", path);
    cli_array_close(out);
    return status;
}

void cli_array_close(cli_array *array) {
    tw_unmap_file(&array->file);
    free(array->owned);
    array->owned = NULL;
}

/* A single row without its leading axis is one row. */
static void add_leading_axis(tw_tensor *t, int wanted) {
    if (t->n_dims != wanted - 1) return;
    for (int i = t->n_dims; i > 0; i--) {
        t->shape[i] = t->shape[i - 1];
        t->stride[i] = t->stride[i - 1];
    }
    t->shape[0] = 1;
    t->stride[0] = 0;
    t->n_dims++;
}

static tw_status set_rows(cli_array *array, tw_error *err) {
    uint64_t n_all;
    if (!tw_shape_elements(array->tensor.n_dims, array->tensor.shape, &n_all))
        return tw_fail(err, TW_ERR_LIMIT, "%s: too many elements", array->path);
    array->n_rows = (size_t)array->tensor.shape[0];
    array->row = 1;
    for (int i = 1; i < array->tensor.n_dims; i++)
        array->row *= (size_t)array->tensor.shape[i];
    return TW_OK;
}

tw_status cli_array_check_pixels(cli_array *array, const tw_model *model, tw_error *err) {
    tw_tensor *t = &array->tensor;
    int64_t r = tw_model_arch(model)->vision.image_size;
    add_leading_axis(t, 4);
    bool is_float = t->dtype == TW_F32 || t->dtype == TW_F16 || t->dtype == TW_F64;
    char got[128];
    if (!is_float || t->n_dims != 4 || t->shape[1] != 3 || t->shape[2] != r || t->shape[3] != r)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s: expected f32 [n, 3, %lld, %lld] (preprocessed), got %s %s", array->path,
                       (long long)r, (long long)r, tw_dtype_name(t->dtype),
                       tw_shape_text(t->n_dims, t->shape, got, sizeof got));
    return set_rows(array, err);
}

tw_status cli_array_check_ids(cli_array *array, tw_error *err) {
    tw_tensor *t = &array->tensor;
    add_leading_axis(t, 2);
    bool is_integer = t->dtype == TW_I64 || t->dtype == TW_I32 || t->dtype == TW_I16;
    char got[128];
    if (!is_integer || t->n_dims != 2 || t->shape[1] < 1 || t->shape[1] > 4096)
        return tw_fail(err, TW_ERR_MISMATCH, "%s: expected i64 or i32 [n, length], got %s %s",
                       array->path, tw_dtype_name(t->dtype),
                       tw_shape_text(t->n_dims, t->shape, got, sizeof got));
    return set_rows(array, err);
}

/* Ids go through f32, which holds every id a vocabulary has; larger values (not exact there) are
 * refused, so none is mistaken for another. */
static tw_status to_ids(const float *values, size_t n, const char *path, int32_t *ids,
                        tw_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] >= 0 && values[i] < 16777216.0f))
            return tw_fail(err, TW_ERR_MISMATCH, "%s: %.0f is no token id", path,
                           (double)values[i]);
        ids[i] = (int32_t)values[i];
    }
    return TW_OK;
}

tw_status cli_encode_array(cli_session *s, const cli_array *array, bool is_pixels, bool normalize,
                           cli_rows_fn rows, void *user, tw_error *err) {
    size_t dim = (size_t)tw_model_arch(s->model)->embed_dim;
    size_t capacity = (size_t)s->batch * (is_pixels ? 1 : 32);
    float *values = calloc(capacity * array->row, sizeof *values);
    int32_t *ids = calloc(is_pixels ? 1 : capacity * array->row, sizeof *ids);
    float *features = calloc(capacity * dim, sizeof *features);
    tw_status status = TW_OK;
    cli_work_begin(is_pixels ? "images" : "texts", array->n_rows);
    if (!values || !ids || !features)
        TW_CHECK(tw_fail_no_memory(err, capacity * (array->row + dim) * sizeof *values));
    for (size_t first = 0; first < array->n_rows;) {
        size_t n = TW_MIN(capacity, array->n_rows - first);
        tw_tensor_to_f32_range(&array->tensor, first * array->row, n * array->row, values);
        if (is_pixels) {
            TW_CHECK(tw_encode_pixels(s->encoder, values, n, features, err));
        } else {
            TW_CHECK(to_ids(values, n * array->row, array->path, ids, err));
            TW_CHECK(tw_encode_ids(s->encoder, ids, n, (int32_t)array->row, features, err));
        }
        if (normalize) tw_normalize(features, n, dim);
        TW_CHECK(rows(user, first, features, n, err));
        first += n;
        cli_work_at(first);
    }
done:
    cli_work_end();
    free(features);
    free(ids);
    free(values);
    return status;
}
