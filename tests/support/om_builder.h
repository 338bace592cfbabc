/* .om files as atc writes their head, for the stand-in of AscendCL. */
#ifndef TESTS_OM_BUILDER_H
#define TESTS_OM_BUILDER_H

#include "ascend/standin.h"

/* What is wrong with a file; zero: nothing. */
typedef struct om_faults {
    int is_old; /* version 1, with a length and partitions of 32 bits: no fault */
    int magic, head_bytes, encrypted, model_type, dynamic, length, n_partitions, partition_bytes;
} om_faults;

/* A tower of `model` (a path) with rows [columns] in and [dim] out; `batches` ended by 0: one is
 * fixed, several are chosen from. */
standin_om om_tower(const char *model, int is_image, const int64_t *columns, int64_t dim,
                    const uint64_t *batches);

/* The whole file; free() it. */
uint8_t *om_build(const standin_om *om, const om_faults *faults, size_t *n_bytes);

#endif
