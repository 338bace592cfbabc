/* Opening a model file, and what can be asked of an open one. */
#include "model/model.h"

#include "base/size.h"
#include "format/gguf/gguf.h"
#include "model/int8.h"
#include "model/metadata.h"
#include "model/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tw_pos_embed_name(tw_pos_embed v) {
    static const char *const names[] = {"none", "chinese-clip", "open-clip", "hugging-face"};
    return (unsigned)v < TW_COUNT(names) ? names[v] : "?";
}

const char *tw_activation_name(tw_activation v) {
    switch (v) {
    case TW_ACT_NONE:
        return "none";
    case TW_QUICK_GELU:
        return "quick_gelu";
    case TW_GELU_ERF:
        return "gelu";
    case TW_RELU:
        return "relu";
    }
    return "?";
}

/* ------------------------------------------------------------------------------------- binding */

/* The one look-up of a weight: name, type and shape are right or the file is refused. */
static tw_status bind_tensor(const tw_gguf *g, const tw_schema_entry *entry, tw_tensor *slot,
                             tw_error *err) {
    const tw_gguf_tensor *t = tw_gguf_find_tensor(g, entry->name);
    char expected[96], got[96];
    if (!t && entry->optional) return TW_OK;
    if (!t) return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' is missing", entry->name);
    bool int8 = t->view.dtype == TW_I8 && entry->int8;
    if (!t->view.data ||
        (t->view.dtype != TW_F32 && t->view.dtype != TW_F16 && t->view.dtype != TW_BF16 && !int8))
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "tensor '%s' has the ggml type %u, expected f32, f16%s", entry->name,
                       t->ggml_type, entry->int8 ? ", bf16 or i8" : " or bf16");
    if (t->view.n_dims != entry->n_dims ||
        memcmp(t->view.shape, entry->shape, (size_t)entry->n_dims * sizeof *entry->shape))
        return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' has shape %s, expected %s", entry->name,
                       tw_shape_text(t->view.n_dims, t->view.shape, got, sizeof got),
                       tw_shape_text(entry->n_dims, entry->shape, expected, sizeof expected));
    *slot = t->view;
    return int8 ? tw_int8_bind(g, entry, slot, err) : TW_OK;
}

static tw_status bind_weights(tw_model *m, tw_error *err) {
    tw_schema schema = {0};
    tw_status status;
    TW_CHECK(tw_schema_build(&m->arch, &schema, err));
    TW_CHECK(tw_weights_allocate(&m->arch, &m->vision, &m->text, err));
    for (size_t i = 0; i < schema.n_entries; i++)
        TW_CHECK(bind_tensor(m->gguf, &schema.entries[i],
                             tw_schema_slot(&schema.entries[i], &m->vision, &m->text), err));
    if (m->arch.vision.kind == TW_VISION_VIT && !m->vision.projection.data &&
        m->arch.vision.width != m->arch.embed_dim)
        status = tw_fail(err, TW_ERR_FORMAT, "tensor 'visual_projection.weight' is missing");
    if (status == TW_OK) status = tw_int8_check(m, err);
done:
    tw_schema_free(&schema);
    return status;
}

/* ------------------------------------------------------------------------------------- opening */

static tw_status parse(tw_model *m, const void *data, size_t n_bytes, tw_error *err) {
    tw_metadata metadata;
    TW_TRY(tw_gguf_parse(data, n_bytes, &m->gguf, err));
    TW_TRY(tw_metadata_read(m->gguf, &metadata, err));
    m->arch = metadata.arch;
    m->recipe = metadata.recipe;
    m->logit_scale = metadata.logit_scale;
    m->file_bytes = n_bytes;
    TW_TRY(tw_metadata_read_provenance(m->gguf, &m->provenance, &m->provenance_text, err));
    TW_TRY(tw_metadata_read_quality(m->gguf, &m->quality, &m->quality_text, err));
    /* Weights before the tokenizer: the table of embeddings proves the size of the vocabulary. */
    TW_TRY(bind_weights(m, err));
    if (m->arch.text.kind == TW_TEXT_NONE) return TW_OK;
    if (m->arch.text.kind == TW_TEXT_CLIP && !tw_gguf_find(m->gguf, "tokenizer.ggml.model"))
        return TW_OK;
    return tw_metadata_read_tokenizer(m->gguf, m->arch.text.vocab_size, &m->tokenizer, err);
}

tw_status tw_model_parse(const void *data, size_t n_bytes, tw_model **out, tw_error *err) {
    *out = NULL;
    tw_model *m = calloc(1, sizeof *m);
    if (!m) return tw_fail_no_memory(err, sizeof *m);
    tw_status status;
    m->path = strdup("");
    if (!m->path) {
        status = tw_fail_no_memory(err, 1);
        goto done;
    }
    TW_CHECK(parse(m, data, n_bytes, err));
    *out = m;
    m = NULL;
done:
    tw_model_free(m);
    return status;
}

tw_status tw_model_open(const char *path, tw_model **out, tw_error *err) {
    *out = NULL;
    tw_model *m = calloc(1, sizeof *m);
    if (!m) return tw_fail_no_memory(err, sizeof *m);
    tw_status status;
    m->path = strdup(path);
    if (!m->path) {
        status = tw_fail_no_memory(err, strlen(path) + 1);
        goto done;
    }
    TW_CHECK(tw_map_file(path, &m->file, err));
    status = parse(m, m->file.data, m->file.n_bytes, err);
    if (status != TW_OK) {
        tw_error_context(err, "%s", path);
        goto done;
    }
    *out = m;
    m = NULL;
done:
    tw_model_free(m);
    return status;
}

void tw_model_free(tw_model *model) {
    if (!model) return;
    tw_weights_free(&model->vision, &model->text);
    tw_tokenizer_free(model->tokenizer);
    tw_gguf_free(model->gguf);
    tw_unmap_file(&model->file);
    free(model->provenance_text);
    free(model->quality_text);
    free(model->path);
    free(model);
}

/* ----------------------------------------------------------------------------------- accessors */

const tw_arch *tw_model_arch(const tw_model *model) {
    return &model->arch;
}
const tw_recipe *tw_model_recipe(const tw_model *model) {
    return &model->recipe;
}
const tw_tokenizer *tw_model_tokenizer(const tw_model *model) {
    return model->tokenizer;
}
float tw_model_logit_scale(const tw_model *model) {
    return model->logit_scale;
}
const char *tw_model_path(const tw_model *model) {
    return model->path;
}

/* Copies as much of a struct as the caller's version of it has; 0 means this version's. */
static void copy_out(void *out, size_t out_bytes, const void *in, size_t in_bytes) {
    size_t n = out_bytes != 0 && out_bytes < in_bytes ? out_bytes : in_bytes;
    if (n <= sizeof(size_t)) return;
    memcpy((char *)out + sizeof(size_t), (const char *)in + sizeof(size_t), n - sizeof(size_t));
}

void tw_model_provenance(const tw_model *model, tw_provenance *out) {
    copy_out(out, out->struct_size, &model->provenance, sizeof model->provenance);
}

bool tw_model_int8_quality(const tw_model *model, tw_int8_quality *out) {
    if (model->quality.struct_size == 0) return false;
    copy_out(out, out->struct_size, &model->quality, sizeof model->quality);
    return true;
}

static bool starts_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The running statistics of a batch norm are state, not parameters: the counts that the models'
 * authors publish leave them out. What stands beside int8 matrices is part of how they are stored.
 */
static bool is_no_parameter(const char *name) {
    static const char *const endings[] = {".bn.mean", ".bn.var", ".scale", ".smooth"};
    for (size_t i = 0, n = strlen(name); i < TW_COUNT(endings); i++)
        if (n > strlen(endings[i]) && strcmp(name + n - strlen(endings[i]), endings[i]) == 0)
            return true;
    return false;
}

void tw_model_get_size(const tw_model *model, tw_model_size *out) {
    tw_model_size size = {.n_tensors = tw_gguf_n_tensors(model->gguf),
                          .n_parameters = 1,
                          .file_bytes = model->file_bytes}; /* 1: the logit scale */
    for (size_t i = 0; i < size.n_tensors; i++) {
        const tw_gguf_tensor *t = tw_gguf_tensor_at(model->gguf, i);
        uint64_t n = is_no_parameter(t->view.name) ? 0 : tw_tensor_elements(&t->view);
        size.n_parameters += n;
        if (starts_with(t->view.name, "v.") || starts_with(t->view.name, "visual_projection."))
            size.n_vision_parameters += n;
        else
            size.n_text_parameters += n;
        size.weight_bytes += t->n_bytes;
        size.n_tensors_f32 += t->view.dtype == TW_F32;
        size.n_tensors_f16 += t->view.dtype == TW_F16;
        size.n_tensors_bf16 += t->view.dtype == TW_BF16;
        size.n_tensors_i8 += t->view.dtype == TW_I8;
    }
    copy_out(out, out->struct_size, &size, sizeof size);
}

bool tw_model_tensor(const tw_model *model, uint64_t index, const char **name, tw_dtype *dtype,
                     int *n_dims, int64_t shape[4]) {
    if (index >= tw_gguf_n_tensors(model->gguf)) return false;
    const tw_tensor *t = &tw_gguf_tensor_at(model->gguf, (size_t)index)->view;
    *name = t->name;
    *dtype = t->dtype;
    *n_dims = t->n_dims;
    memcpy(shape, t->shape, (size_t)t->n_dims * sizeof *shape);
    return true;
}
