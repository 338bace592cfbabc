/* The numeric self-check: a carried JPEG through decoder and resampler, and a tiny network of
 * made-up weights through the backend, against results stored in this build. It finds a decoder
 * of another kind, a miscompiled kernel, a broken processor. */
#include "encode/encoder.h"

#include "base/size.h"
#include "encode/selfcheck_expected.h"
#include "image/selfcheck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes of the tiny network; dev/make_self_check.py makes the same one. */
enum { W = 32, M = 64, E = 16, HEADS = 2, R = 16, P = 8, TOKENS = 5, VOCAB = 64, POSITIONS = 8 };
enum { ROOM = 64 * 1024 };

typedef struct tiny {
    tw_model model;
    tw_block_weights vision_block, text_block;
    float *memory;
    size_t used;
    uint64_t seed;
} tiny;

/* splitmix64, as numbers in [-1, 1). */
static float next(tiny *t) {
    uint64_t z = (t->seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)((double)(z >> 40) / (double)(1u << 23) - 1.0);
}

/* A tensor of rows x columns (x 1 x 1), value = offset + scale * random. */
static tw_tensor fill(tiny *t, int64_t rows, int64_t columns, float offset, float scale) {
    tw_tensor out = {.dtype = TW_F32, .n_dims = columns ? 2 : 1, .shape = {rows, columns}};
    size_t n = (size_t)rows * (size_t)(columns ? columns : 1);
    float *p = t->memory + t->used;
    t->used += n;
    for (size_t i = 0; i < n; i++)
        p[i] = offset + scale * next(t);
    out.data = p;
    tw_tensor_set_c_order(&out);
    return out;
}

static tw_norm_weights fill_norm(tiny *t) {
    tw_norm_weights n;
    n.gamma = fill(t, W, 0, 1, 0.25f);
    n.beta = fill(t, W, 0, 0, 0.25f);
    return n;
}

static tw_linear_weights fill_linear(tiny *t, int64_t out, int64_t in) {
    tw_linear_weights l;
    l.weight = fill(t, out, in, 0, 0.25f);
    l.bias = fill(t, out, 0, 0, 0.25f);
    return l;
}

static void fill_block(tiny *t, tw_block_weights *b) {
    b->ln1 = fill_norm(t);
    b->ln2 = fill_norm(t);
    b->q = fill_linear(t, W, W);
    b->k = fill_linear(t, W, W);
    b->v = fill_linear(t, W, W);
    b->out = fill_linear(t, W, W);
    b->fc1 = fill_linear(t, M, W);
    b->fc2 = fill_linear(t, W, M);
}

static void fill_model(tiny *t) {
    tw_model *m = &t->model;
    m->arch.embed_dim = E;
    m->arch.vision = (tw_vision_config){.kind = TW_VISION_VIT,
                                        .image_size = R,
                                        .patch_size = P,
                                        .width = W,
                                        .n_layers = 1,
                                        .head_width = W / HEADS,
                                        .n_heads = HEADS,
                                        .mlp_width = M,
                                        .activation = TW_QUICK_GELU,
                                        .norm_eps = 1e-5f};
    m->arch.text = (tw_text_config){.kind = TW_TEXT_BERT,
                                    .vocab_size = VOCAB,
                                    .width = W,
                                    .n_layers = 1,
                                    .n_heads = HEADS,
                                    .mlp_width = M,
                                    .n_positions = POSITIONS,
                                    .n_token_types = 2,
                                    .context_length = POSITIONS,
                                    .activation = TW_GELU_ERF,
                                    .norm_eps = 1e-12f};
    tw_vision_weights *v = &m->vision;
    v->patch = fill(t, W, 3 * P * P, 0, 0.125f);
    v->patch.n_dims = 4;
    v->patch.shape[1] = 3, v->patch.shape[2] = P, v->patch.shape[3] = P;
    tw_tensor_set_c_order(&v->patch);
    v->class_row = fill(t, W, 0, 0, 1);
    v->position = fill(t, TOKENS, W, 0, 1);
    v->pre = fill_norm(t);
    v->post = fill_norm(t);
    fill_block(t, &t->vision_block);
    v->blocks = &t->vision_block;
    v->projection = fill(t, E, W, 0, 0.25f);
    tw_text_weights *x = &m->text;
    x->token = fill(t, VOCAB, W, 0, 1);
    x->position = fill(t, POSITIONS, W, 0, 1);
    x->type = fill(t, 2, W, 0, 1);
    x->embed_norm = fill_norm(t);
    fill_block(t, &t->text_block);
    x->blocks = &t->text_block;
    x->projection = fill(t, E, W, 0, 0.25f);
}

static double largest_difference(const float *got, const double *expected) {
    double largest = 0;
    for (size_t i = 0; i < E; i++) {
        double d = fabs((double)got[i] - expected[i]);
        if (!(d <= largest)) largest = d;
    }
    return largest;
}

/* Features are of order 1; a float32 pass over 64 terms a sum stays well below 1e-5. */
static tw_status check_network(tw_pool *pool, char *line, size_t n_bytes, tw_error *err) {
    tiny *t = calloc(1, sizeof *t);
    float *memory = malloc(ROOM * sizeof *memory), image[E], text[E];
    tw_encoder *encoder = NULL;
    tw_status status = TW_OK;
    if (!t || !memory) {
        status = tw_fail_no_memory(err, ROOM * sizeof *memory);
        goto done;
    }
    t->memory = memory;
    t->seed = 20;
    fill_model(t);
    float *pixels = memory + t->used;
    for (size_t i = 0; i < 3 * R * R; i++)
        pixels[i] = 2 * next(t);
    static const int32_t ids[POSITIONS] = {1, 40, 7, 63, 2};
    TW_CHECK(tw_encoder_create(&t->model, pool, NULL, &encoder, err));
    TW_CHECK(tw_encode_pixels(encoder, pixels, 1, image, err));
    TW_CHECK(tw_encode_ids(encoder, ids, 1, POSITIONS, text, err));
    double a = largest_difference(image, expected_image),
           b = largest_difference(text, expected_text);
    bool good = a <= 1e-5 && b <= 1e-5;
    snprintf(line, n_bytes, "%s network on %s: image differs by %.1e, text by %.1e, limit 1e-05",
             good ? "ok" : "FAILED", tw_encoder_description(encoder), a, b);
    if (!good) status = tw_fail(err, TW_ERR_MISMATCH, "self-check: %s", line);
done:
    tw_encoder_free(encoder);
    free(memory);
    free(t);
    return status;
}

tw_status tw_self_check(tw_pool *pool, void (*report)(void *user, const char *line), void *user,
                        tw_error *err) {
    char line[256] = "FAILED";
    tw_status status = tw_image_self_check(line, sizeof line, err);
    if (report) report(user, line);
    tw_error second = TW_ERROR_INIT;
    snprintf(line, sizeof line, "FAILED network");
    tw_status network = check_network(pool, line, sizeof line, &second);
    if (report) report(user, line);
    if (status != TW_OK || network == TW_OK) return status;
    if (err) *err = second;
    return network;
}
