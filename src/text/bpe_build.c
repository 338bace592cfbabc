/* Source: OpenAI CLIP clip/simple_tokenizer.py, SimpleTokenizer.__init__ and bytes_to_unicode. */
#include "text/bpe.h"

#include "base/size.h"
#include "base/utf8.h"
#include "text/bpe_pairs.h"

#include <stdlib.h>
#include <string.h>

enum { N_SYMBOLS = 2 * TW_BPE_N_BYTES, LONGEST_SYMBOL = 8, LONGEST_PROBE = 256 };

typedef struct slice {
    const char *at;
    size_t n;
} slice;

/* The entries as they are gathered: byte symbols, then merges, then the two specials. */
typedef struct entries {
    char symbols[N_SYMBOLS][LONGEST_SYMBOL];
    char *text; /* the merged strings, one after another */
    const char **at;
    size_t *sizes;
    slice (*parts)[2];
    size_t n_merges;
} entries;

/* Bytes that print are themselves, the others come after U+00FF in their order. */
static bool prints(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static void name_symbol(entries *e, int id, uint32_t c) {
    size_t n = tw_utf8_encode(c, (uint8_t *)e->symbols[id]);
    e->symbols[id][n] = '\0';
    memcpy(e->symbols[id + TW_BPE_N_BYTES], e->symbols[id], n);
    memcpy(e->symbols[id + TW_BPE_N_BYTES] + n, "</w>", 5);
}

static void name_bytes(entries *e, int32_t byte_ids[TW_BPE_N_BYTES]) {
    int id = 0, n_others = 0;
    for (int byte = 0; byte < TW_BPE_N_BYTES; byte++)
        if (prints(byte)) {
            byte_ids[byte] = id;
            name_symbol(e, id++, (uint32_t)byte);
        }
    for (int byte = 0; byte < TW_BPE_N_BYTES; byte++)
        if (!prints(byte)) {
            byte_ids[byte] = id;
            name_symbol(e, id++, 0x100 + (uint32_t)n_others++);
        }
    for (id = 0; id < N_SYMBOLS; id++) {
        e->at[id] = e->symbols[id];
        e->sizes[id] = strlen(e->symbols[id]);
    }
}

/* -------------------------------------------------------------------------------- the file */

static const char *next_line(const char *text, const char *end, size_t *n_bytes) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    *n_bytes = (size_t)((newline ? newline : end) - text);
    return newline ? newline + 1 : end;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static slice next_part(slice *line) {
    while (line->n > 0 && is_blank(*line->at)) {
        line->at++;
        line->n--;
    }
    slice part = {line->at, 0};
    while (line->n > 0 && !is_blank(*line->at)) {
        line->at++;
        line->n--;
        part.n++;
    }
    return part;
}

static size_t count_merges(const char *at, const char *end) {
    size_t n_lines = 0, n;
    while (at < end && n_lines <= TW_BPE_MAX_MERGES) {
        at = next_line(at, end, &n);
        n_lines++;
    }
    return n_lines ? n_lines - 1 : 0; /* the first is a header */
}

static tw_status read_merges(entries *e, const char *at, const char *end, tw_error *err) {
    size_t n, used = 0;
    at = next_line(at, end, &n);
    for (size_t i = 0; i < e->n_merges; i++) {
        slice line = {at, 0};
        at = next_line(at, end, &line.n);
        slice first = next_part(&line), second = next_part(&line);
        if (second.n == 0 || next_part(&line).n != 0)
            return tw_fail(err, TW_ERR_FORMAT, "merges, line %zu: expected two symbols", i + 2);
        e->parts[i][0] = first;
        e->parts[i][1] = second;
        e->at[N_SYMBOLS + i] = e->text + used;
        e->sizes[N_SYMBOLS + i] = first.n + second.n;
        memcpy(e->text + used, first.at, first.n);
        memcpy(e->text + used + first.n, second.at, second.n);
        used += first.n + second.n;
    }
    return TW_OK;
}

static void name_specials(entries *e, tw_bpe_variant variant) {
    static const char *const names[2][2] = {{"<|startoftext|>", "<|endoftext|>"},
                                            {"<start_of_text>", "<end_of_text>"}};
    for (size_t i = 0; i < 2; i++) {
        e->at[N_SYMBOLS + e->n_merges + i] = names[variant][i];
        e->sizes[N_SYMBOLS + e->n_merges + i] = strlen(names[variant][i]);
    }
}

/* --------------------------------------------------------------------------------- the table */

static int32_t find_part(const tw_vocabulary *v, slice part) {
    uint64_t hash = tw_vocabulary_hash(TW_VOCABULARY_HASH_SEED, part.at, part.n);
    return tw_vocabulary_find_hashed(v, hash, "", 0, part.at, part.n);
}

/* Equal pairs: the later rank counts, as in a Python dict filled in order. */
static tw_status insert(tw_bpe *b, int32_t rank, tw_error *err) {
    uint32_t slot = tw_bpe_first_slot(b, b->pairs[rank][0], b->pairs[rank][1]);
    for (int probe = 0; probe <= LONGEST_PROBE; probe++, slot = (slot + 1) & b->slot_mask) {
        uint32_t taken = b->slots[slot];
        if (taken != 0 && memcmp(b->pairs[taken - 1], b->pairs[rank], sizeof *b->pairs) != 0)
            continue;
        b->slots[slot] = (uint32_t)rank + 1;
        return TW_OK;
    }
    return tw_fail(err, TW_ERR_LIMIT, "merges: more than %d collide in the look-up table",
                   (int)LONGEST_PROBE);
}

static tw_status fill_table(tw_bpe *b, const entries *e, const tw_vocabulary *v, tw_error *err) {
    for (int32_t rank = 0; rank < b->n_merges; rank++) {
        slice whole = {e->at[N_SYMBOLS + rank], e->sizes[N_SYMBOLS + rank]};
        for (int k = 0; k < 2; k++) {
            b->pairs[rank][k] = find_part(v, e->parts[rank][k]);
            if (b->pairs[rank][k] < 0)
                return tw_fail(err, TW_ERR_FORMAT,
                               "merges, line %d: \"%.*s\" is neither a byte nor a merge",
                               (int)rank + 2, (int)TW_MIN(e->parts[rank][k].n, (size_t)64),
                               e->parts[rank][k].at);
        }
        b->merged[rank] = find_part(v, whole);
        TW_TRY(insert(b, rank, err));
    }
    return TW_OK;
}

static tw_status allocate(tw_bpe *b, entries *e, size_t n_bytes, tw_error *err) {
    size_t n_entries = N_SYMBOLS + e->n_merges + 2, n_slots = 64;
    while (n_slots < 2 * e->n_merges)
        n_slots *= 2;
    e->text = malloc(n_bytes + 1); /* what is merged is part of the file */
    e->at = malloc(n_entries * sizeof *e->at);
    e->sizes = malloc(n_entries * sizeof *e->sizes);
    e->parts = malloc((e->n_merges + 1) * sizeof *e->parts);
    b->pairs = malloc((e->n_merges + 1) * sizeof *b->pairs);
    b->merged = malloc((e->n_merges + 1) * sizeof *b->merged);
    b->slots = calloc(n_slots, sizeof *b->slots);
    b->slot_mask = (uint32_t)n_slots - 1;
    b->n_merges = (int32_t)e->n_merges;
    if (e->text && e->at && e->sizes && e->parts && b->pairs && b->merged && b->slots) return TW_OK;
    return tw_fail_no_memory(err, n_bytes);
}

tw_status tw_bpe_build(const char *merges, size_t n_bytes, tw_bpe_variant variant, tw_bpe **out,
                       tw_vocabulary *vocabulary, tw_error *err) {
    tw_status status;
    entries *e = calloc(1, sizeof *e);
    tw_bpe *b = calloc(1, sizeof *b);
    *out = NULL;
    if (!e || !b) {
        status = tw_fail_no_memory(err, sizeof *e + sizeof *b);
        goto done;
    }
    b->variant = variant;
    e->n_merges = count_merges(merges, merges + n_bytes);
    TW_CHECK(allocate(b, e, n_bytes, err));
    name_bytes(e, b->byte_ids);
    TW_CHECK(read_merges(e, merges, merges + n_bytes, err));
    name_specials(e, variant);
    TW_CHECK(tw_vocabulary_build(e->at, e->sizes, N_SYMBOLS + e->n_merges + 2, vocabulary, err));
    TW_CHECK(fill_table(b, e, vocabulary, err));
    *out = b;
    b = NULL;
done:
    tw_bpe_free(b);
    if (e) {
        free(e->text);
        free(e->at);
        free(e->sizes);
        free(e->parts);
    }
    free(e);
    return status;
}

void tw_bpe_free(tw_bpe *b) {
    if (!b) return;
    free(b->pairs);
    free(b->merged);
    free(b->slots);
    free(b);
}
