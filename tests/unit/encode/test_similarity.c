#include "support.h"

#include <math.h>
#include <string.h>

static tw_error err;

static void cosines_logits_and_probabilities_follow_the_formula(void **state) {
    static const float images[] = {3, 4, 0, 0, 0, 2}, texts[] = {1, 0, 0, 0, 5, 0, 0, 0, -1};
    float cosine[6], logits[6], probs[6];
    assert_ok(tw_similarity(images, 2, texts, 3, 3, logf(10), cosine, logits, probs, &err), &err);
    static const float expected[] = {0.6f, 0.8f, 0, 0, 0, -1};
    for (int i = 0; i < 6; i++) {
        /* one rounding of the cosine, one more of exp(log 10) */
        assert_true(fabsf(cosine[i] - expected[i]) <= 1e-7f);
        assert_true(fabsf(logits[i] - 10 * expected[i]) <= 3e-6f);
    }
    double sum = exp(6) + exp(8) + 1;
    assert_true(fabs(probs[1] - exp(8) / sum) < 1e-6);
    assert_true(fabsf(probs[0] + probs[1] + probs[2] - 1) < 1e-6f);
}

static void outputs_may_be_left_out_and_lists_may_be_empty(void **state) {
    static const float v[] = {1, 2};
    float probs[1];
    assert_ok(tw_similarity(v, 1, v, 1, 2, 4.6f, NULL, NULL, probs, &err), &err);
    assert_true(probs[0] == 1);
    assert_ok(tw_similarity(v, 0, v, 1, 2, 4.6f, NULL, NULL, probs, &err), &err);
    assert_ok(tw_similarity(v, 1, v, 0, 2, 4.6f, NULL, NULL, probs, &err), &err);
}

static void a_zero_feature_becomes_nan(void **state) {
    float zero[2] = {0, 0};
    tw_normalize(zero, 1, 2);
    assert_true(isnan(zero[0]) && isnan(zero[1]));
}

static void huge_scales_do_not_overflow(void **state) {
    static const float image[] = {1, 0}, texts[] = {1, 0, 0, 1, -1, 0};
    float probs[3];
    assert_ok(tw_similarity(image, 1, texts, 3, 2, 12, NULL, NULL, probs, &err), &err);
    assert_true(probs[0] == 1 && probs[1] == 0 && probs[2] == 0);
}

static void the_best_labels_come_first_and_ties_keep_their_order(void **state) {
    static const float images[] = {1, 0, 0, 2};
    static const float weights[] = {0, 1, 1, 0, 1, 0, 0.6f, 0.8f};
    tw_match m[6];
    assert_ok(tw_classify(images, 2, weights, 4, 2, 100, 3, m, &err), &err);
    static const uint32_t expected[] = {1, 2, 3, 0, 3, 1};
    for (int i = 0; i < 6; i++)
        assert_int_equal(m[i].index, expected[i]);
    assert_true(m[0].prob == m[1].prob && fabsf(m[0].prob - 0.5f) < 1e-6f);
    assert_fails(tw_classify(images, 1, weights, 4, 2, 100, 5, m, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_classify(images, 1, weights, 4, 2, 100, 0, m, &err), TW_ERR_ARGUMENT, &err);
}

static void a_nan_picture_ranks_without_crashing(void **state) {
    static const float weights[] = {0, 1, 1, 0};
    float image[] = {NAN, NAN};
    tw_match m[2];
    assert_ok(tw_classify(image, 1, weights, 2, 2, 100, 2, m, &err), &err);
    assert_int_equal(m[0].index, 0);
    assert_true(isnan(m[0].cosine));
}

static void collect(void *user, const char *line) {
    strncat(user, line, 400);
    strncat(user, "\n", 2);
}

static void the_self_check_passes(void **state) {
    char lines[1024] = "";
    tw_pool *pool;
    assert_ok(tw_pool_create(2, &pool, &err), &err);
    assert_ok(tw_self_check(pool, collect, lines, &err), &err);
    assert_null(strstr(lines, "FAILED"));
    assert_non_null(strstr(lines, "ok network"));
    tw_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines_logits_and_probabilities_follow_the_formula),
        cmocka_unit_test(outputs_may_be_left_out_and_lists_may_be_empty),
        cmocka_unit_test(a_zero_feature_becomes_nan),
        cmocka_unit_test(huge_scales_do_not_overflow),
        cmocka_unit_test(the_best_labels_come_first_and_ties_keep_their_order),
        cmocka_unit_test(a_nan_picture_ranks_without_crashing),
        cmocka_unit_test(the_self_check_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
