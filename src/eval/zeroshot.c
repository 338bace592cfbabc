#include "eval/zeroshot.h"

#include <math.h>
#include <stdlib.h>

tw_status tw_zeroshot_score_init(tw_zeroshot_score *score, size_t n_labels, tw_error *err) {
    *score = (tw_zeroshot_score){.n_labels = n_labels};
    score->class_images = calloc(n_labels ? n_labels : 1, sizeof *score->class_images);
    score->class_top1 = calloc(n_labels ? n_labels : 1, sizeof *score->class_top1);
    if (score->class_images && score->class_top1) return TW_OK;
    tw_zeroshot_score_free(score);
    return tw_fail_no_memory(err, 2 * n_labels * sizeof *score->class_images);
}

void tw_zeroshot_score_free(tw_zeroshot_score *score) {
    free(score->class_images);
    free(score->class_top1);
    *score = (tw_zeroshot_score){0};
}

void tw_zeroshot_score_add(tw_zeroshot_score *score, uint32_t label, const tw_match *matches,
                           size_t k) {
    score->n_images++;
    score->class_images[label]++;
    for (size_t i = 0; i < k && i < 5; i++) {
        if (matches[i].index != label) continue;
        score->n_top5++;
        if (i == 0) {
            score->n_top1++;
            score->class_top1[label]++;
        }
        return;
    }
}

tw_zeroshot_result tw_zeroshot_score_result(const tw_zeroshot_score *score) {
    tw_zeroshot_result r = {.n_images = score->n_images};
    double sum = 0;
    for (size_t c = 0; c < score->n_labels; c++) {
        if (!score->class_images[c]) continue;
        r.n_classes++;
        sum += (double)score->class_top1[c] / (double)score->class_images[c];
    }
    double n = (double)score->n_images;
    r.top1 = r.n_images ? (double)score->n_top1 / n : NAN;
    r.top5 = r.n_images ? (double)score->n_top5 / n : NAN;
    r.mean_per_class = r.n_classes ? sum / (double)r.n_classes : NAN;
    return r;
}
