/* AVX-512 F, BW, VL, DQ: 16 lanes, 32 registers. The tests compile this file a second time with
 * the intrinsics emulated; that build defines TW_EMULATED and brings its own. */
#ifndef TW_EMULATED
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>

typedef __m512 vf;
enum { VL = 16, NV = 2, MR = 14 }; /* 28 accumulators, 2 of B, 1 of A */
#ifndef TW_EMULATED
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
/* clang-format on */

#include "kernels/simd/kernels.inc.h"
