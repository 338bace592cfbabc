/* The byte-pair tokenizer on any text, and on any merges. The first byte chooses:
 *   bit 7     the rest is a merges.txt, tried on its own text (else a text for those built in)
 *   bit 6     open_clip's variant
 *   bit 5     truncation is an error
 *   bit 4     without repairs
 *   bits 2-3  clean-up (3 = lower)
 *   bits 0-1  context length: default, 2, 5, 512
 * What it asserts: the shape of a result, that a text cut at one context length is the beginning of
 * the same text at a longer one, and, with any merges, that a word is merged as the reference does
 * it, which is written down here once more, plainly and slowly. */
#include "text/bpe_pairs.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { LONGEST = 512 };

static void require(bool condition) {
    if (!condition) abort();
}

static void check_ids(const tw_tokenizer *t, const int32_t *ids, int32_t n_ids, int32_t context) {
    require(n_ids >= 2 && n_ids <= context);
    require(ids[0] == t->first && ids[n_ids - 1] == t->last);
    for (int32_t i = 0; i < n_ids; i++)
        require(tw_tokenizer_token(t, ids[i]) != NULL);
    for (int32_t i = n_ids; i < context; i++)
        require(ids[i] == 0);
}

static void tokenize(const tw_tokenizer *t, uint8_t choice, const char *text, size_t n_bytes) {
    static const int32_t contexts[] = {0, 2, 5, LONGEST};
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[LONGEST], longest[LONGEST], n_ids, n_longest;
    bool truncated, longest_truncated;
    options.context_length = contexts[choice & 3];
    options.clean = (tw_text_clean)((choice >> 2 & 3) % 3);
    options.skip_repair = choice & 16;
    options.truncation = choice & 32 ? TW_TRUNCATE_ERROR : TW_TRUNCATE_SILENT;
    int32_t context = options.context_length ? options.context_length : 77;
    tw_status status = tw_tokenize(t, text, n_bytes, &options, ids, &n_ids, &truncated, &err);
    require(status == TW_OK || (status == TW_ERR_LIMIT && err.message[0] != '\0'));
    if (status != TW_OK) return;
    check_ids(t, ids, n_ids, context);

    options.context_length = LONGEST;
    options.truncation = TW_TRUNCATE_SILENT;
    require(tw_tokenize(t, text, n_bytes, &options, longest, &n_longest, &longest_truncated,
                        &err) == TW_OK);
    check_ids(t, longest, n_longest, LONGEST);
    require(memcmp(ids, longest, (size_t)(n_ids - 1) * sizeof *ids) == 0);
    require(truncated == (context < LONGEST ? n_longest > n_ids : longest_truncated));
}

/* All occurrences of the pair of the lowest rank, from the left; then again. */
static int32_t merge_plainly(const tw_bpe *b, int32_t *word, int32_t n) {
    for (;;) {
        uint32_t best = TW_BPE_NO_RANK;
        for (int32_t i = 0; i + 1 < n; i++) {
            uint32_t rank = tw_bpe_rank(b, word[i], word[i + 1]);
            if (rank < best) best = rank;
        }
        if (best == TW_BPE_NO_RANK) return n;
        int32_t k = 0;
        for (int32_t i = 0; i < n; k++) {
            bool pair = i + 1 < n && tw_bpe_rank(b, word[i], word[i + 1]) == best;
            word[k] = pair ? b->merged[best] : word[i];
            i += pair ? 2 : 1;
        }
        n = k;
    }
}

/* The letters among the bytes as one word. */
static void compare_merging(const tw_tokenizer *t, const char *bytes, size_t n_bytes) {
    uint32_t letters[100];
    int32_t word[100], ids[100], n = 0, n_ids;
    bool overflow;
    for (size_t i = 0; i < n_bytes && n < 100; i++)
        if (bytes[i] >= 'a' && bytes[i] <= 'z') {
            letters[n] = (uint8_t)bytes[i];
            word[n++] = t->bpe->byte_ids[(uint8_t)bytes[i]];
        }
    if (n == 0) return;
    word[n - 1] += TW_BPE_N_BYTES;
    tw_codepoints text = {.c = letters, .n = (size_t)n, .capacity = (size_t)n};
    require(tw_bpe_encode(t->bpe, &t->vocabulary, &text, ids, 100, &n_ids, &overflow, NULL) ==
            TW_OK);
    n = merge_plainly(t->bpe, word, n);
    require(!overflow && n == n_ids && memcmp(ids, word, (size_t)n * sizeof *ids) == 0);
}

static void use_as_merges(uint8_t choice, const char *bytes, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    tw_tokenizer *t;
    if (tw_tokenizer_bpe(bytes, n_bytes, choice & 64 ? TW_BPE_OPEN_CLIP : TW_BPE_OPENAI, &t,
                         &err) != TW_OK) {
        require(t == NULL && err.message[0] != '\0');
        return;
    }
    tokenize(t, choice, bytes, n_bytes);
    compare_merging(t, bytes, n_bytes);
    tw_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static tw_tokenizer *builtin[2]; /* made once: 49408 entries */
    for (int i = 0; i < 2; i++)
        if (!builtin[i])
            require(tw_tokenizer_bpe(NULL, 0, (tw_bpe_variant)i, &builtin[i], NULL) == TW_OK);
    if (n_bytes == 0) return 0;
    const char *rest = (const char *)data + 1;
    if (data[0] & 128)
        use_as_merges(data[0], rest, n_bytes - 1);
    else
        tokenize(builtin[data[0] >> 6 & 1], data[0], rest, n_bytes - 1);
    return 0;
}
