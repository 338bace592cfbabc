/* tuwen bench, in parts: what is timed (bench_run.c), stages (bench_stages.c), and how it is shown
 * (bench_report.c, bench_html.c). */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "session.h"

typedef struct bench_statistics {
    double mean, sd, min, max, median, p95, p99; /* ms of a batch */
    double processors;                           /* busy on average: their time over the clock's */
} bench_statistics;

/* One tower with so many threads and rows a batch. */
typedef struct bench_result {
    bool image;
    int threads, batch;
    bench_statistics ms;
    double flop; /* of one item */
    double peak; /* 10^9 operations a second that these threads can do, in f32; 0: not known */
} bench_result;

/* Part of a tower, from the end of the stage before it; the last has no name in docs/MODEL.md. */
typedef struct bench_stage {
    bool image;
    char name[64];
    double ms; /* median */
} bench_stage;

enum { BENCH_MOST = 64, BENCH_STAGES = 256 };

typedef struct bench {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    const char *image, *text, *batch_list, *thread_list, *html;
    int n, warmup, context_length;
    bool vision_only, text_only, with_stages, pipeline;
    cli_texts operands;

    int batches[BENCH_MOST], threads[BENCH_MOST];
    size_t n_batches, n_threads;
    bool sweep;        /* a table instead of the lines of speed_benchmark */
    double startup_ms; /* from the options to a model that can compute */
    cli_session session;
    int32_t n_tokens; /* of the text that is timed */

    bench_result results[2 * BENCH_MOST * BENCH_MOST];
    size_t n_results;
    bench_stage stages[BENCH_STAGES];
    size_t n_stages;
    tw_buffer out;
} bench;

/* What goes into a tower: one of the two, repeated to the largest batch. */
typedef struct bench_input {
    float *pixels;
    int32_t *ids;
    int32_t length;
} bench_input;

tw_status bench_input_make(bench *v, bool image, bench_input *out, tw_error *err);
void bench_input_free(bench_input *in);
tw_status bench_once(bench *v, const bench_input *in, size_t batch, float *features, tw_error *err);

/* All that was asked for with the session that is open; adds to results and stages. */
tw_status bench_measure(bench *v, tw_error *err);
/* Where the time of a batch goes. Errors: TW_ERR_UNSUPPORTED (the backend shows no stages). */
tw_status bench_measure_stages(bench *v, const bench_input *in, tw_error *err);
/* Of `n` samples, which are put in order. */
bench_statistics bench_summarize(double *ms, size_t n);

double bench_per_second(const bench_result *r);
double bench_gflops(const bench_result *r);
/* Of memory that was resident at once. */
double bench_peak_bytes(void);

/* --pipeline: pictures of the operands, with the session that is open. Returns the status to exit
 * with. */
int bench_pipeline(bench *v);

/* The lines of speed_benchmark for one result. */
void bench_put_lines(bench *v, const bench_result *r);
void bench_put_table(bench *v);
void bench_put_stages(bench *v);
void bench_put_json(bench *v);
/* One page without anything from elsewhere. */
tw_status bench_write_html(bench *v, tw_error *err);

#endif
