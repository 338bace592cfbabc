/* The comparison itself, part by part. */
#include "verify.h"

#include "base/size.h"
#include "dataset/pair.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct comparison {
    verify_part *part;
    const bool *left_out;
    float *rows; /* [n, dim], of A */
    size_t dim;
} comparison;

static tw_status keep_rows(void *user, size_t first, const float *features, size_t n,
                           tw_error *err) {
    const comparison *c = user;
    memcpy(c->rows + first * c->dim, features, n * c->dim * sizeof *features);
    return TW_OK;
}

static tw_status compare_rows(void *user, size_t first, const float *features, size_t n,
                              tw_error *err) {
    const comparison *c = user;
    for (size_t i = 0; i < n; i++)
        if (!c->left_out || !c->left_out[first + i])
            tw_agreement_add(&c->part->agreement, first + i, c->rows + (first + i) * c->dim,
                             features + i * c->dim, c->dim);
    return TW_OK;
}

static tw_status compare_features(verify *v, verify_part *p, tw_error *err) {
    comparison c = {.part = p, .left_out = v->skips.marks, .dim = v->a.dim};
    size_t n = TW_MAX(p->inputs.n, (size_t)1), n_values;
    if (!tw_mul_size(n, c.dim, &n_values))
        return tw_fail(err, TW_ERR_LIMIT, "%zu features of %zu values are too many", n, c.dim);
    c.rows = calloc(n_values, sizeof *c.rows);
    if (!c.rows) return tw_fail_no_memory(err, n_values);
    tw_status status = side_rows(&v->a, &p->inputs, &v->skips, keep_rows, &c, err);
    if (status == TW_OK) status = side_rows(&v->b, &p->inputs, &v->skips, compare_rows, &c, err);
    free(c.rows);
    return status;
}

/* ---------------------------------------------------------------------------------- stages */

static tw_status take_stages(verify_side *side, const verify_part *p, float *feature,
                             tw_stages *stages, tw_error *err) {
    TW_TRY(tw_encoder_observe(side->session.encoder, tw_stages_take, stages, err));
    tw_status status = side_row(side, &p->inputs, p->agreement.worst, feature, err);
    tw_encoder_observe(side->session.encoder, NULL, NULL, NULL);
    if (status == TW_OK && stages->failed) status = tw_fail_no_memory(err, 0);
    return status;
}

/* The worst input once more, alone, with the stages of both models. A row depends on its input
 * alone, to the bit, so these are the stages it came from. */
static tw_status compare_stages(verify *v, verify_part *p, tw_error *err) {
    float *feature = calloc(v->a.dim, sizeof *feature);
    if (!feature) return tw_fail_no_memory(err, v->a.dim * sizeof *feature);
    tw_status status = take_stages(&v->a, p, feature, &p->stages_a, err);
    if (status == TW_OK) status = take_stages(&v->b, p, feature, &p->stages_b, err);
    free(feature);
    if (status != TW_OK) return status;
    p->has_stages = tw_stages_comparable(&p->stages_a, &p->stages_b);
    if (p->has_stages)
        p->first = tw_stages_first_difference(&p->stages_a, &p->stages_b, v->tolerance);
    return TW_OK;
}

/* ----------------------------------------------------------------------------------- parts */

/* Files of a folder that belong to no input. */
static tw_status name_extras(verify *v, const verify_side *side, const verify_part *p, size_t *next,
                             tw_error *err) {
    for (size_t i = 0; side->input_of && i < side->files.n; i++) {
        if (side->input_of[i] != TW_NO_PARTNER) continue;
        tw_error why = TW_ERROR_INIT;
        const verify_side *other = side == &v->a ? &v->b : &v->a;
        tw_fail(&why, TW_ERR_MISMATCH, "%s %s",
                p->inputs.pictures ? "no picture of this name in" : "no file of this name in",
                p->inputs.pictures ? v->images : other->path);
        TW_TRY(cli_skips_add(&v->skips, (*next)++, tw_strings_get(&side->files, i), &why, err));
    }
    return TW_OK;
}

static size_t count_extras(const verify_side *side) {
    size_t n = 0;
    for (size_t i = 0; side->input_of && i < side->files.n; i++)
        n += side->input_of[i] == TW_NO_PARTNER;
    return n;
}

static tw_status compare_part(verify *v, verify_part *p, tw_error *err) {
    char name[64];
    size_t next = p->inputs.n, before = v->skips.n;
    TW_TRY(compare_features(v, p, err));
    TW_TRY(name_extras(v, &v->a, p, &next, err));
    TW_TRY(name_extras(v, &v->b, p, &next, err));
    p->n_skipped = v->skips.n - before;
    if (p->agreement.n == 0) return TW_OK;
    snprintf(p->worst, sizeof p->worst, "%s",
             side_input_name(&p->inputs, p->agreement.worst, name, sizeof name));
    p->worst_cosine = p->agreement.n_no_cosine ? NAN : p->agreement.cosine_min;
    if (v->a.kind != SIDE_MODEL || v->b.kind != SIDE_MODEL) return TW_OK;
    /* Other runtimes show no stages: their features are compared alone. */
    if (tw_encoder_observe(v->b.session.encoder, NULL, NULL, NULL) != TW_OK) return TW_OK;
    return compare_stages(v, p, err);
}

/* Only pictures and files can be left out: the first part's. */
static int open_skips(verify *v) {
    const verify_part *p = &v->parts[0];
    size_t n = p->inputs.n + count_extras(&v->a) + count_extras(&v->b);
    int status = cli_skips_open(&v->skips, v->errors, n);
    if (status != CLI_CONTINUE) return status;
    v->skips.what = p->inputs.pictures ? "pictures" : "files";
    v->skips.keep_nan = true;
    v->skips.marks = calloc(TW_MAX(n, (size_t)1), sizeof *v->skips.marks);
    if (v->skips.marks) return CLI_CONTINUE;
    cli_error("out of memory");
    return cli_skips_close(&v->skips, CLI_FAILED);
}

int verify_compare(verify *v) {
    int status = open_skips(v);
    if (status != CLI_CONTINUE) return status;
    tw_error err = TW_ERROR_INIT;
    tw_status result = TW_OK;
    for (size_t i = 0; i < v->n_parts && result == TW_OK; i++) {
        bool *marks = v->skips.marks;
        if (i) v->skips.marks = NULL; /* texts and arrays are whole or an error */
        result = compare_part(v, &v->parts[i], &err);
        v->skips.marks = marks;
    }
    return cli_skips_close(&v->skips, result == TW_OK ? CLI_DONE : cli_fail(&err));
}

bool verify_agrees(const verify *v) {
    for (size_t i = 0; i < v->n_parts; i++)
        if (!tw_agreement_holds(&v->parts[i].agreement, v->min_cosine)) return false;
    return v->n_parts > 0;
}
