/* Nearest neighbours: scores, ties and blocks. The source belongs to the command and is taken in.
 */
#include "eval/knn.c"

#include "support.h"

enum { DIM = 37, N_QUERIES = 71, N_GALLERY = 203, K = 10 };

static float queries[N_QUERIES * DIM], gallery[N_GALLERY * DIM];
static int64_t ids[N_GALLERY];

/* Components of few bits, so that many scores are equal; every eleventh row repeats an earlier one.
 */
static void fill(void) {
    uint64_t seed = 5;
    for (size_t i = 0; i < N_QUERIES * DIM; i++)
        queries[i] = (float)(int)(test_random_float(&seed) * 3);
    for (size_t i = 0; i < N_GALLERY * DIM; i++)
        gallery[i] = (float)(int)(test_random_float(&seed) * 3);
    for (size_t i = 11; i < N_GALLERY; i += 11)
        memcpy(gallery + i * DIM, gallery + (i - 11) * DIM, DIM * sizeof *gallery);
    for (size_t i = 0; i < N_GALLERY; i++)
        ids[i] = (int64_t)(1000003 * i % 777);
}

static float score(size_t q, size_t g) {
    double sum = 0;
    for (size_t d = 0; d < DIM; d++)
        sum += (double)queries[q * DIM + d] * (double)gallery[g * DIM + d];
    return (float)sum;
}

/* How many rows must come before row g: better ones, and equal ones that stand earlier. */
static size_t rank(size_t q, size_t g) {
    size_t n = 0;
    for (size_t other = 0; other < N_GALLERY; other++) {
        float s = score(q, other), own = score(q, g);
        n += s > own || (s == own && other < g);
    }
    return n;
}

static void search_blocks(size_t block, int n_threads, tw_knn *knn) {
    tw_pool *pool = NULL;
    assert_int_equal(tw_pool_create(n_threads, &pool, NULL), TW_OK);
    assert_int_equal(tw_knn_create(N_QUERIES, K, knn, NULL), TW_OK);
    for (size_t i = 0; i < N_GALLERY; i += block)
        assert_int_equal(tw_knn_add(knn, pool, queries, DIM, gallery + i * DIM, ids + i,
                                    TW_MIN(block, N_GALLERY - i), NULL),
                         TW_OK);
    tw_pool_free(pool);
}

static void the_best_come_first_and_ties_by_place(void **state) {
    tw_knn knn;
    fill();
    search_blocks(N_GALLERY, 2, &knn);
    for (size_t q = 0; q < N_QUERIES; q++) {
        assert_int_equal(knn.n[q], K);
        for (size_t g = 0; g < N_GALLERY; g++) {
            size_t at = rank(q, g);
            if (at >= K) continue;
            assert_int_equal(knn.ids[q * K + at], ids[g]);
            assert_true(knn.scores[q * K + at] == score(q, g));
        }
    }
    tw_knn_free(&knn);
}

static void blocks_and_threads_change_nothing(void **state) {
    tw_knn whole, parts;
    fill();
    search_blocks(N_GALLERY, 1, &whole);
    static const size_t blocks[] = {1, 7, 8, 64, 202};
    for (size_t i = 0; i < TW_COUNT(blocks); i++) {
        search_blocks(blocks[i], 1 + (int)(i % 3), &parts);
        assert_memory_equal(parts.ids, whole.ids, N_QUERIES * K * sizeof *whole.ids);
        assert_memory_equal(parts.scores, whole.scores, N_QUERIES * K * sizeof *whole.scores);
        tw_knn_free(&parts);
    }
    tw_knn_free(&whole);
}

static void a_small_gallery_fills_less(void **state) {
    tw_knn knn;
    fill();
    assert_int_equal(tw_knn_create(N_QUERIES, K, &knn, NULL), TW_OK);
    assert_int_equal(tw_knn_add(&knn, NULL, queries, DIM, gallery, ids, 3, NULL), TW_OK);
    for (size_t q = 0; q < N_QUERIES; q++)
        assert_int_equal(knn.n[q], 3);
    tw_knn_free(&knn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_come_first_and_ties_by_place),
        cmocka_unit_test(blocks_and_threads_change_nothing),
        cmocka_unit_test(a_small_gallery_fills_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
