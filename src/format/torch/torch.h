/* The two layouts of torch.save. Nothing in the file is executed; of the tensors' bytes nothing
 * is touched. Source: torch/serialization.py. */
#ifndef FORMAT_TORCH_TORCH_H
#define FORMAT_TORCH_TORCH_H

#include "format/tensor_list.h"

/* A zip archive (torch 1.6 and later), of torch.save or of torch.jit.save: of the latter only the
 * tensors are looked at, the code is not. */
tw_status tw_torch_read_zip(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                            tw_error *err);

/* Pickles in sequence, then the storages (before 1.6). */
tw_status tw_torch_read_legacy(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                               tw_error *err);

#endif
