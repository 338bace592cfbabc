#include "convert/hf_recipe.h"

#include "base/file.h"
#include "base/json.h"
#include "convert/json_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES ((size_t)1 << 20)
#define MAX_SIDE 4096

static const char only[] = "which a recipe cannot say; give --recipe";

static tw_status get_bool(const tw_json *object, const char *key, bool fallback, bool *out,
                          tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    bool given = v && v->type != TW_JSON_NULL;
    *out = given ? v->boolean : fallback;
    if (!given || v->type == TW_JSON_BOOL) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected true or false", key);
}

/* A switch that a recipe has in one position only. */
static tw_status need_bool(const tw_json *object, const char *key, bool needed, tw_error *err) {
    bool v;
    TW_TRY(get_bool(object, key, needed, &v, err));
    if (v == needed) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s is %s, %s", key, v ? "true" : "false", only);
}

static tw_status check_class(const tw_json *object, tw_error *err) {
    static const char *const keys[] = {"image_processor_type", "feature_extractor_type"};
    for (int i = 0; i < 2; i++) {
        const char *name;
        TW_TRY(tw_json_get_string(object, keys[i], "CLIP", &name, err));
        if (strncmp(name, "CLIP", 4) != 0 && strncmp(name, "ChineseCLIP", 11) != 0)
            return tw_fail(err, TW_ERR_UNSUPPORTED,
                           "%s '%.48s', expected one of CLIP or ChineseCLIP; give --recipe",
                           keys[i], name);
    }
    return TW_OK;
}

/* -------------------------------------------------------------------------------------- sizes */

/* {height: n, width: n}; *out is 0 when neither is there. */
static tw_status get_square(const tw_json *size, const char *key, int32_t *out, tw_error *err) {
    int64_t height, width;
    TW_TRY(tw_json_get_int(size, "height", 1, MAX_SIDE, 0, &height, err));
    TW_TRY(tw_json_get_int(size, "width", 1, MAX_SIDE, 0, &width, err));
    *out = (int32_t)height;
    if (height == width) return TW_OK;
    if (height == 0 || width == 0)
        return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected both height and width", key);
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s is %lld x %lld, only squares are supported", key,
                   (long long)height, (long long)width);
}

/* A number is the shorter side; a list of two is a rectangle. */
static tw_status get_size(const tw_json *object, tw_resize_mode *mode, int32_t *out,
                          tw_error *err) {
    const tw_json *size = tw_json_get(object, "size");
    int64_t shortest = 224;
    *mode = TW_RESIZE_SHORTEST;
    if (size && size->type == TW_JSON_OBJECT) {
        TW_TRY(get_square(size, "size", out, err));
        TW_TRY(tw_json_get_int(size, "shortest_edge", 1, MAX_SIDE, 0, &shortest, err));
        bool other = tw_json_get(size, "longest_edge") || tw_json_get(size, "max_height");
        if (other || (*out == 0) == (shortest == 0))
            return tw_fail(
                err, TW_ERR_UNSUPPORTED,
                "size: expected shortest_edge alone, or height and width; give --recipe");
        if (*out) *mode = TW_RESIZE_SQUASH;
        if (*out) return TW_OK;
    } else {
        if (size && size->type == TW_JSON_ARRAY) *mode = TW_RESIZE_SQUASH;
        TW_TRY(tw_json_get_side(object, "size", MAX_SIDE, 224, &shortest, err));
    }
    *out = (int32_t)shortest;
    return TW_OK;
}

static tw_status get_crop(const tw_json *object, int32_t *out, tw_error *err) {
    const tw_json *crop = tw_json_get(object, "crop_size");
    int64_t side;
    bool wanted;
    *out = 0;
    TW_TRY(get_bool(object, "do_center_crop", true, &wanted, err));
    if (!wanted) return TW_OK;
    if (!crop || crop->type != TW_JSON_OBJECT) {
        TW_TRY(tw_json_get_side(object, "crop_size", MAX_SIDE, 224, &side, err));
        *out = (int32_t)side;
        return TW_OK;
    }
    TW_TRY(get_square(crop, "crop_size", out, err));
    return *out ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "key 'crop_size': expected height and width");
}

static tw_status read_geometry(const tw_json *object, tw_recipe *r, tw_error *err) {
    int32_t crop;
    TW_TRY(need_bool(object, "do_resize", true, err));
    TW_TRY(get_size(object, &r->resize_mode, &r->size, err));
    TW_TRY(get_crop(object, &crop, err));
    if (crop && crop != r->size)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "size %d, then crop_size %d, %s", r->size, crop,
                       only);
    if (!crop && r->resize_mode == TW_RESIZE_SHORTEST)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "size is of the shorter side and do_center_crop is false, %s", only);
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- numbers */

/* Pillow's numbers of its filters. */
static tw_status read_filter(const tw_json *object, tw_recipe *r, tw_error *err) {
    static const char *const names[] = {"nearest", "lanczos", "bilinear",
                                        "bicubic", "box",     "hamming"};
    int64_t filter;
    TW_TRY(tw_json_get_int(object, "resample", 0, 5, 3, &filter, err));
    r->interpolation = filter == 3 ? TW_BICUBIC : TW_BILINEAR;
    if (filter == 3 || filter == 2) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "resample %lld is %s, %s", (long long)filter,
                   names[filter], only);
}

static tw_status read_numbers(const tw_json *object, tw_recipe *r, tw_error *err) {
    const tw_json *factor = tw_json_get(object, "rescale_factor");
    bool normalise;
    TW_TRY(need_bool(object, "do_rescale", true, err));
    if (factor && factor->type != TW_JSON_NULL &&
        (factor->type != TW_JSON_NUMBER || !(fabs(factor->number * 255 - 1) < 1e-6)))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "rescale_factor is not 1/255, %s", only);
    TW_TRY(get_bool(object, "do_normalize", true, &normalise, err));
    for (int i = 0; i < 3 && !normalise; i++) {
        r->mean[i] = 0;
        r->std[i] = 1;
    }
    if (!normalise) return TW_OK;
    TW_TRY(tw_json_get_channels(object, "image_mean", r->mean, err));
    TW_TRY(tw_json_get_channels(object, "image_std", r->std, err));
    for (int i = 0; i < 3; i++)
        if (!(r->std[i] > 0))
            return tw_fail(err, TW_ERR_FORMAT, "key 'image_std': expected positive numbers");
    return TW_OK;
}

/* --------------------------------------------------------------------------------------- whole */

static tw_status read_processor(const tw_json *object, tw_recipe *r, tw_error *err) {
    TW_TRY(check_class(object, err));
    TW_TRY(read_geometry(object, r, err));
    TW_TRY(read_filter(object, r, err));
    TW_TRY(read_numbers(object, r, err));
    TW_TRY(need_bool(object, "do_convert_rgb", true, err));
    return need_bool(object, "do_pad", false, err);
}

tw_status tw_hf_recipe_parse(const void *json, size_t n_bytes, tw_recipe *out, bool *found,
                             tw_error *err) {
    tw_json_doc *doc = NULL;
    *out = (tw_recipe)TW_RECIPE_INIT;
    out->rgb_order = TW_RGB_FIRST;
    out->crop_rounding = TW_CROP_FLOOR;
    TW_TRY(tw_json_parse(json, n_bytes, &doc, err));
    const tw_json *root = tw_json_root(doc), *nested = tw_json_get(root, "image_processor");
    if (nested) root = nested;
    /* A processor_config.json without it names its class and no more. */
    *found = nested || !tw_json_get(root, "processor_class") || tw_json_get(root, "size") ||
             tw_json_get(root, "image_processor_type") ||
             tw_json_get(root, "feature_extractor_type");
    tw_status status = TW_OK;
    if (root->type != TW_JSON_OBJECT)
        status = tw_fail(err, TW_ERR_FORMAT, "expected an object of an image processor");
    else if (*found)
        status = read_processor(root, out, err);
    tw_json_free(doc);
    return status;
}

tw_status tw_hf_recipe_load(const char *path, tw_recipe *out, bool *found, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, MAX_CONFIG_BYTES, &data, &n_bytes, err));
    tw_status status = tw_hf_recipe_parse(data, n_bytes, out, found, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    free(data);
    return status;
}
