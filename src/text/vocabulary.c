#include "text/vocabulary.h"

#include "base/size.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* With at most half the slots taken a run of this length does not happen by chance; a vocabulary
 * made to collide is refused rather than allowed to make every look-up slow. */
enum { LONGEST_PROBE = 256 };

static size_t entry_bytes(const tw_vocabulary *v, int32_t id) {
    return v->offsets[id + 1] - v->offsets[id] - 1;
}

/* FNV's low bits are weak on short keys: fold the well-mixed upper half in. */
static uint32_t first_slot(const tw_vocabulary *v, uint64_t hash) {
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 32) & v->slot_mask;
}

static bool entry_equals(const tw_vocabulary *v, int32_t id, const char *head, size_t n_head,
                         const char *tail, size_t n_tail) {
    const char *entry = v->bytes + v->offsets[id];
    return entry_bytes(v, id) == n_head + n_tail && memcmp(entry, head, n_head) == 0 &&
           memcmp(entry + n_head, tail, n_tail) == 0;
}

/* The slot that holds the entry, or the free one where it would go. */
static uint32_t find_slot(const tw_vocabulary *v, uint64_t hash, const char *head, size_t n_head,
                          const char *tail, size_t n_tail) {
    uint32_t slot = first_slot(v, hash);
    while (v->slots[slot] != 0 &&
           !entry_equals(v, (int32_t)v->slots[slot] - 1, head, n_head, tail, n_tail))
        slot = (slot + 1) & v->slot_mask;
    return slot;
}

int32_t tw_vocabulary_find_hashed(const tw_vocabulary *v, uint64_t hash, const char *head,
                                  size_t n_head, const char *tail, size_t n_tail) {
    return (int32_t)v->slots[find_slot(v, hash, head, n_head, tail, n_tail)] - 1;
}

int32_t tw_vocabulary_find(const tw_vocabulary *v, const char *entry) {
    size_t n = strlen(entry);
    uint64_t hash = tw_vocabulary_hash(TW_VOCABULARY_HASH_SEED, entry, n);
    return tw_vocabulary_find_hashed(v, hash, "", 0, entry, n);
}

static tw_status check_entries(const char *const *entries, const size_t *n_bytes, size_t n_entries,
                               size_t *total_bytes, tw_error *err) {
    if (n_entries == 0) return tw_fail(err, TW_ERR_FORMAT, "vocabulary: no entries");
    if (n_entries > TW_VOCABULARY_MAX_ENTRIES)
        return tw_fail(err, TW_ERR_FORMAT, "vocabulary: %zu entries, expected at most %zu",
                       n_entries, TW_VOCABULARY_MAX_ENTRIES);
    size_t total = 0;
    for (size_t i = 0; i < n_entries; i++) {
        if (n_bytes[i] > TW_VOCABULARY_MAX_ENTRY_BYTES)
            return tw_fail(err, TW_ERR_FORMAT,
                           "vocabulary entry %zu: %zu bytes, expected at most %zu", i, n_bytes[i],
                           TW_VOCABULARY_MAX_ENTRY_BYTES);
        if (!tw_utf8_valid(entries[i], n_bytes[i]))
            return tw_fail(err, TW_ERR_FORMAT, "vocabulary entry %zu: not valid UTF-8", i);
        if (n_bytes[i] != 0 && memchr(entries[i], 0, n_bytes[i]))
            return tw_fail(err, TW_ERR_FORMAT, "vocabulary entry %zu: contains a NUL byte", i);
        total += n_bytes[i] + 1; /* at most 10^6 * 1025 */
        if (total > TW_VOCABULARY_MAX_BYTES)
            return tw_fail(err, TW_ERR_FORMAT, "vocabulary: more than %zu bytes",
                           TW_VOCABULARY_MAX_BYTES);
    }
    *total_bytes = total;
    return TW_OK;
}

static tw_status allocate(tw_vocabulary *v, size_t n_entries, size_t total_bytes, tw_error *err) {
    size_t n_slots = 64;
    while (n_slots < 2 * n_entries)
        n_slots *= 2;
    v->bytes = malloc(total_bytes);
    v->offsets = malloc((n_entries + 1) * sizeof *v->offsets);
    v->slots = calloc(n_slots, sizeof *v->slots);
    v->slot_mask = (uint32_t)n_slots - 1;
    if (!v->bytes || !v->offsets || !v->slots)
        return tw_fail_no_memory(err, total_bytes + 4 * (n_entries + n_slots));
    return TW_OK;
}

static tw_status insert(tw_vocabulary *v, int32_t id, tw_error *err) {
    const char *entry = v->bytes + v->offsets[id];
    size_t n = entry_bytes(v, id);
    uint64_t hash = tw_vocabulary_hash(TW_VOCABULARY_HASH_SEED, entry, n);
    uint32_t slot = find_slot(v, hash, "", 0, entry, n);
    if (((slot - first_slot(v, hash)) & v->slot_mask) > LONGEST_PROBE)
        return tw_fail(err, TW_ERR_LIMIT,
                       "vocabulary entry %d: more than %d entries collide in the "
                       "look-up table",
                       (int)id, (int)LONGEST_PROBE);
    v->slots[slot] = (uint32_t)id + 1;
    return TW_OK;
}

tw_status tw_vocabulary_build(const char *const *entries, const size_t *n_bytes, size_t n_entries,
                              tw_vocabulary *out, tw_error *err) {
    tw_status status;
    size_t total_bytes = 0, at = 0;
    *out = (tw_vocabulary){0};
    TW_CHECK(check_entries(entries, n_bytes, n_entries, &total_bytes, err));
    TW_CHECK(allocate(out, n_entries, total_bytes, err));
    for (size_t i = 0; i < n_entries; i++) {
        out->offsets[i] = (uint32_t)at;
        if (n_bytes[i] != 0) memcpy(out->bytes + at, entries[i], n_bytes[i]);
        at += n_bytes[i];
        out->bytes[at++] = '\0';
        out->longest_bytes = TW_MAX(out->longest_bytes, n_bytes[i]);
    }
    out->offsets[n_entries] = (uint32_t)at;
    out->n_entries = (int32_t)n_entries;
    for (int32_t id = 0; id < out->n_entries; id++)
        TW_CHECK(insert(out, id, err));
done:
    if (status != TW_OK) tw_vocabulary_free(out);
    return status;
}

void tw_vocabulary_free(tw_vocabulary *v) {
    free(v->slots);
    free(v->offsets);
    free(v->bytes);
    *v = (tw_vocabulary){0};
}
