/* Where features go: .npy (f32 [n, dim]) or .jsonl, chosen by the name's ending. The file appears
 * by rename when it is complete. */
#ifndef DATASET_SINK_H
#define DATASET_SINK_H

#include "base/status.h"

#include <stdbool.h>

typedef struct tw_sink tw_sink;

/* Whether `path` has an ending that tw_sink_open takes. */
bool tw_sink_takes(const char *path);

/* Opens an output for exactly n_rows rows. `path` ends in .npy or .jsonl; "-" is .jsonl on standard
 * output. `key` names what a row belongs to in .jsonl: {"KEY": …, "feature": […]}.
 * Errors: TW_ERR_ARGUMENT (another ending), TW_ERR_IO. */
tw_status tw_sink_open(const char *path, size_t n_rows, size_t dim, const char *key, tw_sink **out,
                       tw_error *err);

/* Writes n rows. names [n], or NULL: then rows are numbered. A NaN is written as such to .npy, as
 * null to .jsonl. */
tw_status tw_sink_write(tw_sink *sink, const float *rows, size_t n, const char *const *names,
                        tw_error *err);

/* Puts the file in place and frees the sink, whatever the result. */
tw_status tw_sink_commit(tw_sink *sink, tw_error *err);

/* Leaves nothing behind; accepts NULL. */
void tw_sink_abort(tw_sink *sink);

#endif
