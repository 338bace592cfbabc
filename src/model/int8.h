/* Matrices stored as int8: which tensors stand beside one, and binding them. docs/FORMAT.md. */
#ifndef MODEL_INT8_H
#define MODEL_INT8_H

#include "format/gguf/gguf.h"
#include "model/schema.h"
#include "model/smooth.h"

#define TW_INT8_MAX_COLUMNS 65535 /* 255 * 128 * k stays below 2^31 */

/* "v.blk.0.attn_q.scale" of "v.blk.0.attn_q.weight": f32 [rows]. */
void tw_int8_scale_name(const tw_schema_entry *entry, char out[TW_NAME_BYTES]);

/* "v.blk.0.attn_qkv.smooth" of the same: f32 [columns]; *group is then set. False for a matrix
 * whose columns are never smoothed. */
bool tw_int8_smooth_name(const tw_schema_entry *entry, char out[TW_NAME_BYTES],
                         tw_smooth_group *group);

/* Gives `slot`, the checked int8 view of an entry, its scales. Errors: TW_ERR_FORMAT (scales are
 * missing, or one is not finite and positive), TW_ERR_MISMATCH (their shape), TW_ERR_LIMIT. */
tw_status tw_int8_bind(const tw_gguf *g, const tw_schema_entry *entry, tw_tensor *slot,
                       tw_error *err);

/* After all are bound: q, k and v of a block are int8 together, as they read the same A. Sets
 * model->int8. Errors: TW_ERR_FORMAT. */
tw_status tw_int8_check(tw_model *model, tw_error *err);

#endif
