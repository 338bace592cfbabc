/* Smoothing: where a few columns of a product's A are far larger than the rest, as LayerNorm's gain
 * makes them in trained models, one scale a row leaves the others few of their 8 bits. Columns of A
 * are therefore multiplied by m and those of W divided by it, which changes nothing but where the
 * rounding falls: m = sqrt(size of W's column / size of A's) over its usual value, for the columns
 * where that is far from 1. Source of the idea: SmoothQuant (Xiao et al. 2022), with its alpha at
 * 1/2.
 *
 * The size of A's columns is not measured but taken from the weights: a LayerNorm's output is gamma
 * times something of variance 1, plus beta; a product of that has the norm of W's row times gamma,
 * whatever mixes its rows afterwards. So what the data alone makes large stays as it is; and
 * the hidden values of the MLP do, whose estimate through GELU made nothing better. */
#include "model/smooth.h"

#include "base/size.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How many deviations the largest element of a normalised row is taken to be. */
static const float DEVIATIONS = 4;

/* How far from the usual factor a column's is before it is used. */
static const float OUTLIER = 3;

/* A LayerNorm as f32, [k]. */
typedef struct norm_values {
    const float *gamma, *beta;
} norm_values;

typedef struct survey_job {
    const tw_tensor *weight;
    const float *bias; /* [n], where sizes are wanted */
    norm_values norm;  /* what made A, likewise */
    size_t n, k, rows; /* rows a task looks at */
    float *columns;    /* [tasks, k] */
    float *sizes;      /* [n] or NULL */
    atomic_bool out_of_memory;
} survey_job;

/* The size of output j: deviation and mean of the row's product with gamma z + beta. */
static float output_size(const survey_job *job, const float *row, size_t j) {
    double squares = 0, mean = (double)job->bias[j];
    for (size_t i = 0; i < job->k; i++) {
        double gain = (double)row[i] * (double)job->norm.gamma[i];
        squares += gain * gain;
        mean += (double)row[i] * (double)job->norm.beta[i];
    }
    return DEVIATIONS * (float)sqrt(squares) + (float)fabs(mean);
}

static void survey_task(void *arg, int index) {
    survey_job *job = arg;
    size_t begin = (size_t)index * job->rows, rows = TW_MIN(job->n - begin, job->rows);
    float *block = malloc(rows * job->k * sizeof *block);
    float *columns = job->columns + (size_t)index * job->k;
    if (!block) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    tw_tensor_to_f32_range(job->weight, begin * job->k, rows * job->k, block);
    for (size_t i = 0; i < rows; i++) {
        const float *row = block + i * job->k;
        for (size_t p = 0; p < job->k; p++)
            columns[p] = TW_MAX(columns[p], fabsf(row[p]));
        if (job->sizes) job->sizes[begin + i] = output_size(job, row, begin + i);
    }
    free(block);
}

/* Looks over weight [n, k]: raises columns [k] to the largest magnitudes of its columns, and, where
 * sizes [n] is not NULL, sets it to the sizes its outputs have for an A that `norm` made. */
static tw_status survey(tw_pool *pool, const tw_tensor *weight, const float *bias, norm_values norm,
                        float *columns, float *sizes, tw_error *err) {
    enum { TASKS = 16 };
    size_t n = (size_t)weight->shape[0], k = (size_t)weight->shape[1];
    survey_job job = {weight, bias, norm, n, k, (n + TASKS - 1) / TASKS, NULL, sizes, false};
    job.columns = calloc(TASKS * k, sizeof *job.columns);
    if (!job.columns) return tw_fail_no_memory(err, TASKS * k * sizeof *job.columns);
    int n_tasks = (int)((n + job.rows - 1) / job.rows);
    tw_pool_run(pool, survey_task, &job, n_tasks);
    for (int i = 0; i < n_tasks; i++)
        for (size_t p = 0; p < k; p++)
            columns[p] = TW_MAX(columns[p], job.columns[(size_t)i * k + p]);
    free(job.columns);
    return atomic_load(&job.out_of_memory) ? tw_fail_no_memory(err, job.rows * k * sizeof(float))
                                           : TW_OK;
}

/* The sizes of a LayerNorm's k outputs. */
static void norm_sizes(norm_values norm, size_t k, float *sizes) {
    for (size_t p = 0; p < k; p++)
        sizes[p] = DEVIATIONS * fabsf(norm.gamma[p]) + fabsf(norm.beta[p]);
}

/* m [k] from the sizes of W's columns and of A's; whether any column stands out.
 *
 * Columns that do not stand out keep m = 1: where there is nothing to gain, evening all out costs a
 * little. A column whose weights are all 0 counts for nothing and gets m = 0; one that is 0 in A,
 * or not finite, 1. */
static bool smooth(const float *columns, const float *sizes, size_t k, float *m) {
    double logs = 0;
    size_t n = 0, n_changed = 0;
    for (size_t p = 0; p < k; p++) {
        m[p] = sqrtf(columns[p] / sizes[p]);
        if (!(m[p] > 1e-15f && m[p] < 1e15f)) continue;
        logs += log((double)m[p]);
        n++;
    }
    float usual = n > 0 ? (float)exp(logs / (double)n) : 1;
    for (size_t p = 0; p < k; p++) {
        float ratio = m[p] / usual;
        bool stands_out = m[p] > 1e-15f && m[p] < 1e15f && (ratio > OUTLIER || ratio < 1 / OUTLIER);
        m[p] = columns[p] == 0 ? 0 : stands_out ? ratio : 1;
        n_changed += stands_out;
    }
    return n_changed > 0;
}

/* ------------------------------------------------------------------------------------ blocks */

/* Memory of one search, in lines of W. */
typedef struct search {
    tw_pool *pool;
    size_t w;
    float *gamma, *beta, *bias, *columns, *in, *values;
} search;

/* The group's factors into m; *out becomes m, or NULL when no column stands out. */
static tw_status find(search *s, const tw_linear_weights *const *parts, int n_parts,
                      const float *sizes, float *values, float *m, float **out, tw_error *err) {
    norm_values norm = {s->gamma, s->beta};
    memset(s->columns, 0, s->w * sizeof *s->columns);
    for (int i = 0; i < n_parts; i++) {
        bool last = i + 1 == n_parts;
        if (last && values) tw_tensor_to_f32(&parts[i]->bias, s->bias);
        TW_TRY(survey(s->pool, &parts[i]->weight, s->bias, norm, s->columns, last ? values : NULL,
                      err));
    }
    *out = smooth(s->columns, sizes, s->w, m) ? m : NULL;
    return TW_OK;
}

static void load_norm(search *s, const tw_norm_weights *norm) {
    tw_tensor_to_f32(&norm->gamma, s->gamma);
    tw_tensor_to_f32(&norm->beta, s->beta);
    norm_sizes((norm_values){s->gamma, s->beta}, s->w, s->in);
}

static tw_status search_block(search *s, const tw_block_weights *b,
                              const tw_norm_weights *attention, const tw_norm_weights *mlp,
                              tw_block_smooth *to, tw_error *err) {
    const tw_linear_weights *qkv[] = {&b->q, &b->k, &b->v}, *out[] = {&b->out}, *fc1[] = {&b->fc1};
    float *m = to->storage;
    size_t w = s->w;
    load_norm(s, attention);
    TW_TRY(find(s, qkv, 3, s->in, s->values, m, &to->m[TW_SMOOTH_QKV], err));
    TW_TRY(find(s, out, 1, s->values, NULL, m + w, &to->m[TW_SMOOTH_OUT], err));
    load_norm(s, mlp);
    return find(s, fc1, 1, s->in, NULL, m + 2 * w, &to->m[TW_SMOOTH_FC1], err);
}

tw_status tw_block_smooth_find(tw_pool *pool, const tw_block_weights *block,
                               const tw_norm_weights *attention, const tw_norm_weights *mlp,
                               tw_block_smooth *out, tw_error *err) {
    size_t w = (size_t)block->q.weight.shape[1];
    float *lines = malloc(6 * w * sizeof *lines);
    *out = (tw_block_smooth){.storage = malloc(TW_SMOOTH_GROUPS * w * sizeof *lines)};
    tw_status status;
    if (!lines || !out->storage) {
        status = tw_fail_no_memory(err, 6 * w * sizeof *lines);
        goto done;
    }
    search s = {pool,         w, lines, lines + w, lines + 2 * w, lines + 3 * w, lines + 4 * w,
                lines + 5 * w};
    status = search_block(&s, block, attention, mlp, out, err);
done:
    free(lines);
    if (status != TW_OK) tw_block_smooth_free(out);
    return status;
}

void tw_block_smooth_free(tw_block_smooth *smooth) {
    free(smooth->storage);
    *smooth = (tw_block_smooth){0};
}

void tw_block_norms(const tw_block_weights *blocks, int32_t i, const tw_norm_weights *before,
                    const tw_norm_weights **attention, const tw_norm_weights **mlp) {
    const tw_block_weights *b = &blocks[i];
    *attention = !before ? &b->ln1 : i ? &blocks[i - 1].ln2 : before;
    *mlp = before ? &b->ln1 : &b->ln2;
}

void tw_smooth_divide(const float *m, size_t n, size_t k, float *rows) {
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < k; p++)
            rows[i * k + p] = m[p] == 0 ? rows[i * k + p] : rows[i * k + p] / m[p];
}
