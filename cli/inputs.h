/* Pictures and texts on their way through the encoder, in bounded memory, and the list of those
 * that had to be left out. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "base/file.h"
#include "dataset/pictures.h"
#include "session.h"

/* ----------------------------------------------------------------------------------- skips */

/* Inputs that could not be used: named on standard error and in a file of JSON lines. */
typedef struct cli_skips {
    tw_output file;
    bool has_file;
    size_t n, n_inputs;
    /* Set after opening, where wanted: */
    const char *what; /* "pictures" */
    bool *marks;      /* [n_inputs]: set for those left out; a second reason is not told */
    bool keep_nan;    /* a row that is no vector is a result, not a reason to leave it out */
} cli_skips;

/* `errors_path` NULL: no file. Returns CLI_CONTINUE or a status. */
int cli_skips_open(cli_skips *skips, const char *errors_path, size_t n_inputs);
tw_status cli_skips_add(cli_skips *skips, size_t index, const char *name, const tw_error *why,
                        tw_error *err);

/* Whether there were inputs and none of them could be used: then nothing is written. */
bool cli_all_skipped(const cli_skips *skips);

/* Puts the file in place. Given the status so far, returns the one to exit with: 3 when some
 * inputs were left out, 1 when all were. Accepts a zeroed struct. */
int cli_skips_close(cli_skips *skips, int status);

/* -------------------------------------------------------------------------------- encoding */

/* Takes rows [first, first + n) of features. */
typedef tw_status (*cli_rows_fn)(void *user, size_t first, const float *features, size_t n,
                                 tw_error *err);

/* Whether all its numbers are finite. */
bool cli_is_vector(const float *row, size_t n);

/* Encodes all pictures in order; rows of those that cannot be read are NaN and are in `skips`. */
tw_status cli_encode_pictures(cli_session *s, const tw_pictures *pictures,
                              const tw_image_options *limits, bool normalize, cli_skips *skips,
                              cli_rows_fn rows, void *user, tw_error *err);

/* Encodes all texts in order. */
tw_status cli_encode_texts(cli_session *s, const tw_strings *texts, const cli_text *options,
                           bool normalize, cli_rows_fn rows, void *user, tw_error *err);

/* The same into one array [n, E] that the caller frees with free(), rows normalised. */
tw_status cli_text_features(cli_session *s, const tw_strings *texts, const cli_text *options,
                            float **out, tw_error *err);

/* ------------------------------------------------------------------------------- gathering */

/* The pictures of `lists` (--images) and operands, in that order. Returns CLI_CONTINUE or a status;
 * a usage error when there are neither. */
int cli_gather_pictures(const char *list, const cli_texts *operands, tw_pictures **out);

/* The lines of `file` and the single texts, in that order. */
int cli_gather_texts(const char *file, const cli_texts *single, tw_strings *out);

#endif
