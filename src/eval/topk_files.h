/* Labels and predictions as the MagicMind sample keeps them: text files with a line "[i]: class" a
 * picture, in that of the five best five such lines, best first.
 * Source: magicmind_cloud buildin/cv/other/clip_pytorch/infer_python/infer.py and
 * buildin/cv/utils/compute_top1_and_top5.py. */
#ifndef EVAL_TOPK_FILES_H
#define EVAL_TOPK_FILES_H

#include "base/buffer.h"
#include "base/status.h"

/* "[INDEX]: CLASS" and the end of the line. */
void tw_topk_put_line(tw_buffer *b, size_t index, uint32_t label);

/* Shares of labels; the original's order of operations. */
typedef struct tw_topk_counts {
    size_t n_labels, n_top1, n_top5;
} tw_topk_counts;

/* What the original prints, and what it writes. */
void tw_topk_put_printed(tw_buffer *b, const tw_topk_counts *counts);
void tw_topk_put_result(tw_buffer *b, const tw_topk_counts *counts);

/* The bytes of a text file; `name` is for messages. */
typedef struct tw_topk_text {
    const char *name;
    const uint8_t *data;
    size_t n_bytes;
} tw_topk_text;

/* Counts, for every line of `labels`, the lines of `top1` and of `top5` that equal it, whole and
 * with the end of line (LF, CR LF and CR are the same; none is another), each as often as it is
 * there: that is how the original counts. Errors: TW_ERR_FORMAT (not UTF-8; no label at all),
 * TW_ERR_LIMIT (2^32 lines or more), TW_ERR_NO_MEMORY. */
tw_status tw_topk_count(const tw_topk_text *labels, const tw_topk_text *top1,
                        const tw_topk_text *top5, tw_topk_counts *out, tw_error *err);

/* The same of files. */
tw_status tw_topk_count_files(const char *labels, const char *top1, const char *top5,
                              tw_topk_counts *out, tw_error *err);

#endif
