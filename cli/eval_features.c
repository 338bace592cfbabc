/* tuwen eval features: the features of a retrieval set, in the files that Chinese-CLIP's
 * extract_features.py writes. */
#include "output.h"
#include "retrieval.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct features {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    cli_text text;
    cli_retrieval set;
    bool only_images, only_texts;
    const char *image_output, *text_output;
    cli_texts operands;
    /* at work */
    char *image_file, *text_file; /* where the features go */
    cli_session session;
    tw_output file;
    const char *key;
    const int64_t *ids;
    size_t n_images, n_texts, *n_written;
    tw_buffer line;
} features;

#define AT(field) offsetof(features, field)
static const cli_option options[] = {
    {"extract-image-feats", 0, CLI_FLAG, NULL, "pictures alone", AT(only_images), 0, 0},
    {"extract-text-feats", 0, CLI_FLAG, NULL, "texts alone; both flags: both", AT(only_texts), 0,
     0},
    {"images-to", 0, CLI_TEXT, "FILE", "(SPLIT_imgs.img_feat.jsonl beside the texts)",
     AT(image_output), 0, 0},
    {"texts-to", 0, CLI_TEXT, "FILE", "(SPLIT_texts.txt_feat.jsonl beside the texts)",
     AT(text_output), 0, 0},
    {"image-feat-output-path", 0, CLI_TEXT, "FILE", NULL, AT(image_output), 0, 0},
    {"text-feat-output-path", 0, CLI_TEXT, "FILE", NULL, AT(text_output), 0, 0},
    {"img-batch-size", 0, CLI_INT, "N", NULL, AT(compute.batch), 1, 4096},
    {"text-batch-size", 0, CLI_INT, "N", NULL, AT(compute.batch), 1, 4096},
    {"resume", 0, CLI_REPLACED, "convert the checkpoint once (tuwen convert) and give -m M.gguf",
     NULL, 0, 0, 0},
    {"vision-model", 0, CLI_REPLACED, "it is the model file's own", NULL, 0, 0, 0},
    {"text-model", 0, CLI_REPLACED, "it is the model file's own", NULL, 0, 0, 0},
    {0}};
#undef AT

/* ------------------------------------------------------------------------------------ names */

/* `text` without its last n bytes, then `end`. */
static char *replace_end(const char *text, size_t n, const char *end) {
    size_t keep = strlen(text) > n ? strlen(text) - n : 0;
    char *out = malloc(keep + strlen(end) + 1);
    if (out) sprintf(out, "%.*s%s", (int)keep, text, end);
    return out;
}

/* The original's names, both made of the texts' file: X_texts.jsonl gives X_texts.txt_feat.jsonl
 * and X_imgs.img_feat.jsonl; another name Y.jsonl gives Y.txt_feat.jsonl and Y.img_feat.jsonl. */
static int name_outputs(features *e) {
    static const char end[] = "_texts.jsonl";
    const char *texts = e->set.text_path;
    size_t n = texts ? strlen(texts) : 0, n_end = sizeof end - 1;
    bool usual = n >= n_end && strcmp(texts + n - n_end, end) == 0;
    if (!texts && !e->image_output) {
        cli_error("no output: give --images-to FILE");
        return CLI_USAGE;
    }
    if (e->image_output)
        e->image_file = replace_end(e->image_output, 0, "");
    else
        e->image_file = replace_end(texts, usual ? n_end : 6,
                                    usual ? "_imgs.img_feat.jsonl" : ".img_feat.jsonl");
    e->text_file = e->text_output ? replace_end(e->text_output, 0, "")
                   : texts        ? replace_end(texts, 6, ".txt_feat.jsonl")
                                  : replace_end("", 0, "");
    if (e->image_file && e->text_file) return CLI_CONTINUE;
    cli_error("out of memory");
    return CLI_FAILED;
}

/* ------------------------------------------------------------------------------------- rows */

/* {"image_id": 1, "feature": [0.1, …]}: f32 as Python prints the double of the same value. Rows of
 * inputs that were skipped are left out. */
static tw_status write_rows(void *user, size_t first, const float *rows, size_t n, tw_error *err) {
    features *e = user;
    size_t dim = (size_t)tw_model_arch(e->session.model)->embed_dim;
    for (size_t i = 0; i < n; i++, rows += dim) {
        if (!cli_is_vector(rows, dim)) continue;
        tw_buffer *b = &e->line;
        tw_buffer_clear(b);
        tw_buffer_printf(b, "{\"%s\": %lld, \"feature\": [", e->key, (long long)e->ids[first + i]);
        for (size_t k = 0; k < dim; k++) {
            if (k) tw_buffer_puts(b, ", ");
            tw_buffer_python_float(b, (double)rows[k]);
        }
        tw_buffer_puts(b, "]}\n");
        if (b->failed) return tw_fail_no_memory(err, b->n_bytes);
        TW_TRY(tw_output_write(&e->file, b->data, b->n_bytes, err));
        ++*e->n_written;
    }
    return TW_OK;
}

static tw_status open_file(features *e, const char *path, const char *key, const int64_t *ids,
                           size_t *n_written, tw_error *err) {
    e->key = key;
    e->ids = ids;
    e->n_written = n_written;
    return tw_output_open(path, &e->file, err);
}

/* Texts go first, as in the original. A file without a single row is not written. */
static tw_status compute(features *e, tw_error *err) {
    tw_image_options limits = cli_image_options(&e->limits);
    e->text.eval_quotes = true;
    if (!e->only_images) {
        TW_TRY(open_file(e, e->text_file, "text_id", e->set.annotations.queries, &e->n_texts, err));
        TW_TRY(cli_encode_texts(&e->session, &e->set.annotations.texts, &e->text, true, write_rows,
                                e, err));
        TW_TRY(tw_output_commit(&e->file, err));
    }
    if (e->only_texts) return TW_OK;
    TW_TRY(open_file(e, e->image_file, "image_id", e->set.set.ids, &e->n_images, err));
    TW_TRY(cli_encode_pictures(&e->session, e->set.set.pictures, &limits, true, &e->set.skips,
                               write_rows, e, err));
    if (e->n_images) return tw_output_commit(&e->file, err);
    return tw_fail(err, TW_ERR_FORMAT, "%s: none of the %zu pictures could be used",
                   e->set.image_path, e->set.set.n);
}

/* ------------------------------------------------------------------------------------- verb */

static int print_result(features *e) {
    tw_buffer *b = &e->line;
    tw_buffer_clear(b);
    if (e->report.json) {
        tw_buffer_puts(b, "{");
        cli_json_number(b, "texts", (double)e->n_texts);
        cli_json_number(b, "images", (double)e->n_images);
        cli_json_number(b, "dim", tw_model_arch(e->session.model)->embed_dim);
        cli_json_number(b, "skipped", (double)e->set.skips.n);
        if (!e->only_images) cli_json_member(b, "text_features", e->text_file);
        if (!e->only_texts) cli_json_member(b, "image_features", e->image_file);
        tw_buffer_puts(b, ", ");
        cli_json_used(b, &e->session, !e->only_texts);
        tw_buffer_puts(b, "}\n");
        return cli_print(b);
    }
    if (!e->only_images)
        tw_buffer_printf(b, "%zu text features are stored in %s\n", e->n_texts, e->text_file);
    if (!e->only_texts)
        tw_buffer_printf(b, "%zu image features are stored in %s\n", e->n_images, e->image_file);
    return cli_print(b);
}

/* Which sides: what the flags say, else what there is data for. */
static int choose(features *e) {
    cli_retrieval *set = &e->set;
    bool both = e->only_images == e->only_texts;
    bool asked = e->only_images || e->only_texts;
    if (e->operands.n == 1 && !set->data) {
        set->data = e->operands.items[0];
    } else if (e->operands.n) {
        cli_error("unexpected operand '%s'", e->operands.items[0]);
        return CLI_USAGE;
    }
    int status = cli_retrieval_find(set);
    if (status != CLI_CONTINUE) return status;
    bool images = both ? set->image_path || asked : e->only_images;
    bool texts = both ? set->text_path || asked : e->only_texts;
    e->only_images = !texts;
    e->only_texts = !images;
    if (!images && !texts)
        cli_error("no data: give --data DIR, or --image-data and --text-data");
    else if ((images && !set->image_path) || (texts && !set->text_path))
        cli_error("no %s: give --%s-data", images && !set->image_path ? "pictures" : "texts",
                  images && !set->image_path ? "image" : "text");
    else
        return name_outputs(e);
    return CLI_USAGE;
}

static int work(features *e) {
    tw_error err = TW_ERROR_INIT;
    if (e->only_texts) {
        free(e->set.image_path);
        e->set.image_path = NULL;
    }
    int status = cli_retrieval_open(&e->set);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&e->session, &e->compute, &e->recipe,
                                  e->only_images  ? CLI_VISION
                                  : e->only_texts ? CLI_TEXT_TOWER
                                                  : CLI_BOTH);
    if (status == CLI_CONTINUE)
        status = compute(e, &err) == TW_OK ? print_result(e) : cli_fail(&err);
    return cli_skips_close(&e->set.skips, status == CLI_CONTINUE ? CLI_DONE : status);
}

static int run(const cli_verb *verb, int argc, char **argv) {
    features e = {0};
    const cli_group groups[] = {{cli_retrieval_options, &e.set}, {options, &e},
                                {cli_text_options, &e.text},     {cli_recipe_options, &e.recipe},
                                {cli_limit_options, &e.limits},  {cli_compute_options, &e.compute},
                                {cli_report_options, &e.report}, {0}};
    int status = cli_parse(verb, groups, argc, argv, &e.operands);
    cli_console_set_progress(e.report.progress);
    if (status == CLI_CONTINUE) status = choose(&e);
    if (status == CLI_CONTINUE) status = work(&e);
    cli_session_close(&e.session);
    cli_retrieval_free(&e.set);
    tw_output_abort(&e.file);
    tw_buffer_free(&e.line);
    free(e.image_file);
    free(e.text_file);
    free(e.operands.items);
    return status;
}

const cli_verb cli_eval_features = {
    .name = "eval features",
    .summary = "features of a retrieval set, as Chinese-CLIP's files have them",
    .usage = "-m MODEL --data DIR|TAR [options]",
    .about = "Texts are cleaned as the evaluation does (lower case, straight quotes).",
    .example = "tuwen eval features -m model.gguf --data datasets/MUGE --split valid",
    .run = run,
};
