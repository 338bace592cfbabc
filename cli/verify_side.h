/* One of the two things `tuwen verify` compares: a model that computes features, or features that
 * another tool has computed. */
#ifndef CLI_VERIFY_SIDE_H
#define CLI_VERIFY_SIDE_H

#include "raw_inputs.h"

typedef enum side_kind {
    SIDE_MODEL,  /* a model file, or a checkpoint converted to a temporary one */
    SIDE_FOLDER, /* .npy files, one an input */
    SIDE_ARRAY   /* one .npy file [n, E] */
} side_kind;

/* What the features belong to, in order. At most one member is set. */
typedef struct side_inputs {
    const tw_pictures *pictures;
    const tw_strings *texts;
    const tw_bytes *built_in; /* encoded pictures */
    const cli_array *pixels, *ids;
    const tw_strings *files; /* of a folder, compared with another's */
    size_t n;                /* rows of arrays have neither name nor member */
    const cli_text *text_options;
    tw_image_options limits;
} side_inputs;

typedef struct verify_side {
    const char *path, *arch; /* as given; `arch` of a checkpoint may be NULL */
    int precision; /* of its computation, word number + 1; 0: as the other options say */
    side_kind kind;
    /* SIDE_MODEL */
    bool is_checkpoint;
    cli_session session;
    tw_output temporary; /* holds the name of the converted model, so that any end removes it */
    /* SIDE_FOLDER: its .npy files, their stems, and which of them is input i's */
    tw_strings files, stems;
    size_t *order;    /* [inputs.n], the file; TW_NO_PARTNER where there is none */
    size_t *input_of; /* [files.n], the input; likewise */
    size_t dim;       /* of a row: 0 as long as it is not known */
    /* SIDE_ARRAY */
    cli_array array;
} verify_side;

/* Looks at what `path` is and opens it, but for a model. Returns CLI_CONTINUE or a status. */
int side_open(verify_side *side);

/* Opens the model, converting a checkpoint first, on the pool of `other` if that has one. */
int side_open_model(verify_side *side, const verify_side *other, const cli_compute *compute,
                    cli_towers towers);
void side_close(verify_side *side);

/* Values in a row of features. Of a folder it is that of the first file that can be read. */
tw_status side_dim(verify_side *side, size_t *dim, tw_error *err);

/* All rows of the inputs in order, not normalised; what cannot be read goes into `skips`. */
tw_status side_rows(verify_side *side, const side_inputs *inputs, cli_skips *skips,
                    cli_rows_fn rows, void *user, tw_error *err);

/* A model's feature [E] of one input. */
tw_status side_row(verify_side *side, const side_inputs *inputs, size_t index, float *feature,
                   tw_error *err);

/* What input `index` is called, in `buf` if it has no name of its own. */
const char *side_input_name(const side_inputs *inputs, size_t index, char *buf, size_t n_bytes);

#endif
