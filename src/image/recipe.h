/* Validation of a recipe, and the geometry it asks of a picture of a given size. */
#ifndef IMAGE_RECIPE_H
#define IMAGE_RECIPE_H

#include "base/status.h"
#include "tuwen/image.h"

#define TW_RECIPE_MAX_SIZE 4096

tw_status tw_recipe_check(const tw_recipe *recipe, tw_error *err);

/* The picture is resized to resized_width x resized_height, of which only the window of
 * window_width x window_height at (window_x, window_y) is wanted (and computed); the window lies
 * at (pad_x, pad_y) on a canvas of R x R zeros. */
typedef struct tw_geometry {
    uint32_t resized_width, resized_height;
    uint32_t window_x, window_y, window_width, window_height;
    uint32_t pad_x, pad_y;
} tw_geometry;

/* Longest side a picture may be resized to; beyond it Pillow's own table of bicubic weights
 * (5 doubles an output pixel) passes INT_MAX bytes and Pillow refuses. Only reached by pictures
 * thousands of times longer than wide. */
#define TW_RESIZED_MAX_SIDE 53687091u

/* Errors: TW_ERR_LIMIT (a resized side too long), TW_ERR_UNSUPPORTED (one that would be 0). */
tw_status tw_geometry_plan(const tw_recipe *recipe, uint32_t width, uint32_t height,
                           tw_geometry *out, tw_error *err);

#endif
