/* Shared by the fuzz targets of picture formats. Input: one byte that chooses the recipe, then the
 * file, whose signature is put right so that every input reaches the decoder. */
#ifndef FUZZ_PICTURE_H
#define FUZZ_PICTURE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tuwen/image.h"

static tw_recipe recipe_of(uint8_t choice) {
    static const int32_t sizes[] = {1, 8, 33};
    tw_recipe r = TW_RECIPE_INIT;
    r.size = sizes[choice % 3];
    r.resize_mode = (tw_resize_mode)(choice / 3 % 3);
    r.resampler = (tw_resampler)(choice / 9 % 4);
    r.rgb_order = (tw_rgb_order)(choice / 36 % 2);
    r.interpolation = (tw_interpolation)(choice / 72 % 2);
    r.crop_rounding = (tw_crop_rounding)(choice % 2);
    return r;
}

static int run_picture(const char *signature, size_t n_signature, const uint8_t *data, size_t n) {
    if (n < 1 + n_signature) return 0;
    tw_recipe recipe = recipe_of(data[0]);
    tw_image_options options = TW_IMAGE_OPTIONS_INIT;
    options.max_pixels = 1 << 18;
    options.exif_rotate = data[0] & 1;
    size_t n_file = n - 1;
    uint8_t *file = malloc(n_file), out[33 * 33 * 3];
    if (!file) return 0;
    memcpy(file, data + 1, n_file);
    memcpy(file, signature, n_signature);
    tw_image_info info;
    tw_error err = TW_ERROR_INIT;
    tw_status probed = tw_image_probe(file, n_file, &options, &info, &err);
    tw_status status = tw_preprocess_u8(&recipe, file, n_file, &options, out, &err);
    /* A header that is refused cannot give pixels, and every refusal says why. */
    if (status == TW_OK && probed != TW_OK) abort();
    if (status != TW_OK && err.message[0] == '\0') abort();
    free(file);
    return 0;
}

#endif
