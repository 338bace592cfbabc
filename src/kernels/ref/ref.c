/* The scalar reference: the judge of every other table. It is compiled without vectorisation and
 * accumulates in double, where a product of two f32 is exact and a sum of K of them is good to
 * K * 2^-53; each result is rounded to f32 once, so what it returns is the f32 nearest to the true
 * value but for rare ties. Activations and exponentials are libm's, in double. */
#include "kernels/kernels.h"

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

enum { NR = 8 }; /* eight independent sums hide the latency of a double addition */

static void pack_f32(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                     size_t panel_end, float *packed) {
    for (size_t panel = panel_begin; panel < panel_end; panel++) {
        float *out = packed + panel * k * NR;
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < NR; j++) {
                size_t row = panel * NR + j;
                out[p * NR + j] = row < n ? w[row * ldw + p] : 0.0f;
            }
    }
}

static double activate(double x, tw_act act) {
    switch (act) {
    case TW_ACT_QUICK:
        return x / (1.0 + exp(-1.702 * x));
    case TW_ACT_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case TW_ACT_ID:
        break;
    }
    return x;
}

/* Element (i, j) of C from its sum. */
static void finish(const tw_gemm *g, size_t i, size_t j, double sum) {
    double x = activate(sum + (g->bias ? (double)g->bias[j] : 0.0), g->act);
    if (g->residual) x += (double)g->residual[i * g->ld_residual + j];
    g->c[i * g->ldc + j] = (float)(g->relu && x < 0 ? 0 : x);
}

static void gemm_f32(const tw_gemm *g, size_t m_begin, size_t m_end, size_t panel_begin,
                     size_t panel_end) {
    for (size_t i = m_begin; i < m_end; i++)
        for (size_t panel = panel_begin; panel < panel_end; panel++) {
            const float *a = g->a + i * g->lda, *b = g->b + panel * g->k * NR;
            double sum[NR] = {0};
            for (size_t p = 0; p < g->k; p++)
                for (size_t j = 0; j < NR; j++)
                    sum[j] += (double)a[p] * (double)b[p * NR + j];
            for (size_t j = 0; j < NR && panel * NR + j < g->n; j++)
                finish(g, i, panel * NR + j, sum[j]);
        }
}

/* int8, a value at a time: a panel is [k][NR] weights, NR scales; a row is its scale, its zero
 * point and k activations. */
static size_t row_i8(size_t k) {
    return 8 + (k + 3) / 4 * 4;
}
static size_t panel_i8(size_t k) {
    return k * NR + NR * sizeof(float);
}

static void pack_i8(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                    size_t panel_end, unsigned char *packed) {
    for (size_t row = panel_begin * NR; row < panel_end * NR; row++) {
        unsigned char *panel = packed + row / NR * panel_i8(k);
        float most = 0, scale = 0;
        for (size_t p = 0; row < n && p < k && most < INFINITY; p++)
            if (!(fabsf(w[row * ldw + p]) <= most)) most = fabsf(w[row * ldw + p]);
        if (!(most <= 1e-30f)) scale = most / 127.0f;
        for (size_t p = 0; p < k; p++) {
            float b = scale > 0 && scale < INFINITY ? w[row * ldw + p] * (127.0f / most) : 0;
            panel[p * NR + row % NR] = (unsigned char)(int8_t)rintf(b);
        }
        memcpy(panel + k * NR + row % NR * sizeof scale, &scale, sizeof scale);
    }
}

static void pack_stored_i8(const signed char *w, const float *scale, size_t n, size_t k,
                           size_t panel_begin, size_t panel_end, unsigned char *packed) {
    for (size_t row = panel_begin * NR; row < panel_end * NR; row++) {
        unsigned char *panel = packed + row / NR * panel_i8(k);
        float s = row < n ? scale[row] : 0;
        for (size_t p = 0; p < k; p++)
            panel[p * NR + row % NR] = (unsigned char)(row < n ? w[row * k + p] : 0);
        memcpy(panel + k * NR + row % NR * sizeof s, &s, sizeof s);
    }
}

static void quantize_row(const float *x, const float *m, size_t k, unsigned char *out) {
    float low = 0, high = 0, scale = 0, to = 0;
    int32_t zero = 0, finite = 1;
    for (size_t p = 0; p < k; p++) {
        float a = m ? x[p] * m[p] : x[p];
        if (a < low) low = a;
        if (a > high) high = a;
        finite &= isfinite(a) != 0;
    }
    float range = high - low;
    if (!finite || range == INFINITY) {
        scale = NAN;
    } else if (range > 1e-30f) {
        scale = range / 255.0f;
        to = 255.0f / range;
        zero = (int32_t)rintf(-low * to);
    }
    memset(out, 0, row_i8(k));
    memcpy(out, &scale, sizeof scale);
    memcpy(out + 4, &zero, sizeof zero);
    for (size_t p = 0; p < k && to > 0; p++) {
        int32_t a = (int32_t)rintf((m ? x[p] * m[p] : x[p]) * to) + zero;
        out[8 + p] = (unsigned char)(a < 0 ? 0 : a > 255 ? 255 : a);
    }
}

static void quantize_i8(const float *x, size_t ldx, const float *m, size_t rows, size_t k,
                        unsigned char *out) {
    for (size_t i = 0; i < rows; i++)
        quantize_row(x + i * ldx, m, k, out + i * row_i8(k));
}

static double dot_i8(const unsigned char *row, const unsigned char *panel, size_t j, size_t k) {
    float scale_a, scale_b;
    int32_t zero, sum = 0;
    memcpy(&scale_a, row, sizeof scale_a);
    memcpy(&zero, row + 4, sizeof zero);
    memcpy(&scale_b, panel + k * NR + j * sizeof scale_b, sizeof scale_b);
    for (size_t p = 0; p < k; p++)
        sum += (row[8 + p] - zero) * (int8_t)panel[p * NR + j];
    return (double)scale_a * (double)scale_b * (double)sum;
}

static void gemm_i8(const tw_gemm_narrow *g, size_t m_begin, size_t m_end, size_t panel_begin,
                    size_t panel_end) {
    for (size_t i = m_begin; i < m_end; i++)
        for (size_t j = panel_begin * NR; j < panel_end * NR && j < g->to.n; j++)
            finish(&g->to, i, j,
                   dot_i8(g->a + i * row_i8(g->to.k), g->b + j / NR * panel_i8(g->to.k), j % NR,
                          g->to.k));
}

/* bf16: a panel is [k][NR]. */
static size_t row_bf16(size_t k) {
    return (k + 1) / 2 * 2 * sizeof(uint16_t);
}
static size_t panel_bf16(size_t k) {
    return k * NR * sizeof(uint16_t);
}

static void pack_bf16(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                      size_t panel_end, unsigned char *packed) {
    for (size_t j = panel_begin * NR; j < panel_end * NR; j++)
        for (size_t p = 0; p < k; p++) {
            uint16_t b = j < n ? tw_f32_to_bf16(w[j * ldw + p]) : 0;
            memcpy(packed + j / NR * panel_bf16(k) + (p * NR + j % NR) * sizeof b, &b, sizeof b);
        }
}

static void pack_stored_bf16(const unsigned char *w, size_t n, size_t k, size_t panel_begin,
                             size_t panel_end, unsigned char *packed) {
    for (size_t j = panel_begin * NR; j < panel_end * NR; j++)
        for (size_t p = 0; p < k; p++) {
            uint16_t b = 0;
            if (j < n) memcpy(&b, w + (j * k + p) * sizeof b, sizeof b);
            memcpy(packed + j / NR * panel_bf16(k) + (p * NR + j % NR) * sizeof b, &b, sizeof b);
        }
}

static void round_bf16(const float *x, size_t ldx, const float *m, size_t rows, size_t k,
                       unsigned char *out) {
    memset(out, 0, rows * row_bf16(k));
    for (size_t i = 0; i < rows; i++)
        for (size_t p = 0; p < k; p++) {
            uint16_t a = tw_f32_to_bf16(m ? x[i * ldx + p] * m[p] : x[i * ldx + p]);
            memcpy(out + i * row_bf16(k) + p * sizeof a, &a, sizeof a);
        }
}

static double dot_bf16(const unsigned char *row, const unsigned char *panel, size_t j, size_t k) {
    double sum = 0;
    for (size_t p = 0; p < k; p++) {
        uint16_t a, b;
        memcpy(&a, row + p * sizeof a, sizeof a);
        memcpy(&b, panel + (p * NR + j) * sizeof b, sizeof b);
        sum += (double)tw_bf16_to_f32(a) * (double)tw_bf16_to_f32(b);
    }
    return sum;
}

static void gemm_bf16(const tw_gemm_narrow *g, size_t m_begin, size_t m_end, size_t panel_begin,
                      size_t panel_end) {
    for (size_t i = m_begin; i < m_end; i++)
        for (size_t j = panel_begin * NR; j < panel_end * NR && j < g->to.n; j++)
            finish(&g->to, i, j,
                   dot_bf16(g->a + i * row_bf16(g->to.k), g->b + j / NR * panel_bf16(g->to.k),
                            j % NR, g->to.k));
}

static void layer_norm_f32(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t n, size_t d, float *out, size_t ldo) {
    for (size_t i = 0; i < n; i++, x += ldx, out += ldo) {
        double mean = 0, variance = 0;
        for (size_t j = 0; j < d; j++)
            mean += (double)x[j];
        mean /= (double)d;
        for (size_t j = 0; j < d; j++)
            variance += ((double)x[j] - mean) * ((double)x[j] - mean);
        double scale = 1.0 / sqrt(variance / (double)d + (double)eps);
        for (size_t j = 0; j < d; j++)
            out[j] = (float)(((double)x[j] - mean) * scale * (double)gamma[j] + (double)beta[j]);
    }
}

/* Scores are kept in double between the two products; the scratch memory is f32, so two of its
 * elements hold one. */
static size_t attention_scratch(size_t n_q, size_t n_kv, size_t d) {
    (void)n_q, (void)d;
    return 2 * n_kv;
}

static void attention_f32(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                          size_t ldv, size_t n_q, size_t n_kv, size_t d, float scale, float *out,
                          size_t ldo, float *scratch) {
    double *score = (double *)(void *)scratch;
    for (size_t i = 0; i < n_q; i++, q += ldq, out += ldo) {
        double top = -INFINITY, sum = 0;
        for (size_t t = 0; t < n_kv; t++) {
            double s = 0;
            for (size_t p = 0; p < d; p++)
                s += (double)q[p] * (double)k[t * ldk + p];
            score[t] = s * (double)scale;
            if (score[t] > top) top = score[t];
        }
        for (size_t t = 0; t < n_kv; t++)
            sum += score[t] = exp(score[t] - top);
        for (size_t p = 0; p < d; p++) {
            double o = 0;
            for (size_t t = 0; t < n_kv; t++)
                o += score[t] * (double)v[t * ldv + p];
            out[p] = (float)(o / sum);
        }
    }
}

static void add_f32(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void avg_pool_f32(const float *x, size_t h, size_t w, size_t c, size_t s, size_t row_begin,
                         size_t row_end, float *out) {
    (void)h;
    size_t wo = w / s;
    for (size_t y = row_begin; y < row_end; y++)
        for (size_t xo = 0; xo < wo; xo++)
            for (size_t ch = 0; ch < c; ch++) {
                double sum = 0;
                for (size_t dy = 0; dy < s; dy++)
                    for (size_t dx = 0; dx < s; dx++)
                        sum += (double)x[((y * s + dy) * w + xo * s + dx) * c + ch];
                out[(y * wo + xo) * c + ch] = (float)(sum / (double)(s * s));
            }
}

static float dot_f32(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

const tw_kernels tw_kernels_ref = {
    .name = "ref",
    .nr = NR,
    .mr = 1,
    .pack_f32 = pack_f32,
    .gemm_f32 = gemm_f32,
    .i8 = {"", 1, row_i8, panel_i8, pack_i8, quantize_i8, gemm_i8},
    .pack_stored_i8 = pack_stored_i8,
    .bf16 = {"summed in f64, ", 1, row_bf16, panel_bf16, pack_bf16, round_bf16, gemm_bf16},
    .pack_stored_bf16 = pack_stored_bf16,
    .layer_norm_f32 = layer_norm_f32,
    .attention_f32 = attention_f32,
    .attention_scratch = attention_scratch,
    .add_f32 = add_f32,
    .avg_pool_f32 = avg_pool_f32,
    .dot_f32 = dot_f32,
};
