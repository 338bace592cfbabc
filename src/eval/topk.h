/* The k best of a row of scores, equal scores in PyTorch's order. */
#ifndef EVAL_TOPK_H
#define EVAL_TOPK_H

#include <stddef.h>
#include <stdint.h>

typedef struct tw_scored {
    float score;
    uint32_t index;
} tw_scored;

/* Rearranges row [n] so that its first k (1..n) are the best ones, best first. No NaN.
 *
 * Which of two equal scores comes first is decided as torch.topk does on the CPU, that is by the
 * steps of libstdc++'s std::nth_element (or std::partial_sort when 64 k <= n). It matters for
 * accuracy figures: two labels of the same tokens (鳐鱼 and 鳟鱼 are both [UNK] 鱼) tie on every
 * picture, and a figure that is to equal PyTorch's must count the same one of them.
 * Source: PyTorch aten/src/ATen/native/TopKImpl.h, topk_impl_loop. */
void tw_topk(tw_scored *row, size_t n, size_t k);

#endif
