/* Libraries that are opened at run time when something first asks for them, and never linked. */
#ifndef BASE_DYNAMIC_H
#define BASE_DYNAMIC_H

#include <stddef.h>

#include "base/status.h"

enum { TW_DYNAMIC_NAMES = 2 };

/* What is wanted of a library; static. `functions` points to n_functions function pointers, which
 * are set in the order of `symbols`; those after the first n_required may stay NULL. */
typedef struct tw_dynamic {
    const char *variable;                /* of the environment: a file to open instead of names */
    const char *names[TW_DYNAMIC_NAMES]; /* tried in turn */
    const char *what;                    /* "HEIC needs libheif 1.x" */
    const char *package;                 /* "libheif1" */
    const char *const *symbols;
    size_t n_functions, n_required;
    void *functions;
    /* Checks the library's version once its functions are set; may be NULL. */
    tw_status (*check)(tw_error *err);
    struct { /* zero at first */
        bool tried;
        tw_error error;
    } state;
} tw_dynamic;

/* Opens the library the first time; says the same ever after. Any thread. What was opened stays
 * open. Errors: TW_ERR_UNSUPPORTED, with the library's name and the package that has it. */
tw_status tw_dynamic_open(tw_dynamic *d, tw_error *err);

#endif
