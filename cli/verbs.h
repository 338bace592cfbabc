/* The verbs, one file each. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "args.h"

extern const cli_verb cli_bench, cli_build, cli_classify, cli_convert, cli_doctor, cli_embed,
    cli_eval_features, cli_eval_knn, cli_eval_recall, cli_eval_table, cli_eval_zeroshot, cli_export,
    cli_info, cli_preprocess, cli_pull, cli_similarity, cli_tokenize, cli_verify;

#endif
