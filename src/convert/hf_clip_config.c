/* config.json of Hugging Face's CLIP. Source: transformers configuration_clip.py (classes and their
 * defaults; *_config_dict of old files wins over *_config). */
#include "base/json.h"
#include "convert/clip_config.h"
#include "model/arch.h"

#include <string.h>

#define MAX_SIZE (1 << 20)

/* A tower's settings, in two objects of which either may be missing. */
typedef struct settings {
    const tw_json *override, *own;
    const char *where;
} settings;

static tw_status open_settings(const tw_json *root, const char *override, const char *own,
                               settings *out, tw_error *err) {
    *out = (settings){tw_json_get(root, override), tw_json_get(root, own), own};
    const tw_json *both[2] = {out->override, out->own};
    for (int i = 0; i < 2; i++)
        if (both[i] && both[i]->type != TW_JSON_OBJECT && both[i]->type != TW_JSON_NULL)
            return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected an object", i ? own : override);
    return TW_OK;
}

/* The object that says something about a key; may be NULL. */
static const tw_json *holder(const settings *s, const char *key) {
    return s->override && tw_json_get(s->override, key) ? s->override : s->own;
}

static tw_status get(const settings *s, const char *key, int32_t fallback, int32_t *out,
                     tw_error *err) {
    const tw_json *object = holder(s, key);
    int64_t v = fallback;
    if (object) TW_TRY(tw_json_get_int(object, key, 0, MAX_SIZE, fallback, &v, err));
    *out = (int32_t)v;
    if (v > 0) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s.%s' is 0", s->where, key);
}

static tw_status get_activation(const settings *s, tw_activation *out, tw_error *err) {
    const tw_json *object = holder(s, "hidden_act");
    const char *name = "quick_gelu";
    if (object) TW_TRY(tw_json_get_string(object, "hidden_act", name, &name, err));
    *out = strcmp(name, "quick_gelu") == 0 ? TW_QUICK_GELU
           : strcmp(name, "gelu") == 0     ? TW_GELU_ERF
                                           : TW_ACT_NONE;
    if (*out != TW_ACT_NONE) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "%s.hidden_act '%.32s', expected 'quick_gelu' or 'gelu'", s->where, name);
}

static tw_status check_eps(const settings *s, tw_error *err) {
    const tw_json *object = holder(s, "layer_norm_eps");
    const tw_json *v = object ? tw_json_get(object, "layer_norm_eps") : NULL;
    if (!v || (v->type == TW_JSON_NUMBER && (float)v->number == TW_VISION_EPS)) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s.layer_norm_eps is not 1e-5", s->where);
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
    int32_t end;
    TW_TRY(get(s, "eos_token_id", vocab_size - 1, &end, err));
    if (end == 2 || end == vocab_size - 1 || !holder(s, "eos_token_id") ||
        !tw_json_get(holder(s, "eos_token_id"), "eos_token_id"))
        return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s.eos_token_id %d is not the last of %d tokens",
                   s->where, end, vocab_size);
}

static tw_status read_vision(const settings *s, tw_vision_config *v, tw_error *err) {
    v->kind = TW_VISION_VIT;
    TW_TRY(get(s, "hidden_size", 768, &v->width, err));
    TW_TRY(get(s, "intermediate_size", 3072, &v->mlp_width, err));
    TW_TRY(get(s, "num_hidden_layers", 12, &v->n_layers, err));
    TW_TRY(get(s, "num_attention_heads", 12, &v->n_heads, err));
    TW_TRY(get(s, "image_size", 224, &v->image_size, err));
    TW_TRY(get(s, "patch_size", 32, &v->patch_size, err));
    TW_TRY(get_activation(s, &v->activation, err));
    TW_TRY(check_eps(s, err));
    TW_TRY(check_divides(s, v->n_heads, v->width, err));
    v->head_width = v->width / v->n_heads;
    v->norm_eps = TW_VISION_EPS;
    return TW_OK;
}

static tw_status read_text(const settings *s, tw_text_config *t, tw_error *err) {
    t->kind = TW_TEXT_CLIP;
    TW_TRY(get(s, "vocab_size", 49408, &t->vocab_size, err));
    TW_TRY(get(s, "hidden_size", 512, &t->width, err));
    TW_TRY(get(s, "intermediate_size", 2048, &t->mlp_width, err));
    TW_TRY(get(s, "num_hidden_layers", 12, &t->n_layers, err));
    TW_TRY(get(s, "num_attention_heads", 8, &t->n_heads, err));
    TW_TRY(get(s, "max_position_embeddings", 77, &t->n_positions, err));
    TW_TRY(get_activation(s, &t->activation, err));
    TW_TRY(check_eps(s, err));
    TW_TRY(check_end(s, t->vocab_size, err));
    t->context_length = t->n_positions;
    t->norm_eps = TW_VISION_EPS;
    return check_divides(s, t->n_heads, t->width, err);
}

tw_status tw_hf_clip_config_read(const tw_json *root, tw_clip_config *out, tw_error *err) {
    settings text, vision, model = {NULL, root, "model"};
    TW_TRY(open_settings(root, "text_config_dict", "text_config", &text, err));
    TW_TRY(open_settings(root, "vision_config_dict", "vision_config", &vision, err));
    TW_TRY(get(&model, "projection_dim", 512, &out->embed_dim, err));
    TW_TRY(read_vision(&vision, &out->vision, err));
    TW_TRY(read_text(&text, &out->text, err));
    out->activation = out->vision.activation;
    if (out->text.activation == out->vision.activation) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "'%s' in the text tower, '%s' in the image tower; one for both is supported",
                   tw_activation_name(out->text.activation),
                   tw_activation_name(out->vision.activation));
}
