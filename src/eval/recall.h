/* Recall of a retrieval: for which share of the queries a right answer is among the first 1, 5 and
 * 10. Source: Chinese-CLIP cn_clip/eval/evaluation.py and evaluation_tr.py. */
#ifndef EVAL_RECALL_H
#define EVAL_RECALL_H

#include "base/buffer.h"
#include "dataset/annotations.h"

enum { TW_RECALL_K = 10 };

typedef enum tw_direction { TW_TEXT_TO_IMAGE, TW_IMAGE_TO_TEXT } tw_direction;

/* What the lines and messages of a direction call its query and its answers. */
typedef struct tw_direction_words {
    const char *query;   /* "text_id" */
    const char *answer;  /* "image_id" */
    const char *answers; /* "image_ids" */
    const char *title;   /* "Text_id" */
    const char *things;  /* "images" */
    const char *name;    /* "text-to-image" */
} tw_direction_words;

extern const tw_direction_words tw_directions[]; /* by tw_direction */

/* Right answers are counted; a query counts even when it has none. */
typedef struct tw_recall {
    size_t n_queries, n_hits[3]; /* among the first 1, 5, 10 */
} tw_recall;

/* Counts a query: its right answers, and those given, best first (the first TW_RECALL_K count). */
void tw_recall_add(tw_recall *recall, const int64_t *right, size_t n_right, const int64_t *given,
                   size_t n_given);

/* Percentages as the original computes them: r1, r5, r10 and their mean. NaN without queries. */
typedef struct tw_recall_scores {
    double r1, r5, r10, mean;
} tw_recall_scores;
tw_recall_scores tw_recall_result(const tw_recall *recall);

/* The original's evaluation of a file of predictions. */
typedef struct tw_evaluation {
    bool success;
    tw_recall recall;
    tw_buffer message; /* what is wrong with the predictions, in the original's words */
} tw_evaluation;

/* Exactly ten different integers for every query that is annotated; of a query with two lines the
 * last one counts, on both sides. Predictions that are not so end in !success and a message.
 * Errors: TW_ERR_FORMAT (no query at all; bytes that are not UTF-8), TW_ERR_IO, TW_ERR_NO_MEMORY.
 */
tw_status tw_evaluate(const tw_annotations *reference, const char *predictions_path,
                      tw_direction direction, tw_evaluation *out, tw_error *err);
tw_status tw_evaluate_lines(const tw_annotations *reference, tw_record_lines *predictions,
                            tw_direction direction, tw_evaluation *out, tw_error *err);
void tw_evaluation_free(tw_evaluation *e);

/* The original's result file, without an end of line. */
void tw_recall_put_json(tw_buffer *b, const tw_recall *recall);
void tw_evaluation_put_failure(tw_buffer *b, const char *message, size_t n_bytes);

#endif
