/* The preprocessing recipe that goes into a model file. */
#include "convert/conversion.h"

tw_status tw_settle_recipe(tw_conversion *c, tw_error *err) {
    int32_t size = c->metadata.arch.vision.image_size;
    c->metadata.recipe = (tw_recipe)TW_RECIPE_INIT;
    const tw_family *f = tw_origin_family(c->origin);
    c->metadata.recipe.resize_mode = f->resize_mode;
    c->metadata.recipe.rgb_order = f->rgb_order;
    c->metadata.recipe.crop_rounding = f->crop_rounding;
    if (c->clip.has_recipe) c->metadata.recipe = c->clip.recipe;
    if (c->options.recipe) c->metadata.recipe = *c->options.recipe;
    if (c->metadata.arch.vision.kind == TW_VISION_NONE) return TW_OK;
    if (!c->options.recipe || c->metadata.recipe.size == 0) c->metadata.recipe.size = size;
    if (c->metadata.recipe.size == size) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "the recipe makes pictures of %d, the image tower takes %d",
                   c->metadata.recipe.size, size);
}
