/* The processor's ceiling, on the threads of a pool. */
#include "kernels/peak.h"
#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/size.h"

enum { ROUNDS = 400000, SAMPLES = 10 };

static void run_loop(void *arg, int index) {
    const tw_peak_loop *loop = arg;
    float sink[12 * 16];
    (void)index;
    loop->run(ROUNDS, sink);
}

static int loop_of(tw_dtype precision, tw_peak_loop *loop) {
    const char *table = tw_kernels_get()->name;
    switch (precision) {
    case TW_F32:
        return tw_peak_loop_f32(table, loop);
    case TW_BF16:
        return tw_peak_loop_bf16(table, loop);
    case TW_I8:
        return tw_peak_loop_i8(table, loop);
    default:
        return 0;
    }
}

double tw_peak_gflops(tw_pool *pool, tw_dtype precision) {
    tw_peak_loop loop;
    if (!loop_of(precision, &loop)) return 0;
    int n = tw_pool_threads(pool);
    double best = 0;
    /* Several tasks a thread: one that loses its core for a moment does not spoil the sample. */
    enum { TASKS = 4 };
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t begin = tw_now_ns();
        tw_pool_run(pool, run_loop, &loop, n * TASKS);
        double ns = (double)(tw_now_ns() - begin);
        best = TW_MAX(best, loop.operations * ROUNDS * TASKS * n / ns);
    }
    return best;
}
