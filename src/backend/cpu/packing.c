#include "backend/cpu/packing.h"

#include "base/file.h"
#include "base/pool.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

tw_status tw_own(tw_loader *l, size_t n_floats, float **out) {
    tw_weights *w = l->weights;
    if (w->n_owned == w->capacity_owned) {
        size_t grown = w->capacity_owned ? 2 * w->capacity_owned : 64;
        void **p = realloc(w->owned, grown * sizeof *p);
        if (!p) return tw_fail_no_memory(l->err, grown * sizeof *p);
        w->owned = p;
        w->capacity_owned = grown;
    }
    size_t bytes;
    void *memory = NULL;
    if (!tw_mul_size(n_floats, sizeof(float), &bytes) || posix_memalign(&memory, 64, bytes) != 0)
        return tw_fail_no_memory(l->err, n_floats * sizeof(float));
    w->owned[w->n_owned++] = memory;
    *out = memory;
    return TW_OK;
}

tw_status tw_load_floats(tw_loader *l, const tw_tensor *t, float **out) {
    *out = NULL;
    if (!t->data) return TW_OK;
    TW_TRY(tw_own(l, tw_tensor_elements(t), out));
    tw_tensor_to_f32(t, *out);
    return TW_OK;
}

size_t tw_packed_floats(const tw_kernels *k, const tw_narrow *narrow, size_t n, size_t columns) {
    size_t panels = (n + k->nr - 1) / k->nr;
    return narrow ? panels * narrow->panel(columns) / sizeof(float) : panels * k->nr * columns;
}

tw_status tw_own_packed(tw_loader *l, tw_matrix *to) {
    float *memory;
    TW_TRY(tw_own(l, tw_packed_floats(l->kernels, to->narrow, to->n, to->k), &memory));
    to->packed = memory;
    if (to->narrow) l->weights->narrow = to->narrow;
    return TW_OK;
}

/* ------------------------------------------------------------------------------- packing */

typedef struct pack_job {
    const tw_kernels *kernels;
    const tw_tensor *weight;
    size_t n, k;
    tw_row_filter filter;
    const void *context;
    const tw_matrix *to;
    bool stored;        /* weight is f32, bf16 or int8 as it is wanted */
    const float *scale; /* [n] of stored int8 */
    atomic_bool out_of_memory;
} pack_job;

/* Panels a task packs: few, so that threads end together. */
enum { PACK_PANELS = 2 };

/* block [n, k] to `to`. */
static void pack_floats(const tw_kernels *kernels, const tw_narrow *narrow, const float *block,
                        size_t n, size_t k, void *to) {
    size_t panels = (n + kernels->nr - 1) / kernels->nr;
    if (narrow)
        narrow->pack(block, k, n, k, 0, panels, to);
    else
        kernels->pack_f32(block, k, n, k, 0, panels, to);
}

static void pack_stored(const pack_job *job, size_t row, size_t n, void *to) {
    size_t size = tw_dtype_bytes(job->weight->dtype);
    const void *from = (const unsigned char *)job->weight->data + row * job->k * size;
    if (job->scale)
        job->kernels->pack_stored_i8(from, job->scale + row, n, job->k, 0, 1, to);
    else if (job->weight->dtype == TW_BF16)
        job->kernels->pack_stored_bf16(from, n, job->k, 0, 1, to);
    else
        pack_floats(job->kernels, job->to->narrow, from, n, job->k, to);
}

/* The panel of n rows from `row` on; `block` has room for them, or is NULL where they are stored.
 */
static void pack_panel(const pack_job *job, size_t row, size_t n, float *block) {
    float *to =
        (float *)job->to->packed + tw_packed_floats(job->kernels, job->to->narrow, row, job->k);
    if (job->stored) {
        pack_stored(job, row, n, to);
        return;
    }
    tw_tensor_to_f32_range(job->weight, row * job->k, n * job->k, block);
    if (job->filter) job->filter(job->context, row, n, job->k, block);
    pack_floats(job->kernels, job->to->narrow, block, n, job->k, to);
}

static void pack_task(void *arg, int index) {
    pack_job *job = arg;
    size_t nr = job->kernels->nr, begin = (size_t)index * PACK_PANELS * nr;
    size_t end = TW_MIN(begin + PACK_PANELS * nr, job->n);
    float *block = job->stored ? NULL : malloc(nr * job->k * sizeof *block);
    if (!job->stored && !block) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    for (size_t row = begin; row < end; row += nr)
        pack_panel(job, row, TW_MIN(nr, end - row), block);
    free(block);
}

static tw_status run(tw_loader *l, pack_job *job) {
    size_t panels = (job->n + l->kernels->nr - 1) / l->kernels->nr;
    tw_pool_run(l->pool, pack_task, job, (int)((panels + PACK_PANELS - 1) / PACK_PANELS));
    if (atomic_load(&job->out_of_memory))
        return tw_fail_no_memory(l->err, l->kernels->nr * job->k * sizeof(float));
    tw_drop_pages(job->weight->data, job->n * job->k * tw_dtype_bytes(job->weight->dtype));
    return TW_OK;
}

tw_status tw_pack(tw_loader *l, const tw_tensor *weight, tw_row_filter filter, const void *context,
                  const tw_matrix *to) {
    pack_job job = {l->kernels, weight, to->n, to->k, filter, context, to, false, NULL, false};
    bool as_wanted = weight->dtype == TW_BF16
                         ? to->narrow == &l->kernels->bf16
                         : weight->dtype == TW_F32 && (uintptr_t)weight->data % sizeof(float) == 0;
    job.stored = as_wanted && !filter && tw_tensor_is_c_order(weight);
    return run(l, &job);
}

tw_status tw_pack_int8(tw_loader *l, const tw_tensor *weight, const tw_matrix *to) {
    float *scale = malloc(to->n * sizeof *scale);
    if (!scale) return tw_fail_no_memory(l->err, to->n * sizeof *scale);
    memcpy(scale, weight->row_scale, to->n * sizeof *scale);
    pack_job job = {l->kernels, weight, to->n, to->k, NULL, NULL, to, true, scale, false};
    tw_status status = run(l, &job);
    free(scale);
    return status;
}

tw_status tw_load_linear(tw_loader *l, const tw_narrow *narrow, const tw_linear_weights *from,
                         tw_matrix *to) {
    *to = (tw_matrix){.narrow = narrow};
    to->n = (size_t)from->weight.shape[0];
    to->k = (size_t)from->weight.shape[1];
    TW_TRY(tw_own_packed(l, to));
    TW_TRY(tw_pack(l, &from->weight, NULL, NULL, to));
    return tw_load_floats(l, &from->bias, &to->bias);
}

/* ---------------------------------------------------------------------------------- heads */

typedef struct heads_job {
    const tw_kernels *kernels;
    const tw_tensor *weight;
    size_t d, k; /* rows of a head, columns */
    bool transposed;
    const tw_matrix *to;
    atomic_bool out_of_memory;
} heads_job;

static void heads_task(void *arg, int index) {
    heads_job *job = arg;
    size_t n = job->d * job->k;
    const tw_matrix *to = &job->to[index];
    float *rows = malloc(2 * n * sizeof *rows);
    if (!rows) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    float *columns = rows + n;
    tw_tensor_to_f32_range(job->weight, (size_t)index * n, n, rows);
    for (size_t i = 0; job->transposed && i < n; i++)
        columns[i] = rows[i % job->d * job->k + i / job->d];
    pack_floats(job->kernels, to->narrow, job->transposed ? columns : rows, to->n, to->k,
                to->packed);
    free(rows);
}

tw_status tw_load_heads(tw_loader *l, const tw_narrow *narrow, const tw_tensor *weight,
                        size_t n_heads, bool transposed, tw_matrix **out) {
    size_t d = (size_t)weight->shape[0] / n_heads, k = (size_t)weight->shape[1];
    float *memory;
    TW_TRY(tw_own(l, n_heads * sizeof(tw_matrix) / sizeof(float) + 1, &memory));
    *out = (tw_matrix *)(void *)memory;
    for (size_t i = 0; i < n_heads; i++) {
        (*out)[i] = (tw_matrix){.narrow = narrow, .n = transposed ? k : d, .k = transposed ? d : k};
        TW_TRY(tw_own_packed(l, &(*out)[i]));
    }
    heads_job job = {l->kernels, weight, d, k, transposed, *out, false};
    tw_pool_run(l->pool, heads_task, &job, (int)n_heads);
    if (atomic_load(&job.out_of_memory))
        return tw_fail_no_memory(l->err, 2 * d * k * sizeof(float));
    tw_drop_pages(weight->data, d * n_heads * k * tw_dtype_bytes(weight->dtype));
    return TW_OK;
}
