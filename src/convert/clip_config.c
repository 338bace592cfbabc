/* Source: open_clip model.py (CLIPVisionCfg, CLIPTextCfg and their defaults), transform.py
 * (PreprocessCfg). */
#include "convert/clip_config.h"

#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "convert/json_fields.h"
#include "model/arch.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES ((size_t)1 << 20)
#define MAX_SIZE (1 << 20)

/* Settings that are read below, or that only training looks at. */
static const char *const vision_keys[] = {"image_size", "layers",     "width",         "head_width",
                                          "mlp_ratio",  "patch_size", "patch_dropout", NULL};
static const char *const text_keys[] = {"context_length", "vocab_size", "width", "heads",
                                        "layers",         "mlp_ratio",  NULL};
static const char *const model_keys[] = {"embed_dim",   "quick_gelu", "vision_cfg", "text_cfg",
                                         "custom_text", "cast_dtype", NULL};

/* A setting of its default, written out, says nothing. */
static bool is_neutral(const tw_json *v) {
    return v->type == TW_JSON_NULL || (v->type == TW_JSON_BOOL && !v->boolean);
}

static tw_status refuse_unknown(const tw_json *object, const char *where, const char *const *known,
                                tw_error *err) {
    for (const tw_json *v = object->first; v; v = v->next) {
        const char *const *k = known;
        while (*k && (strlen(*k) != v->n_key || memcmp(*k, v->key, v->n_key) != 0))
            k++;
        if (*k || is_neutral(v)) continue;
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s.%.*s is a setting this version does not know",
                       where, (int)TW_MIN(v->n_key, 48), v->key);
    }
    return TW_OK;
}

/* What other models of open_clip are told by, the most telling setting first. */
static const struct foreign {
    const char *object, *key, *model;
} foreigners[] = {
    {NULL, "init_logit_bias", "SigLIP"},
    {NULL, "multimodal_cfg", "CoCa"},
    {"vision_cfg", "timm_model_name", "a model with an image tower of timm"},
    {"text_cfg", "hf_model_name", "a model with a text tower of Hugging Face"},
    {"vision_cfg", "no_ln_pre", "CLIPA"},
    {"text_cfg", "hf_tokenizer_name", "a model with another tokenizer than CLIP's"},
    {"text_cfg", "tokenizer_mode", "a model with another tokenizer than CLIP's"},
    {"vision_cfg", "ls_init_value", "a model with layer scale"},
};

static tw_status refuse_foreign(const tw_json *model, tw_error *err) {
    for (size_t i = 0; i < TW_COUNT(foreigners); i++) {
        const struct foreign *f = &foreigners[i];
        const tw_json *object = f->object ? tw_json_get(model, f->object) : model;
        const tw_json *v = tw_json_get(object, f->key);
        if (!v || is_neutral(v)) continue;
        bool named = v->type == TW_JSON_STRING;
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s.%s%s%.48s%s: this is %s, which is not read",
                       f->object ? f->object : "model_cfg", f->key, named ? " '" : "",
                       named ? v->string : "", named ? "'" : "", f->model);
    }
    return TW_OK;
}

static tw_status get_i32(const tw_json *object, const char *where, const char *key,
                         int32_t fallback, int32_t *out, tw_error *err) {
    int64_t v = 0;
    TW_TRY(tw_json_get_int(object, key, 1, MAX_SIZE, fallback, &v, err));
    *out = (int32_t)v;
    return v ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "key '%s.%s' is missing", where, key);
}

static tw_status get_number(const tw_json *object, const char *key, double fallback, double *out,
                            tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    *out = v && v->type == TW_JSON_NUMBER ? v->number : fallback;
    if (*out > 0 && *out < 1024 && (!v || v->type == TW_JSON_NUMBER || v->type == TW_JSON_NULL))
        return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected a number between 0 and 1024", key);
}

/* int(width * mlp_ratio) */
static tw_status get_mlp(const tw_json *object, int32_t width, int32_t *out, tw_error *err) {
    double ratio;
    TW_TRY(get_number(object, "mlp_ratio", 4.0, &ratio, err));
    *out = (int32_t)(width * ratio);
    return TW_OK;
}

static tw_status read_layers(const tw_json *cfg, tw_vision_config *v, tw_error *err) {
    const tw_json *layers = tw_json_get(cfg, "layers");
    v->kind = TW_VISION_VIT;
    if (!layers || layers->type != TW_JSON_ARRAY)
        return get_i32(cfg, "vision_cfg", "layers", 12, &v->n_layers, err);
    v->kind = TW_VISION_RESNET;
    int i = 0;
    if (layers->n_items == 4)
        for (const tw_json *n = layers->first;
             n && n->is_integer && n->integer >= 1 && n->integer <= 1000; n = n->next)
            v->stages[i++] = (int32_t)n->integer;
    if (i == 4) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT,
                   "key 'vision_cfg.layers': expected four integers in 1..1000");
}

static tw_status read_vision(const tw_json *cfg, tw_activation act, tw_clip_config *out,
                             tw_error *err) {
    tw_vision_config *v = &out->vision;
    TW_TRY(refuse_unknown(cfg, "vision_cfg", vision_keys, err));
    TW_TRY(read_layers(cfg, v, err));
    TW_TRY(get_i32(cfg, "vision_cfg", "width", 768, &v->width, err));
    TW_TRY(get_i32(cfg, "vision_cfg", "head_width", 64, &v->head_width, err));
    int64_t side;
    TW_TRY(tw_json_get_side(cfg, "image_size", MAX_SIZE, 224, &side, err));
    v->image_size = (int32_t)side;
    bool vit = v->kind == TW_VISION_VIT;
    int64_t width = vit ? v->width : tw_pool_width(v);
    if (width % v->head_width)
        return tw_fail(err, TW_ERR_MISMATCH, "vision_cfg.head_width %d does not divide %lld",
                       v->head_width, (long long)width);
    v->n_heads = (int32_t)(width / v->head_width);
    v->norm_eps = TW_VISION_EPS;
    v->activation = vit ? act : TW_RELU;
    if (!vit) return TW_OK;
    TW_TRY(get_i32(cfg, "vision_cfg", "patch_size", 16, &v->patch_size, err));
    return get_mlp(cfg, v->width, &v->mlp_width, err);
}

static tw_status read_text(const tw_json *cfg, tw_activation act, tw_clip_config *out,
                           tw_error *err) {
    tw_text_config *t = &out->text;
    TW_TRY(refuse_unknown(cfg, "text_cfg", text_keys, err));
    t->kind = TW_TEXT_CLIP;
    TW_TRY(get_i32(cfg, "text_cfg", "context_length", 77, &t->n_positions, err));
    TW_TRY(get_i32(cfg, "text_cfg", "vocab_size", 49408, &t->vocab_size, err));
    TW_TRY(get_i32(cfg, "text_cfg", "width", 512, &t->width, err));
    TW_TRY(get_i32(cfg, "text_cfg", "heads", 8, &t->n_heads, err));
    TW_TRY(get_i32(cfg, "text_cfg", "layers", 12, &t->n_layers, err));
    TW_TRY(get_mlp(cfg, t->width, &t->mlp_width, err));
    if (t->width % t->n_heads)
        return tw_fail(err, TW_ERR_MISMATCH, "text_cfg.heads %d does not divide width %d",
                       t->n_heads, t->width);
    t->context_length = t->n_positions;
    t->activation = act;
    t->norm_eps = TW_VISION_EPS;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- recipe */

/* The index of a word in `words`. */
static tw_status read_word(const tw_json *cfg, const char *key, const char *const *words, int n,
                           int *out, tw_error *err) {
    const char *word;
    TW_TRY(tw_json_get_string(cfg, key, words[*out], &word, err));
    for (*out = 0; *out < n; ++*out)
        if (strcmp(word, words[*out]) == 0) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "preprocess_cfg.%s '%.32s' is not supported", key,
                   word);
}

static tw_status read_recipe(const tw_json *cfg, tw_recipe *r, tw_error *err) {
    static const char *const modes[] = {"squash", "shortest", "longest"};
    static const char *const interpolations[] = {"bicubic", "bilinear"};
    static const char *const colours[] = {"RGB"};
    int mode = TW_RESIZE_SHORTEST, interpolation = TW_BICUBIC, colour = 0;
    const tw_json *fill = tw_json_get(cfg, "fill_color");
    TW_TRY(tw_json_get_channels(cfg, "mean", r->mean, err));
    TW_TRY(tw_json_get_channels(cfg, "std", r->std, err));
    TW_TRY(read_word(cfg, "mode", colours, 1, &colour, err));
    TW_TRY(read_word(cfg, "resize_mode", modes, 3, &mode, err));
    TW_TRY(read_word(cfg, "interpolation", interpolations, 2, &interpolation, err));
    r->resize_mode = (tw_resize_mode)mode;
    r->interpolation = (tw_interpolation)interpolation;
    /* Seen only where a picture is padded. The size is the image tower's, whatever stands here. */
    if (mode == TW_RESIZE_LONGEST && fill && fill->type != TW_JSON_NULL &&
        !(fill->is_integer && fill->integer == 0))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "preprocess_cfg.fill_color is not 0");
    for (int i = 0; i < 3; i++)
        if (!(r->std[i] > 0))
            return tw_fail(err, TW_ERR_FORMAT, "key 'std': expected three positive numbers");
    return TW_OK;
}

/* -------------------------------------------------------------------------------------- whole */

static tw_status read_model(const tw_json *model, const tw_json *vision, const tw_json *text,
                            tw_clip_config *out, tw_error *err) {
    const tw_json *quick = tw_json_get(model, "quick_gelu");
    if (!text || text->type != TW_JSON_OBJECT || vision->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT, "vision_cfg and text_cfg: expected two objects");
    if (quick && quick->type != TW_JSON_BOOL && quick->type != TW_JSON_NULL)
        return tw_fail(err, TW_ERR_FORMAT, "key 'quick_gelu': expected true or false");
    tw_activation act =
        quick && quick->type == TW_JSON_BOOL && quick->boolean ? TW_QUICK_GELU : TW_GELU_ERF;
    TW_TRY(refuse_foreign(model, err));
    TW_TRY(refuse_unknown(model, "model_cfg", model_keys, err));
    TW_TRY(get_i32(model, "model_cfg", "embed_dim", 0, &out->embed_dim, err));
    TW_TRY(read_vision(vision, act, out, err));
    return read_text(text, act, out, err);
}

tw_status tw_clip_config_parse(const void *json, size_t n_bytes, tw_clip_config *out, bool *found,
                               tw_error *err) {
    tw_json_doc *doc = NULL;
    *out = (tw_clip_config){.recipe = TW_RECIPE_INIT};
    out->recipe.size = 0;
    *found = false;
    TW_TRY(tw_json_parse(json, n_bytes, &doc, err));
    tw_status status = TW_OK;
    const tw_json *root = tw_json_root(doc), *model = tw_json_get(root, "model_cfg");
    if (!model) model = root;
    const tw_json *vision = tw_json_get(model, "vision_cfg"),
                  *preprocess = tw_json_get(root, "preprocess_cfg");
    TW_CHECK(tw_hf_clip_config_read(root, out, found, err));
    if (*found || !vision) goto done;
    *found = true;
    TW_CHECK(read_model(model, vision, tw_json_get(model, "text_cfg"), out, err));
    out->has_recipe = preprocess && preprocess->type == TW_JSON_OBJECT;
    if (out->has_recipe) status = read_recipe(preprocess, &out->recipe, err);
done:
    tw_json_free(doc);
    return status;
}

tw_status tw_clip_config_load(const char *path, tw_clip_config *out, bool *found, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, MAX_CONFIG_BYTES, &data, &n_bytes, err));
    tw_status status = tw_clip_config_parse(data, n_bytes, out, found, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    free(data);
    return status;
}
