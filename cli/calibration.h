/* Pictures and texts that two models are shown, to see how far apart their features are. */
#ifndef CLI_CALIBRATION_H
#define CLI_CALIBRATION_H

#include "eval/recall.h"
#include "labels.h"
#include "retrieval.h"
#include "verify_inputs.h"

typedef struct cli_calibration {
    const char *name;         /* "built-in", or the set's */
    bool pairs;               /* the texts belong to the pictures */
    cli_retrieval set;        /* of those */
    tw_pictures *pictures;    /* of a folder without captions; owned */
    cli_labels *labels;       /* borrowed; NULL: the pictures' classes are not known */
    tw_class_folders folders; /* those pictures */
    tw_buffer drawn[VERIFY_PICTURES];
    tw_bytes drawn_bytes[VERIFY_PICTURES];
    tw_strings own_texts; /* built in, or the labels in the first template */
    size_t n_pictures, n_texts;
} cli_calibration;

/* Features of one model, rows normalised. Those of pictures that cannot be read are NaN. */
typedef struct cli_features {
    float *pictures, *texts; /* [n_pictures, dim], [n_texts, dim]; NULL without such a tower */
    float *classes;          /* [n_labels, dim] class vectors; NULL without labels */
    size_t dim;
} cli_features;

/* Opens what `path` is: Chinese-CLIP's X_imgs.tsv beside X_texts.jsonl, or a folder with both; a
 * folder or .tar of pictures, with the captions beside it if there are any; NULL: what is built in.
 * With `labels`: class folders or a .tar of them, as `eval zeroshot` has them. Returns CLI_CONTINUE
 * or a status. */
int cli_calibration_open(cli_calibration *c, const char *path, cli_labels *labels);
void cli_calibration_free(cli_calibration *c);

/* Shows everything to a model. Which pictures cannot be read is said once. */
tw_status cli_calibration_encode(cli_calibration *c, cli_session *s, cli_features *out,
                                 tw_error *err);
void cli_features_free(cli_features *f);

/* Whether picture i could not be read. */
bool cli_calibration_left_out(const cli_calibration *c, size_t i);

/* One picture, or else one text, once more: for an observer. */
tw_status cli_calibration_show(const cli_calibration *c, cli_session *s, bool picture, size_t i,
                               tw_error *err);

/* The recall of pairs by tw_direction. */
tw_status cli_calibration_recall(cli_calibration *c, cli_session *s, const cli_features *f,
                                 tw_recall out[2], tw_error *err);

/* The accuracy of class folders; pictures without a vector in `reference` are left out. */
tw_status cli_calibration_zeroshot(const cli_calibration *c, const cli_features *reference,
                                   const cli_features *f, tw_zeroshot_result *out, tw_error *err);

#endif
