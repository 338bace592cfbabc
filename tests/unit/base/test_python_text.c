/* Numbers and strings as Python's json writes and reads them. */
#include "support.h"

#include "base/buffer.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void expect_float(double v, const char *expected) {
    tw_buffer b = {0};
    tw_buffer_python_float(&b, v);
    assert_string_equal(b.data, expected);
    tw_buffer_free(&b);
}

static void floats_are_python_s_repr(void **state) {
    expect_float(0, "0.0");
    expect_float(-0.0, "-0.0");
    expect_float(100, "100.0");
    expect_float(0.1, "0.1");
    expect_float((double)0.1f, "0.10000000149011612");
    expect_float(1 / 3.0, "0.3333333333333333");
    expect_float(28.799999999999997, "28.799999999999997");
    expect_float(1e-5, "1e-05");
    expect_float(0.0001, "0.0001");
    expect_float(1.5e-300, "1.5e-300");
    expect_float(5e-324, "5e-324");
    expect_float(123456789012345.0, "123456789012345.0");
    expect_float(1234567890123456.0, "1234567890123456.0");
    expect_float(9999999999999998.0, "9999999999999998.0");
    expect_float(1e16, "1e+16");
    expect_float(1.7976931348623157e308, "1.7976931348623157e+308");
    expect_float(NAN, "NaN");
    expect_float(-INFINITY, "-Infinity");
}

/* Every number of a feature file that Python wrote comes out as it stood there. */
static void features_come_out_as_python_wrote_them(void **state) {
    size_t n_bytes, n = 0;
    uint8_t *data = test_read(test_data("eval/valid_imgs.img_feat.jsonl"), &n_bytes);
    const char *p = (const char *)data, *end = p + n_bytes;
    while (p < end) {
        const char *start = memchr(p, '[', (size_t)(end - p));
        if (!start) break;
        for (p = start; *p != ']'; n++) {
            char *after;
            double v = strtod(p + 1, &after);
            tw_buffer b = {0};
            tw_buffer_python_float(&b, (double)(float)v);
            const char *text = p[1] == ' ' ? p + 2 : p + 1;
            assert_int_equal(b.n_bytes, after - text);
            assert_memory_equal(b.data, text, b.n_bytes);
            tw_buffer_free(&b);
            p = after;
        }
    }
    assert_int_equal(n, 30 * 16);
    free(data);
}

static void strings_are_ascii(void **state) {
    static const char text[] = "a\"\\/\b\f\n\r\t\x01\x7f\xc3\xa9\xe7\x8c\xab\xf0\x9f\x98\x80\xff";
    tw_buffer b = {0};
    tw_buffer_ascii_json_string(&b, text, sizeof text); /* with its NUL */
    assert_string_equal(b.data, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\\u00e9\\u732b"
                                "\\ud83d\\ude00\\ufffd\\u0000\"");
    tw_buffer_free(&b);
}

static void python_reads_more_than_json(void **state) {
    static const char text[] = "{\"a\": 1, \"a\": [NaN, -Infinity, Infinity, 1e999, "
                               "99999999999999999999], \"b\": 2}";
    tw_json_doc *doc;
    assert_int_equal(tw_json_parse(text, strlen(text), &doc, NULL), TW_ERR_FORMAT);
    assert_int_equal(tw_json_parse_python(text, strlen(text), &doc, NULL), TW_OK);
    const tw_json *root = tw_json_root(doc), *v = tw_json_get_last(root, "a");
    assert_int_equal(v->type, TW_JSON_ARRAY);
    assert_int_equal(tw_json_get_last(root, "b")->integer, 2);
    assert_null(tw_json_get_last(root, "c"));
    v = v->first;
    assert_true(isnan(v->number));
    v = v->next;
    assert_true(v->number == -INFINITY);
    v = v->next;
    assert_true(v->number == INFINITY);
    v = v->next;
    assert_true(v->number == INFINITY);
    v = v->next;
    assert_false(v->is_integer);
    tw_json_free(doc);
    static const char *const refused[] = {"Nan", "-NaN", "infinity", "N", "-I", "[1,]", "'a'", ""};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(tw_json_parse_python(refused[i], strlen(refused[i]), &doc, NULL),
                         TW_ERR_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_python_s_repr),
        cmocka_unit_test(features_come_out_as_python_wrote_them),
        cmocka_unit_test(strings_are_ascii),
        cmocka_unit_test(python_reads_more_than_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
