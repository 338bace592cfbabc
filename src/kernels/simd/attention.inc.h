/* One attention head, a block of query rows at a time: S = (scale q) k^T, P = e^(S - top of row),
 * out = P v / (sum of the row of P). Both products go through the panels of the matrix product, so
 * a row's bits do not depend on the block it falls in. Scratch memory, in floats:
 *   keys    [ceil(n_kv / NR)] panels of d        values  [ceil(d / NR)] panels of n_kv
 *   query   [Q_ROWS, d]                          scores  [Q_ROWS, ld_scores] */

enum { Q_ROWS = 4 * MR };

typedef struct attention_plan {
    size_t key_panels, value_panels, ld_scores;
    size_t values, query, scores, total; /* offsets from the keys, and the end */
} attention_plan;

static attention_plan plan_attention(size_t n_kv, size_t d) {
    attention_plan a;
    a.key_panels = ceil_div(n_kv, NR);
    a.value_panels = ceil_div(d, NR);
    a.ld_scores = a.key_panels * NR;
    a.values = a.key_panels * NR * d;
    a.query = a.values + a.value_panels * NR * n_kv;
    a.scores = a.query + ceil_div(Q_ROWS * d, NR) * NR;
    a.total = a.scores + Q_ROWS * a.ld_scores;
    return a;
}

static size_t attention_scratch(size_t n_q, size_t n_kv, size_t d) {
    (void)n_q; /* blocks of rows: what is needed does not grow with them */
    return plan_attention(n_kv, d).total;
}

/* s[i] = -infinity for i in [n, n_padded), a whole number of vectors, each of which is stored at
 * once: what reads it next would wait for single floats. */
ALWAYS_INLINE void pad_scores(float *s, size_t n, size_t n_padded) {
    static const float tail[2 * 16] = {[16] = -INFINITY, -INFINITY, -INFINITY, -INFINITY,
                                       -INFINITY,        -INFINITY, -INFINITY, -INFINITY,
                                       -INFINITY,        -INFINITY, -INFINITY, -INFINITY,
                                       -INFINITY,        -INFINITY, -INFINITY, -INFINITY};
    for (size_t i = n / VL * VL; i < n_padded; i += VL) {
        size_t lanes = n > i ? n - i : 0;
        v_store(s + i, v_add(v_load_n(s + i, lanes), v_load(tail + 16 - lanes)));
    }
}

/* s[i] = e^(s[i] - top) for i in [0, n); returns their sum. s holds whole vectors. */
static float soften(float *s, size_t n) {
    size_t n_padded = ceil_div(n, VL) * VL;
    pad_scores(s, n, n_padded);
    vf top = v_load(s);
    for (size_t i = VL; i < n_padded; i += VL)
        top = v_max(top, v_load(s + i));
    top = v_set1(v_top(top));
    vf sum = v_zero();
    for (size_t i = 0; i < n_padded; i += VL) {
        vf e = v_exp(v_sub(v_load(s + i), top));
        v_store(s + i, e);
        sum = v_add(sum, e);
    }
    return v_sum(sum);
}

/* out [rows, d] rows ldo apart; p [rows, n_kv] the unnormalised probabilities, sum their sums. */
static void weigh_values(const attention_plan *a, size_t rows, const float *p, const float *sum,
                         const float *values, size_t n_kv, size_t d, float *out, size_t ldo) {
    _Alignas(64) float t[Q_ROWS * NR];
    for (size_t panel = 0; panel < a->value_panels; panel++) {
        size_t column = panel * NR;
        product(rows, p, a->ld_scores, values + column * n_kv, 1, n_kv, t, NR, NULL);
        for (size_t r = 0; r < rows; r++) {
            vf scale = v_set1(1.0f / sum[r]);
            for (size_t j = 0; j < NR && column + j < d; j += VL) {
                vf x = v_mul(v_load(t + r * NR + j), scale);
                float *to = out + r * ldo + column + j;
                if (d - column - j >= VL)
                    v_store(to, x);
                else
                    v_store_n(to, x, d - column - j);
            }
        }
    }
}

static void attention_f32(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                          size_t ldv, size_t n_q, size_t n_kv, size_t d, float scale, float *out,
                          size_t ldo, float *scratch) {
    attention_plan a = plan_attention(n_kv, d);
    float *keys = scratch, *values = scratch + a.values;
    float *query = scratch + a.query, *scores = scratch + a.scores, sum[Q_ROWS];
    pack_f32(k, ldk, n_kv, d, 0, a.key_panels, keys);
    for (size_t panel = 0; panel < a.value_panels; panel++)
        copy_panel(v + panel * NR, ldv, min_size(d - panel * NR, NR), n_kv,
                   values + panel * NR * n_kv);
    for (size_t row = 0; row < n_q; row += Q_ROWS) {
        size_t rows = min_size(n_q - row, Q_ROWS);
        for (size_t r = 0; r < rows; r++)
            for (size_t p = 0; p < d; p++)
                query[r * d + p] = scale * q[(row + r) * ldq + p];
        product(rows, query, d, keys, a.key_panels, d, scores, a.ld_scores, NULL);
        for (size_t r = 0; r < rows; r++)
            sum[r] = soften(scores + r * a.ld_scores, n_kv);
        weigh_values(&a, rows, scores, sum, values, n_kv, d, out + row * ldo, ldo);
    }
}
