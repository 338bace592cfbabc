/* The matrix product. C is cut into blocks of BLOCK_ROWS rows by BLOCK_PANELS panels. A block's
 * sums are gathered in a buffer on the stack, KC of K at a time, and leave it once, through the
 * epilogue:
 *
 *   for each block of rows                  their part of A, BLOCK_ROWS * KC, in the level-2 cache
 *     for each block of panels
 *       for each part of K
 *         for each panel of the block       its slice, KC * NR, in the level-1 cache
 *           for each tile of MR rows        its sums, in registers
 *
 * Every element of C is computed by the same operations whatever tile it falls in:
 *   for each part of K (KC):  for each strand of the part (STRAND):
 *     s = 0;  s = fma(a[p], b[p], s) for p in order;  part = part + s;   then  sum = sum + part
 * so its bits depend on its row of A, its column of B and K alone. The rounding error of a chain of
 * n additions grows with sqrt(n); three short levels make it that of some 32 + 8 + K / 256 in a row
 * instead of K. It is by far the largest error of a tower (docs/SPEED.md, "Exactness"). */

enum {
    STRAND = 32,
    KC = 256, /* a multiple of STRAND */
    BLOCK_ROWS = 96 / MR * MR,
    BLOCK_PANELS = 64 / NR,
    FETCHERS = 4, /* so many tiles share the fetching of the next slice */
    LINE = 16     /* floats */
};

typedef struct tile_job {
    const float *a, *slice, *next; /* [rows, k], [k, NR]; what to fetch into the level-2 cache */
    float *t, *part;               /* [rows, NR]; room for as much */
    size_t lda, ldt, k, next_step; /* floats of `next` that each step of K moves on by */
    int add;                       /* to t rather than replace it */
} tile_job;

/* sum = a * slice over `steps` of K, moving both on; rows is a constant after inlining. Rows of A
 * are addressed from every third one, at 0, lda and 2 lda, which keeps the pointers in registers.
 */
ALWAYS_INLINE void strand(size_t rows, size_t steps, tile_job *job, vf sum[MR][NV]) {
    const float *group[(MR + 2) / 3], *slice = job->slice, *next = job->next;
    size_t lda = job->lda, next_step = job->next_step;
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] = v_zero();
    }
    UNROLL for (size_t r = 0; r < rows; r += 3) group[r / 3] = job->a + r * lda;
    for (const float *end = slice + steps * NR; slice < end; slice += NR) {
        vf b[NV];
        UNROLL for (size_t j = 0; j < NV; j++) b[j] = v_load(slice + j * VL);
        UNROLL for (size_t r = 0; r < rows; r++) {
            vf a = v_set1(group[r / 3][r % 3 * lda]);
            UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] = v_fma(a, b[j], sum[r][j]);
        }
        UNROLL for (size_t r = 0; r < rows; r += 3) group[r / 3]++;
        UNROLL for (size_t line = 0; line < NR; line += LINE) __builtin_prefetch(next + line, 0, 2);
        next += next_step;
    }
    job->a += steps;
    job->slice = slice;
    job->next = next;
}

ALWAYS_INLINE void add_tile(size_t rows, const float *t, size_t ldt, vf sum[MR][NV]) {
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] =
            v_add(v_load(t + r * ldt + j * VL), sum[r][j]);
    }
}

ALWAYS_INLINE void store_tile(size_t rows, float *t, size_t ldt, vf sum[MR][NV]) {
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t j = 0; j < NV; j++) v_store(t + r * ldt + j * VL, sum[r][j]);
    }
}

/* t (+)= a * slice, a strand at a time. */
ALWAYS_INLINE void micro(size_t rows, const tile_job *whole) {
    tile_job job = *whole;
    vf sum[MR][NV];
    size_t left = job.k;
    for (; left > STRAND; left -= STRAND) {
        strand(rows, STRAND, &job, sum);
        if (left < job.k) add_tile(rows, job.part, NR, sum);
        store_tile(rows, job.part, NR, sum);
    }
    strand(rows, left, &job, sum);
    if (left < job.k) add_tile(rows, job.part, NR, sum);
    if (job.add) add_tile(rows, job.t, job.ldt, sum);
    store_tile(rows, job.t, job.ldt, sum);
}

/* A tile of each height up to MR is compiled by itself, so that its sums stay in registers. */
#define HEIGHT(n, micro, job)                                                                      \
    case n:                                                                                        \
        if (n <= MR) micro(n <= MR ? n : 1, job);                                                  \
        break;
#define BY_HEIGHT(rows, micro, job)                                                                \
    switch (rows) {                                                                                \
        HEIGHT(1, micro, job)                                                                      \
        HEIGHT(2, micro, job)                                                                      \
        HEIGHT(3, micro, job)                                                                      \
        HEIGHT(4, micro, job)                                                                      \
        HEIGHT(5, micro, job)                                                                      \
        HEIGHT(6, micro, job)                                                                      \
        HEIGHT(7, micro, job)                                                                      \
        HEIGHT(8, micro, job)                                                                      \
        HEIGHT(9, micro, job)                                                                      \
        HEIGHT(10, micro, job)                                                                     \
        HEIGHT(11, micro, job)                                                                     \
        HEIGHT(12, micro, job)                                                                     \
        HEIGHT(13, micro, job)                                                                     \
        HEIGHT(14, micro, job)                                                                     \
    }

static void tile(size_t rows, const tile_job *job) {
    BY_HEIGHT(rows, micro, job)
}

/* t [rows, n_panels * NR] = a [rows, k] * panels [n_panels][k, NR]; `after` (or NULL) is what the
 * caller reads next. The tiles are of nearly equal height: a lone last row would run at the latency
 * of its sums. While a slice is in use the next is fetched, each tile asking for its share of it;
 * hints reach a little beyond what exists, which is harmless. */
static void product(size_t rows, const float *a, size_t lda, const float *panels, size_t n_panels,
                    size_t k, float *t, size_t ldt, const float *after) {
    size_t n_tiles = ceil_div(rows, MR), height = rows / n_tiles, higher = rows % n_tiles, p = 0;
    size_t step = n_tiles == 1 ? NR : n_tiles == 2 ? NR / 2 : NR / FETCHERS;
    _Alignas(64) float part[MR * NR];
    tile_job job = {.lda = lda, .ldt = ldt, .part = part};
    do {
        job.k = min_size(k - p, KC);
        for (size_t panel = 0; panel < n_panels; panel++) {
            job.slice = panels + (panel * k + p) * NR;
            const float *next = panel + 1 < n_panels ? job.slice + k * NR
                                : p + job.k < k      ? panels + (p + job.k) * NR
                                                     : after;
            job.next = next ? next : job.slice;
            job.next_step = next ? step : 0;
            job.a = a + p;
            job.t = t + panel * NR;
            for (size_t i = 0; i < n_tiles; i++) {
                size_t tile_rows = height + (i < higher);
                if (i == FETCHERS) job.next_step = 0;
                tile(tile_rows, &job);
                job.a += tile_rows * lda;
                job.t += tile_rows * ldt;
                job.next += job.k * job.next_step;
            }
        }
        p += job.k;
        job.add = 1;
    } while (p < k);
}

/* Columns of a block's sums, t [rows, n_columns] rows ldt apart, into C through the epilogue. */
ALWAYS_INLINE void finish(const tw_gemm *g, tw_act act, size_t row, size_t rows, size_t column,
                          size_t n_columns, const float *t, size_t ldt) {
    for (size_t r = 0; r < rows; r++, row++, t += ldt) {
        const float *residual = g->residual ? g->residual + row * g->ld_residual + column : NULL;
        float *c = g->c + row * g->ldc + column;
        for (size_t j = 0; j < n_columns; j += VL) {
            size_t lanes = min_size(n_columns - j, VL);
            int whole = lanes == VL;
            vf x = v_load(t + j);
            if (g->bias) {
                const float *bias = g->bias + column + j;
                x = v_add(x, whole ? v_load(bias) : v_load_n(bias, lanes));
            }
            x = v_activate(x, act);
            if (residual)
                x = v_add(x, whole ? v_load(residual + j) : v_load_n(residual + j, lanes));
            if (g->relu) x = v_max(v_zero(), x);
            if (whole)
                v_store(c + j, x);
            else
                v_store_n(c + j, x, lanes);
        }
    }
}

static void finish_block(const tw_gemm *g, size_t row, size_t rows, size_t column, size_t n_columns,
                         const float *t, size_t ldt) {
    switch (g->act) {
    case TW_ACT_ID:
        finish(g, TW_ACT_ID, row, rows, column, n_columns, t, ldt);
        break;
    case TW_ACT_QUICK:
        finish(g, TW_ACT_QUICK, row, rows, column, n_columns, t, ldt);
        break;
    case TW_ACT_GELU:
        finish(g, TW_ACT_GELU, row, rows, column, n_columns, t, ldt);
        break;
    }
}

/* Whether a block's sums are C as they are, whole panels of them, after one part of K. */
static int is_plain(const tw_gemm *g, size_t n_columns) {
    return !g->bias && !g->residual && !g->relu && g->act == TW_ACT_ID && g->k <= KC &&
           n_columns % NR == 0;
}

static void gemm_f32(const tw_gemm *g, size_t m_begin, size_t m_end, size_t panel_begin,
                     size_t panel_end) {
    _Alignas(64) float t[BLOCK_ROWS * BLOCK_PANELS * NR];
    const size_t ldt = BLOCK_PANELS * NR, panel_floats = g->k * NR, m = m_end - m_begin;
    size_t n_blocks = ceil_div(m, BLOCK_ROWS);
    for (size_t block = 0; block < n_blocks; block++) {
        size_t row = m_begin + m * block / n_blocks;
        size_t rows = m_begin + m * (block + 1) / n_blocks - row;
        for (size_t panel = panel_begin; panel < panel_end; panel += BLOCK_PANELS) {
            size_t n_panels = min_size(panel_end - panel, BLOCK_PANELS), column = panel * NR;
            const float *b = g->b + panel * panel_floats;
            const float *after = panel + n_panels < panel_end ? b + n_panels * panel_floats
                                 : block + 1 < n_blocks       ? g->b + panel_begin * panel_floats
                                                              : NULL;
            size_t n_columns = min_size(g->n - column, n_panels * NR);
            int plain = is_plain(g, n_columns);
            float *to = plain ? g->c + row * g->ldc + column : t;
            product(rows, g->a + row * g->lda, g->lda, b, n_panels, g->k, to, plain ? g->ldc : ldt,
                    after);
            if (!plain) finish_block(g, row, rows, column, n_columns, t, ldt);
        }
    }
}
