/* tuwen bench: how long the towers take, in the words of Chinese-CLIP's speed_benchmark. */
#include "base/clock.h"
#include "base/file.h"
#include "base/size.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct bench {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    const char *image, *text;
    int n, warmup, context_length;
    bool vision_only, text_only;
    cli_texts operands;
    double startup_ms; /* from the options to a model that can compute */
    cli_session session;
    tw_buffer out;
} bench;

#define AT(field) offsetof(bench, field)
static const cli_option options[] = {
    {"n", 'n', CLI_INT, "N", "how many times (100)", AT(n), 1, 1000000},
    {"warmup", 0, CLI_INT, "N", "times before that, not counted (10)", AT(warmup), 0, 1000000},
    {"image", 0, CLI_TEXT, "FILE", "the picture (default: drawn)", AT(image), 0, 0},
    {"text", 0, CLI_TEXT, "TEXT", "the text (杰尼龟)", AT(text), 0, 0},
    {"context-length", 0, CLI_INT, "N", "its tokens at most (the model's own)", AT(context_length),
     2, 512},
    {"vision-only", 0, CLI_FLAG, NULL, "the image tower alone", AT(vision_only), 0, 0},
    {"text-only", 0, CLI_FLAG, NULL, "the text tower alone", AT(text_only), 0, 0},
    {"loop", 0, CLI_INT, "N", NULL, AT(n), 1, 1000000},
    {"iterations", 0, CLI_INT, "N", NULL, AT(n), 1, 1000000},
    {0}};
#undef AT

/* ------------------------------------------------------------------------------- statistics */

typedef struct statistics {
    double mean, sd, min, max, median, p95, p99; /* ms */
    double processors;                           /* busy on average: their time over the clock's */
} statistics;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between the samples around (n - 1) q. */
static double percentile(const double *sorted, size_t n, double q) {
    double at = (double)(n - 1) * q;
    size_t below = (size_t)at;
    if (below + 1 >= n) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

static statistics summarize(double *ms, size_t n) {
    statistics s = {0};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += ms[i];
    s.mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (ms[i] - s.mean) * (ms[i] - s.mean);
    s.sd = sqrt(squares / (double)n); /* of the population */
    qsort(ms, n, sizeof *ms, ascending);
    s.min = ms[0];
    s.max = ms[n - 1];
    s.median = percentile(ms, n, 0.5);
    s.p95 = percentile(ms, n, 0.95);
    s.p99 = percentile(ms, n, 0.99);
    return s;
}

static void put_text(bench *v, const char *what, const statistics *s) {
    tw_buffer_printf(&v->out,
                     "[tuwen %s inference speed (batch-size: %d):] mean=%.2fms, sd=%.2fms, "
                     "min=%.2fms, max=%.2fms, median=%.2fms, 95p=%.2fms, 99p=%.2fms\n",
                     what, v->session.batch, s->mean, s->sd, s->min, s->max, s->median, s->p95,
                     s->p99);
    tw_buffer_printf(
        &v->out, "%.3f ms per %s, %.1f per second (mean / batch-size), %.2f processors busy\n",
        s->mean / v->session.batch, what, 1000 * v->session.batch / s->mean, s->processors);
}

static void put_json(bench *v, const char *what, const statistics *s) {
    tw_buffer *b = &v->out;
    tw_buffer_printf(b, "%s\"%s\": {", b->n_bytes > 1 ? ", " : "", what);
    cli_json_number(b, "mean_ms", s->mean);
    cli_json_number(b, "sd_ms", s->sd);
    cli_json_number(b, "min_ms", s->min);
    cli_json_number(b, "max_ms", s->max);
    cli_json_number(b, "median_ms", s->median);
    cli_json_number(b, "p95_ms", s->p95);
    cli_json_number(b, "p99_ms", s->p99);
    cli_json_number(b, "ms_per_item", s->mean / v->session.batch);
    cli_json_number(b, "items_per_second", 1000 * v->session.batch / s->mean);
    cli_json_number(b, "processors_busy", s->processors);
    tw_buffer_puts(b, "}");
}

/* ------------------------------------------------------------------------------------ inputs */

/* [batch, 3, R, R]: one picture, preprocessed once and repeated. */
static tw_status make_pixels(bench *v, float **out, tw_error *err) {
    size_t r = (size_t)v->session.recipe.size, n = 3 * r * r, batch = (size_t)v->session.batch;
    float *pixels = calloc(batch * n, sizeof *pixels);
    uint8_t *data = NULL;
    size_t n_bytes = 0;
    tw_status status = TW_OK;
    *out = pixels;
    if (!pixels) return tw_fail_no_memory(err, batch * n * sizeof *pixels);
    if (v->image) {
        TW_CHECK(tw_read_file(v->image, (size_t)256 << 20, &data, &n_bytes, err));
        status = tw_preprocess_f32(&v->session.recipe, data, n_bytes, NULL, pixels, err);
        if (status != TW_OK) tw_error_context(err, "%s", v->image);
    } else {
        uint8_t *drawn = malloc(n);
        if (!drawn) return tw_fail_no_memory(err, n);
        for (size_t i = 0; i < n; i++)
            drawn[i] = (uint8_t)((i * 2654435761u) >> 13);
        status = tw_preprocess_pixels(&v->session.recipe, drawn, (uint32_t)r, (uint32_t)r, 3 * r, 3,
                                      pixels, err);
        free(drawn);
    }
    for (size_t i = 1; i < batch && status == TW_OK; i++)
        memcpy(pixels + i * n, pixels, n * sizeof *pixels);
done:
    free(data);
    return status;
}

/* [batch, length]: one text, tokenized once and repeated. */
static tw_status make_ids(bench *v, int32_t **out, int32_t *length, tw_error *err) {
    tw_text_options how = TW_TEXT_OPTIONS_INIT;
    int32_t own = tw_model_arch(v->session.model)->text.context_length;
    how.context_length = *length = v->context_length ? v->context_length : own;
    size_t n = (size_t)*length, batch = (size_t)v->session.batch;
    const char *text = v->text ? v->text : "杰尼龟";
    int32_t *ids = calloc(batch * n, sizeof *ids);
    *out = ids;
    if (!ids) return tw_fail_no_memory(err, batch * n * sizeof *ids);
    if (!tw_model_tokenizer(v->session.model))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no vocabulary: no text to time");
    TW_TRY(tw_tokenize(tw_model_tokenizer(v->session.model), text, strlen(text), &how, ids, NULL,
                       NULL, err));
    for (size_t i = 1; i < batch; i++)
        memcpy(ids + i * n, ids, n * sizeof *ids);
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- timing */

typedef struct run_input {
    const float *pixels; /* one of the two */
    const int32_t *ids;
    int32_t length;
} run_input;

static tw_status once(bench *v, const run_input *in, float *features, tw_error *err) {
    size_t batch = (size_t)v->session.batch;
    if (in->pixels) return tw_encode_pixels(v->session.encoder, in->pixels, batch, features, err);
    return tw_encode_ids(v->session.encoder, in->ids, batch, in->length, features, err);
}

static tw_status measure(bench *v, const char *what, const run_input *in, tw_error *err) {
    size_t n = v->n ? (size_t)v->n : 100, warmup = (size_t)v->warmup;
    size_t dim = (size_t)tw_model_arch(v->session.model)->embed_dim;
    double *ms = calloc(n, sizeof *ms);
    float *features = calloc((size_t)v->session.batch * dim, sizeof *features);
    tw_status status = TW_OK;
    cli_work_begin(what, n + warmup);
    if (!ms || !features) TW_CHECK(tw_fail_no_memory(err, n * sizeof *ms));
    uint64_t processors_ns = 0, all_ns = 0;
    for (size_t i = 0; i < n + warmup; i++) {
        if (i == warmup) {
            processors_ns = tw_processor_ns();
            all_ns = tw_now_ns();
        }
        uint64_t begin = tw_now_ns();
        TW_CHECK(once(v, in, features, err));
        if (i >= warmup) ms[i - warmup] = (double)(tw_now_ns() - begin) / 1e6;
        cli_work_at(i + 1);
    }
    processors_ns = tw_processor_ns() - processors_ns;
    all_ns = tw_now_ns() - all_ns;
    statistics s = summarize(ms, n);
    s.processors = (double)processors_ns / (double)TW_MAX(all_ns, 1);
    if (v->report.json)
        put_json(v, what, &s);
    else
        put_text(v, what, &s);
done:
    cli_work_end();
    free(features);
    free(ms);
    return status;
}

static void announce(bench *v, const char *line) {
    if (v->report.json) return;
    tw_buffer_printf(&v->out, "%s\n", line);
    cli_print(&v->out);
}

static tw_status bench_image(bench *v, tw_error *err) {
    float *pixels = NULL;
    announce(v, "Begin the image feature extraction speed test...");
    tw_status status = make_pixels(v, &pixels, err);
    if (status == TW_OK) status = measure(v, "image", &(run_input){.pixels = pixels}, err);
    free(pixels);
    return status;
}

static tw_status bench_text(bench *v, tw_error *err) {
    run_input in = {0};
    int32_t *ids = NULL;
    announce(v, "Begin the text feature extraction speed test...");
    tw_status status = make_ids(v, &ids, &in.length, err);
    in.ids = ids;
    if (status == TW_OK) status = measure(v, "text", &in, err);
    free(ids);
    return status;
}

/* Of memory that was resident at once. */
static double peak_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024.0 * (double)usage.ru_maxrss : 0;
}

static tw_status bench_all(bench *v, tw_error *err) {
    const tw_arch *arch = tw_model_arch(v->session.model);
    if (v->report.json) tw_buffer_puts(&v->out, "{");
    const bool image = arch->vision.kind != TW_VISION_NONE && !v->text_only;
    if (image) TW_TRY(bench_image(v, err));
    if (arch->text.kind != TW_TEXT_NONE && !v->vision_only) TW_TRY(bench_text(v, err));
    announce(v, "Done!");
    if (!v->report.json) {
        tw_buffer_printf(&v->out, "start-up %.1f ms, peak memory %.1f MB\n", v->startup_ms,
                         peak_bytes() / 1e6);
        return TW_OK;
    }
    cli_json_number(&v->out, "startup_ms", v->startup_ms);
    cli_json_number(&v->out, "peak_rss_bytes", peak_bytes());
    cli_json_number(&v->out, "batch_size", v->session.batch);
    cli_json_number(&v->out, "n", v->n ? v->n : 100);
    cli_json_number(&v->out, "warmup", v->warmup);
    tw_buffer_puts(&v->out, ", ");
    cli_json_used(&v->out, &v->session, image);
    tw_buffer_puts(&v->out, "}\n");
    return TW_OK;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    bench v = {.warmup = 10};
    const cli_group groups[] = {{options, &v},
                                {cli_compute_options, &v.compute},
                                {cli_guide_options, &v.compute},
                                {cli_report_options, &v.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &v.operands);
    cli_console_set_progress(v.report.progress);
    if (status == CLI_CONTINUE && v.operands.n) {
        cli_error("no operand expected, got '%s'", v.operands.items[0]);
        status = CLI_USAGE;
    }
    if (status == CLI_CONTINUE && v.vision_only && v.text_only) {
        cli_error("--vision-only and --text-only exclude each other");
        status = CLI_USAGE;
    }
    if (!v.compute.batch) v.compute.batch = 1;
    const uint64_t begin = tw_now_ns();
    if (status == CLI_CONTINUE)
        status = cli_session_open(&v.session, &v.compute, NULL,
                                  v.vision_only ? CLI_VISION
                                  : v.text_only ? CLI_TEXT_TOWER
                                                : CLI_ANY);
    v.startup_ms = (double)(tw_now_ns() - begin) / 1e6;
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        status = bench_all(&v, &err) == TW_OK ? cli_print(&v.out) : cli_fail(&err);
        if (status == CLI_CONTINUE) status = CLI_DONE;
    }
    cli_session_close(&v.session);
    tw_buffer_free(&v.out);
    free(v.operands.items);
    return status;
}

const cli_verb cli_bench = {
    .name = "bench",
    .summary = "time of the towers: the six statistics of speed_benchmark",
    .usage = "-m MODEL [options]",
    .about =
        "One call a batch is timed, without preprocessing; only a text's real tokens are computed.",
    .example = "tuwen bench -m model.gguf --batch 1 --n 100",
    .run = run,
};
