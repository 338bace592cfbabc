/* Two golden files: OpenAI's own tokenizer with its call of ftfy left out, and the whole of it on
 * damaged text (dev/diff_bpe.py --goldens). */
#include "support.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 512, CONTEXT = 77 };

static tw_tokenizer *tokenizer;

static int make_tokenizer(void **state) {
    return tw_tokenizer_bpe(NULL, 0, TW_BPE_OPENAI, &tokenizer, NULL) == TW_OK ? 0 : -1;
}

static int free_tokenizer(void **state) {
    tw_tokenizer_free(tokenizer);
    return 0;
}

static void assert_ids(const tw_json *text, const tw_json *expected, int32_t context,
                       bool skip_repair) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[LONGEST], n_ids = -1;
    options.context_length = context;
    options.skip_repair = skip_repair;
    assert_ok(
        tw_tokenize(tokenizer, text->string, text->n_string, &options, ids, &n_ids, NULL, &err),
        &err);
    if ((size_t)n_ids != expected->n_items)
        fail_msg("\"%s\": %d ids, expected %zu", text->string, (int)n_ids, expected->n_items);
    int i = 0;
    for (const tw_json *id = expected->first; id; id = id->next, i++)
        if (ids[i] != id->integer)
            fail_msg("\"%s\": id %d is %d, expected %d", text->string, i, (int)ids[i],
                     (int)id->integer);
    for (; i < context; i++)
        assert_int_equal(ids[i], 0);
}

static tw_json_doc *read_goldens(const char *name) {
    tw_error err = TW_ERROR_INIT;
    size_t n_bytes;
    tw_json_doc *doc;
    uint8_t *bytes = test_read(test_data(name), &n_bytes);
    assert_ok(tw_json_parse(bytes, n_bytes, &doc, &err), &err);
    free(bytes);
    return doc;
}

static void test_all_cases_without_repairs_are_equal(void **state) {
    tw_json_doc *doc = read_goldens("text/openai_bpe_goldens.json");
    const tw_json *cases = tw_json_get(tw_json_root(doc), "cases");
    assert_non_null(cases);
    assert_int_equal(cases->n_items, 30);
    for (const tw_json *c = cases->first; c; c = c->next) {
        const tw_json *text = tw_json_get(c, "text");
        assert_ids(text, tw_json_get(c, "ids"), LONGEST, true);
        assert_ids(text, tw_json_get(c, "ids_truncated_77"), CONTEXT, true);
    }
    tw_json_free(doc);
}

static void test_what_is_too_long_is_an_error_when_asked(void **state) {
    tw_json_doc *doc = read_goldens("text/openai_bpe_goldens.json");
    const tw_json *cases = tw_json_get(tw_json_root(doc), "cases");
    for (const tw_json *c = cases->first; c; c = c->next) {
        tw_error err = TW_ERROR_INIT;
        tw_text_options options = TW_TEXT_OPTIONS_INIT;
        int32_t ids[CONTEXT];
        const tw_json *text = tw_json_get(c, "text");
        options.truncation = TW_TRUNCATE_ERROR;
        tw_status status =
            tw_tokenize(tokenizer, text->string, text->n_string, &options, ids, NULL, NULL, &err);
        bool too_long = tw_json_get(c, "ids")->n_items > CONTEXT;
        assert_int_equal(status, too_long ? TW_ERR_LIMIT : TW_OK);
        if (too_long) assert_non_null(strstr(err.message, "too long for context length 77"));
    }
    tw_json_free(doc);
}

static void test_all_damaged_texts_are_repaired_as_ftfy_does(void **state) {
    tw_json_doc *doc = read_goldens("text/bpe_repair_goldens.json");
    const tw_json *cases = tw_json_get(tw_json_root(doc), "cases");
    assert_non_null(cases);
    assert_true(cases->n_items > 200);
    for (const tw_json *c = cases->first; c; c = c->next)
        assert_ids(tw_json_get(c, "text"), tw_json_get(c, "ids"), LONGEST, false);
    tw_json_free(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_cases_without_repairs_are_equal),
        cmocka_unit_test(test_what_is_too_long_is_an_error_when_asked),
        cmocka_unit_test(test_all_damaged_texts_are_repaired_as_ftfy_does),
    };
    return cmocka_run_group_tests(tests, make_tokenizer, free_tokenizer);
}
