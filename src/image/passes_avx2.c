/* The 8-bit passes for AVX2, equal to the portable ones bit for bit.
 *
 * A weight k has up to 24 bits, too many for the 16-bit multiply-and-add-pairs instruction. So it
 * is split, k = high * 2^11 + low, each part is summed on its own, and the two sums are joined at
 * the end: all modulo 2^32, where the true sum fits. Two instructions for two taps of eight sums
 * beat one 32-bit multiplication each. */
#include "image/passes.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((target("avx2"), always_inline))

enum { ROWS = 4 }; /* rows that share a load of the weights */

AVX2_INLINE __m256i join(__m256i high, __m256i low) {
    return _mm256_add_epi32(_mm256_slli_epi32(high, TW_AXIS_K_SPLIT), low);
}

AVX2_INLINE __m128i round_shift(__m128i sum) {
    const __m128i half = _mm_set1_epi32(1 << (TW_AXIS_K_BITS - 1));
    return _mm_srai_epi32(_mm_add_epi32(sum, half), TW_AXIS_K_BITS);
}

static inline int64_t load_i64(const void *p) {
    int64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline int32_t load_i32(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* -------------------------------------------------------------------- horizontal, 4 channels */

/* Sums of one output pixel of n rows (a constant after inlining). Four taps a step: the low half of
 * a register has taps 0 and 1, the high half 2 and 3, as pairs per channel. */
AVX2_INLINE void sum_x4(const uint8_t *in, size_t stride, int n, uint32_t taps,
                        const int16_t *k_high, const int16_t *k_low, __m128i *sums) {
    const __m256i pairs =
        _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1, 8, -1, 12, -1, 9,
                         -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1);
    const __m256i spread = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6,
                                            7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    __m256i high[ROWS], low[ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < n; r++)
        high[r] = low[r] = _mm256_setzero_si256();
    for (uint32_t t = 0; t < taps; t += 4) {
        __m256i kh = _mm256_shuffle_epi8(_mm256_set1_epi64x(load_i64(k_high + t)), spread);
        __m256i kl = _mm256_shuffle_epi8(_mm256_set1_epi64x(load_i64(k_low + t)), spread);
#pragma GCC unroll 4
        for (int r = 0; r < n; r++) {
            const uint8_t *p = in + (size_t)r * stride + 4 * (size_t)t;
            __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
            v = _mm256_shuffle_epi8(v, pairs);
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(v, kh));
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(v, kl));
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < n; r++) {
        __m256i sum = join(high[r], low[r]);
        sums[r] = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    }
}

/* Four pixels from their sums. */
AVX2_INLINE __m128i pixels_of(const __m128i *sums) {
    __m128i a = _mm_packs_epi32(round_shift(sums[0]), round_shift(sums[1]));
    __m128i b = _mm_packs_epi32(round_shift(sums[2]), round_shift(sums[3]));
    return _mm_packus_epi16(a, b);
}

static inline void store_pixel(uint8_t *out, int32_t pixel) {
    memcpy(out, &pixel, sizeof pixel);
}

AVX2 void tw_horizontal_u8x4_avx2(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,
                                  size_t src_stride, uint32_t n_rows, uint8_t *dst,
                                  size_t dst_stride) {
    for (; n_rows >= ROWS; n_rows -= ROWS, src += ROWS * src_stride, dst += ROWS * dst_stride)
        for (uint32_t x = 0; x < axis->count; x++) {
            const size_t k = x * axis->k_stride;
            uint8_t *out = dst + 4 * (size_t)x;
            __m128i sums[ROWS];
            sum_x4(src + 4 * (size_t)axis->begin[x], src_stride, ROWS, axis->taps[x],
                   axis->k_high + k, axis->k_low + k, sums);
            __m128i pixels = pixels_of(sums);
            store_pixel(out, _mm_extract_epi32(pixels, 0));
            store_pixel(out + dst_stride, _mm_extract_epi32(pixels, 1));
            store_pixel(out + 2 * dst_stride, _mm_extract_epi32(pixels, 2));
            store_pixel(out + 3 * dst_stride, _mm_extract_epi32(pixels, 3));
        }
    for (; n_rows > 0; n_rows--, src += src_stride, dst += dst_stride)
        for (uint32_t x = 0; x < axis->count; x++) {
            const size_t k = x * axis->k_stride;
            __m128i sums[ROWS] = {0};
            sum_x4(src + 4 * (size_t)axis->begin[x], 0, 1, axis->taps[x], axis->k_high + k,
                   axis->k_low + k, sums);
            store_pixel(dst + 4 * (size_t)x, _mm_cvtsi128_si32(pixels_of(sums)));
        }
}

/* --------------------------------------------------------------------- horizontal, 1 channel */

AVX2_INLINE uint8_t pixel_x1(const uint8_t *in, uint32_t taps, const int16_t *k_high,
                             const int16_t *k_low) {
    __m256i high = _mm256_setzero_si256(), low = high;
    for (uint32_t t = 0; t < taps; t += 16) {
        __m256i v = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(in + t)));
        __m256i kh = _mm256_loadu_si256((const __m256i *)(k_high + t));
        __m256i kl = _mm256_loadu_si256((const __m256i *)(k_low + t));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(v, kh));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(v, kl));
    }
    __m256i sum = join(high, low);
    __m128i v = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4E));
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0xB1));
    v = round_shift(v);
    v = _mm_packs_epi32(v, v);
    return (uint8_t)_mm_cvtsi128_si32(_mm_packus_epi16(v, v));
}

AVX2 void tw_horizontal_u8x1_avx2(const tw_axis *axis, size_t pixel_bytes, const uint8_t *src,
                                  size_t src_stride, uint32_t n_rows, uint8_t *dst,
                                  size_t dst_stride) {
    for (uint32_t y = 0; y < n_rows; y++, src += src_stride, dst += dst_stride)
        for (uint32_t x = 0; x < axis->count; x++)
            dst[x] = pixel_x1(src + axis->begin[x], axis->taps[x],
                              axis->k_high + x * axis->k_stride, axis->k_low + x * axis->k_stride);
}

/* --------------------------------------------------------------------------------- vertical */

typedef struct sums {
    __m256i high[4], low[4]; /* of 32 columns, in the order unpacking leaves them */
} sums;

AVX2_INLINE void add_pair(sums *s, __m256i a, __m256i b, int32_t k_high, int32_t k_low) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i kh = _mm256_set1_epi32(k_high), kl = _mm256_set1_epi32(k_low);
    __m256i lo = _mm256_unpacklo_epi8(a, b), hi = _mm256_unpackhi_epi8(a, b);
    __m256i v[4] = {_mm256_unpacklo_epi8(lo, zero), _mm256_unpackhi_epi8(lo, zero),
                    _mm256_unpacklo_epi8(hi, zero), _mm256_unpackhi_epi8(hi, zero)};
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        s->high[j] = _mm256_add_epi32(s->high[j], _mm256_madd_epi16(v[j], kh));
        s->low[j] = _mm256_add_epi32(s->low[j], _mm256_madd_epi16(v[j], kl));
    }
}

AVX2_INLINE __m256i finish(const sums *s) {
    const __m256i half = _mm256_set1_epi32(1 << (TW_AXIS_K_BITS - 1));
    __m256i v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        v[j] =
            _mm256_srai_epi32(_mm256_add_epi32(join(s->high[j], s->low[j]), half), TW_AXIS_K_BITS);
    return _mm256_packus_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
}

AVX2 void tw_vertical_u8_avx2(const tw_axis *axis, uint32_t i, size_t pixel_bytes,
                              const uint8_t *src, size_t src_stride, size_t n_pixels,
                              uint8_t *dst) {
    const int16_t *k_high = axis->k_high + i * axis->k_stride;
    const int16_t *k_low = axis->k_low + i * axis->k_stride;
    size_t n = n_pixels * pixel_bytes, taps = axis->taps[i];
    for (size_t x = 0; x < n; x += 32) {
        sums s;
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            s.high[j] = s.low[j] = _mm256_setzero_si256();
        const uint8_t *p = src + x;
        size_t t = 0;
        for (; t + 1 < taps; t += 2, p += 2 * src_stride)
            add_pair(&s, _mm256_loadu_si256((const __m256i *)p),
                     _mm256_loadu_si256((const __m256i *)(p + src_stride)), load_i32(k_high + t),
                     load_i32(k_low + t));
        if (t < taps) /* the odd one: its partner weighs nothing */
            add_pair(&s, _mm256_loadu_si256((const __m256i *)p), _mm256_setzero_si256(),
                     load_i32(k_high + t), load_i32(k_low + t));
        _mm256_storeu_si256((__m256i *)(dst + x), finish(&s));
    }
}

#else
typedef int tw_no_avx2; /* a translation unit may not be empty */
#endif
