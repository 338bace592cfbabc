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
#include "backend/cpu/smooth.h"

#include "base/pool.h"
#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many deviations the largest element of a normalised row is taken to be. */
static const float DEVIATIONS = 4;

/* How far from the usual factor a column's is before it is used. */
static const float OUTLIER = 3;

typedef struct survey_job {
    const tw_tensor *weight;
    const float *bias;   /* [n] or NULL */
    const tw_norm *norm; /* of A, or NULL */
    size_t n, k, rows;   /* rows a task looks at */
    float *columns;      /* [tasks, k] */
    float *sizes;        /* [n] or NULL */
    atomic_bool out_of_memory;
} survey_job;

/* The size of output j: deviation and mean of the row's product with gamma z + beta. */
static float output_size(const survey_job *job, const float *row, size_t j) {
    double squares = 0, mean = job->bias ? (double)job->bias[j] : 0;
    for (size_t i = 0; i < job->k; i++) {
        double gain = (double)row[i] * (double)job->norm->gamma[i];
        squares += gain * gain;
        mean += (double)row[i] * (double)job->norm->beta[i];
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

tw_status tw_survey(tw_pool *pool, const tw_tensor *weight, const float *bias, const tw_norm *norm,
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

void tw_norm_sizes(const tw_norm *norm, size_t k, float *sizes) {
    for (size_t p = 0; p < k; p++)
        sizes[p] = DEVIATIONS * fabsf(norm->gamma[p]) + fabsf(norm->beta[p]);
}

/* Columns that do not stand out keep m = 1: where there is nothing to gain, evening all out costs a
 * little. A column whose weights are all 0 counts for nothing and gets m = 0; one that is 0 in A,
 * or not finite, 1. */
bool tw_smooth(const float *columns, const float *sizes, size_t k, float *m) {
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
