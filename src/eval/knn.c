#include "eval/knn.h"

#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES = 8, /* rows of the gallery side by side in a panel [dim][LANES] */
    GROUP = 4, /* queries that go through a panel together */
    TASK_QUERIES = 32
};

tw_status tw_knn_create(size_t n_queries, size_t k, tw_knn *out, tw_error *err) {
    size_t n = 0;
    *out = (tw_knn){.n_queries = n_queries, .k = k};
    if (tw_mul_size(n_queries, k, &n) && n < SIZE_MAX / 16) {
        out->scores = malloc(TW_MAX(n, (size_t)1) * sizeof *out->scores);
        out->ids = malloc(TW_MAX(n, (size_t)1) * sizeof *out->ids);
        out->n = calloc(TW_MAX(n_queries, (size_t)1), sizeof *out->n);
    }
    if (out->scores && out->ids && out->n) return TW_OK;
    tw_knn_free(out);
    return tw_fail_no_memory(err, n * (sizeof *out->scores + sizeof *out->ids));
}

void tw_knn_free(tw_knn *knn) {
    free(knn->scores);
    free(knn->ids);
    free(knn->n);
    *knn = (tw_knn){0};
}

/* Equal ones are not better: who comes later goes behind. */
static bool better(float a, float b) {
    return a > b || (isnan(b) && !isnan(a));
}

static void insert(tw_knn *knn, size_t query, float score, int64_t id) {
    float *scores = knn->scores + query * knn->k;
    int64_t *ids = knn->ids + query * knn->k;
    size_t n = knn->n[query];
    if (n == knn->k && !better(score, scores[n - 1])) return;
    size_t at = n < knn->k ? n : n - 1;
    for (; at > 0 && better(score, scores[at - 1]); at--) {
        scores[at] = scores[at - 1];
        ids[at] = ids[at - 1];
    }
    scores[at] = score;
    ids[at] = id;
    knn->n[query] = TW_MIN(n + 1, knn->k);
}

typedef struct search {
    tw_knn *knn;
    const float *queries, *panels;
    const int64_t *ids;
    size_t dim, n;
} search;

/* out [GROUP][LANES] = queries [GROUP, dim] times a panel. */
static void multiply(const float *queries, size_t dim, const float *panel,
                     float out[GROUP][LANES]) {
    double sums[GROUP][LANES] = {{0}};
    for (size_t d = 0; d < dim; d++)
        for (size_t q = 0; q < GROUP; q++)
            for (size_t j = 0; j < LANES; j++)
                sums[q][j] += (double)queries[q * dim + d] * (double)panel[d * LANES + j];
    for (size_t q = 0; q < GROUP; q++)
        for (size_t j = 0; j < LANES; j++)
            out[q][j] = (float)sums[q][j];
}

/* `n` queries from `first`, at most GROUP, through all panels. */
static void search_group(const search *s, size_t first, size_t n, float *padded) {
    memset(padded, 0, GROUP * s->dim * sizeof *padded);
    memcpy(padded, s->queries + first * s->dim, n * s->dim * sizeof *padded);
    for (size_t begin = 0; begin < s->n; begin += LANES) {
        float scores[GROUP][LANES];
        multiply(padded, s->dim, s->panels + begin * s->dim, scores);
        for (size_t q = 0; q < n; q++)
            for (size_t j = 0; j < LANES && begin + j < s->n; j++)
                insert(s->knn, first + q, scores[q][j], s->ids[begin + j]);
    }
}

typedef struct job {
    search s;
    float *padded; /* [n_tasks][GROUP, dim] */
} job;

static void run_task(void *arg, int index) {
    const job *j = arg;
    size_t first = (size_t)index * TASK_QUERIES;
    size_t end = TW_MIN(first + TASK_QUERIES, j->s.knn->n_queries);
    for (size_t q = first; q < end; q += GROUP)
        search_group(&j->s, q, TW_MIN((size_t)GROUP, end - q),
                     j->padded + (size_t)index * GROUP * j->s.dim);
}

/* The gallery as panels, zeros after its last row. */
static float *pack(const float *gallery, size_t n, size_t dim) {
    size_t n_panels = (n + LANES - 1) / LANES;
    float *panels = calloc(n_panels * LANES, dim * sizeof *panels);
    for (size_t i = 0; panels && i < n; i++)
        for (size_t d = 0; d < dim; d++)
            panels[(i / LANES * dim + d) * LANES + i % LANES] = gallery[i * dim + d];
    return panels;
}

tw_status tw_knn_add(tw_knn *knn, tw_pool *pool, const float *queries, size_t dim,
                     const float *gallery, const int64_t *ids, size_t n, tw_error *err) {
    if (!n || !knn->n_queries || !knn->k) return TW_OK;
    size_t n_tasks = (knn->n_queries + TASK_QUERIES - 1) / TASK_QUERIES;
    float *panels = pack(gallery, n, dim);
    float *padded = calloc(n_tasks, GROUP * dim * sizeof *padded);
    tw_status status = TW_OK;
    if (panels && padded) {
        job j = {{knn, queries, panels, ids, dim, n}, padded};
        tw_pool_run(pool, run_task, &j, (int)n_tasks);
    } else {
        status = tw_fail_no_memory(err, n * dim * sizeof *panels);
    }
    free(padded);
    free(panels);
    return status;
}
