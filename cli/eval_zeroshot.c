/* tuwen eval zeroshot: accuracy on pictures in class folders. */
#include "eval/rank.h"
#include "eval/zeroshot.h"
#include "inputs.h"
#include "labels.h"
#include "output.h"
#include "topk_files.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct eval {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    cli_labels labels;
    cli_topk_files results;
    const char *data, *predictions, *errors;
    const char *save_dir, *dataset, *vision_model, *text_model; /* words of the original script */
    cli_texts operands;
    /* at work */
    cli_session session;
    cli_skips skips;
    tw_class_folders folders;
    tw_zeroshot_score score;
    tw_ranker ranker;
    tw_output file; /* of predictions */
    bool has_file, all_probs;
    size_t n_written;
    char *predictions_path; /* made of save_dir and dataset */
    tw_buffer line;
} eval;

#define AT(field) offsetof(eval, field)
static const cli_option options[] = {
    {"data", 0, CLI_TEXT, "DIR|TAR", "class folders, or a folder or tar with them in test/",
     AT(data), 0, 0},
    {"predictions", 0, CLI_TEXT, "FILE", ".jsonl: five best a picture; .json: all probabilities",
     AT(predictions), 0, 0},
    {"errors", 0, CLI_TEXT, "FILE", "skipped pictures and reasons, JSONL", AT(errors), 0, 0},
    {"datapath", 0, CLI_TEXT, "DIR", NULL, AT(data), 0, 0},
    {"dataset", 0, CLI_TEXT, "NAME", NULL, AT(dataset), 0, 0},
    {"save-dir", 0, CLI_TEXT, "DIR", NULL, AT(save_dir), 0, 0},
    {"img-batch-size", 0, CLI_INT, "N", NULL, AT(compute.batch), 1, 4096},
    {"vision-model", 0, CLI_TEXT, "NAME", NULL, AT(vision_model), 0, 0},
    {"text-model", 0, CLI_TEXT, "NAME", NULL, AT(text_model), 0, 0},
    {"resume", 0, CLI_REPLACED, "convert the checkpoint once (tuwen convert) and give -m M.gguf",
     NULL, 0, 0, 0},
    {"num-workers", 0, CLI_REPLACED, "use --threads", NULL, 0, 0, 0},
    {"context-length", 0, CLI_REPLACED,
     "it is the model's; set it with tuwen convert --context-length", NULL, 0, 0, 0},
    {"index", 0, CLI_REPLACED, "not part of this version: rows are in the order of the data", NULL,
     0, 0, 0},
    {0}};
#undef AT

/* ------------------------------------------------------------------------------ predictions */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

/* The head of the file that Chinese-CLIP's script writes; its rows follow one by one. */
static void put_head(eval *e) {
    tw_model_size size = {.struct_size = sizeof size};
    tw_model_get_size(e->session.model, &size);
    char name[96];
    const char *arch = tw_model_arch(e->session.model)->name;
    snprintf(name, sizeof name, "CN-CLIP-%.*s", (int)strcspn(arch, "@"), arch);
    tw_buffer_puts(&e->line, "{");
    cli_json_member(&e->line, "model_name", e->vision_model ? e->vision_model : name);
    cli_json_member(&e->line, "dataset_name", e->dataset ? e->dataset : "");
    tw_buffer_printf(&e->line,
                     ", \"num_trainable_params\": 0, \"num_params\": %llu, "
                     "\"num_visual_params\": %llu, \"num_backbone_params\": %llu, \"n_shot\": 0, "
                     "\"rnd_seeds\": [123], \"predictions\": [",
                     (unsigned long long)size.n_parameters,
                     (unsigned long long)size.n_vision_parameters,
                     (unsigned long long)size.n_parameters);
}

/* All probabilities of a picture in label order, six decimals. */
static void put_all_probs(eval *e) {
    tw_buffer_puts(&e->line, e->n_written ? ", [" : "[");
    for (size_t i = 0; i < e->labels.labels.n; i++) {
        if (i) tw_buffer_puts(&e->line, ", ");
        tw_buffer_printf(&e->line, "%.6g", round((double)e->ranker.probs[i] * 1e6) / 1e6);
    }
    tw_buffer_puts(&e->line, "]");
}

static void put_best(eval *e, const char *picture, uint32_t label) {
    tw_buffer *b = &e->line;
    tw_buffer_puts(b, "{");
    cli_json_member(b, "image", picture);
    tw_buffer_printf(b, ", \"class\": %u", (unsigned)label);
    cli_json_member(b, "label", tw_strings_get(&e->labels.labels, label));
    tw_buffer_puts(b, ", \"top\": [");
    for (size_t i = 0; i < e->ranker.k; i++) {
        const tw_match *m = &e->ranker.best[i];
        tw_buffer_puts(b, i ? ", {" : "{");
        cli_json_member(b, "label", tw_strings_get(&e->labels.labels, m->index));
        tw_buffer_puts(b, ", \"prob\": ");
        tw_buffer_json_float(b, m->prob);
        tw_buffer_printf(b, ", \"index\": %u}", (unsigned)m->index);
    }
    tw_buffer_puts(b, "]}\n");
}

static tw_status flush_line(eval *e, tw_error *err) {
    if (e->line.failed) return tw_fail_no_memory(err, e->line.n_bytes);
    tw_status status = tw_output_write(&e->file, e->line.data, e->line.n_bytes, err);
    tw_buffer_clear(&e->line);
    return status;
}

static tw_status write_prediction(eval *e, const char *picture, uint32_t label, tw_error *err) {
    if (e->all_probs)
        put_all_probs(e);
    else
        put_best(e, picture, label);
    e->n_written++;
    return flush_line(e, err);
}

static int open_predictions(eval *e) {
    tw_error err = TW_ERROR_INIT;
    if (e->save_dir) {
        size_t n = strlen(e->save_dir) + strlen(e->dataset) + sizeof "/.json";
        e->predictions_path = malloc(n);
        if (!e->predictions_path) {
            tw_fail_no_memory(&err, n);
            return cli_fail(&err);
        }
        snprintf(e->predictions_path, n, "%s/%s.json", e->save_dir, e->dataset);
        e->predictions = e->predictions_path;
    }
    if (!e->predictions) return CLI_CONTINUE;
    e->all_probs = ends_with(e->predictions, ".json");
    if (tw_output_open(e->predictions, &e->file, &err) != TW_OK) return cli_fail(&err);
    e->has_file = true;
    if (!e->all_probs) return CLI_CONTINUE;
    put_head(e);
    return flush_line(e, &err) == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

/* --------------------------------------------------------------------------------- counting */

static tw_status take_rows(void *user, size_t first, const float *features, size_t n,
                           tw_error *err) {
    eval *e = user;
    size_t dim = (size_t)tw_model_arch(e->session.model)->embed_dim;
    for (size_t i = 0; i < n; i++) {
        if (isnan(features[i * dim])) continue; /* in the list of the skipped */
        TW_TRY(tw_ranker_rank(&e->ranker, features + i * dim, err));
        const tw_match *best = e->ranker.best;
        uint32_t label = e->folders.labels[first + i];
        tw_zeroshot_score_add(&e->score, label, best, e->ranker.k);
        TW_TRY(cli_topk_files_add(&e->results, first + i, label, best, e->ranker.k,
                                  &e->labels.labels, err));
        if (e->has_file)
            TW_TRY(
                write_prediction(e, tw_pictures_name(e->folders.pictures, first + i), label, err));
    }
    return TW_OK;
}

static tw_status commit(eval *e, tw_error *err) {
    const tw_topk_counts counts = {e->score.n_images, e->score.n_top1, e->score.n_top5};
    if (cli_all_skipped(&e->skips)) return TW_OK;
    TW_TRY(cli_topk_files_commit(&e->results, &counts, err));
    if (!e->has_file) return TW_OK;
    if (e->all_probs) TW_TRY(tw_output_write(&e->file, "]}\n", 3, err));
    return tw_output_commit(&e->file, err);
}

static tw_status compute(eval *e, tw_error *err) {
    tw_image_options limits = cli_image_options(&e->limits);
    size_t n_labels = e->labels.labels.n;
    TW_TRY(tw_zeroshot_score_init(&e->score, n_labels, err));
    TW_TRY(cli_labels_encode(&e->labels, &e->session, 100, err));
    TW_TRY(tw_ranker_init(&e->ranker, e->labels.weights, n_labels,
                          (size_t)tw_model_arch(e->session.model)->embed_dim, e->labels.scale_value,
                          err));
    TW_TRY(cli_encode_pictures(&e->session, e->folders.pictures, &limits, true, &e->skips,
                               take_rows, e, err));
    return commit(e, err);
}

static int print_result(eval *e) {
    tw_zeroshot_result r = tw_zeroshot_score_result(&e->score);
    tw_buffer *b = &e->line;
    tw_buffer_clear(b);
    if (e->report.json) {
        tw_buffer_puts(b, "{");
        cli_json_number(b, "n", (double)r.n_images);
        cli_json_number(b, "skipped", (double)e->skips.n);
        cli_json_number(b, "top1", r.top1);
        cli_json_number(b, "top5", r.top5);
        cli_json_number(b, "mean_per_class", r.mean_per_class);
        cli_json_number(b, "classes", (double)r.n_classes);
        cli_json_number(b, "labels", (double)e->labels.labels.n);
        cli_json_number(b, "templates", (double)e->labels.prompts.n);
        tw_buffer_puts(b, ", ");
        cli_json_used(b, &e->session, true);
        tw_buffer_puts(b, "}\n");
    } else {
        tw_buffer_printf(b, "images: %llu in %zu classes\n", (unsigned long long)r.n_images,
                         r.n_classes);
        tw_buffer_printf(b, "zeroshot-top1: %.6g (%.2f %%)\n", r.top1, 100 * r.top1);
        tw_buffer_printf(b, "zeroshot-top5: %.6g (%.2f %%)\n", r.top5, 100 * r.top5);
        tw_buffer_printf(b, "mean-per-class: %.6g (%.2f %%)\n", r.mean_per_class,
                         100 * r.mean_per_class);
    }
    return cli_print(b);
}

/* ------------------------------------------------------------------------------------- verb */

static int check_usage(eval *e) {
    if (e->operands.n == 1 && !e->data)
        e->data = e->operands.items[0];
    else if (e->operands.n) {
        cli_error("unexpected operand '%s'", e->operands.items[0]);
        return CLI_USAGE;
    }
    if (!e->data)
        cli_error("no data: give --data DIR or --data FILE.tar");
    else if (e->save_dir && (e->predictions || !e->dataset))
        cli_error(
            "--save-dir writes DIR/DATASET.json: it goes with --dataset, without --predictions");
    else if (e->predictions && !ends_with(e->predictions, ".json") &&
             !ends_with(e->predictions, ".jsonl"))
        cli_error("--predictions: expected a name ending in .json or .jsonl, got '%s'",
                  e->predictions);
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

/* --vision-model and --text-model of the original script must name what the model file is. */
static int check_names(const eval *e) {
    const char *name = tw_model_arch(e->session.model)->name, *at = strchr(name, '@');
    size_t n_vision = at ? (size_t)(at - name) : strlen(name);
    const char *text = at ? at + 1 : "";
    bool vision_ok = !e->vision_model || (strlen(e->vision_model) == n_vision &&
                                          memcmp(e->vision_model, name, n_vision) == 0);
    if (vision_ok && (!e->text_model || strcmp(e->text_model, text) == 0)) return CLI_CONTINUE;
    cli_error("the model is %s, not %s%s%s", name, e->vision_model ? e->vision_model : "",
              e->text_model ? "@" : "", e->text_model ? e->text_model : "");
    return CLI_FAILED;
}

static int work(eval *e) {
    tw_error err = TW_ERROR_INIT;
    if (e->dataset && e->labels.templates && !e->labels.template_set)
        e->labels.template_set = e->dataset; /* the script chooses templates by the data set */
    if (!e->recipe.rgb_after && !e->recipe.name) e->recipe.rgb_first = true; /* as ImageFolder */
    int status = cli_labels_read(&e->labels);
    if (status == CLI_CONTINUE) status = cli_labels_open_folders(&e->labels, e->data, &e->folders);
    if (status == CLI_CONTINUE)
        status = cli_session_open(&e->session, &e->compute, &e->recipe, CLI_BOTH);
    if (status == CLI_CONTINUE) status = check_names(e);
    if (status == CLI_CONTINUE) status = open_predictions(e);
    if (status == CLI_CONTINUE) status = cli_topk_files_open(&e->results);
    if (status == CLI_CONTINUE)
        status = cli_skips_open(&e->skips, e->errors, tw_pictures_count(e->folders.pictures));
    if (status != CLI_CONTINUE) return status;
    status = compute(e, &err) == TW_OK ? CLI_DONE : cli_fail(&err);
    if (status == CLI_DONE && !cli_all_skipped(&e->skips)) {
        int printed = print_result(e);
        if (printed != CLI_CONTINUE) status = printed;
    }
    return cli_skips_close(&e->skips, status);
}

static int run(const cli_verb *verb, int argc, char **argv) {
    eval e = {0};
    const cli_group groups[] = {{options, &e},
                                {cli_topk_file_options, &e.results},
                                {cli_label_options, &e.labels},
                                {cli_recipe_options, &e.recipe},
                                {cli_limit_options, &e.limits},
                                {cli_compute_options, &e.compute},
                                {cli_report_options, &e.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &e.operands);
    cli_console_set_progress(e.report.progress);
    bool of_files = cli_topk_files_to_score(&e.results, &e.operands);
    if (status == CLI_CONTINUE && of_files)
        status = cli_topk_files_score(&e.results, &e.operands, e.report.json);
    if (status == CLI_CONTINUE) status = check_usage(&e);
    if (status == CLI_CONTINUE) status = work(&e);
    cli_session_close(&e.session);
    cli_labels_free(&e.labels);
    tw_class_folders_free(&e.folders);
    tw_zeroshot_score_free(&e.score);
    tw_output_abort(&e.file);
    tw_buffer_free(&e.line);
    free(e.predictions_path);
    tw_ranker_free(&e.ranker);
    cli_topk_files_free(&e.results);
    free(e.operands.items);
    return status;
}

const cli_verb cli_eval_zeroshot = {
    .name = "eval zeroshot",
    .summary = "zero-shot accuracy on class folders: top-1, top-5, mean per class",
    .usage = "(-m MODEL --data DIR|TAR --labels FILE | LABELS TOP1 TOP5 [RESULT])",
    .about = "Folder n in name order is label n. Converts to RGB first (as ImageFolder) unless "
             "--rgb-after.\n"
             "With the files of --results it counts again, as compute_top1_and_top5.py.",
    .example = "tuwen eval zeroshot -m model.gguf --data cifar-100/ --labels label_cn.txt",
    .run = run,
};
