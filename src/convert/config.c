#include "convert/config.h"

#include "base/file.h"
#include "base/json.h"
#include "convert/json_fields.h"
#include "model/arch.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES ((size_t)1 << 20)

static tw_status need_int(const tw_json *object, const char *key, int32_t max, int32_t *out,
                          tw_error *err) {
    int64_t v;
    TW_TRY(tw_json_get_int(object, key, 1, max, 0, &v, err));
    if (v == 0) return tw_fail(err, TW_ERR_FORMAT, "key '%s' is missing", key);
    *out = (int32_t)v;
    return TW_OK;
}

static tw_status open_object(const void *json, size_t n_bytes, const char *required,
                             const char *kind, tw_json_doc **doc, tw_error *err) {
    TW_TRY(tw_json_parse(json, n_bytes, doc, err));
    const tw_json *root = tw_json_root(*doc);
    if (root->type == TW_JSON_OBJECT && tw_json_get(root, required)) return TW_OK;
    bool hf = root->type == TW_JSON_OBJECT && tw_json_get(root, "model_type");
    tw_json_free(*doc);
    *doc = NULL;
    return tw_fail(err, TW_ERR_FORMAT, "no configuration of %s: '%s' is missing%s", kind, required,
                   hf ? " (this is a Hugging Face config.json; give the head widths instead)" : "");
}

/* Four bottleneck counts from an array. */
static tw_status parse_stages(const tw_json *array, tw_vision_config *out, tw_error *err) {
    int i = 0;
    if (array->n_items == 4)
        for (const tw_json *v = array->first;
             v && v->is_integer && v->integer >= 1 && v->integer <= 1000; v = v->next)
            out->stages[i++] = (int32_t)v->integer;
    if (i != 4)
        return tw_fail(err, TW_ERR_FORMAT,
                       "key 'vision_layers' is an array, expected four integers in 1..1000");
    out->kind = TW_VISION_RESNET;
    return TW_OK;
}

/* RN50.json has the array as a string, which the original evaluates as Python. */
static tw_status parse_stage_string(const tw_json *string, tw_vision_config *out, tw_error *err) {
    tw_json_doc *doc = NULL;
    tw_status status = tw_json_parse(string->string, string->n_string, &doc, err);
    if (status == TW_OK && tw_json_root(doc)->type == TW_JSON_ARRAY)
        status = parse_stages(tw_json_root(doc), out, err);
    else
        status = tw_fail(err, TW_ERR_FORMAT,
                         "key 'vision_layers' is a string, expected \"[a, b, c, d]\"");
    tw_json_free(doc);
    return status;
}

static tw_status parse_layers(const tw_json *root, tw_vision_config *out, tw_error *err) {
    const tw_json *layers = tw_json_get(root, "vision_layers");
    if (layers && layers->type == TW_JSON_ARRAY) return parse_stages(layers, out, err);
    if (layers && layers->type == TW_JSON_STRING) return parse_stage_string(layers, out, err);
    out->kind = TW_VISION_VIT;
    return need_int(root, "vision_layers", 1000, &out->n_layers, err);
}

static tw_status read_vision(const tw_json *root, tw_vision_config *v, int32_t *embed_dim,
                             tw_error *err) {
    int64_t head_width, side;
    TW_TRY(need_int(root, "embed_dim", 1 << 20, embed_dim, err));
    TW_TRY(tw_json_get_side(root, "image_resolution", 1 << 16, 0, &side, err));
    if (side == 0) return tw_fail(err, TW_ERR_FORMAT, "key 'image_resolution' is missing");
    v->image_size = (int32_t)side;
    TW_TRY(need_int(root, "vision_width", 1 << 20, &v->width, err));
    TW_TRY(parse_layers(root, v, err));
    TW_TRY(tw_json_get_int(root, "vision_head_width", 1, 1 << 20, 64, &head_width, err));
    v->head_width = (int32_t)head_width;
    if (v->kind == TW_VISION_VIT) {
        TW_TRY(need_int(root, "vision_patch_size", 1 << 16, &v->patch_size, err));
        v->mlp_width = 4 * v->width;
    }
    int64_t width = v->kind == TW_VISION_VIT ? v->width : tw_pool_width(v);
    if (width % head_width)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "vision_head_width %lld does not divide the width %lld of the attention",
                       (long long)head_width, (long long)width);
    v->n_heads = (int32_t)(width / head_width);
    v->activation = v->kind == TW_VISION_VIT ? TW_QUICK_GELU : TW_RELU;
    v->norm_eps = TW_VISION_EPS;
    return TW_OK;
}

tw_status tw_vision_config_parse(const void *json, size_t n_bytes, tw_vision_config *out,
                                 int32_t *embed_dim, tw_error *err) {
    tw_json_doc *doc = NULL;
    *out = (tw_vision_config){0};
    TW_TRY(open_object(json, n_bytes, "vision_width", "an image tower", &doc, err));
    tw_status status = read_vision(tw_json_root(doc), out, embed_dim, err);
    tw_json_free(doc);
    return status;
}

static tw_status read_text(const tw_json *root, tw_text_config *t, tw_error *err) {
    const char *activation;
    TW_TRY(need_int(root, "vocab_size", 1 << 24, &t->vocab_size, err));
    TW_TRY(need_int(root, "text_hidden_size", 1 << 20, &t->width, err));
    TW_TRY(need_int(root, "text_num_hidden_layers", 1000, &t->n_layers, err));
    TW_TRY(need_int(root, "text_num_attention_heads", 1 << 20, &t->n_heads, err));
    TW_TRY(need_int(root, "text_intermediate_size", 1 << 24, &t->mlp_width, err));
    TW_TRY(need_int(root, "text_max_position_embeddings", 1 << 20, &t->n_positions, err));
    TW_TRY(need_int(root, "text_type_vocab_size", 1 << 20, &t->n_token_types, err));
    TW_TRY(tw_json_get_string(root, "text_hidden_act", "gelu", &activation, err));
    if (strcmp(activation, "gelu") != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "text_hidden_act '%.32s', expected 'gelu'",
                       activation);
    if (t->width % t->n_heads)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "text_num_attention_heads %d does not divide text_hidden_size %d",
                       t->n_heads, t->width);
    t->kind = TW_TEXT_BERT;
    t->activation = TW_GELU_ERF;
    t->norm_eps = TW_BERT_EPS;
    return TW_OK;
}

tw_status tw_text_config_parse(const void *json, size_t n_bytes, tw_text_config *out,
                               tw_error *err) {
    tw_json_doc *doc = NULL;
    *out = (tw_text_config){0};
    TW_TRY(open_object(json, n_bytes, "text_hidden_size", "a text tower", &doc, err));
    tw_status status = read_text(tw_json_root(doc), out, err);
    tw_json_free(doc);
    return status;
}

tw_status tw_vision_config_load(const char *path, tw_vision_config *out, int32_t *embed_dim,
                                tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, MAX_CONFIG_BYTES, &data, &n_bytes, err));
    tw_status status = tw_vision_config_parse(data, n_bytes, out, embed_dim, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    free(data);
    return status;
}

tw_status tw_text_config_load(const char *path, tw_text_config *out, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, MAX_CONFIG_BYTES, &data, &n_bytes, err));
    tw_status status = tw_text_config_parse(data, n_bytes, out, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    free(data);
    return status;
}
