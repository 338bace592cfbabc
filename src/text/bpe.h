/* Byte pairs: the table of merges, and words into ids. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "text/codepoints.h"
#include "text/vocabulary.h"
#include "tuwen/text.h"

enum {
    TW_BPE_N_BYTES = 256,
    TW_BPE_MAX_MERGES = 49152 - 256 - 2 /* lines of the file beyond are not used */
};

typedef struct tw_bpe {
    tw_bpe_variant variant;
    int32_t byte_ids[TW_BPE_N_BYTES]; /* of a byte within a word; + 256 as the word's last */
    int32_t n_merges;
    int32_t (*pairs)[2]; /* [n_merges] ids that the merge joins; its place is its rank */
    int32_t *merged;     /* [n_merges] id of what comes out */
    uint32_t *slots;     /* [slot_mask + 1] rank + 1, 0 = free; linear probing */
    uint32_t slot_mask;
} tw_bpe;

/* From the bytes of bpe_simple_vocab_16e6.txt or merges.txt; fills the vocabulary too.
 * Errors: TW_ERR_FORMAT, TW_ERR_LIMIT, TW_ERR_NO_MEMORY; *out is then NULL. */
tw_status tw_bpe_build(const char *merges, size_t n_bytes, tw_bpe_variant variant, tw_bpe **out,
                       tw_vocabulary *vocabulary, tw_error *err);
void tw_bpe_free(tw_bpe *bpe);

/* Writes at most `capacity` ids of cleaned text, without start and end; sets how many in *n_ids.
 * `overflow` tells whether there would be more: the rest is then left unread.
 * Errors: TW_ERR_NO_MEMORY. */
tw_status tw_bpe_encode(const tw_bpe *bpe, const tw_vocabulary *vocabulary,
                        const tw_codepoints *text, int32_t *ids, int32_t capacity, int32_t *n_ids,
                        bool *overflow, tw_error *err);

#endif
