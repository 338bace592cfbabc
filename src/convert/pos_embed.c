/* Bicubic interpolation along each axis, y then x:
 *
 *                  coordinate of output i        cubic with   beyond the border
 *   chinese-clip   i (from - 1) / (to - 1)       a = -0.75    the border's own value
 *   hugging-face   (i + 0.5) from / to - 0.5     a = -0.75    the border's own value
 *   open-clip      (i + 0.5) from / to - 0.5     a = -0.5     left out, weights scaled to sum 1;
 *                                                             widened by from / to when reducing
 *
 * Source: Chinese-CLIP cn_clip/clip/model.py (resize_pos_embed: align_corners), open_clip model.py
 * (resize_pos_embed: antialias), transformers modeling_chinese_clip.py (interpolate_pos_encoding);
 * ATen UpSample.h and UpSampleKernel.cpp for what F.interpolate does. As there, coordinates are
 * rounded to f32, which matters more than all later roundings; the rest is f64. */
#include "convert/pos_embed.h"

#include "base/size.h"
#include "model/arch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tw_status tw_change_resolution(tw_arch *arch, int32_t resolution, tw_pos_embed how,
                               tw_provenance *provenance, tw_error *err) {
    tw_vision_config *v = &arch->vision;
    if (v->kind == TW_VISION_NONE)
        return tw_fail(err, TW_ERR_ARGUMENT, "resolution %d, and no image tower", resolution);
    if (v->image_size == resolution) return TW_OK;
    if (v->kind == TW_VISION_RESNET)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "resolution %d, the checkpoint is for %d: no original resizes the position "
                       "table of a ModifiedResNet's attention pool",
                       resolution, v->image_size);
    if (provenance->trained_size)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "the position table was already resized, from %d pixels to %d; start from "
                       "the checkpoint",
                       provenance->trained_size, v->image_size);
    if (resolution % v->patch_size)
        return tw_fail(err, TW_ERR_MISMATCH, "resolution %d is no multiple of the patch size %d",
                       resolution, v->patch_size);
    if (how == TW_POS_EMBED_NONE)
        return tw_fail(err, TW_ERR_AMBIGUOUS,
                       "resolution %d, the checkpoint is for %d: say how its position table is "
                       "resized, --pos-embed chinese-clip, open-clip or hugging-face",
                       resolution, v->image_size);
    provenance->trained_size = v->image_size;
    provenance->pos_embed = how;
    v->image_size = resolution;
    tw_arch_set_name(arch);
    return tw_arch_check(arch, err);
}

/* The cubic convolution kernel at distance x. */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Four neighbours; one outside lends its weight to the border. row: [n], zeroed. */
static void interpolate(float at, int32_t n, double *row) {
    float below = floorf(at), t = at - below;
    for (int k = -1; k <= 2; k++) {
        int32_t i = (int32_t)below + k;
        row[TW_MAX(0, TW_MIN(i, n - 1))] += cubic((double)t - k, -0.75);
    }
}

static void interpolate_antialiased(int32_t i, float scale, int32_t n, double *row) {
    float stretch = TW_MAX(scale, 1.0f), support = 2 * stretch, inverse = 1 / stretch;
    float centre = scale * ((float)i + 0.5f);
    int32_t begin = TW_MAX((int32_t)(centre - support + 0.5f), 0),
            end = TW_MIN((int32_t)(centre + support + 0.5f), n);
    double sum = 0;
    for (int32_t k = begin; k < end; k++) {
        row[k] = cubic((double)(((float)k - centre + 0.5f) * inverse), -0.5);
        sum += row[k];
    }
    for (int32_t k = begin; k < end; k++)
        row[k] /= sum;
}

/* Weights of the inputs along one axis for each output: m [to, from], zeroed. */
static void fill_weights(tw_pos_embed how, int32_t from, int32_t to, double *m) {
    float scale = (float)from / (float)to;
    float aligned = to > 1 ? (float)(from - 1) / (float)(to - 1) : 0;
    for (int32_t i = 0; i < to; i++, m += from) {
        if (how == TW_POS_EMBED_CHINESE_CLIP)
            interpolate(aligned * (float)i, from, m);
        else if (how == TW_POS_EMBED_HUGGING_FACE)
            interpolate((float)((double)scale * (i + 0.5) - 0.5), from, m);
        else
            interpolate_antialiased(i, scale, from, m);
    }
}

/* cell[w] = sum over y and x of rows[y] columns[x] grid[y, x, w] */
static void sum_cells(const float *grid, int32_t from, size_t width, const double *rows,
                      const double *columns, double *cell) {
    memset(cell, 0, width * sizeof *cell);
    for (int32_t y = 0; y < from; y++)
        for (int32_t x = 0; x < from; x++) {
            double weight = rows[y] * columns[x];
            const float *in = grid + ((size_t)y * (size_t)from + (size_t)x) * width;
            if (weight == 0) continue;
            for (size_t w = 0; w < width; w++)
                cell[w] += weight * (double)in[w];
        }
}

tw_status tw_pos_embed_resize(tw_tensor *table, int32_t from, int32_t to, tw_pos_embed how,
                              float **storage, tw_error *err) {
    size_t width = (size_t)table->shape[1], n = (size_t)to * (size_t)to + 1,
           n_in = (size_t)table->shape[0];
    float *in = malloc(n_in * width * sizeof *in), *out = malloc(n * width * sizeof *out);
    double *weights = calloc((size_t)from * (size_t)to, sizeof *weights);
    double *cell = malloc(width * sizeof *cell);
    tw_status status = TW_OK;
    if (!in || !out || !weights || !cell) {
        status = tw_fail_no_memory(err, n * width * sizeof *out);
        goto done;
    }
    tw_tensor_to_f32(table, in);
    fill_weights(how, from, to, weights);
    memcpy(out, in, width * sizeof *out);
    for (int32_t y = 0; y < to; y++)
        for (int32_t x = 0; x < to; x++) {
            float *row = out + (1 + (size_t)y * (size_t)to + (size_t)x) * width;
            sum_cells(in + width, from, width, weights + (size_t)y * (size_t)from,
                      weights + (size_t)x * (size_t)from, cell);
            for (size_t w = 0; w < width; w++)
                row[w] = (float)cell[w];
        }
    *table = (tw_tensor){table->name, TW_F32, 2,   {(int64_t)n, (int64_t)width}, {0}, out,
                         NULL,        NULL,   NULL};
    tw_tensor_set_c_order(table);
    *storage = out;
    out = NULL;
done:
    free(in);
    free(out);
    free(weights);
    free(cell);
    return status;
}
