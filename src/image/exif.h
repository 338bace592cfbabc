/* The one tag of EXIF that changes pixels. */
#ifndef IMAGE_EXIF_H
#define IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Orientation (1..8) of a TIFF structure as found in JPEG's APP1 (after "Exif\0\0") and PNG's
 * eXIf; 1 when it is absent, damaged or out of range. */
int tw_exif_orientation(const uint8_t *tiff, size_t n_bytes);

#endif
