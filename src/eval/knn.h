/* The k nearest of a gallery for every query, by inner product, in memory that the sizes of blocks
 * bound. Source: Chinese-CLIP make_topk_predictions.py and make_topk_predictions_tr.py. */
#ifndef EVAL_KNN_H
#define EVAL_KNN_H

#include "base/pool.h"
#include "base/status.h"

/* The best so far of a block of queries. */
typedef struct tw_knn {
    size_t n_queries, k;
    float *scores; /* [n_queries, k], best first */
    int64_t *ids;  /* the same */
    size_t *n;     /* [n_queries]: how many there are */
} tw_knn;

tw_status tw_knn_create(size_t n_queries, size_t k, tw_knn *out, tw_error *err);
void tw_knn_free(tw_knn *knn);

/* Ranks the next rows of the gallery [n, dim] for the queries [n_queries, dim].
 *
 * A score is the sum of the products in order of the components, in f64 (where each product is
 * exact), rounded once to f32: the same bits whatever the blocks, the threads and the processor. Of
 * equal scores the row that came first stays first, as Python's stable sort leaves them; a NaN
 * comes after all numbers. */
tw_status tw_knn_add(tw_knn *knn, tw_pool *pool, const float *queries, size_t dim,
                     const float *gallery, const int64_t *ids, size_t n, tw_error *err);

#endif
