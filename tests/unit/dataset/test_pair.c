/* Names of inputs brought together. The sources belong to the command and are taken in. */
#include "dataset/strings.c"

#include "dataset/pair.c"

#include "support.h"

static tw_error err;

static tw_strings strings(const char *const *texts) {
    tw_strings s = {0};
    for (; *texts; texts++)
        assert_ok(tw_strings_add(&s, *texts, strlen(*texts), &err), &err);
    return s;
}

/* Partners of `a` in `b`; -1 for none, -2 ends the list. */
static void expect(const char *const *a, const char *const *b, const int *partners) {
    tw_strings x = strings(a), y = strings(b);
    tw_pairs pairs;
    size_t n = 0;
    assert_ok(tw_pair_stems(&x, &y, &pairs, &err), &err);
    for (size_t i = 0; i < x.n; i++) {
        assert_int_equal(pairs.of_a[i], partners[i] < 0 ? TW_NO_PARTNER : (size_t)partners[i]);
        if (partners[i] >= 0) assert_int_equal(pairs.of_b[partners[i]], i), n++;
    }
    assert_int_equal(partners[x.n], -2);
    assert_int_equal(pairs.n, n);
    size_t n_alone = 0;
    for (size_t i = 0; i < y.n; i++)
        n_alone += pairs.of_b[i] == TW_NO_PARTNER;
    assert_int_equal(n_alone, y.n - n);
    tw_pairs_free(&pairs);
    tw_strings_free(&x);
    tw_strings_free(&y);
}
#define LIST(...)                                                                                  \
    (const char *const[]) {                                                                        \
        __VA_ARGS__, NULL                                                                          \
    }
#define PARTNERS(...)                                                                              \
    (const int[]) {                                                                                \
        __VA_ARGS__, -2                                                                            \
    }

static void a_stem_is_the_name_without_folder_and_extension(void **state) {
    static const char *const paths[][2] = {
        {"a.npy", "a"},     {"x.y/猫 1.tar.npy", "猫 1.tar"},
        {"/x/b", "b"},      {".hidden", ".hidden"},
        {"x/.npy", ".npy"}, {"dir.d/c", "c"},
    };
    tw_strings s = {0};
    for (size_t i = 0; i < TW_COUNT(paths); i++) {
        assert_ok(tw_add_stem(&s, paths[i][0], &err), &err);
        assert_string_equal(tw_strings_get(&s, i), paths[i][1]);
    }
    tw_strings_free(&s);
}

static void equal_stems_are_partners_in_any_order(void **state) {
    expect(LIST("b", "a", "c"), LIST("c", "b", "a"), PARTNERS(1, 2, 0));
    expect(LIST("b", "a", "ab"), LIST("c", "b"), PARTNERS(1, -1, -1));
    expect(LIST("a"), LIST("A"), PARTNERS(-1));
}

static void the_numbers_of_ais_bench_are_left_out(void **state) {
    expect(LIST("a", "b"), LIST("a_0", "b_0"), PARTNERS(0, 1));
    expect(LIST("a_0", "b_0"), LIST("b", "a"), PARTNERS(1, 0));
    expect(LIST("a", "a_0"), LIST("a_0", "a_0_0"), PARTNERS(0, 1));
    expect(LIST("a_0"), LIST("a_0_0"), PARTNERS(0));
    expect(LIST("a_0"), LIST("a_0"), PARTNERS(0));
    expect(LIST("_0"), LIST("_0"), PARTNERS(0));
}

static void a_number_that_only_some_have_is_part_of_the_name(void **state) {
    expect(LIST("a", "a_0"), LIST("a_0", "b"), PARTNERS(-1, 0));
    expect(LIST("a"), LIST("a_0", "b"), PARTNERS(-1));
}

static void a_name_twice_is_refused(void **state) {
    tw_strings x = strings(LIST("a", "b", "a")), y = strings(LIST("b"));
    tw_pairs pairs;
    assert_fails(tw_pair_stems(&x, &y, &pairs, &err), TW_ERR_AMBIGUOUS, &err);
    assert_fails(tw_pair_stems(&y, &x, &pairs, &err), TW_ERR_AMBIGUOUS, &err);
    assert_non_null(strstr(err.message, "'a'"));
    tw_strings_free(&x);
    tw_strings_free(&y);
}

static void empty_lists_have_no_pairs(void **state) {
    tw_strings x = {0}, y = strings(LIST("b"));
    tw_pairs pairs;
    assert_ok(tw_pair_stems(&x, &y, &pairs, &err), &err);
    assert_int_equal(pairs.n, 0);
    assert_true(pairs.of_b[0] == TW_NO_PARTNER);
    tw_pairs_free(&pairs);
    tw_strings_free(&y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stem_is_the_name_without_folder_and_extension),
        cmocka_unit_test(equal_stems_are_partners_in_any_order),
        cmocka_unit_test(the_numbers_of_ais_bench_are_left_out),
        cmocka_unit_test(a_number_that_only_some_have_is_part_of_the_name),
        cmocka_unit_test(a_name_twice_is_refused),
        cmocka_unit_test(empty_lists_have_no_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
