/* Compressed strips and tiles of TIFF. */
#ifndef IMAGE_TIFF_UNPACK_H
#define IMAGE_TIFF_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/tiff_jpeg.h"

enum {
    TW_TIFF_STORED = 1,
    TW_TIFF_LZW = 5,
    TW_TIFF_JPEG = 7,
    TW_TIFF_DEFLATE = 8,
    TW_TIFF_PACKBITS = 32773,
    TW_TIFF_DEFLATE_OLD = 32946, /* the same under the number it had first */
};

/* What undoing a compression needs, for one picture. */
typedef struct tw_tiff_unpacker tw_tiff_unpacker;

/* `jpeg` is for that compression. NULL when there is no memory. */
tw_tiff_unpacker *tw_tiff_unpacker_create(uint32_t compression, const tw_tiff_jpeg *jpeg);
void tw_tiff_unpacker_free(tw_tiff_unpacker *u);

/* Writes exactly n_dst bytes, whatever follows in the file; false when it is damaged or ends. */
bool tw_tiff_unpack(tw_tiff_unpacker *u, const uint8_t *src, size_t n_src, uint8_t *dst,
                    size_t n_dst);

#endif
