/* The table of picture formats, limits, and the header query. */
#include <stdio.h> /* jpeglib.h needs it and does not include it */

#include <jpeglib.h>
#include <png.h>
#include <string.h>
#include <webp/decode.h>

#include "base/size.h"
#include "image/libraries.h"
#include "image/source.h"

static const tw_image_format *const formats[] = {&tw_format_jpeg, &tw_format_png,  &tw_format_webp,
                                                 &tw_format_bmp,  &tw_format_pnm,  &tw_format_gif,
                                                 &tw_format_tiff, &tw_format_heif, &tw_format_avif};

/* What Pillow refuses as a decompression bomb: more than twice Image.MAX_IMAGE_PIXELS. */
static const uint64_t default_max_pixels = 178956970;
static const uint64_t default_max_bytes = (uint64_t)256 << 20;

tw_status tw_image_check_size(uint64_t width, uint64_t height, const tw_image_limits *limits,
                              tw_error *err) {
    if (width == 0 || height == 0)
        return tw_fail(err, TW_ERR_FORMAT, "picture of %llu x %llu pixels",
                       (unsigned long long)width, (unsigned long long)height);
    if (width > TW_IMAGE_MAX_SIDE || height > TW_IMAGE_MAX_SIDE)
        return tw_fail(err, TW_ERR_LIMIT, "picture of %llu x %llu pixels, longest side allowed %u",
                       (unsigned long long)width, (unsigned long long)height, TW_IMAGE_MAX_SIDE);
    if (width * height > limits->max_pixels)
        return tw_fail(err, TW_ERR_LIMIT,
                       "picture of %llu x %llu pixels, more than max_pixels = %llu",
                       (unsigned long long)width, (unsigned long long)height,
                       (unsigned long long)limits->max_pixels);
    return TW_OK;
}

tw_status tw_image_open(const void *bytes, size_t n_bytes, const tw_image_options *options,
                        tw_source *out, const tw_image_format **format, tw_error *err) {
    *out = (tw_source){0};
    tw_image_limits limits = {default_max_pixels, default_max_bytes};
    if (options) {
        if (options->struct_size < sizeof *options)
            return tw_fail(err, TW_ERR_ARGUMENT, "image options: struct_size %zu, expected %zu",
                           options->struct_size, sizeof *options);
        if (options->max_pixels) limits.max_pixels = options->max_pixels;
        if (options->max_bytes) limits.max_bytes = options->max_bytes;
    }
    if (n_bytes == 0 || !bytes) return tw_fail(err, TW_ERR_FORMAT, "picture: empty, 0 bytes");
    if (n_bytes > limits.max_bytes)
        return tw_fail(err, TW_ERR_LIMIT, "picture of %zu bytes, more than max_bytes = %llu",
                       n_bytes, (unsigned long long)limits.max_bytes);
    for (size_t i = 0; i < TW_COUNT(formats); i++)
        if (formats[i]->sniff(bytes, n_bytes)) {
            if (format) *format = formats[i];
            return formats[i]->open(bytes, n_bytes, &limits, out, err);
        }
    const uint8_t *b = bytes;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "picture of no known format: first bytes %02x %02x %02x %02x, expected JPEG, "
                   "PNG, WebP, BMP, PNM, GIF, TIFF, HEIC or AVIF",
                   b[0], n_bytes > 1 ? b[1] : 0, n_bytes > 2 ? b[2] : 0, n_bytes > 3 ? b[3] : 0);
}

tw_status tw_image_probe(const void *bytes, size_t n_bytes, const tw_image_options *options,
                         tw_image_info *info, tw_error *err) {
    *info = (tw_image_info){0};
    tw_source source;
    const tw_image_format *format;
    TW_TRY(tw_image_open(bytes, n_bytes, options, &source, &format, err));
    info->width = source.width;
    info->height = source.height;
    info->exif_orientation = format->orientation(bytes, n_bytes);
    snprintf(info->format, sizeof info->format, "%s", format->name);
    snprintf(info->mode, sizeof info->mode, "%s", tw_mode_name(source.mode));
    tw_source_close(&source);
    return TW_OK;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

void tw_image_versions(char *buf, size_t n_bytes) {
    if (n_bytes == 0) return;
#ifdef LIBJPEG_TURBO_VERSION
    const char *jpeg = "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION); /* of the header: no query */
#else
    const char *jpeg = "libjpeg " TEXT(JPEG_LIB_VERSION);
#endif
    int webp = WebPGetDecoderVersion();
    snprintf(buf, n_bytes, "%s, libpng %s, libwebp %d.%d.%d", jpeg, png_get_libpng_ver(NULL),
             webp >> 16, webp >> 8 & 255, webp & 255);
}

bool tw_image_library(const char *format, char *buf, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    char text[256] = "";
    tw_status status =
        strcmp(format, "heif") == 0 ? tw_libheif_describe(text, sizeof text, &err)
        : strcmp(format, "avif") == 0
            ? tw_libavif_describe(text, sizeof text, &err)
            : tw_fail(&err, TW_ERR_ARGUMENT, "format '%s', expected heif or avif", format);
    if (n_bytes) snprintf(buf, n_bytes, "%s", status == TW_OK ? text : err.message);
    return status == TW_OK;
}
