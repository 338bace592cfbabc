/* tuwen eval table: accuracy of several backends and precisions beside each other. */
#define _GNU_SOURCE
#include "accuracy.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

typedef struct table {
    accuracy accuracy;
    cli_report report;
    cli_texts operands;
} table;

#define AT(field) offsetof(table, accuracy.field)
static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, "FILE", "model file (default $TUWEN_MODEL)", AT(compute.model), 0, 0},
    {"data", 0, CLI_TEXT, "DIR|TAR", "class folders, with --labels, as eval zeroshot takes them",
     AT(classes), 0, 0},
    {"image-data", 0, CLI_TEXT, "PATH", "pictures of a retrieval set, as eval recall takes them",
     AT(retrieval.set.image_data), 0, 0},
    {"text-data", 0, CLI_TEXT, "FILE", "and its captions", AT(retrieval.set.text_data), 0, 0},
    {"graphs", 0, CLI_TEXT, "PREFIX", "of the rows but cpu (docs/BACKENDS.md)", AT(compute.graphs),
     0, 0},
    {"provider-option", 0, CLI_TEXTS, "K=V", "likewise; may be repeated", AT(compute.settings), 0,
     0},
    {"allow-fallback", 0, CLI_FLAG, NULL, "likewise", AT(compute.allow_fallback), 0, 0},
    {"threads", 't', CLI_INT, "N", "threads (all processors)", AT(compute.threads), 0, 1024},
    {"batch", 'b', CLI_INT, "N", "most items computed at once (8)", AT(compute.batch), 1, 4096},
    {0}};
#undef AT

/* ------------------------------------------------------------------------------------- rows */

/* The number of a precision's word in --precision; 0 for none. */
static int precision_number(const char *word) {
    static const char *const words[] = {"f32", "f16", "bf16", "int8"};
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i]) == 0) return i + 1;
    return 0;
}

static bool is_backend(const char *word) {
    for (const char *const *name = tw_backend_names(); *name; name++)
        if (strcmp(word, *name) == 0) return true;
    return false;
}

/* Cuts the text at `mark`; what stands behind it, NULL without. */
static char *cut(char *text, char *mark) {
    if (!mark) return NULL;
    *mark = '\0';
    return mark + 1;
}

/* In OpenVINO's devices there are colons, too: "openvino/AUTO:GPU,CPU". */
static char *find_precision(char *words) {
    char *colon = strrchr(words, ':');
    bool device = strncmp(words, "openvino/", 9) == 0;
    return colon && device && !precision_number(colon + 1) ? NULL : colon;
}

static bool read_words(char *words, cli_compute *c) {
    char *library = cut(words, strchr(words, '@'));
    char *precision = cut(words, find_precision(words));
    char *device = cut(words, strchr(words, '/'));
    c->backend = words;
    c->library = library;
    c->precision = precision ? precision_number(precision) : 0;
    if (strcmp(words, "onnxruntime") == 0)
        c->provider = device;
    else
        c->device = device;
    return is_backend(words) && (!precision || c->precision) && (!device || *device) &&
           (!library || *library);
}

/* For onnxruntime the device is its execution provider. */
static int read_row(const char *spec, const cli_compute *compute, accuracy_row *row) {
    size_t n = strlen(spec);
    bool is_model = n > 5 && strcmp(spec + n - 5, ".gguf") == 0;
    *row = (accuracy_row){.spec = spec, .words = strdup(spec), .compute = *compute};
    if (!row->words) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    if (is_model)
        row->compute.model = row->words;
    else if (!read_words(row->words, &row->compute)) {
        cli_error("expected BACKEND[/DEVICE][:PRECISION][@LIBRARY] or FILE.gguf, got '%s'", spec);
        return CLI_USAGE;
    }
    if (!is_model && strcmp(row->compute.backend, "cpu") != 0) return CLI_CONTINUE;
    row->compute.graphs = NULL;
    row->compute.settings = (cli_texts){0};
    row->is_reference =
        !is_model && !row->compute.device && !row->compute.library && row->compute.precision <= 1;
    return CLI_CONTINUE;
}

static int read_rows(table *t) {
    accuracy *a = &t->accuracy;
    a->rows = calloc(t->operands.n, sizeof *a->rows);
    if (!a->rows) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int status = CLI_CONTINUE;
    for (; a->n_rows < t->operands.n && status == CLI_CONTINUE; a->n_rows++)
        status = read_row(t->operands.items[a->n_rows], &a->compute, &a->rows[a->n_rows]);
    return status;
}

/* ------------------------------------------------------------------------------------- verb */

static int check_usage(table *t) {
    accuracy *a = &t->accuracy;
    const cli_retrieval *set = &a->retrieval.set;
    a->has_retrieval = set->image_data || set->text_data;
    if (!t->operands.n)
        cli_error("no rows: name backends, such as cpu onnxruntime openvino:bf16");
    else if (!a->classes && !a->has_retrieval)
        cli_error("no data: give --data DIR with --labels, or --image-data and --text-data");
    else if (a->has_retrieval && (!set->image_data || !set->text_data))
        cli_error("--image-data and --text-data go together");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static int work(table *t) {
    accuracy *a = &t->accuracy;
    int status = accuracy_run(a);
    if (status == CLI_CONTINUE) status = accuracy_print(a, t->report.json);
    if (status != CLI_CONTINUE) return status;
    status = CLI_DONE;
    for (size_t i = 0; i < a->n_rows; i++) {
        if (!a->rows[i].ran) cli_error("%s: %s", a->rows[i].spec, a->rows[i].why.message);
        if (!accuracy_row_is_whole(&a->rows[i])) status = CLI_FAILED;
    }
    status = cli_skips_close(&a->skips, status);
    return cli_skips_close(&a->retrieval.set.skips, status);
}

static int run(const cli_verb *verb, int argc, char **argv) {
    table t = {0};
    const cli_group groups[] = {{options, &t},
                                {cli_label_options, &t.accuracy.labels},
                                {cli_recipe_options, &t.accuracy.recipe},
                                {cli_limit_options, &t.accuracy.limits},
                                {cli_report_options, &t.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &t.operands);
    cli_console_set_progress(t.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&t);
    if (status == CLI_CONTINUE) status = read_rows(&t);
    if (status == CLI_CONTINUE) status = work(&t);
    accuracy_free(&t.accuracy);
    free(t.accuracy.compute.settings.items);
    free(t.operands.items);
    return status;
}

const cli_verb cli_eval_table = {
    .name = "eval table",
    .summary = "a table of accuracies over backends and precisions",
    .usage = "-m MODEL (--data DIR|TAR --labels FILE | --image-data … --text-data …) ROW...",
    .about =
        "ROW is BACKEND[/DEVICE][:PRECISION][@LIBRARY], or FILE.gguf for another model on cpu. "
        "Cosines are\nthose to cpu in f32. A row that cannot be run says why; the status is "
        "then 1.",
    .example = "tuwen eval table -m m.gguf --data d.tar --labels l.txt cpu openvino:bf16@runtimes",
    .run = run,
};
