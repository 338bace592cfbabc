/* Labels and prompt templates, and the class vectors made of them. */
#ifndef CLI_LABELS_H
#define CLI_LABELS_H

#include "dataset/pictures.h"
#include "eval/zeroshot.h"
#include "session.h"

typedef struct cli_labels {
    const char *file, *templates, *template_set, *scale;
    cli_texts single, single_templates;
    /* at work */
    tw_strings labels, prompts;
    float *weights; /* [n_labels, E] */
    float scale_value;
} cli_labels;

extern const cli_option cli_label_options[];

/* Reads labels and templates. Returns CLI_CONTINUE or a status. */
int cli_labels_read(cli_labels *l);

/* Computes the class vectors and the scale; "model" (the default when `default_scale` is 0) is the
 * model's own. */
tw_status cli_labels_encode(cli_labels *l, cli_session *s, float default_scale, tw_error *err);
void cli_labels_free(cli_labels *l);

/* Opens the class folders at `path`, whose pictures then have label numbers. Returns CLI_CONTINUE
 * or a status. */
int cli_labels_open_folders(const cli_labels *l, const char *path, tw_class_folders *out);

/* Zero-shot accuracy of features `images` [n_pictures, dim] with the class vectors `classes`
 * [n_labels, dim]. A picture without a vector in `reference` is left out; one that has none in
 * `images` alone counts as a miss. */
tw_status cli_labels_score(const cli_labels *l, const tw_class_folders *folders,
                           const float *reference, const float *images, const float *classes,
                           size_t dim, tw_zeroshot_result *out, tw_error *err);

#endif
