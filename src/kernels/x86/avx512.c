/* AVX-512 F, BW, VL, DQ: 16 lanes, 32 registers. avx512vnni.c compiles it once more with TW_VNNI,
 * avx512bf16.c with BF16_PAIRS too. The tests compile this file again with the intrinsics emulated;
 * those builds define TW_EMULATED and bring their own. */
#ifndef TW_EMULATED
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>

typedef __m512 vf;
typedef __m512i vi;
enum { VL = 16, NV = 2, MR = 14 }; /* 28 accumulators, 2 of B, 1 of A */
#ifdef TW_VNNI
enum { GROUP = 4, A_BYTES = 1, A_OFFSET = 0 };
#else
enum { GROUP = 2, A_BYTES = 2, A_OFFSET = 0 };
#endif
#ifndef TABLE
#define TABLE tw_kernels_avx512
#define TABLE_NAME "avx512"
#endif

/* clang-format off */
static inline vf v_zero(void) { return _mm512_setzero_ps(); }
static inline vf v_set1(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_abs(vf a) { return _mm512_abs_ps(a); }
static inline vf v_exponent(vf a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23));
}

static inline __mmask16 first_lanes(size_t n) { return (__mmask16)((1u << n) - 1u); }
static inline vf v_load_n(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
static inline void v_store_n(float *p, vf a, size_t n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), a);
}
static inline vf v_first_n(vf a, size_t n) { return _mm512_maskz_mov_ps(first_lanes(n), a); }

static inline float v_sum(vf a) {
    __m128 s = _mm_add_ps(_mm_add_ps(_mm512_extractf32x4_ps(a, 0), _mm512_extractf32x4_ps(a, 2)),
                          _mm_add_ps(_mm512_extractf32x4_ps(a, 1), _mm512_extractf32x4_ps(a, 3)));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_top(vf a) {
    __m128 s = _mm_max_ps(_mm_max_ps(_mm512_extractf32x4_ps(a, 0), _mm512_extractf32x4_ps(a, 2)),
                          _mm_max_ps(_mm512_extractf32x4_ps(a, 1), _mm512_extractf32x4_ps(a, 3)));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline void transpose4(const float *from, size_t ld_from, float *to, size_t ld_to) {
    __m128 r0 = _mm_loadu_ps(from), r1 = _mm_loadu_ps(from + ld_from);
    __m128 r2 = _mm_loadu_ps(from + 2 * ld_from), r3 = _mm_loadu_ps(from + 3 * ld_from);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(to, r0);
    _mm_storeu_ps(to + ld_to, r1);
    _mm_storeu_ps(to + 2 * ld_to, r2);
    _mm_storeu_ps(to + 3 * ld_to, r3);
}

static inline vi i_zero(void) { return _mm512_setzero_si512(); }
static inline vi i_set1(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi i_load(const void *p) { return _mm512_loadu_si512(p); }
static inline vi i_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi i_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi i_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
static inline vi i_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
static inline vi i_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
static inline vi i_from(vf a) { return _mm512_cvtps_epi32(a); }
static inline vf v_from(vi a) { return _mm512_cvtepi32_ps(a); }
static inline vi i_four(const void *p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
}
#ifdef TW_VNNI
static inline vi i_weights(const void *p) { return _mm512_loadu_si512(p); }
static inline vi i_dot(vi s, vi a, vi b) { return _mm512_dpbusd_epi32(s, a, b); }
static inline void i_store_bytes(void *p, vi a) { _mm_storeu_si128(p, _mm512_cvtepi32_epi8(a)); }
#else
/* As in avx2.c: 16-bit products, for vpmaddubsw would saturate. */
static inline vi i_weights(const void *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256(p)); }
static inline vi i_dot(vi s, vi a, vi b) { return _mm512_add_epi32(s, _mm512_madd_epi16(a, b)); }
static inline void i_store_bytes(void *p, vi a) { _mm256_storeu_si256(p, _mm512_cvtepi32_epi16(a)); }
#endif
#ifdef BF16_PAIRS
typedef __m512bh vb;
static inline vb b_load(const void *p) { return (vb)_mm512_loadu_si512(p); }
static inline vb b_pair(const void *p) { return (vb)i_four(p); }
static inline vf b_dot(vf s, vb a, vb b) { return _mm512_dpbf16_ps(s, a, b); }
static inline void b_store(void *p, vb a) { _mm512_storeu_si512(p, (vi)a); }
static inline vb b_round(vf x, vf y) { return _mm512_cvtne2ps_pbh(y, x); }
static inline vb b_zip(vf x, vf y) {
    const vi order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                      23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vb)_mm512_permutexvar_epi16(order, (vi)b_round(x, y));
}
#else
static inline vf i_first(const void *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
static inline vf i_second(const void *p) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-65536)));
}
#endif
/* clang-format on */

#include "kernels/simd/kernels.inc.h"
