/* The table of accuracies, for people and as JSON. */
#define _GNU_SOURCE
#include "accuracy.h"
#include "base/size.h"
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "openvino 2026.4.1 CPU"; what was asked for when it did not run. */
static void put_name(const accuracy *a, const accuracy_row *row, char *buf, size_t n) {
    const tw_used *u = &row->used;
    bool own_model = row->compute.model != a->compute.model;
    if (!row->ran)
        snprintf(buf, n, "%s", row->spec);
    else
        snprintf(buf, n, "%s%s%s %s%s%s", u->backend, u->runtime[0] ? " " : "", u->runtime,
                 u->device, own_model ? ", " : "", own_model ? file_name(row->compute.model) : "");
}

/* ------------------------------------------------------------------------------------ table */

typedef enum part { CLASSES, RETRIEVAL, ALWAYS } part;

static double top1(const accuracy_row *r) {
    return 100 * r->zeroshot.top1;
}

static double top5(const accuracy_row *r) {
    return 100 * r->zeroshot.top5;
}

static double least_cosine(const accuracy_row *r) {
    return fmin(r->images.cosine_min, r->texts.cosine_min);
}

static double mean_cosine(const accuracy_row *r) {
    size_t n = r->images.n + r->texts.n - r->images.n_no_cosine - r->texts.n_no_cosine;
    return n ? (r->images.cosine_sum + r->texts.cosine_sum) / (double)n : NAN;
}

static double pictures_per_second(const accuracy_row *r) {
    return r->seconds > 0 ? (double)r->n_images / r->seconds : NAN;
}

#define RECALL(name, way, k)                                                                       \
    static double name(const accuracy_row *r) {                                                    \
        return tw_recall_result(&r->recalls[way]).k;                                               \
    }
RECALL(to_image_1, TW_TEXT_TO_IMAGE, r1)
RECALL(to_image_5, TW_TEXT_TO_IMAGE, r5)
RECALL(to_image_10, TW_TEXT_TO_IMAGE, r10)
RECALL(to_text_1, TW_IMAGE_TO_TEXT, r1)
RECALL(to_text_5, TW_IMAGE_TO_TEXT, r5)
RECALL(to_text_10, TW_IMAGE_TO_TEXT, r10)

static const struct column {
    const char *title;
    part part;
    int decimals;
    double (*value)(const accuracy_row *);
} columns[] = {
    {"top-1", CLASSES, 2, top1},
    {"top-5", CLASSES, 2, top5},
    {"text→image R@1", RETRIEVAL, 2, to_image_1},
    {"R@5", RETRIEVAL, 2, to_image_5},
    {"R@10", RETRIEVAL, 2, to_image_10},
    {"image→text R@1", RETRIEVAL, 2, to_text_1},
    {"R@5", RETRIEVAL, 2, to_text_5},
    {"R@10", RETRIEVAL, 2, to_text_10},
    {"least cosine", ALWAYS, 8, least_cosine},
    {"mean cosine", ALWAYS, 8, mean_cosine},
    {"pictures/s", ALWAYS, 1, pictures_per_second},
};
/* Before the figures the backend and its precision, after them why a row is not whole. */
enum { N_FIGURES = TW_COUNT(columns), N_COLUMNS = N_FIGURES + 3, NOTE = N_COLUMNS - 1 };

typedef char cell[640]; /* an error's line and more */

static bool is_shown(const accuracy *a, int c) {
    bool noted = false;
    for (size_t i = 0; i < a->n_rows; i++)
        noted = noted || !accuracy_row_is_whole(&a->rows[i]);
    if (c < 2) return true;
    if (c == NOTE) return noted;
    part p = columns[c - 2].part;
    return p == ALWAYS || (p == CLASSES ? a->classes != NULL : a->has_retrieval);
}

static void put_note(const accuracy_row *row, char *buf, size_t n) {
    size_t lost = row->images.n_no_cosine + row->texts.n_no_cosine;
    if (!row->ran)
        snprintf(buf, n, "not run: %s", row->why.message);
    else if (lost)
        snprintf(buf, n, "%zu features are not vectors of numbers", lost);
}

/* Line 0 has the titles. */
static void fill_line(const accuracy *a, size_t line, cell *cells) {
    const accuracy_row *row = line ? &a->rows[line - 1] : NULL;
    memset(cells, 0, N_COLUMNS * sizeof *cells);
    snprintf(cells[0], sizeof *cells, "backend");
    snprintf(cells[1], sizeof *cells, "precision");
    snprintf(cells[NOTE], sizeof *cells, "note");
    if (row) {
        put_name(a, row, cells[0], sizeof *cells);
        snprintf(cells[1], sizeof *cells, "%s", row->ran ? row->used.precision : "–");
        cells[NOTE][0] = '\0';
        put_note(row, cells[NOTE], sizeof *cells);
    }
    for (int i = 0; i < N_FIGURES; i++) {
        double value = row && row->ran ? columns[i].value(row) : NAN;
        if (!row)
            snprintf(cells[i + 2], sizeof *cells, "%s", columns[i].title);
        else if (isfinite(value))
            snprintf(cells[i + 2], sizeof *cells, "%.*f", columns[i].decimals, value);
        else
            snprintf(cells[i + 2], sizeof *cells, "–");
    }
}

static void put_rule(tw_buffer *b, const accuracy *a, const size_t *widths) {
    for (int c = 0; c < N_COLUMNS; c++) {
        if (!is_shown(a, c)) continue;
        bool right = c >= 2 && c != NOTE;
        tw_buffer_puts(b, c ? " | " : "| ");
        for (size_t i = right; i < widths[c]; i++)
            tw_buffer_puts(b, "-");
        if (right) tw_buffer_puts(b, ":");
    }
    tw_buffer_puts(b, " |\n");
}

static void put_table(tw_buffer *b, const accuracy *a, cell *cells) {
    size_t widths[N_COLUMNS] = {0};
    for (size_t line = 0; line <= a->n_rows; line++) {
        cell *of_line = cells + line * N_COLUMNS;
        fill_line(a, line, of_line);
        for (int c = 0; c < N_COLUMNS; c++)
            widths[c] = TW_MAX(widths[c], cli_text_width(of_line[c]));
    }
    for (size_t line = 0; line <= a->n_rows; line++) {
        for (int c = 0; c < N_COLUMNS; c++) {
            if (!is_shown(a, c)) continue;
            tw_buffer_puts(b, c ? " | " : "| ");
            cli_put_cell(b, cells[line * N_COLUMNS + (size_t)c], widths[c], c >= 2 && c != NOTE,
                         false);
        }
        tw_buffer_puts(b, " |\n");
        if (!line) put_rule(b, a, widths);
    }
}

/* ------------------------------------------------------------------------------------- JSON */

static void put_agreement(tw_buffer *b, const char *key, const tw_agreement *g) {
    tw_buffer_printf(b, ", \"%s\": {", key);
    cli_json_number(b, "n", (double)g->n);
    cli_json_number(b, "no_cosine", (double)g->n_no_cosine);
    cli_json_number(b, "cosine_min", g->cosine_min);
    cli_json_number(b, "cosine_mean", tw_agreement_mean(g));
    cli_json_number(b, "largest_difference", g->largest);
    tw_buffer_puts(b, "}");
}

static void put_figures(tw_buffer *b, const accuracy *a, const accuracy_row *row) {
    const tw_zeroshot_result *z = &row->zeroshot;
    cli_json_member(b, "backend", row->used.backend);
    cli_json_member(b, "runtime", row->used.runtime);
    cli_json_member(b, "device", row->used.device);
    cli_json_member(b, "precision", row->used.precision);
    cli_json_member(b, "detail", row->used.detail);
    if (a->classes) {
        tw_buffer_puts(b, ", \"zeroshot\": {");
        cli_json_number(b, "n", (double)z->n_images);
        cli_json_number(b, "top1", z->top1);
        cli_json_number(b, "top5", z->top5);
        cli_json_number(b, "mean_per_class", z->mean_per_class);
        tw_buffer_puts(b, "}");
    }
    if (a->has_retrieval) {
        tw_buffer_puts(b, ", ");
        cli_recall_put_scores(b, "text_to_image", &row->recalls[TW_TEXT_TO_IMAGE]);
        tw_buffer_puts(b, ", ");
        cli_recall_put_scores(b, "image_to_text", &row->recalls[TW_IMAGE_TO_TEXT]);
    }
    put_agreement(b, "images", &row->images);
    put_agreement(b, "texts", &row->texts);
    cli_json_number(b, "pictures_per_second", pictures_per_second(row));
}

static void put_json(tw_buffer *b, const accuracy *a) {
    tw_buffer_puts(b, "{\"rows\": [");
    for (size_t i = 0; i < a->n_rows; i++) {
        const accuracy_row *row = &a->rows[i];
        tw_buffer_puts(b, i ? ", {" : "{");
        cli_json_member(b, "row", row->spec);
        tw_buffer_puts(b, row->ran ? ", \"ran\": true" : ", \"ran\": false");
        if (row->ran)
            put_figures(b, a, row);
        else
            cli_json_member(b, "reason", row->why.message);
        tw_buffer_puts(b, "}");
    }
    tw_buffer_puts(b, "]");
    cli_json_number(b, "skipped", (double)(a->skips.n + a->retrieval.set.skips.n));
    tw_buffer_puts(b, ", ");
    cli_json_used(b, &a->home, true);
    tw_buffer_puts(b, "}\n");
}

int accuracy_print(const accuracy *a, bool json) {
    tw_buffer b = {0};
    cell *cells = json ? NULL : calloc((a->n_rows + 1) * N_COLUMNS, sizeof *cells);
    if (json)
        put_json(&b, a);
    else if (cells)
        put_table(&b, a, cells);
    else
        b.failed = true;
    int status = cli_print(&b);
    tw_buffer_free(&b);
    free(cells);
    return status;
}
