/* Checkpoints of several files, made of one. */
#ifndef TESTS_SHARD_BUILDER_H
#define TESTS_SHARD_BUILDER_H

#include "format/checkpoint.h"

/* Writes every other tensor of `checkpoint` into model-00001-of-00002.safetensors of `folder`, the
 * rest into the second, and model.safetensors.index.json; all tensors must be in C order. */
void test_split(const char *checkpoint, const char *folder);
/* The same in pytorch_model-0000N-of-00002.bin and pytorch_model.bin.index.json. */
void test_split_torch(const char *checkpoint, const char *folder);

/* A file of tensors in C order. */
void test_write_safetensors(const char *path, const tw_tensor *const *tensors, size_t n);
void test_write_torch(const char *path, const tw_tensor *const *tensors, size_t n);

#endif
