#include "eval/rank.h"

#include "base/size.h"
#include "base/status.h"

#include <math.h>
#include <stdlib.h>

tw_status tw_ranker_init(tw_ranker *r, const float *weights, size_t n_labels, size_t dim,
                         float scale, tw_error *err) {
    *r = (tw_ranker){.weights = weights, .n_labels = n_labels, .dim = dim};
    r->logit_scale = logf(scale);
    r->k = TW_MIN(n_labels, (size_t)TW_RANK_K);
    r->cosines = calloc(n_labels, sizeof *r->cosines);
    r->probs = calloc(n_labels, sizeof *r->probs);
    r->order = calloc(n_labels, sizeof *r->order);
    if (r->cosines && r->probs && r->order) return TW_OK;
    tw_ranker_free(r);
    return tw_fail_no_memory(err, n_labels * sizeof *r->order);
}

void tw_ranker_free(tw_ranker *r) {
    free(r->cosines);
    free(r->probs);
    free(r->order);
    *r = (tw_ranker){0};
}

tw_status tw_ranker_rank(tw_ranker *r, const float *feature, tw_error *err) {
    TW_TRY(tw_similarity(feature, 1, r->weights, r->n_labels, r->dim, r->logit_scale, r->cosines,
                         NULL, r->probs, err));
    for (size_t i = 0; i < r->n_labels; i++)
        r->order[i] = (tw_scored){r->cosines[i], (uint32_t)i};
    tw_topk(r->order, r->n_labels, r->k);
    for (size_t i = 0; i < r->k; i++) {
        uint32_t label = r->order[i].index;
        r->best[i] = (tw_match){label, r->cosines[label], r->probs[label]};
    }
    return TW_OK;
}
