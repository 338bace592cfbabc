/* Source: clip.cpp models/convert_hf_to_gguf.py (keys; towers of transformers' CLIPModel),
 * clip.cpp (one activation flag for both towers; "gelu" of a configuration is the erf one). */
#include "convert/gguf_config.h"

#include "base/size.h"
#include "model/metadata.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIZE (1 << 20)
#define CLIP_CPP_LOGIT_SCALE 4.6051702f /* ln(100): clip.cpp multiplies cosines by 100 */

bool tw_gguf_is_model(const tw_gguf *g) {
    return tw_gguf_find(g, "tuwen.file_version") != NULL;
}

/* clip.TOWER.WHAT */
static const char *key_of(const char *tower, const char *what, char *buf, size_t n_bytes) {
    snprintf(buf, n_bytes, "clip.%s.%s", tower, what);
    return buf;
}

static tw_status get_i32(const tw_gguf *g, const char *tower, const char *what, int32_t *out,
                         tw_error *err) {
    char key[64];
    int64_t v = 0;
    TW_TRY(tw_gguf_get_int(g, key_of(tower, what, key, sizeof key), 1, MAX_SIZE, &v, err));
    *out = (int32_t)v;
    return TW_OK;
}

/* What both towers have. */
typedef struct tower {
    int32_t width, mlp_width, n_layers, n_heads, embed_dim;
    float norm_eps;
} tower;

static tw_status get_tower(const tw_gguf *g, const char *name, tower *out, tw_error *err) {
    const struct {
        const char *what;
        int32_t *out;
    } sizes[] = {{"embedding_length", &out->width},
                 {"feed_forward_length", &out->mlp_width},
                 {"block_count", &out->n_layers},
                 {"attention.head_count", &out->n_heads},
                 {"projection_dim", &out->embed_dim}};
    char key[64];
    for (size_t i = 0; i < TW_COUNT(sizes); i++)
        TW_TRY(get_i32(g, name, sizes[i].what, sizes[i].out, err));
    key_of(name, "attention.layer_norm_epsilon", key, sizeof key);
    TW_TRY(tw_gguf_get_f32(g, key, &out->norm_eps, err));
    if (out->width % out->n_heads == 0) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "clip.%s: %d heads do not divide the width %d", name,
                   out->n_heads, out->width);
}

static tw_status read_recipe(const tw_gguf *g, tw_recipe *r, tw_error *err) {
    r->resize_mode = TW_RESIZE_SHORTEST;
    r->rgb_order = TW_RGB_FIRST;
    r->crop_rounding = TW_CROP_FLOOR;
    TW_TRY(tw_gguf_get_f32_array(g, "clip.vision.image_mean", 3, r->mean, err));
    TW_TRY(tw_gguf_get_f32_array(g, "clip.vision.image_std", 3, r->std, err));
    for (int i = 0; i < 3; i++)
        if (!isfinite(r->mean[i]) || !isfinite(r->std[i]) || r->std[i] <= 0)
            return tw_fail(
                err, TW_ERR_FORMAT,
                "keys 'clip.vision.image_mean' and 'image_std': %g and %g for channel %d",
                (double)r->mean[i], (double)r->std[i], i);
    return TW_OK;
}

static tw_status read_vision(const tw_gguf *g, tw_activation act, tw_clip_config *out,
                             tw_error *err) {
    tw_vision_config *v = &out->vision;
    tower t = {0};
    TW_TRY(get_tower(g, "vision", &t, err));
    *v = (tw_vision_config){.kind = TW_VISION_VIT,
                            .width = t.width,
                            .mlp_width = t.mlp_width,
                            .n_layers = t.n_layers,
                            .n_heads = t.n_heads,
                            .head_width = t.width / t.n_heads,
                            .activation = act,
                            .norm_eps = t.norm_eps};
    out->embed_dim = t.embed_dim;
    TW_TRY(get_i32(g, "vision", "image_size", &v->image_size, err));
    TW_TRY(get_i32(g, "vision", "patch_size", &v->patch_size, err));
    out->has_recipe = true;
    return read_recipe(g, &out->recipe, err);
}

static tw_status read_text(const tw_gguf *g, tw_activation act, tw_clip_config *out,
                           tw_error *err) {
    tw_text_config *x = &out->text;
    tw_gguf_strings tokens;
    tower t = {0};
    TW_TRY(get_tower(g, "text", &t, err));
    *x = (tw_text_config){.kind = TW_TEXT_CLIP,
                          .width = t.width,
                          .mlp_width = t.mlp_width,
                          .n_layers = t.n_layers,
                          .n_heads = t.n_heads,
                          .activation = act,
                          .norm_eps = t.norm_eps};
    TW_TRY(get_i32(g, "text", "context_length", &x->n_positions, err));
    TW_TRY(tw_gguf_get_strings(g, "tokenizer.ggml.tokens", &tokens, err));
    if (tokens.n < 1 || tokens.n > MAX_SIZE)
        return tw_fail(err, TW_ERR_FORMAT, "key 'tokenizer.ggml.tokens' has %llu elements",
                       (unsigned long long)tokens.n);
    x->vocab_size = (int32_t)tokens.n;
    x->context_length = x->n_positions;
    if (out->vision.kind != TW_VISION_NONE && t.embed_dim != out->embed_dim)
        return tw_fail(err, TW_ERR_MISMATCH, "clip.vision.projection_dim %d, clip.text's is %d",
                       out->embed_dim, t.embed_dim);
    out->embed_dim = t.embed_dim;
    return TW_OK;
}

static tw_status read_clip_cpp(const tw_gguf *g, tw_clip_config *out, tw_error *err) {
    bool vision, text, gelu;
    TW_TRY(tw_gguf_get_bool(g, "clip.has_vision_encoder", &vision, err));
    TW_TRY(tw_gguf_get_bool(g, "clip.has_text_encoder", &text, err));
    TW_TRY(tw_gguf_get_bool(g, "clip.use_gelu", &gelu, err));
    if (!vision && !text)
        return tw_fail(err, TW_ERR_FORMAT,
                       "keys 'clip.has_vision_encoder' and 'clip.has_text_encoder' are both false");
    tw_activation act = gelu ? TW_GELU_ERF : TW_QUICK_GELU;
    out->logit_scale = CLIP_CPP_LOGIT_SCALE;
    if (vision) TW_TRY(read_vision(g, act, out, err));
    return text ? read_text(g, act, out, err) : TW_OK;
}

static tw_status read_model_file(const tw_gguf *g, tw_clip_config *out, tw_error *err) {
    tw_metadata m;
    TW_TRY(tw_metadata_read(g, &m, err));
    out->embed_dim = m.arch.embed_dim;
    out->vision = m.arch.vision;
    out->text = m.arch.text;
    out->has_recipe = m.arch.vision.kind != TW_VISION_NONE;
    out->recipe = m.recipe;
    out->logit_scale = m.logit_scale;
    return TW_OK;
}

tw_status tw_gguf_config_read(const tw_gguf *g, tw_clip_config *out, tw_error *err) {
    *out = (tw_clip_config){.recipe = TW_RECIPE_INIT, .has_logit_scale = true};
    TW_TRY(tw_gguf_is_model(g) ? read_model_file(g, out, err) : read_clip_cpp(g, out, err));
    out->recipe.size = 0;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- tokens */

tw_bpe_variant tw_gguf_bpe_variant(const tw_gguf *g) {
    tw_gguf_string s = {"", 0};
    tw_gguf_strings it;
    if (tw_gguf_get_strings(g, "tokenizer.ggml.tokens", &it, NULL) == TW_OK)
        while (tw_gguf_next_string(&it, &s)) {
        }
    return tw_gguf_string_is(s, "<end_of_text>") ? TW_BPE_OPEN_CLIP : TW_BPE_OPENAI;
}

bool tw_gguf_tokens_agree(const tw_gguf *g, const tw_tokenizer *tokenizer) {
    tw_gguf_string s;
    tw_gguf_strings it;
    int32_t id = 0, n = tw_tokenizer_vocab_size(tokenizer);
    if (tw_gguf_get_strings(g, "tokenizer.ggml.tokens", &it, NULL) != TW_OK) return false;
    while (id < n && tw_gguf_next_string(&it, &s))
        if (!tw_gguf_string_is(s, tw_tokenizer_token(tokenizer, id++))) return false;
    return id == n && it.next == it.n;
}
