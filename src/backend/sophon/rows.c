#include "backend/sophon/rows.h"

#include "base/size.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tw_bm_put_values(const tw_bmodel_end *in, const float *values, size_t n, void *out) {
    if (in->type == BM_F32) {
        memcpy(out, values, n * sizeof *values);
    } else if (in->type == BM_F16) {
        uint16_t *half = out;
        for (size_t i = 0; i < n; i++)
            half[i] = tw_f32_to_f16(values[i]);
    } else {
        int8_t *q = out;
        for (size_t i = 0; i < n; i++) {
            float x = rintf(values[i] * in->scale);
            q[i] = (int8_t)(x >= 127 ? 127 : x > -128 ? x : -128); /* NaN is -128 */
        }
    }
}

void tw_bm_get_values(const tw_bmodel_end *out, const void *from, size_t n, float *values) {
    if (out->type == BM_F32) {
        memcpy(values, from, n * sizeof *values);
    } else if (out->type == BM_F16) {
        const uint16_t *half = from;
        for (size_t i = 0; i < n; i++)
            values[i] = tw_f16_to_f32(half[i]);
    } else {
        const int8_t *q = from;
        for (size_t i = 0; i < n; i++)
            values[i] = (float)q[i] * out->scale;
    }
}

static tw_status take_matrix(const tw_tensor *t, tw_bm_projection *p, tw_error *err) {
    if (t->n_dims != 2 || t->shape[0] != (int64_t)p->width || t->shape[1] != (int64_t)p->dim) {
        char shape[64];
        return tw_fail(err, TW_ERR_MISMATCH, "text projection %s, expected [%zu, %zu]",
                       tw_shape_text(t->n_dims, t->shape, shape, sizeof shape), p->width, p->dim);
    }
    p->matrix = malloc(p->width * p->dim * sizeof *p->matrix);
    if (!p->matrix) return tw_fail_no_memory(err, p->width * p->dim * sizeof *p->matrix);
    tw_tensor_to_f32(t, p->matrix);
    return TW_OK;
}

static tw_status read_matrix(const char *path, tw_bm_projection *p, tw_error *err) {
    tw_mapped_file file;
    tw_tensor t;
    TW_TRY(tw_map_file(path, &file, err));
    tw_status status = tw_npy_parse(file.data, file.n_bytes, &t, err);
    if (status == TW_OK) status = take_matrix(&t, p, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    tw_unmap_file(&file);
    return status;
}

tw_status tw_bm_projection_open(const char *path, const tw_model *model, size_t width,
                                tw_bm_projection *out, tw_error *err) {
    *out = (tw_bm_projection){.width = width, .dim = (size_t)model->arch.embed_dim};
    out->from_file = access(path, F_OK) == 0;
    if (out->from_file) return read_matrix(path, out, err);
    tw_tensor t = tw_tensor_transpose(&model->text.projection);
    return take_matrix(&t, out, err);
}

void tw_bm_projection_close(tw_bm_projection *p) {
    free(p->matrix);
    *p = (tw_bm_projection){0};
}

void tw_bm_project(const tw_bm_projection *p, const float *row, float *feature) {
    for (size_t e = 0; e < p->dim; e++) {
        double sum = 0;
        for (size_t w = 0; w < p->width; w++)
            sum += (double)row[w] * (double)p->matrix[w * p->dim + e];
        feature[e] = (float)sum;
    }
}
