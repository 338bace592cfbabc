/* One tensor from the mapped checkpoint into the model file, a piece at a time. */
#ifndef CONVERT_STREAM_H
#define CONVERT_STREAM_H

#include "format/gguf/gguf.h"
#include "model/schema.h"

/* The type a tensor is stored in. `precision`: -1 = as stored (f64 becomes f32), TW_F32 = all,
 * TW_F16 or TW_BF16 = matrices only; vectors and position tables then keep their type.
 * Errors: TW_ERR_UNSUPPORTED (a weight of integers). */
tw_status tw_stored_type(const tw_tensor *t, bool matrix, int precision, tw_dtype *out,
                         tw_error *err);

/* Writes all of `t` as `dtype` (f32, f16 or bf16), each value rounded to f16 before when `round_f16`.
 * Errors: TW_ERR_LIMIT when a finite value does not fit `dtype` or f16, those of writing. */
tw_status tw_stream_tensor(tw_gguf_writer *w, const tw_tensor *t, tw_dtype dtype, bool round_f16,
                           tw_error *err);

#endif
