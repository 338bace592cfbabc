/* AVX2 + FMA: 8 lanes, 16 registers. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m256 vf;
enum { VL = 8, NV = 2, MR = 6 }; /* 12 accumulators, 2 of B, 1 of A */
#define TABLE tw_kernels_avx2
#define TABLE_NAME "avx2"

/* clang-format off */
static inline vf v_zero(void) { return _mm256_setzero_ps(); }
static inline vf v_set1(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vf v_exponent(vf a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23));
}

static inline __m256i first_lanes(size_t n) {
    static const int32_t window[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(window + VL - n));
}
static inline vf v_load_n(const float *p, size_t n) {
    return _mm256_maskload_ps(p, first_lanes(n));
}
static inline void v_store_n(float *p, vf a, size_t n) {
    _mm256_maskstore_ps(p, first_lanes(n), a);
}
static inline vf v_first_n(vf a, size_t n) {
    return _mm256_and_ps(a, _mm256_castsi256_ps(first_lanes(n)));
}

static inline float v_sum(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_top(vf a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
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
