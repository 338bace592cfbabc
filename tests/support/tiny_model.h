/* Small model files with random weights, made without a checkpoint. */
#ifndef TESTS_TINY_MODEL_H
#define TESTS_TINY_MODEL_H

#include "support.h"

/* An architecture of a few thousand parameters: width 8, embedding 4, 12 vocabulary entries. */
void tiny_arch(tw_arch *out, tw_vision_kind vision, tw_text_kind text);

/* Writes a model file of that architecture; matrices as `dtype`, the rest as f32. With CLIP's text
 * tower it has no vocabulary. */
void tiny_model_write(const char *path, const tw_arch *arch, tw_dtype dtype);

#endif
