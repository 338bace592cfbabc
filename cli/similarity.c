/* tuwen similarity: every picture with every text. */
#include "inputs.h"
#include "output.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct similarity {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    cli_text text;
    const char *images, *texts, *errors;
    cli_texts single, operands;
    /* at work */
    cli_session session;
    cli_skips skips;
    tw_pictures *pictures;
    tw_strings strings;
    float *text_features;                         /* [n_texts, E] */
    float *cosine, *logits, *probs;               /* [n_texts], of one picture */
    tw_buffer all_logits, all_probs, all_cosines; /* JSON rows */
    tw_buffer out;
    size_t name_width, *widths; /* of the table's columns */
} similarity;

#define AT(field) offsetof(similarity, field)
static const cli_option options[] = {
    {"images", 0, CLI_TEXT, "LIST", "pictures: a file with one path a line", AT(images), 0, 0},
    {"texts", 0, CLI_TEXT, "FILE", "texts: plain lines or {\"text\": …} lines", AT(texts), 0, 0},
    {"text", 0, CLI_TEXTS, "TEXT", "one text; may be repeated", AT(single), 0, 0},
    {"errors", 0, CLI_TEXT, "FILE", "skipped pictures and reasons, JSONL", AT(errors), 0, 0},
    {"image", 0, CLI_TEXTS, "FILE", NULL, AT(operands), 0, 0},
    {0}};
#undef AT

#define MAX_NAME_WIDTH 40
#define MAX_TEXT_WIDTH 32
#define CELL_WIDTH 17 /* "100.00% (+0.1234)" */

static void print_header(similarity *s) {
    tw_buffer *b = &s->out;
    for (size_t i = 0; i < tw_pictures_count(s->pictures); i++) {
        size_t w = cli_text_width(tw_pictures_name(s->pictures, i));
        if (w > s->name_width) s->name_width = w;
    }
    if (s->name_width > MAX_NAME_WIDTH) s->name_width = MAX_NAME_WIDTH;
    cli_put_cell(b, "", s->name_width, false, false);
    for (size_t j = 0; j < s->strings.n; j++) {
        size_t w = cli_text_width(tw_strings_get(&s->strings, j));
        s->widths[j] = w < CELL_WIDTH ? CELL_WIDTH : w > MAX_TEXT_WIDTH ? MAX_TEXT_WIDTH : w;
        tw_buffer_puts(b, "  ");
        cli_put_cell(b, tw_strings_get(&s->strings, j), s->widths[j], true, false);
    }
    tw_buffer_puts(b, "\n");
}

static void print_row(similarity *s, size_t picture) {
    tw_buffer *b = &s->out;
    cli_put_cell(b, tw_pictures_name(s->pictures, picture), s->name_width, false, true);
    for (size_t j = 0; j < s->strings.n; j++) {
        char cell[48] = "-";
        if (isfinite(s->probs[j]))
            snprintf(cell, sizeof cell, "%.2f%% (%+.4f)", 100 * (double)s->probs[j],
                     (double)s->cosine[j]);
        tw_buffer_puts(b, "  ");
        cli_put_cell(b, cell, s->widths[j], true, false);
    }
    tw_buffer_puts(b, "\n");
}

static void add_json_row(tw_buffer *b, const float *row, size_t n) {
    if (b->n_bytes) tw_buffer_puts(b, ", ");
    cli_json_floats(b, row, n);
}

static tw_status take_rows(void *user, size_t first, const float *features, size_t n,
                           tw_error *err) {
    similarity *s = user;
    size_t dim = (size_t)tw_model_arch(s->session.model)->embed_dim;
    for (size_t i = 0; i < n; i++) {
        TW_TRY(tw_similarity(features + i * dim, 1, s->text_features, s->strings.n, dim,
                             tw_model_logit_scale(s->session.model), s->cosine, s->logits, s->probs,
                             err));
        if (s->report.json) {
            add_json_row(&s->all_logits, s->logits, s->strings.n);
            add_json_row(&s->all_probs, s->probs, s->strings.n);
            add_json_row(&s->all_cosines, s->cosine, s->strings.n);
        } else {
            print_row(s, first + i);
        }
    }
    if (s->all_logits.failed || s->out.failed) return tw_fail_no_memory(err, s->out.n_bytes);
    return TW_OK;
}

static void put_rows(tw_buffer *b, const char *key, const tw_buffer *rows) {
    tw_buffer_printf(b, "%s\"%s\": [", b->n_bytes > 1 ? ", " : "", key);
    if (rows->n_bytes) tw_buffer_append(b, rows->data, rows->n_bytes);
    tw_buffer_puts(b, "]");
}

static void put_json(similarity *s) {
    tw_buffer *b = &s->out;
    tw_buffer_puts(b, "{");
    put_rows(b, "logits", &s->all_logits);
    put_rows(b, "probs", &s->all_probs);
    put_rows(b, "cosine", &s->all_cosines);
    tw_buffer_puts(b, ", \"images\": [");
    for (size_t i = 0; i < tw_pictures_count(s->pictures); i++) {
        const char *name = tw_pictures_name(s->pictures, i);
        if (i) tw_buffer_puts(b, ", ");
        tw_buffer_json_string(b, name, strlen(name));
    }
    tw_buffer_puts(b, "], \"texts\": [");
    for (size_t j = 0; j < s->strings.n; j++) {
        const char *text = tw_strings_get(&s->strings, j);
        if (j) tw_buffer_puts(b, ", ");
        tw_buffer_json_string(b, text, strlen(text));
    }
    tw_buffer_puts(b, "], \"logit_scale\": ");
    tw_buffer_json_float(b, tw_model_logit_scale(s->session.model));
    tw_buffer_puts(b, ", ");
    cli_json_used(b, &s->session, true);
    tw_buffer_puts(b, "}\n");
}

static tw_status allocate(similarity *s, tw_error *err) {
    size_t n = s->strings.n ? s->strings.n : 1;
    s->cosine = calloc(n, sizeof *s->cosine);
    s->logits = calloc(n, sizeof *s->logits);
    s->probs = calloc(n, sizeof *s->probs);
    s->widths = calloc(n, sizeof *s->widths);
    if (s->cosine && s->logits && s->probs && s->widths) return TW_OK;
    return tw_fail_no_memory(err, n * sizeof *s->cosine);
}

static tw_status compute(similarity *s, tw_error *err) {
    tw_image_options limits = cli_image_options(&s->limits);
    TW_TRY(allocate(s, err));
    TW_TRY(cli_text_features(&s->session, &s->strings, &s->text, &s->text_features, err));
    if (!s->report.json) print_header(s);
    TW_TRY(
        cli_encode_pictures(&s->session, s->pictures, &limits, true, &s->skips, take_rows, s, err));
    if (s->report.json)
        put_json(s);
    else
        tw_buffer_printf(&s->out, "\nprobability (cosine); logit = %.4f x cosine\n",
                         exp((double)tw_model_logit_scale(s->session.model)));
    return s->out.failed ? tw_fail_no_memory(err, s->out.n_bytes) : TW_OK;
}

static int work(similarity *s) {
    int status = cli_gather_texts(s->texts, &s->single, &s->strings);
    if (status != CLI_CONTINUE) return status;
    if (s->strings.n == 0) {
        cli_error("no text to compare with");
        return CLI_FAILED;
    }
    status = cli_gather_pictures(s->images, &s->operands, &s->pictures);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&s->session, &s->compute, &s->recipe, CLI_BOTH);
    if (status == CLI_CONTINUE)
        status = cli_skips_open(&s->skips, s->errors, tw_pictures_count(s->pictures));
    if (status != CLI_CONTINUE) return status;
    tw_error err = TW_ERROR_INIT;
    status = compute(s, &err) == TW_OK ? CLI_DONE : cli_fail(&err);
    if (status == CLI_DONE && !cli_all_skipped(&s->skips)) {
        int printed = cli_print(&s->out);
        if (printed != CLI_CONTINUE) status = printed;
    }
    return cli_skips_close(&s->skips, status);
}

static void release(similarity *s) {
    cli_session_close(&s->session);
    tw_pictures_free(s->pictures);
    tw_strings_free(&s->strings);
    free(s->text_features);
    free(s->cosine);
    free(s->logits);
    free(s->probs);
    free(s->widths);
    tw_buffer_free(&s->all_logits);
    tw_buffer_free(&s->all_probs);
    tw_buffer_free(&s->all_cosines);
    tw_buffer_free(&s->out);
    free(s->single.items);
    free(s->operands.items);
}

static int run(const cli_verb *verb, int argc, char **argv) {
    similarity s = {0};
    const cli_group groups[] = {{options, &s},
                                {cli_text_options, &s.text},
                                {cli_recipe_options, &s.recipe},
                                {cli_limit_options, &s.limits},
                                {cli_compute_options, &s.compute},
                                {cli_report_options, &s.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &s.operands);
    cli_console_set_progress(s.report.progress);
    if (status == CLI_CONTINUE && !s.texts && s.single.n == 0) {
        cli_error("no texts: give --text TEXT or --texts FILE");
        status = CLI_USAGE;
    }
    if (status == CLI_CONTINUE) status = work(&s);
    release(&s);
    return status;
}

const cli_verb cli_similarity = {
    .name = "similarity",
    .summary = "table of pictures x texts: cosine, logits, probabilities",
    .usage = "-m MODEL (--text TEXT…|--texts FILE) PICTURE|FOLDER…",
    .about = "Probabilities are the softmax over the texts of exp(logit scale) x cosine.",
    .example = "tuwen similarity -m model.gguf --text 猫 --text 狗 cat.jpg dog.jpg",
    .run = run,
};
