/* The corners of Chinese-CLIP's tokenizer. Expected ids are what the original bert_tokenizer.py
 * returns for the same text, with Unicode 15.0 tables. */
#include "support.h"

#include "base/clock.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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

static void check(const char *text, size_t n_bytes, bool eval_quotes, const int32_t *expected,
                  int n_expected) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[52], n_ids;
    options.eval_quotes = eval_quotes;
    assert_ok(tw_tokenize(tokenizer, text, n_bytes, &options, ids, &n_ids, NULL, &err), &err);
    if (n_ids != n_expected + 2)
        fail_msg("\"%s\": %d pieces, expected %d", text, (int)n_ids - 2, n_expected);
    assert_int_equal(ids[0], 101);
    for (int i = 0; i < n_expected; i++)
        if (ids[i + 1] != expected[i])
            fail_msg("\"%s\": piece %d is %d, expected %d", text, i, (int)ids[i + 1],
                     (int)expected[i]);
    assert_int_equal(ids[n_expected + 1], 102);
    for (int i = n_ids; i < 52; i++)
        assert_int_equal(ids[i], 0);
}

#define NO_PIECES ((const int32_t[1]){0}), 0
#define PIECES(...)                                                                                \
    ((const int32_t[]){__VA_ARGS__}), (int)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
#define assert_pieces(text, pieces) check(text, sizeof(text) - 1, false, pieces)
#define assert_eval_pieces(text, pieces) check(text, sizeof(text) - 1, true, pieces)

static void test_empty_text_is_cls_sep(void **state) {
    assert_pieces("", NO_PIECES);
    assert_pieces(" \t\r\n", NO_PIECES);
    check(NULL, 0, false, NO_PIECES);
}

static void test_curly_quotes_are_straight_only_in_evaluation(void **state) {
    assert_pieces("“a”", PIECES(100, 143, 100));
    assert_eval_pieces("“a”", PIECES(107, 143, 107));
    assert_pieces("‘a’", PIECES(100, 143, 100));
    assert_eval_pieces("‘a’", PIECES(100, 143, 100));
}

static void test_sigma_is_final_only_at_the_end_of_a_cased_word(void **state) {
    assert_pieces("ΟΔΟΣ", PIECES(222, 13383, 13392, 13395));
    assert_pieces("Σ", PIECES(226));
    assert_pieces("ΑΣΑ", PIECES(210, 13396, 13380));
    assert_pieces("ΣΑΣ ΣΣ", PIECES(226, 13380, 13395, 226, 13395));
}

static void test_sigma_looks_past_ignorable_characters_within_its_token(void **state) {
    assert_pieces("ΑΣ'Α", PIECES(210, 13396, 112, 210));
    assert_pieces("ΑΣ' Α", PIECES(210, 13395, 112, 210));
    assert_pieces("ΑΣ中Α", PIECES(210, 13395, 704, 210));
    assert_pieces("Α\u0301Σ\u200BΑ", PIECES(210, 13396, 13380));
    assert_pieces("ΑΣ·", PIECES(210, 13395, 185));
    assert_pieces("ΑΣⅰ", PIECES(210, 13396, 13519)); /* a cased number */
    assert_pieces("ʰΣ", PIECES(200, 13396));         /* cased, but ignorable first */
    assert_pieces("Aʰ\u03A3", PIECES(143, 13370, 13395));
}

static void test_evaluation_lower_cases_before_controls_are_dropped(void **state) {
    assert_pieces("ΑΣ\x01Α", PIECES(210, 13396, 13380));
    assert_eval_pieces("ΑΣ\x01Α", PIECES(210, 13395, 13380));
}

static void test_dotted_capital_i_becomes_two_characters(void **state) {
    assert_pieces("İİ", PIECES(8491));
    assert_eval_pieces("İİ", PIECES(8491));
}

static void test_accents_and_dakuten_are_stripped(void **state) {
    assert_pieces("ÅÅ", PIECES(9563));
    assert_pieces("a\u0301\u0327", PIECES(143));
    assert_pieces("が", PIECES(541));
    assert_pieces("ガ", PIECES(598));
    assert_pieces("\u0301", NO_PIECES);
}

static void test_hangul_becomes_jamo(void **state) {
    assert_pieces("가", PIECES(288, 10928));
    assert_pieces("각", PIECES(288, 10928, 11953));
}

static void test_punctuation_is_judged_after_decomposition(void **state) {
    assert_pieces("\u037E", PIECES(132)); /* Greek question mark: ';' */
    assert_pieces("\u1FEF", PIECES(100)); /* '`', which the vocabulary does not have */
    assert_pieces("≠", PIECES(134));
    assert_pieces("##a", PIECES(108, 108, 143));
}

static void test_ideographs_stand_alone_and_compatibility_ones_decompose(void **state) {
    assert_pieces("a中b", PIECES(143, 704, 144));
    assert_pieces("\uF900", PIECES(6488));
    assert_pieces("\U0002F800", PIECES(714));
    assert_pieces("\U0003134A", PIECES(100));
}

static void test_full_width_letters_are_lowered_not_folded(void **state) {
    assert_pieces("ＡＢＣ", PIECES(8051, 12641, 10675));
}

static void test_controls_vanish_and_unicode_spaces_separate(void **state) {
    assert_pieces("a\xC2\x85"
                  "b",
                  PIECES(9386));
    assert_pieces("a\x1C"
                  "b",
                  PIECES(9386));
    assert_pieces("a\u200Db", PIECES(9386));
    assert_pieces("\uFEFFabc", PIECES(8425));
    assert_pieces("a\uFFFDb", PIECES(9386));
    assert_pieces("a\u00A0b", PIECES(143, 144));
    assert_pieces("\u2028a\u2029b", PIECES(143, 144));
}

static void test_nul_inside_the_text_is_dropped(void **state) {
    assert_pieces("a\0b", PIECES(9386));
    assert_eval_pieces("a\0b", PIECES(9386));
}

static void test_invalid_utf8_is_dropped(void **state) {
    assert_pieces("a\xFF"
                  "b",
                  PIECES(9386));
    assert_pieces("a\xE4\xBD", PIECES(143));
    assert_pieces("a\xE4\xBD"
                  "b",
                  PIECES(9386));
    assert_pieces("a\xED\xA0\x80"
                  "b",
                  PIECES(9386)); /* a surrogate */
    assert_pieces("a\xC0\x80"
                  "b",
                  PIECES(9386)); /* an overlong NUL */
    assert_pieces("a\xF4\x90\x80\x80"
                  "b",
                  PIECES(9386)); /* above U+10FFFF */
    assert_eval_pieces("\x80\xE4“", PIECES(107));
}

static void test_a_word_of_200_characters_is_split_and_one_of_201_is_unknown(void **state) {
    char text[201 * 3 + 1];
    int32_t ids[512], n_ids;
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    options.context_length = 512;
    memset(text, 'x', 201);
    assert_ok(tw_tokenize(tokenizer, text, 200, &options, ids, &n_ids, NULL, &err), &err);
    assert_int_equal(ids[1], 12243);
    assert_int_equal(ids[2], 12812);
    check(text, 201, false, PIECES(100));
    /* Accents do not count: they are gone before. */
    for (int i = 0; i < 200; i++)
        memcpy(text + 3 * i, "x\u0301", 3);
    int32_t accented[512], n_accented;
    assert_ok(tw_tokenize(tokenizer, text, 600, &options, accented, &n_accented, NULL, &err), &err);
    assert_int_equal(n_accented, n_ids);
    assert_memory_equal(accented, ids, sizeof ids);
}

static void test_truncation_is_silent_flagged_or_an_error(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[5], n_ids;
    bool truncated;
    options.context_length = 5;
    assert_ok(tw_tokenize(tokenizer, "a b c", 5, &options, ids, &n_ids, &truncated, &err), &err);
    assert_false(truncated);
    assert_ok(tw_tokenize(tokenizer, "a b c d", 7, &options, ids, &n_ids, &truncated, &err), &err);
    assert_true(truncated);
    assert_int_equal(n_ids, 5);
    assert_int_equal(ids[3], 145);
    assert_int_equal(ids[4], 102);
    /* What follows is no token: nothing was cut. */
    assert_ok(
        tw_tokenize(tokenizer, "a b c \xCC\x81\x01", 9, &options, ids, &n_ids, &truncated, &err),
        &err);
    assert_false(truncated);
    options.truncation = TW_TRUNCATE_ERROR;
    assert_ok(tw_tokenize(tokenizer, "a b c", 5, &options, ids, NULL, NULL, &err), &err);
    assert_fails(tw_tokenize(tokenizer, "a b c d", 7, &options, ids, NULL, NULL, &err),
                 TW_ERR_LIMIT, &err);
    options.context_length = 2;
    options.truncation = TW_TRUNCATE_SILENT;
    assert_ok(tw_tokenize(tokenizer, "a", 1, &options, ids, &n_ids, &truncated, &err), &err);
    assert_true(truncated);
    assert_int_equal(n_ids, 2);
}

static void test_bad_arguments_are_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_text_options options = TW_TEXT_OPTIONS_INIT;
    int32_t ids[512];
    assert_fails(tw_tokenize(tokenizer, NULL, 1, NULL, ids, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
    assert_fails(tw_tokenize(tokenizer, "a", 1, NULL, NULL, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
    const int32_t lengths[] = {-1, 1, 513};
    for (int i = 0; i < 3; i++) {
        options.context_length = lengths[i];
        assert_fails(tw_tokenize(tokenizer, "a", 1, &options, ids, NULL, NULL, &err),
                     TW_ERR_ARGUMENT, &err);
    }
    options = (tw_text_options)TW_TEXT_OPTIONS_INIT;
    options.struct_size = 0;
    assert_fails(tw_tokenize(tokenizer, "a", 1, &options, ids, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
    options = (tw_text_options)TW_TEXT_OPTIONS_INIT;
    options.truncation = (tw_truncation)7;
    assert_fails(tw_tokenize(tokenizer, "a", 1, &options, ids, NULL, NULL, &err), TW_ERR_ARGUMENT,
                 &err);
}

static void test_a_text_over_64_mib_is_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    int32_t ids[52];
    size_t n = ((size_t)64 << 20) + 1;
    char *text = calloc(n, 1);
    assert_non_null(text);
    assert_fails(tw_tokenize(tokenizer, text, n, NULL, ids, NULL, NULL, &err), TW_ERR_LIMIT, &err);
    assert_ok(tw_tokenize(tokenizer, text, n - 1, NULL, ids, NULL, NULL, &err), &err);
    free(text);
}

/* 10 MB that never fill the context, in the shapes that a quadratic step would choke on: one long
 * word, white space, capital sigmas before characters they look past, marks in falling order. */
static void test_ten_megabytes_take_linear_time(void **state) {
    static const char *const units[] = {"x",       " ",   "Σ", "\u0301", "\u302E\U0001D165",
                                        "Σ\u200B", "\xFF"};
    enum { N_BYTES = 10000000 };
    tw_error err = TW_ERROR_INIT;
    char *text = malloc(N_BYTES + 8);
    assert_non_null(text);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit = strlen(units[u]), n = 0;
        for (; n + unit <= N_BYTES; n += unit)
            memcpy(text + n, units[u], unit);
        for (int eval_quotes = 0; eval_quotes < 2; eval_quotes++) {
            tw_text_options options = TW_TEXT_OPTIONS_INIT;
            int32_t ids[512], n_ids;
            options.eval_quotes = eval_quotes;
            options.context_length = 512;
            uint64_t start = tw_now_ns();
            assert_ok(tw_tokenize(tokenizer, text, n, &options, ids, &n_ids, NULL, &err), &err);
            /* It takes about 0.3 s; 30 s leaves room for sanitizers and a busy machine, while a
             * quadratic step would take hours. */
            assert_true(tw_now_ns() - start < UINT64_C(30000000000));
        }
    }
    free(text);
}

static void test_tokens_by_id_and_back(void **state) {
    assert_string_equal(tw_tokenizer_kind(tokenizer), "wordpiece");
    assert_int_equal(tw_tokenizer_vocab_size(tokenizer), 21128);
    assert_string_equal(tw_tokenizer_token(tokenizer, 0), "[PAD]");
    assert_string_equal(tw_tokenizer_token(tokenizer, 343), "");
    assert_string_equal(tw_tokenizer_token(tokenizer, 13502), "##");
    assert_null(tw_tokenizer_token(tokenizer, -1));
    assert_null(tw_tokenizer_token(tokenizer, 21128));
}

static void test_tokens_make_an_equal_tokenizer_again(void **state) {
    enum { N = 21128 };
    tw_error err = TW_ERROR_INIT;
    const char **tokens = malloc(N * sizeof *tokens);
    size_t *n_bytes = malloc(N * sizeof *n_bytes);
    tw_tokenizer *again;
    for (int32_t i = 0; i < N; i++) {
        tokens[i] = tw_tokenizer_token(tokenizer, i);
        n_bytes[i] = strlen(tokens[i]);
    }
    assert_ok(tw_tokenizer_wordpiece_tokens(tokens, n_bytes, N, &again, &err), &err);
    const tw_vocabulary *a = &tokenizer->vocabulary, *b = &again->vocabulary;
    assert_int_equal(a->n_entries, b->n_entries);
    assert_int_equal(a->offsets[N], b->offsets[N]);
    assert_memory_equal(a->bytes, b->bytes, a->offsets[N]);
    assert_int_equal(a->slot_mask, b->slot_mask);
    assert_memory_equal(a->slots, b->slots, (a->slot_mask + 1) * sizeof *a->slots);
    tw_tokenizer_free(again);
    free(n_bytes);
    free(tokens);
}

typedef struct worker {
    pthread_t thread;
    int n_wrong;
} worker;

static void *tokenize_many(void *arg) {
    static const char text[] = "一只皮卡丘 ΟΔΟΣ";
    static const int32_t expected[] = {101, 671,   1372,  4649,  1305, 687,
                                       222, 13383, 13392, 13395, 102};
    worker *w = arg;
    for (int i = 0; i < 2000; i++) {
        int32_t ids[52];
        if (tw_tokenize(tokenizer, text, sizeof text - 1, NULL, ids, NULL, NULL, NULL) != TW_OK ||
            memcmp(ids, expected, sizeof expected) != 0)
            w->n_wrong++;
    }
    return NULL;
}

static void test_one_tokenizer_serves_many_threads(void **state) {
    worker workers[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, tokenize_many, &workers[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].n_wrong, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_text_is_cls_sep),
        cmocka_unit_test(test_curly_quotes_are_straight_only_in_evaluation),
        cmocka_unit_test(test_sigma_is_final_only_at_the_end_of_a_cased_word),
        cmocka_unit_test(test_sigma_looks_past_ignorable_characters_within_its_token),
        cmocka_unit_test(test_evaluation_lower_cases_before_controls_are_dropped),
        cmocka_unit_test(test_dotted_capital_i_becomes_two_characters),
        cmocka_unit_test(test_accents_and_dakuten_are_stripped),
        cmocka_unit_test(test_hangul_becomes_jamo),
        cmocka_unit_test(test_punctuation_is_judged_after_decomposition),
        cmocka_unit_test(test_ideographs_stand_alone_and_compatibility_ones_decompose),
        cmocka_unit_test(test_full_width_letters_are_lowered_not_folded),
        cmocka_unit_test(test_controls_vanish_and_unicode_spaces_separate),
        cmocka_unit_test(test_nul_inside_the_text_is_dropped),
        cmocka_unit_test(test_invalid_utf8_is_dropped),
        cmocka_unit_test(test_a_word_of_200_characters_is_split_and_one_of_201_is_unknown),
        cmocka_unit_test(test_truncation_is_silent_flagged_or_an_error),
        cmocka_unit_test(test_bad_arguments_are_refused),
        cmocka_unit_test(test_a_text_over_64_mib_is_refused),
        cmocka_unit_test(test_ten_megabytes_take_linear_time),
        cmocka_unit_test(test_tokens_by_id_and_back),
        cmocka_unit_test(test_tokens_make_an_equal_tokenizer_again),
        cmocka_unit_test(test_one_tokenizer_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, make_tokenizer, free_tokenizer);
}
