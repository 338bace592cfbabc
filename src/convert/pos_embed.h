/* Another resolution: the position table of a ViT, made for one grid of patches, resized for
 * another. The originals do it in three ways that differ by far more than rounding. */
#ifndef CONVERT_POS_EMBED_H
#define CONVERT_POS_EMBED_H

#include "tensor/tensor.h"
#include "tuwen/model.h"

/* Makes the image tower one for `resolution` pixels a side and notes in *provenance what that
 * takes, nothing when it already is. Errors: TW_ERR_AMBIGUOUS (`how` is NONE and needed),
 * TW_ERR_UNSUPPORTED (a ModifiedResNet; a table that was resized before), TW_ERR_MISMATCH (no
 * multiple of the patch size), TW_ERR_ARGUMENT (no image tower), TW_ERR_LIMIT. */
tw_status tw_change_resolution(tw_arch *arch, int32_t resolution, tw_pos_embed how,
                               tw_provenance *provenance, tw_error *err);

/* Rows of `table` [from^2 + 1, W] into f32 [to^2 + 1, W]; row 0, of the class token, is kept. The
 * view then shows *storage, which the caller frees. Errors: TW_ERR_NO_MEMORY. */
tw_status tw_pos_embed_resize(tw_tensor *table, int32_t from, int32_t to, tw_pos_embed how,
                              float **storage, tw_error *err);

#endif
