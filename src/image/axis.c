/* Source: Pillow src/libImaging/Resample.c (precompute_coeffs, normalize_coeffs_8bpc),
 * src/libImaging/Geometry.c (ImagingScaleAffine). */
#include "image/axis.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"

static double bilinear(double x) {
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' kernel with a = -1/2. */
static double bicubic(double x) {
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* Pillow adds the step for every output pixel from 0 on instead of multiplying: the rounding
 * errors of the sum are part of the result. */
static void pick_nearest(tw_axis *axis) {
    double step = (double)axis->n_in / axis->n_out;
    double at = step * 0.5;
    for (uint32_t i = 0; i < axis->first; i++)
        at += step;
    for (uint32_t i = 0; i < axis->count; i++, at += step) {
        uint32_t index = (uint32_t)at;
        bool inside = index < axis->n_in;
        axis->begin[i] = inside ? index : axis->n_in - 1;
        axis->taps[i] = inside ? 1 : 0;
    }
}

typedef struct kernel {
    double (*weight)(double x);
    double scale;   /* input pixels per output pixel */
    double stretch; /* of the kernel: at least 1, so that a reduction averages */
    double support; /* half the window, in input pixels */
} kernel;

static kernel kernel_of(tw_filter filter, uint32_t n_in, uint32_t n_out) {
    kernel f;
    f.weight = filter == TW_FILTER_BICUBIC ? bicubic : bilinear;
    f.scale = (double)n_in / n_out;
    f.stretch = f.scale < 1.0 ? 1.0 : f.scale;
    f.support = (filter == TW_FILTER_BICUBIC ? 2.0 : 1.0) * f.stretch;
    return f;
}

static void find_windows(tw_axis *axis, const kernel *f) {
    for (uint32_t i = 0; i < axis->count; i++) {
        double center = (axis->first + i + 0.5) * f->scale;
        double begin = center - f->support + 0.5, end = center + f->support + 0.5;
        uint32_t b = begin < 0 ? 0 : (uint32_t)begin;
        uint32_t e = end > axis->n_in ? axis->n_in : (uint32_t)end;
        axis->begin[i] = b;
        axis->taps[i] = e - b;
        axis->max_taps = TW_MAX(axis->max_taps, e - b);
    }
}

/* Weights of output i into w, normalised. */
static void weigh(const tw_axis *axis, const kernel *f, uint32_t i, double *w) {
    double center = (axis->first + i + 0.5) * f->scale, inverse = 1.0 / f->stretch, sum = 0.0;
    int64_t begin = axis->begin[i];
    for (uint32_t t = 0; t < axis->taps[i]; t++) {
        w[t] = f->weight(((double)(t + begin) - center + 0.5) * inverse);
        sum += w[t];
    }
    for (uint32_t t = 0; t < axis->taps[i]; t++)
        if (sum != 0.0) w[t] /= sum;
}

static void to_fixed_point(tw_axis *axis, uint32_t i, const double *w) {
    const double one = 1 << TW_AXIS_K_BITS;
    for (uint32_t t = 0; t < axis->taps[i]; t++) {
        size_t at = i * axis->k_stride + t;
        int32_t k = (int32_t)(w[t] < 0 ? w[t] * one - 0.5 : w[t] * one + 0.5);
        axis->k[at] = k;
        axis->k_high[at] = (int16_t)(k >> TW_AXIS_K_SPLIT);
        axis->k_low[at] = (int16_t)(k & ((1 << TW_AXIS_K_SPLIT) - 1));
    }
}

static tw_status build_weights(tw_axis *axis, const kernel *f, bool wide, tw_error *err) {
    axis->k_stride =
        ((size_t)axis->max_taps + TW_AXIS_K_GROUP - 1) & ~(size_t)(TW_AXIS_K_GROUP - 1);
    size_t n;
    if (!tw_mul_size(axis->count, axis->k_stride, &n)) return tw_fail_no_memory(err, SIZE_MAX);
    if (wide) {
        axis->k_double = calloc(n, sizeof *axis->k_double);
        if (!axis->k_double) return tw_fail_no_memory(err, n);
        for (uint32_t i = 0; i < axis->count; i++)
            weigh(axis, f, i, axis->k_double + i * axis->k_stride);
        return TW_OK;
    }
    double *w = malloc((axis->max_taps + 1) * sizeof *w);
    axis->k = calloc(n, sizeof *axis->k);
    axis->k_high = calloc(n, sizeof *axis->k_high);
    axis->k_low = calloc(n, sizeof *axis->k_low);
    bool ok = w && axis->k && axis->k_high && axis->k_low;
    for (uint32_t i = 0; ok && i < axis->count; i++) {
        weigh(axis, f, i, w);
        to_fixed_point(axis, i, w);
    }
    free(w);
    return ok ? TW_OK : tw_fail_no_memory(err, n);
}

tw_status tw_axis_build(tw_filter filter, uint32_t n_in, uint32_t n_out, uint32_t first,
                        uint32_t count, bool wide, tw_axis *out, tw_error *err) {
    tw_status status = TW_OK;
    tw_axis axis = {.n_in = n_in, .n_out = n_out, .first = first, .count = count};
    axis.picks = filter == TW_FILTER_COPY || filter == TW_FILTER_NEAREST;
    axis.max_taps = axis.picks;
    axis.begin = calloc(count, sizeof *axis.begin);
    axis.taps = calloc(count, sizeof *axis.taps);
    if (!axis.begin || !axis.taps) {
        status = tw_fail_no_memory(err, count * sizeof *axis.begin);
    } else if (filter == TW_FILTER_COPY) {
        for (uint32_t i = 0; i < count; i++) {
            axis.begin[i] = first + i;
            axis.taps[i] = 1;
        }
    } else if (filter == TW_FILTER_NEAREST) {
        pick_nearest(&axis);
    } else {
        kernel f = kernel_of(filter, n_in, n_out);
        find_windows(&axis, &f);
        status = build_weights(&axis, &f, wide, err);
    }
    if (status != TW_OK) tw_axis_free(&axis);
    *out = axis;
    return status;
}

void tw_axis_free(tw_axis *axis) {
    free(axis->begin);
    free(axis->taps);
    free(axis->k);
    free(axis->k_high);
    free(axis->k_low);
    free(axis->k_double);
    *axis = (tw_axis){0};
}
