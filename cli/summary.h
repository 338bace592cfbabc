/* What a conversion made: opened again, which also checks it. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "base/buffer.h"

/* Puts the model file at `path` into `b`: fields for people, or the members of a JSON object.
 * `sha256` of the checkpoint may be "". Returns CLI_CONTINUE or a status, the error printed. */
int cli_put_model(tw_buffer *b, const char *path, const char *sha256, bool json);

#endif
