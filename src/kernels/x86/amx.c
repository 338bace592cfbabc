/* AMX: products of int8 and bf16 by tiles (x86/tiles.inc.h). All else is AVX-512's with VNNI and
 * BF16, which every processor with tiles has, to the bit; so are the sums of int8. */
#define TW_VNNI 1
#define BF16_PAIRS 1
#define TILES "kernels/x86/tiles.inc.h"
#define TABLE tw_kernels_amx
#define TABLE_NAME "amx"
#include "kernels/x86/avx512.c"
