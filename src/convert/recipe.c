/* The preprocessing recipe that goes into a model file. */
#include "convert/conversion.h"
#include "convert/folder.h"
#include "convert/hf_recipe.h"

#include <stdlib.h>
#include <string.h>

/* Hugging Face's own files, of which the first that speaks counts, as in transformers. */
static tw_status look_beside(tw_conversion *c, bool *found, tw_error *err) {
    static const char *const names[] = {"processor_config.json", "preprocessor_config.json"};
    *found = false;
    for (int i = 0; i < 2 && !*found; i++) {
        char *path;
        TW_TRY(tw_folder_neighbour(c->file, names[i], &path, err));
        if (!path) continue;
        tw_recipe recipe;
        tw_status status = tw_hf_recipe_load(path, &recipe, found, err);
        if (status == TW_OK && *found) {
            c->metadata.recipe = recipe;
            tw_log(c->options.hooks, TW_LOG_INFO, "%s: the recipe", path);
        }
        free(path);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

/* The family's own recipe, and what stands beside the tensors. */
static tw_status find_recipe(tw_conversion *c, tw_error *err) {
    const tw_family *f = tw_origin_family(c->origin);
    tw_recipe *r = &c->metadata.recipe;
    bool found = false;
    r->size = 0;
    r->resize_mode = f->resize_mode;
    r->rgb_order = f->rgb_order;
    r->crop_rounding = f->crop_rounding;
    if (c->clip.has_recipe) *r = c->clip.recipe;
    if (!f->image_processor) return TW_OK;
    TW_TRY(look_beside(c, &found, err));
    if (!found)
        tw_log(c->options.hooks, TW_LOG_WARNING,
               "no preprocessor_config.json beside the checkpoint: %s, RGB first, as in %s's "
               "releases; --recipe says otherwise",
               r->resize_mode == TW_RESIZE_SQUASH ? "squash" : "shortest, crop", f->title);
    return TW_OK;
}

/* The fields that the option gives. */
static void change_recipe(const tw_recipe *from, uint32_t fields, tw_recipe *to) {
    if (fields & TW_RECIPE_SIZE) to->size = from->size;
    if (fields & TW_RECIPE_RESIZE_MODE) to->resize_mode = from->resize_mode;
    if (fields & TW_RECIPE_INTERPOLATION) to->interpolation = from->interpolation;
    if (fields & TW_RECIPE_RESAMPLER) to->resampler = from->resampler;
    if (fields & TW_RECIPE_RGB_ORDER) to->rgb_order = from->rgb_order;
    if (fields & TW_RECIPE_CROP_ROUNDING) to->crop_rounding = from->crop_rounding;
    if (fields & TW_RECIPE_MEAN) memcpy(to->mean, from->mean, sizeof to->mean);
    if (fields & TW_RECIPE_STD) memcpy(to->std, from->std, sizeof to->std);
}

tw_status tw_settle_recipe(tw_conversion *c, tw_error *err) {
    const tw_convert_options *o = &c->options;
    tw_recipe *r = &c->metadata.recipe;
    int32_t size = c->metadata.arch.vision.image_size;
    if (c->metadata.arch.vision.kind == TW_VISION_NONE) return TW_OK;
    uint32_t fields = !o->recipe ? 0 : o->recipe_fields ? o->recipe_fields : TW_RECIPE_ALL;
    *r = (tw_recipe)TW_RECIPE_INIT;
    if (fields != TW_RECIPE_ALL) {
        TW_TRY(find_recipe(c, err));
        /* A file beside the tensors speaks of the resolution before --resolution. */
        if (r->size == c->position_from) r->size = size;
    }
    change_recipe(o->recipe, fields, r);
    if (r->size == 0) r->size = size;
    if (r->size == size) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "the recipe makes pictures of %d, the image tower takes %d", r->size, size);
}
