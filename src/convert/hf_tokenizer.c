#include "convert/hf_tokenizer.h"

#include "base/file.h"
#include "base/json.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES ((size_t)16 << 20) /* both may list tens of thousands of tokens */

/* All true, and null (accents go with the case) is true as well. */
static const char *const switches[] = {"do_lower_case", "strip_accents", "tokenize_chinese_chars",
                                       "do_basic_tokenize"};

static tw_status check(const tw_json *root, tw_error *err) {
    if (root->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT, "expected an object of a tokenizer");
    for (size_t i = 0; i < TW_COUNT(switches); i++) {
        const tw_json *v = tw_json_get(root, switches[i]);
        if (!v || v->type == TW_JSON_NULL || (v->type == TW_JSON_BOOL && v->boolean)) continue;
        if (v->type != TW_JSON_BOOL)
            return tw_fail(err, TW_ERR_FORMAT, "key '%s': expected true or false", switches[i]);
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "%s is false, which the tokenizer does not do; --vocab takes a vocabulary "
                       "all the same",
                       switches[i]);
    }
    const tw_json *kept = tw_json_get(root, "never_split");
    if (!kept || kept->type == TW_JSON_NULL || kept->n_items == 0) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "never_split has words, which the tokenizer does not keep whole; --vocab takes "
                   "a vocabulary all the same");
}

tw_status tw_hf_tokenizer_check(const void *json, size_t n_bytes, tw_error *err) {
    tw_json_doc *doc = NULL;
    TW_TRY(tw_json_parse(json, n_bytes, &doc, err));
    tw_status status = check(tw_json_root(doc), err);
    tw_json_free(doc);
    return status;
}

tw_status tw_hf_tokenizer_check_file(const char *path, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, MAX_CONFIG_BYTES, &data, &n_bytes, err));
    tw_status status = tw_hf_tokenizer_check(data, n_bytes, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    free(data);
    return status;
}

static tw_status compare(const tw_json *root, const tw_tokenizer *tokenizer, tw_error *err) {
    int32_t n = tw_tokenizer_vocab_size(tokenizer), n_ours = n - 2;
    const tw_json *nested = tw_json_get(tw_json_get(root, "model"), "vocab");
    if (nested) root = nested;
    if (root->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT, "expected an object of tokens");
    for (const tw_json *v = root->first; v; v = v->next) {
        if (!v->is_integer || v->integer < 0 || v->integer >= n)
            return tw_fail(err, TW_ERR_MISMATCH, "token '%.32s': expected an id below %d", v->key,
                           n);
        const char *ours = tw_tokenizer_token(tokenizer, (int32_t)v->integer);
        if (v->integer < n_ours && strcmp(ours, v->key) != 0)
            return tw_fail(err, TW_ERR_MISMATCH, "id %lld is '%.32s', by the merges it is '%.32s'",
                           (long long)v->integer, v->key, ours);
    }
    return TW_OK;
}

tw_status tw_hf_vocabulary_agrees(const void *json, size_t n_bytes, const tw_tokenizer *tokenizer,
                                  tw_error *err) {
    tw_json_doc *doc = NULL;
    TW_TRY(tw_json_parse(json, n_bytes, &doc, err));
    tw_status status = compare(tw_json_root(doc), tokenizer, err);
    tw_json_free(doc);
    return status;
}

tw_status tw_hf_vocabulary_agrees_file(const char *path, const tw_tokenizer *tokenizer,
                                       tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, MAX_CONFIG_BYTES, &data, &n_bytes, err));
    tw_status status = tw_hf_vocabulary_agrees(data, n_bytes, tokenizer, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    free(data);
    return status;
}
