/* AVX-512 with VNNI: bytes are multiplied four at a time. All else is AVX-512's, to the bit. */
#define TW_VNNI 1
#define TABLE tw_kernels_avx512vnni
#define TABLE_NAME "avx512vnni"
#include "kernels/x86/avx512.c"
