#include "text/tokenizer.h"

#include "base/size.h"
#include "base/utf8.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/wordpiece.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 52, MIN_CONTEXT = 2, MAX_CONTEXT = 512 };
#define MAX_TEXT_BYTES ((size_t)64 << 20)

/* ------------------------------------------------------------------------------------ making */

static tw_status find_special(const tw_vocabulary *v, const char *entry, int32_t *id,
                              tw_error *err) {
    *id = tw_vocabulary_find(v, entry);
    if (*id >= 0) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "vocabulary of %d entries: %s is missing",
                   (int)v->n_entries, entry);
}

static tw_status find_specials(tw_tokenizer *t, tw_error *err) {
    int32_t padding;
    TW_TRY(find_special(&t->vocabulary, "[PAD]", &padding, err));
    TW_TRY(find_special(&t->vocabulary, "[UNK]", &t->unknown, err));
    TW_TRY(find_special(&t->vocabulary, "[CLS]", &t->first, err));
    TW_TRY(find_special(&t->vocabulary, "[SEP]", &t->last, err));
    if (padding != 0)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "vocabulary: [PAD] is entry %d, expected 0, for texts "
                       "are padded with zeros",
                       (int)padding);
    return TW_OK;
}

tw_status tw_tokenizer_wordpiece_tokens(const char *const *tokens, const size_t *n_bytes,
                                        size_t n_tokens, tw_tokenizer **out, tw_error *err) {
    tw_status status;
    *out = NULL;
    tw_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return tw_fail_no_memory(err, sizeof *t);
    TW_CHECK(tw_vocabulary_build(tokens, n_bytes, n_tokens, &t->vocabulary, err));
    TW_CHECK(find_specials(t, err));
    *out = t;
    t = NULL;
done:
    tw_tokenizer_free(t);
    return status;
}

/* Narrows [*text, *text + *n_bytes) as str.strip() does; the bytes are valid UTF-8. */
static void strip(const char **text, size_t *n_bytes) {
    const uint8_t *p = (const uint8_t *)*text, *end = p + *n_bytes;
    uint32_t c;
    size_t n;
    while ((n = tw_utf8_decode(p, (size_t)(end - p), &c)) != 0 && tw_is_python_space(c))
        p += n;
    while (end > p) {
        const uint8_t *last = end - 1;
        while (last > p && (*last & 0xC0) == 0x80)
            last--;
        if (tw_utf8_decode(last, (size_t)(end - last), &c) == 0 || !tw_is_python_space(c)) break;
        end = last;
    }
    *text = (const char *)p;
    *n_bytes = (size_t)(end - p);
}

/* A line of the file: [text, text + n_bytes), and where the next one starts. */
static const char *next_line(const char *text, const char *end, size_t *n_bytes) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    *n_bytes = (size_t)((newline ? newline : end) - text);
    return newline ? newline + 1 : end;
}

static size_t count_lines(const char *text, const char *end) {
    size_t n_lines = 0, n_bytes;
    while (text < end) {
        text = next_line(text, end, &n_bytes);
        n_lines++;
    }
    return n_lines;
}

tw_status tw_tokenizer_wordpiece(const void *vocab, size_t n_bytes, tw_tokenizer **out,
                                 tw_error *err) {
    tw_status status;
    const char **lines = NULL;
    size_t *sizes = NULL;
    if (!out) return tw_fail(err, TW_ERR_ARGUMENT, "tokenizer: no place for the result");
    *out = NULL;
    if (!vocab) vocab = tw_builtin_vocab(&n_bytes);
    if (n_bytes == 0) return tw_fail(err, TW_ERR_FORMAT, "vocabulary: no entries");
    if (n_bytes > TW_VOCABULARY_MAX_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "vocabulary: %zu bytes, expected at most %zu", n_bytes,
                       TW_VOCABULARY_MAX_BYTES);
    const char *at = vocab, *end = at + n_bytes;
    size_t n_lines = count_lines(at, end);
    if (n_lines > TW_VOCABULARY_MAX_ENTRIES)
        return tw_fail(err, TW_ERR_FORMAT, "vocabulary: %zu entries, expected at most %zu", n_lines,
                       TW_VOCABULARY_MAX_ENTRIES);
    if (!tw_utf8_valid(vocab, n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "vocabulary: not valid UTF-8");
    lines = malloc(n_lines * sizeof *lines);
    sizes = malloc(n_lines * sizeof *sizes);
    if (!lines || !sizes) {
        status = tw_fail_no_memory(err, n_lines * (sizeof *lines + sizeof *sizes));
        goto done;
    }
    for (size_t i = 0; i < n_lines; i++) {
        lines[i] = at;
        at = next_line(at, end, &sizes[i]);
        strip(&lines[i], &sizes[i]);
    }
    TW_CHECK(tw_tokenizer_wordpiece_tokens(lines, sizes, n_lines, out, err));
done:
    free(sizes);
    free(lines);
    return status;
}

void tw_tokenizer_free(tw_tokenizer *t) {
    if (!t) return;
    tw_vocabulary_free(&t->vocabulary);
    free(t);
}

/* ------------------------------------------------------------------------------------- using */

const char *tw_tokenizer_kind(const tw_tokenizer *t) {
    return "wordpiece";
}

int32_t tw_tokenizer_vocab_size(const tw_tokenizer *t) {
    return t->vocabulary.n_entries;
}

const char *tw_tokenizer_token(const tw_tokenizer *t, int32_t id) {
    if (id < 0 || id >= t->vocabulary.n_entries) return NULL;
    return t->vocabulary.bytes + t->vocabulary.offsets[id];
}

static tw_status check_options(const tw_text_options *o, int32_t *context, tw_error *err) {
    if (o->struct_size < sizeof *o)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "text options: struct_size %zu, expected %zu; use "
                       "TW_TEXT_OPTIONS_INIT",
                       o->struct_size, sizeof *o);
    *context = o->context_length ? o->context_length : DEFAULT_CONTEXT;
    if (*context < MIN_CONTEXT || *context > MAX_CONTEXT)
        return tw_fail(err, TW_ERR_ARGUMENT, "context length %d, expected %d to %d, or 0 for %d",
                       (int)*context, MIN_CONTEXT, MAX_CONTEXT, DEFAULT_CONTEXT);
    if (o->truncation != TW_TRUNCATE_SILENT && o->truncation != TW_TRUNCATE_ERROR)
        return tw_fail(err, TW_ERR_ARGUMENT, "truncation %d is none of the known",
                       (int)o->truncation);
    return TW_OK;
}

tw_status tw_tokenize(const tw_tokenizer *t, const char *text, size_t n_bytes,
                      const tw_text_options *options, int32_t *ids, int32_t *n_ids, bool *truncated,
                      tw_error *err) {
    static const tw_text_options defaults = TW_TEXT_OPTIONS_INIT;
    const tw_text_options *o = options ? options : &defaults;
    int32_t context = 0;
    bool overflow;
    if (!t || !ids || (!text && n_bytes != 0))
        return tw_fail(err, TW_ERR_ARGUMENT, "tokenize: tokenizer, text and ids must not be null");
    TW_TRY(check_options(o, &context, err));
    if (n_bytes > MAX_TEXT_BYTES)
        return tw_fail(err, TW_ERR_LIMIT, "text of %zu bytes, expected at most %zu", n_bytes,
                       MAX_TEXT_BYTES);
    int32_t n = tw_wordpiece(t, text, n_bytes, o->eval_quotes, ids + 1, context - 2, &overflow);
    if (overflow && o->truncation == TW_TRUNCATE_ERROR)
        return tw_fail(err, TW_ERR_LIMIT,
                       "text of %zu bytes has more than %d tokens, which is what "
                       "fits a context length of %d",
                       n_bytes, (int)context - 2, (int)context);
    ids[0] = t->first;
    ids[n + 1] = t->last;
    memset(ids + n + 2, 0, (size_t)(context - n - 2) * sizeof *ids);
    if (n_ids) *n_ids = n + 2;
    if (truncated) *truncated = overflow;
    return TW_OK;
}
