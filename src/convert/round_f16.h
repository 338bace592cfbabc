/* Loading as the originals do: convert_weights() makes part of a model f16 before the checkpoint is
 * read into it, so an f32 checkpoint is rounded on the way, also when the model computes in f32. */
#ifndef CONVERT_ROUND_F16_H
#define CONVERT_ROUND_F16_H

#include "tuwen/model.h"

/* Whether `name`, of the model file, is a tensor that convert_weights() makes f16. */
bool tw_is_rounded(const tw_arch *arch, const char *name);

#endif
