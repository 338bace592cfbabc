/* Agreement of features and of stages. The source belongs to the command and is taken in. */
#include "eval/compare.c"

#include "support.h"

static void equal_rows_have_a_cosine_of_exactly_one(void **state) {
    uint64_t seed = 3;
    tw_agreement g = TW_AGREEMENT_INIT;
    for (size_t i = 0; i < 50; i++) {
        float row[37];
        for (size_t k = 0; k < 37; k++)
            row[k] = test_random_float(&seed);
        tw_agreement_add(&g, i, row, row, 37);
    }
    assert_int_equal(g.n, 50);
    assert_true(g.cosine_min == 1 && g.largest == 0 && tw_agreement_mean(&g) == 1);
    assert_true(tw_agreement_holds(&g, 1));
}

static void length_does_not_count_direction_does(void **state) {
    const float a[] = {3, 4}, scaled[] = {30, 40}, other[] = {4, 3}, opposite[] = {-3, -4};
    tw_agreement g = TW_AGREEMENT_INIT;
    tw_agreement_add(&g, 0, a, scaled, 2);
    assert_true(fabs(g.cosine_min - 1) < 1e-15 && g.largest < 1e-15);
    tw_agreement_add(&g, 1, a, other, 2); /* 24 / 25 */
    assert_true(fabs(g.cosine_min - 0.96) < 1e-15 && fabs(g.largest - 0.2) < 1e-15);
    assert_int_equal(g.worst, 1);
    tw_agreement_add(&g, 2, a, opposite, 2);
    assert_true(g.cosine_min == -1);
    assert_int_equal(g.worst, 2);
    tw_agreement_add(&g, 3, a, other, 2);
    assert_int_equal(g.worst, 2);
    assert_true(fabs(tw_agreement_mean(&g) - (1 + 0.96 - 1 + 0.96) / 4) < 1e-15);
    assert_true(tw_agreement_holds(&g, -1));
    assert_false(tw_agreement_holds(&g, -0.5));
}

static void what_is_no_direction_agrees_with_nothing(void **state) {
    static const float bad[][2] = {{NAN, 1}, {0, 0}, {INFINITY, 1}};
    const float good[] = {1, 0};
    for (size_t i = 0; i < 3; i++) {
        tw_agreement g = TW_AGREEMENT_INIT;
        tw_agreement_add(&g, 0, good, good, 2);
        tw_agreement_add(&g, 1, bad[i], bad[i], 2);
        tw_agreement_add(&g, 2, good, bad[i], 2);
        tw_agreement_add(&g, 3, good, (const float[]){0, 1}, 2);
        assert_int_equal(g.n, 4);
        assert_int_equal(g.n_no_cosine, 2);
        assert_int_equal(g.worst, 1);
        assert_true(g.cosine_min == 0);
        assert_false(tw_agreement_holds(&g, -1));
    }
}

static void nothing_agrees_on_nothing(void **state) {
    tw_agreement g = TW_AGREEMENT_INIT;
    assert_false(tw_agreement_holds(&g, -1));
    assert_true(isnan(tw_agreement_mean(&g)));
    tw_agreement_add(&g, 0, (const float[]){NAN}, (const float[]){1}, 1);
    assert_true(isnan(tw_agreement_mean(&g)) && isnan(g.cosine_min));
}

/* Squares of the largest f32 and of the smallest keep their direction. */
static void extreme_values_have_a_cosine(void **state) {
    const float huge[] = {3e38f, 3e38f}, tiny[] = {1e-44f, 1e-44f};
    tw_agreement g = TW_AGREEMENT_INIT;
    tw_agreement_add(&g, 0, huge, tiny, 2);
    assert_int_equal(g.n_no_cosine, 0);
    assert_true(fabs(g.cosine_min - 1) < 1e-12);
}

/* Two passes of three stages, the second of 2 x 2 in rows of 3; `at` of the second one differs. */
static void fill(tw_stages *s, size_t at, float difference) {
    float x[3][6] = {{1, -1, 1, -1}, {2, -2, 9, 2, 2, 9}, {4, 4}};
    x[at][3] += difference;
    tw_stages_take(s, "first", x[0], 1, 4, 4);
    tw_stages_take(s, "second", x[1], 2, 2, 3);
    tw_stages_take(s, "third", x[2], 1, 2, 2);
}

static void the_first_stage_that_differs_is_found(void **state) {
    tw_stages a = {0}, b = {0};
    fill(&a, 1, 0);
    fill(&b, 1, 0.5f);
    assert_true(tw_stages_comparable(&a, &b));
    tw_stage_difference d = tw_stages_compare(&a, &b, 1);
    assert_string_equal(d.name, "second");
    assert_true(d.largest == 0.5 && d.relative == 0.25); /* the root mean square is 2 */
    assert_int_equal(tw_stages_first_difference(&a, &b, 0.2), 1);
    assert_int_equal(tw_stages_first_difference(&a, &b, 0.25), 3);
    assert_int_equal(tw_stages_first_difference(&a, &a, 0), 3);
    tw_stages_free(&a);
    tw_stages_free(&b);
}

static void a_stage_that_is_not_a_number_differs(void **state) {
    tw_stages a = {0}, b = {0};
    fill(&a, 0, 0);
    fill(&b, 0, NAN);
    assert_true(isnan(tw_stages_compare(&a, &b, 0).largest));
    assert_int_equal(tw_stages_first_difference(&a, &b, 1e6), 0);
    assert_int_equal(tw_stages_first_difference(&b, &b, 1e6), 0);
    tw_stages_free(&a);
    tw_stages_free(&b);
}

static void other_stages_are_not_comparable(void **state) {
    tw_stages a = {0}, b = {0}, c = {0}, d = {0};
    const float x[4] = {1, 2, 3, 4};
    tw_stages_take(&a, "one", x, 2, 2, 2);
    tw_stages_take(&b, "two", x, 2, 2, 2);
    tw_stages_take(&c, "one", x, 1, 4, 4);
    assert_false(tw_stages_comparable(&a, &b));
    assert_false(tw_stages_comparable(&a, &c));
    assert_false(tw_stages_comparable(&a, &d));
    tw_stages_free(&a);
    tw_stages_free(&b);
    tw_stages_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_rows_have_a_cosine_of_exactly_one),
        cmocka_unit_test(length_does_not_count_direction_does),
        cmocka_unit_test(what_is_no_direction_agrees_with_nothing),
        cmocka_unit_test(nothing_agrees_on_nothing),
        cmocka_unit_test(extreme_values_have_a_cosine),
        cmocka_unit_test(the_first_stage_that_differs_is_found),
        cmocka_unit_test(a_stage_that_is_not_a_number_differs),
        cmocka_unit_test(other_stages_are_not_comparable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
