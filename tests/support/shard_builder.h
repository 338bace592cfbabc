/* Checkpoints of several files, made of one. */
#ifndef TESTS_SHARD_BUILDER_H
#define TESTS_SHARD_BUILDER_H

#include "format/checkpoint.h"

/* Writes every other tensor of `checkpoint` into model-00001-of-00002.safetensors of `folder`, the
 * rest into the second, and model.safetensors.index.json; all tensors must be in C order. */
void test_split(const char *checkpoint, const char *folder);

/* A safetensors file of tensors in C order. */
void test_write_safetensors(const char *path, const tw_tensor *const *tensors, size_t n);

#endif
