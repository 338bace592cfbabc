#include "support.h"

#include "text/bpe_merges.h"

#include <stdlib.h>
#include <string.h>

enum { START = 49406, END = 49407 };

static tw_tokenizer *openai, *open_clip;

static int make_tokenizers(void **state) {
    if (tw_tokenizer_bpe(NULL, 0, TW_BPE_OPENAI, &openai, NULL) != TW_OK) return -1;
    return tw_tokenizer_bpe(NULL, 0, TW_BPE_OPEN_CLIP, &open_clip, NULL) == TW_OK ? 0 : -1;
}

static int free_tokenizers(void **state) {
    tw_tokenizer_free(openai);
    tw_tokenizer_free(open_clip);
    return 0;
}

static int32_t encode(const tw_tokenizer *t, const char *text, const tw_text_options *options,
                      int32_t ids[512]) {
    tw_error err = TW_ERROR_INIT;
    int32_t n_ids = -1;
    assert_ok(tw_tokenize(t, text, strlen(text), options, ids, &n_ids, NULL, &err), &err);
    return n_ids;
}

/* The ids are those of the pieces, which are written with spaces between them. */
static void assert_pieces(const tw_tokenizer *t, const char *text, const tw_text_options *options,
                          const char *pieces) {
    int32_t ids[512];
    char joined[4096] = "";
    int32_t n = encode(t, text, options, ids);
    assert_int_equal(ids[0], START);
    assert_int_equal(ids[n - 1], END);
    for (int32_t i = 1; i + 1 < n; i++) {
        if (i > 1) strcat(joined, " ");
        strcat(joined, tw_tokenizer_token(t, ids[i]));
    }
    assert_string_equal(joined, pieces);
}

static void test_the_vocabulary_has_the_originals_order(void **state) {
    assert_string_equal(tw_tokenizer_kind(openai), "bpe");
    assert_int_equal(tw_tokenizer_vocab_size(openai), 49408);
    assert_string_equal(tw_tokenizer_token(openai, 0), "!");
    assert_string_equal(tw_tokenizer_token(openai, 188), "\xC4\x80"); /* byte 0 is U+0100 */
    assert_string_equal(tw_tokenizer_token(openai, 256), "!</w>");
    assert_string_equal(tw_tokenizer_token(openai, 320), "a</w>");
    assert_string_equal(tw_tokenizer_token(openai, 512), "in");
    assert_string_equal(tw_tokenizer_token(openai, START), "<|startoftext|>");
    assert_string_equal(tw_tokenizer_token(open_clip, END), "<end_of_text>");
    assert_null(tw_tokenizer_token(openai, 49408));
    assert_null(tw_tokenizer_token(openai, -1));
}

static void test_text_is_split_as_the_expression_does(void **state) {
    assert_pieces(openai, "Don'T it'\xC5\xBF 12!? x\xC2\xB2", NULL,
                  "don</w> 't</w> it</w> ' \xC3\x85 \xC2\xBF</w> 1</w> 2</w> !?</w> x</w> "
                  "\xC3\x82\xC2\xB2</w>");
}

static void test_specials_in_the_text_are_specials(void **state) {
    int32_t ids[512];
    assert_int_equal(encode(openai, "<|endoftext|>", NULL, ids), 3);
    assert_int_equal(ids[1], END);
    assert_int_equal(encode(open_clip, "<start_of_text>", NULL, ids), 3);
    assert_int_equal(ids[1], START);
    assert_true(encode(openai, "<start_of_text>", NULL, ids) > 3);
    assert_true(encode(open_clip, "<|endoftext|>", NULL, ids) > 3);
    /* Written otherwise it is one word all the same, but not a special. */
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    options.clean = TW_CLEAN_WHITESPACE;
    assert_true(encode(open_clip, "<START_OF_TEXT>", &options, ids) > 3);
    assert_pieces(openai, "<|ENDOFTEXT|>", NULL, "<|endoftext|>");
}

static void test_clean_ups_differ_as_named(void **state) {
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    assert_pieces(open_clip, " A_cat,\n\tB ", NULL, "a</w> _</w> cat</w> ,</w> b</w>");
    options.clean = TW_CLEAN_CANONICALIZE;
    assert_pieces(open_clip, " A_cat,\n\tB ", &options, "a</w> cat</w> b</w>");
    options.clean = TW_CLEAN_WHITESPACE;
    assert_pieces(open_clip, " A_cat,\n\tB ", &options, "A</w> _</w> cat</w> ,</w> B</w>");
}

static void test_damage_is_repaired_unless_skipped(void **state) {
    static const struct {
        const char *damaged, *whole;
    } pairs[] = {
        {"\xE2\x80\x9C"
         "a cat\xE2\x80\x9D",
         "\"a cat\""},              /* quotes */
        {"\xEF\xAC\x81sh", "fish"}, /* ligature */
        {"\xEF\xBC\xA3\xEF\xBD\x81\xEF\xBD\x94\xE3\x80\x80"
         "1",
         "Cat 1"},                                    /* full width */
        {"\xEF\xBE\x8A\xEF\xBE\x9F", "\xE3\x83\x91"}, /* half-width katakana */
        {"a\r\nb\xE2\x80\xA8"
         "c",
         "a b c"}, /* line breaks */
        {"a\x1B[31mb\x07"
         "c\xEF\xBB\xBF",
         "abc"},                                   /* controls */
        {"cafe\xCC\x81", "caf\xC3\xA9"},           /* NFC */
        {"caf&eacute; &amp;lt;", "caf\xC3\xA9 <"}, /* entities */
        {"&EACUTE;", "\xC3\xA9"},                  /* ftfy's upper case */
        {"caf\xC3\x83\xC2\xA9", "caf\xC3\xA9"},    /* as Latin-1 */
        {"\xC3\xA2\xE2\x82\xAC\xC5\x93hi\xC3\xA2\xE2\x82\xAC\xC2\x9D", "\"hi\""}, /* as 1252 */
        {"voil\xC3\x83 le travail", "voil\xC3\xA0 le travail"}, /* a lost no-break space */
        {"\xC3\xA2\xE2\x82\xAC\xE2\x84\xA2", "'"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tw_text_options options = TW_TEXT_OPTIONS_INIT;
        int32_t damaged[512], whole[512], skipped[512];
        int32_t n = encode(openai, pairs[i].damaged, NULL, damaged);
        options.skip_repair = true;
        int32_t n_skipped = encode(openai, pairs[i].damaged, &options, skipped);
        if (n != encode(openai, pairs[i].whole, NULL, whole) ||
            memcmp(damaged, whole, (size_t)n * sizeof *whole) != 0)
            fail_msg("\"%s\" is not read as \"%s\"", pairs[i].damaged, pairs[i].whole);
        bool by_html = strstr(pairs[i].damaged, "&eacute;") || strstr(pairs[i].damaged, "\r\n");
        if (!by_html && n == n_skipped && memcmp(damaged, skipped, (size_t)n * sizeof *whole) == 0)
            fail_msg("\"%s\" is repaired although told not to", pairs[i].damaged);
    }
}

static void test_bytes_that_are_not_utf_8_are_dropped(void **state) {
    assert_pieces(openai,
                  "c\xFF"
                  "at\xC3",
                  NULL, "cat</w>");
}

static void test_a_cut_text_ends_with_the_end(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[4], n_ids;
    bool truncated;
    options.context_length = 4;
    assert_ok(tw_tokenize(openai, "a b c", 5, &options, ids, &n_ids, &truncated, &err), &err);
    assert_true(truncated);
    assert_int_equal(n_ids, 4);
    assert_int_equal(ids[2], 321);
    assert_int_equal(ids[3], END);
    options.truncation = TW_TRUNCATE_ERROR;
    assert_fails(tw_tokenize(openai, "a b c", 5, &options, ids, &n_ids, &truncated, &err),
                 TW_ERR_LIMIT, &err);
    assert_ok(tw_tokenize(openai, "a b", 3, &options, ids, &n_ids, &truncated, &err), &err);
    assert_false(truncated);
}

/* Quadratic work on any of these would take hours. */
static void test_long_words_and_deep_damage_end_soon(void **state) {
    static const char *const parts[] = {"a",        "ab",      "'",     "\xC3\xA9",
                                        "&amp;",    "&",       "\x1B[", "\xCC\xA7\xCC\x81",
                                        "\xC3\x83", "\xCE\xA3"};
    const size_t n = 200000;
    char *text = malloc(n + 8);
    int32_t ids[77];
    assert_non_null(text);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t length = strlen(parts[i]);
        tw_error err = TW_ERROR_INIT;
        for (size_t k = 0; k < n; k += length)
            memcpy(text + k, parts[i], length);
        assert_ok(tw_tokenize(openai, text, n / length * length, NULL, ids, NULL, NULL, &err),
                  &err);
    }
    tw_error err = TW_ERROR_INIT;
    memcpy(text, "&amp;", 5);
    for (size_t k = 5; k + 4 <= n; k += 4)
        memcpy(text + k, "amp;", 4);
    assert_fails(tw_tokenize(openai, text, n, NULL, ids, NULL, NULL, &err), TW_ERR_LIMIT, &err);
    free(text);
}

static void test_a_text_over_4_mib_is_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    int32_t ids[77];
    size_t n = ((size_t)4 << 20) + 1;
    char *text = calloc(n, 1);
    assert_non_null(text);
    assert_fails(tw_tokenize(openai, text, n, NULL, ids, NULL, NULL, &err), TW_ERR_LIMIT, &err);
    assert_ok(tw_tokenize(openai, text, n - 1, NULL, ids, NULL, NULL, &err), &err);
    free(text);
}

/* ---------------------------------------------------------------------------------- options */

static void test_options_of_an_earlier_version_are_taken(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[77], n_ids;
    options.struct_size = offsetof(tw_text_options, clean);
    options.clean = (tw_text_clean)77; /* beyond what the caller says it has */
    assert_ok(tw_tokenize(openai, "A", 1, &options, ids, &n_ids, NULL, &err), &err);
    assert_int_equal(ids[1], 320);
    options.struct_size--;
    assert_fails(tw_tokenize(openai, "A", 1, &options, ids, &n_ids, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
}

static void test_options_of_the_other_tokenizer_are_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    tw_tokenizer *wordpiece;
    int32_t ids[77];
    options.eval_quotes = true;
    assert_fails(tw_tokenize(openai, "a", 1, &options, ids, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
    options = (tw_text_options)TW_TEXT_OPTIONS_INIT;
    options.clean = (tw_text_clean)3;
    assert_fails(tw_tokenize(openai, "a", 1, &options, ids, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
    assert_ok(tw_tokenizer_wordpiece(NULL, 0, &wordpiece, &err), &err);
    options.clean = TW_CLEAN_WHITESPACE;
    assert_fails(tw_tokenize(wordpiece, "a", 1, &options, ids, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
    tw_tokenizer_free(wordpiece);
}

/* ----------------------------------------------------------------------------------- merges */

static void assert_merges_fail(const char *merges, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    tw_tokenizer *t = openai;
    assert_fails(tw_tokenizer_bpe(merges, strlen(merges), TW_BPE_OPENAI, &t, &err), expected, &err);
    assert_null(t);
}

static void test_bad_merges_are_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    assert_merges_fail("", TW_ERR_FORMAT);
    assert_merges_fail("#version\na\n", TW_ERR_FORMAT);
    assert_merges_fail("#version\na b c\n", TW_ERR_FORMAT);
    assert_merges_fail("#version\na b\n\n", TW_ERR_FORMAT);
    assert_merges_fail("#version\nab c\n", TW_ERR_FORMAT);
    assert_merges_fail("#version\na \xFF\n", TW_ERR_FORMAT);
    assert_merges_fail("\x1F\x8B\x08", TW_ERR_FORMAT);
    tw_tokenizer *t;
    assert_fails(tw_tokenizer_bpe(NULL, 0, (tw_bpe_variant)2, &t, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_tokenizer_bpe(NULL, 0, TW_BPE_OPENAI, NULL, &err), TW_ERR_ARGUMENT, &err);
}

static void assert_merged(const char *merges, const char *text, const char *pieces) {
    tw_error err = TW_ERROR_INIT;
    tw_tokenizer *t;
    int32_t ids[77], n_ids;
    char joined[256] = "";
    assert_ok(tw_tokenizer_bpe(merges, strlen(merges), TW_BPE_OPENAI, &t, &err), &err);
    assert_ok(tw_tokenize(t, text, strlen(text), NULL, ids, &n_ids, NULL, &err), &err);
    for (int32_t i = 1; i + 1 < n_ids; i++) {
        if (i > 1) strcat(joined, " ");
        strcat(joined, tw_tokenizer_token(t, ids[i]));
    }
    assert_string_equal(joined, pieces);
    tw_tokenizer_free(t);
}

/* The whole of a rank before the next one, from the left, also where the merges are of no training:
 * expected results are the reference's. */
static void test_merges_are_made_in_the_references_order(void **state) {
    assert_merged("#version\na a\n", "aaaaa", "aa aa a</w>");
    assert_merged("#version\na b\nb c\n", "abcx", "ab c x</w>");
    assert_merged("#version\nb c\na b\n", "abcx", "a bc x</w>");
    /* "ab a" outranks "a b", but both "a b" of the text are merged before any "ab a". */
    assert_merged("#version\nab a\na b\n", "ababx", "ab ab x</w>");
    assert_merged("#version\r\na b\r\nab c</w>\r\n", "abc", "abc</w>");
    /* Of two equal lines the later counts. */
    assert_merged("#version\na b\nb c\na b", "abcx", "a bc x</w>");
}

static void test_the_built_in_merges_are_the_original_lines(void **state) {
    size_t n_bytes, n_lines = 0;
    const char *merges = tw_builtin_bpe_merges(&n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        n_lines += merges[i] == '\n';
    assert_int_equal(n_lines, 48895);
    assert_memory_equal(merges, "\"bpe_simple_vocab_16e6.txt#version: 0.2\ni n\n", 44);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vocabulary_has_the_originals_order),
        cmocka_unit_test(test_text_is_split_as_the_expression_does),
        cmocka_unit_test(test_specials_in_the_text_are_specials),
        cmocka_unit_test(test_clean_ups_differ_as_named),
        cmocka_unit_test(test_damage_is_repaired_unless_skipped),
        cmocka_unit_test(test_bytes_that_are_not_utf_8_are_dropped),
        cmocka_unit_test(test_a_cut_text_ends_with_the_end),
        cmocka_unit_test(test_long_words_and_deep_damage_end_soon),
        cmocka_unit_test(test_a_text_over_4_mib_is_refused),
        cmocka_unit_test(test_options_of_an_earlier_version_are_taken),
        cmocka_unit_test(test_options_of_the_other_tokenizer_are_refused),
        cmocka_unit_test(test_bad_merges_are_refused),
        cmocka_unit_test(test_merges_are_made_in_the_references_order),
        cmocka_unit_test(test_the_built_in_merges_are_the_original_lines),
    };
    return cmocka_run_group_tests(tests, make_tokenizers, free_tokenizers);
}
