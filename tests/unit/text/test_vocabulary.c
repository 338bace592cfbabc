/* Vocabularies of one's own: what a vocab.txt may hold, and what is refused. */
#include "support.h"

#include "text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPECIALS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"

static tw_tokenizer *make(const char *vocab, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    tw_tokenizer *tokenizer;
    assert_ok(tw_tokenizer_wordpiece(vocab, n_bytes, &tokenizer, &err), &err);
    return tokenizer;
}
#define MAKE(vocab) make(vocab, sizeof(vocab) - 1)

static void assert_refused(const char *vocab, size_t n_bytes, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    tw_tokenizer *tokenizer = (tw_tokenizer *)&err;
    assert_fails(tw_tokenizer_wordpiece(vocab, n_bytes, &tokenizer, &err), expected, &err);
    assert_null(tokenizer);
}
#define ASSERT_REFUSED(vocab, status) assert_refused(vocab, sizeof(vocab) - 1, status)

static int32_t first_id(const tw_tokenizer *tokenizer, const char *text, int32_t expected_pieces) {
    tw_error err = TW_ERROR_INIT;
    int32_t ids[52], n_ids;
    assert_ok(tw_tokenize(tokenizer, text, strlen(text), NULL, ids, &n_ids, NULL, &err), &err);
    assert_int_equal(n_ids, expected_pieces + 2);
    return ids[1];
}

static void test_lines_are_stripped_as_python_does(void **state) {
    tw_tokenizer *t = MAKE(SPECIALS " a\t\r\n\u3000b\u2028\nc d\n\u2028\n\x1F"
                                    "e\xC2\x85\nf");
    assert_int_equal(tw_tokenizer_vocab_size(t), 10);
    assert_string_equal(tw_tokenizer_token(t, 4), "a");
    assert_string_equal(tw_tokenizer_token(t, 5), "b");
    assert_string_equal(tw_tokenizer_token(t, 6), "c d");
    assert_string_equal(tw_tokenizer_token(t, 7), "");
    assert_string_equal(tw_tokenizer_token(t, 8), "e");
    assert_string_equal(tw_tokenizer_token(t, 9), "f");
    tw_tokenizer_free(t);
}

static void test_the_last_of_equal_lines_is_found(void **state) {
    tw_tokenizer *t = MAKE(SPECIALS "a\nb\na\n");
    assert_int_equal(first_id(t, "a", 1), 6);
    assert_string_equal(tw_tokenizer_token(t, 4), "a");
    tw_tokenizer_free(t);
}

static void test_the_longest_piece_wins_and_a_dead_end_is_unknown(void **state) {
    tw_tokenizer *t = MAKE(SPECIALS "a\nab\n##c\n##bd\n");
    assert_int_equal(first_id(t, "abc", 2), 5);
    assert_int_equal(first_id(t, "abd", 1), 1); /* a + ##bd would fit, but greedy takes ab */
    assert_int_equal(first_id(t, "ac", 2), 4);
    assert_int_equal(first_id(t, "c", 1), 1);
    tw_tokenizer_free(t);
}

static void test_marks_are_put_in_canonical_order(void **state) {
    /* Classes: U+1D166 216, U+302E 224, both kept (Mc); U+0301 230 dropped; U+0901 0, dropped. */
    tw_tokenizer *t = MAKE(SPECIALS "\U0001D166\u302E\n\u302E\U0001D166\nx\U0001D166\u302E\n");
    assert_int_equal(first_id(t, "\u302E\U0001D166", 1), 4);
    assert_int_equal(first_id(t, "\U0001D166\u302E", 1), 4);
    assert_int_equal(first_id(t, "\u302E\u0301\U0001D166", 1), 4);
    assert_int_equal(first_id(t, "\u302E\u0901\U0001D166", 1), 5);
    assert_int_equal(first_id(t, "x\u302E\U0001D166", 1), 6);
    tw_tokenizer_free(t);
}

static void test_a_vocabulary_without_the_special_entries_is_refused(void **state) {
    ASSERT_REFUSED("[UNK]\n[CLS]\n[SEP]\n", TW_ERR_MISMATCH);
    ASSERT_REFUSED("[PAD]\n[CLS]\n[SEP]\n", TW_ERR_MISMATCH);
    ASSERT_REFUSED("[PAD]\n[UNK]\n[SEP]\n", TW_ERR_MISMATCH);
    ASSERT_REFUSED("[PAD]\n[UNK]\n[CLS]\n", TW_ERR_MISMATCH);
    ASSERT_REFUSED("a\n" SPECIALS, TW_ERR_MISMATCH); /* [PAD] must be 0 */
    ASSERT_REFUSED("hello\n", TW_ERR_MISMATCH);
}

static void test_a_malformed_vocabulary_is_refused(void **state) {
    ASSERT_REFUSED("", TW_ERR_FORMAT);
    ASSERT_REFUSED(SPECIALS "\xFF\n", TW_ERR_FORMAT);
    ASSERT_REFUSED(SPECIALS "a\0b\n", TW_ERR_FORMAT);
}

static void test_an_entry_over_1_kib_is_refused(void **state) {
    char vocab[sizeof SPECIALS + 1100];
    size_t n_specials = sizeof SPECIALS - 1;
    memcpy(vocab, SPECIALS, n_specials);
    memset(vocab + n_specials, 'a', 1100);
    assert_refused(vocab, n_specials + 1025, TW_ERR_FORMAT);
    tw_tokenizer_free(make(vocab, n_specials + 1024));
}

static void test_too_many_entries_are_refused(void **state) {
    size_t n = TW_VOCABULARY_MAX_ENTRIES + 1;
    char *vocab = malloc(n);
    assert_non_null(vocab);
    memset(vocab, '\n', n);
    assert_refused(vocab, n, TW_ERR_FORMAT);
    free(vocab);
}

static void test_a_million_entries_are_all_found(void **state) {
    enum { N = 1000000, ENTRY_BYTES = 8 };
    tw_error err = TW_ERROR_INIT;
    tw_vocabulary v;
    char(*text)[ENTRY_BYTES] = malloc(N * sizeof *text);
    const char **entries = malloc(N * sizeof *entries);
    size_t *n_bytes = malloc(N * sizeof *n_bytes);
    for (int i = 0; i < N; i++) {
        n_bytes[i] = (size_t)snprintf(text[i], ENTRY_BYTES, "%d", i);
        entries[i] = text[i];
    }
    assert_ok(tw_vocabulary_build(entries, n_bytes, N, &v, &err), &err);
    for (int i = 0; i < N; i += 997)
        assert_int_equal(tw_vocabulary_find(&v, text[i]), i);
    assert_int_equal(tw_vocabulary_find(&v, "1000000"), -1);
    tw_vocabulary_free(&v);
    free(n_bytes);
    free(entries);
    free(text);
}

static void test_no_vocabulary_means_the_built_in_one(void **state) {
    tw_tokenizer *t = make(NULL, 0);
    assert_int_equal(tw_tokenizer_vocab_size(t), 21128);
    assert_string_equal(tw_tokenizer_token(t, 106), "!");
    tw_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_vocabulary_means_the_built_in_one),
        cmocka_unit_test(test_lines_are_stripped_as_python_does),
        cmocka_unit_test(test_the_last_of_equal_lines_is_found),
        cmocka_unit_test(test_the_longest_piece_wins_and_a_dead_end_is_unknown),
        cmocka_unit_test(test_marks_are_put_in_canonical_order),
        cmocka_unit_test(test_a_vocabulary_without_the_special_entries_is_refused),
        cmocka_unit_test(test_a_malformed_vocabulary_is_refused),
        cmocka_unit_test(test_an_entry_over_1_kib_is_refused),
        cmocka_unit_test(test_too_many_entries_are_refused),
        cmocka_unit_test(test_a_million_entries_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
