#include "bench.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ------------------------------------------------------------------------------- statistics */

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

bench_statistics bench_summarize(double *ms, size_t n) {
    bench_statistics s = {0};
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

double bench_per_second(const bench_result *r) {
    return 1000 * r->batch / r->ms.mean;
}

double bench_gflops(const bench_result *r) {
    return r->flop * bench_per_second(r) / 1e9;
}

double bench_peak_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024.0 * (double)usage.ru_maxrss : 0;
}

/* ------------------------------------------------------------------------------------ inputs */

static size_t largest_batch(const bench *v) {
    int most = 1;
    for (size_t i = 0; i < v->n_batches; i++)
        most = TW_MAX(most, v->batches[i]);
    return (size_t)most;
}

/* [batch, 3, R, R]: one picture, preprocessed once and repeated. */
static tw_status make_pixels(bench *v, float **out, tw_error *err) {
    size_t r = (size_t)v->session.recipe.size, n = 3 * r * r, batch = largest_batch(v);
    TW_TRY(tw_check_room(batch * n * sizeof(float), "a batch of this size", err));
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
static tw_status make_ids(bench *v, bench_input *in, tw_error *err) {
    tw_text_options how = TW_TEXT_OPTIONS_INIT;
    int32_t own = tw_model_arch(v->session.model)->text.context_length;
    how.context_length = in->length = v->context_length ? v->context_length : own;
    size_t n = (size_t)in->length, batch = largest_batch(v);
    const char *text = v->text ? v->text : "杰尼龟";
    in->ids = calloc(batch * n, sizeof *in->ids);
    if (!in->ids) return tw_fail_no_memory(err, batch * n * sizeof *in->ids);
    if (!tw_model_tokenizer(v->session.model))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no vocabulary: no text to time");
    TW_TRY(tw_tokenize(tw_model_tokenizer(v->session.model), text, strlen(text), &how, in->ids,
                       &v->n_tokens, NULL, err));
    for (size_t i = 1; i < batch; i++)
        memcpy(in->ids + i * n, in->ids, n * sizeof *in->ids);
    return TW_OK;
}

tw_status bench_input_make(bench *v, bool image, bench_input *out, tw_error *err) {
    *out = (bench_input){0};
    return image ? make_pixels(v, &out->pixels, err) : make_ids(v, out, err);
}

void bench_input_free(bench_input *in) {
    free(in->pixels);
    free(in->ids);
    *in = (bench_input){0};
}

/* ------------------------------------------------------------------------------------- timing */

tw_status bench_once(bench *v, const bench_input *in, size_t batch, float *features,
                     tw_error *err) {
    if (in->pixels) return tw_encode_pixels(v->session.encoder, in->pixels, batch, features, err);
    return tw_encode_ids(v->session.encoder, in->ids, batch, in->length, features, err);
}

static tw_status take_samples(bench *v, const bench_input *in, size_t batch, double *ms,
                              float *features, double *processors, tw_error *err) {
    size_t n = (size_t)v->n, warmup = (size_t)v->warmup;
    uint64_t busy_ns = 0, all_ns = 0;
    for (size_t i = 0; i < n + warmup; i++) {
        if (i == warmup) {
            busy_ns = tw_processor_ns();
            all_ns = tw_now_ns();
        }
        uint64_t begin = tw_now_ns();
        TW_TRY(bench_once(v, in, batch, features, err));
        if (i >= warmup) ms[i - warmup] = (double)(tw_now_ns() - begin) / 1e6;
        cli_work_at((i + 1) * batch);
    }
    busy_ns = tw_processor_ns() - busy_ns;
    all_ns = tw_now_ns() - all_ns;
    *processors = (double)busy_ns / (double)TW_MAX(all_ns, 1);
    return TW_OK;
}

static tw_status measure_batch(bench *v, const bench_input *in, int batch, double peak,
                               tw_error *err) {
    const tw_arch *arch = tw_model_arch(v->session.model);
    size_t dim = (size_t)arch->embed_dim, n = (size_t)v->n;
    bench_result *r = &v->results[v->n_results];
    double *ms = calloc(n, sizeof *ms), processors = 0;
    float *features = calloc((size_t)batch * dim, sizeof *features);
    tw_status status = TW_OK;
    *r = (bench_result){.image = in->pixels != NULL,
                        .threads = tw_pool_threads(v->session.pool),
                        .batch = batch,
                        .peak = peak};
    r->flop = r->image ? tw_arch_image_flop(arch) : tw_arch_text_flop(arch, v->n_tokens);
    cli_work_begin(r->image ? "image" : "text", (n + (size_t)v->warmup) * (size_t)batch);
    if (!ms || !features) TW_CHECK(tw_fail_no_memory(err, n * sizeof *ms));
    TW_CHECK(take_samples(v, in, (size_t)batch, ms, features, &processors, err));
    r->ms = bench_summarize(ms, n);
    r->ms.processors = processors;
    v->n_results++;
done:
    cli_work_end();
    free(features);
    free(ms);
    return status;
}

static void announce(bench *v, const char *line) {
    if (v->report.json || v->sweep) return;
    tw_buffer_printf(&v->out, "%s\n", line);
    cli_print(&v->out);
}

static tw_status measure_tower(bench *v, bool image, double peak, tw_error *err) {
    bench_input in;
    announce(v, image ? "Begin the image feature extraction speed test..."
                      : "Begin the text feature extraction speed test...");
    tw_status status;
    TW_CHECK(bench_input_make(v, image, &in, err));
    for (size_t i = 0; i < v->n_batches; i++) {
        TW_CHECK(measure_batch(v, &in, v->batches[i], peak, err));
        if (!v->report.json && !v->sweep) bench_put_lines(v, &v->results[v->n_results - 1]);
    }
    if (v->with_stages) TW_CHECK(bench_measure_stages(v, &in, err));
done:
    bench_input_free(&in);
    return status;
}

tw_status bench_measure(bench *v, tw_error *err) {
    const tw_arch *arch = tw_model_arch(v->session.model);
    tw_used used = TW_USED_INIT;
    tw_encoder_used(v->session.encoder, &used);
    tw_dtype precision = strcmp(used.precision, "int8") == 0   ? TW_I8
                         : strcmp(used.precision, "bf16") == 0 ? TW_BF16
                                                               : TW_F32;
    double peak = strcmp(used.backend, "cpu") == 0 ? tw_peak_gflops(v->session.pool, precision) : 0;
    if (arch->vision.kind != TW_VISION_NONE && !v->text_only)
        TW_TRY(measure_tower(v, true, peak, err));
    if (arch->text.kind != TW_TEXT_NONE && !v->vision_only)
        TW_TRY(measure_tower(v, false, peak, err));
    announce(v, "Done!");
    return TW_OK;
}
