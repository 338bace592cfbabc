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

/* The same of quantised operands: A as quantize_i8() wrote it, B as pack_i8() did. Of `to`, what
 * A and B are not: bias, residual, c, their strides, sizes, act and relu; `to.k` is below
 * TW_I8_MAX_K. Element (i, j) before the bias is scale_a[i] * scale_b[j] * sum over p of (a[i][p] -
 * zero[i]) * b[j][p], the sum exact in 32 bits. */
typedef struct tw_gemm_i8 {
    const unsigned char *a, *b;
    tw_gemm to;
} tw_gemm_i8;

#define TW_I8_MAX_K 65536 /* 255 * 127 * k stays below 2^31 */

typedef struct tw_kernels {
    const char *name; /* "ref", "avx2", "avxvnni", "avx512", "avx512vnni", "neon" */
    size_t nr;        /* columns of a packed panel; panel j holds columns [j*nr, (j+1)*nr) of C */
    size_t mr;        /* rows a micro-kernel computes at once: split m at multiples of it */

    /* Packs panels [panel_begin, panel_end) of w, f32 [n, k] row-major with rows ldw apart, into
     * packed + panel * k * nr, zero-filled beyond n. A packed matrix has ceil(n/nr)*nr*k floats. */
    void (*pack_f32)(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                     size_t panel_end, float *packed);

    /* Computes rows [m_begin, m_end) of the columns of panels [panel_begin, panel_end). */
    void (*gemm_f32)(const tw_gemm *g, size_t m_begin, size_t m_end, size_t panel_begin,
                     size_t panel_end);

    /* int8: symmetric weights with a scale a column of C, activations of 8 bits without sign with a
     * scale and a zero point a row. A quantised row takes row_i8(k) bytes, a panel panel_i8(k);
     * both are multiples of 4 and hold the scales. Every table quantises to the same integers. */
    size_t (*row_i8)(size_t k);
    size_t (*panel_i8)(size_t k);
    /* As pack_f32, to packed + panel * panel_i8(k): b = round(w / s), s = the row's largest / 127.
     */
    void (*pack_i8)(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                    size_t panel_end, unsigned char *packed);
    /* Rows of x [rows, k], times m [k] where m is not NULL, to out: a = round(x / s) + zero, s =
     * the range of the row and 0, over 255. A row with a NaN or an infinity gets the scale NaN. */
    void (*quantize_i8)(const float *x, size_t ldx, const float *m, size_t rows, size_t k,
                        unsigned char *out);
    void (*gemm_i8)(const tw_gemm_i8 *g, size_t m_begin, size_t m_end, size_t panel_begin,
                    size_t panel_end);

    /* out[i] = (x[i] - mean) / sqrt(var + eps) * gamma + beta over rows of d; population variance,
     * two passes. x and out f32 [n, d] with rows ldx, ldo apart; may be the same. */
    void (*layer_norm_f32)(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t n, size_t d, float *out, size_t ldo);

    /* One attention head: out = softmax(scale * q k^T) v.
     *   q [n_q, d] rows ldq apart; k, v [n_kv, d] rows ldk, ldv apart; out [n_q, d] rows ldo apart.
     *   scratch: attention_scratch(n_q, n_kv, d) floats, 64-byte aligned. Row i of out depends on
     *   row i of q, on k and on v only. */
    void (*attention_f32)(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                          size_t ldv, size_t n_q, size_t n_kv, size_t d, float scale, float *out,
                          size_t ldo, float *scratch);
    size_t (*attention_scratch)(size_t n_q, size_t n_kv, size_t d);

    /* y[i] += x[i] */
    void (*add_f32)(float *y, const float *x, size_t n);

    /* 2-D average pooling of NHWC f32 [h, w, c], kernel = stride = s, no padding, floor mode:
     * output rows [row_begin, row_end) of [h/s, w/s, c]. */
    void (*avg_pool_f32)(const float *x, size_t h, size_t w, size_t c, size_t s, size_t row_begin,
                         size_t row_end, float *out);

    /* Sum of a[i]*b[i], f32 in a fixed order (for cosines). */
    float (*dot_f32)(const float *a, const float *b, size_t n);
} tw_kernels;

/* The best table this processor runs, capped by TUWEN_CPU (a table's name); chosen once. An unknown
 * value of TUWEN_CPU means no cap: tw_isa_cap_valid() lets the command complain. */
const tw_kernels *tw_kernels_get(void);
int tw_isa_cap_valid(void);

/* Every table this processor runs, from ref up, for tests; returns how many. */
int tw_kernels_all(const tw_kernels *tables[8]);

/* The tables themselves (defined in ref/, x86/, arm/). */
extern const tw_kernels tw_kernels_ref;
extern const tw_kernels tw_kernels_avx2;
extern const tw_kernels tw_kernels_avxvnni;
extern const tw_kernels tw_kernels_avx512;
extern const tw_kernels tw_kernels_avx512vnni;
extern const tw_kernels tw_kernels_neon;

#endif
