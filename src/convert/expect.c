/* What is said about a model beside its tensors' names and shapes. */
#include "convert/config.h"
#include "convert/conversion.h"
#include "convert/folder.h"
#include "convert/gguf_config.h"
#include "convert/onnx_config.h"
#include "model/arch.h"

#include <stdlib.h>
#include <string.h>

static void expect_clip(const tw_conversion *c, tw_expectation *e) {
    e->vision = &c->clip.vision;
    e->embed_dim = c->clip.embed_dim;
    e->text = &c->clip.text;
    e->vision_activation = c->clip.vision.activation;
    e->text_activation = c->clip.text.activation;
    e->hugging_face = c->clip.hugging_face;
}

/* `--arch VISION.json,TEXT.json`: the part before or after the comma, or NULL when empty. */
static tw_status split_paths(const char *arch, char **vision, char **text, tw_error *err) {
    const char *comma = strchr(arch, ',');
    size_t n = comma ? (size_t)(comma - arch) : strlen(arch);
    *vision = strndup(arch, n);
    *text = strdup(comma ? comma + 1 : "");
    return *vision && *text ? TW_OK : tw_fail_no_memory(err, n);
}

static tw_status load_arch_files(tw_conversion *c, tw_expectation *e, tw_error *err) {
    char *vision = NULL, *text = NULL;
    bool is_clip = false;
    tw_status status;
    if (!strchr(c->options.arch, ','))
        TW_TRY(tw_clip_config_load(c->options.arch, &c->clip, &is_clip, err));
    if (is_clip) {
        expect_clip(c, e);
        return TW_OK;
    }
    c->clip = (tw_clip_config){0};
    TW_CHECK(split_paths(c->options.arch, &vision, &text, err));
    if (*vision) {
        TW_CHECK(tw_vision_config_load(vision, &c->vision, &e->embed_dim, err));
        e->vision = &c->vision;
    }
    if (*text) {
        TW_CHECK(tw_text_config_load(text, &c->text, err));
        e->text = &c->text;
    }
done:
    free(vision);
    free(text);
    return status;
}

/* A released name. open_clip ends those of models with QuickGELU in "-quickgelu"; Chinese-CLIP's
 * models all have it. */
static tw_status expect_preset(const char *arch, tw_expectation *e, tw_error *err) {
    static const char suffix[] = "-quickgelu";
    size_t n = strlen(arch), n_suffix = sizeof suffix - 1;
    bool quick = n > n_suffix && strcmp(arch + n - n_suffix, suffix) == 0;
    const tw_vision_preset *vision;
    const tw_text_preset *text;
    char *name = strndup(arch, quick ? n - n_suffix : n);
    if (!name) return tw_fail_no_memory(err, n);
    tw_status status = tw_preset_find(name, &vision, &text, err);
    free(name);
    if (status != TW_OK) return status;
    e->vision = &vision->config;
    e->embed_dim = vision->embed_dim;
    e->text = text ? &text->config : NULL;
    e->text_implied = !strchr(arch, '@');
    e->preset_activation = quick ? TW_QUICK_GELU : TW_GELU_ERF;
    return TW_OK;
}

tw_status tw_expect(tw_conversion *c, tw_expectation *e, tw_error *err) {
    const tw_convert_options *o = &c->options;
    *e = (tw_expectation){.vision_head_width = o->vision_head_width,
                          .text_head_width = o->text_head_width,
                          .activation = o->activation,
                          .context_length = o->context_length,
                          .resolution = o->resolution,
                          .vision_only = o->vision_only,
                          .text_only = o->text_only};
    if (o->arch && strstr(o->arch, ".json")) {
        TW_TRY(load_arch_files(c, e, err));
    } else if (o->arch) {
        TW_TRY(expect_preset(o->arch, e, err));
    }
    if (o->vision_config) {
        TW_TRY(tw_vision_config_load(o->vision_config, &c->vision, &e->embed_dim, err));
        e->vision = &c->vision;
    }
    if (o->text_config) {
        TW_TRY(tw_text_config_load(o->text_config, &c->text, err));
        e->text = &c->text;
    }
    return TW_OK;
}

/* ---------------------------------------------------------------------------------- beside them
 */

/* A configuration in the checkpoint's folder, where releases have it. */
static tw_status look_beside(tw_conversion *c, const char *name, tw_expectation *e, tw_error *err) {
    char *path;
    bool found = false;
    TW_TRY(tw_folder_neighbour(c->file, name, &path, err));
    if (!path) return TW_OK;
    tw_status status = tw_clip_config_load(path, &c->clip, &found, err);
    free(path);
    if (status == TW_OK && found) expect_clip(c, e);
    return status;
}

/* What a GGUF file says of itself. */
static tw_status expect_gguf(tw_conversion *c, const tw_gguf *g, tw_expectation *e, tw_error *err) {
    if (e->vision || e->text)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "a GGUF file says itself what --arch and configurations say");
    TW_TRY(tw_gguf_config_read(g, &c->clip, err));
    bool vision = c->clip.vision.kind != TW_VISION_NONE, text = c->clip.text.kind != TW_TEXT_NONE;
    if ((e->vision_only && !vision) || (e->text_only && !text))
        return tw_fail(err, TW_ERR_MISMATCH, "the file has no %s tower", text ? "image" : "text");
    expect_clip(c, e);
    if (!vision) e->vision = NULL, e->text_only = true;
    if (!text) e->text = NULL, e->vision_only = true;
    if (text && !e->context_length) e->context_length = c->clip.text.context_length;
    if (tw_gguf_is_model(g)) return tw_metadata_read_changes(g, &c->metadata.provenance, err);
    tw_log(c->options.hooks, TW_LOG_INFO,
           "a clip.cpp file has no logit scale: ln(100) is taken, as clip.cpp does");
    return TW_OK;
}

static tw_status expect_onnx(tw_conversion *c, tw_expectation *e, tw_error *err) {
    const tw_checkpoint *files[] = {c->checkpoint, c->other};
    tw_text_kind kind = tw_origin_family(c->origin)->text_kind;
    for (size_t i = 0; i < 2 && files[i]; i++)
        TW_TRY(
            tw_onnx_expect(tw_checkpoint_onnx(files[i]), kind, e, &c->clip, c->options.hooks, err));
    return TW_OK;
}

tw_status tw_expect_beside(tw_conversion *c, tw_expectation *e, tw_error *err) {
    int64_t resolution;
    const tw_family *f = tw_origin_family(c->origin);
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g) return expect_gguf(c, g, e, err);
    if (tw_checkpoint_onnx(c->checkpoint)) return expect_onnx(c, e, err);
    e->openai = f->text_kind == TW_TEXT_CLIP &&
                tw_checkpoint_int(c->checkpoint, "input_resolution", &resolution);
    for (const char *const *name = f->configs; name && *name && !e->openai && !e->vision; name++)
        TW_TRY(look_beside(c, *name, e, err));
    return TW_OK;
}
