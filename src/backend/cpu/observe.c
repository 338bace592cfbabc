/* Watching a forward pass: TUWEN_DUMP=FOLDER saves each named stage as FOLDER/STAGE.npy (f32, rows
 * x columns, the latest batch), TUWEN_TRACE=1 logs each stage's time, shape, range and NaN count.
 */
#include "backend/cpu/cpu.h"

#include "base/clock.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void dump(const char *folder, const char *stage, const float *x, size_t n_rows,
                 size_t n_columns, size_t ld) {
    char path[4096];
    tw_output out;
    const int64_t shape[2] = {(int64_t)n_rows, (int64_t)n_columns};
    if ((size_t)snprintf(path, sizeof path, "%s/%s.npy", folder, stage) >= sizeof path) return;
    /* A debugging aid: a folder that cannot be written must not fail the computation. */
    if (tw_output_open(path, &out, NULL) != TW_OK) return;
    tw_status status = tw_npy_write_header(&out, TW_F32, 2, shape, NULL);
    for (size_t i = 0; i < n_rows && status == TW_OK; i++)
        status = tw_output_write(&out, x + i * ld, n_columns * sizeof *x, NULL);
    if (status == TW_OK) tw_output_commit(&out, NULL);
    tw_output_abort(&out);
}

static void trace(tw_backend_state *s, const char *stage, const float *x, size_t n_rows,
                  size_t n_columns, size_t ld) {
    double low = INFINITY, high = -INFINITY, sum = 0;
    size_t n_nan = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < n_columns; k++) {
            double v = (double)x[i * ld + k];
            n_nan += v != v;
            low = fmin(low, v);
            high = fmax(high, v);
            sum += v;
        }
    uint64_t now = tw_now_ns();
    tw_log(&s->hooks, TW_LOG_INFO, "trace: %8.3f ms %s [%zu, %zu] min %g max %g mean %g nan %zu",
           s->trace_ns ? (double)(now - s->trace_ns) / 1e6 : 0.0, stage, n_rows, n_columns, low,
           high, sum / (double)(n_rows * n_columns), n_nan);
    s->trace_ns = tw_now_ns();
}

bool tw_observed(const tw_backend_state *s) {
    return s->observer || s->dump_folder || s->trace;
}

void tw_observe(tw_backend_state *s, const char *stage, const float *x, size_t n_rows,
                size_t n_columns, size_t ld) {
    if (s->dump_folder) dump(s->dump_folder, stage, x, n_rows, n_columns, ld);
    if (s->trace) trace(s, stage, x, n_rows, n_columns, ld);
    if (s->observer) s->observer(s->observer_user, stage, x, n_rows, n_columns, ld);
}

void tw_observe_by_environment(tw_backend_state *s) {
    const char *switched = getenv("TUWEN_TRACE");
    s->dump_folder = getenv("TUWEN_DUMP");
    s->trace = switched && strcmp(switched, "0") != 0;
}
