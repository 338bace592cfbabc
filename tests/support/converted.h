/* Checkpoints converted into models, and models compared. */
#ifndef TESTS_CONVERTED_H
#define TESTS_CONVERTED_H

#include "support.h"

#include "tensor/tensor.h"

/* The checkpoint at a path as an open model; fails the test when it cannot be converted. */
tw_model *test_converted(const char *path, const tw_convert_options *options);

/* Its elements as f32; free() them. */
float *test_values(const tw_tensor *t);

/* Fails unless both have the same tensors with the same values, whatever their types. */
void test_same_values(const tw_tensor *a, const tw_tensor *b);
void test_same_weights(const tw_model *a, const tw_model *b);

#endif
