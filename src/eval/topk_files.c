#define _GNU_SOURCE
#include "eval/topk_files.h"

#include "base/file.h"
#include "base/size.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- writing */

void tw_topk_put_line(tw_buffer *b, size_t index, uint32_t label) {
    tw_buffer_printf(b, "[%zu]: %u\n", index, (unsigned)label);
}

static double share(size_t hits, size_t n) {
    return (double)hits / (double)n;
}

void tw_topk_put_printed(tw_buffer *b, const tw_topk_counts *c) {
    tw_buffer_puts(b, "top1:  ");
    tw_buffer_python_float(b, share(c->n_top1, c->n_labels));
    tw_buffer_puts(b, "\ntop5:  ");
    tw_buffer_python_float(b, share(c->n_top5, c->n_labels));
    tw_buffer_puts(b, "\n");
}

void tw_topk_put_result(tw_buffer *b, const tw_topk_counts *c) {
    tw_buffer_printf(b, "top1 accuracy: %f\ntop5 accuracy: %f\n", share(c->n_top1, c->n_labels),
                     share(c->n_top5, c->n_labels));
}

/* ------------------------------------------------------------------------------------ lines */

/* A line as Python's readlines() gives it. */
typedef struct line {
    const uint8_t *text;
    size_t n_bytes;
    bool ended;
} line;

static int compare_lines(const void *x, const void *y) {
    const line *a = x, *b = y;
    size_t n = TW_MIN(a->n_bytes, b->n_bytes);
    int order = n ? memcmp(a->text, b->text, n) : 0;
    if (order) return order;
    if (a->n_bytes != b->n_bytes) return a->n_bytes < b->n_bytes ? -1 : 1;
    return (a->ended > b->ended) - (a->ended < b->ended);
}

/* Takes the line that begins at `at`; where the next one does. */
static size_t take_line(const tw_topk_text *t, size_t at, line *out) {
    size_t end = at;
    while (end < t->n_bytes && t->data[end] != '\n' && t->data[end] != '\r')
        end++;
    *out = (line){t->data + at, end - at, end < t->n_bytes};
    if (end + 1 < t->n_bytes && t->data[end] == '\r' && t->data[end + 1] == '\n') return end + 2;
    return end + out->ended;
}

typedef struct lines {
    line *items;
    size_t n;
} lines;

static tw_status read_lines(const tw_topk_text *t, lines *out, tw_error *err) {
    *out = (lines){0};
    if (!tw_utf8_valid(t->data, t->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "%s: is not UTF-8", t->name);
    line l;
    size_t n = 0;
    for (size_t at = 0; at < t->n_bytes; n++)
        at = take_line(t, at, &l);
    if (n > UINT32_MAX)
        return tw_fail(err, TW_ERR_LIMIT, "%s: %zu lines, at most %u are read", t->name, n,
                       UINT32_MAX);
    if (!n) return TW_OK;
    out->items = reallocarray(NULL, n, sizeof *out->items);
    if (!out->items) return tw_fail_no_memory(err, n * sizeof *out->items);
    for (size_t at = 0; out->n < n; out->n++)
        at = take_line(t, at, &out->items[out->n]);
    return TW_OK;
}

/* Pairs of equal lines, of two sorted lists. */
static size_t count_pairs(const lines *a, const lines *b) {
    size_t pairs = 0;
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        int order = compare_lines(&a->items[i], &b->items[j]);
        if (order < 0) {
            i++;
        } else if (order > 0) {
            j++;
        } else {
            size_t n_a = 1, n_b = 1;
            while (i + n_a < a->n && compare_lines(&a->items[i], &a->items[i + n_a]) == 0)
                n_a++;
            while (j + n_b < b->n && compare_lines(&b->items[j], &b->items[j + n_b]) == 0)
                n_b++;
            pairs += n_a * n_b; /* in all at most a->n * b->n, which fits */
            i += n_a;
            j += n_b;
        }
    }
    return pairs;
}

tw_status tw_topk_count(const tw_topk_text *labels, const tw_topk_text *top1,
                        const tw_topk_text *top5, tw_topk_counts *out, tw_error *err) {
    const tw_topk_text *texts[3] = {labels, top1, top5};
    lines all[3] = {{0}};
    tw_status status;
    *out = (tw_topk_counts){0};
    for (int i = 0; i < 3; i++) {
        TW_CHECK(read_lines(texts[i], &all[i], err));
        if (all[i].n) qsort(all[i].items, all[i].n, sizeof *all[i].items, compare_lines);
    }
    if (!all[0].n) TW_CHECK(tw_fail(err, TW_ERR_FORMAT, "%s: no label in it", labels->name));
    *out = (tw_topk_counts){all[0].n, count_pairs(&all[0], &all[1]), count_pairs(&all[0], &all[2])};
done:
    for (int i = 0; i < 3; i++)
        free(all[i].items);
    return status;
}

tw_status tw_topk_count_files(const char *labels, const char *top1, const char *top5,
                              tw_topk_counts *out, tw_error *err) {
    const char *paths[3] = {labels, top1, top5};
    tw_mapped_file files[3] = {{0}};
    tw_topk_text texts[3];
    tw_status status = TW_OK;
    *out = (tw_topk_counts){0};
    for (int i = 0; i < 3 && status == TW_OK; i++) {
        status = tw_map_file(paths[i], &files[i], err);
        texts[i] = (tw_topk_text){paths[i], files[i].data, files[i].n_bytes};
    }
    if (status == TW_OK) status = tw_topk_count(&texts[0], &texts[1], &texts[2], out, err);
    for (int i = 0; i < 3; i++)
        tw_unmap_file(&files[i]);
    return status;
}
