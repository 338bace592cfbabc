/* Chinese-CLIP's configuration files: cn_clip/clip/model_configs/{ViT-…,RN50}.json for the image
 * tower and {RBT3,RoBERTa-…}.json for the text tower. */
#ifndef CONVERT_CONFIG_H
#define CONVERT_CONFIG_H

#include "base/status.h"
#include "tuwen/model.h"

/* {embed_dim, image_resolution, vision_layers (12, [3,4,6,3] or "[3,4,6,3]"), vision_width,
 * vision_patch_size, vision_head_width (64 when absent)}. Errors: TW_ERR_FORMAT naming the key,
 * TW_ERR_MISMATCH (a head width that does not divide). */
tw_status tw_vision_config_parse(const void *json, size_t n_bytes, tw_vision_config *out,
                                 int32_t *embed_dim, tw_error *err);

/* {vocab_size, text_hidden_size, text_num_hidden_layers, text_num_attention_heads,
 * text_intermediate_size, text_max_position_embeddings, text_type_vocab_size, text_hidden_act}. */
tw_status tw_text_config_parse(const void *json, size_t n_bytes, tw_text_config *out,
                               tw_error *err);

/* The same from files; messages begin with the path. */
tw_status tw_vision_config_load(const char *path, tw_vision_config *out, int32_t *embed_dim,
                                tw_error *err);
tw_status tw_text_config_load(const char *path, tw_text_config *out, tw_error *err);

#endif
