/* Configurations of a CLIP model: open_clip_config.json beside open_clip's weights, a file of
 * open_clip/model_configs, or config.json of Hugging Face's. */
#ifndef CONVERT_CLIP_CONFIG_H
#define CONVERT_CLIP_CONFIG_H

#include "base/status.h"
#include "tuwen/model.h"

typedef struct tw_clip_config {
    int32_t embed_dim;
    tw_vision_config vision;
    tw_text_config text;
    bool has_recipe;      /* preprocess_cfg is there */
    tw_recipe recipe;     /* size 0 = the model's */
    bool has_logit_scale; /* the description has it in place of a tensor */
    float logit_scale;
    bool hugging_face; /* the configuration is theirs */
} tw_clip_config;

/* Hugging Face's {model_type: "clip" or "chinese_clip", text_config, vision_config,
 * projection_dim}; what is missing has the classes' defaults. Called by tw_clip_config_parse(). */
struct tw_json;
tw_status tw_hf_clip_config_read(const struct tw_json *root, tw_clip_config *out, bool *found,
                                 tw_error *err);

/* {model_cfg: {embed_dim, quick_gelu, vision_cfg, text_cfg}, preprocess_cfg}, or what is inside
 * model_cfg, or Hugging Face's. *found (when the result is TW_OK) is false for JSON
 * of another kind. A setting that changes the network and is not known is TW_ERR_UNSUPPORTED naming
 * it; also TW_ERR_FORMAT, TW_ERR_MISMATCH. */
tw_status tw_clip_config_parse(const void *json, size_t n_bytes, tw_clip_config *out, bool *found,
                               tw_error *err);

/* The same from a file; messages begin with the path. */
tw_status tw_clip_config_load(const char *path, tw_clip_config *out, bool *found, tw_error *err);

#endif
