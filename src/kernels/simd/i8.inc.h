/* The int8 product. Weights and activations of 8 bits, sums in 32 bits: exact, so that neither
 * order nor blocking matters and a panel runs through all of K in registers.
 *
 * A panel: element (p, j) at p / GROUP * NR * GROUP + j * GROUP + p % GROUP, K filled up with zeros
 * to a multiple of GROUP; then NR floats, the columns' scales, and NR int32, the columns' sums.
 * A row: its scale and its zero point in a line of its own, then K activations less A_OFFSET, of
 * A_BYTES, and zeros. As x = scale (a - zero), a sum of products of a minus zero times the column's
 * sum is what counts. */

/* A sum that stays in its register: GCC 12 would also store it, at every step (docs/SPEED.md). */
#if defined(__x86_64__) && !defined(TW_EMULATED)
#define IN_REGISTER(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define IN_REGISTER(x) __asm__("" : "+w"(x))
#else
#define IN_REGISTER(x) ((void)0)
#endif

enum { ROW_HEAD = 64, ROW_STEP = 64 };

typedef struct row_head {
    float scale;
    int32_t zero;
} row_head;

static size_t row_i8(size_t k) {
    return ROW_HEAD + ceil_div(k * A_BYTES, ROW_STEP) * ROW_STEP;
}

static size_t panel_data(size_t k) {
    return ceil_div(k, GROUP) * GROUP * NR;
}

static size_t panel_i8(size_t k) {
    return panel_data(k) + NR * (sizeof(float) + sizeof(int32_t));
}

/* ---------------------------------------------------------------------------------- packing */

/* Bytes of every column that are moved at a time: they stay in the level-1 cache. */
enum { PART = 128 };

/* The largest magnitude of a row, or the first that is not finite. */
static float row_magnitude(const float *x, size_t n) {
    const uint32_t infinite = 0x7F800000;
    uint32_t most = 0, sick = 0;
    float result;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    for (size_t i = 0; i < n && most >= infinite && !sick; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        sick = (bits & 0x7FFFFFFF) >= infinite ? bits & 0x7FFFFFFF : 0;
    }
    memcpy(&result, sick ? &sick : &most, sizeof result);
    return result;
}

/* Quantises n weights, by 0 those of a row that is not finite. */
ALWAYS_INLINE void quantize_part(const float *w, size_t n, float by, signed char *out) {
    if (by > 0)
        for (size_t i = 0; i < n; i++)
            out[i] = (signed char)(int32_t)rintf(w[i] * by);
    else
        memset(out, 0, n);
}

ALWAYS_INLINE int32_t sum_bytes(const signed char *b, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += b[i];
    return sum;
}

/* GROUP bytes of each of NR columns side by side, group after group. */
ALWAYS_INLINE void move_part(const float part[NR * PART / 4], size_t groups, unsigned char *panel) {
    if (GROUP == 4) {
        pack_panel(part, PART / 4, NR, groups, (float *)(void *)panel);
        return;
    }
    const unsigned char *from = (const unsigned char *)part;
    for (size_t g = 0; g < groups; g++, panel += NR * GROUP)
        for (size_t j = 0; j < NR; j++)
            memcpy(panel + j * GROUP, from + j * PART + g * GROUP, GROUP);
}

/* A panel of `rows` rows of w with their factors `by`, or of `stored` in place of it, whose sums
 * are known, ld elements apart. A part of K at a time: its bytes one column after the other, in
 * what move_part() takes for floats, then moved. */
ALWAYS_INLINE void pack_columns(const float *w, const signed char *stored, size_t ld, size_t rows,
                                size_t k, const float scale[NR], const float by[NR],
                                int32_t sum[NR], unsigned char *panel) {
    float part[NR * PART / 4];
    unsigned char *tail = panel + panel_data(k);
    memset(part, 0, sizeof part);
    for (size_t p = 0; p < k; p += PART, panel += PART * NR) {
        size_t n = min_size(k - p, PART);
        for (size_t j = 0; j < rows; j++) {
            signed char *to = (signed char *)part + j * PART;
            if (stored) {
                memcpy(to, stored + j * ld + p, n);
            } else {
                quantize_part(w + j * ld + p, n, by[j], to);
                sum[j] += sum_bytes(to, n);
            }
            memset(to + n, 0, PART - n);
        }
        move_part(part, ceil_div(n, GROUP), panel);
    }
    memcpy(tail, scale, NR * sizeof *scale);
    memcpy(tail + NR * sizeof *scale, sum, NR * sizeof *sum);
}

/* A row that is not finite keeps that in its scale. */
static void pack_i8(const float *w, size_t ldw, size_t n, size_t k, size_t panel_begin,
                    size_t panel_end, unsigned char *packed) {
    for (size_t i = panel_begin; i < panel_end; i++) {
        const float *rows = w + i * NR * ldw;
        size_t n_rows = min_size(n - i * NR, NR);
        float scale[NR] = {0}, by[NR] = {0};
        int32_t sum[NR] = {0};
        for (size_t j = 0; j < n_rows; j++) {
            float most = row_magnitude(rows + j * ldw, k);
            by[j] = most > 1e-30f && most < INFINITY ? 127.0f / most : 0;
            scale[j] = most > 1e-30f || most != most ? most / 127.0f : 0;
        }
        pack_columns(rows, NULL, ldw, n_rows, k, scale, by, sum, packed + i * panel_i8(k));
    }
}

/* The sums first: row after row, memory is read as fast as it can be, and the rest is in the cache.
 */
static void pack_stored_i8(const signed char *w, const float *scales, size_t n, size_t k,
                           size_t panel_begin, size_t panel_end, unsigned char *packed) {
    for (size_t i = panel_begin; i < panel_end; i++) {
        size_t n_rows = min_size(n - i * NR, NR);
        const signed char *rows = w + i * NR * k;
        float scale[NR] = {0};
        int32_t sum[NR] = {0};
        for (size_t j = 0; j < n_rows; j++) {
            scale[j] = scales[i * NR + j];
            sum[j] = sum_bytes(rows + j * k, k);
        }
        pack_columns(NULL, rows, k, n_rows, k, scale, NULL, sum, packed + i * panel_i8(k));
    }
}

/* -------------------------------------------------------------------------------- quantising */

ALWAYS_INLINE vf scaled(const float *x, const float *m, size_t i, size_t lanes) {
    if (lanes == VL) return m ? v_mul(v_load(x + i), v_load(m + i)) : v_load(x + i);
    vf a = v_load_n(x + i, lanes);
    return m ? v_mul(a, v_load_n(m + i, lanes)) : a;
}

/* The smallest and largest element of a row, and 0; `poison` is 0, or NaN if not all are finite. */
ALWAYS_INLINE void row_range(const float *x, const float *m, size_t k, float *low, float *high,
                             float *poison) {
    vf least = v_zero(), most = v_zero(), sick = v_zero();
    for (size_t i = 0; i < k; i += VL) {
        vf a = scaled(x, m, i, min_size(k - i, VL));
        least = v_max(v_sub(v_zero(), a), least); /* of -x */
        most = v_max(a, most);
        sick = v_fma(a, v_zero(), sick);
    }
    *low = -v_top(least);
    *high = v_top(most);
    *poison = v_sum(sick);
}

ALWAYS_INLINE void quantize_row(const float *x, const float *m, size_t k, unsigned char *out) {
    float low, high, poison;
    row_range(x, m, k, &low, &high, &poison);
    float range = high - low, to = range > 1e-30f && range < INFINITY ? 255.0f / range : 0;
    row_head head = {(to > 0 ? range / 255.0f : 0) + poison, 0};
    if (range == INFINITY || poison != 0) head.scale = NAN;
    vf by = v_set1(poison == 0 ? to : 0);
    if (poison == 0) head.zero = (int32_t)rintf(-low * to);
    memcpy(out, &head, sizeof head);
    out += ROW_HEAD;
    vi zero = i_set1(head.zero), full = i_set1(255), offset = i_set1(A_OFFSET);
    size_t n_bytes = row_i8(k) - ROW_HEAD, i = 0;
    for (; i < k; i += VL, out += VL * A_BYTES, n_bytes -= VL * A_BYTES) {
        vi a = i_add(i_from(v_mul(scaled(x, m, i, min_size(k - i, VL)), by)), zero);
        a = i_min(i_max(a, i_zero()), full);
        i_store_bytes(out, A_OFFSET ? i_sub(a, offset) : a);
    }
    memset(out, 0, n_bytes);
}

static void quantize_i8(const float *x, size_t ldx, const float *m, size_t rows, size_t k,
                        unsigned char *out) {
    for (; rows > 0; rows--, x += ldx, out += row_i8(k))
        if (m)
            quantize_row(x, m, k, out);
        else
            quantize_row(x, NULL, k, out);
}

/* ----------------------------------------------------------------------------------- product */

typedef struct tile_i8 {
    const unsigned char *a, *panel, *next; /* rows row_i8 apart; what to fetch meanwhile, or NULL */
    size_t lda, steps;                     /* bytes; groups of K */
    float *t;                              /* [rows, NR], scaled sums */
} tile_i8;

/* The lines of the next panel that lie where this step's weights are. */
#define PREFETCH(next)                                                                             \
    do {                                                                                           \
        UNROLL for (size_t line = 0; line < NR * GROUP; line += 64)                                \
            __builtin_prefetch(next + line, 0, 2);                                                 \
        next += NR * GROUP;                                                                        \
    } while (0)

/* t = scale_a scale_b (sum - zero * sum of b) */
ALWAYS_INLINE void scale_tile(size_t rows, const tile_i8 *job, vi sum[MR][NV]) {
    const unsigned char *tail = job->panel + job->steps * NR * GROUP;
    UNROLL for (size_t r = 0; r < rows; r++) {
        row_head head;
        memcpy(&head, job->a + r * job->lda, sizeof head);
        UNROLL for (size_t j = 0; j < NV; j++) {
            vf scale = v_load((const float *)(const void *)tail + j * VL);
            vi sums = i_load(tail + (NR + j * VL) * sizeof(float));
            vf x = v_from(i_sub(sum[r][j], i_mul(i_set1(head.zero - A_OFFSET), sums)));
            v_store(job->t + r * NR + j * VL, v_mul(x, v_mul(scale, v_set1(head.scale))));
        }
    }
}

#ifdef TILES
#include TILES
#else
#ifdef PAIRED
/* Two rows by two columns in a vector, in which they are regrouped at the end. A row left over is
 * its own partner. */
ALWAYS_INLINE void sum_tile(size_t rows, const tile_i8 *job, vi sum[MR][NV]) {
    const unsigned char *group[MR], *panel = job->panel, *next = job->next;
    size_t pairs = (rows + 1) / 2;
    vi pair[MR / 2][NR / 2];
    UNROLL for (size_t r = 0; r < pairs; r++) {
        UNROLL for (size_t j = 0; j < NR / 2; j++) pair[r][j] = i_zero();
    }
    UNROLL for (size_t r = 0; r < 2 * pairs; r++) group[r] =
        job->a + ROW_HEAD + (r < rows ? r : rows - 1) * job->lda;
    for (const unsigned char *end = panel + job->steps * NR * GROUP; panel < end;
         panel += NR * GROUP) {
        vi a[MR / 2];
        UNROLL for (size_t r = 0; r < pairs; r++) a[r] = i_rows(group[2 * r], group[2 * r + 1]);
        UNROLL for (size_t r = 0; r < 2 * pairs; r++) group[r] += GROUP;
        UNROLL for (size_t j = 0; j < NR / 2; j++) {
            vi b = i_weights(panel + j * 2 * GROUP);
            UNROLL for (size_t r = 0; r < pairs; r++) {
                pair[r][j] = i_pairs(pair[r][j], a[r], b);
                IN_REGISTER(pair[r][j]);
            }
        }
        PREFETCH(next);
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        const vi *s = pair[r / 2];
        UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] =
            r % 2 ? i_lower(s[2 * j], s[2 * j + 1]) : i_upper(s[2 * j], s[2 * j + 1]);
    }
}
#else
ALWAYS_INLINE void sum_tile(size_t rows, const tile_i8 *job, vi sum[MR][NV]) {
    const unsigned char *group[(MR + 2) / 3], *panel = job->panel, *next = job->next;
    size_t lda = job->lda;
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t j = 0; j < NV; j++) sum[r][j] = i_zero();
    }
    UNROLL for (size_t r = 0; r < rows; r += 3) group[r / 3] = job->a + ROW_HEAD + r * lda;
    for (const unsigned char *end = panel + job->steps * NR * GROUP; panel < end;
         panel += NR * GROUP) {
        vi b[NV];
        UNROLL for (size_t j = 0; j < NV; j++) b[j] = i_weights(panel + j * VL * GROUP);
        UNROLL for (size_t r = 0; r < rows; r++) {
            vi a = i_four(group[r / 3] + r % 3 * lda);
            UNROLL for (size_t j = 0; j < NV; j++) {
                sum[r][j] = i_dot(sum[r][j], a, b[j]);
                IN_REGISTER(sum[r][j]);
            }
        }
        UNROLL for (size_t r = 0; r < rows; r += 3) group[r / 3] += GROUP * A_BYTES;
        PREFETCH(next);
    }
}
#endif

ALWAYS_INLINE void micro_i8(size_t rows, const tile_i8 *job) {
    vi sum[MR][NV];
    sum_tile(rows, job, sum);
    scale_tile(rows, job, sum);
}

static void tile_of_i8(size_t rows, const tile_i8 *job) {
    BY_HEIGHT(rows, micro_i8, job)
}

/* One panel's columns of up to BLOCK_ROWS rows. The first tile fetches the next panel. */
static void panel_of_i8(const tw_gemm_narrow *g, size_t row, size_t rows, size_t panel,
                        const unsigned char *next) {
    _Alignas(64) float t[BLOCK_ROWS * NR];
    size_t n_tiles = ceil_div(rows, MR), height = rows / n_tiles, higher = rows % n_tiles;
    tile_i8 job = {.lda = row_i8(g->to.k), .steps = ceil_div(g->to.k, GROUP), .t = t};
    job.panel = g->b + panel * panel_i8(g->to.k);
    job.a = g->a + row * job.lda;
    job.next = next;
    for (size_t i = 0; i < n_tiles; i++) {
        size_t tile_rows = height + (i < higher);
        tile_of_i8(tile_rows, &job);
        job.a += tile_rows * job.lda;
        job.t += tile_rows * NR;
        job.next = job.panel;
    }
    finish_block(&g->to, row, rows, panel * NR, min_size(g->to.n - panel * NR, NR), t, NR);
}

static void gemm_i8(const tw_gemm_narrow *g, size_t m_begin, size_t m_end, size_t panel_begin,
                    size_t panel_end) {
    size_t m = m_end - m_begin, n_blocks = ceil_div(m, BLOCK_ROWS);
    for (size_t block = 0; block < n_blocks; block++) {
        size_t row = m_begin + m * block / n_blocks;
        size_t rows = m_begin + m * (block + 1) / n_blocks - row;
        for (size_t panel = panel_begin; panel < panel_end; panel++) {
            size_t next = panel + 1 < panel_end ? panel + 1 : panel;
            panel_of_i8(g, row, rows, panel, g->b + next * panel_i8(g->to.k));
        }
    }
}
#endif
