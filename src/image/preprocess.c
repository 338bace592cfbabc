/* Encoded picture (or pixels) -> tensor. */
#include <stdlib.h>
#include <string.h>

#include "image/resize.h"

/* Of recipe->fast_decode: what is left of a side, at least, over the size wanted. */
enum { FAST_DECODE_SIDES = 2 };

/* A value of a channel depends on its byte alone, so there are 256 of them: x = u8 / 255, then
 * (x - mean) / std, each operation rounded to f32 as ToTensor and Normalize do. */
static void make_table(const tw_recipe *recipe, float table[3][256]) {
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = ((float)v / 255.0f - recipe->mean[c]) / recipe->std[c];
}

static void write_u8(const tw_picture *canvas, const tw_palette *palette, uint8_t *out) {
    tw_convert_row to_rgb = tw_convert_to_rgb24(canvas->mode);
    for (size_t y = 0; y < canvas->height; y++)
        to_rgb(canvas->data + y * canvas->stride, out + 3 * y * canvas->width, canvas->width,
               palette);
}

static void write_f32(const tw_recipe *recipe, const tw_picture *canvas, const tw_palette *palette,
                      float *out) {
    float table[3][256];
    uint8_t rgb[3 * TW_RECIPE_MAX_SIZE];
    make_table(recipe, table);
    tw_convert_row to_rgb = tw_convert_to_rgb24(canvas->mode);
    size_t plane = (size_t)canvas->width * canvas->height;
    for (size_t y = 0; y < canvas->height; y++, out += canvas->width) {
        to_rgb(canvas->data + y * canvas->stride, rgb, canvas->width, palette);
        for (size_t x = 0; x < canvas->width; x++)
            for (size_t c = 0; c < 3; c++)
                out[c * plane + x] = table[c][rgb[3 * x + c]];
    }
}

/* Exactly one of u8 and f32 is given. */
static tw_status preprocess_source(const tw_recipe *recipe, tw_source *source, uint8_t *u8,
                                   float *f32, tw_error *err) {
    tw_picture canvas;
    TW_TRY(tw_resize(recipe, tw_pass_best_isa(), source, &canvas, err));
    if (u8)
        write_u8(&canvas, source->palette, u8);
    else
        write_f32(recipe, &canvas, source->palette, f32);
    tw_picture_free(&canvas);
    return TW_OK;
}

static tw_status preprocess(const tw_recipe *recipe, const void *bytes, size_t n_bytes,
                            const tw_image_options *options, uint8_t *u8, float *f32,
                            tw_error *err) {
    TW_TRY(tw_recipe_check(recipe, err));
    tw_source source;
    const tw_image_format *format;
    TW_TRY(tw_image_open(bytes, n_bytes, options, &source, &format, err));
    tw_status status = TW_OK;
    if (recipe->fast_decode && source.shrink)
        TW_CHECK(source.shrink(&source, FAST_DECODE_SIDES * (uint32_t)recipe->size, err));
    if (options && options->exif_rotate)
        TW_CHECK(tw_source_orient(&source, format->orientation(bytes, n_bytes), err));
    TW_CHECK(preprocess_source(recipe, &source, u8, f32, err));
done:
    tw_source_close(&source);
    return status;
}

tw_status tw_preprocess_u8(const tw_recipe *recipe, const void *bytes, size_t n_bytes,
                           const tw_image_options *options, uint8_t *out, tw_error *err) {
    return preprocess(recipe, bytes, n_bytes, options, out, NULL, err);
}

tw_status tw_preprocess_f32(const tw_recipe *recipe, const void *bytes, size_t n_bytes,
                            const tw_image_options *options, float *out, tw_error *err) {
    return preprocess(recipe, bytes, n_bytes, options, NULL, out, err);
}

tw_status tw_preprocess_pixels(const tw_recipe *recipe, const uint8_t *pixels, uint32_t width,
                               uint32_t height, size_t stride, int n_channels, float *out,
                               tw_error *err) {
    TW_TRY(tw_recipe_check(recipe, err));
    if (n_channels != 1 && n_channels != 3 && n_channels != 4)
        return tw_fail(err, TW_ERR_ARGUMENT, "pixels: %d channels, expected 1, 3 or 4", n_channels);
    const tw_image_limits limits = {UINT64_MAX, 0}; /* the caller has the pixels already */
    if (width == 0 || height == 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "pixels: %u x %u", width, height);
    TW_TRY(tw_image_check_size(width, height, &limits, err));
    if (stride < (size_t)width * (size_t)n_channels)
        return tw_fail(err, TW_ERR_ARGUMENT, "pixels: rows %zu bytes apart, expected at least %zu",
                       stride, (size_t)width * (size_t)n_channels);
    tw_source source;
    TW_TRY(tw_source_of_pixels(pixels, width, height, stride, n_channels, &source, err));
    tw_status status = preprocess_source(recipe, &source, NULL, out, err);
    tw_source_close(&source);
    return status;
}
