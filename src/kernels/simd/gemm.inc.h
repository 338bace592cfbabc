/* The matrix product. C is cut into blocks of some rows by one panel; a block's sums are gathered
 * in a small buffer on the stack, KC of K at a time, and leave it once, through the epilogue.
 *
 * Every element of C is computed by the same operations whatever tile it falls in:
 *   for each KC part of K:  s = 0;  s = fma(a[p], b[p], s) for p in order;  sum = sum + s
 * so its bits depend on its row of A, its column of B and K alone. Fresh sums per part also keep
 * rounding errors down: they grow with KC + K / KC rather than with K. */

enum {
    KC = 256,        /* a part of a panel, KC * NR floats, stays in the level-1 cache */
    BLOCK_TILES = 8, /* at most so many micro-tiles high is a block */
    BLOCK_A = 65536, /* ... and at most so many floats of A, which stay in the level-2 cache */
};

/* t [rows, NR] (+)= a [rows, k] * panel [k, NR]; rows is a constant after inlining. Rows of A are
 * addressed from every third one, x + 0, 1 and 2 lda, to keep pointers in registers. */
ALWAYS_INLINE void micro(size_t rows, const float *a, size_t lda, const float *b, size_t k,
                         float *t, size_t ldt, int add) {
    vf sum[MR][NV];
    const float *group[(MR + 2) / 3];
    UNROLL(rows) for (size_t r = 0; r < rows; r++) {
        UNROLL(NV) for (size_t j = 0; j < NV; j++) sum[r][j] = v_zero();
    }
    UNROLL(rows) for (size_t r = 0; r < rows; r += 3) group[r / 3] = a + r * lda;
    for (size_t p = 0; p < k; p++) {
        vf vb[NV];
        UNROLL(NV) for (size_t j = 0; j < NV; j++) vb[j] = v_load(b + j * VL);
        UNROLL(rows) for (size_t r = 0; r < rows; r++) {
            vf va = v_set1(group[r / 3][r % 3 * lda]);
            UNROLL(NV) for (size_t j = 0; j < NV; j++) sum[r][j] = v_fma(va, vb[j], sum[r][j]);
        }
        UNROLL(rows) for (size_t r = 0; r < rows; r += 3) group[r / 3]++;
        b += NR;
    }
    UNROLL(rows) for (size_t r = 0; r < rows; r++) {
        UNROLL(NV) for (size_t j = 0; j < NV; j++) {
            float *out = t + r * ldt + j * VL;
            v_store(out, add ? v_add(v_load(out), sum[r][j]) : sum[r][j]);
        }
    }
}

static void tile(size_t rows, const float *a, size_t lda, const float *b, size_t k, float *t,
                 size_t ldt, int add) {
#define ROWS(n)                                                                                    \
    case n:                                                                                        \
        micro(n <= MR ? n : 1, a, lda, b, k, t, ldt, add);                                         \
        break
    switch (rows) {
        ROWS(1);
        ROWS(2);
        ROWS(3);
        ROWS(4);
        ROWS(5);
        ROWS(6);
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
        ROWS(13);
        ROWS(14);
    }
#undef ROWS
}

/* t [rows, NR] = a [rows, k] * panel [k, NR], rows ldt apart. The tiles are of nearly equal height:
 * a lone last row would run at the latency of its sums. */
static void product(size_t rows, const float *a, size_t lda, const float *panel, size_t k, float *t,
                    size_t ldt) {
    size_t n_tiles = ceil_div(rows, MR);
    size_t p = 0;
    do {
        size_t part = min_size(k - p, KC);
        for (size_t i = 0; i < n_tiles; i++) {
            size_t begin = rows * i / n_tiles, end = rows * (i + 1) / n_tiles;
            tile(end - begin, a + begin * lda + p, lda, panel + p * NR, part, t + begin * ldt, ldt,
                 p > 0);
        }
        p += part;
    } while (p < k);
}

/* Sums t [rows, NR] of the panel whose first column is `column`, into C through the epilogue. */
ALWAYS_INLINE void finish(const tw_gemm *g, tw_act act, size_t row, size_t rows, size_t column,
                          const float *t) {
    for (size_t r = 0; r < rows; r++, row++, t += NR)
        for (size_t j = 0; j < NR && column + j < g->n; j += VL) {
            size_t lanes = min_size(g->n - column - j, VL), at = column + j;
            vf x = v_load(t + j);
            if (lanes == VL) {
                if (g->bias) x = v_add(x, v_load(g->bias + at));
                x = v_activate(x, act);
                if (g->residual) x = v_add(x, v_load(g->residual + row * g->ld_residual + at));
                if (g->relu) x = v_max(v_zero(), x);
                v_store(g->c + row * g->ldc + at, x);
            } else {
                if (g->bias) x = v_add(x, v_load_n(g->bias + at, lanes));
                x = v_activate(x, act);
                if (g->residual)
                    x = v_add(x, v_load_n(g->residual + row * g->ld_residual + at, lanes));
                if (g->relu) x = v_max(v_zero(), x);
                v_store_n(g->c + row * g->ldc + at, x, lanes);
            }
        }
}

static void gemm_f32(const tw_gemm *g, size_t m_begin, size_t m_end, size_t panel_begin,
                     size_t panel_end) {
    _Alignas(64) float t[BLOCK_TILES * MR * NR];
    size_t tiles = BLOCK_A / MR / (g->k ? g->k : 1);
    size_t block = MR * (tiles < 1 ? 1 : min_size(tiles, BLOCK_TILES));
    for (size_t row = m_begin; row < m_end; row += block) {
        size_t rows = min_size(m_end - row, block);
        for (size_t panel = panel_begin; panel < panel_end; panel++) {
            product(rows, g->a + row * g->lda, g->lda, g->b + panel * g->k * NR, g->k, t, NR);
            switch (g->act) {
            case TW_ACT_ID:
                finish(g, TW_ACT_ID, row, rows, panel * NR, t);
                break;
            case TW_ACT_QUICK:
                finish(g, TW_ACT_QUICK, row, rows, panel * NR, t);
                break;
            case TW_ACT_GELU:
                finish(g, TW_ACT_GELU, row, rows, panel * NR, t);
                break;
            }
        }
    }
}
