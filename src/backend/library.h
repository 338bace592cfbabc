/* Libraries of other runtimes, opened at run time. */
#ifndef BACKEND_LIBRARY_H
#define BACKEND_LIBRARY_H

#include "base/status.h"

#include <stddef.h>

typedef struct tw_library_place {
    const char *backend;      /* "onnxruntime", for messages */
    const char *variable;     /* of the environment: a file or folder */
    const char *const *names; /* tried with the loader, ended by NULL */
    const char *prefix;       /* of the file in a folder: "libonnxruntime.so" */
    const char *source;       /* where to get it */
} tw_library_place;

/* Opens `library` (a file, or a folder with one), else what the variable says, else the names.
 * Links are resolved first: runtimes look for their parts beside the path that was opened. `path`
 * (of `n` bytes) gets what was opened. Errors: TW_ERR_UNSUPPORTED. */
tw_status tw_library_open(const tw_library_place *place, const char *library, void **handle,
                          char *path, size_t n, tw_error *err);

#endif
