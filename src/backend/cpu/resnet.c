/* ModifiedResNet, in NHWC. Source: Chinese-CLIP cn_clip/clip/model.py ModifiedResNet. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"
#include "base/size.h"

static size_t map_floats(const tw_map *m) {
    return m->n * m->h * m->w * m->c;
}

/* Four buffers rotate: the block's input and residual, and two for the branch. */
typedef struct buffers {
    float *a, *b, *c, *d;
    float *conv3;     /* what tw_conv3() computes in */
    float *quantized; /* a map as a narrow product reads it */
} buffers;

/* bn(conv1x1(in)) (+ residual), relu if asked. */
static void conv1(tw_backend_state *s, const tw_conv *conv, const tw_map *in, const float *residual,
                  bool relu, const buffers *f, tw_map *out) {
    size_t c = conv->matrix.n;
    *out = (tw_map){out->x, in->n, in->h, in->w, c};
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
    const tw_map *in;
    const tw_map *out;
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

static void avg_pool(tw_backend_state *s, const tw_map *in, size_t k, tw_map *out) {
    *out = (tw_map){out->x, in->n, in->h / k, in->w / k, in->c};
    pool_job job = {s->kernels, in, out, k};
    tw_pool_run(s->pool, pool_task, &job, (int)(out->n * out->h));
}

/* ------------------------------------------------------------------------------ the network */

static void bottleneck(tw_backend_state *s, const tw_bottleneck *block, tw_map *x, buffers *f) {
    tw_map t = {.x = f->b}, u = {.x = f->c}, shortcut = *x, y = {.x = f->d};
    size_t stride = (size_t)block->stride;
    conv1(s, &block->conv1, x, NULL, true, f, &t);
    tw_conv3(s, &block->conv2, &t, false, 1, f->conv3, f->quantized, &u);
    if (stride > 1) {
        avg_pool(s, &u, stride, &t);
        u = t;
    }
    if (block->has_down) {
        /* The branch's buffer that does not hold u is free for the shortcut's pooled input. */
        tw_map pooled = *x;
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

/* Floats of the largest map of each buffer up to layer 3, a picture. */
static size_t largest_map(const tw_vision_config *c) {
    size_t w = (size_t)c->width, h2 = (size_t)c->image_size / 2, side = h2 / 2;
    size_t largest = h2 * h2 * w; /* the stem's last convolution */
    for (int i = 0; i < 3; i++) {
        size_t planes = w << i;
        /* Before its pooling a layer works at the previous layer's resolution. */
        largest = TW_MAX(largest, side * side * (i == 0 ? 4 * planes : 2 * planes));
        if (i > 0) side /= 2;
        largest = TW_MAX(largest, side * side * planes * 4);
    }
    return largest;
}

/* Floats of a picture's map behind layer 3; none of layer 4 is larger. */
static size_t layer3_map(const tw_vision_config *c) {
    size_t side = (size_t)c->image_size / 16;
    return side * side * (size_t)c->width * 16;
}

/* Floats of scratch for the largest 3x3 convolution. */
static size_t conv3_room(const tw_backend_state *s) {
    const tw_resnet *net = &s->weights->resnet;
    size_t room = 0;
    for (size_t i = 0; i < 3; i++)
        room = TW_MAX(room, tw_conv3_room(&net->stem[i]));
    for (size_t i = 0; i < net->n_blocks; i++)
        room = TW_MAX(room, tw_conv3_room(&net->blocks[i].conv2));
    return room * (size_t)tw_pool_threads(s->pool);
}

/* Buffers of `largest` floats, and `more` floats of scratch besides. */
static tw_status carve(tw_backend_state *s, size_t largest, size_t more, buffers *f,
                       tw_error *err) {
    size_t conv3 = conv3_room(s), quantized = tw_quantized_room(s, 1, largest);
    TW_TRY(tw_scratch_reset(
        s, 4 * tw_scratch_room(largest) + tw_scratch_room(conv3) + quantized + more, err));
    *f = (buffers){tw_scratch_take(s, largest), tw_scratch_take(s, largest),
                   tw_scratch_take(s, largest), tw_scratch_take(s, largest),
                   tw_scratch_take(s, conv3),   tw_scratch_take(s, quantized)};
    return TW_OK;
}

static void stem(tw_backend_state *s, const float *pixels, size_t n, buffers *f, tw_map *x) {
    const tw_resnet *net = &s->weights->resnet;
    size_t r = (size_t)s->model->arch.vision.image_size;
    tw_map picture = {(float *)(uintptr_t)pixels, n, r, r, 3}, t = {.x = f->b}, u = {.x = f->c};
    tw_conv3(s, &net->stem[0], &picture, true, 2, f->conv3, f->quantized, &t);
    tw_conv3(s, &net->stem[1], &t, false, 1, f->conv3, f->quantized, &u);
    t.x = f->b;
    tw_conv3(s, &net->stem[2], &u, false, 1, f->conv3, f->quantized, &t);
    *x = (tw_map){.x = f->a};
    avg_pool(s, &t, 2, x);
    tw_observe(s, "visual.stem", x->x, map_floats(x) / x->c, x->c, x->c);
}

/* The next bottlenecks, those of a layer (from 0); the last one's map goes to `out` if not NULL. */
static void run_layer(tw_backend_state *s, int layer, size_t *block, tw_map *x, buffers *f,
                      float *out) {
    static const char *const names[] = {"visual.layer1", "visual.layer2", "visual.layer3",
                                        "visual.layer4"};
    size_t end = *block + (size_t)s->model->arch.vision.stages[layer];
    for (; *block < end; ++*block) {
        if (out && *block + 1 == end) f->d = out;
        bottleneck(s, &s->weights->resnet.blocks[*block], x, f);
    }
    tw_observe(s, names[layer], x->x, map_floats(x) / x->c, x->c, x->c);
}

/* Up to layer 3 maps are large and weights few, so each thread takes a picture whose maps stay in
 * its caches. In layer 4 and the attention pool it is the other way round: all pictures of a batch
 * share one reading of the weights. */
typedef struct batch {
    const float *pixels;
    float *maps; /* behind layer 3 */
} batch;

static tw_status run_to_layer3(tw_backend_state *s, void *arg, size_t first, size_t n,
                               tw_error *err) {
    const batch *b = arg;
    const tw_vision_config *c = &s->model->arch.vision;
    size_t r = (size_t)c->image_size, block = 0;
    buffers f;
    tw_map x;
    TW_TRY(carve(s, n * largest_map(c), 0, &f, err));
    stem(s, b->pixels + first * 3 * r * r, n, &f, &x);
    for (int layer = 0; layer < 3; layer++)
        run_layer(s, layer, &block, &x, &f, layer < 2 ? NULL : b->maps + first * layer3_map(c));
    return TW_OK;
}

tw_status tw_resnet_encode(tw_backend_state *s, const float *pixels, size_t n, float *features,
                           tw_error *err) {
    const tw_vision_config *c = &s->model->arch.vision;
    size_t side = (size_t)c->image_size / 16, largest = n * layer3_map(c);
    size_t block = s->weights->resnet.n_blocks - (size_t)c->stages[3];
    TW_TRY(tw_scratch_grow(&s->maps, largest, err));
    batch b = {pixels, s->maps.memory};
    TW_TRY(tw_run_lanes(s, n, run_to_layer3, &b, err));
    buffers f;
    TW_TRY(carve(s, largest, tw_attention_pool_scratch(s, n), &f, err));
    tw_map x = {b.maps, n, side, side, (size_t)c->width * 16};
    f.a = b.maps;
    run_layer(s, 3, &block, &x, &f, NULL);
    tw_attention_pool(s, x.x, n, features);
    return TW_OK;
}
