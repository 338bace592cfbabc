#include "text/tokenizer.h"

#include "base/size.h"
#include "base/utf8.h"
#include "text/bpe_clean.h"
#include "text/bpe_merges.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/wordpiece.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { WORDPIECE_CONTEXT = 52, BPE_CONTEXT = 77, MIN_CONTEXT = 2, MAX_CONTEXT = 512 };
#define MAX_TEXT_BYTES ((size_t)64 << 20)
#define MAX_BPE_TEXT_BYTES ((size_t)4 << 20) /* a word of n bytes takes 52 n of memory */

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

tw_status tw_tokenizer_bpe(const void *merges, size_t n_bytes, tw_bpe_variant variant,
                           tw_tokenizer **out, tw_error *err) {
    tw_status status;
    if (!out) return tw_fail(err, TW_ERR_ARGUMENT, "tokenizer: no place for the result");
    *out = NULL;
    if (variant != TW_BPE_OPENAI && variant != TW_BPE_OPEN_CLIP)
        return tw_fail(err, TW_ERR_ARGUMENT, "byte pairs: variant %d is none of the known",
                       (int)variant);
    if (!merges) merges = tw_builtin_bpe_merges(&n_bytes);
    if (n_bytes == 0) return tw_fail(err, TW_ERR_FORMAT, "merges: the file is empty");
    if (n_bytes >= 2 && memcmp(merges, "\x1F\x8B", 2) == 0)
        return tw_fail(err, TW_ERR_FORMAT, "merges: compressed with gzip; decompress the file");
    if (n_bytes > TW_VOCABULARY_MAX_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "merges: %zu bytes, expected at most %zu", n_bytes,
                       TW_VOCABULARY_MAX_BYTES);
    tw_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return tw_fail_no_memory(err, sizeof *t);
    TW_CHECK(tw_bpe_build(merges, n_bytes, variant, &t->bpe, &t->vocabulary, err));
    t->unknown = -1;
    t->first = t->vocabulary.n_entries - 2;
    t->last = t->vocabulary.n_entries - 1;
    *out = t;
    t = NULL;
done:
    tw_tokenizer_free(t);
    return status;
}

void tw_tokenizer_free(tw_tokenizer *t) {
    if (!t) return;
    tw_bpe_free(t->bpe);
    tw_vocabulary_free(&t->vocabulary);
    free(t);
}

/* ------------------------------------------------------------------------------------- using */

const char *tw_tokenizer_kind(const tw_tokenizer *t) {
    return t->bpe ? "bpe" : "wordpiece";
}

int32_t tw_tokenizer_vocab_size(const tw_tokenizer *t) {
    return t->vocabulary.n_entries;
}

const char *tw_tokenizer_token(const tw_tokenizer *t, int32_t id) {
    if (id < 0 || id >= t->vocabulary.n_entries) return NULL;
    return t->vocabulary.bytes + t->vocabulary.offsets[id];
}

/* What a caller of an earlier version did not know stays zero. */
static tw_status take_options(const tw_text_options *given, tw_text_options *o, tw_error *err) {
    size_t least = offsetof(tw_text_options, clean);
    if (given->struct_size < least)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "text options: struct_size %zu, expected at least %zu; use "
                       "TW_TEXT_OPTIONS_INIT",
                       given->struct_size, least);
    memcpy(o, given, TW_MIN(given->struct_size, sizeof *o));
    return TW_OK;
}

static tw_status check_clean_up(const tw_tokenizer *t, const tw_text_options *o, tw_error *err) {
    if (t->bpe && o->eval_quotes)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "eval_quotes: not with byte pairs, whose clean-up "
                       "makes quotes straight");
    if (!t->bpe && (o->clean != TW_CLEAN_LOWER || o->skip_repair))
        return tw_fail(err, TW_ERR_ARGUMENT, "clean and skip_repair: only with byte pairs");
    if ((int)o->clean < TW_CLEAN_LOWER || o->clean > TW_CLEAN_CANONICALIZE)
        return tw_fail(err, TW_ERR_ARGUMENT, "clean-up %d is none of the known", (int)o->clean);
    return TW_OK;
}

static tw_status check_options(const tw_tokenizer *t, const tw_text_options *o, int32_t *context,
                               tw_error *err) {
    int32_t standard = t->bpe ? BPE_CONTEXT : WORDPIECE_CONTEXT;
    *context = o->context_length ? o->context_length : standard;
    if (*context < MIN_CONTEXT || *context > MAX_CONTEXT)
        return tw_fail(err, TW_ERR_ARGUMENT, "context length %d, expected %d to %d, or 0 for %d",
                       (int)*context, MIN_CONTEXT, MAX_CONTEXT, (int)standard);
    if (o->truncation != TW_TRUNCATE_SILENT && o->truncation != TW_TRUNCATE_ERROR)
        return tw_fail(err, TW_ERR_ARGUMENT, "truncation %d is none of the known",
                       (int)o->truncation);
    return check_clean_up(t, o, err);
}

static tw_status encode_bpe(const tw_tokenizer *t, const char *text, size_t n_bytes,
                            const tw_text_options *o, int32_t *ids, int32_t capacity, int32_t *n,
                            bool *overflow, tw_error *err) {
    tw_status status;
    tw_codepoints cleaned = {0};
    TW_CHECK(tw_bpe_clean(text, n_bytes, t->bpe->variant, o->clean, o->skip_repair, &cleaned, err));
    TW_CHECK(tw_bpe_encode(t->bpe, &t->vocabulary, &cleaned, ids, capacity, n, overflow, err));
done:
    tw_codepoints_free(&cleaned);
    return status;
}

static tw_status fail_too_long(const tw_tokenizer *t, size_t n_bytes, int32_t context,
                               tw_error *err) {
    if (t->bpe)
        return tw_fail(err, TW_ERR_LIMIT, "text of %zu bytes is too long for context length %d",
                       n_bytes, (int)context);
    return tw_fail(err, TW_ERR_LIMIT,
                   "text of %zu bytes has more than %d tokens, which is what "
                   "fits a context length of %d",
                   n_bytes, (int)context - 2, (int)context);
}

tw_status tw_tokenize(const tw_tokenizer *t, const char *text, size_t n_bytes,
                      const tw_text_options *options, int32_t *ids, int32_t *n_ids, bool *truncated,
                      tw_error *err) {
    tw_text_options o = TW_TEXT_OPTIONS_INIT;
    int32_t context = 0, n = 0;
    bool overflow = false;
    if (!t || !ids || (!text && n_bytes != 0))
        return tw_fail(err, TW_ERR_ARGUMENT, "tokenize: tokenizer, text and ids must not be null");
    if (options) TW_TRY(take_options(options, &o, err));
    TW_TRY(check_options(t, &o, &context, err));
    size_t most = t->bpe ? MAX_BPE_TEXT_BYTES : MAX_TEXT_BYTES;
    if (n_bytes > most)
        return tw_fail(err, TW_ERR_LIMIT, "text of %zu bytes, expected at most %zu", n_bytes, most);
    if (t->bpe)
        TW_TRY(encode_bpe(t, text, n_bytes, &o, ids + 1, context - 2, &n, &overflow, err));
    else
        n = tw_wordpiece(t, text, n_bytes, o.eval_quotes, ids + 1, context - 2, &overflow);
    if (overflow && o.truncation == TW_TRUNCATE_ERROR)
        return fail_too_long(t, n_bytes, context, err);
    ids[0] = t->first;
    ids[n + 1] = t->last;
    memset(ids + n + 2, 0, (size_t)(context - n - 2) * sizeof *ids);
    if (n_ids) *n_ids = n + 2;
    if (truncated) *truncated = overflow;
    return TW_OK;
}
