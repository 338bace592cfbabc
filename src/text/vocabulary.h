/* A vocabulary: entries by id, ids by entry. Entries are UTF-8 without NUL. */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/status.h"

/* Far above any WordPiece vocabulary known (multilingual BERT: 119,547 entries, 1 MB). */
#define TW_VOCABULARY_MAX_ENTRIES ((size_t)1000000)
#define TW_VOCABULARY_MAX_BYTES ((size_t)64 << 20)
#define TW_VOCABULARY_MAX_ENTRY_BYTES ((size_t)1024)

typedef struct tw_vocabulary {
    char *bytes;       /* the entries one after another, each followed by NUL */
    uint32_t *offsets; /* [n_entries + 1] into bytes */
    int32_t n_entries;
    size_t longest_bytes; /* of one entry */
    uint32_t *slots;      /* [slot_mask + 1] id + 1, 0 = free; linear probing */
    uint32_t slot_mask;
} tw_vocabulary;

/* Copies the entries as they are. When two are equal the later one is found, as in a Python dict
 * filled in order. Errors: TW_ERR_FORMAT, TW_ERR_LIMIT, TW_ERR_NO_MEMORY; `out` is then empty. */
tw_status tw_vocabulary_build(const char *const *entries, const size_t *n_bytes, size_t n_entries,
                              tw_vocabulary *out, tw_error *err);
void tw_vocabulary_free(tw_vocabulary *vocabulary);

/* FNV-1a, so that the hashes of all prefixes of a word come from one walk over it. */
#define TW_VOCABULARY_HASH_SEED UINT64_C(0xCBF29CE484222325)
static inline uint64_t tw_vocabulary_hash(uint64_t hash, const void *data, size_t n_bytes) {
    const uint8_t *p = data;
    for (size_t i = 0; i < n_bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001B3);
    return hash;
}

/* Id of the entry `head` + `tail`, whose hash is `hash`; -1 when there is none. */
int32_t tw_vocabulary_find_hashed(const tw_vocabulary *vocabulary, uint64_t hash, const char *head,
                                  size_t n_head, const char *tail, size_t n_tail);

/* Id of an entry; -1 when there is none. */
int32_t tw_vocabulary_find(const tw_vocabulary *vocabulary, const char *entry);

#endif
