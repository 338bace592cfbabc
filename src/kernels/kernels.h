/* The compute kernels: pure functions on pointers and sizes, behind one table per instruction set.
 * No allocation, no errors, no I/O, no threads: the backend splits the work.
 *
 * The kernel rule: the order of summation over K (or over a row) is fixed by K alone. It never
 * depends on m, on a row's position, on the range of rows or panels a call computes, or on the
 * thread count; so results are the same to the bit for any batch and any number of threads.
 * Between instruction sets results may differ in the last bits; ref is the judge. Sums of int8
 * products are exact, hence the same everywhere. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum tw_act { TW_ACT_ID = 0, TW_ACT_QUICK = 1, TW_ACT_GELU = 2 } tw_act;

/* One matrix product C = post(act(A B^T + bias) + residual), described once, computed in ranges.
 *   a         f32 [m, k], rows lda floats apart
 *   b         packed weights, from pack_f32() of a [n, k] row-major matrix
 *   bias      f32 [n] or NULL
 *   residual  f32 [m, n], rows ld_residual apart, or NULL; may be c itself
 *   c         f32 [m, n], rows ldc apart; may not overlap a
 *   relu      apply max(0, x) last */
typedef struct tw_gemm {
    const float *a, *b, *bias, *residual;
    float *c;
    size_t lda, ld_residual, ldc;
    size_t m, n, k;
    tw_act act;
    int relu;
} tw_gemm;

/* The same of narrow operands: A as quantize() of a tw_narrow wrote it, B as its pack() did. Of
 * `to`, what A and B are not: bias, residual, c, their strides, sizes, act and relu. */
typedef struct tw_gemm_narrow {
    const unsigned char *a, *b;
    tw_gemm to;
} tw_gemm_narrow;

/* Products of operands narrower than f32. A row of A takes row(k) bytes, a panel of B panel(k);
 * both are multiples of 4. */
typedef struct tw_narrow {
    const char *note; /* how the product is had where an instruction for it lacks, or "" */
    size_t mr;        /* as that of tw_kernels */
    size_t (*row)(size_t k);
    size_t (*panel)(size_t k);
    /* As pack_f32, to packed + panel * panel(k). */
    void (*pack)(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                 size_t panel_end, unsigned char *packed);
    /* Rows of x [rows, k], times m [k] where m is not NULL, to out, row(k) bytes apart. */
    void (*quantize)(const float *x, size_t ldx, const float *m, size_t rows, size_t k,
                     unsigned char *out);
    void (*gemm)(const tw_gemm_narrow *g, size_t m_begin, size_t m_end, size_t panel_begin,
                 size_t panel_end);
} tw_narrow;

#define TW_I8_MAX_K 65536 /* 255 * 127 * k stays below 2^31 */

/* One attention head: out = softmax(scale * q k^T) v.
 *   q [n_q, d] rows ldq apart; k, v [n_kv, d] rows ldk, ldv apart; out [n_q, d] rows ldo apart.
 *   scratch: attention_scratch(n_q, n_kv, d) floats, 64-byte aligned. Row i of out depends on
 *   row i of q, on k and on v only. */
typedef void tw_attention_kernel(const float *q, size_t ldq, const float *k, size_t ldk,
                                 const float *v, size_t ldv, size_t n_q, size_t n_kv, size_t d,
                                 float scale, float *out, size_t ldo, float *scratch);

typedef struct tw_kernels {
    const char *name; /* "ref", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16",
                       * "amx", "neon", "neondot", "neoni8mm" */
    size_t nr;        /* columns of a packed panel; panel j holds columns [j*nr, (j+1)*nr) of C */
    size_t mr;        /* rows a micro-kernel computes at once: split m at multiples of it */

    /* Packs panels [panel_begin, panel_end) of w, f32 [n, k] row-major with rows ldw apart, into
     * packed + panel * k * nr, zero-filled beyond n. A packed matrix has ceil(n/nr)*nr*k floats. */
    void (*pack_f32)(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                     size_t panel_end, float *packed);

    /* Computes rows [m_begin, m_end) of the columns of panels [panel_begin, panel_end). */
    void (*gemm_f32)(const tw_gemm *g, size_t m_begin, size_t m_end, size_t panel_begin,
                     size_t panel_end);

    /* int8: symmetric weights b = round(w / s) with a scale s a column of C, the row's largest /
     * 127; activations of 8 bits without sign, a = round(x / s) + zero, with a scale and a zero
     * point a row, s = the range of the row and 0, over 255. Element (i, j) before the bias is
     * scale_a[i] * scale_b[j] * sum over p of (a[i][p] - zero[i]) * b[j][p], the sum exact in 32
     * bits; k is below TW_I8_MAX_K. A row with a NaN or an infinity gets the scale NaN. Every table
     * quantises to the same integers. */
    tw_narrow i8;
    /* i8.pack of weights that are int8 already, w [n, k] without gaps, each row with its scale. */
    void (*pack_stored_i8)(const signed char *w, const float *scale, size_t n, size_t k,
                           size_t panel_begin, size_t panel_end, unsigned char *packed);

    /* bf16: both operands rounded to the nearest, ties to even; their products, which are exact, in
     * one chain of fused multiply-adds in f32, the second of a pair before the first. So all tables
     * but ref and amx agree to the bit, as long as no operand, product or sum is below 2^-126: what
     * is, an instruction for bf16 takes as 0. amx sums 32 of K at a time: those at even places in a
     * chain from 0, those at odd places in another, then the one plus the other, and that is added
     * to the sum so far. A row is its elements back to back, row(2) / 2 bytes each, filled up with
     * a zero to an even number. */
    tw_narrow bf16;
    /* bf16.pack of a matrix that is stored as bf16, [n, k] without gaps, at any address. */
    void (*pack_stored_bf16)(const unsigned char *w, size_t n, size_t k, size_t panel_begin,
                             size_t panel_end, unsigned char *packed);

    /* out[i] = (x[i] - mean) / sqrt(var + eps) * gamma + beta over rows of d; population variance,
     * two passes. x and out f32 [n, d] with rows ldx, ldo apart; may be the same. */
    void (*layer_norm_f32)(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t n, size_t d, float *out, size_t ldo);

    tw_attention_kernel *attention_f32;
    /* The same with q (times scale and log2 e), k, v and the unnormalised probabilities rounded to
     * bf16, and both products as bf16.gemm sums them; what divides is the sum of the rounded
     * probabilities. NULL where an instruction for such products lacks: they would only cost. */
    tw_attention_kernel *attention_bf16;
    size_t (*attention_scratch)(size_t n_q, size_t n_kv, size_t d); /* enough for either */

    /* y[i] += x[i] */
    void (*add_f32)(float *y, const float *x, size_t n);

    /* 2-D average pooling of NHWC f32 [h, w, c], kernel = stride = s, no padding, floor mode:
     * output rows [row_begin, row_end) of [h/s, w/s, c]. */
    void (*avg_pool_f32)(const float *x, size_t h, size_t w, size_t c, size_t s, size_t row_begin,
                         size_t row_end, float *out);

    /* A 3x3 convolution with padding 1 by F(2x2, 3x3), simd/winograd.inc.h: 16 products, of
     * matrices [tiles, c] with [c, n]. Tile i is 2 x 2 pixels of a map whose h and w are even, row
     * by row. NULL in ref, whose convolutions are sums over windows. in: tiles [tile_begin,
     * tile_end) of NHWC x [h, w, c] to the 16 matrices of as many rows, `plane` floats apart from v
     * on. out: such matrices [tiles, c] to max(0, sum + bias) in NHWC out [h, w, c]. */
    void (*winograd_in)(const float *x, size_t h, size_t w, size_t c, size_t tile_begin,
                        size_t tile_end, float *v, size_t plane);
    void (*winograd_out)(const float *m, size_t plane, const float *bias, size_t w, size_t c,
                         size_t tile_begin, size_t tile_end, float *out);

    /* Sum of a[i]*b[i], f32 in a fixed order (for cosines). */
    float (*dot_f32)(const float *a, const float *b, size_t n);
} tw_kernels;

/* The best table this processor runs, capped by TUWEN_CPU (a table's name); chosen once. An unknown
 * value of TUWEN_CPU means no cap: tw_isa_cap_valid() tells. */
const tw_kernels *tw_kernels_get(void);

/* Every table this processor runs, from ref up, for tests; returns how many. */
enum { TW_KERNELS_MAX = 12 }; /* with those that tests add */
int tw_kernels_all(const tw_kernels *tables[TW_KERNELS_MAX]);

/* The tables themselves (defined in ref/, x86/, arm/). */
extern const tw_kernels tw_kernels_ref;
extern const tw_kernels tw_kernels_avx2;
extern const tw_kernels tw_kernels_avxvnni;
extern const tw_kernels tw_kernels_avx512;
extern const tw_kernels tw_kernels_avx512vnni;
extern const tw_kernels tw_kernels_avx512bf16;
extern const tw_kernels tw_kernels_amx;
extern const tw_kernels tw_kernels_neon;
extern const tw_kernels tw_kernels_neondot;
extern const tw_kernels tw_kernels_neoni8mm;

#endif
