/* NEON with SDOT: bytes are multiplied four at a time. All else is NEON's, to the bit. */
#define TW_DOT 1
#define TABLE tw_kernels_neondot
#define TABLE_NAME "neondot"
#include "kernels/arm/neon.c"
