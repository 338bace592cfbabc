/* tuwen classify: the best labels of each picture, zero-shot. */
#include "inputs.h"
#include "labels.h"
#include "output.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct classify {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    cli_labels labels;
    const char *images, *errors;
    int top_k;
    cli_texts operands;
    /* at work */
    cli_session session;
    cli_skips skips;
    tw_pictures *pictures;
    tw_match *matches; /* [k] */
    size_t k, label_width;
    tw_buffer out, used;
} classify;

#define AT(field) offsetof(classify, field)
static const cli_option options[] = {
    {"images", 0, CLI_TEXT, "LIST", "pictures: a file with one path a line", AT(images), 0, 0},
    {"top-k", 'k', CLI_INT, "K", "how many labels a picture (5)", AT(top_k), 1, 1000000},
    {"errors", 0, CLI_TEXT, "FILE", "skipped pictures and reasons, JSONL", AT(errors), 0, 0},
    {"image", 0, CLI_TEXTS, "FILE", NULL, AT(operands), 0, 0},
    {0}};
#undef AT

static void put_json(classify *c, const char *picture) {
    tw_buffer *b = &c->out;
    tw_buffer_puts(b, "{");
    cli_json_member(b, "image", picture);
    tw_buffer_puts(b, ", \"top\": [");
    for (size_t i = 0; i < c->k; i++) {
        const tw_match *m = &c->matches[i];
        tw_buffer_puts(b, i ? ", {" : "{");
        cli_json_member(b, "label", tw_strings_get(&c->labels.labels, m->index));
        tw_buffer_puts(b, ", \"prob\": ");
        tw_buffer_json_float(b, m->prob);
        tw_buffer_puts(b, ", \"cosine\": ");
        tw_buffer_json_float(b, m->cosine);
        tw_buffer_printf(b, ", \"index\": %u}", (unsigned)m->index);
    }
    tw_buffer_puts(b, "]");
    tw_buffer_append(b, c->used.data, c->used.n_bytes);
    tw_buffer_puts(b, "}\n");
}

static void put_text(classify *c, const char *picture) {
    tw_buffer *b = &c->out;
    cli_put_cell(b, picture, cli_text_width(picture), false, false);
    tw_buffer_puts(b, "\n");
    for (size_t i = 0; i < c->k; i++) {
        const tw_match *m = &c->matches[i];
        tw_buffer_printf(b, "%4zu  ", i + 1);
        cli_put_cell(b, tw_strings_get(&c->labels.labels, m->index), c->label_width, false, false);
        tw_buffer_printf(b, "  %6.2f%%  %8.4f\n", 100 * (double)m->prob, (double)m->cosine);
    }
}

/* A picture that could not be read has a NaN row: it is in the list of the skipped, not here. */
static tw_status take_rows(void *user, size_t first, const float *features, size_t n,
                           tw_error *err) {
    classify *c = user;
    size_t dim = (size_t)tw_model_arch(c->session.model)->embed_dim;
    for (size_t i = 0; i < n; i++) {
        const float *row = features + i * dim;
        if (isnan(row[0])) continue;
        TW_TRY(tw_classify(row, 1, c->labels.weights, c->labels.labels.n, dim,
                           c->labels.scale_value, c->k, c->matches, err));
        const char *name = tw_pictures_name(c->pictures, first + i);
        if (c->report.json)
            put_json(c, name);
        else
            put_text(c, name);
    }
    if (c->out.failed) return tw_fail_no_memory(err, c->out.n_bytes);
    if (cli_print(&c->out) != CLI_CONTINUE)
        return tw_fail(err, TW_ERR_IO, "standard output cannot be written");
    return TW_OK;
}

/* What was used, the same on every line: short. */
static void describe_used(classify *c) {
    char recipe[160], text[512];
    cli_describe_recipe(&c->session.recipe, recipe, sizeof recipe);
    snprintf(text, sizeof text, "%s, batch %d; %s; %s; scale %.6g",
             tw_encoder_description(c->session.encoder), c->session.batch,
             tw_model_arch(c->session.model)->name, recipe, (double)c->labels.scale_value);
    tw_buffer_puts(&c->used, ", \"used\": ");
    tw_buffer_json_string(&c->used, text, strlen(text));
}

static tw_status compute(classify *c, tw_error *err) {
    tw_image_options limits = cli_image_options(&c->limits);
    TW_TRY(cli_labels_encode(&c->labels, &c->session, 0, err));
    size_t n_labels = c->labels.labels.n, wanted = c->top_k ? (size_t)c->top_k : 5;
    c->k = wanted < n_labels ? wanted : n_labels;
    c->matches = calloc(c->k, sizeof *c->matches);
    if (!c->matches) return tw_fail_no_memory(err, c->k * sizeof *c->matches);
    for (size_t i = 0; i < n_labels; i++) {
        size_t w = cli_text_width(tw_strings_get(&c->labels.labels, i));
        if (w > c->label_width) c->label_width = w < 40 ? w : 40;
    }
    describe_used(c);
    return cli_encode_pictures(&c->session, c->pictures, &limits, true, &c->skips, take_rows, c,
                               err);
}

static int work(classify *c) {
    int status = cli_labels_read(&c->labels);
    if (status == CLI_CONTINUE) status = cli_gather_pictures(c->images, &c->operands, &c->pictures);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&c->session, &c->compute, &c->recipe, CLI_BOTH);
    if (status == CLI_CONTINUE)
        status = cli_skips_open(&c->skips, c->errors, tw_pictures_count(c->pictures));
    if (status != CLI_CONTINUE) return status;
    tw_error err = TW_ERROR_INIT;
    status = compute(c, &err) == TW_OK ? CLI_DONE : cli_fail(&err);
    return cli_skips_close(&c->skips, status);
}

static int run(const cli_verb *verb, int argc, char **argv) {
    classify c = {0};
    const cli_group groups[] = {{cli_label_options, &c.labels},
                                {options, &c},
                                {cli_recipe_options, &c.recipe},
                                {cli_limit_options, &c.limits},
                                {cli_compute_options, &c.compute},
                                {cli_report_options, &c.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &c.operands);
    cli_console_set_progress(c.report.progress);
    if (status == CLI_CONTINUE) status = work(&c);
    cli_session_close(&c.session);
    cli_labels_free(&c.labels);
    tw_pictures_free(c.pictures);
    tw_buffer_free(&c.out);
    tw_buffer_free(&c.used);
    free(c.matches);
    free(c.operands.items);
    return status;
}

const cli_verb cli_classify = {
    .name = "classify",
    .summary = "zero-shot: the best labels of each picture",
    .usage = "-m MODEL (--labels FILE|--label L…) [options] PICTURE|FOLDER…",
    .about =
        "A label's vector is the mean over the templates, as in Chinese-CLIP's zero-shot script.",
    .example = "tuwen classify -m model.gguf --label 猫 --label 狗 --template 一张{}的照片 cat.jpg",
    .run = run,
};
