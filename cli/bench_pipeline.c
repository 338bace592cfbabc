/* What decoding, resizing and encoding of a person's own pictures allow, each alone on all threads,
 * and what they reach together. */
#include "bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"
#include "inputs.h"
#include "output.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { MOST_PICTURES = 4096 };
#define MOST_BYTES ((size_t)512 << 20)
#define LEAST_SECONDS 1.0

typedef struct one_picture {
    tw_picture_bytes bytes;
    tw_image_info info;
} one_picture;

typedef struct pipeline {
    bench *v;
    tw_pictures *pictures;
    one_picture *readable; /* [n] */
    size_t n, n_bytes, n_skipped;
    double megapixels;
    tw_bytes *images;                /* [n], the same */
    float *pixels;                   /* [batch, 3, R, R] */
    float *scratch;                  /* [n_places, 3, R, R] */
    size_t n_places, picture, first; /* of the pictures under way */
    float *features;                 /* [n, E] */
    uint8_t *noise;                  /* as large as the largest picture, RGB */
    atomic_int n_failed;
    double preprocess, resize, encode, reached; /* pictures a second */
} pipeline;

/* -------------------------------------------------------------------------------- gathering */

static tw_status read_pictures(pipeline *p, tw_error *err) {
    size_t n_all = TW_MIN(tw_pictures_count(p->pictures), (size_t)MOST_PICTURES), largest = 0;
    p->readable = calloc(TW_MAX(n_all, (size_t)1), sizeof *p->readable);
    if (!p->readable) return tw_fail_no_memory(err, n_all * sizeof *p->readable);
    for (size_t i = 0; i < n_all && p->n_bytes < MOST_BYTES; i++) {
        one_picture *one = &p->readable[p->n];
        tw_error unread = TW_ERROR_INIT;
        if (tw_pictures_read(p->pictures, i, (size_t)256 << 20, &one->bytes, &unread) != TW_OK ||
            tw_image_probe(one->bytes.data, one->bytes.n_bytes, NULL, &one->info, &unread) !=
                TW_OK ||
            tw_preprocess_f32(&p->v->session.recipe, one->bytes.data, one->bytes.n_bytes, NULL,
                              p->pixels, &unread) != TW_OK) {
            cli_error("%s: %s", tw_pictures_name(p->pictures, i), unread.message);
            free(one->bytes.owned);
            *one = (one_picture){0};
            p->n_skipped++;
            continue;
        }
        size_t area = (size_t)one->info.width * one->info.height;
        largest = TW_MAX(largest, area);
        p->megapixels += (double)area / 1e6;
        p->n_bytes += one->bytes.n_bytes;
        p->n++;
    }
    if (p->n == 0) return tw_fail(err, TW_ERR_FORMAT, "none of the pictures can be read");
    size_t dim = (size_t)tw_model_arch(p->v->session.model)->embed_dim;
    p->noise = malloc(3 * largest);
    p->images = malloc(p->n * sizeof *p->images);
    p->features = malloc(TW_MAX(p->n, (size_t)p->v->session.batch) * dim * sizeof *p->features);
    if (!p->noise || !p->images || !p->features) return tw_fail_no_memory(err, 3 * largest);
    for (size_t i = 0; i < p->n; i++)
        p->images[i] = (tw_bytes){p->readable[i].bytes.data, p->readable[i].bytes.n_bytes};
    for (size_t i = 0; i < 3 * largest; i++)
        p->noise[i] = (uint8_t)((i * 2654435761u) >> 13);
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- parts */

static void preprocess_task(void *arg, int index) {
    pipeline *p = arg;
    const one_picture *one = &p->readable[p->first + (size_t)index];
    float *out = p->scratch + (size_t)index * p->picture;
    if (tw_preprocess_f32(&p->v->session.recipe, one->bytes.data, one->bytes.n_bytes, NULL, out,
                          NULL) != TW_OK)
        atomic_fetch_add(&p->n_failed, 1);
}

static void resize_task(void *arg, int index) {
    pipeline *p = arg;
    const tw_image_info *info = &p->readable[p->first + (size_t)index].info;
    float *out = p->scratch + (size_t)index * p->picture;
    if (tw_preprocess_pixels(&p->v->session.recipe, p->noise, info->width, info->height,
                             3 * (size_t)info->width, 3, out, NULL) != TW_OK)
        atomic_fetch_add(&p->n_failed, 1);
}

/* Pictures a second over whole passes of at least LEAST_SECONDS. */
static tw_status rate(pipeline *p, tw_status (*pass)(pipeline *p, tw_error *err), double *out,
                      tw_error *err) {
    size_t n = 0;
    double seconds = 0;
    uint64_t begin = tw_now_ns();
    while (seconds < LEAST_SECONDS) {
        TW_TRY(pass(p, err));
        TW_TRY(tw_progress(cli_hooks(), "pictures", 0, 0, err));
        n += p->n;
        seconds = (double)(tw_now_ns() - begin) / 1e9;
    }
    *out = (double)n / seconds;
    return TW_OK;
}

static tw_status on_pool(pipeline *p, void (*task)(void *, int), tw_error *err) {
    for (p->first = 0; p->first < p->n; p->first += p->n_places)
        tw_pool_run(p->v->session.pool, task, p, (int)TW_MIN(p->n - p->first, p->n_places));
    if (atomic_load(&p->n_failed)) return tw_fail(err, TW_ERR_FORMAT, "a picture changed");
    return TW_OK;
}

static tw_status preprocess_pass(pipeline *p, tw_error *err) {
    return on_pool(p, preprocess_task, err);
}

static tw_status resize_pass(pipeline *p, tw_error *err) {
    return on_pool(p, resize_task, err);
}

static tw_status encode_pass(pipeline *p, tw_error *err) {
    size_t batch = (size_t)p->v->session.batch;
    tw_status status = TW_OK;
    for (size_t i = 0; i < p->n && status == TW_OK; i += batch)
        status = tw_encode_pixels(p->v->session.encoder, p->pixels, TW_MIN(p->n - i, batch),
                                  p->features, err);
    return status;
}

static tw_status whole_pass(pipeline *p, tw_error *err) {
    return tw_encode_images(p->v->session.encoder, p->images, p->n, &p->v->session.recipe, NULL,
                            p->features, NULL, err);
}

/* ------------------------------------------------------------------------------------ report */

/* One after the other on the same threads, or beside each other. */
static double allowed(const pipeline *p) {
    tw_capabilities can = TW_CAPABILITIES_INIT;
    tw_encoder_capabilities(p->v->session.encoder, &can);
    return can.beside ? fmin(p->preprocess, p->encode) : 1 / (1 / p->preprocess + 1 / p->encode);
}

static void put_report(pipeline *p) {
    tw_buffer *b = &p->v->out;
    /* Decoding is what preprocessing takes beyond the resize, which is timed at full size. */
    const bool split = !p->v->session.recipe.fast_decode;
    double decode = 1 / fmax(1 / p->preprocess - 1 / p->resize, 1e-9);
    double bound = allowed(p);
    if (!p->v->report.json) {
        tw_buffer_printf(b, "%zu pictures, %.2f megapixels and %.0f KB on average\n", p->n,
                         p->megapixels / (double)p->n, (double)p->n_bytes / 1e3 / (double)p->n);
        if (split) cli_put_field(b, "decode", "%9.1f pictures a second", decode);
        if (split) cli_put_field(b, "resize", "%9.1f", p->resize);
        cli_put_field(b, "both", "%9.1f", p->preprocess);
        cli_put_field(b, "encode", "%9.1f", p->encode);
        cli_put_field(b, "all allow", "%9.1f", bound);
        cli_put_field(b, "reached", "%9.1f, %.0f %% of that", p->reached, 100 * p->reached / bound);
        return;
    }
    tw_buffer_puts(b, "{\"pipeline\": {");
    cli_json_number(b, "pictures", (double)p->n);
    cli_json_number(b, "skipped", (double)p->n_skipped);
    cli_json_number(b, "mean_bytes", (double)p->n_bytes / (double)p->n);
    cli_json_number(b, "mean_megapixels", p->megapixels / (double)p->n);
    if (split) cli_json_number(b, "decode_per_second", decode);
    if (split) cli_json_number(b, "resize_per_second", p->resize);
    cli_json_number(b, "preprocess_per_second", p->preprocess);
    cli_json_number(b, "encode_per_second", p->encode);
    cli_json_number(b, "allowed_per_second", bound);
    cli_json_number(b, "reached_per_second", p->reached);
    tw_buffer_puts(b, "}, ");
    cli_json_used(b, &p->v->session, true);
    tw_buffer_puts(b, "}\n");
}

static tw_status measure(pipeline *p, tw_error *err) {
    size_t r = (size_t)p->v->session.recipe.size, batch = (size_t)p->v->session.batch;
    p->picture = 3 * r * r;
    p->n_places = 4 * (size_t)tw_pool_threads(p->v->session.pool);
    TW_TRY(tw_check_room(batch * p->picture * sizeof *p->pixels, "a batch of this size", err));
    p->pixels = calloc(batch * p->picture, sizeof *p->pixels);
    p->scratch = calloc(p->n_places * p->picture, sizeof *p->scratch);
    if (!p->pixels || !p->scratch) return tw_fail_no_memory(err, p->n_places * p->picture * 4);
    TW_TRY(read_pictures(p, err));
    TW_TRY(rate(p, preprocess_pass, &p->preprocess, err));
    TW_TRY(rate(p, resize_pass, &p->resize, err));
    TW_TRY(rate(p, encode_pass, &p->encode, err));
    return rate(p, whole_pass, &p->reached, err);
}

int bench_pipeline(bench *v) {
    pipeline p = {.v = v};
    tw_error err = TW_ERROR_INIT;
    int status = cli_gather_pictures(NULL, &v->operands, &p.pictures);
    if (status != CLI_CONTINUE) return status;
    if (measure(&p, &err) == TW_OK) {
        put_report(&p);
        status = cli_print(&v->out);
        if (status == CLI_CONTINUE) status = CLI_DONE;
    } else {
        status = cli_fail(&err);
    }
    for (size_t i = 0; i < p.n; i++)
        free(p.readable[i].bytes.owned);
    free(p.readable);
    free(p.pixels);
    free(p.scratch);
    free(p.noise);
    free(p.images);
    free(p.features);
    tw_pictures_free(p.pictures);
    return status;
}
