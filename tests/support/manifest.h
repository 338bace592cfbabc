/* Checkpoints without weights: names and shapes, from manifests or made up. */
#ifndef TESTS_MANIFEST_H
#define TESTS_MANIFEST_H

#include "tensor/tensor.h"

#define MANIFEST_MAX_TENSORS 2000

typedef struct manifest {
    tw_tensor tensors[MANIFEST_MAX_TENSORS];
    const tw_tensor *pointers[MANIFEST_MAX_TENSORS];
    char names[MANIFEST_MAX_TENSORS][128];
    size_t n;
} manifest;

/* `shape` as 768x3x16x16, or "scalar". */
tw_tensor *manifest_add(manifest *m, const char *name, const char *shape);

/* Lines of a file: name, shape, number of elements. `prefix` is put before every name. */
void manifest_load(manifest *m, const char *path, const char *prefix);

#endif
