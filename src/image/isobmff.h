/* The `ftyp` box, by which HEIC and AVIF are told apart. */
#ifndef IMAGE_ISOBMFF_H
#define IMAGE_ISOBMFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is in the container: by its major brand, and by the compatible ones where that says only
 * that there are pictures. */
typedef enum tw_isobmff { TW_ISOBMFF_OTHER, TW_ISOBMFF_HEIF, TW_ISOBMFF_AVIF } tw_isobmff;

tw_isobmff tw_isobmff_kind(const uint8_t *bytes, size_t n_bytes);

#endif
