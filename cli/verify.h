/* tuwen verify: what its files share. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "eval/compare.h"
#include "verify_inputs.h"
#include "verify_side.h"

/* Features of one tower (or of two folders or arrays) compared. */
typedef struct verify_part {
    const char *what; /* "image", "text", "feature" */
    side_inputs inputs;
    tw_agreement agreement;
    size_t n_skipped;
    char worst[512];     /* name of the worst input */
    double worst_cosine; /* NaN when it has none */
    /* Of the worst input, when both sides are models with the same stages: */
    tw_stages stages_a, stages_b;
    bool has_stages;
    size_t first; /* the first stage that differs; stages_a.n: none */
} verify_part;

typedef struct verify {
    cli_compute compute;
    cli_report report;
    cli_limits limits;
    cli_text text;
    const char *against, *a_arch, *b_arch, *images, *texts, *pixels, *ids, *errors;
    const char *min_cosine_text, *tolerance_text, *published;
    cli_texts operands;
    /* at work */
    double min_cosine, tolerance;
    verify_side a, b;
    tw_pictures *picture_list;
    tw_strings text_list;
    cli_array pixel_array, id_array;
    tw_buffer drawn[VERIFY_PICTURES];
    tw_bytes drawn_bytes[VERIFY_PICTURES];
    verify_part parts[2];
    size_t n_parts;
    cli_skips skips;
} verify;

/* Gathers the inputs into parts. Returns CLI_CONTINUE or a status. */
int verify_plan(verify *v);

/* Compares all parts; the status so far. */
int verify_compare(verify *v);

/* Prints what was found. Returns CLI_CONTINUE or a status. */
int verify_print(const verify *v);
bool verify_agrees(const verify *v);

/* verify --published NAME: the status to exit with. */
int verify_published(verify *v);

#endif
