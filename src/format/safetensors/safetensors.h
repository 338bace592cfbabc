/* A safetensors file: the length of a JSON header, the header, the tensors' bytes back to back.
 * Source: the format's README and reference reader (huggingface/safetensors, tensor.rs). */
#ifndef FORMAT_SAFETENSORS_SAFETENSORS_H
#define FORMAT_SAFETENSORS_SAFETENSORS_H

#include "format/tensor_list.h"

/* Whether the bytes begin as such a file does; a truncated one does too. */
bool tw_is_safetensors(const uint8_t *data, size_t n_bytes);

/* Adds the tensors in the header's order, after checking that together they are the file: no
 * overlap, no gap, nothing left over. The tensors' bytes are not touched. Errors: TW_ERR_FORMAT,
 * TW_ERR_LIMIT (a header over 100 MB), TW_ERR_UNSUPPORTED (an element type the library lacks). */
tw_status tw_safetensors_read(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                              tw_error *err);

#endif
