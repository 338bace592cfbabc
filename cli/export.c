/* tuwen export: a model file as ONNX graphs. */
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct export {
    cli_report report;
    cli_compute compute;
    const char *output;
    int precision, opset, batch, text_batch, context_length;
    bool vision_only, text_only, fused, normalize, no_projection, external_data;
    tw_model *model;
    char *paths[2]; /* of what was written */
    size_t n_paths;
}
export;

#define AT(field) offsetof(export, field)
static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, "PREFIX", "writes PREFIX.img.fp32.onnx and PREFIX.txt.fp32.onnx",
     AT(output), 0, 0},
    {"precision", 0, CLI_CHOICE, "f32|f16", "of the products; norms and softmax stay f32 (f32)",
     AT(precision), 0, 0},
    {"opset", 0, CLI_INT, "N", "13 to 17 (17)", AT(opset), 13, 17},
    {"batch", 'b', CLI_INT, "N", "a fixed number of rows (any)", AT(batch), 1, 65536},
    {"context-length", 0, CLI_INT, "L", "a fixed length of token rows (any)", AT(context_length), 1,
     65536},
    {"vision-only", 0, CLI_FLAG, NULL, "the image tower alone", AT(vision_only), 0, 0},
    {"text-only", 0, CLI_FLAG, NULL, "the text tower alone", AT(text_only), 0, 0},
    {"fused", 0, CLI_FLAG, NULL, "both towers and their logits in one graph, PREFIX.fp32.onnx",
     AT(fused), 0, 0},
    {"text-batch", 0, CLI_INT, "N", "with --fused: a fixed number of texts (any)", AT(text_batch),
     1, 65536},
    {"normalize", 0, CLI_FLAG, NULL, "features of length 1", AT(normalize), 0, 0},
    {"no-text-projection", 0, CLI_FLAG, NULL,
     "texts end in rows of tokens; PREFIX.text_projection.npy beside", AT(no_projection), 0, 0},
    {"external-data", 0, CLI_FLAG, NULL, "weights in FILE.extra_file (needed from 2 GB)",
     AT(external_data), 0, 0},
    {"model", 'm', CLI_TEXT, "FILE", "the model file ($TUWEN_MODEL)", AT(compute.model), 0, 0},
    {"save-onnx-path", 0, CLI_TEXT, "PREFIX", NULL, AT(output), 0, 0},
    {"convert-vision", 0, CLI_FLAG, NULL, NULL, AT(vision_only), 0, 0},
    {"convert-text", 0, CLI_FLAG, NULL, NULL, AT(text_only), 0, 0},
    {"model-arch", 0, CLI_REPLACED, "the model file knows; tuwen convert takes it", NULL, 0, 0, 0},
    {"pytorch-ckpt-path", 0, CLI_REPLACED,
     "convert the checkpoint once (tuwen convert) and give -m M.gguf", NULL, 0, 0, 0},
    {"download-root", 0, CLI_REPLACED,
     "tuwen pull NAME --folder DIR downloads and converts; then give -m M.gguf", NULL, 0, 0, 0},
    {"save-coreml-path", 0, CLI_REPLACED,
     "CoreML is not part of this version; -o PREFIX writes ONNX", NULL, 0, 0, 0},
    {0}};
#undef AT

static int check_usage(export *e, cli_texts *operands) {
    /* The original's two words together mean both towers. */
    if (e->vision_only && e->text_only) e->vision_only = e->text_only = false;
    if (operands->n > 1)
        cli_error("expected one model file, got %zu", operands->n);
    else if (operands->n == 1 && e->compute.model)
        cli_error("two models: -m %s and %s", e->compute.model, operands->items[0]);
    else if (!e->output)
        cli_error("no output: give -o PREFIX");
    else if (e->fused && (e->vision_only || e->text_only || e->no_projection || e->normalize))
        cli_error(
            "--fused has both towers and their logits: no other choice of parts goes with it");
    else if (e->text_batch && !e->fused)
        cli_error("--text-batch goes with --fused; --batch is for both towers");
    else if (e->no_projection && e->normalize)
        cli_error("--no-text-projection and --normalize exclude each other");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static const char *precision_word(const export *e) {
    return e->precision == 2 ? "fp16" : "fp32";
}

/* PREFIX + what is printed, on the heap. */
static char *path_of(const export *e, const char *part, const char *suffix) {
    tw_buffer b = {0};
    tw_buffer_printf(&b, "%s%s%s", e->output, part, suffix);
    return b.failed ? NULL : b.data;
}

static tw_status write_part(export *e, tw_export_part part, const char *name, tw_error *err) {
    char ending[32];
    tw_export_options o = TW_EXPORT_OPTIONS_INIT;
    snprintf(ending, sizeof ending, ".%s.onnx", precision_word(e));
    char *path = path_of(e, name, ending), *side = NULL;
    if (!path) return tw_fail_no_memory(err, strlen(e->output));
    e->paths[e->n_paths++] = path;
    if (e->external_data) {
        snprintf(ending, sizeof ending, ".%s.onnx.extra_file", precision_word(e));
        side = path_of(e, name, ending);
        if (!side) return tw_fail_no_memory(err, strlen(e->output));
    }
    o.part = part;
    o.precision = e->precision == 2 ? TW_F16 : TW_F32;
    o.opset = e->opset;
    o.batch = e->batch;
    o.text_batch = e->text_batch;
    o.context_length = part == TW_EXPORT_IMAGE ? 0 : e->context_length;
    o.normalize = e->normalize;
    o.no_text_projection = part == TW_EXPORT_TEXT && e->no_projection;
    o.side_file = side;
    o.hooks = cli_hooks();
    cli_work_begin("export", 0);
    tw_status status = tw_export_onnx(e->model, path, &o, err);
    cli_work_end();
    free(side);
    return status;
}

static tw_status write_projection(export *e, tw_error *err) {
    char *path = path_of(e, "", ".text_projection.npy");
    if (!path) return tw_fail_no_memory(err, strlen(e->output));
    tw_status status = tw_export_text_projection(e->model, path, err);
    free(path);
    return status;
}

static tw_status write_all(export *e, tw_error *err) {
    const tw_arch *arch = tw_model_arch(e->model);
    bool vision = arch->vision.kind != TW_VISION_NONE && !e->text_only;
    bool text = arch->text.kind != TW_TEXT_NONE && !e->vision_only;
    if (e->fused) return write_part(e, TW_EXPORT_BOTH, "", err);
    if (e->vision_only || vision) TW_TRY(write_part(e, TW_EXPORT_IMAGE, ".img", err));
    if (e->text_only || text) TW_TRY(write_part(e, TW_EXPORT_TEXT, ".txt", err));
    return e->no_projection ? write_projection(e, err) : TW_OK;
}

static int print_summary(const export *e) {
    const tw_arch *arch = tw_model_arch(e->model);
    tw_buffer b = {0};
    if (e->report.json) {
        tw_buffer_puts(&b, "{\"outputs\": [");
        for (size_t i = 0; i < e->n_paths; i++) {
            tw_buffer_puts(&b, i ? ", " : "");
            tw_buffer_json_string(&b, e->paths[i], strlen(e->paths[i]));
        }
        tw_buffer_puts(&b, "]");
        cli_json_member(&b, "architecture", arch->name);
        cli_json_member(&b, "precision", precision_word(e));
        tw_buffer_printf(&b, ", \"opset\": %d, \"used\": {\"version\": \"%s\"}}\n",
                         e->opset ? e->opset : 17, tw_version());
    } else {
        for (size_t i = 0; i < e->n_paths; i++)
            cli_put_field(&b, "wrote", "%s", e->paths[i]);
        cli_put_field(&b, "architecture", "%s, %s, opset %d", arch->name, precision_word(e),
                      e->opset ? e->opset : 17);
    }
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    export e = {0};
    cli_texts operands = {0};
    const cli_group groups[] = {{options, &e}, {cli_report_options, &e.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &operands);
    cli_console_set_progress(e.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&e, &operands);
    if (status == CLI_CONTINUE) {
        if (operands.n) e.compute.model = operands.items[0];
        status = cli_open_model(&e.compute, &e.model);
    }
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        status = write_all(&e, &err) == TW_OK ? print_summary(&e) : cli_fail(&err);
    }
    for (size_t i = 0; i < e.n_paths; i++)
        free(e.paths[i]);
    tw_model_free(e.model);
    free(operands.items);
    return status;
}

const cli_verb cli_export = {
    .name = "export",
    .summary = "a model file as ONNX graphs, for other runtimes",
    .usage = "MODEL.gguf -o PREFIX [options]",
    .about = "Any batch and length, unless fixed. Outputs are the un-normalised features.",
    .example = "tuwen export vit-b-16.gguf -o vit-b-16 --precision f16",
    .run = run,
};
