/* Checkpoint -> model file. */
#include "base/file.h"
#include "base/size.h"
#include "convert/conversion.h"
#include "convert/folder.h"
#include "convert/onnx_config.h"
#include "convert/pos_embed.h"
#include "convert/quantize.h"
#include "convert/round_f16.h"
#include "convert/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- options */

static bool is_hex_digest(const char *s) {
    return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

static tw_status take_options(tw_conversion *c, const tw_convert_options *options, tw_error *err) {
    tw_convert_options *o = &c->options;
    *o = (tw_convert_options)TW_CONVERT_OPTIONS_INIT;
    /* A caller built against an older header has a shorter struct: the rest keeps its default. */
    if (options)
        memcpy(o, options, options->struct_size < sizeof *o ? options->struct_size : sizeof *o);
    if (o->quality) {
        c->quality = (tw_int8_quality)TW_INT8_QUALITY_INIT;
        memcpy(&c->quality, o->quality, TW_MIN(o->quality->struct_size, sizeof c->quality));
        o->quality = &c->quality;
    }
    if (o->precision != -1 && o->precision != TW_F32 && o->precision != TW_F16 &&
        o->precision != TW_BF16 && o->precision != TW_I8)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "precision %d, expected f32, f16, bf16, int8 or as stored", o->precision);
    if ((o->keep_f16 || o->quality || o->no_smoothing) && o->precision != TW_I8)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "keep_f16, quality and no_smoothing go with precision int8");
    if (o->round_f16 && o->precision == TW_I8)
        return tw_fail(err, TW_ERR_ARGUMENT, "round_f16 and precision int8: one or the other");
    if (o->vision_head_width < 0 || o->text_head_width < 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "head width %d, expected a positive number",
                       o->vision_head_width < 0 ? o->vision_head_width : o->text_head_width);
    if (o->resolution < 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "resolution %d, expected a positive number",
                       o->resolution);
    if ((unsigned)o->pos_embed > TW_POS_EMBED_HUGGING_FACE)
        return tw_fail(err, TW_ERR_ARGUMENT, "pos_embed %d is no convention", (int)o->pos_embed);
    if (o->round_f16 && o->precision == TW_BF16)
        return tw_fail(err, TW_ERR_ARGUMENT, "round_f16 and precision bf16: one or the other");
    if (o->recipe_fields && (!o->recipe || o->recipe_fields & ~(uint32_t)TW_RECIPE_ALL))
        return tw_fail(err, TW_ERR_ARGUMENT, "recipe_fields %#x, expected flags of a recipe%s",
                       o->recipe_fields, o->recipe ? "" : ", which is not there");
    if (o->source_sha256 && !is_hex_digest(o->source_sha256))
        return tw_fail(err, TW_ERR_ARGUMENT, "source sha256 is not 64 hex digits");
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ checkpoint
 */

static tw_status take_logit_scale(tw_conversion *c, tw_error *err) {
    tw_tensor t;
    if (c->clip.has_logit_scale) {
        c->metadata.logit_scale = c->clip.logit_scale;
        return TW_OK;
    }
    if (!tw_origin_find(c->origin, "logit_scale", &t))
        return tw_origin_missing(c->origin, "logit_scale", err);
    uint64_t n;
    if (!tw_shape_elements(t.n_dims, t.shape, &n) || n != 1)
        return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' has %llu elements, expected 1", t.name,
                       (unsigned long long)n);
    tw_dtype dtype;
    TW_TRY(tw_stored_type(&t, false, -1, &dtype, err));
    tw_tensor_to_f32(&t, &c->metadata.logit_scale);
    if (isfinite(c->metadata.logit_scale)) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' is not finite", t.name);
}

static tw_status check_shape(const tw_schema_entry *e, const tw_tensor *t, tw_error *err) {
    char got[96], expected[96];
    if (t->n_dims == e->n_dims &&
        memcmp(t->shape, e->shape, (size_t)e->n_dims * sizeof *e->shape) == 0)
        return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' has shape %s, '%s' needs %s", t->name,
                   tw_shape_text(t->n_dims, t->shape, got, sizeof got), e->name,
                   tw_shape_text(e->n_dims, e->shape, expected, sizeof expected));
}

/* A view whose elements share bytes (stride 0) lets a small file ask for a file of any size. */
static tw_status check_span(const tw_tensor *t, tw_error *err) {
    uint64_t span = 1, n = tw_tensor_elements(t);
    for (int i = 0; i < t->n_dims; i++)
        span += (uint64_t)(t->shape[i] - 1) * (uint64_t)t->stride[i];
    if (span >= n || n <= 1 << 20) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' has %llu elements in the place of %llu",
                   t->name, (unsigned long long)n, (unsigned long long)span);
}

/* Every missing tensor is named in a warning; the first one is the error. */
static tw_status report_missing(tw_conversion *c, tw_error *err) {
    char name[256];
    size_t n = 0;
    const tw_schema_entry *first = NULL;
    for (size_t i = 0; i < c->schema.n_entries; i++) {
        const tw_schema_entry *e = &c->schema.entries[i];
        tw_tensor view;
        if (e->optional || tw_origin_find(c->origin, e->name, &view)) continue;
        if (!first) first = e;
        n++;
        tw_log(c->options.hooks, TW_LOG_WARNING, "tensor '%s' is missing",
               tw_origin_expected_name(c->origin, e->name, name, sizeof name));
    }
    tw_status status = tw_origin_missing(c->origin, first->name, err);
    if (n > 1) tw_error_context(err, "%zu tensors missing", n);
    return status;
}

/* The position table, when it was made for another resolution. */
static tw_status resize(tw_conversion *c, const tw_schema_entry *e, tw_tensor *t, tw_error *err) {
    const tw_vision_config *v = &c->metadata.arch.vision;
    int32_t trained = c->position_from;
    if (!trained || strcmp(e->name, "v.position_embd.weight") != 0 || t->shape[1] != e->shape[1])
        return TW_OK;
    tw_log(c->options.hooks, TW_LOG_INFO, "'%s' is resized from %d to %d pixels as %s does it",
           t->name, trained, v->image_size, tw_pos_embed_name(c->options.pos_embed));
    return tw_pos_embed_resize(t, trained / v->patch_size, v->image_size / v->patch_size,
                               c->options.pos_embed, &c->position, err);
}

static tw_status gather(tw_conversion *c, tw_error *err) {
    const tw_arch *arch = &c->metadata.arch;
    int precision = c->options.precision == TW_I8 ? TW_F16 : c->options.precision;
    TW_TRY(tw_schema_build(arch, &c->schema, err));
    c->items = calloc(c->schema.n_entries, sizeof *c->items);
    if (!c->items) return tw_fail_no_memory(err, c->schema.n_entries * sizeof *c->items);
    for (size_t i = 0; i < c->schema.n_entries; i++) {
        const tw_schema_entry *e = &c->schema.entries[i];
        tw_item *it = &c->items[i];
        if (!tw_origin_find(c->origin, e->name, &it->view)) {
            if (!e->optional) return report_missing(c, err);
            continue;
        }
        TW_TRY(check_span(&it->view, err));
        TW_TRY(resize(c, e, &it->view, err));
        TW_TRY(check_shape(e, &it->view, err));
        TW_TRY(tw_stored_type(&it->view, e->matrix, precision, &it->dtype, err));
        it->round_f16 = c->options.round_f16 && tw_is_rounded(arch, e->name);
        if (it->round_f16 && c->options.precision != TW_F32) it->dtype = TW_F16;
    }
    TW_TRY(tw_quantize_plan(c, err));
    TW_TRY(take_logit_scale(c, err));
    return tw_origin_check_unused(c->origin, arch->vision.kind != TW_VISION_NONE,
                                  arch->text.kind != TW_TEXT_NONE, c->options.hooks, err);
}

/* -------------------------------------------------------------------------------------- metadata
 */

static tw_status describe(tw_conversion *c, const char *path, tw_error *err) {
    tw_metadata *m = &c->metadata;
    const char *slash = strrchr(c->file, '/');
    TW_TRY(tw_folder_model_name(path, &c->name, err));
    if (c->options.round_f16) m->provenance.round_f16 = true;
    m->provenance.name = c->name;
    m->provenance.source_file = slash ? slash + 1 : c->file;
    m->provenance.source_sha256 = c->options.source_sha256 ? c->options.source_sha256 : "";
    m->provenance.source_format = tw_checkpoint_format(c->checkpoint);
    m->provenance.converter = "tuwen " TUWEN_VERSION;
    m->tokenizer = c->tokenizer;
    return TW_OK;
}

/* The type that holds most elements of matrices names the file, or int8 when there is any. */
static tw_dtype main_type(const tw_conversion *c) {
    uint64_t n[TW_I8 + 1] = {0}; /* by tw_dtype */
    for (size_t i = 0; i < c->schema.n_entries; i++)
        if (c->schema.entries[i].matrix && c->items[i].view.data)
            n[c->items[i].dtype] += tw_tensor_elements(&c->items[i].view);
    if (n[TW_I8]) return TW_I8;
    if (n[TW_F16] > n[TW_F32] && n[TW_F16] > n[TW_BF16]) return TW_F16;
    return n[TW_BF16] > n[TW_F32] ? TW_BF16 : TW_F32;
}

/* --------------------------------------------------------------------------------------- writing
 */

static tw_status declare(tw_conversion *c, tw_error *err) {
    TW_TRY(tw_gguf_writer_create(&c->writer, err));
    c->metadata.file_type = main_type(c);
    c->metadata.quality = c->options.quality;
    TW_TRY(tw_metadata_put(c->writer, &c->metadata, err));
    for (size_t i = 0; i < c->schema.n_entries; i++) {
        const tw_schema_entry *e = &c->schema.entries[i];
        if (!c->items[i].view.data) continue;
        TW_TRY(c->items[i].dtype == TW_I8 ? tw_quantize_declare(c, i, err)
                                          : tw_gguf_declare(c->writer, e->name, c->items[i].dtype,
                                                            e->n_dims, e->shape, err));
    }
    return TW_OK;
}

static tw_status write_file(tw_conversion *c, const char *path, tw_error *err) {
    size_t n = c->schema.n_entries;
    TW_TRY(declare(c, err));
    TW_TRY(tw_output_open(path, &c->output, err));
    TW_TRY(tw_gguf_writer_begin(c->writer, &c->output, err));
    for (size_t i = 0; i < n; i++) {
        TW_TRY(tw_progress(c->options.hooks, "convert", i, n, err));
        if (!c->items[i].view.data) continue;
        const tw_item *it = &c->items[i];
        TW_TRY(it->dtype == TW_I8
                   ? tw_quantize_stream(c, i, err)
                   : tw_stream_tensor(c->writer, &it->view, it->dtype, it->round_f16, err));
    }
    TW_TRY(tw_gguf_writer_end(c->writer, err));
    TW_TRY(tw_progress(c->options.hooks, "convert", n, n, err));
    return tw_output_commit(&c->output, err);
}

/* ----------------------------------------------------------------------------------------- whole
 */

static tw_status change_resolution(tw_conversion *c, tw_error *err) {
    tw_arch *arch = &c->metadata.arch;
    int32_t before = arch->vision.image_size, after = c->options.resolution;
    if (!after) return TW_OK;
    TW_TRY(tw_change_resolution(arch, after, c->options.pos_embed, &c->metadata.provenance, err));
    if (before != after) c->position_from = before;
    return TW_OK;
}

/* What the tensors are, as what they will be written. */
static tw_status understand(tw_conversion *c, tw_expectation *expected, tw_error *err) {
    size_t first = tw_checkpoint_n_tensors(c->checkpoint);
    size_t n = first + (c->other ? tw_checkpoint_n_tensors(c->other) : 0);
    c->tensors = malloc((n + 1) * sizeof *c->tensors);
    if (!c->tensors) return tw_fail_no_memory(err, n * sizeof *c->tensors);
    for (size_t i = 0; i < n; i++)
        c->tensors[i] = i < first ? tw_checkpoint_tensor(c->checkpoint, i)
                                  : tw_checkpoint_tensor(c->other, i - first);
    TW_TRY(tw_origin_create(c->tensors, n, &c->origin, err));
    TW_TRY(tw_expect_beside(c, expected, err));
    TW_TRY(tw_recognize(c->origin, expected, &c->metadata.arch, err));
    TW_TRY(change_resolution(c, err));
    return gather(c, err);
}

static tw_status convert(tw_conversion *c, const char *checkpoint, const char *path,
                         tw_error *err) {
    tw_expectation expected;
    TW_TRY(tw_expect(c, &expected, err));
    TW_TRY(tw_folder_checkpoint(checkpoint, c->options.hooks, &c->file, err));
    TW_TRY(tw_checkpoint_open(c->file, &c->checkpoint, err));
    TW_TRY(tw_onnx_open_other(c->checkpoint, c->file, &c->options, &c->other, err));
    tw_status status = understand(c, &expected, err);
    if (status != TW_OK) {
        tw_error_context(err, "%s", c->file);
        return status;
    }
    tw_log(c->options.hooks, TW_LOG_INFO, "%s: %s, %s", c->file, tw_origin_family(c->origin)->title,
           c->metadata.arch.name);
    if (c->metadata.arch.text.kind != TW_TEXT_NONE) TW_TRY(tw_load_vocabulary(c, err));
    TW_TRY(tw_settle_recipe(c, err));
    TW_TRY(describe(c, checkpoint, err));
    return write_file(c, path, err);
}

static void release(tw_conversion *c) {
    tw_output_abort(&c->output);
    tw_gguf_writer_free(c->writer);
    free(c->name);
    free(c->file);
    free(c->items);
    free(c->position);
    tw_quantize_free(c);
    tw_schema_free(&c->schema);
    tw_tokenizer_free(c->tokenizer);
    tw_origin_free(c->origin);
    free(c->tensors);
    tw_checkpoint_free(c->checkpoint);
    tw_checkpoint_free(c->other);
}

tw_status tw_convert(const char *checkpoint, const char *path, const tw_convert_options *options,
                     tw_error *err) {
    tw_conversion c = {0};
    tw_status status;
    TW_CHECK(take_options(&c, options, err));
    status = convert(&c, checkpoint, path, err);
done:
    release(&c);
    return status;
}

tw_status tw_convert_sources(const char *checkpoint,
                             tw_status (*each)(void *user, const char *path, tw_error *err),
                             void *user, tw_error *err) {
    char *file;
    TW_TRY(tw_folder_checkpoint(checkpoint, NULL, &file, err));
    tw_status status = tw_checkpoint_each_file(file, each, user, err);
    free(file);
    return status;
}
