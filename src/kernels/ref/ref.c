/* The scalar reference: the judge of every other table. It is compiled without vectorisation and
 * accumulates in double, where a product of two f32 is exact and a sum of K of them is good to
 * K * 2^-53; each result is rounded to f32 once, so what it returns is the f32 nearest to the true
 * value but for rare ties. Activations and exponentials are libm's, in double. */
#include "kernels/kernels.h"

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

static void gemm_f32(const tw_gemm *g, size_t m_begin, size_t m_end, size_t panel_begin,
                     size_t panel_end) {
    for (size_t i = m_begin; i < m_end; i++)
        for (size_t panel = panel_begin; panel < panel_end; panel++) {
            const float *a = g->a + i * g->lda, *b = g->b + panel * g->k * NR;
            double sum[NR] = {0};
            for (size_t p = 0; p < g->k; p++)
                for (size_t j = 0; j < NR; j++)
                    sum[j] += (double)a[p] * (double)b[p * NR + j];
            for (size_t j = 0; j < NR && panel * NR + j < g->n; j++) {
                size_t column = panel * NR + j;
                double x = activate(sum[j] + (g->bias ? (double)g->bias[column] : 0.0), g->act);
                if (g->residual) x += (double)g->residual[i * g->ld_residual + column];
                g->c[i * g->ldc + column] = (float)(g->relu && x < 0 ? 0 : x);
            }
        }
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
    .layer_norm_f32 = layer_norm_f32,
    .attention_f32 = attention_f32,
    .attention_scratch = attention_scratch,
    .add_f32 = add_f32,
    .avg_pool_f32 = avg_pool_f32,
    .dot_f32 = dot_f32,
};
