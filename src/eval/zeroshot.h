/* Zero-shot accuracy: top-1, top-5 and the mean of the per-class recalls. */
#ifndef EVAL_ZEROSHOT_H
#define EVAL_ZEROSHOT_H

#include "base/status.h"
#include "tuwen/encode.h"

typedef struct tw_zeroshot_score {
    size_t n_labels;
    uint64_t n_images, n_top1, n_top5;
    uint64_t *class_images, *class_top1; /* [n_labels] */
} tw_zeroshot_score;

tw_status tw_zeroshot_score_init(tw_zeroshot_score *score, size_t n_labels, tw_error *err);
void tw_zeroshot_score_free(tw_zeroshot_score *score);

/* Counts one picture whose right label is `label`; `matches` are its k best, best first. */
void tw_zeroshot_score_add(tw_zeroshot_score *score, uint32_t label, const tw_match *matches,
                           size_t k);

/* Fractions 0..1; NaN when nothing was counted. The mean is over classes that have a picture. */
typedef struct tw_zeroshot_result {
    uint64_t n_images;
    size_t n_classes; /* that have a picture */
    double top1, top5, mean_per_class;
} tw_zeroshot_result;

tw_zeroshot_result tw_zeroshot_score_result(const tw_zeroshot_score *score);

#endif
