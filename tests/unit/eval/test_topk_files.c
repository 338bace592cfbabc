/* Labels and predictions as text files. What Python counted of the same bytes stands beside each.
 * The source belongs to the command and is taken in. */
#include "eval/topk_files.c"

#include "support.h"

static tw_topk_text text(const char *s) {
    return (tw_topk_text){"some.txt", (const uint8_t *)s, strlen(s)};
}

static tw_topk_counts count(const char *labels, const char *top1, const char *top5) {
    tw_topk_text a = text(labels), b = text(top1), c = text(top5);
    tw_topk_counts counts;
    tw_error err = TW_ERROR_INIT;
    assert_int_equal(tw_topk_count(&a, &b, &c, &counts, &err), TW_OK);
    return counts;
}

static void equal_lines_are_hits(void **state) {
    tw_topk_counts c = count("[0]: 3\n[1]: 1\n[2]: 0\n", "[0]: 3\n[1]: 2\n[2]: 0\n",
                             "[0]: 3\n[0]: 4\n[1]: 2\n[1]: 1\n[2]: 0\n[2]: 9\n");
    assert_int_equal(c.n_labels, 3);
    assert_int_equal(c.n_top1, 2);
    assert_int_equal(c.n_top5, 3);
}

/* readlines() keeps the end of a line, so a last line without one equals no line that has one. */
static void the_end_of_a_line_is_part_of_it(void **state) {
    tw_topk_counts c = count("[0]: 3\n[1]: 1\n", "[0]: 3\n[1]: 1", "[0]: 3\r\n[1]: 1\r");
    assert_int_equal(c.n_top1, 1);
    assert_int_equal(c.n_top5, 2);
    assert_int_equal(count("[0]: 3", "[0]: 3", "[0]: 3\n").n_top1, 1);
    assert_int_equal(count("[0]: 3", "[0]: 3", "[0]: 3\n").n_top5, 0);
    assert_int_equal(count("[0]: 3\n", " [0]: 3\n", "[0]: 3 \n").n_top1, 0);
}

static void a_line_counts_as_often_as_it_is_there(void **state) {
    tw_topk_counts c = count("a\na\n", "a\na\na\n", "");
    assert_int_equal(c.n_top1, 6);
    assert_int_equal(c.n_top5, 0);
}

static void no_label_and_no_text_are_errors(void **state) {
    tw_topk_text none = text(""), good = text("a\n"), bad = text("\xff\n");
    tw_topk_counts counts;
    tw_error err = TW_ERROR_INIT;
    assert_int_equal(tw_topk_count(&none, &good, &good, &counts, &err), TW_ERR_FORMAT);
    assert_string_equal(err.message, "some.txt: no label in it");
    assert_int_equal(tw_topk_count(&good, &bad, &good, &counts, &err), TW_ERR_FORMAT);
    assert_string_equal(err.message, "some.txt: is not UTF-8");
}

/* CPython 3.12: "top1: ", 617 / 1000; "%f" of the same. */
static void figures_are_pythons(void **state) {
    tw_topk_counts counts = {1000, 617, 1000};
    tw_buffer b = {0};
    tw_topk_put_printed(&b, &counts);
    assert_string_equal(b.data, "top1:  0.617\ntop5:  1.0\n");
    tw_buffer_clear(&b);
    counts = (tw_topk_counts){3, 1, 2};
    tw_topk_put_printed(&b, &counts);
    assert_string_equal(b.data, "top1:  0.3333333333333333\ntop5:  0.6666666666666666\n");
    tw_buffer_clear(&b);
    tw_topk_put_result(&b, &counts);
    assert_string_equal(b.data, "top1 accuracy: 0.333333\ntop5 accuracy: 0.666667\n");
    tw_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_lines_are_hits),
        cmocka_unit_test(the_end_of_a_line_is_part_of_it),
        cmocka_unit_test(a_line_counts_as_often_as_it_is_there),
        cmocka_unit_test(no_label_and_no_text_are_errors),
        cmocka_unit_test(figures_are_pythons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
