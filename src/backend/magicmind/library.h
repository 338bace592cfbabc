/* libtuwen_magicmind.so, opened at run time. */
#ifndef BACKEND_MAGICMIND_LIBRARY_H
#define BACKEND_MAGICMIND_LIBRARY_H

#include "backend/magicmind/shim.h"
#include "base/status.h"

/* Opens it: `library` (a file or its folder), else $TUWEN_MAGICMIND, else the loader's. Any thread;
 * the first that could be opened stays. Errors: TW_ERR_UNSUPPORTED (there is none, a library it
 * needs is missing, it was made for another tuwen). */
tw_status tw_mm_open(const char *library, const tw_mm_shim **out, tw_error *err);
const char *tw_mm_library(void); /* name of its file, once opened */

#endif
