/* AVX2 + FMA: 8 lanes, 16 registers. avxvnni.c compiles it once more with TW_VNNI. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m256 vf;
typedef __m256i vi;
enum { VL = 8, NV = 2, MR = 6 }; /* 12 accumulators, 2 of B, 1 of A */
#ifdef TW_VNNI
enum { GROUP = 4, A_BYTES = 1, A_OFFSET = 0 };
#else
enum { GROUP = 2, A_BYTES = 2, A_OFFSET = 0 };
#define TABLE tw_kernels_avx2
#define TABLE_NAME "avx2"
#endif

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

static inline vi i_zero(void) { return _mm256_setzero_si256(); }
static inline vi i_set1(int32_t x) { return _mm256_set1_epi32(x); }
static inline vi i_load(const void *p) { return _mm256_loadu_si256(p); }
static inline vi i_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi i_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi i_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
static inline vi i_min(vi a, vi b) { return _mm256_min_epi32(a, b); }
static inline vi i_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
static inline vi i_from(vf a) { return _mm256_cvtps_epi32(a); }
static inline vf v_from(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vi i_four(const void *p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
}
static inline __m128i i_halves(vi a) {
    return _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
#ifdef TW_VNNI
static inline vi i_weights(const void *p) { return _mm256_loadu_si256(p); }
static inline vi i_dot(vi s, vi a, vi b) { return _mm256_dpbusd_avx_epi32(s, a, b); }
static inline void i_store_bytes(void *p, vi a) {
    _mm_storel_epi64(p, _mm_packus_epi16(i_halves(a), i_halves(a)));
}
#else
/* vpmaddubsw would saturate: 255 * 127 twice is beyond 16 bits. So activations are kept in 16 bits
 * and weights widened to 16 when loaded. */
static inline vi i_weights(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128(p)); }
/* GCC 12 would move the sum to another register and back. */
static inline vi i_dot(vi s, vi a, vi b) {
    vi products = _mm256_madd_epi16(a, b);
    __asm__("vpaddd %1, %0, %0" : "+x"(s) : "x"(products));
    return s;
}
static inline void i_store_bytes(void *p, vi a) { _mm_storeu_si128(p, i_halves(a)); }
#endif
static inline vf i_first(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(p), 16));
}
static inline vf i_second(const void *p) {
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(p), _mm256_set1_epi32(-65536)));
}
/* clang-format on */

#include "kernels/simd/kernels.inc.h"
