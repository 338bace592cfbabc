/* tuwen embed: features of pictures or texts, one row an input. */
#include "dataset/sink.h"
#include "folder.h"
#include "inputs.h"
#include "output.h"
#include "raw_inputs.h"
#include "verbs.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct embed {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    cli_text text;
    const char *images, *texts, *pixels, *ids, *output, *folder, *errors;
    bool no_normalize;
    cli_texts operands;
    /* at work */
    cli_session session;
    cli_skips skips;
    tw_sink *sink;
    const tw_pictures *pictures;
    const tw_strings *strings;
    size_t n_rows;
    uint64_t begin_ns;
} embed;

#define AT(field) offsetof(embed, field)
static const cli_option options[] = {
    {"images", 0, CLI_TEXT, "LIST", "pictures: a file with one path a line", AT(images), 0, 0},
    {"texts", 0, CLI_TEXT, "FILE", "texts: plain lines or {\"text\": …} lines", AT(texts), 0, 0},
    {"pixels", 0, CLI_TEXT, "F.npy", "preprocessed pictures, N x 3 x R x R", AT(pixels), 0, 0},
    {"ids", 0, CLI_TEXT, "F.npy", "token ids, N x L", AT(ids), 0, 0},
    {"output", 'o', CLI_TEXT, "FILE", "OUT.npy or OUT.jsonl; - is JSONL", AT(output), 0, 0},
    {"npy-path", 0, CLI_TEXT, "DIR", "instead: one DIR/NAME.npy a picture, [1, E]", AT(folder), 0,
     0},
    {"no-normalize", 0, CLI_FLAG, NULL, "features as the towers give them", AT(no_normalize), 0, 0},
    {"errors", 0, CLI_TEXT, "FILE", "skipped inputs and reasons, JSONL", AT(errors), 0, 0},
    {"extract-image-feats", 0, CLI_REPLACED, "give pictures as operands or with --images LIST",
     NULL, 0, 0, 0},
    {"extract-text-feats", 0, CLI_REPLACED, "give texts with --texts FILE", NULL, 0, 0, 0},
    {"image-data", 0, CLI_REPLACED, "use --images LIST or a folder as operand", NULL, 0, 0, 0},
    {"text-data", 0, CLI_TEXT, "FILE", NULL, AT(texts), 0, 0},
    {"image-feat-output-path", 0, CLI_TEXT, "FILE", NULL, AT(output), 0, 0},
    {"text-feat-output-path", 0, CLI_TEXT, "FILE", NULL, AT(output), 0, 0},
    {"img-batch-size", 0, CLI_INT, "N", NULL, AT(compute.batch), 1, 4096},
    {"text-batch-size", 0, CLI_INT, "N", NULL, AT(compute.batch), 1, 4096},
    {"src-path", 0, CLI_TEXTS, "DIR", NULL, AT(operands), 0, 0},
    {"img-dir", 0, CLI_TEXTS, "DIR", NULL, AT(operands), 0, 0},
    {"save-path", 0, CLI_TEXT, "FILE", NULL, AT(output), 0, 0},
    {"input", 0, CLI_REPLACED, "give the pictures as operands, or use --pixels F.npy", NULL, 0, 0,
     0},
    {"outfmt", 0, CLI_REPLACED, "the ending of -o OUT.npy or -o OUT.jsonl says it", NULL, 0, 0, 0},
    {"output-dirname", 0, CLI_REPLACED, "use --npy-path DIR: one file a picture", NULL, 0, 0, 0},
    {"max-que-size", 0, CLI_REPLACED, "leave it out: no queue to set; --batch is what runs at once",
     NULL, 0, 0, 0},
    {"resume", 0, CLI_REPLACED, "convert the checkpoint once (tuwen convert) and give -m M.gguf",
     NULL, 0, 0, 0},
    {0}};
#undef AT

static int check_usage(const embed *e) {
    int n =
        (e->images || e->operands.n) + (e->texts != NULL) + (e->pixels != NULL) + (e->ids != NULL);
    if (n != 1)
        cli_error("%s: pictures (operands or --images), --texts, --pixels or --ids",
                  n ? "expected one kind of input" : "no input");
    else if (!e->output == !e->folder)
        cli_error(e->output ? "-o and --npy-path exclude each other"
                            : "no output: give -o OUT.npy or -o OUT.jsonl");
    else if (e->output && !tw_sink_takes(e->output))
        cli_error("%s: expected an output ending in .npy or .jsonl", e->output);
    else if (e->folder && !e->images && !e->operands.n)
        cli_error("--npy-path: a file a picture; texts and arrays go to one file, -o OUT.npy");
    else if (e->report.json && e->output && strcmp(e->output, "-") == 0)
        cli_error("--json and -o - both want standard output");
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

/* A file each of the pictures that could be read: the row of another is NaN. */
static tw_status write_files(embed *e, size_t first, const float *features, size_t n,
                             tw_error *err) {
    const int64_t shape[2] = {1, tw_model_arch(e->session.model)->embed_dim};
    for (size_t i = 0; i < n; i++) {
        const float *row = features + i * (size_t)shape[1];
        if (isnan(row[0])) continue;
        TW_TRY(cli_folder_save(e->folder, tw_pictures_name(e->pictures, first + i), TW_F32, 2,
                               shape, row, err));
    }
    return TW_OK;
}

static tw_status write_rows(void *user, size_t first, const float *features, size_t n,
                            tw_error *err) {
    embed *e = user;
    enum { STEP = 64 };
    size_t dim = (size_t)tw_model_arch(e->session.model)->embed_dim;
    if (e->folder) return write_files(e, first, features, n, err);
    for (size_t i = 0; i < n; i += STEP) {
        const char *names[STEP];
        size_t now = n - i < STEP ? n - i : STEP;
        for (size_t k = 0; k < now; k++) {
            if (e->pictures) names[k] = tw_pictures_name(e->pictures, first + i + k);
            if (e->strings) names[k] = tw_strings_get(e->strings, first + i + k);
        }
        bool named = e->pictures || e->strings;
        TW_TRY(tw_sink_write(e->sink, features + i * dim, now, named ? names : NULL, err));
    }
    return TW_OK;
}

static tw_status open_sink(embed *e, size_t n_rows, tw_error *err) {
    e->n_rows = n_rows;
    e->begin_ns = tw_now_ns();
    if (e->folder) return cli_folder_prepare(e->folder, e->pictures, err);
    size_t dim = (size_t)tw_model_arch(e->session.model)->embed_dim;
    return tw_sink_open(e->output, n_rows, dim, e->pictures ? "image" : "text", &e->sink, err);
}

/* Closes the sink: into place when all went well and there is something in it. */
static int finish(embed *e, tw_status result, tw_error *err) {
    if (result == TW_OK && e->sink && !cli_all_skipped(&e->skips)) {
        result = tw_sink_commit(e->sink, err);
        e->sink = NULL;
    }
    tw_sink_abort(e->sink);
    e->sink = NULL;
    return cli_skips_close(&e->skips, result == TW_OK ? CLI_DONE : cli_fail(err));
}

static int embed_pictures(embed *e) {
    tw_pictures *pictures = NULL;
    int status = cli_gather_pictures(e->images, &e->operands, &pictures);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&e->session, &e->compute, &e->recipe, CLI_VISION);
    if (status == CLI_CONTINUE)
        status = cli_skips_open(&e->skips, e->errors, tw_pictures_count(pictures));
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        tw_image_options limits = cli_image_options(&e->limits);
        e->pictures = pictures;
        tw_status result = open_sink(e, tw_pictures_count(pictures), &err);
        if (result == TW_OK)
            result = cli_encode_pictures(&e->session, pictures, &limits, !e->no_normalize,
                                         &e->skips, write_rows, e, &err);
        status = finish(e, result, &err);
        e->pictures = NULL;
    }
    tw_pictures_free(pictures);
    return status;
}

static int embed_texts(embed *e) {
    tw_strings texts = {0};
    int status = cli_gather_texts(e->texts, NULL, &texts);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&e->session, &e->compute, NULL, CLI_TEXT_TOWER);
    if (status == CLI_CONTINUE) {
        tw_error err = TW_ERROR_INIT;
        e->strings = &texts;
        tw_status result = open_sink(e, texts.n, &err);
        if (result == TW_OK)
            result = cli_encode_texts(&e->session, &texts, &e->text, !e->no_normalize, write_rows,
                                      e, &err);
        status = finish(e, result, &err);
        e->strings = NULL;
    }
    tw_strings_free(&texts);
    return status;
}

static int embed_array(embed *e) {
    bool is_pixels = e->pixels != NULL;
    cli_array array;
    tw_error err = TW_ERROR_INIT;
    if (cli_array_open(is_pixels ? e->pixels : e->ids, &array, &err) != TW_OK)
        return cli_fail(&err);
    int status =
        cli_session_open(&e->session, &e->compute, NULL, is_pixels ? CLI_VISION : CLI_TEXT_TOWER);
    if (status == CLI_CONTINUE) {
        tw_status result = is_pixels ? cli_array_check_pixels(&array, e->session.model, &err)
                                     : cli_array_check_ids(&array, &err);
        if (result == TW_OK) result = open_sink(e, array.n_rows, &err);
        if (result == TW_OK)
            result = cli_encode_array(&e->session, &array, is_pixels, !e->no_normalize, write_rows,
                                      e, &err);
        status = finish(e, result, &err);
    }
    cli_array_close(&array);
    return status;
}

static int print_summary(embed *e) {
    double seconds = (double)(tw_now_ns() - e->begin_ns) / 1e9;
    tw_buffer b = {0};
    tw_buffer_puts(&b, "{");
    cli_json_member(&b, "output", e->folder ? e->folder : e->output);
    cli_json_number(&b, "rows", (double)e->n_rows);
    cli_json_number(&b, "dim", tw_model_arch(e->session.model)->embed_dim);
    cli_json_number(&b, "skipped", (double)e->skips.n);
    tw_buffer_printf(&b, ", \"normalized\": %s", e->no_normalize ? "false" : "true");
    cli_json_number(&b, "seconds", seconds);
    cli_json_number(&b, "per_second", seconds > 0 ? (double)e->n_rows / seconds : 0);
    tw_buffer_puts(&b, ", ");
    cli_json_used(&b, &e->session, e->images || e->operands.n);
    tw_buffer_puts(&b, "}\n");
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    embed e = {0};
    const cli_group groups[] = {{options, &e},
                                {cli_text_options, &e.text},
                                {cli_recipe_options, &e.recipe},
                                {cli_limit_options, &e.limits},
                                {cli_compute_options, &e.compute},
                                {cli_guide_options, &e.compute},
                                {cli_report_options, &e.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &e.operands);
    cli_console_set_progress(e.report.progress);
    if (status == CLI_CONTINUE) status = check_usage(&e);
    if (status == CLI_CONTINUE)
        status = e.pixels || e.ids ? embed_array(&e)
                 : e.texts         ? embed_texts(&e)
                                   : embed_pictures(&e);
    if (e.report.json && (status == CLI_DONE || status == CLI_SKIPPED)) {
        int printed = print_summary(&e);
        if (printed != CLI_CONTINUE) status = printed;
    }
    cli_session_close(&e.session);
    free(e.operands.items);
    return status;
}

const cli_verb cli_embed = {
    .name = "embed",
    .summary = "features of pictures or texts into .npy or .jsonl",
    .usage = "-m MODEL INPUT… -o OUT",
    .about = "INPUT: pictures, folders, .tar, --images, --texts, --pixels or --ids. One row an "
             "input, in\n"
             "their order; the row of a picture that cannot be read is NaN.",
    .example = "tuwen embed -m model.gguf photos/ -o photos.npy",
    .run = run,
};
