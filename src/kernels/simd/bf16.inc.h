/* The bf16 product. Both operands rounded to bf16, sums in f32 that stay in one chain over all of
 * K: the rounding of the operands is far larger than what strands would save (see gemm.inc.h).
 *
 * A panel: pairs of K, each NR columns side by side: element (p, j) is number p / 2 * NR * 2 + j *
 * 2
 * + p % 2. A row is K elements, bf16 with BF16_PAIRS and f32 without; either is filled up with a
 * zero to an even K. The second of a pair comes first, as vdpbf16ps does it, so that all give the
 * same sums. Blocks are those of gemm.inc.h; a sum that pauses between parts of K is kept whole. */

enum {
#ifdef BF16_PAIRS
    DOTS = 1, /* to a pair of K */
    ELEMENT = 2,
#else
    DOTS = 2,
    ELEMENT = 4,
#endif
    PAIR = NR * 4,   /* bytes of a panel */
    PART_PAIRS = 256 /* of K, whose slice stays in the level-1 cache */
};
#ifdef BF16_PAIRS
#define BF16_NOTE ""
#else
#define BF16_NOTE "widened to f32, "
typedef vf vb;
#endif

static size_t row_bf16(size_t k) {
    return ceil_div(k, 2) * 2 * ELEMENT;
}

static size_t panel_bf16(size_t k) {
    return ceil_div(k, 2) * PAIR;
}

/* ------------------------------------------------------------------------------------ rounding */

/* The bits of x as bf16, in the upper half: to nearest even; a NaN stays one. */
ALWAYS_INLINE uint32_t rounded(const float *x) {
    uint32_t bits, nan;
    memcpy(&bits, x, sizeof bits);
    nan = bits | 0x00400000u;
    bits = (bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : bits + 0x7FFFu + (bits >> 16 & 1);
    return bits & 0xFFFF0000u;
}

ALWAYS_INLINE void round_halves(const float *x, size_t n, unsigned char *out) {
    for (size_t i = 0; i < n; i++) {
        uint16_t half = (uint16_t)(rounded(x + i) >> 16);
        memcpy(out + 2 * i, &half, sizeof half);
    }
}

ALWAYS_INLINE void round_row(const float *x, const float *m, size_t k, unsigned char *out) {
    float scaled_part[256];
    for (size_t p = 0; p < k; p += 256) {
        size_t n = min_size(k - p, 256);
        const float *from = x + p;
        for (size_t i = 0; m && i < n; i++)
            scaled_part[i] = from[i] * m[p + i];
        if (m) from = scaled_part;
        if (ELEMENT == 2) {
            round_halves(from, n, out + 2 * p);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = rounded(from + i);
            memcpy(out + (p + i) * 4, &bits, sizeof bits);
        }
    }
    memset(out + k * ELEMENT, 0, row_bf16(k) - k * ELEMENT);
}

static void round_bf16(const float *x, size_t ldx, const float *m, size_t rows, size_t k,
                       unsigned char *out) {
    for (; rows > 0; rows--, x += ldx, out += row_bf16(k))
        round_row(x, m, k, out);
}

/* ------------------------------------------------------------------------------------- packing */

/* A panel of `rows` rows of w, or of `stored` in place of it, ld elements apart. Pairs of K are
 * moved as the floats of pack_panel(), a part of K at a time. */
ALWAYS_INLINE void pack_pairs(const float *w, const unsigned char *stored, size_t ld, size_t rows,
                              size_t k, unsigned char *panel) {
    float pairs[NR * PART_PAIRS];
    for (size_t p = 0; p < k; p += 2 * PART_PAIRS, panel += PART_PAIRS * PAIR) {
        size_t n = min_size(k - p, 2 * PART_PAIRS);
        for (size_t j = 0; j < rows; j++) {
            unsigned char *to = (unsigned char *)(pairs + j * PART_PAIRS);
            if (stored)
                memcpy(to, stored + (j * ld + p) * 2, n * 2);
            else
                round_halves(w + j * ld + p, n, to);
            memset(to + n * 2, 0, n % 2 * 2);
        }
        pack_panel(pairs, PART_PAIRS, rows, ceil_div(n, 2), (float *)(void *)panel);
    }
}

static void pack_bf16(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                      size_t panel_end, unsigned char *packed) {
    for (size_t i = panel_begin; i < panel_end; i++)
        pack_pairs(w + i * NR * ldw, NULL, ldw, min_size(n - i * NR, NR), k,
                   packed + i * panel_bf16(k));
}

static void pack_stored_bf16(const unsigned char *w, size_t n, size_t k, size_t panel_begin,
                             size_t panel_end, unsigned char *packed) {
    for (size_t i = panel_begin; i < panel_end; i++)
        pack_pairs(NULL, w + i * NR * k * 2, k, min_size(n - i * NR, NR), k,
                   packed + i * panel_bf16(k));
}

/* ------------------------------------------------------------------------------------- product */

#ifdef TILES
static void product_bf16(size_t rows, const unsigned char *a, size_t k, const unsigned char *panels,
                         size_t n_panels, float *t, size_t ldt) {
    size_t size = panel_bf16(k);
    product_tiles(1, rows, a, row_bf16(k), ceil_div(k, 2), panels, size, n_panels, t, ldt,
                  panels + n_panels * size);
}
#else
#ifndef BF16_PAIRS
ALWAYS_INLINE vf b_of(const unsigned char *p, size_t dot) {
    return dot == 0 ? i_second(p) : i_first(p);
}
ALWAYS_INLINE vf a_of(const unsigned char *p, size_t dot) {
    float x;
    memcpy(&x, p + (1 - dot) * 4, sizeof x);
    return v_set1(x);
}
ALWAYS_INLINE vf dot_of(vf sum, vf a, vf b) {
    return v_fma(a, b, sum);
}
#else
ALWAYS_INLINE vb b_of(const unsigned char *p, size_t dot) {
    (void)dot;
    return b_load(p);
}
ALWAYS_INLINE vb a_of(const unsigned char *p, size_t dot) {
    (void)dot;
    return b_pair(p);
}
ALWAYS_INLINE vf dot_of(vf sum, vb a, vb b) {
    return b_dot(sum, a, b);
}
#endif

typedef struct tile_bf16 {
    const unsigned char *a, *slice, *next; /* rows lda apart; what to fetch meanwhile */
    size_t lda, pairs;                     /* bytes; of K */
    float *t;                              /* the sums, rows ldt apart */
    size_t ldt;
    int add; /* to t rather than replace it */
} tile_bf16;

ALWAYS_INLINE void micro_bf16(size_t rows, const tile_bf16 *job) {
    const unsigned char *group[(MR + 2) / 3], *slice = job->slice, *next = job->next;
    size_t lda = job->lda, ldt = job->ldt;
    vf sum[MR][NV];
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] = v_zero();
    }
    if (job->add) {
        UNROLL for (size_t r = 0; r < rows; r++) {
            UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] = v_load(job->t + r * ldt + j * VL);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r += 3) group[r / 3] = job->a + r * lda;
    for (const unsigned char *end = slice + job->pairs * PAIR; slice < end; slice += PAIR) {
        UNROLL for (size_t dot = 0; dot < DOTS; dot++) {
            vb b[NV];
            UNROLL for (size_t j = 0; j < NV; j++) b[j] = b_of(slice + j * VL * 4, dot);
            UNROLL for (size_t r = 0; r < rows; r++) {
                vb a = a_of(group[r / 3] + r % 3 * lda, dot);
                UNROLL for (size_t j = 0; j < NV; j++) {
                    sum[r][j] = dot_of(sum[r][j], a, b[j]);
                    IN_REGISTER(sum[r][j]);
                }
            }
        }
        UNROLL for (size_t r = 0; r < rows; r += 3) group[r / 3] += 2 * ELEMENT;
        UNROLL for (size_t line = 0; line < PAIR; line += 64) __builtin_prefetch(next + line, 0, 2);
        next += PAIR;
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t j = 0; j < NV; j++) v_store(job->t + r * ldt + j * VL, sum[r][j]);
    }
}

static void tile_of_bf16(size_t rows, const tile_bf16 *job) {
    BY_HEIGHT(rows, micro_bf16, job)
}

/* One part of K of one panel for up to BLOCK_ROWS rows. The first tile fetches what comes next. */
static void part_of_bf16(size_t rows, tile_bf16 job, const unsigned char *next) {
    size_t n_tiles = ceil_div(rows, MR), height = rows / n_tiles, higher = rows % n_tiles;
    job.next = next;
    for (size_t i = 0; i < n_tiles; i++) {
        size_t tile_rows = height + (i < higher);
        tile_of_bf16(tile_rows, &job);
        job.a += tile_rows * job.lda;
        job.t += tile_rows * job.ldt;
        job.next = job.slice;
    }
}

/* t [rows, n_panels * NR], rows ldt apart, = a * panels, a part of K at a time; no K: zeros. */
static void product_bf16(size_t rows, const unsigned char *a, size_t k, const unsigned char *panels,
                         size_t n_panels, float *t, size_t ldt) {
    size_t pairs = ceil_div(k, 2), p = 0, size = panel_bf16(k);
    do {
        tile_bf16 job = {.lda = row_bf16(k), .ldt = ldt, .pairs = min_size(pairs - p, PART_PAIRS)};
        job.add = p > 0;
        job.a = a + p * 2 * ELEMENT;
        for (size_t panel = 0; panel < n_panels; panel++) {
            job.slice = panels + panel * size + p * PAIR;
            job.t = t + panel * NR;
            const unsigned char *next = panel + 1 < n_panels     ? job.slice + size
                                        : p + PART_PAIRS < pairs ? panels + (p + PART_PAIRS) * PAIR
                                                                 : panels + n_panels * size;
            part_of_bf16(rows, job, next);
        }
        p += job.pairs;
    } while (p < pairs);
}
#endif

static void gemm_bf16(const tw_gemm_narrow *g, size_t m_begin, size_t m_end, size_t panel_begin,
                      size_t panel_end) {
    _Alignas(64) float t[NARROW_ROWS * BLOCK_PANELS * NR];
    size_t k = g->to.k, m = m_end - m_begin, n_blocks = ceil_div(m, NARROW_ROWS);
    for (size_t block = 0; block < n_blocks; block++) {
        size_t row = m_begin + m * block / n_blocks;
        size_t rows = m_begin + m * (block + 1) / n_blocks - row;
        for (size_t panel = panel_begin; panel < panel_end; panel += BLOCK_PANELS) {
            size_t n_panels = min_size(panel_end - panel, BLOCK_PANELS), column = panel * NR;
            product_bf16(rows, g->a + row * row_bf16(k), k, g->b + panel * panel_bf16(k), n_panels,
                         t, BLOCK_PANELS * NR);
            finish_block(&g->to, row, rows, column, min_size(g->to.n - column, n_panels * NR), t,
                         BLOCK_PANELS * NR);
        }
    }
    end_products();
}
