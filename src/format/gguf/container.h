/* A GGUF file as a checkpoint. */
#ifndef FORMAT_GGUF_CONTAINER_H
#define FORMAT_GGUF_CONTAINER_H

#include "format/tensor_list.h"

/* The reader for tw_checkpoint_open(): fills `out` and leaves the metadata in out->gguf. Packed
 * types are read as f32. Refused by name: other architectures than "clip", projectors for language
 * models, types that are not read. */
tw_status tw_gguf_read(const uint8_t *data, size_t n_bytes, tw_tensor_list *out, tw_error *err);

#endif
