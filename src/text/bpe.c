/* Words of cleaned text, and their bytes merged.
 *
 * The reference merges all occurrences of the lowest-ranked pair, left to right, and begins again:
 * quadratic in the length of a word. Here the pairs wait in a heap ordered by rank and place; those
 * of one rank are taken out together, which makes the same merges in n log n.
 *
 * Source: OpenAI CLIP clip/simple_tokenizer.py, open_clip tokenizer.py. */
#include "text/bpe.h"

#include "base/size.h"
#include "base/utf8.h"
#include "text/bpe_pairs.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX

typedef struct symbol {
    int32_t id;            /* -1: merged into the one before */
    uint32_t rank;         /* of the pair with the next one */
    uint32_t before, next; /* NOWHERE at the ends */
} symbol;

typedef struct encoder {
    const tw_bpe *bpe;
    const tw_vocabulary *vocabulary;
    symbol *word;    /* [n_word] */
    uint64_t *heap;  /* rank << 32 | place; 3 per symbol: one at first, two for each merge */
    uint32_t *batch; /* places of one rank */
    size_t n_word, n_heap, n_batch, capacity;
    int32_t *ids;
    int32_t n_ids, capacity_ids;
    bool overflow, failed;
} encoder;

/* ------------------------------------------------------------------------------------- heap */

static void push(encoder *e, uint32_t place) {
    uint32_t rank = e->word[place].rank;
    if (rank == TW_BPE_NO_RANK) return;
    uint64_t key = (uint64_t)rank << 32 | place;
    size_t i = e->n_heap++;
    for (; i > 0 && e->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = key;
}

static uint64_t pop(encoder *e) {
    uint64_t first = e->heap[0], last = e->heap[--e->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < e->n_heap) {
        if (child + 1 < e->n_heap && e->heap[child + 1] < e->heap[child]) child++;
        if (e->heap[child] >= last) break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = last;
    return first;
}

/* ---------------------------------------------------------------------------------- merging */

static void rank_pair(encoder *e, uint32_t place) {
    symbol *s = &e->word[place];
    s->rank = s->next == NOWHERE ? TW_BPE_NO_RANK : tw_bpe_rank(e->bpe, s->id, e->word[s->next].id);
}

static void merge(encoder *e, uint32_t place) {
    symbol *s = &e->word[place], *next = &e->word[s->next];
    s->id = e->bpe->merged[s->rank];
    s->next = next->next;
    next->id = -1;
    if (s->next != NOWHERE) e->word[s->next].before = place;
    rank_pair(e, place);
    push(e, place);
    if (s->before != NOWHERE) {
        rank_pair(e, s->before);
        push(e, s->before);
    }
}

static void merge_rank(encoder *e, uint32_t rank) {
    e->n_batch = 0;
    while (e->n_heap > 0 && e->heap[0] >> 32 == rank)
        e->batch[e->n_batch++] = (uint32_t)pop(e);
    for (size_t i = 0; i < e->n_batch; i++) {
        const symbol *s = &e->word[e->batch[i]];
        if (s->id >= 0 && s->rank == rank) merge(e, e->batch[i]);
    }
}

static void merge_word(encoder *e) {
    e->n_heap = 0;
    for (uint32_t i = 0; i < e->n_word; i++) {
        e->word[i].before = i > 0 ? i - 1 : NOWHERE;
        e->word[i].next = i + 1 < e->n_word ? i + 1 : NOWHERE;
    }
    for (uint32_t i = 0; i < e->n_word; i++) {
        rank_pair(e, i);
        push(e, i);
    }
    while (e->n_heap > 0)
        merge_rank(e, (uint32_t)(e->heap[0] >> 32));
}

static bool reserve(encoder *e, size_t n) {
    size_t capacity = TW_MAX(n, (size_t)256), bytes;
    if (n <= e->capacity) return true;
    if (n >= NOWHERE || !tw_mul_size(capacity, 4 * sizeof *e->word, &bytes)) return false;
    free(e->word);
    free(e->heap);
    free(e->batch);
    e->word = malloc(capacity * sizeof *e->word);
    e->heap = malloc(3 * capacity * sizeof *e->heap);
    e->batch = malloc(3 * capacity * sizeof *e->batch);
    e->capacity = e->word && e->heap && e->batch ? capacity : 0;
    return e->capacity != 0;
}

/* ------------------------------------------------------------------------------------- words */

static void put_id(encoder *e, int32_t id) {
    if (e->n_ids == e->capacity_ids)
        e->overflow = true;
    else
        e->ids[e->n_ids++] = id;
}

static void put_word(encoder *e, const uint32_t *c, size_t n) {
    uint8_t bytes[4];
    size_t n_bytes = 0;
    for (size_t i = 0; i < n; i++)
        n_bytes += tw_utf8_encode(c[i], bytes);
    if (!reserve(e, n_bytes)) {
        e->failed = true;
        return;
    }
    e->n_word = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = tw_utf8_encode(c[i], bytes);
        for (size_t k = 0; k < length; k++)
            e->word[e->n_word++].id = e->bpe->byte_ids[bytes[k]];
    }
    if (e->n_word == 0) return;
    e->word[e->n_word - 1].id += TW_BPE_N_BYTES;
    merge_word(e);
    for (uint32_t i = 0; i != NOWHERE && !e->overflow; i = e->word[i].next)
        put_id(e, e->word[i].id);
}

/* As the reference's expression compares: without case, where ſ is an s. */
static uint32_t fold(uint32_t c) {
    if (c == 0x17F) return 's';
    return c < 0x80 ? tw_simple_lower(c) : c;
}

static bool starts_with(const uint32_t *c, size_t n, const char *word, size_t n_word, bool exact) {
    if (n < n_word) return false;
    for (size_t i = 0; i < n_word; i++)
        if ((exact ? c[i] : fold(c[i])) != (uint8_t)word[i]) return false;
    return true;
}

/* A special token or a contraction at c: how long; 0 for none. A special is looked up as itself
 * only when it is written exactly as it is. */
static size_t fixed_word(const encoder *e, const uint32_t *c, size_t n, int32_t *special) {
    static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    int32_t first = e->vocabulary->n_entries - 2;
    *special = -1;
    for (int32_t id = first; c[0] == '<' && id < first + 2; id++) {
        const char *name = e->vocabulary->bytes + e->vocabulary->offsets[id];
        size_t n_name = strlen(name);
        if (!starts_with(c, n, name, n_name, false)) continue;
        if (starts_with(c, n, name, n_name, true)) *special = id;
        return n_name;
    }
    for (size_t i = 0; c[0] == '\'' && i < TW_COUNT(contractions); i++) {
        size_t n_word = strlen(contractions[i]);
        if (starts_with(c, n, contractions[i], n_word, false)) return n_word;
    }
    return 0;
}

typedef enum word_class { IS_SPACE, IS_LETTER, IS_NUMBER, IS_OTHER } word_class;

/* U+0345 is in no class: for the regex module it is, without case, an iota and so neither a letter
 * nor a thing that is no letter. */
static word_class class_of(uint32_t c) {
    if (c == 0x345) return IS_SPACE;
    if (tw_is_letter(c)) return IS_LETTER;
    if (tw_is_number(c)) return IS_NUMBER;
    return tw_is_unicode_space(c) ? IS_SPACE : IS_OTHER;
}

static size_t next_word(encoder *e, const uint32_t *c, size_t n) {
    int32_t special;
    size_t length = fixed_word(e, c, n, &special);
    if (special >= 0) {
        put_id(e, special);
        return length;
    }
    if (length == 0) {
        word_class kind = class_of(c[0]);
        length = 1;
        if (kind == IS_SPACE) return length;
        while (kind != IS_NUMBER && length < n && class_of(c[length]) == kind)
            length++;
    }
    put_word(e, c, length);
    return length;
}

tw_status tw_bpe_encode(const tw_bpe *bpe, const tw_vocabulary *vocabulary,
                        const tw_codepoints *text, int32_t *ids, int32_t capacity, int32_t *n_ids,
                        bool *overflow, tw_error *err) {
    encoder e = {.bpe = bpe, .vocabulary = vocabulary, .ids = ids, .capacity_ids = capacity};
    for (size_t i = 0; i < text->n && !e.overflow && !e.failed;)
        i += next_word(&e, text->c + i, text->n - i);
    free(e.word);
    free(e.heap);
    free(e.batch);
    *n_ids = e.n_ids;
    *overflow = e.overflow;
    return e.failed ? tw_fail_no_memory(err, text->n * sizeof *e.word) : TW_OK;
}
