#include "tuwen/export.h"

#include "base/size.h"
#include "convert/onnx/graph.h"
#include "tensor/npy.h"
#include "text/bpe.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_status take_options(const tw_model *model, const tw_export_options *options,
                              tw_export_options *o, tw_error *err) {
    const tw_text_config *t = &model->arch.text;
    *o = (tw_export_options)TW_EXPORT_OPTIONS_INIT;
    if (options) memcpy(o, options, TW_MIN(options->struct_size, sizeof *o));
    if (o->opset == 0) o->opset = 17;
    if (o->opset < 13 || o->opset > 17)
        return tw_fail(err, TW_ERR_ARGUMENT, "opset %d, expected 13 to 17", (int)o->opset);
    if (o->precision != TW_F32 && o->precision != TW_F16)
        return tw_fail(err, TW_ERR_ARGUMENT, "precision %d, expected f32 or f16", o->precision);
    if (o->batch < 0 || o->text_batch < 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "batch %d, expected a positive number",
                       (int)TW_MIN(o->batch, o->text_batch));
    if (o->part != TW_EXPORT_TEXT && model->arch.vision.kind == TW_VISION_NONE)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no image tower");
    if (o->part != TW_EXPORT_IMAGE && t->kind == TW_TEXT_NONE)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no text tower");
    if (o->part != TW_EXPORT_IMAGE && (o->context_length < 0 || o->context_length > t->n_positions))
        return tw_fail(err, TW_ERR_ARGUMENT, "context length %d, the model has %d positions",
                       (int)o->context_length, (int)t->n_positions);
    if (o->no_text_projection && (o->part != TW_EXPORT_TEXT || o->normalize))
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "a graph without text projection is of texts alone and not normalised");
    return TW_OK;
}

/* How byte pairs spell their two specials. */
static void describe_byte_pairs(tw_graph *g) {
    const tw_tokenizer *t = g->model->tokenizer;
    if (!t || !t->bpe) return;
    bool openai = t->bpe->variant == TW_BPE_OPENAI;
    tw_onnx_metadata(g->onnx, "tuwen.tokenizer.variant", openai ? "openai" : "open_clip");
}

/* What a reader of the file may want to know. */
static void describe(tw_graph *g) {
    const tw_model *m = g->model;
    const tw_recipe *r = &m->recipe;
    char text[160];
    tw_onnx_metadata(g->onnx, "tuwen.architecture", m->arch.name);
    snprintf(text, sizeof text, "%.9g", (double)m->logit_scale);
    tw_onnx_metadata(g->onnx, "tuwen.logit_scale", text);
    if (m->arch.text.kind != TW_TEXT_NONE) {
        snprintf(text, sizeof text, "%d", (int)m->arch.text.context_length);
        tw_onnx_metadata(g->onnx, "tuwen.context_length", text);
        describe_byte_pairs(g);
    }
    if (m->arch.vision.kind == TW_VISION_NONE) return;
    snprintf(text, sizeof text, "%.9g,%.9g,%.9g", (double)r->mean[0], (double)r->mean[1],
             (double)r->mean[2]);
    tw_onnx_metadata(g->onnx, "tuwen.image_mean", text);
    snprintf(text, sizeof text, "%.9g,%.9g,%.9g", (double)r->std[0], (double)r->std[1],
             (double)r->std[2]);
    tw_onnx_metadata(g->onnx, "tuwen.image_std", text);
    tw_onnx_metadata(g->onnx, "tuwen.recipe.resize_mode", tw_resize_mode_name(r->resize_mode));
    tw_onnx_metadata(g->onnx, "tuwen.recipe.interpolation",
                     tw_interpolation_name(r->interpolation));
    tw_onnx_metadata(g->onnx, "tuwen.recipe.resampler", tw_resampler_name(r->resampler));
    tw_onnx_metadata(g->onnx, "tuwen.recipe.rgb_order", tw_rgb_order_name(r->rgb_order));
    tw_onnx_metadata(g->onnx, "tuwen.recipe.crop_rounding",
                     tw_crop_rounding_name(r->crop_rounding));
}

static tw_onnx_dim extent(int64_t fixed, const char *name) {
    return (tw_onnx_dim){fixed, fixed ? NULL : name};
}

static void build_features(tw_graph *g, tw_export_part part) {
    const tw_arch *arch = &g->model->arch;
    const char *x = part == TW_EXPORT_IMAGE ? tw_graph_vision(g) : tw_graph_text(g);
    tw_onnx_dim dims[] = {extent(g->batch, "batch"), {arch->embed_dim, NULL}, {0, NULL}};
    if (g->no_projection) {
        dims[1] = extent(g->length, "length");
        dims[2].value = arch->text.width;
    }
    tw_onnx_output(g->onnx, x, TW_ONNX_F32, dims, g->no_projection ? 3 : 2);
}

static void build_both(tw_graph *g, int32_t images, int32_t texts) {
    static const int64_t turned[] = {1, 0};
    g->normalize = true;
    g->batch = images;
    g->batch_name = "images";
    const char *image = tw_graph_vision(g);
    g->batch = texts;
    g->batch_name = "texts";
    const char *text = tw_graph_text(g);
    const char *scale =
        tw_onnx_float(g->onnx, "logit_scale.exp", expf(g->model->logit_scale), TW_ONNX_F32);
    text = tw_graph_transpose(g, "text_features.T", text, turned, 2);
    const char *x = tw_graph_op(g, "MatMul", "cosines", image, text, NULL, NULL);
    x = tw_graph_op(g, "Mul", "logits_per_image", x, scale, NULL, NULL);
    tw_graph_transpose(g, "logits_per_text", x, turned, 2);
    tw_onnx_dim dims[] = {extent(images, "images"), extent(texts, "texts"),
                          extent(images, "images")};
    tw_onnx_output(g->onnx, "logits_per_image", TW_ONNX_F32, dims, 2);
    tw_onnx_output(g->onnx, "logits_per_text", TW_ONNX_F32, dims + 1, 2);
}

tw_status tw_export_onnx(const tw_model *model, const char *path, const tw_export_options *options,
                         tw_error *err) {
    tw_export_options o;
    TW_TRY(take_options(model, options, &o, err));
    tw_graph g = {.model = model,
                  .opset = o.opset,
                  .type = o.precision == TW_F16 ? TW_ONNX_F16 : TW_ONNX_F32,
                  .batch = o.batch,
                  .batch_name = "batch",
                  .length = o.context_length,
                  .normalize = o.normalize,
                  .no_projection = o.no_text_projection};
    TW_TRY(tw_onnx_create(model->arch.name, o.opset, &g.onnx, err));
    describe(&g);
    if (o.part == TW_EXPORT_BOTH)
        build_both(&g, o.batch, o.text_batch);
    else
        build_features(&g, o.part);
    tw_status status = tw_onnx_write(g.onnx, path, o.side_file, o.hooks, err);
    tw_onnx_free(g.onnx);
    return status;
}

tw_status tw_export_text_projection(const tw_model *model, const char *path, tw_error *err) {
    if (model->arch.text.kind == TW_TEXT_NONE)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "the model has no text tower");
    tw_tensor t = tw_tensor_transpose(&model->text.projection);
    size_t n = tw_tensor_elements(&t);
    float *values = malloc(n * sizeof *values);
    if (!values) return tw_fail_no_memory(err, n * sizeof *values);
    tw_tensor_to_f32(&t, values);
    tw_status status = tw_npy_save(path, TW_F32, 2, t.shape, values, err);
    free(values);
    return status;
}
