/* The vector kernels, written once and compiled once per instruction set. The including file
 * (x86/avx2.c, x86/avx512.c, arm/neon.c) provides the vector layer:
 *
 *   vf                    a vector of VL floats
 *   VL, NV, MR            lanes; vectors in a row of a panel (nr = NV * VL); rows of a micro-tile
 *   TABLE, TABLE_NAME     what the table is called
 *   v_zero v_set1 v_load v_store (any alignment) v_add v_sub v_mul v_div v_abs
 *   v_fma(a, b, c)        a * b + c, rounded once; v_fnma(a, b, c) is c - a * b
 *   v_max(a, b) v_min     b when either is NaN, or NaN: data goes second, so that NaN survives
 *   v_exponent(a)         the bits of a shifted left by 23
 *   v_load_n v_store_n    the first n lanes of memory, the rest zero or untouched; 0 <= n <= VL
 *   v_first_n(a, n)       a with lanes n.. set to zero
 *   v_sum(a) v_top(a)     sum of the lanes in one fixed order; the largest
 *   transpose4(from, ld_from, to, ld_to)   a 4 x 4 block
 *
 *   vi                    a vector of VL int32; i_zero i_load i_add i_sub i_mul i_min i_max i_set1
 *   GROUP, A_BYTES        values of K that one i_dot takes; bytes a quantised activation takes
 *   A_OFFSET              what is subtracted from an activation before it is stored: 0, or 128
 *   i_four(p)             4 bytes of memory as i_dot wants them: GROUP activations
 *   i_weights(p)          VL * GROUP bytes of weights, as i_dot wants them
 *   i_dot(s, a, b)        s + the sum of a lane's GROUP products, exact
 *   i_store_bytes(p, a)   the lanes, 0..255 less A_OFFSET, as VL activations of A_BYTES
 *
 *   With PAIRED, in place of i_four and i_dot:
 *   i_rows(p, q)          GROUP activations of either of two rows
 *   i_pairs(s, a, b)      s + the products of two rows and two columns, {00, 01, 10, 11}, exact
 *   i_upper(s, t) i_lower the first and the second row's sums of two such, four columns
 *
 *   i_from(v) v_from(i)   to the nearest integer, ties to even; to the nearest float
 *
 * With BF16_PAIRS, an instruction for products of bf16:
 *   vb                    a vector of VL pairs of bf16; b_load(p)
 *   b_pair(p)             4 bytes of memory in every lane
 *   b_dot(s, a, b)        s + the two products of a lane's pairs, the second pair first
 *   b_round(x, y)         2 VL floats to the nearest bf16, ties to even: x, then y; what is below
 *                         2^-126 may become 0
 *   b_zip(x, y)           the same, a pair of a lane of x and that of y in each lane
 *   b_store(p, a)         to memory
 * Without it, their products are made in f32:
 *   i_first(p) i_second(p)  the first or second of VL pairs of bf16, as f32
 *
 * With TILES, the name of a file: its gemm_i8 and product_tiles() in place of the narrow products
 * made of these.
 *
 * All functions are static: nothing but the table leaves the translation unit. */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { NR = NV * VL };
#ifdef TILES
enum { NARROW_MR = 32, NARROW_ROWS = 128 };
#else
enum { NARROW_MR = MR, NARROW_ROWS = 96 / MR * MR };
static inline void end_products(void) {}
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* In order of need; clang-format would sort them. */
/* clang-format off */
#include "kernels/simd/math.inc.h"
#include "kernels/simd/pack.inc.h"
#include "kernels/simd/gemm.inc.h"
#include "kernels/simd/i8.inc.h"
#include "kernels/simd/bf16.inc.h"
#include "kernels/simd/attention.inc.h"
#include "kernels/simd/attention_bf16.inc.h"
#include "kernels/simd/rows.inc.h"
#include "kernels/simd/winograd.inc.h"
/* clang-format on */

const tw_kernels TABLE = {
    .name = TABLE_NAME,
    .nr = NR,
    .mr = MR,
    .pack_f32 = pack_f32,
    .gemm_f32 = gemm_f32,
    .i8 = {"", NARROW_MR, row_i8, panel_i8, pack_i8, quantize_i8, gemm_i8},
    .pack_stored_i8 = pack_stored_i8,
    .bf16 = {BF16_NOTE, NARROW_MR, row_bf16, panel_bf16, pack_bf16, round_bf16, gemm_bf16},
    .pack_stored_bf16 = pack_stored_bf16,
    .layer_norm_f32 = layer_norm_f32,
    .attention_f32 = attention_f32,
    .attention_bf16 = ATTENTION_BF16,
    .attention_scratch = ATTENTION_SCRATCH,
    .add_f32 = add_f32,
    .avg_pool_f32 = avg_pool_f32,
    .winograd_in = winograd_in,
    .winograd_out = winograd_out,
    .dot_f32 = dot_f32,
};
