#define _GNU_SOURCE
#include "eval/compare.h"

#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- rows */

/* Length of a row; 0 when it has no direction. f64 holds the square of any f32. */
static double length_of(const float *row, size_t dim) {
    double sum = 0;
    for (size_t k = 0; k < dim; k++)
        sum += (double)row[k] * (double)row[k];
    return isfinite(sum) ? sqrt(sum) : 0;
}

void tw_agreement_add(tw_agreement *g, size_t index, const float *a, const float *b, size_t dim) {
    double length_a = length_of(a, dim), length_b = length_of(b, dim), dot = 0;
    g->n++;
    if (length_a == 0 || length_b == 0) {
        if (g->n_no_cosine++ == 0) g->worst = index;
        return;
    }
    for (size_t k = 0; k < dim; k++) {
        dot += (double)a[k] * (double)b[k];
        g->largest = fmax(g->largest, fabs((double)a[k] / length_a - (double)b[k] / length_b));
    }
    /* Equal rows have a cosine of 1, not of what rounding leaves of it. */
    double cosine = memcmp(a, b, dim * sizeof *a) == 0 ? 1 : fmin(dot / (length_a * length_b), 1);
    g->cosine_sum += cosine;
    if (cosine >= g->cosine_min) return;
    g->cosine_min = cosine;
    if (g->n_no_cosine == 0) g->worst = index;
}

double tw_agreement_mean(const tw_agreement *g) {
    size_t n = g->n - g->n_no_cosine;
    return n ? g->cosine_sum / (double)n : NAN;
}

bool tw_agreement_holds(const tw_agreement *g, double min_cosine) {
    return g->n > 0 && g->n_no_cosine == 0 && g->cosine_min >= min_cosine;
}

/* ----------------------------------------------------------------------------------- stages */

static bool grow(tw_stages *s) {
    if (s->n < s->capacity) return true;
    size_t capacity = s->capacity ? 2 * s->capacity : 16;
    tw_stage_copy *grown = reallocarray(s->items, capacity, sizeof *grown);
    if (!grown) return false;
    s->items = grown;
    s->capacity = capacity;
    return true;
}

void tw_stages_take(void *stages, const char *stage, const float *x, size_t n_rows,
                    size_t n_columns, size_t ld) {
    tw_stages *s = stages;
    tw_stage_copy copy = {strdup(stage), calloc(TW_MAX(n_rows, (size_t)1), n_columns * sizeof *x),
                          n_rows, n_columns};
    if (s->failed || !copy.name || !copy.x || !grow(s)) {
        s->failed = true;
        free(copy.name);
        free(copy.x);
        return;
    }
    for (size_t i = 0; i < n_rows; i++)
        memcpy(copy.x + i * n_columns, x + i * ld, n_columns * sizeof *x);
    s->items[s->n++] = copy;
}

void tw_stages_free(tw_stages *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].name);
        free(s->items[i].x);
    }
    free(s->items);
    *s = (tw_stages){0};
}

bool tw_stages_comparable(const tw_stages *a, const tw_stages *b) {
    if (a->failed || b->failed || a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const tw_stage_copy *x = &a->items[i], *y = &b->items[i];
        if (strcmp(x->name, y->name) != 0 || x->n_rows != y->n_rows || x->n_columns != y->n_columns)
            return false;
    }
    return true;
}

tw_stage_difference tw_stages_compare(const tw_stages *a, const tw_stages *b, size_t i) {
    const float *x = a->items[i].x, *y = b->items[i].x;
    size_t n = a->items[i].n_rows * a->items[i].n_columns;
    tw_stage_difference out = {.name = a->items[i].name};
    double squares = 0;
    for (size_t k = 0; k < n; k++) {
        double d = fabs((double)x[k] - (double)y[k]);
        if (!(d <= out.largest) && !isnan(out.largest)) out.largest = d; /* a NaN stays */
        squares += (double)x[k] * (double)x[k];
    }
    out.relative = out.largest == 0 ? 0 : out.largest / sqrt(squares / (double)n);
    return out;
}

size_t tw_stages_first_difference(const tw_stages *a, const tw_stages *b, double tolerance) {
    for (size_t i = 0; i < a->n; i++)
        if (!(tw_stages_compare(a, b, i).relative <= tolerance)) return i;
    return a->n;
}
