/* Checkpoint -> model file. */
#include "base/file.h"
#include "convert/clip_config.h"
#include "convert/config.h"
#include "convert/gguf_config.h"
#include "convert/stream.h"
#include "format/checkpoint.h"
#include "model/arch.h"
#include "model/metadata.h"
#include "model/recognize.h"
#include "model/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A tensor of the model file: where it comes from and what it becomes. */
typedef struct item {
    tw_tensor view;
    tw_dtype dtype;
} item;

typedef struct conversion {
    tw_convert_options options;
    tw_checkpoint *checkpoint;
    const tw_tensor **tensors;
    tw_origin *origin;
    tw_vision_config vision; /* what a configuration says */
    tw_text_config text;
    tw_clip_config clip; /* what open_clip's says; embed_dim 0 = there is none */
    tw_tokenizer *tokenizer;
    tw_bpe_variant bpe_variant;
    tw_schema schema;
    item *items; /* [schema.n_entries]; view.data NULL for an absent optional tensor */
    tw_metadata metadata;
    char *name; /* of the model: the checkpoint's file name without its ending */
    tw_gguf_writer *writer;
    tw_output output;
} conversion;

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ------------------------------------------------------------------------------------- options */

static bool is_hex_digest(const char *s) {
    return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

static tw_status take_options(conversion *c, const tw_convert_options *options, tw_error *err) {
    tw_convert_options *o = &c->options;
    *o = (tw_convert_options)TW_CONVERT_OPTIONS_INIT;
    /* A caller built against an older header has a shorter struct: the rest keeps its default. */
    if (options)
        memcpy(o, options, options->struct_size < sizeof *o ? options->struct_size : sizeof *o);
    if (o->precision != -1 && o->precision != TW_F32 && o->precision != TW_F16 &&
        o->precision != TW_BF16)
        return tw_fail(err, TW_ERR_ARGUMENT, "precision %d, expected f32, f16, bf16 or as stored",
                       o->precision);
    if (o->vision_head_width < 0 || o->text_head_width < 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "head width %d, expected a positive number",
                       o->vision_head_width < 0 ? o->vision_head_width : o->text_head_width);
    if (o->source_sha256 && !is_hex_digest(o->source_sha256))
        return tw_fail(err, TW_ERR_ARGUMENT, "source sha256 is not 64 hex digits");
    return TW_OK;
}

static void expect_clip(const conversion *c, tw_expectation *e) {
    e->vision = &c->clip.vision;
    e->embed_dim = c->clip.embed_dim;
    e->text = &c->clip.text;
    e->clip_activation = c->clip.activation;
}

/* `--arch VISION.json,TEXT.json`: the part before or after the comma, or NULL when empty. */
static tw_status split_paths(const char *arch, char **vision, char **text, tw_error *err) {
    const char *comma = strchr(arch, ',');
    size_t n = comma ? (size_t)(comma - arch) : strlen(arch);
    *vision = strndup(arch, n);
    *text = strdup(comma ? comma + 1 : "");
    return *vision && *text ? TW_OK : tw_fail_no_memory(err, n);
}

static tw_status load_arch_files(conversion *c, tw_expectation *e, tw_error *err) {
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
    e->clip_activation = quick ? TW_QUICK_GELU : TW_GELU_ERF;
    return TW_OK;
}

static tw_status expect(conversion *c, tw_expectation *e, tw_error *err) {
    const tw_convert_options *o = &c->options;
    *e = (tw_expectation){.vision_head_width = o->vision_head_width,
                          .text_head_width = o->text_head_width,
                          .activation = o->activation,
                          .context_length = o->context_length,
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

/* ------------------------------------------------------------------------------------ checkpoint
 */

/* From the file of --vocab. */
static tw_status load_vocab(conversion *c, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(c->options.vocab, (size_t)64 << 20, &data, &n_bytes, err));
    tw_status status = c->metadata.arch.text.kind == TW_TEXT_CLIP
                           ? tw_tokenizer_bpe(data, n_bytes, c->bpe_variant, &c->tokenizer, err)
                           : tw_tokenizer_wordpiece(data, n_bytes, &c->tokenizer, err);
    free(data);
    if (status != TW_OK) tw_error_context(err, "%s", c->options.vocab);
    return status;
}

/* A clip.cpp file lists its tokens, which must be those that the byte pairs make. */
static tw_status check_tokens(conversion *c, tw_error *err) {
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (!g || tw_gguf_is_model(g) || tw_gguf_tokens_agree(g, c->tokenizer)) return TW_OK;
    if (c->options.vocab)
        return tw_fail(err, TW_ERR_MISMATCH, "%s makes other tokens than the checkpoint lists",
                       c->options.vocab);
    tw_tokenizer_free(c->tokenizer);
    c->tokenizer = NULL;
    tw_log(c->options.hooks, TW_LOG_WARNING,
           "the built-in byte pairs make other tokens than the checkpoint lists: the model takes "
           "token ids alone; --vocab with its merges.txt gives it texts");
    return TW_OK;
}

/* The byte pairs of OpenAI's CLIP belong to vocabularies of their size; for another one --vocab can
 * give the merges, and without them a model still takes token ids. */
static tw_status load_bpe(conversion *c, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    if (c->options.vocab)
        TW_TRY(load_vocab(c, err));
    else
        TW_TRY(tw_tokenizer_bpe(NULL, 0, c->bpe_variant, &c->tokenizer, err));
    int32_t n = tw_tokenizer_vocab_size(c->tokenizer);
    if (n == expected) return check_tokens(c, err);
    if (c->options.vocab)
        return tw_fail(err, TW_ERR_MISMATCH, "%s makes %d tokens, the text tower has %d",
                       c->options.vocab, n, expected);
    tw_tokenizer_free(c->tokenizer);
    c->tokenizer = NULL;
    tw_log(c->options.hooks, TW_LOG_WARNING,
           "a vocabulary of %d, the built-in byte pairs make %d: the model takes token ids alone, "
           "the largest of which ends a text; --vocab with its merges.txt gives it texts",
           expected, n);
    return TW_OK;
}

static tw_status load_tokenizer(conversion *c, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g && tw_gguf_is_model(g) && !c->options.vocab)
        return tw_gguf_find(g, "tokenizer.ggml.model")
                   ? tw_metadata_read_tokenizer(g, expected, &c->tokenizer, err)
                   : TW_OK;
    if (c->metadata.arch.text.kind == TW_TEXT_CLIP) return load_bpe(c, err);
    if (c->options.vocab)
        TW_TRY(load_vocab(c, err));
    else
        TW_TRY(tw_tokenizer_wordpiece(NULL, 0, &c->tokenizer, err));
    if (tw_tokenizer_vocab_size(c->tokenizer) == expected) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s has %d entries, the text tower has %d; give its vocab.txt with --vocab",
                   c->options.vocab ? c->options.vocab : "the built-in vocabulary",
                   tw_tokenizer_vocab_size(c->tokenizer), expected);
}

static tw_status take_logit_scale(conversion *c, tw_error *err) {
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
static tw_status report_missing(conversion *c, tw_error *err) {
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

static tw_status gather(conversion *c, tw_error *err) {
    const tw_arch *arch = &c->metadata.arch;
    TW_TRY(tw_schema_build(arch, &c->schema, err));
    c->items = calloc(c->schema.n_entries, sizeof *c->items);
    if (!c->items) return tw_fail_no_memory(err, c->schema.n_entries * sizeof *c->items);
    for (size_t i = 0; i < c->schema.n_entries; i++) {
        const tw_schema_entry *e = &c->schema.entries[i];
        item *it = &c->items[i];
        if (!tw_origin_find(c->origin, e->name, &it->view)) {
            if (!e->optional) return report_missing(c, err);
            continue;
        }
        TW_TRY(check_shape(e, &it->view, err));
        TW_TRY(check_span(&it->view, err));
        TW_TRY(tw_stored_type(&it->view, e->matrix, c->options.precision, &it->dtype, err));
    }
    TW_TRY(take_logit_scale(c, err));
    return tw_origin_check_unused(c->origin, arch->vision.kind != TW_VISION_NONE,
                                  arch->text.kind != TW_TEXT_NONE, c->options.hooks, err);
}

/* -------------------------------------------------------------------------------------- metadata
 */

static tw_status describe(conversion *c, const char *path, tw_error *err) {
    tw_metadata *m = &c->metadata;
    const char *file = base_name(path), *dot = strrchr(file, '.');
    c->name = strndup(file, dot && dot != file ? (size_t)(dot - file) : strlen(file));
    if (!c->name) return tw_fail_no_memory(err, strlen(file));
    m->provenance =
        (tw_provenance){.struct_size = sizeof m->provenance,
                        .name = c->name,
                        .source_file = file,
                        .source_sha256 = c->options.source_sha256 ? c->options.source_sha256 : "",
                        .source_format = tw_checkpoint_format(c->checkpoint),
                        .converter = "tuwen " TUWEN_VERSION};
    m->tokenizer = c->tokenizer;
    return TW_OK;
}

static tw_status take_recipe(conversion *c, tw_error *err) {
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

/* The type that holds most elements of matrices names the file. */
static tw_dtype main_type(const conversion *c) {
    uint64_t n[3] = {0}; /* by tw_dtype: f32, f16, bf16 */
    for (size_t i = 0; i < c->schema.n_entries; i++)
        if (c->schema.entries[i].matrix && c->items[i].view.data)
            n[c->items[i].dtype] += tw_tensor_elements(&c->items[i].view);
    if (n[TW_F16] > n[TW_F32] && n[TW_F16] > n[TW_BF16]) return TW_F16;
    return n[TW_BF16] > n[TW_F32] ? TW_BF16 : TW_F32;
}

/* --------------------------------------------------------------------------------------- writing
 */

static tw_status declare(conversion *c, tw_error *err) {
    TW_TRY(tw_gguf_writer_create(&c->writer, err));
    c->metadata.file_type = main_type(c);
    TW_TRY(tw_metadata_put(c->writer, &c->metadata, err));
    for (size_t i = 0; i < c->schema.n_entries; i++) {
        const tw_schema_entry *e = &c->schema.entries[i];
        if (!c->items[i].view.data) continue;
        TW_TRY(tw_gguf_declare(c->writer, e->name, c->items[i].dtype, e->n_dims, e->shape, err));
    }
    return TW_OK;
}

static tw_status write_file(conversion *c, const char *path, tw_error *err) {
    size_t n = c->schema.n_entries;
    TW_TRY(declare(c, err));
    TW_TRY(tw_output_open(path, &c->output, err));
    TW_TRY(tw_gguf_writer_begin(c->writer, &c->output, err));
    for (size_t i = 0; i < n; i++) {
        TW_TRY(tw_progress(c->options.hooks, "convert", i, n, err));
        if (!c->items[i].view.data) continue;
        TW_TRY(tw_stream_tensor(c->writer, &c->items[i].view, c->items[i].dtype, err));
    }
    TW_TRY(tw_gguf_writer_end(c->writer, err));
    TW_TRY(tw_progress(c->options.hooks, "convert", n, n, err));
    return tw_output_commit(&c->output, err);
}

/* The configuration `name` in the checkpoint's folder, where releases have it. */
static tw_status look_beside(conversion *c, const char *checkpoint, const char *name,
                             tw_expectation *e, tw_error *err) {
    size_t n_folder = (size_t)(base_name(checkpoint) - checkpoint), n_name = strlen(name) + 1;
    char *path = malloc(n_folder + n_name);
    bool found = false;
    tw_status status = TW_OK;
    if (!path) return tw_fail_no_memory(err, n_folder + n_name);
    memcpy(path, checkpoint, n_folder);
    memcpy(path + n_folder, name, n_name);
    if (access(path, F_OK) == 0) TW_CHECK(tw_clip_config_load(path, &c->clip, &found, err));
    if (found) expect_clip(c, e);
done:
    free(path);
    return status;
}

/* What a GGUF file says of itself. */
static tw_status expect_gguf(conversion *c, const tw_gguf *g, tw_expectation *e, tw_error *err) {
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
    c->bpe_variant = tw_gguf_bpe_variant(g);
    if (!tw_gguf_is_model(g))
        tw_log(c->options.hooks, TW_LOG_INFO,
               "a clip.cpp file has no logit scale: ln(100) is taken, as clip.cpp does");
    return TW_OK;
}

/* What stands beside the tensors about a CLIP model. */
static tw_status expect_more(conversion *c, const char *checkpoint, tw_expectation *e,
                             tw_error *err) {
    int64_t resolution;
    const tw_family *f = tw_origin_family(c->origin);
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g) return expect_gguf(c, g, e, err);
    if (f->text_kind != TW_TEXT_CLIP) return TW_OK;
    e->openai = tw_checkpoint_int(c->checkpoint, "input_resolution", &resolution);
    c->bpe_variant = e->openai || f->activation ? TW_BPE_OPENAI : TW_BPE_OPEN_CLIP;
    if (e->openai || f->activation || e->vision) return TW_OK;
    TW_TRY(look_beside(c, checkpoint, "open_clip_config.json", e, err));
    return e->vision ? TW_OK : look_beside(c, checkpoint, "config.json", e, err);
}

/* What the tensors are, as what they will be written. */
static tw_status understand(conversion *c, const char *checkpoint, tw_expectation *expected,
                            tw_error *err) {
    size_t n = tw_checkpoint_n_tensors(c->checkpoint);
    c->tensors = malloc((n + 1) * sizeof *c->tensors);
    if (!c->tensors) return tw_fail_no_memory(err, n * sizeof *c->tensors);
    for (size_t i = 0; i < n; i++)
        c->tensors[i] = tw_checkpoint_tensor(c->checkpoint, i);
    TW_TRY(tw_origin_create(c->tensors, n, &c->origin, err));
    TW_TRY(expect_more(c, checkpoint, expected, err));
    TW_TRY(tw_recognize(c->origin, expected, &c->metadata.arch, err));
    return gather(c, err);
}

static tw_status convert(conversion *c, const char *checkpoint, const char *path, tw_error *err) {
    tw_expectation expected;
    TW_TRY(expect(c, &expected, err));
    TW_TRY(tw_checkpoint_open(checkpoint, &c->checkpoint, err));
    tw_status status = understand(c, checkpoint, &expected, err);
    if (status != TW_OK) {
        tw_error_context(err, "%s", checkpoint);
        return status;
    }
    tw_log(c->options.hooks, TW_LOG_INFO, "%s: %s, %s", checkpoint,
           tw_origin_family(c->origin)->title, c->metadata.arch.name);
    if (c->metadata.arch.text.kind != TW_TEXT_NONE) TW_TRY(load_tokenizer(c, err));
    TW_TRY(take_recipe(c, err));
    TW_TRY(describe(c, checkpoint, err));
    return write_file(c, path, err);
}

static void release(conversion *c) {
    tw_output_abort(&c->output);
    tw_gguf_writer_free(c->writer);
    free(c->name);
    free(c->items);
    tw_schema_free(&c->schema);
    tw_tokenizer_free(c->tokenizer);
    tw_origin_free(c->origin);
    free(c->tensors);
    tw_checkpoint_free(c->checkpoint);
}

tw_status tw_convert(const char *checkpoint, const char *path, const tw_convert_options *options,
                     tw_error *err) {
    conversion c = {0};
    tw_status status;
    TW_CHECK(take_options(&c, options, err));
    status = convert(&c, checkpoint, path, err);
done:
    release(&c);
    return status;
}
