/* The two passes of a resize over rows of pixels, one pair per pixel type. */
#ifndef IMAGE_PASSES_H
#define IMAGE_PASSES_H

#include "image/axis.h"
#include "image/mode.h"
#include "tuwen/image.h"

/* Rows that a pass reads or writes must have this many bytes of slack behind them: vector code
 * loads and stores whole registers. */
#define TW_PASS_SLACK 64

typedef struct tw_passes {
    /* dst [n_rows, axis->count] pixels from src [n_rows, axis->n_in]. */
    void (*horizontal)(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,
                       size_t src_stride, uint32_t n_rows, uint8_t *dst, size_t dst_stride);
    /* One row dst [n_values] of channel values: output i of the axis, from rows [axis->taps[i],
     * n_values] of which `src` is the one at axis->begin[i]. */
    void (*vertical)(const tw_axis *axis, uint32_t i, size_t pixel_bytes, const uint8_t *src,
                     size_t src_stride, size_t n_pixels, uint8_t *dst);
} tw_passes;

/* What a CPU can run: the portable code is the judge of the other (tests compare them). */
typedef enum tw_pass_isa { TW_PASS_PORTABLE, TW_PASS_AVX2 } tw_pass_isa;

/* The best this processor has; TUWEN_CPU=ref caps it. */
tw_pass_isa tw_pass_best_isa(void);

/* Passes that copy or pick pixels (axis->picks). */
tw_passes tw_passes_pick(void);

/* Passes that filter 8-bit channels. */
tw_passes tw_passes_u8(tw_pass_isa isa, size_t pixel_bytes);

/* Passes that filter TW_MODE_I, TW_MODE_F or TW_MODE_I16. The last one's overshoot depends on the version: up
 * to 12.2 only the high byte is clamped. */
tw_passes tw_passes_wide(tw_mode mode, tw_resampler resampler);

#if defined(__x86_64__)
void tw_horizontal_u8x4_avx2(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,
                             size_t src_stride, uint32_t n_rows, uint8_t *dst, size_t dst_stride);
void tw_horizontal_u8x1_avx2(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,
                             size_t src_stride, uint32_t n_rows, uint8_t *dst, size_t dst_stride);
void tw_vertical_u8_avx2(const tw_axis *axis, uint32_t i, size_t pixel_bytes, const uint8_t *src,
                         size_t src_stride, size_t n_pixels, uint8_t *dst);
#endif

#endif
