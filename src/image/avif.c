/* AVIF by libavif, opened at run time, as Pillow's own plug-in does: the first picture, RGB or
 * RGBA, 8 bits, neither turned nor cropped; how it wants to be turned is its orientation.
 *
 * Source: libavif's public interface, avif/avif.h (0.11 and 1.x); Pillow src/_avif.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynamic.h"
#include "base/size.h"
#include "image/isobmff.h"
#include "image/libraries.h"
#include "image/picture.h"

/* ------------------------------------------------------------------- what is used of libavif */

/* libavif 1.0 put a member before some of those used here; until 1.0 ends, it appends only. */
typedef struct avif_data {
    uint8_t *data;
    size_t size;
} avif_data;

typedef struct avif_transforms {
    uint32_t flags;
    uint32_t pasp[2], clap[8];
    uint8_t angle, axis;
} avif_transforms;

typedef struct avif_image {
    uint32_t width, height, depth;
    int yuv_format, yuv_range, chroma_position;
    uint8_t *yuv_planes[3];
    uint32_t yuv_row_bytes[3];
    int owns_yuv;
    uint8_t *alpha_plane;
    uint32_t alpha_row_bytes;
    int owns_alpha, alpha_premultiplied;
    avif_data icc;
    uint16_t primaries, transfer, matrix;
    union {
        avif_transforms before_1;
        struct {
            uint16_t clli[2];
            avif_transforms transforms;
        } since_1;
    } tail;
} avif_image;

typedef struct avif_decoder {
    int codec_choice, max_threads, source, allow_progressive, allow_incremental;
    int ignore_exif, ignore_xmp;
    uint32_t image_size_limit, image_dimension_limit, image_count_limit, strict_flags;
    avif_image *image;
    int image_index, image_count, progressive_state;
    struct {
        uint64_t timescale;
        double pts;
        uint64_t pts_in_timescales;
        double duration;
        uint64_t duration_in_timescales;
    } timing;
    uint64_t timescale;
    double duration;
    uint64_t duration_in_timescales;
    union {
        int alpha_present;
        struct {
            int repetition_count, alpha_present;
        } since_1;
    } tail;
} avif_decoder;

typedef struct avif_rgb {
    uint32_t width, height, depth;
    int format, upsampling, downsampling, avoid_libyuv, ignore_alpha, alpha_premultiplied, is_float;
    union {
        struct {
            uint8_t *pixels;
            uint32_t row_bytes;
        } before_1;
        struct {
            int max_threads;
            uint8_t *pixels;
            uint32_t row_bytes;
        } since_1;
        uint8_t room[128]; /* for members of versions to come, which libavif sets to defaults */
    } tail;
} avif_rgb;

enum { STRICT_PIXI_REQUIRED = 1, STRICT_CLAP_VALID = 2, FORMAT_RGB = 0, FORMAT_RGBA = 1 };
enum { TRANSFORM_IROT = 4, TRANSFORM_IMIR = 8, CAN_DECODE = 1, CODECS_BYTES = 256 };
enum { MAX_PIXELS = 16384 * 16384 }; /* libavif takes no higher limit */
enum { OUT_OF_MEMORY = 26, NO_CODEC_AVAILABLE = 15, NOT_IMPLEMENTED = 25 };

#define FUNCTIONS(X)                                                                               \
    X(const char *, avifVersion, (void))                                                           \
    X(void, avifCodecVersions, (char *))                                                           \
    X(const char *, avifCodecName, (int, uint32_t))                                                \
    X(const char *, avifResultToString, (int))                                                     \
    X(avif_decoder *, avifDecoderCreate, (void))                                                   \
    X(void, avifDecoderDestroy, (avif_decoder *))                                                  \
    X(int, avifDecoderSetIOMemory, (avif_decoder *, const uint8_t *, size_t))                      \
    X(int, avifDecoderParse, (avif_decoder *))                                                     \
    X(int, avifDecoderNthImage, (avif_decoder *, uint32_t))                                        \
    X(void, avifRGBImageSetDefaults, (avif_rgb *, const avif_image *))                             \
    X(int, avifImageYUVToRGB, (const avif_image *, avif_rgb *))

#define MEMBER(returns, name, arguments) returns(*name) arguments;
#define NAME(returns, name, arguments) #name,
static struct avif_functions { FUNCTIONS(MEMBER) } lib;
static const char *const symbols[] = {FUNCTIONS(NAME)};
static const char what[] = "AVIF needs libavif 0.11 or 1.x";
static bool since_1; /* set before anything else is used */

static tw_status check_version(tw_error *err) {
    const char *version = lib.avifVersion();
    since_1 = strncmp(version, "1.", 2) == 0;
    if (since_1 || strncmp(version, "0.11.", 5) == 0) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s, got %s", what, version);
}

static tw_dynamic libavif = {
    .variable = "TUWEN_LIBAVIF",
    .names = {"libavif.so.16", "libavif.so.15"},
    .what = what,
    .package = "libavif16 or libavif15",
    .symbols = symbols,
    .n_functions = TW_COUNT(symbols),
    .n_required = TW_COUNT(symbols),
    .functions = &lib,
    .check = check_version,
};

static tw_status open_library(tw_error *err) {
    TW_TRY(tw_dynamic_open(&libavif, err));
    if (lib.avifCodecName(0, CAN_DECODE)) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "AVIF needs an AV1 decoder, and libavif %s was built with none",
                   lib.avifVersion());
}

tw_status tw_libavif_describe(char *buf, size_t n_bytes, tw_error *err) {
    TW_TRY(open_library(err));
    char codecs[CODECS_BYTES] = "";
    lib.avifCodecVersions(codecs);
    codecs[strcspn(codecs, ",")] = '\0'; /* the first is the one that decodes */
    snprintf(buf, n_bytes, "libavif %s (%s)", lib.avifVersion(), codecs);
    return TW_OK;
}

/* ---------------------------------------------------------------------------------- a picture */

typedef struct avif_state {
    avif_decoder *decoder;
    tw_picture whole;
    uint32_t row;
} avif_state;

static tw_status fail_from(int result, const char *where, tw_error *err) {
    tw_status status = result == OUT_OF_MEMORY        ? TW_ERR_NO_MEMORY
                       : result == NO_CODEC_AVAILABLE ? TW_ERR_UNSUPPORTED
                       : result == NOT_IMPLEMENTED    ? TW_ERR_UNSUPPORTED
                                                      : TW_ERR_FORMAT;
    return tw_fail(err, status, "avif: %s: %s", where, lib.avifResultToString(result));
}

static tw_status new_decoder(const uint8_t *bytes, size_t n_bytes, avif_decoder **out,
                             tw_error *err) {
    avif_decoder *d = *out = lib.avifDecoderCreate();
    if (!d) return tw_fail_no_memory(err, sizeof *d);
    d->max_threads = 1; /* pictures are decoded side by side already */
    d->strict_flags &= ~(uint32_t)(STRICT_PIXI_REQUIRED | STRICT_CLAP_VALID);
    int result = lib.avifDecoderSetIOMemory(d, bytes, n_bytes);
    if (result == 0) result = lib.avifDecoderParse(d);
    return result ? fail_from(result, "header", err) : TW_OK;
}

static tw_status read_header(avif_state *s, const uint8_t *bytes, size_t n_bytes,
                             const tw_image_limits *limits, tw_source *out, tw_error *err) {
    TW_TRY(new_decoder(bytes, n_bytes, &s->decoder, err));
    avif_decoder *d = s->decoder;
    TW_TRY(tw_image_check_size(d->image->width, d->image->height, limits, err));
    /* What is coded may be larger than what the header says. */
    d->image_size_limit = (uint32_t)TW_MIN(limits->max_pixels, (uint64_t)MAX_PIXELS);
    out->width = d->image->width;
    out->height = d->image->height;
    bool alpha = since_1 ? d->tail.since_1.alpha_present : d->tail.alpha_present;
    out->mode = alpha ? TW_MODE_RGBA : TW_MODE_RGB;
    return TW_OK;
}

/* RGB comes without the fourth byte that it has here. */
static void spread(const tw_picture *p) {
    for (size_t y = 0; p->mode == TW_MODE_RGB && y < p->height; y++) {
        uint8_t *row = p->data + y * p->stride;
        for (size_t x = p->width; x-- > 0;) {
            memmove(row + 4 * x, row + 3 * x, 3);
            row[4 * x + 3] = 255;
        }
    }
}

static tw_status decode(avif_state *s, const tw_source *source, tw_error *err) {
    int result = lib.avifDecoderNthImage(s->decoder, 0);
    if (result) return fail_from(result, "pixels", err);
    const avif_image *image = s->decoder->image;
    if (image->width != source->width || image->height != source->height)
        return tw_fail(err, TW_ERR_FORMAT, "avif: pixels of %u x %u, expected %u x %u",
                       image->width, image->height, source->width, source->height);
    TW_TRY(tw_picture_create(source->mode, source->width, source->height, &s->whole, err));
    if (s->whole.stride > UINT32_MAX)
        return tw_fail(err, TW_ERR_LIMIT, "avif: rows of %zu bytes", s->whole.stride);
    avif_rgb rgb;
    memset(&rgb, 0, sizeof rgb);
    lib.avifRGBImageSetDefaults(&rgb, image);
    rgb.depth = 8;
    rgb.format = source->mode == TW_MODE_RGBA ? FORMAT_RGBA : FORMAT_RGB;
    if (since_1) {
        rgb.tail.since_1.pixels = s->whole.data;
        rgb.tail.since_1.row_bytes = (uint32_t)s->whole.stride;
    } else {
        rgb.tail.before_1.pixels = s->whole.data;
        rgb.tail.before_1.row_bytes = (uint32_t)s->whole.stride;
    }
    result = lib.avifImageYUVToRGB(image, &rgb);
    if (result) {
        tw_picture_free(&s->whole);
        return fail_from(result, "colours", err);
    }
    spread(&s->whole);
    return TW_OK;
}

static tw_status avif_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                           tw_error *err) {
    avif_state *s = source->state;
    if (!s->whole.data) TW_TRY(decode(s, source, err));
    tw_picture_rows(&s->whole, s->row, rows, stride, n_rows);
    s->row += n_rows;
    return TW_OK;
}

static void avif_close(tw_source *source) {
    avif_state *s = source->state;
    if (s->decoder) lib.avifDecoderDestroy(s->decoder);
    tw_picture_free(&s->whole);
    free(s);
}

static bool avif_sniff(const uint8_t *bytes, size_t n_bytes) {
    return tw_isobmff_kind(bytes, n_bytes) == TW_ISOBMFF_AVIF;
}

static tw_status avif_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                           tw_source *out, tw_error *err) {
    TW_TRY(open_library(err));
    avif_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = avif_read, .close = avif_close, .state = s};
    tw_status status = read_header(s, bytes, n_bytes, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

/* Turned anticlockwise by `angle` right angles, then mirrored: axis 0 swaps top and bottom, 1 left
 * and right. A row for each angle: not mirrored, axis 0, axis 1. Pillow lets it replace EXIF's. */
static int avif_orientation(const uint8_t *bytes, size_t n_bytes) {
    static const uint8_t orientations[4][3] = {{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}};
    avif_decoder *d = NULL;
    tw_error err = TW_ERROR_INIT;
    int orientation = 1;
    if (open_library(&err) == TW_OK && new_decoder(bytes, n_bytes, &d, &err) == TW_OK) {
        const avif_transforms *t =
            since_1 ? &d->image->tail.since_1.transforms : &d->image->tail.before_1;
        int angle = t->flags & TRANSFORM_IROT ? t->angle & 3 : 0;
        int mirror = t->flags & TRANSFORM_IMIR ? 1 + (t->axis & 1) : 0;
        orientation = orientations[angle][mirror];
    }
    if (d) lib.avifDecoderDestroy(d);
    return orientation;
}

const tw_image_format tw_format_avif = {"avif", avif_sniff, avif_open, avif_orientation};
