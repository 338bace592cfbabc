/* Annotations of a retrieval set in Chinese-CLIP's lines: which pictures a text belongs to,
 * {"text_id": 1, "text": "…", "image_ids": [2, 3]}, or turned around, which texts a picture has,
 * {"image_id": 2, "text_ids": [1]}. */
#ifndef DATASET_ANNOTATIONS_H
#define DATASET_ANNOTATIONS_H

#include "dataset/records.h"
#include "dataset/strings.h"

/* Inputs that were left out, each with a line that says where and why. */
typedef struct tw_left_out {
    tw_strings lines; /* the first TW_MAX_LEFT_OUT of them */
    size_t n;
} tw_left_out;
enum { TW_MAX_LEFT_OUT = 1000 };

tw_status tw_left_out_add(tw_left_out *left_out, const tw_error *why, tw_error *err);
void tw_left_out_free(tw_left_out *left_out);

typedef struct tw_annotations {
    size_t n;
    int64_t *queries; /* [n], in the order of the file, not necessarily different */
    size_t *ends;     /* [n]: the answers of query i end here, and those of i + 1 begin */
    int64_t *answers;
    size_t n_answers;
    tw_strings texts, files; /* [n] "text" and "file" ("" without one), when wanted */
    size_t capacity, answers_capacity;
} tw_annotations;

/* Which lines, and what of them. */
typedef enum tw_annotation_kind {
    TW_TEXTS_OF_IMAGES, /* image_id, text_ids */
    TW_IMAGES_OF_TEXTS, /* text_id, image_ids */
    TW_TEXTS            /* the same, with "text" (anything: a string, or a number as it stands) */
} tw_annotation_kind;

/* Reads a file. A line that is no such record fails, "NAME: line N: …"; with `left_out` it is left
 * out and named there. Errors: TW_ERR_IO, TW_ERR_FORMAT, TW_ERR_LIMIT. */
tw_status tw_annotations_read(const char *path, tw_annotation_kind kind, tw_annotations *out,
                              tw_left_out *left_out, tw_error *err);
tw_status tw_annotations_parse(tw_record_lines *lines, tw_annotation_kind kind, tw_annotations *out,
                               tw_left_out *left_out, tw_error *err);

/* Whether the first line of the file has this key. */
tw_status tw_annotations_sniff(const char *path, const char *key, bool *has, tw_error *err);

/* The other way round: a query for every answer in the order of first appearance, its answers
 * being the queries that had it. Source: Chinese-CLIP transform_ir_annotation_to_tr.py. */
tw_status tw_annotations_turn(const tw_annotations *a, tw_annotations *out, tw_error *err);
void tw_annotations_free(tw_annotations *a);

static inline size_t tw_annotations_begin(const tw_annotations *a, size_t i) {
    return i ? a->ends[i - 1] : 0;
}

/* The answers of query i; there may be none of any query, and then no array. */
static inline const int64_t *tw_annotations_answers(const tw_annotations *a, size_t i, size_t *n) {
    size_t begin = tw_annotations_begin(a, i);
    *n = a->ends[i] - begin;
    return *n ? a->answers + begin : NULL;
}

#endif
