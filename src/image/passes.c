/* Portable passes.
 *
 * 8 bits: out = clip((2^21 + sum of pixel * k) >> 22), k = round(weight * 2^22), in 32-bit
 * integers: exact, so any order of summation gives the same. The sum of |k| stays below
 * 1.3 * 2^22 (the window of a bicubic kernel at a border), so 255 times it fits.
 * 16 and 32 bits, floats: doubles, summed from the first tap to the last as Pillow does.
 *
 * Source: Pillow src/libImaging/Resample.c. */
#include "image/passes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- selection */

tw_pass_isa tw_pass_best_isa(void) {
#if defined(__x86_64__)
    const char *cap = getenv("TUWEN_CPU");
    if (!(cap && strcmp(cap, "ref") == 0) && __builtin_cpu_supports("avx2")) return TW_PASS_AVX2;
#endif
    return TW_PASS_PORTABLE;
}

/* ----------------------------------------------------------------------------------- picking */

static void horizontal_pick(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,
                            size_t src_stride, uint32_t n_rows, uint8_t *dst, size_t dst_stride) {
    for (uint32_t y = 0; y < n_rows; y++, src += src_stride, dst += dst_stride)
        for (uint32_t x = 0; x < axis->count; x++) {
            uint8_t *out = dst + x * pixel_bytes;
            if (axis->taps[x])
                memcpy(out, src + axis->begin[x] * pixel_bytes, pixel_bytes);
            else
                memset(out, 0, pixel_bytes);
        }
}

static void vertical_pick(const tw_axis *axis, uint32_t i, size_t pixel_bytes, const uint8_t *src,
                          size_t src_stride, size_t n_pixels, uint8_t *dst) {
    if (axis->taps[i])
        memcpy(dst, src, n_pixels * pixel_bytes);
    else
        memset(dst, 0, n_pixels * pixel_bytes);
}

tw_passes tw_passes_pick(void) {
    return (tw_passes){horizontal_pick, vertical_pick};
}

/* ------------------------------------------------------------------------------------ 8 bits */

static inline uint8_t clip_u8(int32_t sum) {
    int32_t v = sum >> TW_AXIS_K_BITS;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static inline void horizontal_u8(const tw_axis *axis, size_t n_channels, const uint8_t *src,
                                 size_t src_stride, uint32_t n_rows, uint8_t *dst,
                                 size_t dst_stride) {
    for (uint32_t y = 0; y < n_rows; y++, src += src_stride, dst += dst_stride)
        for (uint32_t x = 0; x < axis->count; x++) {
            const int32_t *k = axis->k + x * axis->k_stride;
            const uint8_t *in = src + axis->begin[x] * n_channels;
            int32_t sum[4];
            for (size_t c = 0; c < n_channels; c++)
                sum[c] = 1 << (TW_AXIS_K_BITS - 1);
            for (uint32_t t = 0; t < axis->taps[x]; t++)
                for (size_t c = 0; c < n_channels; c++)
                    sum[c] += in[t * n_channels + c] * k[t];
            for (size_t c = 0; c < n_channels; c++)
                dst[x * n_channels + c] = clip_u8(sum[c]);
        }
}

/* The number of channels as a constant, so that the inner loops unroll. */
#define HORIZONTAL_U8(n)                                                                           \
    static void horizontal_u8x##n(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,     \
                                  size_t src_stride, uint32_t n_rows, uint8_t *dst,                \
                                  size_t dst_stride) {                                             \
        horizontal_u8(axis, n, src, src_stride, n_rows, dst, dst_stride);                          \
    }
HORIZONTAL_U8(1)
HORIZONTAL_U8(2)
HORIZONTAL_U8(4)

static void vertical_u8(const tw_axis *axis, uint32_t i, size_t pixel_bytes, const uint8_t *src,
                        size_t src_stride, size_t n_pixels, uint8_t *dst) {
    enum { BLOCK = 64 };
    const int32_t *k = axis->k + i * axis->k_stride;
    size_t n = n_pixels * pixel_bytes;
    for (size_t begin = 0; begin < n; begin += BLOCK) {
        size_t width = n - begin < BLOCK ? n - begin : BLOCK;
        int32_t sum[BLOCK];
        for (size_t x = 0; x < width; x++)
            sum[x] = 1 << (TW_AXIS_K_BITS - 1);
        for (uint32_t t = 0; t < axis->taps[i]; t++) {
            const uint8_t *in = src + t * src_stride + begin;
            for (size_t x = 0; x < width; x++)
                sum[x] += in[x] * k[t];
        }
        for (size_t x = 0; x < width; x++)
            dst[begin + x] = clip_u8(sum[x]);
    }
}

tw_passes tw_passes_u8(tw_pass_isa isa, size_t pixel_bytes) {
    tw_passes p = {horizontal_u8x4, vertical_u8};
    if (pixel_bytes == 1) p.horizontal = horizontal_u8x1;
    if (pixel_bytes == 2) p.horizontal = horizontal_u8x2;
#if defined(__x86_64__)
    if (isa == TW_PASS_AVX2) {
        if (pixel_bytes == 1) p.horizontal = tw_horizontal_u8x1_avx2;
        if (pixel_bytes == 4) p.horizontal = tw_horizontal_u8x4_avx2;
        p.vertical = tw_vertical_u8_avx2;
    }
#endif
    return p;
}

/* ----------------------------------------------------------------------------- wide pixels */

/* To the nearest integer, halves away from zero. What 32 bits do not hold becomes the least of
 * them, as the conversion of x86 has it, which Pillow's result is. */
static inline int32_t round_away(double v) {
    double rounded = v >= 0.0 ? floor(v + 0.5) : -floor(fabs(v) + 0.5);
    return rounded >= -2147483648.0 && rounded < 2147483648.0 ? (int32_t)rounded : INT32_MIN;
}

static inline uint16_t clip_u16(double sum) {
    int32_t v = round_away(sum);
    return v < 0 ? 0 : v > 65535 ? 65535 : (uint16_t)v;
}

/* Pillow up to 12.2 clamps the two bytes apart: above 65535 the low byte runs on. */
static inline uint16_t clip_bytes(double sum) {
    int32_t v = round_away(sum);
    if (v < 0) return 0;
    return v > 65535 ? (uint16_t)(0xFF00 | (v & 0xFF)) : (uint16_t)v;
}

/* Both passes for one pixel type; a pixel has one channel. */
#define WIDE_PASSES(name, type, to_pixel)                                                          \
    static void horizontal_##name(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,     \
                                  size_t src_stride, uint32_t n_rows, uint8_t *dst,                \
                                  size_t dst_stride) {                                             \
        for (uint32_t y = 0; y < n_rows; y++, src += src_stride, dst += dst_stride)                \
            for (uint32_t x = 0; x < axis->count; x++) {                                           \
                const double *k = axis->k_double + x * axis->k_stride;                             \
                const type *in = (const type *)(const void *)src + axis->begin[x];                 \
                double sum = 0.0;                                                                  \
                for (uint32_t t = 0; t < axis->taps[x]; t++)                                       \
                    sum += in[t] * k[t];                                                           \
                ((type *)(void *)dst)[x] = to_pixel(sum);                                          \
            }                                                                                      \
    }                                                                                              \
    static void vertical_##name(const tw_axis *axis, uint32_t i, size_t pixel_bytes,               \
                                const uint8_t *src, size_t src_stride, size_t n_pixels,            \
                                uint8_t *dst) {                                                    \
        const double *k = axis->k_double + i * axis->k_stride;                                     \
        for (size_t x = 0; x < n_pixels; x++) {                                                    \
            double sum = 0.0;                                                                      \
            for (uint32_t t = 0; t < axis->taps[i]; t++)                                           \
                sum += ((const type *)(const void *)(src + t * src_stride))[x] * k[t];             \
            ((type *)(void *)dst)[x] = to_pixel(sum);                                              \
        }                                                                                          \
    }

WIDE_PASSES(i32, int32_t, round_away)
WIDE_PASSES(f32, float, (float))
WIDE_PASSES(u16, uint16_t, clip_u16)
WIDE_PASSES(u16_bytes, uint16_t, clip_bytes)

tw_passes tw_passes_wide(tw_mode mode, tw_resampler resampler) {
    if (mode == TW_MODE_I) return (tw_passes){horizontal_i32, vertical_i32};
    if (mode == TW_MODE_F) return (tw_passes){horizontal_f32, vertical_f32};
    if (resampler >= TW_RESAMPLER_13) return (tw_passes){horizontal_u16, vertical_u16};
    return (tw_passes){horizontal_u16_bytes, vertical_u16_bytes};
}
