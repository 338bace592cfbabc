/* Pictures and texts that two models are shown, to see how far apart their features are. */
#ifndef CLI_CALIBRATION_H
#define CLI_CALIBRATION_H

#include "retrieval.h"
#include "verify_inputs.h"

typedef struct cli_calibration {
    const char *name;      /* "built-in", or the set's */
    bool pairs;            /* the texts belong to the pictures */
    cli_retrieval set;     /* of those */
    tw_pictures *pictures; /* of a folder without captions; owned */
    tw_buffer drawn[VERIFY_PICTURES];
    tw_bytes drawn_bytes[VERIFY_PICTURES];
    tw_strings built_in; /* texts */
    size_t n_pictures, n_texts;
} cli_calibration;

/* Features of one model, rows normalised. Those of pictures that cannot be read are NaN. */
typedef struct cli_features {
    float *pictures, *texts; /* [n_pictures, dim], [n_texts, dim]; NULL without such a tower */
    size_t dim;
} cli_features;

/* Opens what `path` is: Chinese-CLIP's X_imgs.tsv beside X_texts.jsonl, or a folder with both; a
 * folder or .tar of pictures, with the captions beside it if there are any; NULL: what is built in.
 * Returns CLI_CONTINUE or a status. */
int cli_calibration_open(cli_calibration *c, const char *path);
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

/* R@1 in percent by tw_direction. */
tw_status cli_calibration_recall(cli_calibration *c, cli_session *s, const cli_features *f,
                                 float r1[2], tw_error *err);

#endif
