/* tuwen bench: how long the towers take. One setting in the words of Chinese-CLIP's
 * speed_benchmark; lists of batches and threads as a table; all of it as JSON or a page to look at.
 */
#include "bench.h"

#include "base/clock.h"
#include "base/size.h"
#include "output.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_N = 100, DEFAULT_SWEEP_N = 20, PIPELINE_BATCH = 8 };

#define AT(field) offsetof(bench, field)
static const cli_option options[] = {
    {"n", 'n', CLI_INT, "N", "how many times (100; of a list 20)", AT(n), 1, 1000000},
    {"warmup", 0, CLI_INT, "N", "times before that, not counted (10)", AT(warmup), 0, 1000000},
    {"batches", 0, CLI_TEXT, "LIST", "batch sizes, 1,8,32: a table", AT(batch_list), 0, 0},
    {"thread-counts", 0, CLI_TEXT, "LIST", "numbers of threads, 1,2: a table", AT(thread_list), 0,
     0},
    {"stages", 0, CLI_FLAG, NULL, "where the time of the first batch size goes", AT(with_stages), 0,
     0},
    {"pipeline", 0, CLI_FLAG, NULL, "decoding, resizing, encoding of PICTURE…, and all together",
     AT(pipeline), 0, 0},
    {"fast-decode", 0, CLI_FLAG, NULL, NULL, AT(recipe.fast_decode), 0, 0},
    {"html", 0, CLI_TEXT, "FILE", "also as a page with charts", AT(html), 0, 0},
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

/* "1,8,32" */
static bool parse_list(const char *name, const char *list, long most, int *out, size_t *n) {
    for (const char *p = list; p && *p;) {
        char *end;
        errno = 0;
        long value = strtol(p, &end, 10);
        if (end == p || errno || value < 1 || value > most || *n == BENCH_MOST ||
            (*end && (*end != ',' || !end[1]))) {
            cli_error("--%s: '%s', expected up to %d numbers from 1 to %ld, as 1,2,4", name, list,
                      BENCH_MOST, most);
            return false;
        }
        out[(*n)++] = (int)value;
        p = *end ? end + 1 : end;
    }
    if (list && !*n) cli_error("--%s: no number", name);
    return !list || *n;
}

static int settle(bench *v) {
    if (v->operands.n && !v->pipeline) {
        cli_error("no operand expected, got '%s'", v->operands.items[0]);
        return CLI_USAGE;
    }
    if (v->pipeline && (v->batch_list || v->thread_list || v->with_stages || v->html ||
                        v->text_only || v->image || v->text)) {
        cli_error("--pipeline goes with -b, -t, --json and the backend's options alone");
        return CLI_USAGE;
    }
    if (v->pipeline && !v->operands.n) {
        cli_error("no pictures: give files or folders");
        return CLI_USAGE;
    }
    if (v->pipeline) {
        v->vision_only = true;
        if (!v->compute.batch) v->compute.batch = PIPELINE_BATCH;
    }
    if (v->vision_only && v->text_only) {
        cli_error("--vision-only and --text-only exclude each other");
        return CLI_USAGE;
    }
    if ((v->batch_list && v->compute.batch) || (v->thread_list && v->compute.threads)) {
        cli_error("a list and a single number of the same: --%s and -%c",
                  v->batch_list ? "batches" : "thread-counts", v->batch_list ? 'b' : 't');
        return CLI_USAGE;
    }
    if (!parse_list("batches", v->batch_list, 4096, v->batches, &v->n_batches) ||
        !parse_list("thread-counts", v->thread_list, 1024, v->threads, &v->n_threads))
        return CLI_USAGE;
    v->sweep = v->batch_list || v->thread_list;
    if (!v->n) v->n = v->sweep ? DEFAULT_SWEEP_N : DEFAULT_N;
    if (!v->n_batches) v->batches[v->n_batches++] = v->compute.batch ? v->compute.batch : 1;
    if (!v->n_threads) v->threads[v->n_threads++] = v->compute.threads;
    return CLI_CONTINUE;
}

static int open_session(bench *v, int threads) {
    v->compute.threads = threads;
    v->compute.batch = 1;
    for (size_t i = 0; i < v->n_batches; i++)
        v->compute.batch = TW_MAX(v->compute.batch, v->batches[i]);
    const uint64_t begin = tw_now_ns();
    int status = cli_session_open(&v->session, &v->compute, &v->recipe,
                                  v->vision_only ? CLI_VISION
                                  : v->text_only ? CLI_TEXT_TOWER
                                                 : CLI_ANY);
    v->startup_ms = (double)(tw_now_ns() - begin) / 1e6;
    return status;
}

static int show(bench *v) {
    tw_error err = TW_ERROR_INIT;
    if (v->html && bench_write_html(v, &err) != TW_OK) return cli_fail(&err);
    if (v->report.json)
        bench_put_json(v);
    else
        bench_put_table(v);
    int status = cli_print(&v->out);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

static int measure_all(bench *v) {
    int status = CLI_CONTINUE;
    const bool with_stages = v->with_stages;
    for (size_t i = 0; i < v->n_threads && status == CLI_CONTINUE; i++) {
        tw_error err = TW_ERROR_INIT;
        if (i > 0) cli_session_close(&v->session);
        v->with_stages = with_stages && i == 0;
        status = open_session(v, v->threads[i]);
        if (status != CLI_CONTINUE) break;
        if (v->pipeline) return bench_pipeline(v);
        if (bench_measure(v, &err) != TW_OK) status = cli_fail(&err);
    }
    return status == CLI_CONTINUE ? show(v) : status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    bench *v = calloc(1, sizeof *v);
    if (!v) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    v->warmup = 10;
    const cli_group groups[] = {{options, v},
                                {cli_compute_options, &v->compute},
                                {cli_guide_options, &v->compute},
                                {cli_report_options, &v->report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &v->operands);
    cli_console_set_progress(v->report.progress);
    if (status == CLI_CONTINUE) status = settle(v);
    if (status == CLI_CONTINUE) status = measure_all(v);
    cli_session_close(&v->session);
    tw_buffer_free(&v->out);
    free(v->operands.items);
    free(v);
    return status;
}

const cli_verb cli_bench = {
    .name = "bench",
    .summary = "time of the towers: the six statistics of speed_benchmark",
    .usage = "-m MODEL [options] [--pipeline PICTURE…]",
    .about =
        "One call a batch is timed, without preprocessing; only a text's real tokens are computed.",
    .example = "tuwen bench -m model.gguf --batches 1,8,32 --thread-counts 1,2 --html bench.html",
    .run = run,
};
