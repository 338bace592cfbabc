/* Attention with both products in bf16: attention.inc.h's with rounded operands. The scale also
 * holds log2(e), so that probabilities are powers of 2; they are kept in bf16 in place of their
 * scores, whose memory a row of them never outruns. Scratch memory, in bytes:
 *   keys    [ceil(n_kv / NR)] panels of d        values  [ceil(d / NR)] panels of n_kv
 *   query   [Q_ROWS] rows of d                   scores  f32 [Q_ROWS, ld_scores] */
#ifdef BF16_PAIRS
#define ATTENTION_BF16 attention_bf16
#define ATTENTION_SCRATCH either_scratch

enum { STEP = 2 * VL }; /* rounded at once: a row may be overrun by so many */

_Static_assert(NR % STEP == 0, "scores are whole steps");

typedef struct attention_bf16_plan {
    size_t key_panels, value_panels, ld_scores;
    size_t values, query, scores, total; /* offsets from the keys, and the end; bytes */
} attention_bf16_plan;

static attention_bf16_plan plan_attention_bf16(size_t n_kv, size_t d) {
    attention_bf16_plan a;
    a.key_panels = ceil_div(n_kv, NR);
    a.value_panels = ceil_div(d, NR);
    a.ld_scores = a.key_panels * NR;
    a.values = a.key_panels * panel_bf16(d);
    a.query = a.values + a.value_panels * panel_bf16(n_kv);
    a.scores = a.query + ceil_div(Q_ROWS * row_bf16(d), 64) * 64 + STEP * ELEMENT;
    a.total = a.scores + Q_ROWS * a.ld_scores * sizeof(float);
    return a;
}

static size_t either_scratch(size_t n_q, size_t n_kv, size_t d) {
    size_t wide = attention_scratch(n_q, n_kv, d);
    size_t narrow = plan_attention_bf16(n_kv, d).total / sizeof(float);
    return wide > narrow ? wide : narrow;
}

/* 2^x for x <= 0 with a relative error of 7.5e-5, a fiftieth of what rounding to bf16 costs; 0
 * below -126.5. NaN stays NaN. x = n + r as in v_exp(). */
ALWAYS_INLINE vf v_exp2(vf x) {
    const vf magic = v_set1(12582912.0f + 127.0f);
    x = v_max(v_set1(-127.0f), x);
    vf t = v_add(x, magic);
    vf r = v_sub(x, v_sub(t, magic));
    vf q = v_set1(0.0551715195f);
    q = v_fma(q, r, v_set1(0.242612064f));
    q = v_fma(q, r, v_set1(0.693261087f));
    q = v_fma(q, r, v_set1(0.999927998f));
    return v_mul(q, v_exponent(t));
}

ALWAYS_INLINE vf load_at(const float *x, size_t n, size_t i) {
    return i + VL <= n ? v_load(x + i) : v_load_n(x + i, n > i ? n - i : 0);
}

/* x [n] times scale, and zeros up to a multiple of STEP. */
ALWAYS_INLINE void round_scaled(const float *x, size_t n, vf scale, unsigned char *out) {
    for (size_t i = 0; i < n; i += STEP, out += STEP * ELEMENT)
        b_store(out, b_round(v_mul(load_at(x, n, i), scale), v_mul(load_at(x, n, i + VL), scale)));
}

static void pack_keys(const float *k, size_t ldk, size_t n_kv, size_t d, unsigned char *keys) {
    float pairs[NR * PART_PAIRS];
    for (size_t row = 0; row < n_kv; row += NR)
        for (size_t p = 0; p < d; p += 2 * PART_PAIRS) {
            size_t rows = min_size(n_kv - row, NR), n = min_size(d - p, 2 * PART_PAIRS);
            for (size_t j = 0; j < rows; j++)
                round_scaled(k + (row + j) * ldk + p, n, v_set1(1.0f),
                             (unsigned char *)(pairs + j * PART_PAIRS));
            pack_panel(pairs, PART_PAIRS, rows, ceil_div(n, 2), (float *)(void *)keys);
            keys += ceil_div(n, 2) * PAIR;
        }
}

static void pack_values(const float *v, size_t ldv, size_t n_kv, size_t d, unsigned char *values) {
    for (size_t column = 0; column < d; column += NR) {
        size_t n = min_size(d - column, NR);
        for (size_t p = 0; p < n_kv; p += 2, values += PAIR) {
            const float *first = v + p * ldv + column;
            const float *second = p + 1 < n_kv ? first + ldv : NULL;
            for (size_t j = 0; j < NR; j += VL)
                b_store(values + j * 4,
                        b_zip(load_at(first, n, j), second ? load_at(second, n, j) : v_zero()));
        }
    }
}

/* The largest of s [n], which is filled up to a multiple of STEP. */
static float top_of_scores(float *s, size_t n) {
    size_t n_padded = ceil_div(n, STEP) * STEP;
    pad_scores(s, n, n_padded);
    vf top = v_load(s);
    for (size_t i = VL; i < n_padded; i += VL)
        top = v_max(top, v_load(s + i));
    return v_top(top);
}

/* p[i] = 2^(s[i] - top), s being filled up; returns their sum. p may be where s is, or before. */
static float soften_bf16(const float *s, size_t n, float top, unsigned char *p) {
    const vb ones = b_round(v_set1(1.0f), v_set1(1.0f));
    vf most = v_set1(top), sum = v_zero();
    for (size_t i = 0; i < n; i += STEP) {
        vb e = b_round(v_exp2(v_sub(v_load(s + i), most)), v_exp2(v_sub(v_load(s + i + VL), most)));
        b_store(p + i * ELEMENT, e);
        sum = b_dot(sum, e, ones);
    }
    return v_sum(sum);
}

/* out [rows, d] rows ldo apart; p [rows] rows of n_kv probabilities, sum their sums. */
static void weigh_values_bf16(size_t rows, const unsigned char *p, const float *sum,
                              const unsigned char *values, size_t n_kv, size_t d, float *out,
                              size_t ldo) {
    _Alignas(64) float t[Q_ROWS * BLOCK_PANELS * NR];
    for (size_t column = 0; column < d; column += BLOCK_PANELS * NR) {
        size_t n = min_size(d - column, BLOCK_PANELS * NR);
        product_bf16(rows, p, n_kv, values + column / NR * panel_bf16(n_kv), ceil_div(n, NR), t,
                     BLOCK_PANELS * NR);
        for (size_t r = 0; r < rows; r++) {
            vf scale = v_set1(1.0f / sum[r]);
            for (size_t j = 0; j < n; j += VL) {
                vf x = v_mul(v_load(t + r * BLOCK_PANELS * NR + j), scale);
                float *to = out + r * ldo + column + j;
                if (n - j >= VL)
                    v_store(to, x);
                else
                    v_store_n(to, x, n - j);
            }
        }
    }
}

static void attention_bf16(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                           size_t ldv, size_t n_q, size_t n_kv, size_t d, float scale, float *out,
                           size_t ldo, float *scratch) {
    const attention_bf16_plan a = plan_attention_bf16(n_kv, d);
    unsigned char *keys = (unsigned char *)scratch, *values = keys + a.values;
    unsigned char *query = keys + a.query, *p = keys + a.scores;
    float *scores = (float *)(void *)p, top[Q_ROWS], sum[Q_ROWS];
    pack_keys(k, ldk, n_kv, d, keys);
    pack_values(v, ldv, n_kv, d, values);
    for (size_t row = 0; row < n_q; row += Q_ROWS) {
        size_t rows = min_size(n_q - row, Q_ROWS);
        for (size_t r = 0; r < rows; r++)
            round_scaled(q + (row + r) * ldq, d, v_set1(scale * 1.44269504f),
                         query + r * row_bf16(d));
        product_bf16(rows, query, d, keys, a.key_panels, scores, a.ld_scores);
        for (size_t r = 0; r < rows; r++)
            top[r] = top_of_scores(scores + r * a.ld_scores, n_kv);
        for (size_t r = 0; r < rows; r++)
            sum[r] = soften_bf16(scores + r * a.ld_scores, n_kv, top[r], p + r * row_bf16(n_kv));
        weigh_values_bf16(rows, p, sum, values, n_kv, d, out + row * ldo, ldo);
    }
    end_products();
}
#else
#define ATTENTION_BF16 NULL
#define ATTENTION_SCRATCH attention_scratch
#endif
