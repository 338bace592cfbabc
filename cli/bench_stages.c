/* Where the time of a batch goes: the clock is read when the backend shows a stage. */
#include "bench.h"

#include "base/clock.h"
#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 20 };

typedef struct watch {
    char (*names)[64]; /* [BENCH_STAGES] */
    double *ms;        /* [BENCH_STAGES][REPEATS] */
    size_t at, n;      /* stages seen in this call, in all */
    int repeat;
    uint64_t since;
} watch;

static void lap(watch *w, const char *stage) {
    uint64_t now = tw_now_ns();
    if (w->at < BENCH_STAGES) {
        snprintf(w->names[w->at], sizeof w->names[0], "%s", stage);
        w->ms[w->at * REPEATS + (size_t)w->repeat] = (double)(now - w->since) / 1e6;
        w->at++;
    }
    w->since = tw_now_ns();
}

static void on_stage(void *user, const char *stage, const float *x, size_t n_rows, size_t n_columns,
                     size_t ld) {
    lap(user, stage);
}

static tw_status watch_calls(bench *v, const bench_input *in, watch *w, float *features,
                             tw_error *err) {
    TW_TRY(tw_encoder_observe(v->session.encoder, on_stage, w, err));
    tw_status status = TW_OK;
    cli_work_begin("stages", REPEATS * (size_t)v->batches[0]);
    for (w->repeat = 0; w->repeat < REPEATS && status == TW_OK; w->repeat++) {
        w->at = 0;
        w->since = tw_now_ns();
        status = bench_once(v, in, (size_t)v->batches[0], features, err);
        if (status == TW_OK) lap(w, "projection");
        cli_work_at((size_t)(w->repeat + 1) * (size_t)v->batches[0]);
    }
    cli_work_end();
    tw_encoder_observe(v->session.encoder, NULL, NULL, NULL);
    return status;
}

tw_status bench_measure_stages(bench *v, const bench_input *in, tw_error *err) {
    size_t dim = (size_t)tw_model_arch(v->session.model)->embed_dim;
    watch w = {.names = calloc(BENCH_STAGES, sizeof *w.names),
               .ms = calloc(BENCH_STAGES * REPEATS, sizeof *w.ms)};
    float *features = calloc((size_t)v->batches[0] * dim, sizeof *features);
    tw_status status;
    if (!w.names || !w.ms || !features) {
        status = tw_fail_no_memory(err, BENCH_STAGES * REPEATS * sizeof *w.ms);
        goto done;
    }
    TW_CHECK(watch_calls(v, in, &w, features, err));
    for (size_t i = 0; i < w.at && v->n_stages < BENCH_STAGES; i++) {
        bench_stage *s = &v->stages[v->n_stages++];
        s->image = in->pixels != NULL;
        memcpy(s->name, w.names[i], sizeof s->name);
        s->ms = bench_summarize(w.ms + i * REPEATS, REPEATS).median;
    }
done:
    free(w.names);
    free(w.ms);
    free(features);
    return status;
}
