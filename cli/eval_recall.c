/* tuwen eval recall: recall@1, 5, 10 of a file of predictions, or of a model on a data set. */
#include "output.h"
#include "recall_data.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct recall {
    cli_recall_data model;
    int direction;
    const char *turned;
    cli_texts operands; /* annotations, predictions, result */
    /* at work */
    tw_direction way;
    tw_annotations annotations;
    tw_evaluation evaluation;
    tw_buffer result, out;
} recall;

#define AT(field) offsetof(recall, field)
static const cli_option options[] = {
    {"direction", 0, CLI_CHOICE, "text-to-image|image-to-text", "", AT(direction), 0, 0},
    {"turned", 0, CLI_TEXT, "FILE", "write the annotations turned around, one line a picture",
     AT(turned), 0, 0},
    {0}};
#undef AT

/* The file that Chinese-CLIP's transform_ir_annotation_to_tr.py writes. */
static tw_status write_turned(const char *path, const tw_annotations *a, tw_error *err) {
    tw_output file;
    TW_TRY(tw_output_open(path, &file, err));
    tw_buffer b = {0};
    tw_status status = TW_OK;
    for (size_t i = 0; i < a->n && status == TW_OK; i++) {
        tw_buffer_clear(&b);
        tw_buffer_printf(&b, "{\"image_id\": %lld, \"text_ids\": [", (long long)a->queries[i]);
        for (size_t j = tw_annotations_begin(a, i), first = j; j < a->ends[i]; j++)
            tw_buffer_printf(&b, j > first ? ", %lld" : "%lld", (long long)a->answers[j]);
        tw_buffer_puts(&b, "]}\n");
        status = b.failed ? tw_fail_no_memory(err, b.n_bytes)
                          : tw_output_write(&file, b.data, b.n_bytes, err);
    }
    if (status == TW_OK) status = tw_output_commit(&file, err);
    tw_output_abort(&file);
    tw_buffer_free(&b);
    return status;
}

/* Annotations of texts serve both directions: they are turned around when pictures are asked. */
static tw_status read_annotations(recall *e, tw_error *err) {
    const char *path = e->operands.items[0];
    bool of_texts = true;
    if (e->way == TW_IMAGE_TO_TEXT) TW_TRY(tw_annotations_sniff(path, "text_id", &of_texts, err));
    tw_annotation_kind kind = of_texts ? TW_IMAGES_OF_TEXTS : TW_TEXTS_OF_IMAGES;
    TW_TRY(tw_annotations_read(path, kind, &e->annotations, NULL, err));
    if (!of_texts || (e->way == TW_TEXT_TO_IMAGE && !e->turned)) return TW_OK;
    tw_annotations turned;
    TW_TRY(tw_annotations_turn(&e->annotations, &turned, err));
    tw_status status = e->turned ? write_turned(e->turned, &turned, err) : TW_OK;
    if (e->way == TW_TEXT_TO_IMAGE) {
        tw_annotations_free(&turned);
        return status;
    }
    tw_annotations_free(&e->annotations);
    e->annotations = turned;
    return status;
}

/* The result file: of a success, or of a failure with what is wrong. */
static int write_result(recall *e) {
    if (e->operands.n < 3) return CLI_CONTINUE;
    tw_error err = TW_ERROR_INIT;
    tw_output file;
    tw_status status = tw_output_open(e->operands.items[2], &file, &err);
    if (status != TW_OK) return cli_fail(&err);
    status = tw_output_write(&file, e->result.data, e->result.n_bytes, &err);
    if (status == TW_OK) status = tw_output_commit(&file, &err);
    tw_output_abort(&file);
    return status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

static void put_table(tw_buffer *b, const recall *e) {
    tw_recall_scores s = tw_recall_result(&e->evaluation.recall);
    tw_buffer_printf(b, "%s: %zu queries\n", tw_directions[e->way].name,
                     e->evaluation.recall.n_queries);
    tw_buffer_printf(b, "R@1 %.2f  R@5 %.2f  R@10 %.2f  mean %.2f\n", s.r1, s.r5, s.r10, s.mean);
}

/* With a result file what the original prints, else the figures; JSON when asked for. */
static int print_result(recall *e, const char *failure) {
    tw_buffer *b = &e->out;
    if (e->model.report.json) {
        tw_buffer_append(b, e->result.data, e->result.n_bytes);
        tw_buffer_puts(b, "\n");
    } else if (e->operands.n == 3) {
        tw_buffer_printf(b, "Read standard from %s\nRead user submit file from %s\n",
                         e->operands.items[0], e->operands.items[1]);
        if (failure)
            tw_buffer_printf(b, "The evaluation failed: %s\n", failure);
        else
            tw_buffer_puts(b, "The evaluation finished successfully.\n");
    } else if (!failure) {
        put_table(b, e);
    }
    return cli_print(b);
}

static int work(recall *e) {
    tw_error err = TW_ERROR_INIT;
    tw_status status = read_annotations(e, &err);
    if (status == TW_OK) {
        status = tw_evaluate(&e->annotations, e->operands.items[1], e->way, &e->evaluation, &err);
        if (status == TW_ERR_FORMAT && !e->annotations.n)
            tw_error_context(&err, "%s", e->operands.items[0]);
    }
    const char *failure = status != TW_OK         ? err.message
                          : e->evaluation.success ? NULL
                                                  : e->evaluation.message.data;
    if (failure)
        tw_evaluation_put_failure(&e->result, failure, strlen(failure));
    else
        tw_recall_put_json(&e->result, &e->evaluation.recall);
    int ended = write_result(e);
    if (ended == CLI_CONTINUE) ended = print_result(e, failure);
    if (ended != CLI_CONTINUE) return ended;
    if (!failure) return CLI_DONE;
    cli_error("%s", failure);
    return CLI_FAILED;
}

static int check_usage(const recall *e, bool of_model) {
    if (of_model && (e->operands.n || e->turned))
        cli_error("%s goes with files of predictions, not with a data set",
                  e->operands.n ? "an operand" : "--turned");
    else if (!of_model && e->operands.n != 2 && e->operands.n != 3)
        cli_error("expected ANNOTATIONS.jsonl PREDICTIONS.jsonl [RESULT.json] or --data, got %zu "
                  "operands",
                  e->operands.n);
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    recall e = {0};
    const cli_group groups[] = {{options, &e},
                                {cli_retrieval_options, &e.model.set},
                                {cli_text_options, &e.model.text},
                                {cli_recipe_options, &e.model.recipe},
                                {cli_limit_options, &e.model.limits},
                                {cli_compute_options, &e.model.compute},
                                {cli_report_options, &e.model.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &e.operands);
    bool of_model = e.model.set.data || e.model.set.image_data || e.model.set.text_data;
    e.model.wanted[TW_TEXT_TO_IMAGE] = e.direction != 2;
    e.model.wanted[TW_IMAGE_TO_TEXT] = e.direction != 1;
    cli_console_set_progress(e.model.report.progress);
    e.way = e.direction == 2 ? TW_IMAGE_TO_TEXT : TW_TEXT_TO_IMAGE;
    if (status == CLI_CONTINUE) status = check_usage(&e, of_model);
    if (status == CLI_CONTINUE) status = of_model ? cli_recall_data_run(&e.model) : work(&e);
    cli_recall_data_free(&e.model);
    tw_annotations_free(&e.annotations);
    tw_evaluation_free(&e.evaluation);
    tw_buffer_free(&e.result);
    tw_buffer_free(&e.out);
    free(e.operands.items);
    return status;
}

const cli_verb cli_eval_recall = {
    .name = "eval recall",
    .summary = "recall@1, 5, 10 and their mean, both directions",
    .usage = "(-m MODEL --data DIR|TAR | ANNOTATIONS PREDICTIONS [RESULT.json]) [options]",
    .about = "Of a model on a data set, or of a file of predictions as Chinese-CLIP's evaluation.",
    .example = "tuwen eval recall -m model.gguf --data datasets/Flickr30k-CN --split test",
    .run = run,
};
