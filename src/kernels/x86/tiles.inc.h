/* Narrow products by tiles (AMX), in place of those of i8.inc.h and bf16.inc.h: the same rows, the
 * same panels. Included by i8.inc.h where a table defines TILES.
 *
 * A tile is 16 rows of 64 bytes. C is computed by 2 x 2 of them, up to 32 rows by a panel's 32
 * columns: C0 C1 / C2 C3 += A0 / A1 times B0 B1. A step takes 64 bytes of rows of A, where they
 * lie, and 16 rows of 128 bytes of a panel, which are B0 and B1 side by side: 64 values of K in
 * int8, 32 in bf16. What is left of K is copied and filled up with zeros.
 *
 * All tiles of rows of a block are of the same height, for to configure tiles costs as much as some
 * steps; the last may begin within the one before and compute some rows twice, with the same bits.
 * K is cut into parts whose slice of the panel stays in the level-1 cache while all rows use it;
 * sums are stored in between, which changes none. */

/* The instructions, each with a clobber of memory: GCC's intrinsics have none, and it would move
 * stores of what they read behind them. */
#define TILE_LOAD(tile, at, from, ld)                                                              \
    __asm__ volatile("tileloadd " #at "(%0,%1,1), %%tmm" #tile : : "r"(from), "r"(ld) : "memory")
#define TILE_STORE(tile, at, to, ld)                                                               \
    __asm__ volatile("tilestored %%tmm" #tile ", " #at "(%0,%1,1)" : : "r"(to), "r"(ld) : "memor"  \
                                                                                          "y")
#define TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : : : "memory")
#define TILE_DOT(bf16, c, a, b)                                                                    \
    do {                                                                                           \
        if (bf16)                                                                                  \
            __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : : "memory");       \
        else                                                                                       \
            __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : : "memory");         \
    } while (0)

enum {
    TILE_ROWS = 16,
    TILE_BYTES = 64,
    TALL = 2 * TILE_ROWS,
    PANEL_ROW = 2 * TILE_BYTES,         /* bytes, and TILE_ROWS of them a step */
    SLICE_STEP = TILE_ROWS * PANEL_ROW, /* bytes of a panel a step takes */
    STEP_LINES = SLICE_STEP / 64,
    PART_STEPS = 12, /* 24 KB of a panel */
    MOST_TILES = NARROW_ROWS / TALL
};

/* ----------------------------------------------------------------------------- configuration */

typedef struct tile_config {
    unsigned char palette, start_row, zeros[14];
    uint16_t width[16];
    unsigned char rows[16];
} tile_config;

/* The height that this thread's tiles are configured for, 0 when they are not: so it is whenever no
 * kernel runs, for others may use the tiles in between. */
static _Thread_local size_t height_in_use;

static size_t upper_rows(size_t height) {
    return height > TILE_ROWS ? ceil_div(height, 2) : height;
}

/* C0 to C3 are tiles 0 to 3, A0 and A1 4 and 5, B0 and B1 6 and 7. */
static void configure_tiles(size_t height) {
    if (height == height_in_use) return;
    size_t upper = upper_rows(height), lower = height - upper;
    const size_t rows[8] = {upper, upper, lower, lower, upper, lower, TILE_ROWS, TILE_ROWS};
    tile_config c = {.palette = 1};
    for (size_t i = 0; i < 8; i++) {
        c.rows[i] = (unsigned char)rows[i];
        c.width[i] = rows[i] ? TILE_BYTES : 0;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(c) : "memory");
    height_in_use = height;
}

/* Must be called before a kernel returns. */
static void end_products(void) {
    if (height_in_use) __asm__ volatile("tilerelease" : : : "memory");
    height_in_use = 0;
}

/* ------------------------------------------------------------------------------------- product */

typedef struct tiles_job {
    const unsigned char *a, *slice, *next;    /* rows lda apart; what to fetch meanwhile */
    const unsigned char *rest_a, *rest_b;     /* a last step, its rows TILE_BYTES apart, or NULL */
    const void *from;                         /* sums to begin with, or NULL: 0 */
    void *to;                                 /* the sums; rows ld_from and ld_to apart */
    size_t lda, ld_from, ld_to, upper, steps; /* bytes; rows of C0 and C1 */
} tiles_job;

#define FETCH(next, begin, end)                                                                    \
    do {                                                                                           \
        UNROLL for (size_t line = (begin); line < (end); line++)                                   \
            __builtin_prefetch(next + line * 64, 0, 2);                                            \
    } while (0)

/* A step of K; `lines` of what comes next are fetched between the products. */
ALWAYS_INLINE void step_tiles(int bf16, int tall, size_t lines, const unsigned char *a, size_t lda,
                              size_t upper_bytes, const unsigned char *b,
                              const unsigned char *next) {
    const size_t ldb = PANEL_ROW;
    TILE_LOAD(6, 0, b, ldb);
    TILE_LOAD(4, 0, a, lda);
    TILE_DOT(bf16, 0, 4, 6);
    FETCH(next, 0, lines / 4);
    TILE_LOAD(7, 64, b, ldb);
    TILE_DOT(bf16, 1, 4, 7);
    FETCH(next, lines / 4, lines / 2);
    if (tall) {
        TILE_LOAD(5, 0, a + upper_bytes, lda);
        TILE_DOT(bf16, 2, 5, 6);
    }
    FETCH(next, lines / 2, lines / 4 * 3);
    if (tall) TILE_DOT(bf16, 3, 5, 7);
    FETCH(next, lines / 4 * 3, lines);
}

ALWAYS_INLINE void micro_tiles(int bf16, int tall, size_t lines, const tiles_job *job) {
    const unsigned char *a = job->a, *b = job->slice, *next = job->next;
    size_t lda = job->lda, upper_bytes = job->upper * lda;
    if (job->from) {
        const unsigned char *from = job->from, *lower = from + job->upper * job->ld_from;
        TILE_LOAD(0, 0, from, job->ld_from);
        TILE_LOAD(1, 64, from, job->ld_from);
        if (tall) TILE_LOAD(2, 0, lower, job->ld_from);
        if (tall) TILE_LOAD(3, 64, lower, job->ld_from);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        if (tall) TILE_ZERO(2);
        if (tall) TILE_ZERO(3);
    }
    for (const unsigned char *end = b + job->steps * SLICE_STEP; b < end; b += SLICE_STEP) {
        step_tiles(bf16, tall, lines, a, lda, upper_bytes, b, next);
        a += TILE_BYTES;
        next += SLICE_STEP;
    }
    if (job->rest_a)
        step_tiles(bf16, tall, 0, job->rest_a, TILE_BYTES, job->upper * TILE_BYTES, job->rest_b, b);
    unsigned char *to = job->to, *lower = to + job->upper * job->ld_to;
    TILE_STORE(0, 0, to, job->ld_to);
    TILE_STORE(1, 64, to, job->ld_to);
    if (tall) TILE_STORE(2, 0, lower, job->ld_to);
    if (tall) TILE_STORE(3, 64, lower, job->ld_to);
}

/* Each combination is compiled by itself. */
ALWAYS_INLINE void tiles_of(int bf16, int tall, size_t lines, const tiles_job *job) {
    if (lines == STEP_LINES)
        micro_tiles(bf16, tall, STEP_LINES, job);
    else if (lines == STEP_LINES / 2)
        micro_tiles(bf16, tall, STEP_LINES / 2, job);
    else
        micro_tiles(bf16, tall, STEP_LINES / 4, job);
}

static void tiles_of_i8(size_t lines, const tiles_job *job, int tall) {
    if (tall)
        tiles_of(0, 1, lines, job);
    else
        tiles_of(0, 0, lines, job);
}

static void tiles_of_bf16(size_t lines, const tiles_job *job, int tall) {
    if (tall)
        tiles_of(1, 1, lines, job);
    else
        tiles_of(1, 0, lines, job);
}

/* Rows of n_bytes, ld apart, as rows of `width`, filled up with zeros. */
static void copy_rest(const unsigned char *from, size_t ld, size_t rows, size_t n_bytes,
                      size_t width, unsigned char *to) {
    for (size_t r = 0; r < rows; r++, from += ld, to += width) {
        memcpy(to, from, n_bytes);
        memset(to + n_bytes, 0, width - n_bytes);
    }
}

typedef struct tiles_product {
    const unsigned char *a; /* [rows, groups] of 4 bytes, lda bytes apart */
    size_t lda, rows, groups;
    const unsigned char *rest_a; /* groups beyond whole steps */
    void (*tiles)(size_t lines, const tiles_job *job, int tall);
} tiles_product;

/* t [rows, NR] of 4 bytes, ldt bytes apart, = a * panel; `after` is what is read next. A tile
 * fetches its share of each step's lines to come. */
static void multiply_panel(const tiles_product *p, const unsigned char *panel,
                           const unsigned char *after, void *t, size_t ldt) {
    _Alignas(64) unsigned char kept[MOST_TILES][TALL * PANEL_ROW], rest_b[SLICE_STEP];
    size_t n_tiles = ceil_div(p->rows, TALL), height = ceil_div(p->rows, n_tiles);
    size_t steps = p->groups / TILE_ROWS, rest = p->groups % TILE_ROWS;
    size_t n_parts = steps ? ceil_div(steps, PART_STEPS) : 1;
    size_t fetchers = n_tiles > 3 ? 4 : n_tiles > 1 ? 2 : 1, lines = STEP_LINES / fetchers;
    tiles_job job = {.lda = p->lda, .upper = upper_rows(height), .rest_b = rest_b};
    configure_tiles(height);
    copy_rest(panel + steps * SLICE_STEP, PANEL_ROW, rest, PANEL_ROW, PANEL_ROW, rest_b);
    memset(rest_b + rest * PANEL_ROW, 0, sizeof rest_b - rest * PANEL_ROW);
    for (size_t part = 0; part < n_parts; part++) {
        size_t begin = steps * part / n_parts, end = steps * (part + 1) / n_parts;
        int last = part + 1 == n_parts;
        job.slice = panel + begin * SLICE_STEP;
        job.steps = end - begin;
        for (size_t i = 0; i < n_tiles; i++) {
            size_t row = min_size(i * height, p->rows - height);
            job.a = p->a + row * p->lda + begin * TILE_BYTES;
            job.rest_a = last && rest ? p->rest_a + row * TILE_BYTES : NULL;
            job.from = part > 0 ? kept[i] : NULL;
            job.ld_from = PANEL_ROW;
            job.to = last ? (unsigned char *)t + row * ldt : kept[i];
            job.ld_to = last ? ldt : PANEL_ROW;
            const unsigned char *next = last ? after : panel + end * SLICE_STEP;
            job.next = i < fetchers ? next + i * lines * 64 : job.slice;
            p->tiles(lines, &job, height > TILE_ROWS);
        }
    }
}

/* t [rows, n_panels * NR], rows ldt numbers apart, = a * panels, size bytes apart; `after` is what
 * is read next. At most NARROW_ROWS rows. */
static void product_tiles(int bf16, size_t rows, const unsigned char *a, size_t lda, size_t groups,
                          const unsigned char *panels, size_t size, size_t n_panels, float *t,
                          size_t ldt, const unsigned char *after) {
    unsigned char rest_a[NARROW_ROWS * TILE_BYTES];
    tiles_product p = {.a = a, .lda = lda, .rows = rows, .groups = groups, .rest_a = rest_a};
    p.tiles = bf16 ? tiles_of_bf16 : tiles_of_i8;
    size_t whole = groups / TILE_ROWS * TILE_BYTES, rest = groups * 4 - whole;
    if (rest) copy_rest(a + whole, lda, rows, rest, TILE_BYTES, rest_a);
    for (size_t i = 0; i < n_panels; i++)
        multiply_panel(&p, panels + i * size, i + 1 < n_panels ? panels + (i + 1) * size : after,
                       t + i * NR, ldt * sizeof *t);
}

/* ---------------------------------------------------------------------------------------- int8 */

/* Sums [rows, NR] int32 of rows a, in place, into what they stand for. */
static void scale_sums(size_t rows, const unsigned char *a, size_t k, const unsigned char *panel,
                       float *t) {
    tile_i8 job = {.a = a, .panel = panel, .lda = row_i8(k), .steps = ceil_div(k, GROUP), .t = t};
    for (size_t r = 0; r < rows; r++, job.a += job.lda, job.t += NR) {
        vi sum[MR][NV];
        UNROLL for (size_t j = 0; j < NV; j++) sum[0][j] = i_load(job.t + j * VL);
        scale_tile(1, &job, sum);
    }
}

static void gemm_i8(const tw_gemm_narrow *g, size_t m_begin, size_t m_end, size_t panel_begin,
                    size_t panel_end) {
    _Alignas(64) float t[NARROW_ROWS * NR];
    size_t k = g->to.k, m = m_end - m_begin, n_blocks = ceil_div(m, NARROW_ROWS);
    size_t lda = row_i8(k), size = panel_i8(k);
    for (size_t block = 0; block < n_blocks; block++) {
        size_t row = m_begin + m * block / n_blocks;
        size_t rows = m_begin + m * (block + 1) / n_blocks - row;
        const unsigned char *a = g->a + row * lda;
        for (size_t i = panel_begin; i < panel_end; i++) {
            const unsigned char *panel = g->b + i * size;
            size_t n_columns = min_size(g->to.n - i * NR, NR);
            product_tiles(0, rows, a + ROW_HEAD, lda, ceil_div(k, GROUP), panel, size, 1, t, NR,
                          i + 1 < panel_end ? panel + size : panel);
            scale_sums(rows, a, k, panel, t);
            finish_block(&g->to, row, rows, i * NR, n_columns, t, NR);
        }
    }
    end_products();
}
