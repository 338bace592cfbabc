/* The files of the MagicMind sample: what `eval zeroshot` writes beside its figures, and counts
 * again as compute_top1_and_top5.py does. */
#ifndef CLI_TOPK_FILES_H
#define CLI_TOPK_FILES_H

#include "args.h"
#include "base/file.h"
#include "dataset/strings.h"
#include "eval/topk_files.h"
#include "tuwen/tuwen.h"

/* The sample writes the first four, its counting reads three of them and writes the last. */
enum {
    CLI_TOPK_NAMES,    /* infer_result.txt: names of the five best */
    CLI_TOPK_LABELS,   /* eval_labels.txt: the right classes */
    CLI_TOPK_1,        /* eval_result_1.txt */
    CLI_TOPK_5,        /* eval_result_5.txt */
    CLI_TOPK_ACCURACY, /* eval_result.txt */
    CLI_N_TOPK
};

typedef struct cli_topk_files {
    const char *folder;            /* of all five, under the sample's names */
    const char *paths[CLI_N_TOPK]; /* or each by itself */
    const char *read_1, *read_5;   /* the counting's words for two of them */
    /* at work */
    char *made[CLI_N_TOPK]; /* paths made of the folder */
    tw_output files[CLI_N_TOPK];
    bool is_open[CLI_N_TOPK];
    tw_buffer line;
} cli_topk_files;

extern const cli_option cli_topk_file_options[];

/* Whether the command line asks to count files again. */
bool cli_topk_files_to_score(const cli_topk_files *f, const cli_texts *operands);

/* Counts LABELS TOP1 TOP5 [RESULT], or those of the options. Returns a status to exit with. */
int cli_topk_files_score(cli_topk_files *f, const cli_texts *operands, bool json);

/* Opens those that are asked for. Returns CLI_CONTINUE or a status. */
int cli_topk_files_open(cli_topk_files *f);

/* Picture `index` of the data, its right label, and its k best. */
tw_status cli_topk_files_add(cli_topk_files *f, size_t index, uint32_t label, const tw_match *best,
                             size_t k, const tw_strings *names, tw_error *err);
tw_status cli_topk_files_commit(cli_topk_files *f, const tw_topk_counts *counts, tw_error *err);
void cli_topk_files_free(cli_topk_files *f);

#endif
