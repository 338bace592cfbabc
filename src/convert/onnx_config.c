/* Source: Chinese-CLIP cn_clip/deploy (names of the files; pictures and texts are compared with a
 * scale of 100, which is in no graph), convert/onnx/export.c (our lines of metadata). */
#include "convert/onnx_config.h"

#include "base/json.h"
#include "base/size.h"
#include "format/onnx/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOGIT_SCALE 4.6051702f /* ln(100) */

/* -------------------------------------------------------------------------------- the other tower
 */

/* "X.img.fp32.onnx" <-> "X.txt.fp32.onnx", on the heap; NULL when the name is of another kind or
 * there is no memory. */
static char *name_beside(const char *path, const char *from, const char *to) {
    const char *slash = strrchr(path, '/'), *at = NULL;
    for (const char *p = slash ? slash : path; (p = strstr(p, from)); p++)
        at = p;
    char *out = at ? strdup(path) : NULL;
    if (out) memcpy(out + (at - path), to, strlen(to));
    return out;
}

static tw_status find_other(const char *path, bool has_image, const tw_convert_options *options,
                            char **out, tw_error *err) {
    const char *from = has_image ? ".img." : ".txt.", *to = has_image ? ".txt." : ".img.";
    *out = options->onnx_text ? strdup(options->onnx_text) : name_beside(path, from, to);
    if (*out && (options->onnx_text || access(*out, F_OK) == 0)) return TW_OK;
    free(*out);
    *out = NULL;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s: a graph of the %s tower alone, and none of the %s tower is beside it; %s",
                   path, has_image ? "image" : "text", has_image ? "text" : "image",
                   has_image ? "give --onnx-text FILE, or --vision-only"
                             : "--text-only converts it");
}

static tw_status check_other(const tw_checkpoint *other, const char *path, bool has_image,
                             tw_error *err) {
    const tw_onnx_facts *f = tw_checkpoint_onnx(other);
    if (f && f->image.present == !has_image && f->text.present == has_image) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s: expected an ONNX graph of the %s tower alone", path,
                   has_image ? "text" : "image");
}

tw_status tw_onnx_open_other(const tw_checkpoint *checkpoint, const char *path,
                             const tw_convert_options *options, tw_checkpoint **out,
                             tw_error *err) {
    const tw_onnx_facts *f = tw_checkpoint_onnx(checkpoint);
    char *other = NULL;
    *out = NULL;
    bool image = f && f->image.present, text = f && f->text.present;
    if (options->onnx_text && (!image || text || options->vision_only || options->text_only))
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "--onnx-text goes with an ONNX graph of the image tower alone");
    if (!f || (image && text) || options->vision_only || options->text_only) return TW_OK;
    tw_status status;
    TW_CHECK(find_other(path, image, options, &other, err));
    TW_CHECK(tw_checkpoint_open(other, out, err));
    status = check_other(*out, other, image, err);
    if (status == TW_OK) tw_log(options->hooks, TW_LOG_INFO, "%s: the other tower", other);
done:
    free(other);
    return status;
}

/* --------------------------------------------------------------------------------------- metadata
 */

/* The numbers of "0.5,0.25" into out[n]; *found is false when there is no such line. */
static tw_status read_numbers(const tw_onnx_facts *f, const char *key, size_t n, float *out,
                              bool *found, tw_error *err) {
    const tw_onnx_line *line = tw_onnx_fact(f, key);
    *found = line != NULL;
    if (!line) return TW_OK;
    char text[256];
    tw_json_doc *doc = NULL;
    size_t got = 0;
    snprintf(text, sizeof text, "[%.*s]", (int)TW_MIN(line->n_value, sizeof text - 3), line->value);
    if (tw_json_parse(text, strlen(text), &doc, NULL) == TW_OK)
        for (const tw_json *v = tw_json_root(doc)->first; v; v = v->next, got++)
            if (v->type == TW_JSON_NUMBER && got < n) out[got] = (float)v->number;
    tw_json_free(doc);
    if (got == n) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "metadata '%s' is '%.*s', expected %zu numbers", key,
                   (int)TW_MIN(line->n_value, 64), line->value, n);
}

/* The value whose word a line has. */
static tw_status read_word(const tw_onnx_facts *f, const char *key, const char *const *words,
                           size_t n, int *out, tw_error *err) {
    const tw_onnx_line *line = tw_onnx_fact(f, key);
    if (!line) return tw_fail(err, TW_ERR_FORMAT, "metadata '%s' is missing", key);
    for (size_t i = 0; i < n; i++)
        if (line->n_value == strlen(words[i]) &&
            memcmp(line->value, words[i], line->n_value) == 0) {
            *out = (int)i;
            return TW_OK;
        }
    return tw_fail(err, TW_ERR_FORMAT, "metadata '%s' is '%.*s', expected '%s' or another", key,
                   (int)TW_MIN(line->n_value, 64), line->value, words[0]);
}

#define WORD(name, value) name##_name((name)(value))

static tw_status read_recipe(const tw_onnx_facts *f, tw_clip_config *clip, tw_error *err) {
    bool mean, std;
    tw_recipe r = TW_RECIPE_INIT;
    r.size = 0;
    TW_TRY(read_numbers(f, "tuwen.image_mean", 3, r.mean, &mean, err));
    TW_TRY(read_numbers(f, "tuwen.image_std", 3, r.std, &std, err));
    if (!mean || !std || clip->has_recipe) return TW_OK;
    const char *modes[] = {WORD(tw_resize_mode, 0), WORD(tw_resize_mode, 1),
                           WORD(tw_resize_mode, 2)};
    const char *kinds[] = {WORD(tw_interpolation, 0), WORD(tw_interpolation, 1)};
    const char *resamplers[] = {WORD(tw_resampler, 0), WORD(tw_resampler, 1), WORD(tw_resampler, 2),
                                WORD(tw_resampler, 3)};
    const char *orders[] = {WORD(tw_rgb_order, 0), WORD(tw_rgb_order, 1)};
    const char *roundings[] = {WORD(tw_crop_rounding, 0), WORD(tw_crop_rounding, 1)};
    int mode, kind, resampler, order, rounding;
    TW_TRY(read_word(f, "tuwen.recipe.resize_mode", modes, 3, &mode, err));
    TW_TRY(read_word(f, "tuwen.recipe.interpolation", kinds, 2, &kind, err));
    TW_TRY(read_word(f, "tuwen.recipe.resampler", resamplers, 4, &resampler, err));
    TW_TRY(read_word(f, "tuwen.recipe.rgb_order", orders, 2, &order, err));
    TW_TRY(read_word(f, "tuwen.recipe.crop_rounding", roundings, 2, &rounding, err));
    r.resize_mode = (tw_resize_mode)mode;
    r.interpolation = (tw_interpolation)kind;
    r.resampler = (tw_resampler)resampler;
    r.rgb_order = (tw_rgb_order)order;
    r.crop_rounding = (tw_crop_rounding)rounding;
    clip->recipe = r;
    clip->has_recipe = true;
    return TW_OK;
}

static tw_status read_logit_scale(const tw_onnx_facts *f, tw_clip_config *clip,
                                  const tw_hooks *hooks, tw_error *err) {
    float v;
    bool found;
    TW_TRY(read_numbers(f, "tuwen.logit_scale", 1, &v, &found, err));
    if (!found) {
        v = LOGIT_SCALE;
        if (!clip->has_logit_scale)
            tw_log(hooks, TW_LOG_INFO,
                   "an ONNX graph has no logit scale: ln(100) is taken, as "
                   "Chinese-CLIP's deployment does");
    }
    if (clip->has_logit_scale && clip->logit_scale != v)
        return tw_fail(err, TW_ERR_MISMATCH, "a logit scale of %.9g and one of %.9g",
                       (double)clip->logit_scale, (double)v);
    clip->has_logit_scale = true;
    clip->logit_scale = v;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ expectation
 */

static tw_status take_head_width(const char *tower, int32_t shown, int32_t *asked, tw_error *err) {
    if (shown && *asked && shown != *asked)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "%s tower: head width %d is asked for, the graph has %d", tower, *asked,
                       shown);
    if (shown) *asked = shown;
    return TW_OK;
}

/* `asked` is the option's, *configured a configuration's. */
static tw_status take_activation(tw_activation shown, tw_activation asked,
                                 tw_activation *configured, tw_error *err) {
    tw_activation said = asked ? asked : *configured;
    if (shown && said && shown != said)
        return tw_fail(err, TW_ERR_MISMATCH, "activation: expected %s, the graph has %s",
                       tw_activation_name(said), tw_activation_name(shown));
    if (shown) *configured = shown;
    return TW_OK;
}

static tw_status take_text(const tw_onnx_facts *f, tw_text_kind kind, tw_expectation *e,
                           tw_error *err) {
    float length;
    bool found;
    TW_TRY(take_head_width("text", f->text.head_width, &e->text_head_width, err));
    if (f->text.norm_eps != 0) e->text_norm_eps = f->text.norm_eps;
    TW_TRY(read_numbers(f, "tuwen.context_length", 1, &length, &found, err));
    if (found && !(length >= 2 && length <= 65536))
        return tw_fail(err, TW_ERR_FORMAT, "metadata 'tuwen.context_length' is %g", (double)length);
    if (!e->context_length && f->text.length) e->context_length = f->text.length;
    if (!e->context_length && found) e->context_length = (int32_t)length;
    if (kind != TW_TEXT_CLIP) return TW_OK;
    return take_activation(f->text.activation, e->activation, &e->text_activation, err);
}

tw_bpe_variant tw_onnx_bpe_variant(const tw_onnx_facts *f) {
    static const char *const variants[] = {"openai", "open_clip"};
    int v;
    return read_word(f, "tuwen.tokenizer.variant", variants, 2, &v, NULL) == TW_OK
               ? (tw_bpe_variant)v
               : TW_BPE_OPENAI;
}

tw_status tw_onnx_expect(const tw_onnx_facts *f, tw_text_kind text_kind, tw_expectation *e,
                         tw_clip_config *clip, const tw_hooks *hooks, tw_error *err) {
    if (f->image.present) {
        TW_TRY(take_head_width("image", f->image.head_width, &e->vision_head_width, err));
        TW_TRY(take_activation(f->image.activation, e->activation, &e->vision_activation, err));
        if (f->image.norm_eps != 0) e->vision_norm_eps = f->image.norm_eps;
        TW_TRY(read_recipe(f, clip, err));
    }
    if (f->text.present) TW_TRY(take_text(f, text_kind, e, err));
    return read_logit_scale(f, clip, hooks, err);
}
