/* ModifiedResNet, in NHWC. Source: Chinese-CLIP cn_clip/clip/model.py ModifiedResNet. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"
#include "base/size.h"

#include <string.h>

/* A batch of feature maps, f32 [n, h, w, c]. */
typedef struct map {
    float *x;
    size_t n, h, w, c;
} map;

static size_t map_floats(const map *m) {
    return m->n * m->h * m->w * m->c;
}

/* ------------------------------------------------------------------------- 3x3 convolution */

/* Output pixels a step unfolds at most: four tiles of the tallest micro-kernel, and 56 rows of the
 * widest layer (9 * 512 columns) are 1 MB. All maps of a ResNet-50 are multiples of 49 or 56. */
enum { STEP = 56 };

typedef struct conv_job {
    const tw_kernels *kernels;
    const tw_conv *conv;
    const void *x;  /* NHWC, or NCHW for the picture itself */
    size_t element; /* bytes of one of its numbers: not those of f32 for a narrow product */
    bool planar;
    size_t n, h, w, c; /* input */
    size_t stride;
    size_t oh, ow;  /* output */
    float *out;     /* [n, oh, ow, O] */
    float *scratch; /* n_slots x STEP x k */
    size_t n_slots, n_steps;
} conv_job;

/* One input pixel's channels (zeros outside) to dst; returns the end. */
static unsigned char *unfold_pixel(const conv_job *j, size_t image, ptrdiff_t y, ptrdiff_t x,
                                   unsigned char *dst) {
    size_t n_bytes = j->c * j->element;
    if (y < 0 || x < 0 || (size_t)y >= j->h || (size_t)x >= j->w) {
        memset(dst, 0, n_bytes);
    } else if (!j->planar) {
        size_t pixel = (image * j->h + (size_t)y) * j->w + (size_t)x;
        memcpy(dst, (const unsigned char *)j->x + pixel * n_bytes, n_bytes);
    } else {
        const float *p = (const float *)j->x + (image * j->c * j->h + (size_t)y) * j->w + (size_t)x;
        for (size_t c = 0; c < j->c; c++)
            memcpy(dst + c * sizeof *p, p + c * j->h * j->w, sizeof *p);
    }
    return dst + n_bytes;
}

/* The 3x3 window of output pixel `index` as a row, columns (ky, kx, channel). */
static void unfold_window(const conv_job *j, size_t index, unsigned char *dst) {
    size_t ox = index % j->ow, oy = index / j->ow % j->oh, image = index / (j->ow * j->oh);
    ptrdiff_t y0 = (ptrdiff_t)(oy * j->stride) - 1, x0 = (ptrdiff_t)(ox * j->stride) - 1;
    for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++)
            dst = unfold_pixel(j, image, y0 + ky, x0 + kx, dst);
}

static void multiply_windows(const conv_job *j, const float *windows, size_t rows, float *out) {
    const tw_matrix *m = &j->conv->matrix;
    size_t panels = (m->n + j->kernels->nr - 1) / j->kernels->nr;
    tw_gemm g = {.bias = m->bias,
                 .c = out,
                 .lda = m->k,
                 .ldc = m->n,
                 .m = rows,
                 .n = m->n,
                 .k = m->k,
                 .relu = 1};
    if (m->narrow) {
        tw_gemm_narrow narrow = {(const unsigned char *)windows, m->packed, g};
        m->narrow->gemm(&narrow, 0, rows, 0, panels);
    } else {
        g.a = windows;
        g.b = m->packed;
        j->kernels->gemm_f32(&g, 0, rows, 0, panels);
    }
}

/* Slot `index` takes a contiguous share of the steps, which are of nearly equal size: a last one of
 * a single pixel would read all weights for it. */
static void conv_task(void *arg, int index) {
    const conv_job *j = arg;
    const tw_matrix *m = &j->conv->matrix;
    size_t total = j->n * j->oh * j->ow, slot = (size_t)index;
    size_t n_steps = j->n_steps;
    size_t begin = n_steps * slot / j->n_slots, end = n_steps * (slot + 1) / j->n_slots;
    float *windows = j->scratch + slot * STEP * m->k;
    size_t row = m->narrow ? m->narrow->row(m->k) : m->k * sizeof(float);
    for (size_t step = begin; step < end; step++) {
        size_t i = total * step / n_steps, rows = total * (step + 1) / n_steps - i;
        for (size_t r = 0; r < rows; r++)
            unfold_window(j, i + r, (unsigned char *)windows + r * row);
        multiply_windows(j, windows, rows, j->out + i * m->n);
    }
}

static size_t conv_slots(const tw_backend_state *s) {
    size_t threads = (size_t)tw_pool_threads(s->pool);
    return threads == 1 ? 1 : 4 * threads;
}

/* Four buffers rotate: the block's input and residual, and two for the branch. */
typedef struct buffers {
    float *a, *b, *c, *d;
    float *windows;
    float *quantized; /* a map as a narrow product reads it */
} buffers;

/* relu(bn(conv3x3(in))), padding 1. */
static void conv3(tw_backend_state *s, const tw_conv *conv, const map *in, bool planar,
                  size_t stride, const buffers *f, map *out) {
    const tw_narrow *narrow = conv->matrix.narrow;
    if (narrow)
        tw_run_quantize(s, narrow, in->x, in->c, NULL, in->n * in->h * in->w, in->c, f->quantized);
    out->n = in->n;
    out->h = (in->h - 1) / stride + 1;
    out->w = (in->w - 1) / stride + 1;
    out->c = conv->matrix.n;
    conv_job job = {
        .kernels = s->kernels,
        .conv = conv,
        .x = narrow ? f->quantized : in->x,
        .element = narrow ? narrow->row(2) / 2 : sizeof(float),
        .planar = planar,
        .n = in->n,
        .h = in->h,
        .w = in->w,
        .c = in->c,
        .stride = stride,
        .oh = out->h,
        .ow = out->w,
        .out = out->x,
        .scratch = f->windows,
        .n_slots = conv_slots(s),
    };
    /* As many for each thread: the 7 x 7 maps of a single picture are less than one full step. */
    size_t n = out->n * out->h * out->w, threads = (size_t)tw_pool_threads(s->pool);
    job.n_steps = TW_MIN((n + STEP * threads - 1) / (STEP * threads) * threads, n);
    tw_pool_run(s->pool, conv_task, &job, (int)job.n_slots);
}

/* bn(conv1x1(in)) (+ residual), relu if asked. */
static void conv1(tw_backend_state *s, const tw_conv *conv, const map *in, const float *residual,
                  bool relu, const buffers *f, map *out) {
    size_t c = conv->matrix.n;
    *out = (map){out->x, in->n, in->h, in->w, c};
    tw_product p = {.a = in->x,
                    .lda = in->c,
                    .m = in->n * in->h * in->w,
                    .w = &conv->matrix,
                    .residual = residual,
                    .ldr = c,
                    .c = out->x,
                    .ldc = c,
                    .relu = relu,
                    .quantized = f->quantized};
    tw_run_product(s, &p);
}

typedef struct pool_job {
    const tw_kernels *kernels;
    const map *in;
    const map *out;
    size_t s;
} pool_job;

/* One output row of one picture. */
static void pool_task(void *arg, int index) {
    const pool_job *j = arg;
    size_t image = (size_t)index / j->out->h, row = (size_t)index % j->out->h;
    j->kernels->avg_pool_f32(j->in->x + image * j->in->h * j->in->w * j->in->c, j->in->h, j->in->w,
                             j->in->c, j->s, row, row + 1,
                             j->out->x + image * j->out->h * j->out->w * j->out->c);
}

static void avg_pool(tw_backend_state *s, const map *in, size_t k, map *out) {
    *out = (map){out->x, in->n, in->h / k, in->w / k, in->c};
    pool_job job = {s->kernels, in, out, k};
    tw_pool_run(s->pool, pool_task, &job, (int)(out->n * out->h));
}

/* ------------------------------------------------------------------------------ the network */

static void bottleneck(tw_backend_state *s, const tw_bottleneck *block, map *x, buffers *f) {
    map t = {.x = f->b}, u = {.x = f->c}, shortcut = *x, y = {.x = f->d};
    size_t stride = (size_t)block->stride;
    conv1(s, &block->conv1, x, NULL, true, f, &t);
    conv3(s, &block->conv2, &t, false, 1, f, &u);
    if (stride > 1) {
        avg_pool(s, &u, stride, &t);
        u = t;
    }
    if (block->has_down) {
        /* The branch's buffer that does not hold u is free for the shortcut's pooled input. */
        map pooled = *x;
        if (stride > 1) {
            pooled.x = u.x == f->b ? f->c : f->b;
            avg_pool(s, x, stride, &pooled);
        }
        shortcut.x = f->d;
        conv1(s, &block->down, &pooled, NULL, false, f, &shortcut);
        y.x = f->d; /* the sum goes over its own residual */
    }
    conv1(s, &block->conv3, &u, shortcut.x, true, f, &y);
    /* y becomes the input of the next block; its buffer and the old input's change places. */
    float *old = x->x;
    *x = y;
    f->d = old;
}

/* Largest map of each buffer, in floats a picture, and the widest 3x3 window. */
static void plan(const tw_model *model, size_t *largest, size_t *widest) {
    const tw_vision_config *c = &model->arch.vision;
    size_t r = (size_t)c->image_size, w = (size_t)c->width;
    size_t h2 = (r - 1) / 2 + 1;
    *largest = h2 * h2 * w; /* the stem's last convolution */
    *widest = TW_MAX((size_t)27, 9 * w);
    size_t side = h2 / 2;
    for (int i = 0; i < 4; i++) {
        size_t planes = w << i;
        /* Before its pooling a stage works at the previous stage's resolution. */
        *largest = TW_MAX(*largest, side * side * TW_MAX(planes, i == 0 ? 4 * planes : planes * 2));
        if (i > 0) side /= 2;
        *largest = TW_MAX(*largest, side * side * planes * 4);
        *widest = TW_MAX(*widest, 9 * planes);
    }
}

static void stem(tw_backend_state *s, const float *pixels, size_t n, buffers *f, map *x) {
    const tw_resnet *net = &s->weights->resnet;
    size_t r = (size_t)s->model->arch.vision.image_size;
    map picture = {(float *)(uintptr_t)pixels, n, r, r, 3}, t = {.x = f->b}, u = {.x = f->c};
    conv3(s, &net->stem[0], &picture, true, 2, f, &t);
    conv3(s, &net->stem[1], &t, false, 1, f, &u);
    t.x = f->b;
    conv3(s, &net->stem[2], &u, false, 1, f, &t);
    *x = (map){.x = f->a};
    avg_pool(s, &t, 2, x);
}

tw_status tw_resnet_encode(tw_backend_state *s, const float *pixels, size_t n, float *features,
                           tw_error *err) {
    const tw_resnet *net = &s->weights->resnet;
    const tw_vision_config *c = &s->model->arch.vision;
    size_t largest, widest;
    plan(s->model, &largest, &widest);
    size_t windows = conv_slots(s) * STEP * widest;
    size_t quantized = tw_quantized_room(s, 1, n * largest);
    TW_TRY(tw_scratch_reset(s,
                            4 * tw_scratch_room(n * largest) + tw_scratch_room(windows) +
                                quantized + tw_attention_pool_scratch(s, n),
                            err));
    buffers f = {tw_scratch_take(s, n * largest), tw_scratch_take(s, n * largest),
                 tw_scratch_take(s, n * largest), tw_scratch_take(s, n * largest),
                 tw_scratch_take(s, windows),     tw_scratch_take(s, quantized)};
    map x;
    stem(s, pixels, n, &f, &x);
    tw_observe(s, "visual.stem", x.x, map_floats(&x) / x.c, x.c, x.c);
    size_t block = 0;
    for (int stage = 0; stage < 4; stage++) {
        for (int i = 0; i < c->stages[stage]; i++)
            bottleneck(s, &net->blocks[block++], &x, &f);
        static const char *const names[] = {"visual.layer1", "visual.layer2", "visual.layer3",
                                            "visual.layer4"};
        tw_observe(s, names[stage], x.x, map_floats(&x) / x.c, x.c, x.c);
    }
    tw_attention_pool(s, x.x, n, features);
    return TW_OK;
}
