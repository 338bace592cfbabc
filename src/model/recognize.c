#include "model/recognize.h"

#include "base/size.h"
#include "model/arch.h"

#include <limits.h>
#include <stdio.h>

/* ---------------------------------------------------------------------------------- from shapes */

/* The tensor that becomes `canonical`, with `n_dims` extents that all fit an int. */
static tw_status need(tw_origin *s, const char *canonical, int n_dims, tw_tensor *t,
                      tw_error *err) {
    char shape[96];
    if (!tw_origin_find(s, canonical, t)) return tw_origin_missing(s, canonical, err);
    bool ok = t->n_dims == n_dims;
    for (int i = 0; ok && i < n_dims; i++)
        ok = t->shape[i] >= 1 && t->shape[i] <= INT_MAX;
    if (ok) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' has shape %s, expected %d extents", t->name,
                   tw_shape_text(t->n_dims, t->shape, shape, sizeof shape), n_dims);
}

static bool has(tw_origin *s, const char *canonical) {
    tw_tensor t;
    return tw_origin_find(s, canonical, &t);
}

/* Blocks 0, 1, 2, … as far as they go; one beyond a gap is found unused later. The limit only
 * bounds the loop: tw_arch_check() judges the number. */
static int32_t count_blocks(tw_origin *s, const char *format, int stage) {
    int32_t n = 0;
    char name[64];
    for (; n < 4096; n++) {
        if (stage)
            snprintf(name, sizeof name, "v.stage.%d.%d.%s", stage, n, format);
        else
            snprintf(name, sizeof name, "%s.blk.%d.ln1.weight", format, n);
        if (!has(s, name)) break;
    }
    return n;
}

/* Cells along a side of the grid whose position table has rows for all cells and one more. */
static tw_status grid_of(const tw_tensor *position, int32_t *grid, tw_error *err) {
    int64_t g = 0;
    while (g < 4096 && (g + 1) * (g + 1) <= position->shape[0] - 1)
        g++;
    *grid = (int32_t)g;
    if (g > 0 && g * g == position->shape[0] - 1) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "tensor '%s' has %lld rows, expected one more than a square number",
                   position->name, (long long)position->shape[0]);
}

static tw_status multiply(int32_t a, int32_t b, const char *what, int32_t *out, tw_error *err) {
    if (!__builtin_mul_overflow(a, b, out)) return TW_OK;
    return tw_fail(err, TW_ERR_LIMIT, "%s is %d times %d", what, a, b);
}

static tw_status measure_vit(tw_origin *s, tw_arch *arch, tw_error *err) {
    tw_vision_config *v = &arch->vision;
    tw_tensor patch, position, t;
    int32_t grid;
    TW_TRY(need(s, "v.patch_embd.weight", 4, &patch, err));
    TW_TRY(need(s, "v.position_embd.weight", 2, &position, err));
    TW_TRY(grid_of(&position, &grid, err));
    v->kind = TW_VISION_VIT;
    v->width = (int32_t)patch.shape[0];
    v->patch_size = (int32_t)patch.shape[3];
    TW_TRY(multiply(grid, v->patch_size, "image size", &v->image_size, err));
    v->n_layers = count_blocks(s, "v", 0);
    TW_TRY(need(s, "v.blk.0.ffn_down.weight", 2, &t, err));
    v->mlp_width = (int32_t)t.shape[0];
    /* Without a projection the features are as wide as the tower. */
    arch->embed_dim = v->width;
    if (!has(s, "visual_projection.weight")) return TW_OK;
    TW_TRY(need(s, "visual_projection.weight", 2, &t, err));
    arch->embed_dim = (int32_t)t.shape[0];
    return TW_OK;
}

static tw_status measure_resnet(tw_origin *s, tw_arch *arch, tw_error *err) {
    tw_vision_config *v = &arch->vision;
    tw_tensor t;
    int32_t grid;
    v->kind = TW_VISION_RESNET;
    TW_TRY(need(s, "v.stem.3.weight", 4, &t, err));
    v->width = (int32_t)t.shape[0];
    for (int stage = 1; stage <= 4; stage++)
        v->stages[stage - 1] = count_blocks(s, "conv1.weight", stage);
    TW_TRY(need(s, "v.pool.position_embd.weight", 2, &t, err));
    TW_TRY(grid_of(&t, &grid, err));
    TW_TRY(multiply(grid, 32, "image size", &v->image_size, err));
    TW_TRY(need(s, "v.pool.attn_out.weight", 2, &t, err));
    arch->embed_dim = (int32_t)t.shape[0];
    return TW_OK;
}

static tw_status measure_vision(tw_origin *s, tw_arch *arch, tw_error *err) {
    if (has(s, "v.stage.1.0.conv1.weight")) return measure_resnet(s, arch, err);
    tw_status status = measure_vit(s, arch, err);
    if (status == TW_ERR_MISMATCH && !has(s, "v.patch_embd.weight")) {
        char name[256];
        return tw_fail(err, TW_ERR_MISMATCH,
                       "no image tower: tensor '%s' is missing; --text-only converts without it",
                       tw_origin_expected_name(s, "v.patch_embd.weight", name, sizeof name));
    }
    return status;
}

static tw_status measure_text(tw_origin *s, tw_arch *arch, int32_t *embed_dim, tw_error *err) {
    tw_text_config *x = &arch->text;
    tw_tensor t;
    char name[256];
    if (!has(s, "t.token_embd.weight"))
        return tw_fail(err, TW_ERR_MISMATCH,
                       "no text tower: tensor '%s' is missing; --vision-only converts without it",
                       tw_origin_expected_name(s, "t.token_embd.weight", name, sizeof name));
    TW_TRY(need(s, "t.token_embd.weight", 2, &t, err));
    x->kind = tw_origin_family(s)->text_kind;
    x->vocab_size = (int32_t)t.shape[0];
    x->width = (int32_t)t.shape[1];
    TW_TRY(need(s, "t.position_embd.weight", 2, &t, err));
    x->n_positions = (int32_t)t.shape[0];
    if (x->kind == TW_TEXT_BERT) {
        TW_TRY(need(s, "t.token_type_embd.weight", 2, &t, err));
        x->n_token_types = (int32_t)t.shape[0];
    }
    x->n_layers = count_blocks(s, "t", 0);
    TW_TRY(need(s, "t.blk.0.ffn_down.weight", 2, &t, err));
    x->mlp_width = (int32_t)t.shape[0];
    TW_TRY(need(s, "text_projection.weight", 2, &t, err));
    *embed_dim = (int32_t)t.shape[0];
    return TW_OK;
}

/* -------------------------------------------------------------------------- against expectations
 */

/* What configurations call the sizes. */
typedef struct size_names {
    const char *embed_dim;
    const char *width, *patch_size, *n_layers, *mlp_width, *image_size;
    const char *vocab_size, *text_width, *text_layers, *text_mlp, *n_positions, *n_token_types;
} size_names;

static const size_names chinese_clip_names = {
    "embed_dim",
    "vision_width",
    "vision_patch_size",
    "vision_layers",
    "mlp width (4 x vision_width)",
    "image_resolution",
    "vocab_size",
    "text_hidden_size",
    "text_num_hidden_layers",
    "text_intermediate_size",
    "text_max_position_embeddings",
    "text_type_vocab_size",
};
static const size_names open_clip_names = {
    "embed_dim",
    "vision_cfg.width",
    "vision_cfg.patch_size",
    "vision_cfg.layers",
    "mlp width (vision_cfg.width x mlp_ratio)",
    "vision_cfg.image_size",
    "text_cfg.vocab_size",
    "text_cfg.width",
    "text_cfg.layers",
    "mlp width (text_cfg.width x mlp_ratio)",
    "text_cfg.context_length",
    "",
};
static const size_names hugging_face_names = {
    "projection_dim",
    "vision_config.hidden_size",
    "vision_config.patch_size",
    "vision_config.num_hidden_layers",
    "vision_config.intermediate_size",
    "vision_config.image_size",
    "text_config.vocab_size",
    "text_config.hidden_size",
    "text_config.num_hidden_layers",
    "text_config.intermediate_size",
    "text_config.max_position_embeddings",
    "text_config.type_vocab_size",
};

static const size_names *names_of(const tw_expectation *e) {
    return e->hugging_face                            ? &hugging_face_names
           : e->text && e->text->kind == TW_TEXT_CLIP ? &open_clip_names
                                                      : &chinese_clip_names;
}

static tw_status same(const char *field, int64_t expected, int64_t got, tw_error *err) {
    if (expected == got) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s: the configuration says %lld, the checkpoint has %lld",
                   field, (long long)expected, (long long)got);
}

static tw_status compare_vision(const tw_expectation *e, const tw_arch *arch, tw_error *err) {
    const tw_vision_config *x = e->vision, *v = &arch->vision;
    const size_names *names = names_of(e);
    char field[64];
    if (x->kind != v->kind)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s: the configuration is of a %s, the checkpoint has a %s", names->n_layers,
                       x->kind == TW_VISION_VIT ? "ViT" : "ModifiedResNet",
                       v->kind == TW_VISION_VIT ? "ViT" : "ModifiedResNet");
    TW_TRY(same(names->embed_dim, e->embed_dim, arch->embed_dim, err));
    TW_TRY(same(names->width, x->width, v->width, err));
    if (v->kind == TW_VISION_VIT) {
        TW_TRY(same(names->patch_size, x->patch_size, v->patch_size, err));
        TW_TRY(same(names->n_layers, x->n_layers, v->n_layers, err));
        TW_TRY(same(names->mlp_width, x->mlp_width, v->mlp_width, err));
    }
    for (int i = 0; i < 4; i++) {
        snprintf(field, sizeof field, "%s[%d]", names->n_layers, i);
        TW_TRY(same(field, x->stages[i], v->stages[i], err));
    }
    if (x->image_size == v->image_size || x->image_size == e->resolution) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s: the configuration says %d, the checkpoint has %d%s",
                   names->image_size, x->image_size, v->image_size,
                   v->kind == TW_VISION_VIT ? "; --resolution resizes its position table" : "");
}

static tw_status compare_text(const tw_expectation *e, const tw_text_config *t, tw_error *err) {
    const tw_text_config *x = e->text;
    const size_names *names = names_of(e);
    if (x->kind != t->kind)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "text tower: the configuration is of a %s, the checkpoint has a %s",
                       x->kind == TW_TEXT_BERT ? "BERT" : "CLIP transformer",
                       t->kind == TW_TEXT_BERT ? "BERT" : "CLIP transformer");
    TW_TRY(same(names->vocab_size, x->vocab_size, t->vocab_size, err));
    TW_TRY(same(names->text_width, x->width, t->width, err));
    TW_TRY(same(names->text_layers, x->n_layers, t->n_layers, err));
    TW_TRY(same(names->text_mlp, x->mlp_width, t->mlp_width, err));
    TW_TRY(same(names->n_positions, x->n_positions, t->n_positions, err));
    if (t->kind == TW_TEXT_CLIP) return TW_OK;
    return same(names->n_token_types, x->n_token_types, t->n_token_types, err);
}

/* ----------------------------------------------------------------------------------- what is left
 */

/* Heads of a tower: the option's or the configuration's head width, else the table's. */
static tw_status settle_heads(const char *tower, const char *options, int64_t width, int32_t option,
                              int32_t configured, int32_t by_table, int32_t *head_width,
                              int32_t *n_heads, tw_error *err) {
    if (option && configured && option != configured)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s tower: head width %d is asked for, the configuration says %d", tower,
                       option, configured);
    *head_width = option ? option : configured ? configured : by_table;
    if (*head_width == 0)
        return tw_fail(
            err, TW_ERR_AMBIGUOUS,
            "%s tower of width %lld: its shapes do not tell the number of heads; give %s", tower,
            (long long)width, options);
    if (*head_width < 0 || width % *head_width)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s tower: head width %d does not divide the width %lld", tower, *head_width,
                       (long long)width);
    *n_heads = (int32_t)(width / *head_width);
    return TW_OK;
}

/* OpenAI's models have heads of 64 whatever the width. */
static int32_t family_head_width(const tw_origin *s, const tw_expectation *e) {
    return e->openai ? 64 : tw_origin_family(s)->head_width;
}

/* Activation of a ViT or of CLIP's text tower; `configured` is what a configuration says of it. */
static tw_status settle_activation(const tw_origin *s, const tw_expectation *e,
                                   tw_activation configured, tw_activation *out, tw_error *err) {
    const tw_family *f = tw_origin_family(s);
    *out = e->activation   ? e->activation
           : e->openai     ? TW_QUICK_GELU
           : configured    ? configured
           : f->activation ? f->activation
                           : e->preset_activation;
    if (*out != TW_ACT_NONE) return TW_OK;
    return tw_fail(err, TW_ERR_AMBIGUOUS,
                   "the file does not tell the activation; give --activation quick_gelu (OpenAI's "
                   "weights, names with -quickgelu) or gelu (other open_clip weights), or --arch "
                   "with the model's open_clip_config.json");
}

static tw_status settle_vision(const tw_origin *s, const tw_expectation *e, tw_arch *arch,
                               tw_error *err) {
    tw_vision_config *v = &arch->vision;
    bool vit = v->kind == TW_VISION_VIT;
    int64_t width = vit ? v->width : tw_pool_width(v);
    TW_TRY(settle_heads("image", "--head-width or --vision-config", width, e->vision_head_width,
                        e->vision ? e->vision->head_width : 0,
                        !vit                      ? TW_POOL_HEAD_WIDTH
                        : family_head_width(s, e) ? family_head_width(s, e)
                                                  : tw_vision_head_width(v->width),
                        &v->head_width, &v->n_heads, err));
    v->norm_eps = e->vision_norm_eps != 0 ? e->vision_norm_eps
                  : e->vision             ? e->vision->norm_eps
                                          : TW_VISION_EPS;
    v->activation = TW_RELU;
    /* In a CLIP model with a ModifiedResNet the option is about the text tower. */
    if (vit)
        TW_TRY(settle_activation(s, e, e->vision_activation, &v->activation, err));
    else if (tw_origin_family(s)->text_kind == TW_TEXT_BERT && e->activation)
        v->activation = e->activation;
    if (vit == (v->activation == TW_RELU))
        return tw_fail(err, TW_ERR_ARGUMENT, "activation %s does not belong to a %s",
                       tw_activation_name(v->activation), vit ? "ViT" : "ModifiedResNet");
    return TW_OK;
}

static tw_status settle_text(const tw_origin *s, const tw_expectation *e, tw_text_config *t,
                             tw_error *err) {
    bool bert = t->kind == TW_TEXT_BERT;
    int32_t head_width, configured = 0;
    if (e->text) configured = e->text->width / e->text->n_heads;
    TW_TRY(settle_heads(
        "text", bert ? "--text-head-width or --text-config" : "--text-head-width or --arch",
        t->width, e->text_head_width, configured,
        family_head_width(s, e) ? family_head_width(s, e) : tw_text_head_width(t->width),
        &head_width, &t->n_heads, err));
    t->activation = e->text_activation ? e->text_activation : TW_GELU_ERF;
    if (!bert) TW_TRY(settle_activation(s, e, e->text_activation, &t->activation, err));
    t->norm_eps = e->text_norm_eps != 0 ? e->text_norm_eps
                  : e->text             ? e->text->norm_eps
                  : bert                ? TW_BERT_EPS
                                        : TW_VISION_EPS;
    t->context_length = e->context_length ? e->context_length
                        : bert            ? TW_MIN(TW_DEFAULT_CONTEXT, t->n_positions)
                                          : t->n_positions;
    if (t->context_length >= 2 && t->context_length <= t->n_positions) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "context length %d, the text tower takes 2..%d",
                   t->context_length, t->n_positions);
}

tw_status tw_recognize(tw_origin *origin, const tw_expectation *said, tw_arch *out, tw_error *err) {
    tw_expectation copy = *said, *expected = &copy;
    *out = (tw_arch){.struct_size = sizeof *out};
    if (copy.text && copy.text_implied && copy.text->kind != tw_origin_family(origin)->text_kind)
        copy.text = NULL;
    if (expected->vision_only && expected->text_only)
        return tw_fail(err, TW_ERR_ARGUMENT, "vision only and text only leave no tower");
    if (!expected->text_only) {
        TW_TRY(measure_vision(origin, out, err));
        if (expected->vision) TW_TRY(compare_vision(expected, out, err));
        TW_TRY(settle_vision(origin, expected, out, err));
    }
    if (!expected->vision_only) {
        int32_t embed_dim = 0;
        TW_TRY(measure_text(origin, out, &embed_dim, err));
        if (!expected->text_only && embed_dim != out->embed_dim)
            return tw_fail(err, TW_ERR_MISMATCH,
                           "image features of length %d, text features of length %d",
                           out->embed_dim, embed_dim);
        out->embed_dim = embed_dim;
        if (expected->text) TW_TRY(compare_text(expected, &out->text, err));
        TW_TRY(settle_text(origin, expected, &out->text, err));
    }
    TW_TRY(tw_arch_check(out, err));
    tw_arch_set_name(out);
    return TW_OK;
}
