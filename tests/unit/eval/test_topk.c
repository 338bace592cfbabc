/* The k best of a row, ties in PyTorch's order. The source belongs to the command and is taken in. */
#include "eval/topk.c"

#include "support.h"

static void fill(tw_scored *row, const float *scores, size_t n) {
    for (size_t i = 0; i < n; i++)
        row[i] = (tw_scored){scores[i], (uint32_t)i};
}

static void different_scores_come_best_first(void **state) {
    uint64_t seed = 1;
    for (size_t n = 1; n < 400; n += 7) {
        tw_scored row[400];
        float scores[400];
        for (size_t i = 0; i < n; i++)
            scores[i] = test_random_float(&seed);
        size_t k = n < 5 ? n : 5;
        fill(row, scores, n);
        tw_topk(row, n, k);
        for (size_t i = 0; i < k; i++) {
            size_t n_better = 0;
            for (size_t j = 0; j < n; j++)
                n_better += scores[j] > row[i].score;
            assert_int_equal(n_better, i);
            assert_true(scores[row[i].index] == row[i].score);
        }
    }
}

static void expect(const float *scores, size_t n, size_t k, const uint32_t *expected) {
    tw_scored row[512];
    fill(row, scores, n);
    tw_topk(row, n, k);
    for (size_t i = 0; i < k; i++)
        assert_int_equal(row[i].index, expected[i]);
}

/* What torch.topk(…, 5) gives for scores that repeat; the last row is long enough for its heap. */
static void ties_come_in_the_order_of_torch_topk(void **state) {
    float ramp[100], flat[12] = {0}, coarse[400];
    for (int i = 0; i < 100; i++)
        ramp[i] = (float)(i % 7);
    for (int i = 0; i < 400; i++)
        coarse[i] = (float)(i * 37 % 11);
    expect(flat, 12, 5, (const uint32_t[]){9, 7, 8, 6, 10});
    expect(ramp, 100, 5, (const uint32_t[]){62, 83, 13, 48, 41});
    expect(coarse, 400, 5, (const uint32_t[]){19, 8, 41, 52, 30});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(different_scores_come_best_first),
        cmocka_unit_test(ties_come_in_the_order_of_torch_topk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
