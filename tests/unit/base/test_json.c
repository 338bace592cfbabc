#include "support.h"

#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_status parse(const char *text, tw_json_doc **doc, tw_error *err) {
    /* A copy of the exact size without a NUL, so that a sanitizer sees a read past the end. */
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1);
    memcpy(exact, text, n);
    tw_status status = tw_json_parse(exact, n, doc, err);
    free(exact);
    return status;
}

static tw_json_doc *parsed(const char *text) {
    tw_json_doc *doc;
    tw_error err = TW_ERROR_INIT;
    assert_ok(parse(text, &doc, &err), &err);
    return doc;
}

static void refused(const char *text, tw_status expected, const char *part) {
    tw_json_doc *doc;
    tw_error err = TW_ERROR_INIT;
    assert_fails(parse(text, &doc, &err), expected, &err);
    assert_null(doc);
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
}

static void reads_every_kind_of_value(void **state) {
    (void)state;
    tw_json_doc *doc = parsed(" {\"n\": null, \"t\": true, \"f\": false, \"i\": -12, \"d\": 1.5e2,"
                              "\"s\": \"x\", \"a\": [1, [], {}], \"o\": {\"k\": 1}}\r\n\t");
    const tw_json *root = tw_json_root(doc);
    assert_int_equal(root->type, TW_JSON_OBJECT);
    assert_int_equal(root->n_items, 8);
    assert_int_equal(tw_json_get(root, "n")->type, TW_JSON_NULL);
    assert_true(tw_json_get(root, "t")->boolean);
    assert_int_equal(tw_json_get(root, "f")->type, TW_JSON_BOOL);
    assert_false(tw_json_get(root, "f")->boolean);
    assert_true(tw_json_get(root, "i")->is_integer);
    assert_int_equal(tw_json_get(root, "i")->integer, -12);
    assert_false(tw_json_get(root, "d")->is_integer);
    assert_true(tw_json_get(root, "d")->number == 150.0);
    assert_string_equal(tw_json_get(root, "d")->string, "1.5e2");
    assert_string_equal(tw_json_get(root, "s")->string, "x");
    const tw_json *a = tw_json_get(root, "a");
    assert_int_equal(a->n_items, 3);
    assert_int_equal(a->first->integer, 1);
    assert_int_equal(a->first->next->type, TW_JSON_ARRAY);
    assert_int_equal(a->first->next->next->type, TW_JSON_OBJECT);
    assert_null(a->first->next->next->next);
    assert_null(tw_json_get(root, "absent"));
    assert_null(tw_json_get(a, "k"));
    tw_json_free(doc);
    doc = parsed("7");
    assert_int_equal(tw_json_root(doc)->integer, 7);
    tw_json_free(doc);
}

static void decodes_strings_to_utf8(void **state) {
    (void)state;
    tw_json_doc *doc = parsed("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u6770\\u00e9\\u0041\","
                              "\"\\uD83D\\uDE00\", \"杰😀\", \"a\\u0000b\"]");
    const tw_json *v = tw_json_root(doc)->first;
    assert_string_equal(v->string, "\"\\/\b\f\n\r\t");
    v = v->next;
    assert_string_equal(v->string, "杰éA");
    v = v->next;
    assert_string_equal(v->string, "😀");
    v = v->next;
    assert_string_equal(v->string, "杰😀");
    v = v->next;
    assert_int_equal(v->n_string, 3);
    assert_memory_equal(v->string, "a\0b", 4);
    tw_json_free(doc);
}

static void tells_integers_that_fit_from_those_that_do_not(void **state) {
    (void)state;
    tw_json_doc *doc = parsed("[9223372036854775807, -9223372036854775808, 9223372036854775808,"
                              "-9223372036854775809, 0, -0, 1.0, 1e2]");
    static const bool integer[] = {true, true, false, false, true, true, false, false};
    static const double number[] = {9223372036854775807.0,
                                    -9223372036854775808.0,
                                    9223372036854775808.0,
                                    -9223372036854775808.0,
                                    0.0,
                                    0.0,
                                    1.0,
                                    100.0};
    const tw_json *v = tw_json_root(doc)->first;
    for (int i = 0; i < 8; i++, v = v->next) {
        assert_int_equal(v->is_integer, integer[i]);
        assert_true(v->number == number[i]);
    }
    v = tw_json_root(doc)->first;
    assert_true(v->integer == INT64_MAX);
    assert_true(v->next->integer == INT64_MIN);
    assert_true(signbit(v->next->next->next->next->next->number));
    tw_json_free(doc);
}

static void rounds_decimals_correctly_in_any_locale(void **state) {
    (void)state;
    static const char *const comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < sizeof comma / sizeof *comma; i++)
        if (setlocale(LC_ALL, comma[i])) break;
    tw_json_doc *doc = parsed("[0.48145466, 2.2250738585072014e-308, 1e-400, -4.9e-324,"
                              "123456789012345678901234567890, 0.1]");
    static const double number[] = {0.48145466, 2.2250738585072014e-308,          0.0,
                                    -4.9e-324,  123456789012345678901234567890.0, 0.1};
    const tw_json *v = tw_json_root(doc)->first;
    for (int i = 0; i < 6; i++, v = v->next)
        assert_true(v->number == number[i]);
    tw_json_free(doc);
    setlocale(LC_ALL, "C");
}

static void refuses_what_the_grammar_does_not_have(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "byte 0: expected a value, got the end"},
        {"  ", "byte 2: expected a value"},
        {"\xEF\xBB\xBF{}", "byte 0: expected a value, got byte 0xef"},
        {"{", "byte 1: expected a key"},
        {"[", "byte 1: expected a value"},
        {"[1", "byte 2: expected ',' or ']', got the end"},
        {"[1,]", "byte 3: expected a value, got ']'"},
        {"[,1]", "byte 1: expected a value"},
        {"[1 2]", "byte 3: expected ',' or ']', got '2'"},
        {"{\"a\" 1}", "byte 5: expected ':'"},
        {"{\"a\":1,}", "byte 7: expected a key"},
        {"{a:1}", "byte 1: expected a key"},
        {"{\"a\":1 \"b\":2}", "byte 7: expected ',' or '}'"},
        {"[1}", "byte 2: expected ',' or ']'"},
        {"[1]]", "byte 3: expected the end"},
        {"1 2", "byte 2: expected the end"},
        {"nul", "byte 0: expected a value"},
        {"nullx", "byte 4: expected the end"},
        {"True", "byte 0: expected a value"},
        {"NaN", "byte 0: expected a value"},
        {"Infinity", "byte 0: expected a value"},
        {"01", "byte 0: number with a leading zero"},
        {"-", "byte 1: expected a digit"},
        {"+1", "byte 0: expected a value"},
        {".5", "byte 0: expected a value"},
        {"1.", "byte 2: expected a digit after"},
        {"1e", "byte 2: expected a digit in the exponent"},
        {"1e+-2", "byte 3: expected a digit in the exponent"},
        {"0x10", "byte 1: expected the end"},
        {"1e400", "byte 0: number beyond the range"},
        {"'a'", "byte 0: expected a value"},
        {"\"a", "byte 0: string without an end"},
        {"\"a\\", "byte 3: expected one of"},
        {"\"\\x\"", "byte 2: expected one of"},
        {"\"\\u12g4\"", "byte 5: expected four hexadecimal digits"},
        {"\"a\nb\"", "byte 2: control character"},
        {"\"\\uD800\"", "lone high surrogate"},
        {"\"\\uD800\\u0041\"", "lone high surrogate"},
        {"\"\\uD800\\n\"", "lone high surrogate"},
        {"\"\\uDC00\"", "lone low surrogate"},
        {"\"\xFF\"", "byte 1: invalid UTF-8"},
        {"\"\xC0\x80\"", "byte 1: invalid UTF-8"},
        {"\"\xED\xA0\x80\"", "byte 1: invalid UTF-8"},
        {"\"\xF0\x9F\x98\"", "byte 1: invalid UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "key \"a\" occurs twice"},
        {"{\"a\":1,\"\\u0061\":3}", "key \"a\" occurs twice"},
        {"/**/1", "byte 0: expected a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].text, TW_ERR_FORMAT, cases[i].part);
}

static void finds_a_duplicate_among_many_members(void **state) {
    (void)state;
    char text[4096] = "{", member[32];
    for (int i = 0; i < 200; i++) {
        snprintf(member, sizeof member, "\"key%d\":%d,", i, i);
        strcat(text, member);
    }
    size_t n = strlen(text);
    strcpy(text + n, "\"key\":1}");
    tw_json_doc *doc = parsed(text);
    assert_int_equal(tw_json_get(tw_json_root(doc), "key137")->integer, 137);
    tw_json_free(doc);
    strcpy(text + n, "\"key77\":1}");
    refused(text, TW_ERR_FORMAT, "key \"key77\" occurs twice");
}

static void nests_to_64_levels_and_no_deeper(void **state) {
    (void)state;
    char text[256];
    for (int depth = 64; depth <= 65; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        if (depth == 64)
            tw_json_free(parsed(text));
        else
            refused(text, TW_ERR_LIMIT, "byte 64: nested deeper than 64");
    }
    char *bomb = malloc(1000001);
    memset(bomb, '[', 1000000);
    bomb[1000000] = '\0';
    refused(bomb, TW_ERR_LIMIT, "nested deeper");
    free(bomb);
}

static void stops_at_four_million_values(void **state) {
    (void)state;
    size_t n = ((size_t)4 << 20) + 1; /* values in the array; with the array one too many */
    char *text = malloc(2 * n + 2);
    text[0] = '[';
    for (size_t i = 0; i < n; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    strcpy(text + 2 * n, "]");
    refused(text, TW_ERR_LIMIT, "more than 4194304 values");
    free(text);
}

static void typed_look_ups_check_type_and_range(void **state) {
    (void)state;
    tw_json_doc *doc = parsed("{\"i\":12,\"d\":12.0,\"s\":\"x\",\"z\":null}");
    const tw_json *root = tw_json_root(doc);
    tw_error err = TW_ERROR_INIT;
    int64_t i;
    const char *s;
    assert_ok(tw_json_get_int(root, "i", 1, 100, -1, &i, &err), &err);
    assert_int_equal(i, 12);
    assert_ok(tw_json_get_int(root, "absent", 1, 100, -1, &i, &err), &err);
    assert_int_equal(i, -1);
    assert_ok(tw_json_get_int(root, "z", 1, 100, -1, &i, &err), &err);
    assert_int_equal(i, -1);
    assert_fails(tw_json_get_int(root, "i", 1, 11, -1, &i, &err), TW_ERR_FORMAT, &err);
    assert_string_equal(err.message, "\"i\": expected an integer in [1, 11], got 12");
    assert_fails(tw_json_get_int(root, "d", 1, 100, -1, &i, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_json_get_int(root, "s", 1, 100, -1, &i, &err), TW_ERR_FORMAT, &err);
    assert_ok(tw_json_get_string(root, "s", NULL, &s, &err), &err);
    assert_string_equal(s, "x");
    assert_ok(tw_json_get_string(root, "z", "fallback", &s, &err), &err);
    assert_string_equal(s, "fallback");
    assert_fails(tw_json_get_string(root, "i", NULL, &s, &err), TW_ERR_FORMAT, &err);
    tw_json_free(doc);
}

static void survives_flipped_bytes(void **state) {
    (void)state;
    static const char text[] = "{\"a\": [1, 2.5e-3, \"\\uD83D\\uDE00杰\"], \"b\": {\"c\": null}}";
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        for (int flips = 1 + (int)(test_random(&seed) % 3); flips > 0; flips--)
            copy[test_random(&seed) % (sizeof text - 1)] ^= (char)(1 << test_random(&seed) % 8);
        tw_json_doc *doc;
        tw_error err = TW_ERROR_INIT;
        size_t n = test_random(&seed) % sizeof text;
        tw_status status = tw_json_parse(copy, n, &doc, &err);
        assert_true((status == TW_OK) == (doc != NULL));
        tw_json_free(doc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(decodes_strings_to_utf8),
        cmocka_unit_test(tells_integers_that_fit_from_those_that_do_not),
        cmocka_unit_test(rounds_decimals_correctly_in_any_locale),
        cmocka_unit_test(refuses_what_the_grammar_does_not_have),
        cmocka_unit_test(finds_a_duplicate_among_many_members),
        cmocka_unit_test(nests_to_64_levels_and_no_deeper),
        cmocka_unit_test(stops_at_four_million_values),
        cmocka_unit_test(typed_look_ups_check_type_and_range),
        cmocka_unit_test(survives_flipped_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
