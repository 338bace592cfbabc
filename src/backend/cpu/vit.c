/* The vision transformer. Source: Chinese-CLIP cn_clip/clip/model.py VisualTransformer. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"
#include "base/size.h"

#include <string.h>

/* Patches of one picture as rows: [3, R, R] -> [g*g, 3*p*p], columns (channel, y, x). */
static void unfold_patches(const float *pixels, size_t r, size_t p, float *out) {
    size_t g = r / p;
    for (size_t gy = 0; gy < g; gy++)
        for (size_t gx = 0; gx < g; gx++)
            for (size_t c = 0; c < 3; c++)
                for (size_t y = 0; y < p; y++, out += p)
                    memcpy(out, pixels + (c * r + gy * p + y) * r + gx * p, p * sizeof *out);
}

typedef struct unfold_job {
    const float *pixels;
    size_t r, p;
    float *out;
} unfold_job;

static void unfold_task(void *arg, int index) {
    const unfold_job *job = arg;
    size_t g = job->r / job->p, i = (size_t)index;
    unfold_patches(job->pixels + i * 3 * job->r * job->r, job->r, job->p,
                   job->out + i * g * g * 3 * job->p * job->p);
}

/* Patch embedding of a batch into x [n * (g*g + 1), W]: row 0 of a picture is the class row, the
 * others are conv1's output; the position embedding is added to all. */
static void embed(tw_backend_state *s, const float *pixels, size_t n, float *patches, float *x) {
    const tw_vision_config *c = &s->model->arch.vision;
    const tw_vit *vit = &s->weights->vit;
    size_t r = (size_t)c->image_size, p = (size_t)c->patch_size, w = (size_t)c->width;
    size_t g2 = (r / p) * (r / p), k = 3 * p * p;
    unfold_job job = {pixels, r, p, patches};
    tw_pool_run(s->pool, unfold_task, &job, (int)n);
    for (size_t i = 0; i < n; i++) {
        float *rows = x + i * (g2 + 1) * w;
        memcpy(rows, vit->class_row, w * sizeof *rows);
        tw_product product = {.a = patches + i * g2 * k,
                              .lda = k,
                              .m = g2,
                              .w = &vit->patch,
                              .residual = vit->position,
                              .ldr = w,
                              .c = rows + w,
                              .ldc = w};
        tw_run_product(s, &product);
    }
}

static tw_status encode(tw_backend_state *s, const float *pixels, size_t n, float *features,
                        tw_error *err) {
    const tw_vision_config *c = &s->model->arch.vision;
    const tw_vit *vit = &s->weights->vit;
    size_t w = (size_t)c->width, grid = (size_t)(c->image_size / c->patch_size);
    size_t n_tokens = grid * grid + 1, rows = n * n_tokens;
    size_t offset[4097];
    for (size_t i = 0; i <= n; i++)
        offset[i] = i * n_tokens;
    tw_sequences seq = {offset, n, rows, n_tokens, false};
    tw_transformer t = {
        .stage = "visual.transformer.resblocks",
        .blocks = vit->blocks,
        .n_layers = c->n_layers,
        .width = w,
        .mlp_width = (size_t)c->mlp_width,
        .n_heads = (size_t)c->n_heads,
        .act = c->activation == TW_GELU_ERF ? TW_ACT_GELU : TW_ACT_QUICK,
        .eps = c->norm_eps,
    };
    size_t n_patches = n * grid * grid * 3 * (size_t)c->patch_size * (size_t)c->patch_size;
    TW_TRY(tw_scratch_reset(s,
                            tw_scratch_room(rows * w) + tw_scratch_room(n_patches) +
                                2 * tw_scratch_room(n * w) + tw_transformer_scratch(s, &t, &seq),
                            err));
    float *x = tw_scratch_take(s, rows * w), *patches = tw_scratch_take(s, n_patches);
    float *first = tw_scratch_take(s, n * w), *normed = tw_scratch_take(s, n * w);
    embed(s, pixels, n, patches, x);
    tw_run_layer_norm(s, x, w, &vit->pre, c->norm_eps, rows, w, x, w);
    tw_observe(s, "visual.ln_pre", x, rows, w, w);
    tw_run_transformer(s, &t, &seq, x, first);
    tw_run_layer_norm(s, first, w, &vit->post, c->norm_eps, n, w, normed, w);
    if (!vit->projection.packed) {
        memcpy(features, normed, n * w * sizeof *features);
        return TW_OK;
    }
    size_t e = (size_t)s->model->arch.embed_dim;
    tw_product projection = {
        .a = normed, .lda = w, .m = n, .w = &vit->projection, .c = features, .ldc = e};
    tw_run_product(s, &projection);
    return TW_OK;
}

typedef struct batch {
    const float *pixels;
    float *features;
} batch;

static tw_status encode_some(tw_backend_state *s, void *arg, size_t first, size_t n,
                             tw_error *err) {
    const batch *b = arg;
    size_t r = (size_t)s->model->arch.vision.image_size;
    return encode(s, b->pixels + first * 3 * r * r, n,
                  b->features + first * (size_t)s->model->arch.embed_dim, err);
}

tw_status tw_vit_encode(tw_backend_state *s, const float *pixels, size_t n, float *features,
                        tw_error *err) {
    batch b = {pixels, features};
    return tw_run_lanes(s, n, encode_some, &b, err);
}
