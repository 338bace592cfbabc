/* tuwen convert: a checkpoint into a model file. */
#include "int8_gate.h"
#include "int8_quality.h"
#include "output.h"
#include "session.h"
#include "sha256.h"
#include "summary.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct convert {
    cli_report report;
    cli_recipe recipe;
    cli_gate gate;
    const char *checkpoint, *output, *arch, *vision_config, *text_config, *vocab, *onnx_text;
    int precision, head_width, text_head_width, activation, context_length, resolution, pos_embed;
    bool vision_only, text_only, no_hash, round_f16;
    cli_texts operands;
    char sha256[CLI_SHA256_HEX];
} convert;

#define AT(field) offsetof(convert, field)
static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, "M.gguf", "the model file to write", AT(output), 0, 0},
    {"precision", 0, CLI_CHOICE, "f32|f16|bf16|int8", "of the weights (as stored)", AT(precision),
     0, 0},
    {"calibrate", 0, CLI_TEXT, "SET", "int8: what f32 and int8 are compared on (built-in inputs)",
     AT(gate.calibrate), 0, 0},
    {"labels", 0, CLI_TEXT, "FILE", "of SET's class folders, one a line: top-1 is compared too",
     AT(gate.labels.file), 0, 0},
    {"templates", 0, CLI_TEXT, "FILE", "prompt templates for them, as of eval zeroshot",
     AT(gate.labels.templates), 0, 0},
    {"template-set", 0, CLI_TEXT, "NAME", NULL, AT(gate.labels.template_set), 0, 0},
    {"force", 0, CLI_FLAG, NULL, "int8: write it even when it is too far from f32", AT(gate.force),
     0, 0},
    {"round-f16", 0, CLI_FLAG, NULL, "round to f16 what the original's loader does", AT(round_f16),
     0, 0},
    {"arch", 0, CLI_TEXT, "ARCH", "ViT-B-16, RN50 …, V.json,T.json or open_clip's .json", AT(arch),
     0, 0},
    {"vision-config", 0, CLI_TEXT, "FILE", "image tower, as Chinese-CLIP's model_configs",
     AT(vision_config), 0, 0},
    {"text-config", 0, CLI_TEXT, "FILE", "text tower, likewise", AT(text_config), 0, 0},
    {"head-width", 0, CLI_INT, "N", "of the image tower's attention", AT(head_width), 1, 4096},
    {"text-head-width", 0, CLI_INT, "N", "of the text tower's attention", AT(text_head_width), 1,
     4096},
    {"activation", 0, CLI_CHOICE, "quick_gelu|gelu", "of a ViT and CLIP's text tower",
     AT(activation), 0, 0},
    {"resolution", 0, CLI_INT, "R", "pixels a side (the checkpoint's)", AT(resolution), 1, 4096},
    {"pos-embed", 0, CLI_CHOICE, "chinese-clip|open-clip|hugging-face",
     "resize the position table as", AT(pos_embed), 0, 0},
    {"vocab", 0, CLI_TEXT, "FILE", "vocab.txt, merges.txt or tokenizer.json (built in)", AT(vocab),
     0, 0},
    {"onnx-text", 0, CLI_TEXT, "FILE", "beside X.img.fp32.onnx: the text tower (X.txt.fp32.onnx)",
     AT(onnx_text), 0, 0},
    {"context-length", 0, CLI_INT, "L", "tokens a text may have (52; CLIP: all)",
     AT(context_length), 2, 512},
    {"vision-only", 0, CLI_FLAG, NULL, "leave the text tower out", AT(vision_only), 0, 0},
    {"text-only", 0, CLI_FLAG, NULL, "leave the image tower out", AT(text_only), 0, 0},
    {"no-hash", 0, CLI_FLAG, NULL, "do not record the checkpoint's SHA-256", AT(no_hash), 0, 0},
    {"model-arch", 0, CLI_TEXT, "NAME", NULL, AT(arch), 0, 0},
    {"pytorch-ckpt-path", 0, CLI_TEXT, "FILE", NULL, AT(checkpoint), 0, 0},
    {"pytorch-ckpt", 0, CLI_TEXT, "FILE", NULL, AT(checkpoint), 0, 0},
    {"convert-text", 0, CLI_REPLACED,
     "both towers are converted; --text-only leaves the image tower out", NULL, 0, 0, 0},
    {"convert-vision", 0, CLI_REPLACED,
     "both towers are converted; --vision-only leaves the text tower out", NULL, 0, 0, 0},
    {"save-onnx-path", 0, CLI_REPLACED,
     "use -o M.gguf: one file for both towers; then tuwen export M.gguf -o PREFIX writes ONNX",
     NULL, 0, 0, 0},
    {"download-root", 0, CLI_REPLACED,
     "give the checkpoint's path; tuwen pull NAME --folder DIR downloads and converts", NULL, 0, 0,
     0},
    {0}};
#undef AT

enum { BF16_WORD = 3, INT8_WORD = 4 }; /* of --precision */

static int check_usage(convert *c) {
    if (c->operands.n + (c->checkpoint != NULL) != 1)
        cli_error("expected one checkpoint, got %zu", c->operands.n + (c->checkpoint != NULL));
    else if (!c->output)
        cli_error("no output: give -o M.gguf");
    else if (strcmp(c->output, "-") == 0)
        cli_error("-o -: a model file is mapped when it is used, so it needs a name");
    else if (c->vision_only && c->text_only)
        cli_error("--vision-only and --text-only exclude each other");
    else if (c->text_only && c->resolution)
        cli_error("--resolution is about the image tower, which --text-only leaves out");
    else if (c->pos_embed && !c->resolution)
        cli_error("--pos-embed goes with --resolution R");
    else if (c->round_f16 && c->precision >= BF16_WORD)
        cli_error("--round-f16 and --precision %s: one or the other, the latter rounds more",
                  c->precision == INT8_WORD ? "int8" : "bf16");
    else if ((c->gate.calibrate || c->gate.force) && c->precision != INT8_WORD)
        cli_error("--calibrate and --force go with --precision int8");
    else if (c->gate.labels.file && !c->gate.calibrate)
        cli_error("--labels goes with --calibrate, pictures in class folders");
    else if (c->gate.labels.file && (c->vision_only || c->text_only))
        cli_error("--labels needs both towers, which --%s-only does not leave",
                  c->vision_only ? "vision" : "text");
    else if ((c->gate.labels.templates || c->gate.labels.template_set) && !c->gate.labels.file)
        cli_error("--templates and --template-set go with --labels");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static tw_status hash(convert *c, tw_error *err) {
    if (c->no_hash) return TW_OK;
    cli_work_begin("hash", 0);
    tw_status status = cli_sha256_checkpoint(c->checkpoint, cli_hooks(), c->sha256, err);
    cli_work_end();
    return status;
}

static tw_convert_options take_options(const convert *c, const tw_recipe *recipe) {
    static const int precisions[] = {-1, TW_F32, TW_F16, TW_BF16, TW_I8};
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.arch = c->arch;
    o.vision_config = c->vision_config;
    o.text_config = c->text_config;
    o.vision_head_width = c->head_width;
    o.text_head_width = c->text_head_width;
    o.activation = (tw_activation)c->activation; /* word 1 is quick_gelu, 2 is gelu */
    o.vocab = c->vocab;
    o.recipe_fields = cli_recipe_fields(&c->recipe);
    o.recipe = o.recipe_fields ? recipe : NULL;
    o.onnx_text = c->onnx_text;
    o.precision = precisions[c->precision];
    o.vision_only = c->vision_only;
    o.text_only = c->text_only;
    o.context_length = c->context_length;
    o.round_f16 = c->round_f16;
    o.resolution = c->resolution;
    o.pos_embed = (tw_pos_embed)c->pos_embed; /* its words in this order, from 1 */
    o.source_sha256 = c->no_hash ? NULL : c->sha256;
    o.hooks = cli_hooks();
    return o;
}

static tw_status settle_recipe(const convert *c, tw_recipe *recipe, tw_error *err) {
    recipe->size = 0; /* the model's */
    TW_TRY(cli_apply_recipe(&c->recipe, 0, recipe, err));
    if (recipe->fast_decode)
        return tw_fail(err, TW_ERR_ARGUMENT, "--fast-decode is of a run, not of a model file");
    return TW_OK;
}

/* Returns CLI_CONTINUE or a status. */
static int convert_checkpoint(convert *c) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe recipe = TW_RECIPE_INIT;
    if (settle_recipe(c, &recipe, &err) != TW_OK || hash(c, &err) != TW_OK) return cli_fail(&err);
    tw_convert_options o = take_options(c, &recipe);
    if (o.precision == TW_I8) return cli_gate_convert(&c->gate, c->checkpoint, c->output, &o);
    cli_work_begin("convert", 0);
    tw_status status = tw_convert(c->checkpoint, c->output, &o, &err);
    cli_work_end();
    return status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

static int print_summary(const convert *c) {
    tw_buffer b = {0};
    if (c->report.json) tw_buffer_puts(&b, "{");
    int status = cli_put_model(&b, c->output, c->sha256, c->report.json);
    if (c->report.json) tw_buffer_printf(&b, ", \"used\": {\"version\": \"%s\"}}\n", tw_version());
    if (status == CLI_CONTINUE) status = cli_print(&b);
    tw_buffer_free(&b);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    convert c = {0};
    const cli_group groups[] = {
        {options, &c}, {cli_recipe_options, &c.recipe}, {cli_report_options, &c.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &c.operands);
    cli_console_set_progress(c.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&c);
    if (status == CLI_CONTINUE) {
        if (!c.checkpoint) c.checkpoint = c.operands.items[0];
        status = convert_checkpoint(&c);
        if (status == CLI_CONTINUE) status = print_summary(&c);
    }
    cli_labels_free(&c.gate.labels);
    free(c.operands.items);
    return status;
}

const cli_verb cli_convert = {
    .name = "convert",
    .summary = "a checkpoint into one model file",
    .usage = "CHECKPOINT -o MODEL.gguf [options]",
    .about =
        "CHECKPOINT is a file, a folder or the index of shards. Weights, tokenizer and recipe go\n"
        "into one GGUF file; options of the recipe change the checkpoint's own. Nothing is "
        "executed.",
    .example = "tuwen convert clip_cn_vit-b-16.pt -o vit-b-16.gguf --precision f16",
    .run = run,
};
