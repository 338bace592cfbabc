/* relu(bn(conv3x3)), padding 1, in NHWC: as a product over unfolded windows, or by F(2x2, 3x3) as
 * 16 products over tiles of 2 x 2 outputs, with 4/9 of the multiplications. Either takes a step of
 * some pixels at a time through memory that stays in the level-2 cache. */
#include "backend/cpu/packing.h"

#include "base/pool.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* Output pixels, or tiles, a step computes at most: four tiles of the tallest micro-kernel. All
 * maps of a ResNet-50 are multiples of 49 or 56. */
enum { STEP = 56, POINTS = 16, LINE = 16 };

typedef struct conv_job {
    const tw_kernels *kernels;
    const tw_conv *conv;
    const tw_map *in, *out;
    const void *x;  /* of `in`, NHWC, or NCHW for the picture itself */
    size_t element; /* bytes of one of its numbers: not those of f32 for a narrow product */
    bool planar;
    size_t stride;
    void (*step)(const struct conv_job *j, size_t begin, size_t end, float *scratch);
    float *scratch;              /* a room for each slot */
    size_t room, n_steps, total; /* of pixels, or tiles */
    atomic_size_t next;
} conv_job;

/* -------------------------------------------------------------------------------- windows */

/* One input pixel's channels (zeros outside) to dst; returns the end. */
static unsigned char *unfold_pixel(const conv_job *j, size_t image, ptrdiff_t y, ptrdiff_t x,
                                   unsigned char *dst) {
    const tw_map *in = j->in;
    size_t n_bytes = in->c * j->element;
    if (y < 0 || x < 0 || (size_t)y >= in->h || (size_t)x >= in->w) {
        memset(dst, 0, n_bytes);
    } else if (!j->planar) {
        size_t pixel = (image * in->h + (size_t)y) * in->w + (size_t)x;
        memcpy(dst, (const unsigned char *)j->x + pixel * n_bytes, n_bytes);
    } else {
        size_t plane = in->h * in->w;
        const float *p =
            (const float *)j->x + image * in->c * plane + (size_t)y * in->w + (size_t)x;
        for (size_t c = 0; c < in->c; c++)
            memcpy(dst + c * sizeof *p, p + c * plane, sizeof *p);
    }
    return dst + n_bytes;
}

/* The 3x3 window of output pixel `index` as a row, columns (ky, kx, channel). */
static void unfold_window(const conv_job *j, size_t index, unsigned char *dst) {
    size_t ox = index % j->out->w, oy = index / j->out->w % j->out->h;
    size_t image = index / (j->out->w * j->out->h);
    ptrdiff_t y0 = (ptrdiff_t)(oy * j->stride) - 1, x0 = (ptrdiff_t)(ox * j->stride) - 1;
    for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++)
            dst = unfold_pixel(j, image, y0 + ky, x0 + kx, dst);
}

static size_t panels_of(const conv_job *j) {
    return (j->conv->matrix.n + j->kernels->nr - 1) / j->kernels->nr;
}

/* Pixels [begin, end). */
static void window_step(const conv_job *j, size_t begin, size_t end, float *windows) {
    const tw_matrix *m = &j->conv->matrix;
    size_t rows = end - begin, row = m->narrow ? m->narrow->row(m->k) : m->k * sizeof(float);
    for (size_t r = 0; r < rows; r++)
        unfold_window(j, begin + r, (unsigned char *)windows + r * row);
    tw_gemm g = {.bias = m->bias,
                 .c = j->out->x + begin * m->n,
                 .lda = m->k,
                 .ldc = m->n,
                 .m = rows,
                 .n = m->n,
                 .k = m->k,
                 .relu = 1};
    if (m->narrow) {
        tw_gemm_narrow narrow = {(const unsigned char *)windows, m->packed, g};
        m->narrow->gemm(&narrow, 0, rows, 0, panels_of(j));
    } else {
        g.a = windows;
        g.b = m->packed;
        j->kernels->gemm_f32(&g, 0, rows, 0, panels_of(j));
    }
}

/* ------------------------------------------------------------------------------- Winograd */

/* Floats of one of the 16 matrices of a step, c columns wide: a line more than they take, so that
 * the same element of all of them does not fall into one set of the cache. */
static size_t plane_of(size_t c) {
    return tw_scratch_room(STEP * c) + LINE;
}

/* Calls `each` for the tiles [begin, end), a picture at a time. */
typedef void (*tiles_of_picture)(const conv_job *j, size_t picture, size_t begin, size_t end,
                                 float *rows);
static void each_picture(const conv_job *j, size_t begin, size_t end, size_t width, float *rows,
                         tiles_of_picture each) {
    size_t tiles = j->in->h / 2 * (j->in->w / 2);
    while (begin < end) {
        size_t picture = begin / tiles, first = begin % tiles;
        size_t n = TW_MIN(end - begin, tiles - first);
        each(j, picture, first, first + n, rows);
        rows += n * width;
        begin += n;
    }
}

static void tiles_in(const conv_job *j, size_t picture, size_t begin, size_t end, float *rows) {
    const tw_map *m = j->in;
    j->kernels->winograd_in(m->x + picture * m->h * m->w * m->c, m->h, m->w, m->c, begin, end, rows,
                            plane_of(m->c));
}

static void tiles_out(const conv_job *j, size_t picture, size_t begin, size_t end, float *rows) {
    const tw_map *m = j->out;
    j->kernels->winograd_out(rows, plane_of(m->c), j->conv->matrix.bias, m->w, m->c, begin, end,
                             m->x + picture * m->h * m->w * m->c);
}

/* Tiles [begin, end). */
static void winograd_step(const conv_job *j, size_t begin, size_t end, float *in) {
    size_t c = j->in->c, n = j->out->c, panels = panels_of(j);
    float *out = in + POINTS * plane_of(c);
    each_picture(j, begin, end, c, in, tiles_in);
    for (size_t i = 0; i < POINTS; i++) {
        tw_gemm g = {.a = in + i * plane_of(c),
                     .b = j->conv->points + i * panels * j->kernels->nr * c,
                     .c = out + i * plane_of(n),
                     .lda = c,
                     .ldc = n,
                     .m = end - begin,
                     .n = n,
                     .k = c};
        j->kernels->gemm_f32(&g, 0, g.m, 0, panels);
    }
    each_picture(j, begin, end, n, out, tiles_out);
}

/* ------------------------------------------------------------------------------------ run */

/* A slot takes one step after the other. They are of nearly equal size: a last one of a single
 * pixel would read all weights for it. */
static void conv_task(void *arg, int index) {
    conv_job *j = arg;
    float *scratch = j->scratch + (size_t)index * j->room;
    for (;;) {
        size_t step = atomic_fetch_add(&j->next, 1);
        if (step >= j->n_steps) return;
        j->step(j, j->total * step / j->n_steps, j->total * (step + 1) / j->n_steps, scratch);
    }
}

size_t tw_conv3_room(const tw_conv *conv) {
    const tw_matrix *m = &conv->matrix;
    if (conv->points) return POINTS * (plane_of(m->k / 9) + plane_of(m->n));
    return tw_scratch_room(STEP * m->k);
}

void tw_conv3(tw_backend_state *s, const tw_conv *conv, const tw_map *in, bool planar,
              size_t stride, float *scratch, float *quantized, tw_map *out) {
    const tw_narrow *narrow = conv->matrix.narrow;
    if (narrow)
        tw_run_quantize(s, narrow, in->x, in->c, NULL, in->n * in->h * in->w, in->c, quantized);
    *out =
        (tw_map){out->x, in->n, (in->h - 1) / stride + 1, (in->w - 1) / stride + 1, conv->matrix.n};
    conv_job job = {
        .kernels = s->kernels,
        .conv = conv,
        .in = in,
        .out = out,
        .x = narrow ? quantized : in->x,
        .element = narrow ? narrow->row(2) / 2 : sizeof(float),
        .planar = planar,
        .stride = stride,
        .step = conv->points ? winograd_step : window_step,
        .scratch = scratch,
        .room = tw_conv3_room(conv),
        .total = out->n * out->h * out->w / (conv->points ? 4 : 1),
    };
    /* As many for each thread: the 7 x 7 maps of a single picture are less than one full step. */
    size_t threads = (size_t)tw_pool_threads(s->pool);
    job.n_steps = (job.total + STEP * threads - 1) / (STEP * threads) * threads;
    job.n_steps = TW_MIN(job.n_steps, job.total);
    atomic_init(&job.next, 0);
    tw_pool_run(s->pool, conv_task, &job, (int)threads);
}

/* -------------------------------------------------------------------------------- weights */

typedef struct points_job {
    const tw_kernels *kernels;
    const float *w; /* [n, 9, c] */
    size_t n, c;
    float *points;
    atomic_bool out_of_memory;
} points_job;

/* to[3] -> G to, every element of `step` apart: 4 of them. */
static void spread_weights(const double from[3], double to[4]) {
    to[0] = from[0];
    to[1] = 0.5 * (from[0] + from[1] + from[2]);
    to[2] = 0.5 * (from[0] - from[1] + from[2]);
    to[3] = from[2];
}

/* G g G^T of one filter's channel: w[9] lie c apart. */
static void filter_points(const float *w, size_t c, double points[POINTS]) {
    double t[3][4], column[4];
    for (size_t y = 0; y < 3; y++) {
        const double row[3] = {(double)w[y * 3 * c], (double)w[(y * 3 + 1) * c],
                               (double)w[(y * 3 + 2) * c]};
        spread_weights(row, t[y]);
    }
    for (size_t x = 0; x < 4; x++) {
        const double from[3] = {t[0][x], t[1][x], t[2][x]};
        spread_weights(from, column);
        for (size_t y = 0; y < 4; y++)
            points[y * 4 + x] = column[y];
    }
}

/* One panel of all 16 matrices. */
static void points_task(void *arg, int index) {
    points_job *job = arg;
    size_t nr = job->kernels->nr, c = job->c, first = (size_t)index * nr;
    size_t rows = TW_MIN(nr, job->n - first), panels = (job->n + nr - 1) / nr;
    float *block = malloc(POINTS * rows * c * sizeof *block);
    if (!block) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    for (size_t i = 0; i < rows * c; i++) {
        double points[POINTS];
        filter_points(job->w + (first + i / c) * 9 * c + i % c, c, points);
        for (size_t p = 0; p < POINTS; p++)
            block[p * rows * c + i] = (float)points[p];
    }
    for (size_t p = 0; p < POINTS; p++)
        job->kernels->pack_f32(block + p * rows * c, c, rows, c, 0, 1,
                               job->points + (p * panels + (size_t)index) * nr * c);
    free(block);
}

tw_status tw_conv3_points(tw_loader *l, const float *w, tw_conv *to) {
    size_t n = to->matrix.n, c = to->matrix.k / 9;
    TW_TRY(tw_own(l, POINTS * tw_packed_floats(l->kernels, NULL, n, c), &to->points));
    points_job job = {l->kernels, w, n, c, to->points, false};
    tw_pool_run(l->pool, points_task, &job, (int)((n + l->kernels->nr - 1) / l->kernels->nr));
    if (atomic_load(&job.out_of_memory))
        return tw_fail_no_memory(l->err, POINTS * l->kernels->nr * c * sizeof(float));
    return TW_OK;
}
