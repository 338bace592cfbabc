/* Recall of a model on a retrieval set: features, nearest neighbours and recall in one go. */
#ifndef CLI_RECALL_DATA_H
#define CLI_RECALL_DATA_H

#include "eval/recall.h"
#include "retrieval.h"

typedef struct cli_recall_data {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    cli_text text;
    cli_retrieval set;
    bool wanted[2]; /* by tw_direction */
    /* at work */
    cli_session session;
    size_t dim, n_images; /* pictures that could be used */
    float *texts;         /* [n_texts, dim] */
    float *images;        /* [n_images, dim] */
    int64_t *image_ids;   /* [n_images] */
    tw_recall recalls[2];
    size_t n_absent; /* annotated pictures that are not there */
} cli_recall_data;

/* Computes and prints. Returns the status to exit with. */
int cli_recall_data_run(cli_recall_data *d);

/* The search alone: `recalls` of the features `texts` and `images`, in the directions wanted. */
tw_status cli_recall_data_search(cli_recall_data *d, tw_error *err);

/* "\"KEY\": {\"queries\": …, \"r1\": …}" */
void cli_recall_put_scores(tw_buffer *b, const char *key, const tw_recall *recall);
void cli_recall_data_free(cli_recall_data *d);

#endif
