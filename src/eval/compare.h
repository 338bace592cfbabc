/* How well two results agree: features row by row, and the stages of two towers. */
#ifndef EVAL_COMPARE_H
#define EVAL_COMPARE_H

#include "base/status.h"

#include <math.h>

/* ------------------------------------------------------------------------------------- rows */

/* Pairs of features, added one by one. */
typedef struct tw_agreement {
    size_t n;           /* pairs */
    size_t n_no_cosine; /* of those, in which a row has no direction: NaN, infinite or zero */
    double cosine_min;  /* of the pairs that have one; NaN when none has */
    double cosine_sum;
    double largest; /* difference of a component of normalised rows */
    size_t worst;   /* index of the worst pair: one without cosine, else the least cosine */
} tw_agreement;

#define TW_AGREEMENT_INIT                                                                          \
    { 0, 0, NAN, 0, 0, 0 }

/* Adds the pair of rows a and b [dim] (normalised or not), which is number `index`. */
void tw_agreement_add(tw_agreement *g, size_t index, const float *a, const float *b, size_t dim);

/* Of the pairs that have a cosine; NaN when none has. */
double tw_agreement_mean(const tw_agreement *g);

/* Whether every pair has a cosine of at least `min_cosine`. A row without direction agrees with
 * nothing, not even with another such row; no pairs at all agree on nothing. */
bool tw_agreement_holds(const tw_agreement *g, double min_cosine);

/* ----------------------------------------------------------------------------------- stages */

typedef struct tw_stage_copy {
    char *name;
    float *x; /* [n_rows, n_columns] */
    size_t n_rows, n_columns;
} tw_stage_copy;

/* The stages of one forward pass, in their order. tw_stages_take() is a tw_observer on it. */
typedef struct tw_stages {
    tw_stage_copy *items;
    size_t n, capacity;
    bool failed; /* memory ran out: the list is not whole */
} tw_stages;

void tw_stages_take(void *stages, const char *stage, const float *x, size_t n_rows,
                    size_t n_columns, size_t ld);
void tw_stages_free(tw_stages *stages);

typedef struct tw_stage_difference {
    const char *name; /* borrowed from the first list */
    double largest;   /* difference of an element; NaN when one is not a number */
    double relative;  /* the same, divided by the root mean square of the first's elements */
} tw_stage_difference;

/* Whether both have the same stages by name and shape, so that they can be compared. */
bool tw_stages_comparable(const tw_stages *a, const tw_stages *b);

/* Stage i of two comparable lists. */
tw_stage_difference tw_stages_compare(const tw_stages *a, const tw_stages *b, size_t i);

/* The first stage whose relative difference is not within `tolerance`; a->n when all are. */
size_t tw_stages_first_difference(const tw_stages *a, const tw_stages *b, double tolerance);

#endif
