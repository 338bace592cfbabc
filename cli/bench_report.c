#include "bench.h"

#include "output.h"

#include <math.h>
#include <string.h>

static const char *tower_word(bool image) {
    return image ? "image" : "text";
}

void bench_put_lines(bench *v, const bench_result *r) {
    const bench_statistics *s = &r->ms;
    const char *what = tower_word(r->image);
    tw_buffer_printf(&v->out,
                     "[tuwen %s inference speed (batch-size: %d):] mean=%.2fms, sd=%.2fms, "
                     "min=%.2fms, max=%.2fms, median=%.2fms, 95p=%.2fms, 99p=%.2fms\n",
                     what, r->batch, s->mean, s->sd, s->min, s->max, s->median, s->p95, s->p99);
    tw_buffer_printf(&v->out,
                     "%.3f ms per %s, %.1f per second (mean / batch-size), %.2f processors busy\n",
                     s->mean / r->batch, what, bench_per_second(r), s->processors);
    tw_buffer_printf(&v->out, "%.1f GFLOP/s", bench_gflops(r));
    if (r->peak > 0)
        tw_buffer_printf(&v->out, ", %.0f %% of the %.0f that these threads can do",
                         100 * bench_gflops(r) / r->peak, r->peak);
    tw_buffer_puts(&v->out, "\n");
}

void bench_put_stages(bench *v) {
    double sums[2] = {0, 0};
    for (size_t i = 0; i < v->n_stages; i++)
        sums[v->stages[i].image] += v->stages[i].ms;
    for (size_t i = 0; i < v->n_stages; i++) {
        const bench_stage *s = &v->stages[i];
        if (i == 0 || s->image != v->stages[i - 1].image)
            tw_buffer_printf(&v->out, "%s, batch %d: median of each stage\n", tower_word(s->image),
                             v->batches[0]);
        tw_buffer_printf(&v->out, "  %-40s %9.3f ms %5.1f %%\n", s->name, s->ms,
                         100 * s->ms / fmax(sums[s->image], 1e-9));
    }
}

void bench_put_table(bench *v) {
    tw_buffer *b = &v->out;
    if (v->sweep)
        tw_buffer_printf(b, "%-6s %7s %6s %11s %11s %11s %8s %6s\n", "tower", "threads", "batch",
                         "median ms", "per second", "GFLOP/s", "of peak", "busy");
    for (size_t i = 0; v->sweep && i < v->n_results; i++) {
        const bench_result *r = &v->results[i];
        tw_buffer_printf(b, "%-6s %7d %6d %11.3f %11.1f %11.1f ", tower_word(r->image), r->threads,
                         r->batch, r->ms.median, bench_per_second(r), bench_gflops(r));
        if (r->peak > 0)
            tw_buffer_printf(b, "%6.0f %%", 100 * bench_gflops(r) / r->peak);
        else
            tw_buffer_printf(b, "%8s", "-");
        tw_buffer_printf(b, " %6.2f\n", r->ms.processors);
    }
    bench_put_stages(v);
    tw_buffer_printf(b, "start-up %.1f ms, peak memory %.1f MB\n", v->startup_ms,
                     bench_peak_bytes() / 1e6);
}

/* ------------------------------------------------------------------------------------- JSON */

static void put_statistics(tw_buffer *b, const bench_result *r) {
    const bench_statistics *s = &r->ms;
    cli_json_number(b, "mean_ms", s->mean);
    cli_json_number(b, "sd_ms", s->sd);
    cli_json_number(b, "min_ms", s->min);
    cli_json_number(b, "max_ms", s->max);
    cli_json_number(b, "median_ms", s->median);
    cli_json_number(b, "p95_ms", s->p95);
    cli_json_number(b, "p99_ms", s->p99);
    cli_json_number(b, "ms_per_item", s->mean / r->batch);
    cli_json_number(b, "items_per_second", bench_per_second(r));
    cli_json_number(b, "processors_busy", s->processors);
    cli_json_number(b, "gflop", r->flop / 1e9);
    cli_json_number(b, "gflops", bench_gflops(r));
    if (r->peak > 0) cli_json_number(b, "peak_gflops", r->peak);
}

static void put_runs(bench *v) {
    tw_buffer *b = &v->out;
    if (v->sweep) tw_buffer_puts(b, "\"runs\": [");
    for (size_t i = 0; i < v->n_results; i++) {
        const bench_result *r = &v->results[i];
        if (v->sweep)
            tw_buffer_printf(b, "%s{\"tower\": \"%s\", \"threads\": %d, \"batch_size\": %d",
                             i ? ", " : "", tower_word(r->image), r->threads, r->batch);
        else
            tw_buffer_printf(b, "%s\"%s\": {", i ? ", " : "", tower_word(r->image));
        put_statistics(b, r);
        tw_buffer_puts(b, "}");
    }
    if (v->sweep) tw_buffer_puts(b, "]");
}

static void put_json_stages(bench *v) {
    tw_buffer *b = &v->out;
    if (!v->n_stages) return;
    tw_buffer_puts(b, ", \"stages\": [");
    for (size_t i = 0; i < v->n_stages; i++) {
        const bench_stage *s = &v->stages[i];
        tw_buffer_puts(b, i ? ", {" : "{");
        cli_json_member(b, "tower", tower_word(s->image));
        cli_json_member(b, "name", s->name);
        cli_json_number(b, "median_ms", s->ms);
        tw_buffer_puts(b, "}");
    }
    tw_buffer_puts(b, "]");
}

void bench_put_json(bench *v) {
    tw_buffer *b = &v->out;
    tw_buffer_puts(b, "{");
    put_runs(v);
    put_json_stages(v);
    cli_json_number(b, "startup_ms", v->startup_ms);
    cli_json_number(b, "peak_rss_bytes", bench_peak_bytes());
    if (!v->sweep) cli_json_number(b, "batch_size", v->batches[0]);
    cli_json_number(b, "n", v->n);
    cli_json_number(b, "warmup", v->warmup);
    tw_buffer_puts(b, ", ");
    cli_json_used(b, &v->session, v->session.recipe.size != 0);
    tw_buffer_puts(b, "}\n");
}
