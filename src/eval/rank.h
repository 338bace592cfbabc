/* The best labels of a picture, as zero-shot classification counts them. */
#ifndef EVAL_RANK_H
#define EVAL_RANK_H

#include "eval/topk.h"
#include "tuwen/encode.h"

enum { TW_RANK_K = 5 };

typedef struct tw_ranker {
    const float *weights; /* [n_labels, dim] class vectors, borrowed */
    size_t n_labels, dim;
    float logit_scale; /* log of what the cosine is multiplied by */
    size_t k;          /* TW_RANK_K, or n_labels if that is less */
    /* of the picture ranked last */
    float *cosines, *probs;   /* [n_labels] */
    tw_match best[TW_RANK_K]; /* [k], best first; equal ones in PyTorch's order */
    tw_scored *order;         /* scratch [n_labels] */
} tw_ranker;

tw_status tw_ranker_init(tw_ranker *r, const float *weights, size_t n_labels, size_t dim,
                         float scale, tw_error *err);
void tw_ranker_free(tw_ranker *r);

/* Ranks the labels for one feature [dim] without NaN. */
tw_status tw_ranker_rank(tw_ranker *r, const float *feature, tw_error *err);

#endif
