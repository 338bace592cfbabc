/* HEIC and HEIF by libheif, opened at run time: the primary picture, turned and cropped as the file
 * says (libheif does it, and so does pillow-heif, which then calls the orientation 1). RGB, or RGBA
 * where there is alpha, 8 bits; grey without alpha is grey, of more than 8 bits in 16.
 *
 * Source: libheif's public interface, libheif/heif.h (1.12 to 1.23); pillow-heif's _pillow_heif.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynamic.h"
#include "base/size.h"
#include "image/isobmff.h"
#include "image/libraries.h"
#include "image/picture.h"

/* ------------------------------------------------------------------- what is used of libheif */

typedef struct heif_error {
    int code, subcode;
    const char *message;
} heif_error;

/* Options 1 and 2; libheif allocates them and appends only. */
typedef struct heif_options {
    uint8_t version, ignore_transformations;
    void *progress[4]; /* three functions and what they are given */
    uint8_t convert_hdr_to_8bit;
} heif_options;

/* Version 1 of 1.19's limits, as far as it is set here. */
typedef struct heif_limits {
    uint8_t version;
    uint64_t max_image_size_pixels;
} heif_limits;

typedef struct heif_context heif_context;
typedef struct heif_handle heif_handle;
typedef struct heif_image heif_image;
typedef struct heif_decoder heif_decoder;

enum { COLORSPACE_RGB = 1, COLORSPACE_MONOCHROME = 2, COLORSPACE_ANY = 99 };
enum { CHROMA_MONOCHROME = 0, CHROMA_RGB = 10, CHROMA_RGBA = 11, CHROMA_ANY = 99 };
enum { CHANNEL_Y = 0, CHANNEL_INTERLEAVED = 10 };
enum { COMPRESSION_HEVC = 1, OUT_OF_MEMORY = 6, UNSUPPORTED_FILETYPE = 3, UNSUPPORTED_FEATURE = 4 };

/* X(what it returns, name, arguments); the last ones are not in every version. */
#define REQUIRED(X)                                                                                \
    X(const char *, heif_get_version, (void))                                                      \
    X(uint32_t, heif_get_version_number, (void))                                                   \
    X(int, heif_have_decoder_for_format, (int))                                                    \
    X(heif_context *, heif_context_alloc, (void))                                                  \
    X(void, heif_context_free, (heif_context *))                                                   \
    X(heif_error, heif_context_read_from_memory_without_copy,                                      \
      (heif_context *, const void *, size_t, const void *))                                        \
    X(heif_error, heif_context_get_primary_image_handle, (heif_context *, heif_handle **))         \
    X(void, heif_image_handle_release, (const heif_handle *))                                      \
    X(int, heif_image_handle_get_width, (const heif_handle *))                                     \
    X(int, heif_image_handle_get_height, (const heif_handle *))                                    \
    X(int, heif_image_handle_get_ispe_width, (const heif_handle *))                                \
    X(int, heif_image_handle_get_ispe_height, (const heif_handle *))                               \
    X(int, heif_image_handle_has_alpha_channel, (const heif_handle *))                             \
    X(int, heif_image_handle_is_premultiplied_alpha, (const heif_handle *))                        \
    X(int, heif_image_handle_get_luma_bits_per_pixel, (const heif_handle *))                       \
    X(heif_options *, heif_decoding_options_alloc, (void))                                         \
    X(void, heif_decoding_options_free, (heif_options *))                                          \
    X(heif_error, heif_decode_image,                                                               \
      (const heif_handle *, heif_image **, int, int, const heif_options *))                        \
    X(int, heif_image_get_colorspace, (const heif_image *))                                        \
    X(int, heif_image_get_primary_width, (const heif_image *))                                     \
    X(int, heif_image_get_primary_height, (const heif_image *))                                    \
    X(const uint8_t *, heif_image_get_plane_readonly, (const heif_image *, int, int *))            \
    X(void, heif_image_release, (const heif_image *))
#define OPTIONAL(X)                                                                                \
    X(void, heif_context_set_max_decoding_threads, (heif_context *, int))                          \
    X(heif_limits *, heif_context_get_security_limits, (const heif_context *))                     \
    X(heif_error, heif_image_handle_get_preferred_decoding_colorspace,                             \
      (const heif_handle *, int *, int *))                                                         \
    X(int, heif_get_decoder_descriptors, (int, const heif_decoder **, int))                        \
    X(const char *, heif_decoder_descriptor_get_name, (const heif_decoder *))

#define MEMBER(returns, name, arguments) returns(*name) arguments;
#define NAME(returns, name, arguments) #name,
static struct heif_functions { REQUIRED(MEMBER) OPTIONAL(MEMBER) } lib;
static const char *const symbols[] = {REQUIRED(NAME) OPTIONAL(NAME)};
static const char *const required[] = {REQUIRED(NAME)};
static const char what[] = "HEIC needs libheif 1.x";

static tw_status check_version(tw_error *err) {
    uint32_t number = lib.heif_get_version_number();
    if (number >> 24 == 1 && (number >> 16 & 255) >= 12) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s, 1.12 or newer, got %s", what,
                   lib.heif_get_version());
}

static tw_dynamic libheif = {
    .variable = "TUWEN_LIBHEIF",
    .names = {"libheif.so.1"},
    .what = what,
    .package = "libheif1",
    .symbols = symbols,
    .n_functions = TW_COUNT(symbols),
    .n_required = TW_COUNT(required),
    .functions = &lib,
    .check = check_version,
};

/* Without its plug-in libheif reads the container and no picture. */
static tw_status open_library(tw_error *err) {
    TW_TRY(tw_dynamic_open(&libheif, err));
    if (lib.heif_have_decoder_for_format(COMPRESSION_HEVC)) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "HEIC needs libheif's HEVC decoder, and libheif %s has none (Debian's package "
                   "libheif-plugin-libde265)",
                   lib.heif_get_version());
}

tw_status tw_libheif_describe(char *buf, size_t n_bytes, tw_error *err) {
    TW_TRY(open_library(err));
    const heif_decoder *decoder = NULL;
    const char *name = NULL;
    if (lib.heif_get_decoder_descriptors && lib.heif_decoder_descriptor_get_name &&
        lib.heif_get_decoder_descriptors(COMPRESSION_HEVC, &decoder, 1) > 0)
        name = lib.heif_decoder_descriptor_get_name(decoder);
    snprintf(buf, n_bytes, "libheif %s (%s)", lib.heif_get_version(), name ? name : "HEVC");
    return TW_OK;
}

/* ---------------------------------------------------------------------------------- a picture */

typedef struct heif_state {
    heif_context *context;
    heif_handle *handle;
    int bits;
    tw_picture whole;
    uint32_t row;
} heif_state;

static tw_status fail_from(heif_error e, const char *where, tw_error *err) {
    tw_status status = e.code == OUT_OF_MEMORY          ? TW_ERR_NO_MEMORY
                       : e.code == UNSUPPORTED_FILETYPE ? TW_ERR_UNSUPPORTED
                       : e.code == UNSUPPORTED_FEATURE  ? TW_ERR_UNSUPPORTED
                                                        : TW_ERR_FORMAT;
    return tw_fail(err, status, "heif: %s: %s (%d.%d)", where, e.message ? e.message : "failed",
                   e.code, e.subcode);
}

static tw_status decode_as(const heif_state *s, int colorspace, int chroma, heif_image **out,
                           tw_error *err) {
    heif_options *options = lib.heif_decoding_options_alloc();
    if (!options) return tw_fail_no_memory(err, sizeof *options);
    options->convert_hdr_to_8bit = colorspace == COLORSPACE_RGB;
    *out = NULL;
    heif_error e = lib.heif_decode_image(s->handle, out, colorspace, chroma, options);
    lib.heif_decoding_options_free(options);
    return e.code ? fail_from(e, "pixels", err) : TW_OK;
}

/* Grey of 8 bits looks the same in RGB. Before 1.17 libheif does not say what is grey; that is
 * worth a decoding only where it matters, above 8 bits. */
static tw_status is_grey(const heif_state *s, bool *grey, tw_error *err) {
    int colorspace = COLORSPACE_ANY, chroma = CHROMA_ANY;
    *grey = false;
    if (lib.heif_image_handle_get_preferred_decoding_colorspace) {
        heif_error e = lib.heif_image_handle_get_preferred_decoding_colorspace(
            s->handle, &colorspace, &chroma);
        if (e.code) return fail_from(e, "header", err);
    } else if (s->bits > 8) {
        heif_image *image;
        TW_TRY(decode_as(s, COLORSPACE_ANY, CHROMA_ANY, &image, err));
        colorspace = lib.heif_image_get_colorspace(image);
        lib.heif_image_release(image);
    }
    *grey = colorspace == COLORSPACE_MONOCHROME;
    return TW_OK;
}

static tw_status choose_mode(const heif_state *s, tw_mode *mode, tw_error *err) {
    if (s->bits < 1 || s->bits > 16)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "heif: %d bits, expected 1 to 16", s->bits);
    if (lib.heif_image_handle_has_alpha_channel(s->handle)) {
        if (lib.heif_image_handle_is_premultiplied_alpha(s->handle))
            return tw_fail(err, TW_ERR_UNSUPPORTED, "heif: colours multiplied by alpha");
        *mode = TW_MODE_RGBA;
        return TW_OK;
    }
    bool grey;
    TW_TRY(is_grey(s, &grey, err));
    *mode = !grey ? TW_MODE_RGB : s->bits > 8 ? TW_MODE_I16 : TW_MODE_L;
    return TW_OK;
}

static tw_status check_side(int width, int height, const tw_image_limits *limits, tw_error *err) {
    return tw_image_check_size((uint64_t)TW_MAX(width, 0), (uint64_t)TW_MAX(height, 0), limits,
                               err);
}

static tw_status read_header(heif_state *s, const uint8_t *bytes, size_t n_bytes,
                             const tw_image_limits *limits, tw_source *out, tw_error *err) {
    s->context = lib.heif_context_alloc();
    if (!s->context) return tw_fail_no_memory(err, 1);
    /* Pictures are decoded side by side already. */
    if (lib.heif_context_set_max_decoding_threads)
        lib.heif_context_set_max_decoding_threads(s->context, 0);
    if (lib.heif_context_get_security_limits) {
        heif_limits *l = lib.heif_context_get_security_limits(s->context);
        if (l) l->max_image_size_pixels = limits->max_pixels;
    }
    heif_error e = lib.heif_context_read_from_memory_without_copy(s->context, bytes, n_bytes, NULL);
    if (e.code) return fail_from(e, "container", err);
    e = lib.heif_context_get_primary_image_handle(s->context, &s->handle);
    if (e.code) return fail_from(e, "primary picture", err);
    /* As it is coded, and as it is seen once turned and cropped. */
    TW_TRY(check_side(lib.heif_image_handle_get_ispe_width(s->handle),
                      lib.heif_image_handle_get_ispe_height(s->handle), limits, err));
    int width = lib.heif_image_handle_get_width(s->handle);
    int height = lib.heif_image_handle_get_height(s->handle);
    TW_TRY(check_side(width, height, limits, err));
    s->bits = lib.heif_image_handle_get_luma_bits_per_pixel(s->handle);
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    return choose_mode(s, &out->mode, err);
}

static void copy_row(const heif_state *s, const uint8_t *from, uint8_t *to, uint32_t width) {
    uint16_t v;
    switch (s->whole.mode) {
    case TW_MODE_RGB:
        for (uint32_t x = 0; x < width; x++, from += 3, to += 4) {
            memcpy(to, from, 3);
            to[3] = 255;
        }
        break;
    case TW_MODE_I16: /* the highest bit of the file in the highest of 16 */
        for (uint32_t x = 0; x < width; x++) {
            memcpy(&v, from + 2 * x, sizeof v);
            v = (uint16_t)(v << (16 - s->bits));
            memcpy(to + 2 * x, &v, sizeof v);
        }
        break;
    default:
        memcpy(to, from, width * tw_mode_bytes(s->whole.mode));
    }
}

static tw_status decode(heif_state *s, const tw_source *source, tw_error *err) {
    bool grey = source->mode == TW_MODE_L || source->mode == TW_MODE_I16;
    heif_image *image;
    int chroma = grey ? CHROMA_MONOCHROME : source->mode == TW_MODE_RGBA ? CHROMA_RGBA : CHROMA_RGB;
    TW_TRY(decode_as(s, grey ? COLORSPACE_MONOCHROME : COLORSPACE_RGB, chroma, &image, err));
    tw_status status = TW_OK;
    int stride = 0, width = lib.heif_image_get_primary_width(image);
    int height = lib.heif_image_get_primary_height(image);
    int channel = grey ? CHANNEL_Y : CHANNEL_INTERLEAVED;
    const uint8_t *rows = lib.heif_image_get_plane_readonly(image, channel, &stride);
    size_t needed = source->width * (source->mode == TW_MODE_RGB ? 3 : tw_mode_bytes(source->mode));
    if (!rows || width < 0 || height < 0 || (uint32_t)width != source->width ||
        (uint32_t)height != source->height || stride < 0 || (size_t)stride < needed)
        TW_CHECK(tw_fail(err, TW_ERR_FORMAT, "heif: pixels of %d x %d, expected %u x %u", width,
                         height, source->width, source->height));
    TW_CHECK(tw_picture_create(source->mode, source->width, source->height, &s->whole, err));
    for (uint32_t y = 0; y < source->height; y++)
        copy_row(s, rows + (size_t)y * (size_t)stride, s->whole.data + y * s->whole.stride,
                 source->width);
done:
    lib.heif_image_release(image);
    return status;
}

static tw_status heif_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                           tw_error *err) {
    heif_state *s = source->state;
    if (!s->whole.data) TW_TRY(decode(s, source, err));
    tw_picture_rows(&s->whole, s->row, rows, stride, n_rows);
    s->row += n_rows;
    return TW_OK;
}

static void heif_close(tw_source *source) {
    heif_state *s = source->state;
    if (s->handle) lib.heif_image_handle_release(s->handle);
    if (s->context) lib.heif_context_free(s->context);
    tw_picture_free(&s->whole);
    free(s);
}

static bool heif_sniff(const uint8_t *bytes, size_t n_bytes) {
    return tw_isobmff_kind(bytes, n_bytes) == TW_ISOBMFF_HEIF;
}

static tw_status heif_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                           tw_source *out, tw_error *err) {
    TW_TRY(open_library(err));
    heif_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = heif_read, .close = heif_close, .state = s};
    tw_status status = read_header(s, bytes, n_bytes, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

/* Applied already. */
static int heif_orientation(const uint8_t *bytes, size_t n_bytes) {
    return 1;
}

const tw_image_format tw_format_heif = {"heif", heif_sniff, heif_open, heif_orientation};
