/* Accuracy of backends and precisions beside each other: each computes the same data, is counted on
 * it, and compared row by row with the cpu backend in f32. */
#ifndef CLI_ACCURACY_H
#define CLI_ACCURACY_H

#include "eval/compare.h"
#include "eval/zeroshot.h"
#include "labels.h"
#include "recall_data.h"

/* One row of the table: what is to be run, and what came of it. */
typedef struct accuracy_row {
    const char *spec; /* BACKEND[/DEVICE][:PRECISION][@LIBRARY] or FILE.gguf, as given */
    char *words;      /* a copy that `compute` points into */
    cli_compute compute;
    bool is_reference; /* the cpu backend in f32: computed once, first */
    /* of the run */
    bool ran;
    tw_error why; /* it did not run */
    tw_used used;
    tw_zeroshot_result zeroshot;
    tw_recall recalls[2];       /* by tw_direction */
    tw_agreement images, texts; /* with the reference; class vectors count as texts */
    size_t n_images;            /* pictures encoded */
    double seconds;             /* for them, reading and decoding with it */
} accuracy_row;

/* Normalised features of one part of the data; rows of pictures that cannot be read are NaN. */
typedef struct accuracy_features {
    float *images, *texts; /* [n_images, E], [n_texts, E] */
    size_t n_images, n_texts;
} accuracy_features;

typedef struct accuracy {
    /* how everything is computed, and the parts of the data: at least one */
    cli_compute compute;
    cli_recipe recipe;
    cli_limits limits;
    cli_labels labels;
    const char *classes; /* class folders; NULL: not wanted */
    cli_recall_data retrieval;
    bool has_retrieval;
    accuracy_row *rows;
    size_t n_rows;
    /* at work */
    cli_session home; /* model and pool of the reference */
    size_t dim;
    tw_class_folders folders;
    cli_skips skips; /* of the class folders; the retrieval set has its own */
    accuracy_row reference;
    accuracy_features of_classes, of_retrieval; /* the reference's */
} accuracy;

/* Opens the data, computes the reference and every row. A row that cannot be run is no error: it
 * says why. Returns CLI_CONTINUE or a status. */
int accuracy_run(accuracy *a);

/* Whether it was run and every feature was a vector. */
bool accuracy_row_is_whole(const accuracy_row *row);

/* Prints a table, or JSON. Returns CLI_CONTINUE or a status. */
int accuracy_print(const accuracy *a, bool json);
void accuracy_free(accuracy *a);

#endif
