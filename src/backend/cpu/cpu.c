#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_state(tw_backend_state *s) {
    if (!s) return;
    tw_weights_release(s->weights);
    free(s->scratch.memory);
    free(s->maps.memory);
    tw_lanes_free(s->lanes);
    free(s);
}

tw_status tw_cpu_open(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                      const tw_kernels *kernels, tw_backend_state **out, tw_error *err) {
    *out = NULL;
    tw_backend_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    s->model = model;
    s->pool = pool;
    s->kernels = kernels;
    s->max_batch = options->max_batch;
    if (options->hooks) s->hooks = *options->hooks;
    tw_observe_by_environment(s);
    tw_status status = tw_weights_load(model, pool, s->kernels, options, &s->weights, err);
    if (status != TW_OK) {
        close_state(s);
        return status;
    }
    *out = s;
    return TW_OK;
}

/* What belongs to other runtimes is refused, not ignored. */
static tw_status check_options(const tw_backend_options *o, tw_error *err) {
    if (o->device && strcmp(o->device, "cpu") != 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "device %s: backend cpu has the device cpu",
                       o->device);
    if (o->precision != -1 && o->precision != TW_F32 && o->precision != TW_BF16 &&
        o->precision != TW_I8)
        return tw_fail(err, TW_ERR_ARGUMENT, "backend cpu computes in f32, bf16 or int8");
    if (o->provider || o->library || o->graphs || o->n_settings)
        return tw_fail(
            err, TW_ERR_ARGUMENT,
            "backend cpu has no provider, library, graphs or provider options; --backend "
            "names one that has");
    return TW_OK;
}

/* A ResNet has no int8 products. Beside a text tower that is said by describe(); alone it would be
 * another precision than was asked for. */
static tw_status check_int8(const tw_model *model, const tw_backend_options *o, tw_error *err) {
    bool text = model->arch.text.kind != TW_TEXT_NONE && !o->vision_only;
    if (o->precision != TW_I8 || o->allow_fallback || text) return TW_OK;
    if (model->arch.vision.kind == TW_VISION_VIT) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "precision int8: a ResNet image tower is computed in f32 only");
}

static tw_status open_state(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                            tw_backend_state **out, tw_error *err) {
    *out = NULL;
    TW_TRY(check_options(options, err));
    TW_TRY(check_int8(model, options, err));
    return tw_cpu_open(model, pool, options, tw_kernels_get(), out, err);
}

static tw_status clone_state(const tw_backend_state *from, tw_backend_state **out, tw_error *err) {
    tw_backend_state *s = malloc(sizeof *s);
    *out = s;
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *s = *from;
    s->scratch = s->maps = (tw_scratch){0};
    s->lanes = NULL;
    s->observer = NULL;
    tw_observe_by_environment(s);
    atomic_fetch_add(&s->weights->n_users, 1);
    return TW_OK;
}

/* What is computed in less than f32: products of what, alone and beside a ResNet, attention where
 * it is; and what is not. */
typedef struct narrow_words {
    const char *precision, *products[2], *attention, *rest[2];
} narrow_words;

static const narrow_words int8_words = {
    "int8",
    {"products of the blocks, ", "products of the text tower's blocks, "},
    "attention's in bf16, ",
    {"all else f32, ", "all else and the ResNet f32, "}};
static const narrow_words bf16_words = {
    "bf16",
    {"products of the blocks, ", "products of blocks, bottlenecks and attention pool, "},
    "attention's too, ",
    {"sums and all else f32, ", "sums and all else f32, "}};

static const narrow_words *words_of(const tw_backend_state *s) {
    return s->weights->narrow == &s->kernels->i8 ? &int8_words : &bf16_words;
}

/* What is computed in less than f32, and what the file has of it and is not. */
static void describe_products(const tw_backend_state *s, char *buf, size_t n_bytes) {
    const tw_weights *w = s->weights;
    bool resnet = w->has_vision && s->model->arch.vision.kind != TW_VISION_VIT;
    bool attention = s->kernels->attention_bf16 && (w->has_text || !resnet);
    const char *widened = w->n_widened ? "int8 weights widened, " : "";
    const narrow_words *words = words_of(s);
    if (!w->narrow)
        snprintf(buf, n_bytes, "%s", widened);
    else if (w->narrow == &s->kernels->i8 && w->n_narrow < w->n_products)
        snprintf(buf, n_bytes, "%zu of %zu %s%s%s", w->n_narrow, w->n_products, words->products[0],
                 attention ? words->attention : "", words->rest[0]);
    else
        snprintf(buf, n_bytes, "%s%s%s%s%s", widened, words->products[resnet],
                 attention ? words->attention : "", words->rest[resnet], w->narrow->note);
}

static void describe(const tw_backend_state *s, tw_used *used) {
    int n = tw_pool_threads(s->pool);
    describe_products(s, used->detail, sizeof used->detail);
    size_t at = strlen(used->detail);
    snprintf(used->device, sizeof used->device, "%s", s->kernels->name);
    snprintf(used->precision, sizeof used->precision, "%s",
             s->weights->narrow ? words_of(s)->precision : "f32");
    snprintf(used->detail + at, sizeof used->detail - at, "%d thread%s", n, n == 1 ? "" : "s");
}

static void capabilities(const tw_backend_state *s, tw_capabilities *can) {
    can->images.present = s->weights->has_vision;
    can->texts.present = s->weights->has_text;
    can->longest_text = s->model->arch.text.n_positions;
    can->precisions = 1u << TW_F32 | 1u << TW_BF16;
    if (s->weights->has_text || s->model->arch.vision.kind == TW_VISION_VIT)
        can->precisions |= 1u << TW_I8;
}

static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    if (!s->weights->has_vision)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no image tower");
    return s->model->arch.vision.kind == TW_VISION_VIT
               ? tw_vit_encode(s, pixels, n, features, err)
               : tw_resnet_encode(s, pixels, n, features, err);
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *rows, float *features,
                               tw_error *err) {
    if (!s->weights->has_text)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no text tower");
    return s->model->arch.text.kind == TW_TEXT_CLIP ? tw_clip_text_encode(s, rows, features, err)
                                                    : tw_bert_encode(s, rows, features, err);
}

static void observe(tw_backend_state *s, tw_observer observer, void *user) {
    s->observer = observer;
    s->observer_user = user;
}

const tw_backend tw_backend_cpu = {
    .abi = TW_BACKEND_ABI,
    .name = "cpu",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .capabilities = capabilities,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
    .observe = observe,
};
