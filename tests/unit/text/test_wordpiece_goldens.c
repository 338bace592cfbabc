/* Every case of the golden file, made by the original bert_tokenizer.py: pieces, ids, and ids after
 * the evaluation's preprocessing. */
#include "support.h"

#include "base/file.h"
#include "base/json.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 52 };

static tw_tokenizer *tokenizer;

static int make_tokenizer(void **state) {
    size_t n_bytes;
    const void *vocab = tw_builtin_vocab(&n_bytes);
    return tw_tokenizer_wordpiece(vocab, n_bytes, &tokenizer, NULL) == TW_OK ? 0 : -1;
}

static int free_tokenizer(void **state) {
    tw_tokenizer_free(tokenizer);
    return 0;
}

static void assert_ids(const tw_json *text, const tw_json *expected, bool eval_quotes,
                       bool expect_truncated) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[CONTEXT], n_ids = -1;
    bool truncated = !expect_truncated;
    options.eval_quotes = eval_quotes;
    assert_ok(tw_tokenize(tokenizer, text->string, text->n_string, &options, ids, &n_ids,
                          &truncated, &err),
              &err);
    assert_int_equal(truncated, expect_truncated);
    if ((size_t)n_ids != expected->n_items)
        fail_msg("\"%s\": %d ids, expected %zu", text->string, (int)n_ids, expected->n_items);
    int i = 0;
    for (const tw_json *id = expected->first; id; id = id->next, i++)
        if (ids[i] != id->integer)
            fail_msg("\"%s\": id %d is %d, expected %d", text->string, i, (int)ids[i],
                     (int)id->integer);
    for (; i < CONTEXT; i++)
        assert_int_equal(ids[i], 0);
}

/* The pieces stand for the whole text, also where the ids were cut. */
static void assert_pieces(const tw_json *text, const tw_json *pieces) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[512], n_ids;
    bool truncated;
    options.context_length = 512;
    assert_ok(tw_tokenize(tokenizer, text->string, text->n_string, &options, ids, &n_ids,
                          &truncated, &err),
              &err);
    assert_false(truncated);
    assert_int_equal(n_ids - 2, pieces->n_items);
    int i = 1;
    for (const tw_json *piece = pieces->first; piece; piece = piece->next)
        assert_string_equal(tw_tokenizer_token(tokenizer, ids[i++]), piece->string);
}

static void test_all_golden_cases_are_equal(void **state) {
    tw_error err = TW_ERROR_INIT;
    size_t n_bytes;
    tw_json_doc *doc;
    uint8_t *bytes = test_read(test_data("text/chinese_clip_tokenizer_goldens.json"), &n_bytes);
    assert_ok(tw_json_parse(bytes, n_bytes, &doc, &err), &err);
    const tw_json *cases = tw_json_get(tw_json_root(doc), "cases");
    assert_non_null(cases);
    assert_int_equal(cases->n_items, 52);
    for (const tw_json *c = cases->first; c; c = c->next) {
        const tw_json *text = tw_json_get(c, "text"), *pieces = tw_json_get(c, "tokens");
        bool cut = pieces->n_items > CONTEXT - 2;
        assert_pieces(text, pieces);
        assert_ids(text, tw_json_get(c, "ids_ctx52"), false, cut);
        assert_ids(text, tw_json_get(c, "ids_ctx52_with_preprocess_text"), true, cut);
    }
    tw_json_free(doc);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_golden_cases_are_equal)};
    return cmocka_run_group_tests(tests, make_tokenizer, free_tokenizer);
}
