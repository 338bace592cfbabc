/* x86/avx512.c once more, its intrinsics emulated by SIMDe, so that the 16-lane kernels and the
 * meaning of their vector layer are tested on machines without AVX-512. Test only, and only where
 * SIMDe is installed. */
#include "emulated_avx512.h"

#ifdef HAVE_EMULATED_AVX512
#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

/* What this SIMDe lacks, from Intel's description of the instructions: lanes whose mask bit is
 * clear are neither read nor written. */
static inline __m512 emulated_maskz_loadu_ps(unsigned mask, const void *from) {
    float lanes[16] = {0};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) lanes[i] = ((const float *)from)[i];
    return _mm512_loadu_ps(lanes);
}
static inline void emulated_mask_storeu_ps(void *to, unsigned mask, __m512 a) {
    float lanes[16];
    _mm512_storeu_ps(lanes, a);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) ((float *)to)[i] = lanes[i];
}

/* Lane by lane; floats are rounded to the nearest integer, ties to even. */
static inline __m512i emulated_cvtps_epi32(__m512 a) {
    float from[16];
    int32_t to[16];
    _mm512_storeu_ps(from, a);
    for (int i = 0; i < 16; i++)
        to[i] = (int32_t)rintf(from[i]);
    return _mm512_loadu_si512(to);
}
static inline __m512 emulated_cvtepi32_ps(__m512i a) {
    int32_t from[16];
    float to[16];
    _mm512_storeu_si512(from, a);
    for (int i = 0; i < 16; i++)
        to[i] = (float)from[i];
    return _mm512_loadu_ps(to);
}
static inline __m256i emulated_cvtepi32_epi16(__m512i a) {
    int32_t from[16];
    int16_t to[16];
    _mm512_storeu_si512(from, a);
    for (int i = 0; i < 16; i++)
        to[i] = (int16_t)from[i];
    return _mm256_loadu_si256((const void *)to);
}
static inline __m512i emulated_madd_epi16(__m512i a, __m512i b) {
    int16_t x[32], y[32];
    int32_t to[16];
    _mm512_storeu_si512(x, a);
    _mm512_storeu_si512(y, b);
    for (int i = 0; i < 16; i++)
        to[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    return _mm512_loadu_si512(to);
}
#undef _mm512_cvtps_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtepi32_epi16
#undef _mm512_madd_epi16
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_madd_epi16 emulated_madd_epi16
#ifndef __mmask16
#define __mmask16 simde__mmask16
#endif
#ifndef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, from) emulated_maskz_loadu_ps(mask, from)
#endif
#ifndef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(to, mask, a) emulated_mask_storeu_ps(to, mask, a)
#endif

#define TW_EMULATED 1
#ifdef EMULATE_BF16
static inline float flushed(float x) {
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}
static inline float emulated_half(uint32_t pair, int second) {
    uint32_t bits = second ? pair & 0xFFFF0000u : pair << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return flushed(x);
}
static inline __m512 emulated_dpbf16_ps(__m512 s, __m512i a, __m512i b) {
    float sum[16];
    uint32_t x[16], y[16];
    _mm512_storeu_ps(sum, s);
    _mm512_storeu_si512(x, a);
    _mm512_storeu_si512(y, b);
    for (int i = 0; i < 16; i++)
        for (int second = 1; second >= 0; second--)
            sum[i] = flushed(
                fmaf(emulated_half(x[i], second), emulated_half(y[i], second), flushed(sum[i])));
    return _mm512_loadu_ps(sum);
}
/* The first of the two fills the upper half. */
static inline __m512i emulated_cvtne2ps_pbh(__m512 upper, __m512 lower) {
    float from[32];
    uint16_t to[32];
    _mm512_storeu_ps(from, lower);
    _mm512_storeu_ps(from + 16, upper);
    for (int i = 0; i < 32; i++)
        to[i] = tw_f32_to_bf16(flushed(from[i]));
    return _mm512_loadu_si512(to);
}
static inline __m512i emulated_permutexvar_epi16(__m512i order, __m512i a) {
    uint16_t at[32], from[32], to[32];
    _mm512_storeu_si512(at, order);
    _mm512_storeu_si512(from, a);
    for (int i = 0; i < 32; i++)
        to[i] = from[at[i] & 31];
    return _mm512_loadu_si512(to);
}
#undef __m512bh
#undef _mm512_dpbf16_ps
#undef _mm512_cvtne2ps_pbh
#undef _mm512_permutexvar_epi16
#define _mm512_cvtne2ps_pbh emulated_cvtne2ps_pbh
#define _mm512_permutexvar_epi16 emulated_permutexvar_epi16
#define __m512bh __m512i
#define _mm512_dpbf16_ps emulated_dpbf16_ps
#define BF16_PAIRS 1
#define TABLE tw_kernels_avx512bf16_emulated
#define TABLE_NAME "avx512bf16-emulated"
#else
#define TABLE tw_kernels_avx512_emulated
#define TABLE_NAME "avx512-emulated"
#endif
#include "kernels/x86/avx512.c"
#else
typedef int emulated_avx512_is_empty;
#endif
