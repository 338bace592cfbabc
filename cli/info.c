/* tuwen info: everything a model file says about itself. */
#include "int8_quality.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct info {
    cli_compute compute;
    bool json, tensors;
    cli_texts operands;
    tw_buffer out;
} info;

#define AT(field) offsetof(info, field)
static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, "FILE", "model file (default the operand, then $TUWEN_MODEL)",
     AT(compute.model), 0, 0},
    {"tensors", 0, CLI_FLAG, NULL, "list all tensors", AT(tensors), 0, 0},
    {"json", 0, CLI_FLAG, NULL, "JSON on standard output", AT(json), 0, 0},
    {0}};
#undef AT

static const char *shape_of(int n_dims, const int64_t *shape, char *buf, size_t n_bytes) {
    size_t n = (size_t)snprintf(buf, n_bytes, "[");
    for (int i = 0; i < n_dims && n < n_bytes; i++)
        n += (size_t)snprintf(buf + n, n_bytes - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (n < n_bytes) snprintf(buf + n, n_bytes - n, "]");
    return buf;
}

/* "40 f32, 120 f16": how many tensors of each type. */
static void describe_precision(const tw_model_size *s, char *buf, size_t n_bytes) {
    const struct {
        const char *name;
        uint64_t n;
    } types[] = {{"f32", s->n_tensors_f32},
                 {"f16", s->n_tensors_f16},
                 {"bf16", s->n_tensors_bf16},
                 {"int8", s->n_tensors_i8}};
    size_t n = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].n)
            n += (size_t)snprintf(buf + n, n_bytes - n, "%s%llu %s", n ? ", " : "",
                                  (unsigned long long)types[i].n, types[i].name);
}

static void put_vision(tw_buffer *b, const tw_vision_config *v) {
    if (v->kind == TW_VISION_NONE) {
        cli_put_field(b, "image tower", "none");
        return;
    }
    if (v->kind == TW_VISION_VIT)
        cli_put_field(b, "image tower",
                      "ViT, %d blocks, width %d, %d heads of %d, MLP %d, patch %d", v->n_layers,
                      v->width, v->n_heads, v->head_width, v->mlp_width, v->patch_size);
    else
        cli_put_field(b, "image tower",
                      "ModifiedResNet, stages %d-%d-%d-%d, width %d, attention "
                      "pool with %d heads of %d",
                      v->stages[0], v->stages[1], v->stages[2], v->stages[3], v->width, v->n_heads,
                      v->head_width);
    cli_put_field(b, "", "picture %d x %d, %s, norm eps %g", v->image_size, v->image_size,
                  tw_activation_name(v->activation), (double)v->norm_eps);
}

static void put_text_tower(tw_buffer *b, const tw_text_config *t) {
    if (t->kind == TW_TEXT_NONE) {
        cli_put_field(b, "text tower", "none");
        return;
    }
    bool bert = t->kind == TW_TEXT_BERT;
    char types[32] = "";
    if (bert) snprintf(types, sizeof types, ", token types %d", t->n_token_types);
    cli_put_field(b, "text tower", "%s, %d layers, width %d, %d heads, MLP %d",
                  bert ? "BERT" : "CLIP", t->n_layers, t->width, t->n_heads, t->mlp_width);
    cli_put_field(b, "", "vocabulary %d, positions %d%s, %s, norm eps %g", t->vocab_size,
                  t->n_positions, types, tw_activation_name(t->activation), (double)t->norm_eps);
}

static void put_recipe(tw_buffer *b, const tw_recipe *r) {
    char text[160];
    cli_describe_recipe(r, text, sizeof text);
    cli_put_field(b, "recipe", "%s", text);
    cli_put_field(b, "", "crop rounding %s", tw_crop_rounding_name(r->crop_rounding));
    cli_put_field(b, "", "mean %.8g %.8g %.8g", (double)r->mean[0], (double)r->mean[1],
                  (double)r->mean[2]);
    cli_put_field(b, "", "std %.8g %.8g %.8g", (double)r->std[0], (double)r->std[1],
                  (double)r->std[2]);
}

static void put_text(info *v, const tw_model *m) {
    tw_buffer *b = &v->out;
    const tw_arch *a = tw_model_arch(m);
    tw_provenance p = {.struct_size = sizeof p};
    tw_model_size s = {.struct_size = sizeof s};
    tw_model_provenance(m, &p);
    tw_model_get_size(m, &s);
    char precision[64];
    describe_precision(&s, precision, sizeof precision);
    cli_put_field(b, "file", "%s", tw_model_path(m));
    cli_put_field(b, "name", "%s", p.name);
    cli_put_field(b, "architecture", "%s, embedding %d", a->name, a->embed_dim);
    put_vision(b, &a->vision);
    if (p.trained_size)
        cli_put_field(b, "", "position table resized from picture %d x %d as %s does it",
                      p.trained_size, p.trained_size, tw_pos_embed_name(p.pos_embed));
    put_text_tower(b, &a->text);
    if (a->vision.kind != TW_VISION_NONE) put_recipe(b, tw_model_recipe(m));
    if (tw_model_tokenizer(m))
        cli_put_field(b, "tokenizer", "%s, %d entries, context length %d",
                      tw_tokenizer_kind(tw_model_tokenizer(m)),
                      tw_tokenizer_vocab_size(tw_model_tokenizer(m)), a->text.context_length);
    cli_put_field(b, "logit scale", "%.8g (exp %.8g)", (double)tw_model_logit_scale(m),
                  exp((double)tw_model_logit_scale(m)));
    cli_put_field(b, "parameters", "%llu (image %llu, text %llu)",
                  (unsigned long long)s.n_parameters, (unsigned long long)s.n_vision_parameters,
                  (unsigned long long)s.n_text_parameters);
    cli_put_field(b, "tensors", "%llu: %s", (unsigned long long)s.n_tensors, precision);
    cli_put_quality(b, m);
    if (p.round_f16) cli_put_field(b, "", "rounded to f16 as the original's loader does");
    cli_put_field(b, "size", "%.1f MB of weights, %.1f MB file", (double)s.weight_bytes / 1e6,
                  (double)s.file_bytes / 1e6);
    cli_put_field(b, "source", "%s%s%s%s", p.source_file[0] ? p.source_file : "not recorded",
                  p.source_format[0] ? " (" : "", p.source_format, p.source_format[0] ? ")" : "");
    if (p.source_sha256[0]) cli_put_field(b, "source SHA-256", "%s", p.source_sha256);
    if (p.converter[0]) cli_put_field(b, "converter", "%s", p.converter);
    for (uint64_t i = 0; v->tensors && i < s.n_tensors; i++) {
        const char *name;
        tw_dtype dtype;
        int n_dims;
        int64_t shape[4];
        char text[96];
        if (!tw_model_tensor(m, i, &name, &dtype, &n_dims, shape)) break;
        tw_buffer_puts(b, i ? "" : "\n");
        cli_put_cell(b, tw_dtype_name(dtype), 5, false, false);
        cli_put_cell(b, shape_of(n_dims, shape, text, sizeof text), 22, false, false);
        tw_buffer_printf(b, " %s\n", name);
    }
}

static void json_vision(tw_buffer *b, const tw_vision_config *v) {
    tw_buffer_puts(b, ", \"vision\": ");
    if (v->kind == TW_VISION_NONE) {
        tw_buffer_puts(b, "null");
        return;
    }
    tw_buffer_puts(b, "{");
    cli_json_member(b, "kind", v->kind == TW_VISION_VIT ? "vit" : "resnet");
    cli_json_number(b, "image_size", v->image_size);
    cli_json_number(b, "width", v->width);
    if (v->kind == TW_VISION_VIT) {
        cli_json_number(b, "patch_size", v->patch_size);
        cli_json_number(b, "layers", v->n_layers);
        cli_json_number(b, "mlp_width", v->mlp_width);
    } else {
        tw_buffer_printf(b, ", \"stages\": [%d, %d, %d, %d]", v->stages[0], v->stages[1],
                         v->stages[2], v->stages[3]);
    }
    cli_json_number(b, "heads", v->n_heads);
    cli_json_number(b, "head_width", v->head_width);
    cli_json_member(b, "activation", tw_activation_name(v->activation));
    cli_json_float(b, "norm_eps", v->norm_eps);
    tw_buffer_puts(b, "}");
}

static void json_text(tw_buffer *b, const tw_text_config *t) {
    tw_buffer_puts(b, ", \"text\": ");
    if (t->kind == TW_TEXT_NONE) {
        tw_buffer_puts(b, "null");
        return;
    }
    tw_buffer_puts(b, "{");
    cli_json_member(b, "kind", t->kind == TW_TEXT_BERT ? "bert" : "clip");
    cli_json_number(b, "vocab_size", t->vocab_size);
    cli_json_number(b, "width", t->width);
    cli_json_number(b, "layers", t->n_layers);
    cli_json_number(b, "heads", t->n_heads);
    cli_json_number(b, "mlp_width", t->mlp_width);
    cli_json_number(b, "positions", t->n_positions);
    if (t->kind == TW_TEXT_BERT) cli_json_number(b, "token_types", t->n_token_types);
    cli_json_number(b, "context_length", t->context_length);
    cli_json_member(b, "activation", tw_activation_name(t->activation));
    cli_json_float(b, "norm_eps", t->norm_eps);
    tw_buffer_puts(b, "}");
}

static void json_size(tw_buffer *b, const tw_model *m) {
    tw_model_size s = {.struct_size = sizeof s};
    tw_model_get_size(m, &s);
    tw_buffer_puts(b, ", \"parameters\": {");
    cli_json_number(b, "total", (double)s.n_parameters);
    cli_json_number(b, "visual", (double)s.n_vision_parameters);
    cli_json_number(b, "text", (double)s.n_text_parameters);
    tw_buffer_puts(b, "}, \"precision\": {");
    cli_json_number(b, "f32", (double)s.n_tensors_f32);
    cli_json_number(b, "f16", (double)s.n_tensors_f16);
    cli_json_number(b, "bf16", (double)s.n_tensors_bf16);
    cli_json_number(b, "int8", (double)s.n_tensors_i8);
    tw_buffer_puts(b, "}");
    cli_json_number(b, "tensors", (double)s.n_tensors);
    tw_buffer_printf(b, ", \"weight_bytes\": %llu, \"file_bytes\": %llu",
                     (unsigned long long)s.weight_bytes, (unsigned long long)s.file_bytes);
}

static void json_tensors(tw_buffer *b, const tw_model *m) {
    const char *name;
    tw_dtype dtype;
    int n_dims;
    int64_t shape[4];
    char text[96];
    tw_buffer_puts(b, ", \"tensor_list\": [");
    for (uint64_t i = 0; tw_model_tensor(m, i, &name, &dtype, &n_dims, shape); i++) {
        tw_buffer_puts(b, i ? ", {" : "{");
        cli_json_member(b, "name", name);
        cli_json_member(b, "dtype", tw_dtype_name(dtype));
        tw_buffer_printf(b, ", \"shape\": %s}", shape_of(n_dims, shape, text, sizeof text));
    }
    tw_buffer_puts(b, "]");
}

static void put_json(info *v, const tw_model *m) {
    tw_buffer *b = &v->out;
    const tw_arch *a = tw_model_arch(m);
    tw_provenance p = {.struct_size = sizeof p};
    tw_model_provenance(m, &p);
    tw_buffer_puts(b, "{");
    cli_json_member(b, "file", tw_model_path(m));
    cli_json_member(b, "name", p.name);
    cli_json_member(b, "architecture", a->name);
    cli_json_number(b, "embed_dim", a->embed_dim);
    json_vision(b, &a->vision);
    json_text(b, &a->text);
    tw_buffer_puts(b, ", \"recipe\": ");
    if (a->vision.kind != TW_VISION_NONE)
        cli_json_recipe(b, tw_model_recipe(m));
    else
        tw_buffer_puts(b, "null");
    tw_buffer_puts(b, ", \"tokenizer\": ");
    if (tw_model_tokenizer(m))
        tw_buffer_printf(b, "{\"kind\": \"%s\", \"vocab_size\": %d}",
                         tw_tokenizer_kind(tw_model_tokenizer(m)),
                         tw_tokenizer_vocab_size(tw_model_tokenizer(m)));
    else
        tw_buffer_puts(b, "null");
    cli_json_float(b, "logit_scale", tw_model_logit_scale(m));
    cli_json_number(b, "exp_logit_scale", exp((double)tw_model_logit_scale(m)));
    json_size(b, m);
    tw_buffer_puts(b, ", \"provenance\": {");
    cli_json_member(b, "source_file", p.source_file);
    cli_json_member(b, "source_sha256", p.source_sha256);
    cli_json_member(b, "source_format", p.source_format);
    cli_json_member(b, "converter", p.converter);
    if (p.round_f16) tw_buffer_puts(b, ", \"round_f16\": true");
    if (p.trained_size) {
        cli_json_number(b, "trained_size", p.trained_size);
        cli_json_member(b, "pos_embed", tw_pos_embed_name(p.pos_embed));
    }
    tw_buffer_puts(b, "}");
    cli_json_quality(b, m);
    if (v->tensors) json_tensors(b, m);
    tw_buffer_puts(b, "}\n");
}

static int run(const cli_verb *verb, int argc, char **argv) {
    info v = {0};
    const cli_group groups[] = {{options, &v}, {0}};
    tw_model *model = NULL;
    int status = cli_parse(verb, groups, argc, argv, &v.operands);
    if (status == CLI_CONTINUE && v.operands.n + (v.compute.model != NULL) > 1) {
        cli_error("expected one model file");
        status = CLI_USAGE;
    }
    if (v.operands.n) v.compute.model = v.operands.items[0];
    if (status == CLI_CONTINUE) status = cli_open_model(&v.compute, &model);
    if (status == CLI_CONTINUE) {
        if (v.json)
            put_json(&v, model);
        else
            put_text(&v, model);
        status = cli_print(&v.out);
        if (status == CLI_CONTINUE) status = CLI_DONE;
    }
    tw_model_free(model);
    tw_buffer_free(&v.out);
    free(v.operands.items);
    return status;
}

const cli_verb cli_info = {
    .name = "info",
    .summary = "what a model file holds",
    .usage = "MODEL [options]",
    .about = "Architecture, towers, recipe, tokenizer, precision, parameters, where it came from.",
    .example = "tuwen info model.gguf",
    .run = run,
};
