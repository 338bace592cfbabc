#include "convert/hf_tokenizer_json.h"

#include "base/json.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* A setting that the tokenizers here have in one way only; when it is missing it is as needed. */
static tw_status need_word(const tw_json *object, const char *key, const char *needed,
                           tw_error *err) {
    const char *word;
    TW_TRY(tw_json_get_string(object, key, needed, &word, err));
    if (strcmp(word, needed) == 0) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s is '%.32s', expected '%s'", key, word, needed);
}

static tw_status need_true(const tw_json *object, const char *key, tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    if (!v || v->type == TW_JSON_NULL || (v->type == TW_JSON_BOOL && v->boolean)) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "normalizer.%s is not true", key);
}

/* Symbols stand on lines. */
static bool is_symbol(const tw_json *v, const char *forbidden) {
    return v && v->type == TW_JSON_STRING && v->n_string > 0 && strlen(v->string) == v->n_string &&
           !strpbrk(v->string, forbidden);
}

/* ---------------------------------------------------------------------------------- byte pairs */

/* "a b", or ["a", "b"] since 2024. */
static tw_status put_merge(const tw_json *v, size_t index, tw_buffer *out, tw_error *err) {
    if (is_symbol(v, "\n")) {
        tw_buffer_printf(out, "%s\n", v->string);
        return TW_OK;
    }
    if (v->type == TW_JSON_ARRAY && v->n_items == 2 && is_symbol(v->first, " \n") &&
        is_symbol(v->first->next, " \n")) {
        tw_buffer_printf(out, "%s %s\n", v->first->string, v->first->next->string);
        return TW_OK;
    }
    return tw_fail(err, TW_ERR_FORMAT, "model.merges[%zu]: expected a pair of symbols", index);
}

static tw_status put_merges(const tw_json *model, tw_buffer *out, tw_error *err) {
    const tw_json *merges = tw_json_get(model, "merges");
    size_t index = 0;
    TW_TRY(need_word(model, "end_of_word_suffix", "</w>", err));
    TW_TRY(need_word(model, "continuing_subword_prefix", "", err));
    if (!merges || merges->type != TW_JSON_ARRAY)
        return tw_fail(err, TW_ERR_FORMAT, "model.merges: expected a list of pairs");
    tw_buffer_puts(out, "#merges\n");
    for (const tw_json *v = merges->first; v; v = v->next)
        TW_TRY(put_merge(v, index++, out, err));
    return TW_OK;
}

/* ----------------------------------------------------------------------------------- WordPiece */

/* tokens[id] of each. */
static tw_status order_tokens(const tw_json *vocab, const tw_json **tokens, tw_error *err) {
    for (const tw_json *v = vocab->first; v; v = v->next) {
        if (!v->is_integer || v->integer < 0 || (uint64_t)v->integer >= vocab->n_items ||
            tokens[v->integer])
            return tw_fail(err, TW_ERR_FORMAT,
                           "model.vocab: token '%.32s': expected an id of its own below %zu",
                           v->key, vocab->n_items);
        if (strlen(v->key) != v->n_key || strchr(v->key, '\n'))
            return tw_fail(err, TW_ERR_FORMAT, "model.vocab: token %lld has a line's end or a NUL",
                           (long long)v->integer);
        tokens[v->integer] = v;
    }
    return TW_OK;
}

static tw_status put_vocabulary(const tw_json *root, const tw_json *model, tw_buffer *out,
                                tw_error *err) {
    static const char *const switches[] = {"lowercase", "strip_accents", "handle_chinese_chars",
                                           "clean_text"};
    const tw_json *vocab = tw_json_get(model, "vocab"),
                  *normalizer = tw_json_get(root, "normalizer");
    if (!normalizer || normalizer->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "normalizer: expected a BertNormalizer, got none");
    TW_TRY(need_word(normalizer, "type", "BertNormalizer", err));
    for (size_t i = 0; i < TW_COUNT(switches); i++)
        TW_TRY(need_true(normalizer, switches[i], err));
    TW_TRY(need_word(model, "continuing_subword_prefix", "##", err));
    TW_TRY(need_word(model, "unk_token", "[UNK]", err));
    if (!vocab || vocab->type != TW_JSON_OBJECT || vocab->n_items == 0)
        return tw_fail(err, TW_ERR_FORMAT, "model.vocab: expected an object of tokens");
    const tw_json **tokens = calloc(vocab->n_items, sizeof *tokens);
    if (!tokens) return tw_fail_no_memory(err, vocab->n_items * sizeof *tokens);
    tw_status status = order_tokens(vocab, tokens, err);
    for (size_t i = 0; status == TW_OK && i < vocab->n_items; i++)
        tw_buffer_printf(out, "%s\n", tokens[i]->key);
    free(tokens);
    return status;
}

/* --------------------------------------------------------------------------------------- whole */

static tw_status put(const tw_json *root, bool byte_pairs, tw_buffer *out, tw_error *err) {
    const tw_json *model = tw_json_get(root, "model");
    const char *needed = byte_pairs ? "BPE" : "WordPiece", *type;
    if (!model || model->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT, "expected a tokenizer.json: no object 'model'");
    TW_TRY(tw_json_get_string(model, "type", needed, &type, err));
    if (strcmp(type, needed) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "model.type is '%.32s', the text tower needs '%s'",
                       type, needed);
    return byte_pairs ? put_merges(model, out, err) : put_vocabulary(root, model, out, err);
}

tw_status tw_hf_tokenizer_json(const void *json, size_t n_bytes, bool byte_pairs, tw_buffer *out,
                               tw_error *err) {
    tw_json_doc *doc = NULL;
    TW_TRY(tw_json_parse(json, n_bytes, &doc, err));
    tw_status status = put(tw_json_root(doc), byte_pairs, out, err);
    tw_json_free(doc);
    if (status == TW_OK && out->failed) return tw_fail_no_memory(err, n_bytes);
    return status;
}
