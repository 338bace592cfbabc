#include "topk_files.h"

#include "console.h"
#include "dataset/walk.h"
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT(field) offsetof(cli_topk_files, field)
const cli_option cli_topk_file_options[] = {
    {"results", 0, CLI_TEXT, "DIR", "the MagicMind sample's files: labels, top-1, top-5, accuracy",
     AT(folder), 0, 0},
    {"result-file", 0, CLI_TEXT, "FILE", NULL, AT(paths[CLI_TOPK_NAMES]), 0, 0},
    {"result-label-file", 0, CLI_TEXT, "FILE", NULL, AT(paths[CLI_TOPK_LABELS]), 0, 0},
    {"result-top1-file", 0, CLI_TEXT, "FILE", NULL, AT(paths[CLI_TOPK_1]), 0, 0},
    {"result-top5-file", 0, CLI_TEXT, "FILE", NULL, AT(paths[CLI_TOPK_5]), 0, 0},
    {"top1andtop5-file", 0, CLI_TEXT, "FILE", NULL, AT(paths[CLI_TOPK_ACCURACY]), 0, 0},
    {"acc-result", 0, CLI_TEXT, "FILE", NULL, AT(paths[CLI_TOPK_ACCURACY]), 0, 0},
    {"result-1-file", 0, CLI_TEXT, "FILE", NULL, AT(read_1), 0, 0},
    {"result-5-file", 0, CLI_TEXT, "FILE", NULL, AT(read_5), 0, 0},
    {"magicmind-model", 0, CLI_REPLACED, "use -m MODEL.gguf", NULL, 0, 0, 0},
    {"device-id", 0, CLI_REPLACED, "use --backend and --device", NULL, 0, 0, 0},
    {"image-dir", 0, CLI_REPLACED, "use --data with class folders", NULL, 0, 0, 0},
    {"datasets-dir", 0, CLI_REPLACED, "use --data with class folders", NULL, 0, 0, 0},
    {"image-num", 0, CLI_REPLACED, "all pictures of --data are counted", NULL, 0, 0, 0},
    {"test-nums", 0, CLI_REPLACED, "all pictures of --data are counted", NULL, 0, 0, 0},
    {0}};
#undef AT

/* ---------------------------------------------------------------------------------- writing */

static const char *const sample_names[CLI_N_TOPK] = {"infer_result.txt", "eval_labels.txt",
                                                     "eval_result_1.txt", "eval_result_5.txt",
                                                     "eval_result.txt"};

static tw_status name_all(cli_topk_files *f, tw_error *err) {
    if (!f->folder) return TW_OK;
    if (mkdir(f->folder, 0777) != 0 && errno != EEXIST)
        return tw_fail(err, TW_ERR_IO, "%s: %s", f->folder, strerror(errno));
    for (int i = 0; i < CLI_N_TOPK; i++) {
        if (f->paths[i]) continue;
        TW_TRY(tw_join_path(f->folder, sample_names[i], &f->made[i], err));
        f->paths[i] = f->made[i];
    }
    return TW_OK;
}

int cli_topk_files_open(cli_topk_files *f) {
    tw_error err = TW_ERROR_INIT;
    if (name_all(f, &err) != TW_OK) return cli_fail(&err);
    for (int i = 0; i < CLI_N_TOPK; i++) {
        if (!f->paths[i]) continue;
        if (tw_output_open(f->paths[i], &f->files[i], &err) != TW_OK) return cli_fail(&err);
        f->is_open[i] = true;
    }
    return CLI_CONTINUE;
}

/* Writes the line through to file `i`. */
static tw_status flush(cli_topk_files *f, int i, tw_error *err) {
    tw_status status = f->line.failed ? tw_fail_no_memory(err, f->line.n_bytes) : TW_OK;
    if (status == TW_OK && f->is_open[i])
        status = tw_output_write(&f->files[i], f->line.data, f->line.n_bytes, err);
    tw_buffer_clear(&f->line);
    return status;
}

tw_status cli_topk_files_add(cli_topk_files *f, size_t index, uint32_t label, const tw_match *best,
                             size_t k, const tw_strings *names, tw_error *err) {
    tw_topk_put_line(&f->line, index, label);
    TW_TRY(flush(f, CLI_TOPK_LABELS, err));
    tw_topk_put_line(&f->line, index, best[0].index);
    TW_TRY(flush(f, CLI_TOPK_1, err));
    for (size_t i = 0; i < k; i++)
        tw_topk_put_line(&f->line, index, best[i].index);
    TW_TRY(flush(f, CLI_TOPK_5, err));
    tw_buffer_puts(&f->line, "top5 result:\n");
    for (size_t i = 0; i < k; i++)
        tw_buffer_printf(&f->line, "%zu [%s]\n", i, tw_strings_get(names, best[i].index));
    return flush(f, CLI_TOPK_NAMES, err);
}

tw_status cli_topk_files_commit(cli_topk_files *f, const tw_topk_counts *counts, tw_error *err) {
    tw_topk_put_result(&f->line, counts);
    TW_TRY(flush(f, CLI_TOPK_ACCURACY, err));
    for (int i = 0; i < CLI_N_TOPK; i++)
        if (f->is_open[i]) TW_TRY(tw_output_commit(&f->files[i], err));
    return TW_OK;
}

void cli_topk_files_free(cli_topk_files *f) {
    for (int i = 0; i < CLI_N_TOPK; i++) {
        tw_output_abort(&f->files[i]);
        free(f->made[i]);
    }
    tw_buffer_free(&f->line);
}

/* --------------------------------------------------------------------------------- counting */

bool cli_topk_files_to_score(const cli_topk_files *f, const cli_texts *operands) {
    return f->read_1 || f->read_5 || operands->n > 1;
}

/* The paths in the order of the operands: labels, top-1, top-5 and where the result goes. */
static int find_paths(const cli_topk_files *f, const cli_texts *operands, const char **paths) {
    const char *by_option[] = {f->paths[CLI_TOPK_LABELS], f->read_1, f->read_5,
                               f->paths[CLI_TOPK_ACCURACY]};
    bool options = f->read_1 || f->read_5;
    for (size_t i = 0; i < 4; i++)
        paths[i] = options ? by_option[i] : i < operands->n ? operands->items[i] : NULL;
    if (paths[0] && paths[1] && paths[2] && (options ? operands->n == 0 : operands->n <= 4))
        return CLI_CONTINUE;
    cli_error("expected LABELS TOP1 TOP5 [RESULT], or --data; got %zu operands", operands->n);
    return CLI_USAGE;
}

static void put_json(tw_buffer *b, const tw_topk_counts *c) {
    tw_buffer_puts(b, "{");
    cli_json_number(b, "n", (double)c->n_labels);
    cli_json_number(b, "top1", (double)c->n_top1 / (double)c->n_labels);
    cli_json_number(b, "top5", (double)c->n_top5 / (double)c->n_labels);
    tw_buffer_puts(b, "}\n");
}

int cli_topk_files_score(cli_topk_files *f, const cli_texts *operands, bool json) {
    const char *paths[4];
    int status = find_paths(f, operands, paths);
    if (status != CLI_CONTINUE) return status;
    tw_error err = TW_ERROR_INIT;
    tw_topk_counts counts;
    if (tw_topk_count_files(paths[0], paths[1], paths[2], &counts, &err) != TW_OK)
        return cli_fail(&err);
    cli_topk_files result = {.paths = {[CLI_TOPK_ACCURACY] = paths[3]}};
    status = cli_topk_files_open(&result);
    if (status == CLI_CONTINUE && cli_topk_files_commit(&result, &counts, &err) != TW_OK)
        status = cli_fail(&err);
    cli_topk_files_free(&result);
    if (status != CLI_CONTINUE) return status;
    if (json)
        put_json(&f->line, &counts);
    else
        tw_topk_put_printed(&f->line, &counts);
    status = cli_print(&f->line);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}
