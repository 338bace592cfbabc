/* A picture in memory, and rows of one seen through an orientation. */
#ifndef IMAGE_PICTURE_H
#define IMAGE_PICTURE_H

#include "image/source.h"

typedef struct tw_picture {
    tw_mode mode;
    uint32_t width, height;
    size_t stride;
    uint8_t *data; /* zero where nothing was written */
} tw_picture;

tw_status tw_picture_create(tw_mode mode, uint32_t width, uint32_t height, tw_picture *out,
                            tw_error *err);
void tw_picture_free(tw_picture *picture);

/* Copies rows [first, first + n_rows) out, as a decoder that decodes at once serves its readers. */
void tw_picture_rows(const tw_picture *picture, uint32_t first, uint8_t *rows, size_t stride,
                     uint32_t n_rows);

/* Rows of pixels that the caller owns, which must outlive the source: n_channels 1 (grey), 3
 * (RGB), 4 (RGBA). */
tw_status tw_source_of_pixels(const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride,
                              int n_channels, tw_source *out, tw_error *err);

/* Replaces `source` by what it looks like after the EXIF orientation (1..8) is applied, as
 * Pillow's ImageOps.exif_transpose. Reads all of it into memory unless orientation is 1. The old
 * source is closed with the new one; on failure it is left open. */
tw_status tw_source_orient(tw_source *source, int orientation, tw_error *err);

#endif
