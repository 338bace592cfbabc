/* x86/avx512.c with BF16_PAIRS, emulated as emulated_avx512.c does it. The product of pairs is made
 * of Intel's description of vdpbf16ps: the second of a pair first, each a fused multiply-add, what
 * is below the normal numbers taken as 0. Without VNNI, which SIMDe has here natively only. */
#include "emulated_avx512.h"

#ifdef HAVE_EMULATED_AVX512
#define EMULATE_BF16 1
#include "emulated_avx512.c"
#else
typedef int emulated_avx512bf16_is_empty;
#endif
