/* Work split over the pool. A split never changes a result: see the kernel rule in kernels.h. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"

#include <stdlib.h>

tw_status tw_scratch_grow(tw_scratch *scratch, size_t n_floats, tw_error *err) {
    scratch->used = 0;
    if (n_floats <= scratch->n_floats) return TW_OK;
    free(scratch->memory);
    *scratch = (tw_scratch){0};
    size_t bytes;
    void *memory = NULL;
    if (!tw_mul_size(n_floats, sizeof(float), &bytes)) return tw_fail_no_memory(err, SIZE_MAX);
    TW_TRY(tw_check_room(bytes, "a batch of this size", err));
    if (posix_memalign(&memory, 64, bytes) != 0) return tw_fail_no_memory(err, bytes);
    *scratch = (tw_scratch){memory, n_floats, 0};
    return TW_OK;
}

tw_status tw_scratch_reset(tw_backend_state *s, size_t n_floats, tw_error *err) {
    return tw_scratch_grow(&s->scratch, n_floats, err);
}

float *tw_scratch_take(tw_backend_state *s, size_t n) {
    float *p = s->scratch.memory + s->scratch.used;
    s->scratch.used += tw_scratch_room(n);
    return p;
}

/* ------------------------------------------------------------------------- matrix products */

/* A grid of row chunks x panel groups. */
typedef struct product_job {
    const tw_kernels *kernels;
    tw_gemm gemm;
    tw_gemm_narrow gemm_narrow;
    const tw_narrow *narrow; /* NULL: f32 */
    size_t row_chunk, n_row_chunks;
    size_t panel_chunk, n_panels;
} product_job;

static void product_task(void *arg, int index) {
    const product_job *job = arg;
    size_t row = (size_t)index % job->n_row_chunks, group = (size_t)index / job->n_row_chunks;
    size_t m0 = row * job->row_chunk, m1 = TW_MIN(m0 + job->row_chunk, job->gemm.m);
    size_t p0 = group * job->panel_chunk, p1 = TW_MIN(p0 + job->panel_chunk, job->n_panels);
    if (job->narrow)
        job->narrow->gemm(&job->gemm_narrow, m0, m1, p0, p1);
    else
        job->kernels->gemm_f32(&job->gemm, m0, m1, p0, p1);
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* A chunk of rows stays in L2 while the weights stream past, of four tiles at least; the panels are
 * split further until there are a dozen tasks a thread, so that the last one to finish is never
 * late by much. */
static void split(product_job *job, size_t n_threads) {
    enum { ROWS = 96, TASKS_A_THREAD = 12 };
    size_t mr = job->narrow ? job->narrow->mr : job->kernels->mr, m = job->gemm.m;
    size_t wanted = n_threads == 1 ? 1 : n_threads * TASKS_A_THREAD;
    size_t chunk = ceil_div(m, ceil_div(m, TW_MAX(ROWS, 4 * mr)));
    job->row_chunk = ceil_div(chunk, mr) * mr;
    job->n_row_chunks = ceil_div(m, job->row_chunk);
    size_t groups = TW_MIN(ceil_div(wanted, job->n_row_chunks), job->n_panels);
    job->panel_chunk = ceil_div(job->n_panels, groups);
}

/* ------------------------------------------------------------------------------ quantising */

enum { QUANTIZED_ROWS = 16 };

typedef struct quantize_job {
    const tw_narrow *narrow;
    const float *x, *smooth;
    size_t ldx, rows, k;
    unsigned char *out;
} quantize_job;

static void quantize_task(void *arg, int index) {
    const quantize_job *j = arg;
    size_t i = (size_t)index * QUANTIZED_ROWS, rows = TW_MIN(j->rows - i, (size_t)QUANTIZED_ROWS);
    j->narrow->quantize(j->x + i * j->ldx, j->ldx, j->smooth, rows, j->k,
                        j->out + i * j->narrow->row(j->k));
}

void tw_run_quantize(tw_backend_state *s, const tw_narrow *narrow, const float *x, size_t ldx,
                     const float *smooth, size_t rows, size_t k, float *out) {
    quantize_job job = {narrow, x, smooth, ldx, rows, k, (unsigned char *)out};
    tw_pool_run(s->pool, quantize_task, &job, (int)ceil_div(rows, QUANTIZED_ROWS));
}

size_t tw_quantized_room(const tw_backend_state *s, size_t m, size_t k) {
    const tw_narrow *narrow = s->weights->narrow;
    return narrow ? tw_scratch_room(m * narrow->row(k) / sizeof(float)) : 0;
}

/* --------------------------------------------------------------------------------- product */

void tw_run_product(tw_backend_state *s, const tw_product *p) {
    const tw_kernels *kernels = s->kernels;
    product_job job = {
        .kernels = kernels,
        .gemm = {.a = p->a,
                 .lda = p->lda,
                 .b = p->w->packed,
                 .bias = p->w->bias,
                 .residual = p->residual,
                 .ld_residual = p->ldr,
                 .c = p->c,
                 .ldc = p->ldc,
                 .m = p->m,
                 .n = p->w->n,
                 .k = p->w->k,
                 .act = p->act,
                 .relu = p->relu},
        .n_panels = ceil_div(p->w->n, kernels->nr),
    };
    if (p->m == 0) return;
    job.narrow = p->w->narrow;
    if (job.narrow) {
        tw_run_quantize(s, job.narrow, p->a, p->lda, p->w->smooth, p->m, p->w->k, p->quantized);
        job.gemm_narrow =
            (tw_gemm_narrow){(const unsigned char *)p->quantized, p->w->packed, job.gemm};
    }
    split(&job, (size_t)tw_pool_threads(s->pool));
    size_t n_tasks = job.n_row_chunks * ceil_div(job.n_panels, job.panel_chunk);
    tw_pool_run(s->pool, product_task, &job, (int)n_tasks);
}

/* ---------------------------------------------------------------------------- layer norm */

enum { NORM_ROWS = 32 };

typedef struct norm_job {
    const tw_kernels *kernels;
    const float *x;
    size_t ldx;
    const tw_norm *norm;
    float eps;
    size_t n, d;
    float *out;
    size_t ldo;
} norm_job;

static void norm_task(void *arg, int index) {
    const norm_job *job = arg;
    size_t i = (size_t)index * NORM_ROWS, rows = TW_MIN(job->n - i, (size_t)NORM_ROWS);
    job->kernels->layer_norm_f32(job->x + i * job->ldx, job->ldx, job->norm->gamma, job->norm->beta,
                                 job->eps, rows, job->d, job->out + i * job->ldo, job->ldo);
}

void tw_run_layer_norm(tw_backend_state *s, const float *x, size_t ldx, const tw_norm *norm,
                       float eps, size_t n, size_t d, float *out, size_t ldo) {
    norm_job job = {s->kernels, x, ldx, norm, eps, n, d, out, ldo};
    tw_pool_run(s->pool, norm_task, &job, (int)ceil_div(n, NORM_ROWS));
}
