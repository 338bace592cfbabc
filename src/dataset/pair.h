/* Results of two tools brought together by the name of the input they belong to. */
#ifndef DATASET_PAIR_H
#define DATASET_PAIR_H

#include "dataset/strings.h"

#define TW_NO_PARTNER SIZE_MAX

/* Adds the stem of a path: its last part without the extension. */
tw_status tw_add_stem(tw_strings *stems, const char *path, tw_error *err);

/* For each stem its partner in the other list, or TW_NO_PARTNER. */
typedef struct tw_pairs {
    size_t *of_a; /* [a->n] */
    size_t *of_b; /* [b->n] */
    size_t n;     /* pairs */
} tw_pairs;

/* Equal stems are partners. A list in which every stem ends in "_0" may be of Ascend's ais_bench,
 * which numbers the outputs of an input: there the "_0" is left out if more partners are found so.
 * Errors: TW_ERR_AMBIGUOUS when a list has a stem twice. */
tw_status tw_pair_stems(const tw_strings *a, const tw_strings *b, tw_pairs *out, tw_error *err);
void tw_pairs_free(tw_pairs *pairs);

#endif
