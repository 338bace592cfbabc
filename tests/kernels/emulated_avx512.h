/* The tables of emulated_avx512.c and emulated_avx512bf16.c, where they can be built. */
#ifndef TESTS_EMULATED_AVX512_H
#define TESTS_EMULATED_AVX512_H

#include "kernels/kernels.h"

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<simde/x86/avx512.h>)
#define HAVE_EMULATED_AVX512 1
extern const tw_kernels tw_kernels_avx512_emulated;
extern const tw_kernels tw_kernels_avx512bf16_emulated;
#endif
#endif

#endif
