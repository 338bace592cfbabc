/* Writing the metadata of a model file. metadata_read.c is its mirror. */
#include "model/metadata.h"

#include "base/buffer.h"
#include "text/tokenizer.h"

#include <string.h>

static void put_general(tw_gguf_writer *w, const tw_metadata *m) {
    bool vision = m->arch.vision.kind != TW_VISION_NONE, text = m->arch.text.kind != TW_TEXT_NONE;
    tw_gguf_put_string(w, "general.architecture", "clip");
    tw_gguf_put_string(w, "general.name", m->provenance.name);
    tw_gguf_put_string(w, "general.description",
                       vision && text ? "two-tower CLIP model"
                       : text         ? "text-only CLIP model"
                                      : "vision-only CLIP model");
    /* ggml's numbers: all f32, mostly f16, mostly bf16. It has none for plain int8. */
    if (m->file_type != TW_I8)
        tw_gguf_put_u32(w, "general.file_type",
                        m->file_type == TW_F16    ? 1
                        : m->file_type == TW_BF16 ? 32
                                                  : 0);
    tw_gguf_put_bool(w, "clip.has_text_encoder", text);
    tw_gguf_put_bool(w, "clip.has_vision_encoder", vision);
    tw_gguf_put_bool(w, "clip.use_gelu", m->arch.vision.activation == TW_GELU_ERF);
    tw_gguf_put_u32(w, "tuwen.file_version", m->file_type == TW_I8 ? 2 : 1);
    tw_gguf_put_string(w, "tuwen.arch", m->arch.name);
    tw_gguf_put_f32(w, "tuwen.logit_scale", m->logit_scale);
}

static void put_u32(tw_gguf_writer *w, const char *key, int32_t v) {
    tw_gguf_put_u32(w, key, (uint32_t)v);
}

static void put_vision(tw_gguf_writer *w, const tw_arch *arch) {
    const tw_vision_config *v = &arch->vision;
    bool vit = v->kind == TW_VISION_VIT;
    tw_gguf_put_string(w, "tuwen.vision.kind", vit ? "vit" : "resnet");
    tw_gguf_put_string(w, "tuwen.vision.activation", tw_activation_name(v->activation));
    put_u32(w, "tuwen.vision.head_width", v->head_width);
    put_u32(w, "clip.vision.image_size", v->image_size);
    put_u32(w, "clip.vision.embedding_length", v->width);
    put_u32(w, "clip.vision.projection_dim", arch->embed_dim);
    put_u32(w, "clip.vision.attention.head_count", v->n_heads);
    if (vit) {
        put_u32(w, "clip.vision.patch_size", v->patch_size);
        put_u32(w, "clip.vision.block_count", v->n_layers);
        put_u32(w, "clip.vision.feed_forward_length", v->mlp_width);
        tw_gguf_put_f32(w, "clip.vision.attention.layer_norm_epsilon", v->norm_eps);
    } else {
        tw_gguf_put_i32_array(w, "tuwen.vision.stages", v->stages, 4);
        tw_gguf_put_f32(w, "tuwen.vision.batch_norm_epsilon", v->norm_eps);
    }
}

static void put_recipe(tw_gguf_writer *w, const tw_recipe *r) {
    tw_gguf_put_f32_array(w, "clip.vision.image_mean", r->mean, 3);
    tw_gguf_put_f32_array(w, "clip.vision.image_std", r->std, 3);
    put_u32(w, "tuwen.recipe.size", r->size);
    tw_gguf_put_string(w, "tuwen.recipe.resize_mode", tw_resize_mode_name(r->resize_mode));
    tw_gguf_put_string(w, "tuwen.recipe.interpolation", tw_interpolation_name(r->interpolation));
    tw_gguf_put_string(w, "tuwen.recipe.resampler", tw_resampler_name(r->resampler));
    tw_gguf_put_string(w, "tuwen.recipe.rgb_order", tw_rgb_order_name(r->rgb_order));
    tw_gguf_put_string(w, "tuwen.recipe.crop_rounding", tw_crop_rounding_name(r->crop_rounding));
}

static void put_text(tw_gguf_writer *w, const tw_arch *arch) {
    const tw_text_config *t = &arch->text;
    tw_gguf_put_string(w, "tuwen.text.kind", t->kind == TW_TEXT_CLIP ? "clip" : "bert");
    tw_gguf_put_string(w, "tuwen.text.activation", tw_activation_name(t->activation));
    put_u32(w, "tuwen.text.vocab_size", t->vocab_size);
    put_u32(w, "tuwen.text.position_count", t->n_positions);
    if (t->kind == TW_TEXT_BERT) put_u32(w, "tuwen.text.token_type_count", t->n_token_types);
    put_u32(w, "clip.text.context_length", t->context_length);
    put_u32(w, "clip.text.embedding_length", t->width);
    put_u32(w, "clip.text.feed_forward_length", t->mlp_width);
    put_u32(w, "clip.text.block_count", t->n_layers);
    put_u32(w, "clip.text.projection_dim", arch->embed_dim);
    put_u32(w, "clip.text.attention.head_count", t->n_heads);
    tw_gguf_put_f32(w, "clip.text.attention.layer_norm_epsilon", t->norm_eps);
}

static void put_token_id(tw_gguf_writer *w, const tw_tokenizer *tokenizer, const char *key,
                         const char *token) {
    int32_t n = tw_tokenizer_vocab_size(tokenizer);
    for (int32_t id = 0; id < n; id++)
        if (strcmp(tw_tokenizer_token(tokenizer, id), token) == 0) {
            put_u32(w, key, id);
            return;
        }
}

/* The merges, from which a reader makes the whole tokenizer again. */
static tw_status put_merges(tw_gguf_writer *w, const tw_tokenizer *tokenizer, tw_error *err) {
    const tw_bpe *bpe = tokenizer->bpe;
    tw_buffer pair = {0};
    tw_gguf_put_string_array(w, "tokenizer.ggml.merges", (size_t)bpe->n_merges);
    for (int32_t i = 0; i < bpe->n_merges && !pair.failed; i++) {
        tw_buffer_clear(&pair);
        tw_buffer_printf(&pair, "%s %s", tw_tokenizer_token(tokenizer, bpe->pairs[i][0]),
                         tw_tokenizer_token(tokenizer, bpe->pairs[i][1]));
        if (!pair.failed) tw_gguf_put_element(w, pair.data);
    }
    tw_status status = pair.failed ? tw_fail_no_memory(err, pair.n_bytes) : TW_OK;
    tw_buffer_free(&pair);
    return status;
}

static void put_tokens(tw_gguf_writer *w, const tw_tokenizer *tokenizer) {
    int32_t n = tw_tokenizer_vocab_size(tokenizer);
    tw_gguf_put_string_array(w, "tokenizer.ggml.tokens", (size_t)n);
    for (int32_t id = 0; id < n; id++)
        tw_gguf_put_element(w, tw_tokenizer_token(tokenizer, id));
}

static tw_status put_tokenizer(tw_gguf_writer *w, const tw_tokenizer *tokenizer, tw_error *err) {
    tw_gguf_put_string(w, "tokenizer.ggml.model", tw_tokenizer_kind(tokenizer));
    if (tokenizer->bpe) {
        tw_gguf_put_string(w, "tuwen.tokenizer.variant",
                           tokenizer->bpe->variant == TW_BPE_OPENAI ? "openai" : "open_clip");
        put_u32(w, "tokenizer.ggml.bos_token_id", tokenizer->first);
        put_u32(w, "tokenizer.ggml.eos_token_id", tokenizer->last);
        put_tokens(w, tokenizer);
        return put_merges(w, tokenizer, err);
    }
    put_token_id(w, tokenizer, "tokenizer.ggml.padding_token_id", "[PAD]");
    put_token_id(w, tokenizer, "tokenizer.ggml.unknown_token_id", "[UNK]");
    put_token_id(w, tokenizer, "tokenizer.ggml.cls_token_id", "[CLS]");
    put_token_id(w, tokenizer, "tokenizer.ggml.seperator_token_id", "[SEP]"); /* gguf's spelling */
    put_token_id(w, tokenizer, "tokenizer.ggml.mask_token_id", "[MASK]");
    put_tokens(w, tokenizer);
    return TW_OK;
}

static void put_provenance(tw_gguf_writer *w, const tw_provenance *p) {
    tw_gguf_put_string(w, "tuwen.converter", p->converter);
    tw_gguf_put_string(w, "tuwen.source.file", p->source_file);
    tw_gguf_put_string(w, "tuwen.source.format", p->source_format);
    if (p->round_f16) tw_gguf_put_bool(w, "tuwen.round_f16", true);
    if (p->trained_size) {
        put_u32(w, "tuwen.vision.trained_size", p->trained_size);
        tw_gguf_put_string(w, "tuwen.vision.pos_embed", tw_pos_embed_name(p->pos_embed));
    }
    if (*p->source_sha256) tw_gguf_put_string(w, "tuwen.source.sha256", p->source_sha256);
}

tw_status tw_metadata_put(tw_gguf_writer *w, const tw_metadata *m, tw_error *err) {
    put_general(w, m);
    put_provenance(w, &m->provenance);
    if (m->quality) tw_metadata_put_quality(w, m->quality);
    if (m->arch.vision.kind != TW_VISION_NONE) {
        put_vision(w, &m->arch);
        put_recipe(w, &m->recipe);
    }
    if (m->arch.text.kind != TW_TEXT_NONE) {
        put_text(w, &m->arch);
        if (m->tokenizer) TW_TRY(put_tokenizer(w, m->tokenizer, err));
    }
    return TW_OK;
}
