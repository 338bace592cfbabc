/* AVX2 with AVX-VNNI: bytes are multiplied four at a time. All else is AVX2's, to the bit. */
#define TW_VNNI 1
#define TABLE tw_kernels_avxvnni
#define TABLE_NAME "avxvnni"
#include "kernels/x86/avx2.c"
