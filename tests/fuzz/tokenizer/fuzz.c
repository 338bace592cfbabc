/* The tokenizer on any text, and on any vocabulary. The first byte chooses:
 *   bit 7     the rest is a vocab.txt (else a text for the built-in vocabulary)
 *   bit 6     eval_quotes
 *   bit 5     truncation is an error
 *   bits 0-4  context length: 0 = default, else n + 1; 31 = 512
 * What it asserts: the shape of a result, that a vocabulary survives the way through its entries,
 * and that a text cut at one context length is the beginning of the same text at a longer one. */
#include "text/tokenizer.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void require(bool condition) {
    if (!condition) abort();
}

static void check_ids(const tw_tokenizer *t, const int32_t *ids, int32_t n_ids, int32_t context) {
    require(n_ids >= 2 && n_ids <= context);
    require(ids[0] == t->first && ids[n_ids - 1] == t->last);
    for (int32_t i = 0; i < n_ids; i++)
        require(ids[i] >= 0 && ids[i] < tw_tokenizer_vocab_size(t));
    for (int32_t i = n_ids; i < context; i++)
        require(ids[i] == 0);
}

static void tokenize(const tw_tokenizer *t, uint8_t choice, const char *text, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[512], longest[512], n_ids, n_longest, bits = choice & 31;
    bool truncated, longest_truncated;
    options.context_length = bits == 31 ? 512 : bits ? bits + 1 : 0;
    options.eval_quotes = choice & 64;
    options.truncation = choice & 32 ? TW_TRUNCATE_ERROR : TW_TRUNCATE_SILENT;
    int32_t context = options.context_length ? options.context_length : 52;
    tw_status status = tw_tokenize(t, text, n_bytes, &options, ids, &n_ids, &truncated, &err);
    require(status == TW_OK || (status == TW_ERR_LIMIT && (choice & 32)));
    if (status != TW_OK) return;
    check_ids(t, ids, n_ids, context);

    options.context_length = 512;
    options.truncation = TW_TRUNCATE_SILENT;
    require(tw_tokenize(t, text, n_bytes, &options, longest, &n_longest, &longest_truncated,
                        &err) == TW_OK);
    check_ids(t, longest, n_longest, 512);
    require(memcmp(ids, longest, (size_t)(n_ids - 1) * sizeof *ids) == 0);
    require(truncated == (context < 512 ? n_longest > n_ids : longest_truncated));
}

static void round_trip(const tw_tokenizer *t) {
    int32_t n = tw_tokenizer_vocab_size(t);
    const char **tokens = malloc((size_t)n * sizeof *tokens);
    size_t *sizes = malloc((size_t)n * sizeof *sizes);
    tw_tokenizer *again = NULL;
    require(tokens && sizes);
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = tw_tokenizer_token(t, i);
        sizes[i] = strlen(tokens[i]);
    }
    require(tw_tokenizer_wordpiece_tokens(tokens, sizes, (size_t)n, &again, NULL) == TW_OK);
    require(again->vocabulary.offsets[n] == t->vocabulary.offsets[n]);
    require(memcmp(again->vocabulary.bytes, t->vocabulary.bytes, t->vocabulary.offsets[n]) == 0);
    require(again->unknown == t->unknown && again->first == t->first && again->last == t->last);
    tw_tokenizer_free(again);
    free(sizes);
    free(tokens);
}

static void use_as_vocabulary(uint8_t choice, const char *bytes, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    tw_tokenizer *t;
    if (tw_tokenizer_wordpiece(bytes, n_bytes, &t, &err) != TW_OK) {
        require(t == NULL && err.message[0] != '\0');
        return;
    }
    round_trip(t);
    tokenize(t, choice, bytes, n_bytes); /* its own entries are a text with many matches */
    tw_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static tw_tokenizer *builtin; /* made once: 21128 entries */
    if (!builtin) {
        size_t n_vocab;
        const void *vocab = tw_builtin_vocab(&n_vocab);
        require(tw_tokenizer_wordpiece(vocab, n_vocab, &builtin, NULL) == TW_OK);
    }
    if (n_bytes == 0) return 0;
    const char *rest = (const char *)data + 1;
    if (data[0] & 128)
        use_as_vocabulary(data[0], rest, n_bytes - 1);
    else
        tokenize(builtin, data[0], rest, n_bytes - 1);
    return 0;
}
