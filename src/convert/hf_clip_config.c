/* config.json of Hugging Face's CLIP and ChineseCLIP. Source: transformers configuration_clip.py,
 * configuration_chinese_clip.py (classes and their defaults; a *_config_dict of old files, with the
 * class's defaults for what it lacks, replaces *_config). */
#include "base/json.h"
#include "base/size.h"
#include "convert/clip_config.h"
#include "convert/json_fields.h"
#include "model/arch.h"

#include <string.h>

#define MAX_SIZE (1 << 20)

/* What the classes of a model type assume. */
typedef struct defaults {
    const char *model_type;
    tw_text_config text;
} defaults;

static const defaults types[] = {
    {"clip",
     {.kind = TW_TEXT_CLIP,
      .vocab_size = 49408,
      .width = 512,
      .mlp_width = 2048,
      .n_layers = 12,
      .n_heads = 8,
      .n_positions = 77,
      .activation = TW_QUICK_GELU,
      .norm_eps = TW_VISION_EPS}},
    {"chinese_clip",
     {.kind = TW_TEXT_BERT,
      .vocab_size = 30522,
      .width = 768,
      .mlp_width = 3072,
      .n_layers = 12,
      .n_heads = 12,
      .n_positions = 512,
      .n_token_types = 2,
      .activation = TW_GELU_ERF,
      .norm_eps = TW_BERT_EPS}},
};

/* Of both types. */
static const tw_vision_config vision_defaults = {
    .kind = TW_VISION_VIT,
    .width = 768,
    .mlp_width = 3072,
    .n_layers = 12,
    .n_heads = 12,
    .image_size = 224,
    .patch_size = 32,
    .activation = TW_QUICK_GELU,
    .norm_eps = TW_VISION_EPS,
};

/* A tower's settings; the object may be missing. */
typedef struct settings {
    const tw_json *object;
    const char *where;
} settings;

static tw_status open_settings(const tw_json *root, const char *old, const char *own, settings *out,
                               tw_error *err) {
    const char *const keys[2] = {old, own};
    *out = (settings){NULL, own};
    for (int i = 0; i < 2 && !out->object; i++) {
        const tw_json *v = tw_json_get(root, keys[i]);
        if (!v || v->type == TW_JSON_NULL) continue;
        if (v->type != TW_JSON_OBJECT)
            return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected an object", keys[i]);
        *out = (settings){v, keys[i]};
    }
    return TW_OK;
}

/* *v has the default. */
static tw_status get(const settings *s, const char *key, int32_t *v, tw_error *err) {
    int64_t got = *v;
    if (s->object) TW_TRY(tw_json_get_int(s->object, key, 0, MAX_SIZE, got, &got, err));
    *v = (int32_t)got;
    if (got > 0) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s.%s' is 0", s->where, key);
}

static tw_status get_image_size(const settings *s, int32_t *v, tw_error *err) {
    int64_t side = *v;
    if (s->object) TW_TRY(tw_json_get_side(s->object, "image_size", MAX_SIZE, side, &side, err));
    *v = (int32_t)side;
    return TW_OK;
}

static tw_status get_activation(const settings *s, tw_activation *v, tw_error *err) {
    const char *name = tw_activation_name(*v);
    if (s->object) TW_TRY(tw_json_get_string(s->object, "hidden_act", name, &name, err));
    *v = strcmp(name, "quick_gelu") == 0 ? TW_QUICK_GELU
         : strcmp(name, "gelu") == 0     ? TW_GELU_ERF
                                         : TW_ACT_NONE;
    if (*v != TW_ACT_NONE) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "%s.hidden_act '%.32s', expected 'quick_gelu' or 'gelu'", s->where, name);
}

static tw_status get_eps(const settings *s, float *v, tw_error *err) {
    const tw_json *eps = tw_json_get(s->object, "layer_norm_eps");
    if (!eps || eps->type == TW_JSON_NULL) return TW_OK;
    *v = eps->type == TW_JSON_NUMBER ? (float)eps->number : 0;
    if (*v > 0 && *v < 1) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s.layer_norm_eps': expected a number between 0 and 1",
                   s->where);
}

static tw_status check_divides(const settings *s, int32_t n_heads, int32_t width, tw_error *err) {
    if (width % n_heads == 0) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s: num_attention_heads %d does not divide hidden_size %d", s->where, n_heads,
                   width);
}

/* 2 stands in old files and means nothing; another id must be the largest, which is what the end of
 * text is found by. */
static tw_status check_end(const settings *s, int32_t vocab_size, tw_error *err) {
    int32_t end = vocab_size - 1;
    TW_TRY(get(s, "eos_token_id", &end, err));
    if (end == 2 || end == vocab_size - 1 || !tw_json_get(s->object, "eos_token_id")) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s.eos_token_id %d is not the last of %d tokens",
                   s->where, end, vocab_size);
}

static tw_status check_positions(const settings *s, tw_error *err) {
    const char *type = "absolute";
    if (s->object)
        TW_TRY(tw_json_get_string(s->object, "position_embedding_type", type, &type, err));
    if (strcmp(type, "absolute") == 0) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "%s.position_embedding_type '%.32s', expected 'absolute'", s->where, type);
}

static tw_status read_vision(const settings *s, tw_vision_config *v, tw_error *err) {
    *v = vision_defaults;
    TW_TRY(get(s, "hidden_size", &v->width, err));
    TW_TRY(get(s, "intermediate_size", &v->mlp_width, err));
    TW_TRY(get(s, "num_hidden_layers", &v->n_layers, err));
    TW_TRY(get(s, "num_attention_heads", &v->n_heads, err));
    TW_TRY(get_image_size(s, &v->image_size, err));
    TW_TRY(get(s, "patch_size", &v->patch_size, err));
    TW_TRY(get_activation(s, &v->activation, err));
    TW_TRY(get_eps(s, &v->norm_eps, err));
    TW_TRY(check_divides(s, v->n_heads, v->width, err));
    v->head_width = v->width / v->n_heads;
    return TW_OK;
}

static tw_status read_text(const settings *s, tw_text_config *t, tw_error *err) {
    TW_TRY(get(s, "vocab_size", &t->vocab_size, err));
    TW_TRY(get(s, "hidden_size", &t->width, err));
    TW_TRY(get(s, "intermediate_size", &t->mlp_width, err));
    TW_TRY(get(s, "num_hidden_layers", &t->n_layers, err));
    TW_TRY(get(s, "num_attention_heads", &t->n_heads, err));
    TW_TRY(get(s, "max_position_embeddings", &t->n_positions, err));
    TW_TRY(get_activation(s, &t->activation, err));
    TW_TRY(get_eps(s, &t->norm_eps, err));
    if (t->kind == TW_TEXT_CLIP) {
        TW_TRY(check_end(s, t->vocab_size, err));
        t->context_length = t->n_positions;
    } else {
        TW_TRY(get(s, "type_vocab_size", &t->n_token_types, err));
        TW_TRY(check_positions(s, err));
    }
    return check_divides(s, t->n_heads, t->width, err);
}

tw_status tw_hf_clip_config_read(const tw_json *root, tw_clip_config *out, bool *found,
                                 tw_error *err) {
    const tw_json *type = tw_json_get(root, "model_type");
    const defaults *d = types;
    *found = false;
    if (!type || type->type != TW_JSON_STRING) return TW_OK;
    while (d < types + TW_COUNT(types) && strcmp(type->string, d->model_type) != 0)
        d++;
    if (d == types + TW_COUNT(types)) return TW_OK;
    *found = out->hugging_face = true;
    settings text, vision;
    const settings model = {root, "model"};
    TW_TRY(open_settings(root, "text_config_dict", "text_config", &text, err));
    TW_TRY(open_settings(root, "vision_config_dict", "vision_config", &vision, err));
    out->embed_dim = 512;
    out->text = d->text;
    TW_TRY(get(&model, "projection_dim", &out->embed_dim, err));
    TW_TRY(read_vision(&vision, &out->vision, err));
    return read_text(&text, &out->text, err);
}
