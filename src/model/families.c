/* Source: Chinese-CLIP cn_clip/clip/model.py (names, Wqkv variants), the table of transformers'
 * convert_chinese_clip_original_pytorch_to_hf.py, OpenAI CLIP clip/model.py, open_clip model.py
 * (convert_to_custom_text_state_dict). */
#include "model/families.h"

#include <stddef.h>

#define STRINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* -------------------------------------------------------------------- Chinese-CLIP, original */

#define VIT_BLOCK "visual.transformer.resblocks.{i}."
#define BERT_LAYER "bert.encoder.layer.{i}."
#define BATCH_NORM(canonical, source)                                                              \
    {canonical ".weight", source ".weight", TW_RULE_PLAIN},                                        \
        {canonical ".bias", source ".bias", TW_RULE_PLAIN},                                        \
        {canonical ".mean", source ".running_mean", TW_RULE_PLAIN}, {                              \
        canonical ".var", source ".running_var", TW_RULE_PLAIN                                     \
    }
#define STACKED(block, suffix, source)                                                             \
    {block "attn_q." suffix, source, TW_RULE_ROWS_0},                                              \
        {block "attn_k." suffix, source, TW_RULE_ROWS_1}, {                                        \
        block "attn_v." suffix, source, TW_RULE_ROWS_2                                             \
    }
/* The BERT layers keep their names in both layouts; only the prefix differs. */
#define BERT_RULES(prefix)                                                                         \
    {"t.token_embd.weight", prefix "embeddings.word_embeddings.weight", TW_RULE_PLAIN},            \
        {"t.position_embd.weight", prefix "embeddings.position_embeddings.weight", TW_RULE_PLAIN}, \
        {"t.token_type_embd.weight", prefix "embeddings.token_type_embeddings.weight",             \
         TW_RULE_PLAIN},                                                                           \
        {"t.embd_ln.*", prefix "embeddings.LayerNorm.*", TW_RULE_PLAIN},                           \
        {"t.blk.{i}.attn_q.*", prefix "encoder.layer.{i}.attention.self.query.*", TW_RULE_PLAIN},  \
        {"t.blk.{i}.attn_k.*", prefix "encoder.layer.{i}.attention.self.key.*", TW_RULE_PLAIN},    \
        {"t.blk.{i}.attn_v.*", prefix "encoder.layer.{i}.attention.self.value.*", TW_RULE_PLAIN},  \
        {"t.blk.{i}.attn_out.*", prefix "encoder.layer.{i}.attention.output.dense.*",              \
         TW_RULE_PLAIN},                                                                           \
        {"t.blk.{i}.ln1.*", prefix "encoder.layer.{i}.attention.output.LayerNorm.*",               \
         TW_RULE_PLAIN},                                                                           \
        {"t.blk.{i}.ffn_down.*", prefix "encoder.layer.{i}.intermediate.dense.*", TW_RULE_PLAIN},  \
        {"t.blk.{i}.ffn_up.*", prefix "encoder.layer.{i}.output.dense.*", TW_RULE_PLAIN}, {        \
        "t.blk.{i}.ln2.*", prefix "encoder.layer.{i}.output.LayerNorm.*", TW_RULE_PLAIN            \
    }

/* OpenAI's names of an image tower, ViT or ModifiedResNet; Chinese-CLIP and open_clip kept them. */
#define VISION_RULES                                                                               \
    {"visual_projection.weight", "visual.proj", TW_RULE_TRANSPOSED},                               \
        {"v.patch_embd.weight", "visual.conv1.weight", TW_RULE_PLAIN},                             \
        {"v.class_embd", "visual.class_embedding", TW_RULE_PLAIN},                                 \
        {"v.position_embd.weight", "visual.positional_embedding", TW_RULE_PLAIN},                  \
        {"v.pre_ln.*", "visual.ln_pre.*", TW_RULE_PLAIN},                                          \
        {"v.post_ln.*", "visual.ln_post.*", TW_RULE_PLAIN}, BLOCK_RULES("v.blk.{i}.", VIT_BLOCK),  \
        {"v.stem.{i}.weight", "visual.conv{i}.weight", TW_RULE_PLAIN},                             \
        BATCH_NORM("v.stem.{i}.bn", "visual.bn{i}"),                                               \
        {"v.stage.{s}.{b}.conv{i}.weight", "visual.layer{s}.{b}.conv{i}.weight", TW_RULE_PLAIN},   \
        BATCH_NORM("v.stage.{s}.{b}.conv{i}.bn", "visual.layer{s}.{b}.bn{i}"),                     \
        {"v.stage.{s}.{b}.down.weight", "visual.layer{s}.{b}.downsample.0.weight", TW_RULE_PLAIN}, \
        BATCH_NORM("v.stage.{s}.{b}.down.bn", "visual.layer{s}.{b}.downsample.1"),                 \
        {"v.pool.position_embd.weight", "visual.attnpool.positional_embedding", TW_RULE_PLAIN},    \
        {"v.pool.attn_q.*", "visual.attnpool.q_proj.*", TW_RULE_PLAIN},                            \
        {"v.pool.attn_k.*", "visual.attnpool.k_proj.*", TW_RULE_PLAIN},                            \
        {"v.pool.attn_v.*", "visual.attnpool.v_proj.*", TW_RULE_PLAIN}, {                          \
        "v.pool.attn_out.*", "visual.attnpool.c_proj.*", TW_RULE_PLAIN                             \
    }
/* A transformer block of either tower. */
#define BLOCK_RULES(canonical, source)                                                             \
    STACKED(canonical, "*", source "attn.in_proj_*"),                                              \
        {canonical "attn_out.*", source "attn.out_proj.*", TW_RULE_PLAIN},                         \
        {canonical "ln1.*", source "ln_1.*", TW_RULE_PLAIN},                                       \
        {canonical "ln2.*", source "ln_2.*", TW_RULE_PLAIN},                                       \
        {canonical "ffn_down.*", source "mlp.c_fc.*", TW_RULE_PLAIN}, {                            \
        canonical "ffn_up.*", source "mlp.c_proj.*", TW_RULE_PLAIN                                 \
    }
/* CLIP's text tower. */
#define CLIP_TEXT_RULES(prefix)                                                                    \
    {"text_projection.weight", prefix "text_projection", TW_RULE_TRANSPOSED},                      \
        {"t.token_embd.weight", prefix "token_embedding.weight", TW_RULE_PLAIN},                   \
        {"t.position_embd.weight", prefix "positional_embedding", TW_RULE_PLAIN},                  \
        BLOCK_RULES("t.blk.{i}.", prefix "transformer.resblocks.{i}."), {                          \
        "t.post_ln.*", prefix "ln_final.*", TW_RULE_PLAIN                                          \
    }

static const tw_name_rule original_rules[] = {
    {"logit_scale", "logit_scale", TW_RULE_PLAIN},
    {"text_projection.weight", "text_projection", TW_RULE_TRANSPOSED},
    VISION_RULES,
    /* BERT, and what training with FlashAttention may leave */
    BERT_RULES("bert."),
    STACKED("v.blk.{i}.", "*", VIT_BLOCK "attn.Wqkv.*"),
    STACKED("t.blk.{i}.", "*", BERT_LAYER "attention.self.Wqkv.*"),
    {"t.blk.{i}.attn_out.*", BERT_LAYER "attention.self.out_proj.*", TW_RULE_PLAIN},
    {NULL, NULL, TW_RULE_PLAIN},
};

static const tw_family original = {
    .title = "Chinese-CLIP",
    .text_signatures = STRINGS("bert.embeddings.word_embeddings.weight"),
    .vision_signatures = STRINGS("visual.conv1.weight"),
    .rules = original_rules,
    .ignored = STRINGS("bert.pooler.*", "*.num_batches_tracked", "bert.embeddings.position_ids",
                       "bert.embeddings.token_type_ids"),
    .vision_prefixes = STRINGS("visual."),
    .text_prefixes = STRINGS("bert.", "text_projection"),
    .activation = TW_QUICK_GELU,
    .text_kind = TW_TEXT_BERT,
};

/* --------------------------------------------------------------- Chinese-CLIP, Hugging Face */

/* A transformer block of either tower, under Hugging Face's names. */
#define HF_BLOCK_RULES(canonical, source)                                                          \
    {canonical "attn_q.*", source "self_attn.q_proj.*", TW_RULE_PLAIN},                            \
        {canonical "attn_k.*", source "self_attn.k_proj.*", TW_RULE_PLAIN},                        \
        {canonical "attn_v.*", source "self_attn.v_proj.*", TW_RULE_PLAIN},                        \
        {canonical "attn_out.*", source "self_attn.out_proj.*", TW_RULE_PLAIN},                    \
        {canonical "ln1.*", source "layer_norm1.*", TW_RULE_PLAIN},                                \
        {canonical "ln2.*", source "layer_norm2.*", TW_RULE_PLAIN},                                \
        {canonical "ffn_down.*", source "mlp.fc1.*", TW_RULE_PLAIN}, {                             \
        canonical "ffn_up.*", source "mlp.fc2.*", TW_RULE_PLAIN                                    \
    }
/* What their Chinese-CLIP and CLIP have in common; pre_layrnorm is their spelling. */
#define HF_RULES                                                                                   \
    {"logit_scale", "logit_scale", TW_RULE_PLAIN},                                                 \
        {"visual_projection.weight", "visual_projection.weight", TW_RULE_PLAIN},                   \
        {"text_projection.weight", "text_projection.weight", TW_RULE_PLAIN},                       \
        {"v.patch_embd.weight", "vision_model.embeddings.patch_embedding.weight", TW_RULE_PLAIN},  \
        {"v.class_embd", "vision_model.embeddings.class_embedding", TW_RULE_PLAIN},                \
        {"v.position_embd.weight", "vision_model.embeddings.position_embedding.weight",            \
         TW_RULE_PLAIN},                                                                           \
        {"v.pre_ln.*", "vision_model.pre_layrnorm.*", TW_RULE_PLAIN},                              \
        {"v.post_ln.*", "vision_model.post_layernorm.*", TW_RULE_PLAIN},                           \
        HF_BLOCK_RULES("v.blk.{i}.", "vision_model.encoder.layers.{i}.")

static const tw_name_rule hf_rules[] = {
    HF_RULES,
    BERT_RULES("text_model."),
    {NULL, NULL, TW_RULE_PLAIN},
};

static const tw_family hugging_face = {
    .title = "Hugging Face Chinese-CLIP",
    .text_signatures = STRINGS("text_model.embeddings.word_embeddings.weight"),
    .vision_signatures = STRINGS("vision_model.embeddings.class_embedding"),
    .rules = hf_rules,
    .ignored = STRINGS("*.position_ids", "*.token_type_ids", "text_model.pooler.*"),
    .vision_prefixes = STRINGS("vision_model.", "visual_projection."),
    .text_prefixes = STRINGS("text_model.", "text_projection."),
    .configs = STRINGS("config.json"),
    .image_processor = "ChineseCLIPImageProcessor",
    .activation = TW_QUICK_GELU,
    .text_kind = TW_TEXT_BERT,
    .rgb_order = TW_RGB_FIRST,
    .crop_rounding = TW_CROP_FLOOR,
};

/* ---------------------------------------------------------------------- OpenAI CLIP, open_clip */

static const tw_name_rule clip_rules[] = {
    {"logit_scale", "logit_scale", TW_RULE_PLAIN},
    VISION_RULES,
    CLIP_TEXT_RULES(""),
    {NULL, NULL, TW_RULE_PLAIN},
};
static const tw_name_rule custom_text_rules[] = {
    {"logit_scale", "logit_scale", TW_RULE_PLAIN},
    VISION_RULES,
    CLIP_TEXT_RULES("text."),
    {NULL, NULL, TW_RULE_PLAIN},
};

#define OPEN_CLIP_CONFIGS STRINGS("open_clip_config.json", "config.json")
#define CLIP_IGNORED                                                                               \
    STRINGS("*input_resolution", "context_length", "vocab_size", "*attn_mask",                     \
            "*.num_batches_tracked")

/* What only OpenAI's own files have: the three scalars beside the weights. */
static const tw_family openai = {
    .title = "OpenAI CLIP",
    .text_signatures = STRINGS("input_resolution"),
    .rules = clip_rules,
    .ignored = CLIP_IGNORED,
    .vision_prefixes = STRINGS("visual."),
    .text_prefixes = STRINGS("transformer.", "token_embedding.", "positional_embedding",
                             "ln_final.", "text_projection"),
    .activation = TW_QUICK_GELU,
    .text_kind = TW_TEXT_CLIP,
    .resize_mode = TW_RESIZE_SHORTEST,
    .head_width = 64,
};
/* Weights under the same names by anybody: names do not tell the activation. */
static const tw_family clip = {
    .title = "CLIP",
    .text_signatures = STRINGS("token_embedding.weight"),
    .rules = clip_rules,
    .ignored = CLIP_IGNORED,
    .vision_prefixes = STRINGS("visual."),
    .text_prefixes = STRINGS("transformer.", "token_embedding.", "positional_embedding",
                             "ln_final.", "text_projection"),
    .configs = OPEN_CLIP_CONFIGS,
    .bpe_variant = TW_BPE_OPEN_CLIP,
    .text_kind = TW_TEXT_CLIP,
    .resize_mode = TW_RESIZE_SHORTEST,
};
static const tw_family custom_text = {
    .title = "open_clip",
    .text_signatures = STRINGS("text.token_embedding.weight"),
    .rules = custom_text_rules,
    .ignored = CLIP_IGNORED,
    .vision_prefixes = STRINGS("visual."),
    .text_prefixes = STRINGS("text."),
    .configs = OPEN_CLIP_CONFIGS,
    .bpe_variant = TW_BPE_OPEN_CLIP,
    .text_kind = TW_TEXT_CLIP,
    .resize_mode = TW_RESIZE_SHORTEST,
};

static const tw_name_rule hf_clip_rules[] = {
    HF_RULES,
    {"t.token_embd.weight", "text_model.embeddings.token_embedding.weight", TW_RULE_PLAIN},
    {"t.position_embd.weight", "text_model.embeddings.position_embedding.weight", TW_RULE_PLAIN},
    HF_BLOCK_RULES("t.blk.{i}.", "text_model.encoder.layers.{i}."),
    {"t.post_ln.*", "text_model.final_layer_norm.*", TW_RULE_PLAIN},
    {NULL, NULL, TW_RULE_PLAIN},
};

static const tw_family hugging_face_clip = {
    .title = "Hugging Face CLIP",
    .text_signatures = STRINGS("text_model.embeddings.token_embedding.weight"),
    .rules = hf_clip_rules,
    .ignored = STRINGS("*.position_ids"),
    .vision_prefixes = STRINGS("vision_model.", "visual_projection."),
    .text_prefixes = STRINGS("text_model.", "text_projection."),
    .configs = STRINGS("config.json"),
    .image_processor = "CLIPImageProcessor",
    .text_kind = TW_TEXT_CLIP,
    .resize_mode = TW_RESIZE_SHORTEST,
    .rgb_order = TW_RGB_FIRST,
    .crop_rounding = TW_CROP_FLOOR,
};

/* ---------------------------------------------------------------------------------------- GGUF */

/* clip.cpp's names are ours, so a model file can also be converted again. */
#define SAME(name)                                                                                 \
    { name, name, TW_RULE_PLAIN }

static const tw_name_rule gguf_rules[] = {
    SAME("*.weight"), /* the two projections */
    SAME("v.*"),
    SAME("v.*.weight"),
    SAME("v.*.bias"),
    SAME("v.blk.{i}.*.weight"),
    SAME("v.blk.{i}.*.bias"),
    SAME("v.stem.{i}.weight"),
    SAME("v.stem.{i}.bn.*"),
    SAME("v.stage.{s}.{b}.*.weight"),
    SAME("v.stage.{s}.{b}.conv{i}.bn.*"),
    SAME("v.stage.{s}.{b}.down.bn.*"),
    SAME("v.pool.*.weight"),
    SAME("v.pool.*.bias"),
    SAME("t.*.weight"),
    SAME("t.*.bias"),
    SAME("t.blk.{i}.*.weight"),
    SAME("t.blk.{i}.*.bias"),
    {NULL, NULL, TW_RULE_PLAIN},
};

/* Metadata tell the activation, head widths and the recipe. */
static const tw_family gguf_bert = {
    .title = "GGUF",
    .text_signatures = STRINGS("t.token_type_embd.weight"),
    .rules = gguf_rules,
    .vision_prefixes = STRINGS("v.", "visual_projection."),
    .text_prefixes = STRINGS("t.", "text_projection."),
    .text_kind = TW_TEXT_BERT,
};
static const tw_family gguf_clip = {
    .title = "GGUF",
    .text_signatures = STRINGS("t.token_embd.weight"),
    .vision_signatures = STRINGS("v.class_embd", "v.stem.1.weight"),
    .rules = gguf_rules,
    .vision_prefixes = STRINGS("v.", "visual_projection."),
    .text_prefixes = STRINGS("t.", "text_projection."),
    .text_kind = TW_TEXT_CLIP,
};

/* ------------------------------------------------------------------- recognised, but not read */

static const tw_family siglip = {
    .title = "SigLIP",
    .text_signatures = STRINGS("logit_bias", "text_model.head.weight"),
};
static const tw_family coca = {
    .title = "CoCa",
    .text_signatures = STRINGS("text_decoder.*", "text.cls_emb"),
};
static const tw_family timm = {
    .title = "open_clip with an image tower of timm",
    .text_signatures = STRINGS("visual.trunk.*"),
};
static const tw_family hugging_face_text = {
    .title = "open_clip with a text tower of Hugging Face",
    .text_signatures = STRINGS("text.transformer.embeddings.*", "text.transformer.encoder.*"),
};

const tw_family *const tw_families[] = {
    &original,    &hugging_face, &siglip,
    &coca,        &timm,         &hugging_face_text,
    &openai,      &clip,         &hugging_face_clip,
    &custom_text, &gguf_bert,    &gguf_clip,
    NULL,
};
