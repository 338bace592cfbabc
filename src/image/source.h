/* Where rows of pixels come from: a decoder, or a picture in memory seen through an orientation.
 * Rows are pulled from top to bottom, so that a picture is resized while it is being decoded and
 * is never in memory as a whole unless its format or orientation demands it. */
#ifndef IMAGE_SOURCE_H
#define IMAGE_SOURCE_H

#include "base/status.h"
#include "image/mode.h"
#include "tuwen/image.h"

typedef struct tw_source {
    tw_mode mode;
    uint32_t width, height;
    const tw_palette *palette; /* of mode P, else NULL; lives as long as the source */
    /* Writes the next n_rows rows, `stride` bytes apart. Never asked for more than `height` in
     * all. Reading the last row also checks what follows it, as far as Pillow does. */
    tw_status (*read)(struct tw_source *s, uint8_t *rows, size_t stride, uint32_t n_rows,
                      tw_error *err);
    void (*close)(struct tw_source *s);
    /* Before the first read: halves width and height up to three times, while the shorter side
     * stays at least `least`. NULL: not with this format. */
    tw_status (*shrink)(struct tw_source *s, uint32_t least, tw_error *err);
    void *state;
} tw_source;

static inline void tw_source_close(tw_source *s) {
    if (s->close) s->close(s);
    *s = (tw_source){0};
}

/* What may be decoded; resolved from tw_image_options. */
typedef struct tw_image_limits {
    uint64_t max_pixels, max_bytes;
} tw_image_limits;

/* Longest side of any picture, the one libpng has by default: it bounds the table of filter
 * weights, which grows with the side and not with the number of pixels. */
#define TW_IMAGE_MAX_SIDE 1000000u

/* Checks a header's width and height before anything is allocated for pixels. */
tw_status tw_image_check_size(uint64_t width, uint64_t height, const tw_image_limits *limits,
                              tw_error *err);

/* A picture format: one row of the table in probe.c. */
typedef struct tw_image_format {
    const char *name;
    bool (*sniff)(const uint8_t *bytes, size_t n_bytes);
    /* Reads the header; pixels are allocated by the first read(). `bytes` must outlive the
     * source. */
    tw_status (*open)(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                      tw_source *out, tw_error *err);
    /* EXIF orientation, 1 when there is none. */
    int (*orientation)(const uint8_t *bytes, size_t n_bytes);
} tw_image_format;

extern const tw_image_format tw_format_jpeg, tw_format_png, tw_format_webp, tw_format_bmp,
    tw_format_pnm, tw_format_gif, tw_format_tiff, tw_format_heif, tw_format_avif;

/* Checks options and encoded size, finds the format by its first bytes and opens it. */
tw_status tw_image_open(const void *bytes, size_t n_bytes, const tw_image_options *options,
                        tw_source *out, const tw_image_format **format, tw_error *err);

#endif
