/* .bmodel files for the stand-in of SOPHON's libraries. */
#ifndef TESTS_BMODEL_BUILDER_H
#define TESTS_BMODEL_BUILDER_H

#include "sophon/standin.h"

#include <stdint.h>

/* What the file states besides the model; zeros are a good file. */
typedef struct bmodel_faults {
    const char *chip; /* BM1684X */
    int n_nets, n_inputs, is_dynamic, zero_point, other_shape, cascade, host_layer;
} bmodel_faults;

/* The bytes of a file (free() them). */
uint8_t *bmodel_build(const standin_model *model, const bmodel_faults *faults, size_t *n_bytes);

/* A model of one input and output; batches end with 0. Dims after the batch likewise. */
standin_model bmodel_tower(const char *net, int in_type, const int *in, int out_type,
                           const int *out, const int *batches);

#endif
