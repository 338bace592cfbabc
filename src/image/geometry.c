/* Source: torchvision transforms/functional.py (resize, center_crop); open_clip transform.py
 * (ResizeKeepRatio, CenterCropOrPad); Hugging Face image_transforms.py. */
#include <math.h>

#include "image/recipe.h"

/* int(R * longer / shorter) in Python: an exact product, then a correctly rounded quotient. */
static double scaled_longer(uint32_t size, uint32_t longer, uint32_t shorter) {
    return trunc((double)((uint64_t)size * longer) / (double)shorter);
}

/* Offset of a centred crop: Python's round((n - size) / 2.0), to even at one half, or floor. */
static uint32_t crop_offset(uint32_t n, uint32_t size, tw_crop_rounding rounding) {
    uint32_t spare = n - size, half = spare / 2;
    bool up = rounding == TW_CROP_HALF_EVEN && spare % 2 == 1 && half % 2 == 1;
    return half + (up ? 1 : 0);
}

static tw_status check_resized(double w, double h, uint32_t width, uint32_t height, tw_error *err) {
    if (w > TW_RESIZED_MAX_SIDE || h > TW_RESIZED_MAX_SIDE)
        return tw_fail(err, TW_ERR_LIMIT,
                       "picture of %u x %u would be resized to %.0f x %.0f, longest side allowed "
                       "%u",
                       width, height, w, h, TW_RESIZED_MAX_SIDE);
    if (w < 1 || h < 1)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "picture of %u x %u would be resized to %.0f x %.0f pixels", width, height,
                       w, h);
    return TW_OK;
}

tw_status tw_geometry_plan(const tw_recipe *recipe, uint32_t width, uint32_t height,
                           tw_geometry *out, tw_error *err) {
    uint32_t size = (uint32_t)recipe->size;
    double w = size, h = size;
    if (recipe->resize_mode == TW_RESIZE_SHORTEST) {
        if (width <= height)
            h = scaled_longer(size, height, width);
        else
            w = scaled_longer(size, width, height);
    } else if (recipe->resize_mode == TW_RESIZE_LONGEST) {
        double ratio = fmax((double)height / size, (double)width / size);
        h = nearbyint(height / ratio);
        w = nearbyint(width / ratio);
    }
    TW_TRY(check_resized(w, h, width, height, err));
    tw_geometry g = {.resized_width = (uint32_t)w, .resized_height = (uint32_t)h};
    g.window_width = g.resized_width < size ? g.resized_width : size;
    g.window_height = g.resized_height < size ? g.resized_height : size;
    g.window_x = crop_offset(g.resized_width, g.window_width, recipe->crop_rounding);
    g.window_y = crop_offset(g.resized_height, g.window_height, recipe->crop_rounding);
    g.pad_x = (size - g.window_width) / 2;
    g.pad_y = (size - g.window_height) / 2;
    *out = g;
    return TW_OK;
}
