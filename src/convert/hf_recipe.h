/* preprocessor_config.json and processor_config.json of Hugging Face's CLIP and ChineseCLIP.
 * Source: transformers image_processing_clip.py, image_processing_chinese_clip.py (defaults, which
 * are the same), image_processing_backends.py (PilBackend), image_processing_utils.py. */
#ifndef CONVERT_HF_RECIPE_H
#define CONVERT_HF_RECIPE_H

#include "base/status.h"
#include "tuwen/image.h"

/* *found (when the result is TW_OK) is false for a processor_config.json that has no
 * image_processor. What the classes would do and a recipe cannot say is TW_ERR_UNSUPPORTED naming
 * the setting; also TW_ERR_FORMAT. */
tw_status tw_hf_recipe_parse(const void *json, size_t n_bytes, tw_recipe *out, bool *found,
                             tw_error *err);

/* The same from a file; messages begin with the path. */
tw_status tw_hf_recipe_load(const char *path, tw_recipe *out, bool *found, tw_error *err);

#endif
