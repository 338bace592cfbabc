/* Recipes by name, names of their values, validation. */
#include "image/recipe.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

static const char *name_of(const char *const *names, size_t n, int value) {
    return value >= 0 && (size_t)value < n ? names[value] : "?";
}

static const char *const resize_modes[] = {"squash", "shortest", "longest"};
static const char *const interpolations[] = {"bicubic", "bilinear"};
static const char *const resamplers[] = {"classic", "12.1", "12.2", "13"};
static const char *const rgb_orders[] = {"after", "first"};
static const char *const crop_roundings[] = {"half-even", "floor"};

const char *tw_resize_mode_name(tw_resize_mode v) {
    return name_of(resize_modes, TW_COUNT(resize_modes), (int)v);
}
const char *tw_interpolation_name(tw_interpolation v) {
    return name_of(interpolations, TW_COUNT(interpolations), (int)v);
}
const char *tw_resampler_name(tw_resampler v) {
    return name_of(resamplers, TW_COUNT(resamplers), (int)v);
}
const char *tw_rgb_order_name(tw_rgb_order v) {
    return name_of(rgb_orders, TW_COUNT(rgb_orders), (int)v);
}
const char *tw_crop_rounding_name(tw_crop_rounding v) {
    return name_of(crop_roundings, TW_COUNT(crop_roundings), (int)v);
}

static tw_status check_value(const char *what, int value, size_t n_values, tw_error *err) {
    if (value >= 0 && (size_t)value < n_values) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "recipe: %s %d, expected 0 to %zu", what, value,
                   n_values - 1);
}

tw_status tw_recipe_check(const tw_recipe *r, tw_error *err) {
    if (!r) return tw_fail(err, TW_ERR_ARGUMENT, "recipe: none given");
    if (r->struct_size < sizeof *r)
        return tw_fail(err, TW_ERR_ARGUMENT, "recipe: struct_size %zu, expected %zu",
                       r->struct_size, sizeof *r);
    if (r->size < 1 || r->size > TW_RECIPE_MAX_SIZE)
        return tw_fail(err, TW_ERR_ARGUMENT, "recipe: size %d, expected 1 to %d", r->size,
                       TW_RECIPE_MAX_SIZE);
    TW_TRY(check_value("resize mode", (int)r->resize_mode, TW_COUNT(resize_modes), err));
    TW_TRY(check_value("interpolation", (int)r->interpolation, TW_COUNT(interpolations), err));
    TW_TRY(check_value("resampler", (int)r->resampler, TW_COUNT(resamplers), err));
    TW_TRY(check_value("rgb order", (int)r->rgb_order, TW_COUNT(rgb_orders), err));
    TW_TRY(check_value("crop rounding", (int)r->crop_rounding, TW_COUNT(crop_roundings), err));
    for (int c = 0; c < 3; c++)
        if (!isfinite(r->mean[c]) || !isfinite(r->std[c]) || r->std[c] == 0)
            return tw_fail(
                err, TW_ERR_ARGUMENT,
                "recipe: mean %g and std %g of channel %d, expected finite and std not 0",
                (double)r->mean[c], (double)r->std[c], c);
    return TW_OK;
}

tw_status tw_recipe_by_name(const char *name, int32_t size, tw_recipe *recipe, tw_error *err) {
    static const struct {
        const char *name;
        tw_resize_mode resize_mode;
        tw_rgb_order rgb_order;
        tw_crop_rounding crop_rounding;
    } named[] = {
        {"chinese-clip", TW_RESIZE_SQUASH, TW_RGB_AFTER, TW_CROP_HALF_EVEN},
        {"openai", TW_RESIZE_SHORTEST, TW_RGB_AFTER, TW_CROP_HALF_EVEN},
        {"open-clip", TW_RESIZE_SHORTEST, TW_RGB_AFTER, TW_CROP_HALF_EVEN},
        {"hf", TW_RESIZE_SHORTEST, TW_RGB_FIRST, TW_CROP_FLOOR},
        {"imagefolder", TW_RESIZE_SQUASH, TW_RGB_FIRST, TW_CROP_HALF_EVEN},
    };
    for (size_t i = 0; name && i < TW_COUNT(named); i++) {
        if (strcmp(name, named[i].name) != 0) continue;
        *recipe = (tw_recipe)TW_RECIPE_INIT;
        recipe->size = size;
        recipe->resize_mode = named[i].resize_mode;
        recipe->rgb_order = named[i].rgb_order;
        recipe->crop_rounding = named[i].crop_rounding;
        return tw_recipe_check(recipe, err);
    }
    return tw_fail(err, TW_ERR_ARGUMENT,
                   "recipe '%s' is not known, expected chinese-clip, openai, open-clip, hf or "
                   "imagefolder",
                   name ? name : "");
}
