/* What is known of the libraries of pictures that are opened at run time. */
#ifndef IMAGE_LIBRARIES_H
#define IMAGE_LIBRARIES_H

#include <stddef.h>

#include "base/status.h"

/* Name, version and decoder, opening the library if nothing did yet. */
tw_status tw_libheif_describe(char *buf, size_t n_bytes, tw_error *err);
tw_status tw_libavif_describe(char *buf, size_t n_bytes, tw_error *err);

#endif
