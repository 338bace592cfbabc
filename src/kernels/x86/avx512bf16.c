/* AVX-512 with VNNI and BF16: pairs of bf16 are multiplied at once. All else is avx512vnni's, to
 * the bit. */
#define TW_VNNI 1
#define BF16_PAIRS 1
#define TABLE tw_kernels_avx512bf16
#define TABLE_NAME "avx512bf16"
#include "kernels/x86/avx512.c"
