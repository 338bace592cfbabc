/* An opened checkpoint, whatever its container: named tensor views into mapped bytes. */
#ifndef FORMAT_CHECKPOINT_H
#define FORMAT_CHECKPOINT_H

#include "tensor/tensor.h"

typedef struct tw_checkpoint tw_checkpoint;

/* Opens the file at `path`, recognising its container by its bytes ("torch-zip",
 * "torchscript", "torch-legacy", "safetensors", "gguf", "onnx"), or the index of shards in torch or
 * safetensors files ("safetensors, 2 shards"), which stand in its folder. Nothing in it is
 * executed; tensor bytes are not touched until they are read. */
tw_status tw_checkpoint_open(const char *path, tw_checkpoint **out, tw_error *err);

typedef tw_status (*tw_file_task)(void *user, const char *path, tw_error *err);

/* Calls `each` with the file that tensors are read from: `path`, or every shard of that index in
 * the order of their names. */
tw_status tw_checkpoint_each_file(const char *path, tw_file_task each, void *user, tw_error *err);

/* The same on bytes in memory, which must outlive the checkpoint (tests, fuzzing). */
tw_status tw_checkpoint_parse(const void *data, size_t n_bytes, tw_checkpoint **out, tw_error *err);
void tw_checkpoint_free(tw_checkpoint *checkpoint);

const char *tw_checkpoint_format(const tw_checkpoint *checkpoint);

/* The tensors of the state dict (of root["state_dict"] when there is one, else of the root), in
 * file order, names as stored (with any "module." prefix). Optimizer state is not among them. */
size_t tw_checkpoint_n_tensors(const tw_checkpoint *checkpoint);
const tw_tensor *tw_checkpoint_tensor(const tw_checkpoint *checkpoint, size_t index);
const tw_tensor *tw_checkpoint_find(const tw_checkpoint *checkpoint, const char *name);

/* An integer beside the state dict ("epoch", "step"); false when there is none. */
bool tw_checkpoint_int(const tw_checkpoint *checkpoint, const char *key, int64_t *value);

/* The metadata of a GGUF file; NULL for other containers. */
const struct tw_gguf *tw_checkpoint_gguf(const tw_checkpoint *checkpoint);

/* What an ONNX graph says beside its weights; NULL for other containers. */
const struct tw_onnx_facts *tw_checkpoint_onnx(const tw_checkpoint *checkpoint);

#endif
