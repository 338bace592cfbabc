/* Strips and tiles of TIFF that are JPEG streams of their own, with tables they share. */
#ifndef IMAGE_TIFF_JPEG_H
#define IMAGE_TIFF_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tw_tiff_jpeg {
    const uint8_t *tables; /* a stream without a picture; may be NULL */
    size_t n_tables;
    uint32_t width; /* of a piece */
    int n_samples;
    bool ycbcr; /* to be converted to RGB; else samples are what they are */
} tw_tiff_jpeg;

/* Writes the first n_dst / (width * n_samples) rows; false when the stream is damaged, or is of
 * another size or number of components. A stream that ends early is filled up, as in libtiff. */
bool tw_tiff_unpack_jpeg(const tw_tiff_jpeg *how, const uint8_t *src, size_t n_src, uint8_t *dst,
                         size_t n_dst);

#endif
