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
#define TABLE tw_kernels_avx512_emulated
#define TABLE_NAME "avx512-emulated"
#include "kernels/x86/avx512.c"
#else
typedef int emulated_avx512_is_empty;
#endif
