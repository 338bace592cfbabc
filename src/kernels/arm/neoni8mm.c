/* NEON with USMMLA: bytes are multiplied eight at a time, two rows by two columns. All else is
 * NEON's, to the bit. */
#define TW_I8MM 1
#define TABLE tw_kernels_neoni8mm
#define TABLE_NAME "neoni8mm"
#include "kernels/arm/neon.c"
