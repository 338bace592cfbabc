/* Files: mapped for reading, written under a temporary name and put in place by rename. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/status.h"

#include <stdio.h>

typedef struct tw_mapped_file {
    const uint8_t *data; /* NULL when the file is empty */
    size_t n_bytes;
} tw_mapped_file;

/* Maps a regular file read-only. A directory, FIFO or device is TW_ERR_IO with a plain message. */
tw_status tw_map_file(const char *path, tw_mapped_file *out, tw_error *err);
void tw_unmap_file(tw_mapped_file *file);

/* Tells the kernel that [p, p + n) of a mapping is not needed again soon (whole pages inside). */
void tw_drop_pages(const void *p, size_t n_bytes);

/* Reads a whole file (or "-" for standard input) of at most max_bytes into memory the caller
 * frees with free(). A NUL byte follows the data and is not counted. */
tw_status tw_read_file(const char *path, size_t max_bytes, uint8_t **data, size_t *n_bytes,
                       tw_error *err);

/* An output that appears under `path` only when it is complete. "-" is standard output; a path
 * that exists and is not a regular file (/dev/stdout, a pipe) is written directly. */
typedef struct tw_output {
    FILE *stream;
    char *path;
    char *temporary; /* NULL when written directly */
} tw_output;

tw_status tw_output_open(const char *path, tw_output *out, tw_error *err);
tw_status tw_output_write(tw_output *out, const void *data, size_t n_bytes, tw_error *err);
/* Flushes, syncs, renames. On failure the temporary file is removed. */
tw_status tw_output_commit(tw_output *out, tw_error *err);
/* Removes the temporary file; harmless after a commit or on a zeroed struct. */
void tw_output_abort(tw_output *out);
/* Removes the temporary files of all outputs still open; async-signal-safe, for a command that
 * ends at a signal. */
void tw_output_abort_all(void);

#endif
