/* Limits of an architecture. They are far above every known model and keep all products of sizes
 * well inside 64 bits. */
#include "model/arch.h"

#include <math.h>

#define MAX_WIDTH 16384
#define MAX_MLP 131072
#define MAX_LAYERS 256
#define MAX_IMAGE 4096
#define MAX_GRID 128 /* 16,384 patches: the attention of one head stays at 1 GiB */
#define MAX_VOCAB 1000000
#define MAX_POSITIONS 8192
#define MAX_TOKEN_TYPES 256

static tw_status check(const char *what, int64_t v, int64_t min, int64_t max, tw_error *err) {
    if (v >= min && v <= max) return TW_OK;
    return tw_fail(err, TW_ERR_LIMIT, "%s is %lld, expected %lld..%lld", what, (long long)v,
                   (long long)min, (long long)max);
}

static tw_status check_divides(const char *what, int64_t part, const char *of, int64_t whole,
                               tw_error *err) {
    if (part > 0 && whole % part == 0) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s %lld does not divide %s %lld", what, (long long)part,
                   of, (long long)whole);
}

static tw_status check_heads(const char *tower, int64_t width, int64_t n_heads, int64_t head_width,
                             tw_error *err) {
    if (n_heads > 0 && head_width > 0 && n_heads * head_width == width) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s tower: %lld heads of width %lld do not make up the width %lld", tower,
                   (long long)n_heads, (long long)head_width, (long long)width);
}

static tw_status check_eps(const char *tower, float eps, tw_error *err) {
    if (isfinite(eps) && eps > 0 && eps < 1) return TW_OK;
    return tw_fail(err, TW_ERR_LIMIT, "%s tower: norm epsilon %g, expected between 0 and 1", tower,
                   (double)eps);
}

static tw_status check_activation(const char *tower, bool ok, tw_activation v, tw_error *err) {
    if (ok) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s tower: activation %s does not belong to its kind",
                   tower, tw_activation_name(v));
}

static tw_status check_vit(const tw_vision_config *v, tw_error *err) {
    TW_TRY(check("image tower: width", v->width, 1, MAX_WIDTH, err));
    TW_TRY(check("image tower: number of layers", v->n_layers, 1, MAX_LAYERS, err));
    TW_TRY(check("image tower: mlp width", v->mlp_width, 1, MAX_MLP, err));
    TW_TRY(check("image tower: patch size", v->patch_size, 1, v->image_size, err));
    TW_TRY(
        check_divides("image tower: patch size", v->patch_size, "image size", v->image_size, err));
    TW_TRY(check("image tower: patches a side", v->image_size / v->patch_size, 1, MAX_GRID, err));
    TW_TRY(check_heads("image", v->width, v->n_heads, v->head_width, err));
    return check_activation("image", v->activation == TW_QUICK_GELU || v->activation == TW_GELU_ERF,
                            v->activation, err);
}

static tw_status check_resnet(const tw_vision_config *v, tw_error *err) {
    int64_t n_blocks = 0;
    TW_TRY(check("image tower: width", v->width, 2, MAX_WIDTH / 32, err));
    TW_TRY(check_divides("image tower: stem width", 2, "width", v->width, err));
    TW_TRY(check_divides("image tower: stride", 32, "image size", v->image_size, err));
    for (int i = 0; i < 4; i++) {
        TW_TRY(check("image tower: bottlenecks of a stage", v->stages[i], 1, MAX_LAYERS, err));
        n_blocks += v->stages[i];
    }
    TW_TRY(check("image tower: bottlenecks", n_blocks, 4, MAX_LAYERS, err));
    TW_TRY(check_heads("image", tw_pool_width(v), v->n_heads, v->head_width, err));
    return check_activation("image", v->activation == TW_RELU, v->activation, err);
}

static tw_status check_vision(const tw_vision_config *v, tw_error *err) {
    TW_TRY(check("image tower: image size", v->image_size, 1, MAX_IMAGE, err));
    TW_TRY(check_eps("image", v->norm_eps, err));
    return v->kind == TW_VISION_RESNET ? check_resnet(v, err) : check_vit(v, err);
}

static tw_status check_text(const tw_text_config *t, tw_error *err) {
    TW_TRY(check("text tower: width", t->width, 1, MAX_WIDTH, err));
    TW_TRY(check("text tower: number of layers", t->n_layers, 1, MAX_LAYERS, err));
    TW_TRY(check("text tower: mlp width", t->mlp_width, 1, MAX_MLP, err));
    TW_TRY(check("text tower: vocabulary size", t->vocab_size, 1, MAX_VOCAB, err));
    TW_TRY(check("text tower: positions", t->n_positions, 2, MAX_POSITIONS, err));
    bool bert = t->kind == TW_TEXT_BERT;
    TW_TRY(
        check("text tower: token types", t->n_token_types, bert, bert ? MAX_TOKEN_TYPES : 0, err));
    TW_TRY(check("text tower: context length", t->context_length, 2, t->n_positions, err));
    TW_TRY(check_divides("text tower: number of heads", t->n_heads, "width", t->width, err));
    TW_TRY(check_eps("text", t->norm_eps, err));
    return check_activation("text", t->activation == TW_GELU_ERF || t->activation == TW_QUICK_GELU,
                            t->activation, err);
}

tw_status tw_arch_check(const tw_arch *arch, tw_error *err) {
    if (arch->vision.kind == TW_VISION_NONE && arch->text.kind == TW_TEXT_NONE)
        return tw_fail(err, TW_ERR_ARGUMENT, "a model needs an image tower or a text tower");
    TW_TRY(check("embedding length", arch->embed_dim, 1, MAX_WIDTH, err));
    if (arch->vision.kind != TW_VISION_NONE) TW_TRY(check_vision(&arch->vision, err));
    if (arch->text.kind != TW_TEXT_NONE) TW_TRY(check_text(&arch->text, err));
    return TW_OK;
}
