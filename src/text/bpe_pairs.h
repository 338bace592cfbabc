/* The look-up of a pair, shared by who fills the table and who asks. */
#ifndef TEXT_BPE_PAIRS_H
#define TEXT_BPE_PAIRS_H

#include "text/bpe.h"

#define TW_BPE_NO_RANK UINT32_MAX

static inline uint32_t tw_bpe_first_slot(const tw_bpe *b, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= UINT64_C(0x9E3779B97F4A7C15);
    key ^= key >> 29;
    key *= UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(key >> 32) & b->slot_mask;
}

/* Rank of the merge that joins the two; TW_BPE_NO_RANK when there is none. */
static inline uint32_t tw_bpe_rank(const tw_bpe *b, int32_t left, int32_t right) {
    uint32_t slot = tw_bpe_first_slot(b, left, right);
    for (; b->slots[slot] != 0; slot = (slot + 1) & b->slot_mask) {
        uint32_t rank = b->slots[slot] - 1;
        if (b->pairs[rank][0] == left && b->pairs[rank][1] == right) return rank;
    }
    return TW_BPE_NO_RANK;
}

#endif
