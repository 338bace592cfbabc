/* Pictures of a batch side by side: a lane takes a few of them at a time through layers, on one
 * thread. Threads meet once a batch instead of some hundred times, and what lies between two layers
 * is a few pictures' worth, not the batch's, so that it stays in the caches. Pictures that would
 * not keep every thread busy are computed by all threads together. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"

#include <stdlib.h>

/* Fewer rows at a time would wait for the weights: they are read once for all of them. */
enum { ROWS_AT_A_TIME = 192 };

typedef struct lane {
    tw_backend_state state; /* computes on the thread that calls */
    tw_status status;
    tw_error error;
} lane;

struct tw_lanes {
    size_t n;
    lane lanes[];
};

void tw_lanes_free(tw_lanes *lanes) {
    for (size_t i = 0; lanes && i < lanes->n; i++)
        free(lanes->lanes[i].state.scratch.memory);
    free(lanes);
}

static tw_status lanes_make(tw_backend_state *s, tw_error *err) {
    size_t n = (size_t)tw_pool_threads(s->pool), size = sizeof *s->lanes + n * sizeof(lane);
    if (s->lanes) return TW_OK;
    s->lanes = calloc(1, size);
    if (!s->lanes) return tw_fail_no_memory(err, size);
    s->lanes->n = n;
    for (size_t i = 0; i < n; i++) {
        tw_backend_state *state = &s->lanes->lanes[i].state;
        *state = *s;
        state->pool = NULL;
        state->lanes = NULL;
        state->scratch = (tw_scratch){0};
    }
    return TW_OK;
}

typedef struct lanes_job {
    tw_lanes *lanes;
    tw_lane_work work;
    void *arg;
    size_t n, at_a_time; /* pictures */
    _Atomic size_t next;
} lanes_job;

static void lane_task(void *arg, int index) {
    lanes_job *j = arg;
    lane *l = &j->lanes->lanes[index];
    size_t i;
    l->status = TW_OK;
    while (l->status == TW_OK && (i = atomic_fetch_add(&j->next, j->at_a_time)) < j->n)
        l->status = j->work(&l->state, j->arg, i, j->at_a_time, &l->error);
}

/* Rows that one picture puts before the widest products. */
static size_t rows_a_picture(const tw_vision_config *c) {
    size_t grid =
        (size_t)(c->kind == TW_VISION_VIT ? c->image_size / c->patch_size : c->image_size / 16);
    return grid * grid;
}

/* The first job->n pictures, a multiple of what all lanes take at a time. */
static tw_status run_lanes(tw_backend_state *s, lanes_job *job, tw_error *err) {
    TW_TRY(lanes_make(s, err));
    job->lanes = s->lanes;
    tw_pool_run(s->pool, lane_task, job, (int)s->lanes->n);
    for (size_t i = 0; i < s->lanes->n; i++) {
        const lane *l = &s->lanes->lanes[i];
        if (l->status == TW_OK) continue;
        if (err) *err = l->error;
        return l->status;
    }
    return TW_OK;
}

tw_status tw_run_lanes(tw_backend_state *s, size_t n, tw_lane_work work, void *arg, tw_error *err) {
    size_t rows = rows_a_picture(&s->model->arch.vision);
    lanes_job job = {.work = work, .arg = arg, .at_a_time = (ROWS_AT_A_TIME + rows - 1) / rows};
    size_t turn = job.at_a_time * (size_t)tw_pool_threads(s->pool);
    /* An observer wants each stage once, of the whole batch. */
    job.n = tw_observed(s) ? 0 : n / turn * turn;
    if (job.n > 0) TW_TRY(run_lanes(s, &job, err));
    return job.n == n ? TW_OK : work(s, arg, job.n, n - job.n, err);
}
