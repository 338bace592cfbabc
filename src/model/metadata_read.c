/* Reading the metadata of a model file. metadata_put.c is its mirror. */
#include "base/buffer.h"
#include "base/size.h"
#include "base/utf8.h"
#include "model/arch.h"
#include "model/metadata.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One of a fixed set of words; its index in `words` is the value of an enum. */
static tw_status get_word(const tw_gguf *g, const char *key, const char *const *words, int n,
                          int *out, tw_error *err) {
    tw_gguf_string s;
    TW_TRY(tw_gguf_get_string(g, key, &s, err));
    for (int i = 0; i < n; i++)
        if (tw_gguf_string_is(s, words[i])) {
            *out = i;
            return TW_OK;
        }
    return tw_fail(err, TW_ERR_UNSUPPORTED, "key '%s' is '%.*s', which this version does not know",
                   key, (int)TW_MIN(s.n_bytes, 64), s.data);
}

static tw_status get_i32(const tw_gguf *g, const char *key, int32_t *out, tw_error *err) {
    int64_t v;
    TW_TRY(tw_gguf_get_int(g, key, 0, INT32_MAX, &v, err));
    *out = (int32_t)v;
    return TW_OK;
}

static tw_status check_kind(const tw_gguf *g, tw_error *err) {
    tw_gguf_string s;
    int64_t version;
    if (!tw_gguf_find(g, "general.architecture"))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "a gguf file without general.architecture");
    TW_TRY(tw_gguf_get_string(g, "general.architecture", &s, err));
    if (!tw_gguf_string_is(s, "clip"))
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "a gguf file of architecture '%.*s', expected 'clip'",
                       (int)TW_MIN(s.n_bytes, 64), s.data);
    if (!tw_gguf_find(g, "tuwen.file_version"))
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "a clip.cpp file, not a model file: tuwen convert makes a model file of it");
    TW_TRY(tw_gguf_get_int(g, "tuwen.file_version", 1, INT32_MAX, &version, err));
    if (version > TW_FILE_VERSION)
        return tw_fail(
            err, TW_ERR_UNSUPPORTED,
            "model file of version %lld, this library (%s) reads up to %d; use a newer one",
            (long long)version, tw_version(), TW_FILE_VERSION);
    return TW_OK;
}

static tw_status read_activation(const tw_gguf *g, const char *key, tw_activation *out,
                                 tw_error *err) {
    const char *words[] = {tw_activation_name(TW_ACT_NONE), tw_activation_name(TW_QUICK_GELU),
                           tw_activation_name(TW_GELU_ERF), tw_activation_name(TW_RELU)};
    int v = 0;
    TW_TRY(get_word(g, key, words, (int)TW_COUNT(words), &v, err));
    *out = (tw_activation)v;
    return TW_OK;
}

static tw_status read_vision(const tw_gguf *g, tw_arch *arch, tw_error *err) {
    static const char *const kinds[] = {"", "vit", "resnet"};
    tw_vision_config *v = &arch->vision;
    int kind = 0;
    TW_TRY(get_word(g, "tuwen.vision.kind", kinds, 3, &kind, err));
    v->kind = (tw_vision_kind)kind;
    TW_TRY(read_activation(g, "tuwen.vision.activation", &v->activation, err));
    TW_TRY(get_i32(g, "tuwen.vision.head_width", &v->head_width, err));
    TW_TRY(get_i32(g, "clip.vision.image_size", &v->image_size, err));
    TW_TRY(get_i32(g, "clip.vision.embedding_length", &v->width, err));
    TW_TRY(get_i32(g, "clip.vision.projection_dim", &arch->embed_dim, err));
    TW_TRY(get_i32(g, "clip.vision.attention.head_count", &v->n_heads, err));
    if (v->kind == TW_VISION_RESNET) {
        TW_TRY(tw_gguf_get_int_array(g, "tuwen.vision.stages", 1, 256, 4, v->stages, err));
        return tw_gguf_get_f32(g, "tuwen.vision.batch_norm_epsilon", &v->norm_eps, err);
    }
    TW_TRY(get_i32(g, "clip.vision.patch_size", &v->patch_size, err));
    TW_TRY(get_i32(g, "clip.vision.block_count", &v->n_layers, err));
    TW_TRY(get_i32(g, "clip.vision.feed_forward_length", &v->mlp_width, err));
    return tw_gguf_get_f32(g, "clip.vision.attention.layer_norm_epsilon", &v->norm_eps, err);
}

static tw_status read_recipe_words(const tw_gguf *g, tw_recipe *r, tw_error *err) {
    const char *modes[] = {tw_resize_mode_name(TW_RESIZE_SQUASH),
                           tw_resize_mode_name(TW_RESIZE_SHORTEST),
                           tw_resize_mode_name(TW_RESIZE_LONGEST)};
    const char *interpolations[] = {tw_interpolation_name(TW_BICUBIC),
                                    tw_interpolation_name(TW_BILINEAR)};
    const char *resamplers[] = {
        tw_resampler_name(TW_RESAMPLER_CLASSIC), tw_resampler_name(TW_RESAMPLER_12_1),
        tw_resampler_name(TW_RESAMPLER_12_2), tw_resampler_name(TW_RESAMPLER_13)};
    const char *orders[] = {tw_rgb_order_name(TW_RGB_AFTER), tw_rgb_order_name(TW_RGB_FIRST)};
    const char *roundings[] = {tw_crop_rounding_name(TW_CROP_HALF_EVEN),
                               tw_crop_rounding_name(TW_CROP_FLOOR)};
    int mode = 0, interpolation = 0, resampler = 0, order = 0, rounding = 0;
    TW_TRY(get_word(g, "tuwen.recipe.resize_mode", modes, 3, &mode, err));
    TW_TRY(get_word(g, "tuwen.recipe.interpolation", interpolations, 2, &interpolation, err));
    TW_TRY(get_word(g, "tuwen.recipe.resampler", resamplers, 4, &resampler, err));
    TW_TRY(get_word(g, "tuwen.recipe.rgb_order", orders, 2, &order, err));
    TW_TRY(get_word(g, "tuwen.recipe.crop_rounding", roundings, 2, &rounding, err));
    r->resize_mode = (tw_resize_mode)mode;
    r->interpolation = (tw_interpolation)interpolation;
    r->resampler = (tw_resampler)resampler;
    r->rgb_order = (tw_rgb_order)order;
    r->crop_rounding = (tw_crop_rounding)rounding;
    return TW_OK;
}

static tw_status read_recipe(const tw_gguf *g, int32_t image_size, tw_recipe *r, tw_error *err) {
    TW_TRY(get_i32(g, "tuwen.recipe.size", &r->size, err));
    TW_TRY(tw_gguf_get_f32_array(g, "clip.vision.image_mean", 3, r->mean, err));
    TW_TRY(tw_gguf_get_f32_array(g, "clip.vision.image_std", 3, r->std, err));
    TW_TRY(read_recipe_words(g, r, err));
    if (r->size != image_size)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "recipe makes pictures of %d, the image tower takes %d", r->size,
                       image_size);
    for (int i = 0; i < 3; i++)
        if (!isfinite(r->mean[i]) || !isfinite(r->std[i]) || r->std[i] <= 0)
            return tw_fail(err, TW_ERR_FORMAT, "recipe: mean %g and std %g of channel %d",
                           (double)r->mean[i], (double)r->std[i], i);
    return TW_OK;
}

static tw_status read_text(const tw_gguf *g, tw_arch *arch, tw_error *err) {
    static const char *const kinds[] = {"", "bert", "clip"};
    tw_text_config *t = &arch->text;
    int kind = 0;
    int32_t embed_dim;
    TW_TRY(get_word(g, "tuwen.text.kind", kinds, 3, &kind, err));
    t->kind = (tw_text_kind)kind;
    TW_TRY(read_activation(g, "tuwen.text.activation", &t->activation, err));
    TW_TRY(get_i32(g, "tuwen.text.vocab_size", &t->vocab_size, err));
    TW_TRY(get_i32(g, "tuwen.text.position_count", &t->n_positions, err));
    if (t->kind == TW_TEXT_BERT)
        TW_TRY(get_i32(g, "tuwen.text.token_type_count", &t->n_token_types, err));
    TW_TRY(get_i32(g, "clip.text.context_length", &t->context_length, err));
    TW_TRY(get_i32(g, "clip.text.embedding_length", &t->width, err));
    TW_TRY(get_i32(g, "clip.text.feed_forward_length", &t->mlp_width, err));
    TW_TRY(get_i32(g, "clip.text.block_count", &t->n_layers, err));
    TW_TRY(get_i32(g, "clip.text.projection_dim", &embed_dim, err));
    TW_TRY(get_i32(g, "clip.text.attention.head_count", &t->n_heads, err));
    TW_TRY(tw_gguf_get_f32(g, "clip.text.attention.layer_norm_epsilon", &t->norm_eps, err));
    if (arch->vision.kind != TW_VISION_NONE && embed_dim != arch->embed_dim)
        return tw_fail(err, TW_ERR_MISMATCH, "image features of length %d, text features of %d",
                       arch->embed_dim, embed_dim);
    arch->embed_dim = embed_dim;
    return TW_OK;
}

static tw_status read_arch_name(const tw_gguf *g, tw_arch *arch, tw_error *err) {
    tw_gguf_string s;
    TW_TRY(tw_gguf_get_string(g, "tuwen.arch", &s, err));
    if (s.n_bytes >= sizeof arch->name || memchr(s.data, 0, s.n_bytes) ||
        !tw_utf8_valid(s.data, s.n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "key 'tuwen.arch' is no name of at most %zu bytes",
                       sizeof arch->name - 1);
    memcpy(arch->name, s.data, s.n_bytes);
    return TW_OK;
}

tw_status tw_metadata_read(const tw_gguf *g, tw_metadata *out, tw_error *err) {
    bool vision, text;
    *out = (tw_metadata){.arch = {.struct_size = sizeof(tw_arch)}, .recipe = TW_RECIPE_INIT};
    TW_TRY(check_kind(g, err));
    TW_TRY(read_arch_name(g, &out->arch, err));
    TW_TRY(tw_gguf_get_f32(g, "tuwen.logit_scale", &out->logit_scale, err));
    if (!isfinite(out->logit_scale))
        return tw_fail(err, TW_ERR_FORMAT, "key 'tuwen.logit_scale' is not finite");
    TW_TRY(tw_gguf_get_bool(g, "clip.has_vision_encoder", &vision, err));
    TW_TRY(tw_gguf_get_bool(g, "clip.has_text_encoder", &text, err));
    if (vision) {
        TW_TRY(read_vision(g, &out->arch, err));
        TW_TRY(read_recipe(g, out->arch.vision.image_size, &out->recipe, err));
    }
    if (text) TW_TRY(read_text(g, &out->arch, err));
    return tw_arch_check(&out->arch, err);
}

/* The bytes of a file of merges: a line of header, then the pairs. */
static tw_status read_merges(const tw_gguf *g, tw_buffer *out, tw_error *err) {
    tw_gguf_string s;
    tw_gguf_strings it;
    TW_TRY(tw_gguf_get_strings(g, "tokenizer.ggml.merges", &it, err));
    if (it.n > TW_BPE_MAX_MERGES)
        return tw_fail(err, TW_ERR_LIMIT, "%llu merges, expected at most %d",
                       (unsigned long long)it.n, TW_BPE_MAX_MERGES);
    tw_buffer_puts(out, "\n");
    while (tw_gguf_next_string(&it, &s)) {
        if (memchr(s.data, '\n', s.n_bytes))
            return tw_fail(err, TW_ERR_FORMAT, "key 'tokenizer.ggml.merges': a pair of two lines");
        tw_buffer_append(out, s.data, s.n_bytes);
        tw_buffer_puts(out, "\n");
    }
    return out->failed ? tw_fail_no_memory(err, out->n_bytes) : TW_OK;
}

static tw_status read_bpe(const tw_gguf *g, int32_t vocab_size, tw_tokenizer **out, tw_error *err) {
    static const char *const variants[] = {"openai", "open_clip"};
    int variant = 0;
    tw_buffer merges = {0};
    tw_status status;
    TW_CHECK(get_word(g, "tuwen.tokenizer.variant", variants, 2, &variant, err));
    TW_CHECK(read_merges(g, &merges, err));
    TW_CHECK(tw_tokenizer_bpe(merges.data, merges.n_bytes, (tw_bpe_variant)variant, out, err));
    if (tw_tokenizer_vocab_size(*out) != vocab_size) {
        status = tw_fail(err, TW_ERR_MISMATCH, "merges for %d tokens, the text tower has %d",
                         tw_tokenizer_vocab_size(*out), vocab_size);
        tw_tokenizer_free(*out);
        *out = NULL;
    }
done:
    tw_buffer_free(&merges);
    return status;
}

tw_status tw_metadata_read_tokenizer(const tw_gguf *g, int32_t vocab_size, tw_tokenizer **out,
                                     tw_error *err) {
    tw_gguf_string kind, s;
    tw_gguf_strings it;
    *out = NULL;
    TW_TRY(tw_gguf_get_string(g, "tokenizer.ggml.model", &kind, err));
    if (tw_gguf_string_is(kind, "bpe")) return read_bpe(g, vocab_size, out, err);
    if (!tw_gguf_string_is(kind, "wordpiece"))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tokenizer '%.*s', expected 'wordpiece' or 'bpe'",
                       (int)TW_MIN(kind.n_bytes, 64), kind.data);
    TW_TRY(tw_gguf_get_strings(g, "tokenizer.ggml.tokens", &it, err));
    if (it.n != (uint64_t)vocab_size)
        return tw_fail(err, TW_ERR_MISMATCH, "%llu tokens in the file, the text tower has %d",
                       (unsigned long long)it.n, vocab_size);
    size_t n = (size_t)it.n;
    const char **tokens = malloc(n * sizeof *tokens);
    size_t *lengths = malloc(n * sizeof *lengths);
    tw_status status;
    if (!tokens || !lengths) {
        status = tw_fail_no_memory(err, n * sizeof *tokens);
        goto done;
    }
    for (size_t i = 0; tw_gguf_next_string(&it, &s); i++) {
        tokens[i] = s.data;
        lengths[i] = s.n_bytes;
    }
    status = tw_tokenizer_wordpiece_tokens(tokens, lengths, n, out, err);
done:
    free(tokens);
    free(lengths);
    return status;
}

/* A NUL inside would cut it: that is damage. */
tw_status tw_metadata_optional(const tw_gguf *g, const char *key, tw_buffer *b, size_t *offset,
                               tw_error *err) {
    tw_gguf_string s = {"", 0};
    if (tw_gguf_find(g, key)) TW_TRY(tw_gguf_get_string(g, key, &s, err));
    if (s.n_bytes > 4096 || memchr(s.data, 0, s.n_bytes) || !tw_utf8_valid(s.data, s.n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "key '%s' is no text of at most 4096 bytes", key);
    *offset = b->n_bytes;
    tw_buffer_append(b, s.data, s.n_bytes);
    tw_buffer_append(b, "", 1);
    return TW_OK;
}

tw_status tw_metadata_read_changes(const tw_gguf *g, tw_provenance *out, tw_error *err) {
    const char *words[] = {
        tw_pos_embed_name(TW_POS_EMBED_NONE), tw_pos_embed_name(TW_POS_EMBED_CHINESE_CLIP),
        tw_pos_embed_name(TW_POS_EMBED_OPEN_CLIP), tw_pos_embed_name(TW_POS_EMBED_HUGGING_FACE)};
    int how = 0;
    if (tw_gguf_find(g, "tuwen.round_f16"))
        TW_TRY(tw_gguf_get_bool(g, "tuwen.round_f16", &out->round_f16, err));
    if (!tw_gguf_find(g, "tuwen.vision.trained_size")) return TW_OK;
    TW_TRY(get_i32(g, "tuwen.vision.trained_size", &out->trained_size, err));
    TW_TRY(get_word(g, "tuwen.vision.pos_embed", words, (int)TW_COUNT(words), &how, err));
    out->pos_embed = (tw_pos_embed)how;
    return TW_OK;
}

tw_status tw_metadata_read_provenance(const tw_gguf *g, tw_provenance *out, char **storage,
                                      tw_error *err) {
    static const char *const keys[] = {"general.name", "tuwen.source.file", "tuwen.source.sha256",
                                       "tuwen.source.format", "tuwen.converter"};
    size_t at[TW_COUNT(keys)];
    tw_buffer b = {0};
    tw_status status;
    *storage = NULL;
    for (size_t i = 0; i < TW_COUNT(keys); i++)
        TW_CHECK(tw_metadata_optional(g, keys[i], &b, &at[i], err));
    if (b.failed) {
        status = tw_fail_no_memory(err, b.n_bytes);
        goto done;
    }
    *out = (tw_provenance){.struct_size = sizeof *out,
                           .name = b.data + at[0],
                           .source_file = b.data + at[1],
                           .source_sha256 = b.data + at[2],
                           .source_format = b.data + at[3],
                           .converter = b.data + at[4]};
    TW_CHECK(tw_metadata_read_changes(g, out, err));
    *storage = b.data;
    b = (tw_buffer){0};
    status = TW_OK;
done:
    tw_buffer_free(&b);
    return status;
}
