/* tuwen verify: do two models, or the features of two tools, agree? */
#include "verify.h"

#include "verbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(verify, field)
static const cli_option options[] = {
    {"against", 0, CLI_TEXT, "B", "the other: as A", AT(against), 0, 0},
    {"min-cosine", 0, CLI_TEXT, "X", "least cosine that agrees (0.9999)", AT(min_cosine_text), 0,
     0},
    {"stage-tolerance", 0, CLI_TEXT, "X", "difference of a stage, of its root mean square (0.01)",
     AT(tolerance_text), 0, 0},
    {"a-arch", 0, CLI_TEXT, "ARCH", "of checkpoint A, as convert's --arch", AT(a_arch), 0, 0},
    {"b-arch", 0, CLI_TEXT, "ARCH", "of checkpoint B", AT(b_arch), 0, 0},
    {"b-precision", 0, CLI_CHOICE, "f32|f16|bf16|int8", "of B's computation (as of A's)",
     AT(b.precision), 0, 0},
    {"images", 0, CLI_TEXT, "LIST", "pictures: a file with one path a line", AT(images), 0, 0},
    {"texts", 0, CLI_TEXT, "FILE", "texts: plain lines or {\"text\": …} lines", AT(texts), 0, 0},
    {"pixels", 0, CLI_TEXT, "F.npy", "preprocessed pictures, N x 3 x R x R", AT(pixels), 0, 0},
    {"ids", 0, CLI_TEXT, "F.npy", "token ids, N x L", AT(ids), 0, 0},
    {"published", 0, CLI_TEXT, "NAME", "run a published example (list: which there are)",
     AT(published), 0, 0},
    {"errors", 0, CLI_TEXT, "FILE", "skipped inputs and reasons, JSONL", AT(errors), 0, 0},
    {"onnx-npy-path", 0, CLI_TEXTS, "DIR", NULL, AT(operands), 0, 0},
    {"om-npy-path", 0, CLI_TEXT, "DIR", NULL, AT(against), 0, 0},
    {0}};
#undef AT

/* A number from `low` to `high`; `fallback` when there is no text. */
static int read_number(const char *option, const char *text, double low, double high,
                       double fallback, double *out) {
    char *end = NULL;
    *out = text ? strtod(text, &end) : fallback;
    if (!text || (end != text && *end == '\0' && *out >= low && *out <= high)) return CLI_CONTINUE;
    cli_error("--%s: expected a number %g..%g, got '%s'", option, low, high, text);
    return CLI_USAGE;
}

static int check_usage(verify *v) {
    int status = read_number("min-cosine", v->min_cosine_text, -1, 1, 0.9999, &v->min_cosine);
    if (status == CLI_CONTINUE)
        status = read_number("stage-tolerance", v->tolerance_text, 0, 1e6, 0.01, &v->tolerance);
    if (status != CLI_CONTINUE) return status;
    if (v->operands.n > 1)
        cli_error("expected one A, got %zu; the other is --against B", v->operands.n);
    else if (!v->against && !v->compute.backend)
        cli_error("nothing to compare with: give --against B, or --backend for the same on another");
    else if (v->images && v->pixels)
        cli_error("--images and --pixels exclude each other");
    else if (v->texts && v->ids)
        cli_error("--texts and --ids exclude each other");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

/* A is the operand, else the model that -m or TUWEN_MODEL names. */
static int open_sides(verify *v) {
    v->a.path = v->operands.n ? v->operands.items[0] : cli_model_path(&v->compute);
    if (!v->a.path) return CLI_USAGE;
    v->b.path = v->against ? v->against : v->a.path;
    v->a.arch = v->a_arch;
    v->b.arch = v->b_arch;
    int status = side_open(&v->a);
    return status == CLI_CONTINUE ? side_open(&v->b) : status;
}

static int compare_all(verify *v) {
    int status = verify_plan(v);
    if (status == CLI_CONTINUE) status = verify_compare(v);
    if (status != CLI_DONE && status != CLI_SKIPPED) return status;
    int printed = verify_print(v);
    if (printed != CLI_CONTINUE) return printed;
    return verify_agrees(v) ? status : CLI_FAILED;
}

static void close_all(verify *v) {
    side_close(&v->b);
    side_close(&v->a);
    tw_pictures_free(v->picture_list);
    tw_strings_free(&v->text_list);
    cli_array_close(&v->pixel_array);
    cli_array_close(&v->id_array);
    for (size_t i = 0; i < VERIFY_PICTURES; i++)
        tw_buffer_free(&v->drawn[i]);
    for (size_t i = 0; i < v->n_parts; i++) {
        tw_stages_free(&v->parts[i].stages_a);
        tw_stages_free(&v->parts[i].stages_b);
    }
    free(v->skips.marks);
    free(v->operands.items);
}

static int refuse_both(void) {
    cli_error("--against and --published exclude each other");
    return CLI_USAGE;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    verify v = {0};
    const cli_group groups[] = {{options, &v},
                                {cli_text_options, &v.text},
                                {cli_limit_options, &v.limits},
                                {cli_compute_options, &v.compute},
                                {cli_report_options, &v.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &v.operands);
    cli_console_set_progress(v.report.progress);
    if (status == CLI_CONTINUE && v.published) {
        status = v.against ? refuse_both() : verify_published(&v);
    } else {
        if (status == CLI_CONTINUE) status = check_usage(&v);
        if (status == CLI_CONTINUE) status = open_sides(&v);
        if (status == CLI_CONTINUE) status = compare_all(&v);
    }
    close_all(&v);
    return status;
}

const cli_verb cli_verify = {
    .name = "verify",
    .summary = "do two models, or the features of two tools, agree?",
    .usage = "A --against B | -m MODEL --published NAME PICTURE",
    .about = "A and B: model files, checkpoints, .npy files of features [n, E] or folders of one "
             ".npy an\n"
             "input, paired by name. Models are shown built-in inputs, or those that are given.\n"
             "With --published a released model is run on the example of its authors' README.\n"
             "With --backend another runtime computes B, which is A unless --against names it.\n"
             "Status 0: they agree; 1: they do not.",
    .example = "tuwen verify vit-b-16.gguf --against vit-b-16-f16.gguf",
    .run = run,
};
