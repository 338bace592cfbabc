#include "support.h"

#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

enum { MANY = 1000 };

typedef struct counts {
    atomic_int runs[MANY];
    tw_pool *pool;
    atomic_int nested;
} counts;

static void count_task(void *arg, int index) {
    counts *c = arg;
    atomic_fetch_add(&c->runs[index], 1);
}

static void each_task_runs_exactly_once(void **state) {
    for (int threads = 1; threads <= 5; threads++) {
        counts *c = calloc(1, sizeof *c);
        assert_non_null(c);
        assert_ok(tw_pool_create(threads, &c->pool, &err), &err);
        assert_int_equal(tw_pool_threads(c->pool), threads);
        for (int round = 1; round <= 200; round++) {
            int n = round * 5;
            memset(c->runs, 0, sizeof c->runs);
            tw_pool_run(c->pool, count_task, c, n);
            for (int i = 0; i < MANY; i++)
                assert_int_equal(c->runs[i], i < n);
        }
        tw_pool_free(c->pool);
        free(c);
    }
}

/* A worker late for a short region must not claim a task of the long one that follows. */
static void short_and_long_regions_do_not_mix(void **state) {
    counts *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_ok(tw_pool_create(4, &c->pool, &err), &err);
    for (int round = 0; round < 60000; round++) {
        int n = round % 2 ? 40 : 2;
        tw_pool_run(c->pool, count_task, c, n);
        for (int i = 0; i < 40; i++)
            if (c->runs[i] != (i < n))
                fail_msg("round %d: task %d of %d ran %d times", round, i, n, (int)c->runs[i]);
        memset(c->runs, 0, 40 * sizeof *c->runs);
    }
    tw_pool_free(c->pool);
    free(c);
}

static void inner_task(void *arg, int index) {
    atomic_fetch_add(&((counts *)arg)->nested, 1);
}

static void outer_task(void *arg, int index) {
    tw_pool_run(((counts *)arg)->pool, inner_task, arg, 3);
}

static void a_region_inside_a_task_runs_serially(void **state) {
    counts *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_ok(tw_pool_create(3, &c->pool, &err), &err);
    tw_pool_run(c->pool, outer_task, c, 50);
    assert_int_equal(c->nested, 150);
    tw_pool_free(c->pool);
    free(c);
}

static void *share(void *arg) {
    counts *c = arg;
    for (int i = 0; i < 300; i++)
        tw_pool_run(c->pool, count_task, c, 40);
    return NULL;
}

static void two_threads_may_share_a_pool(void **state) {
    counts *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_ok(tw_pool_create(2, &c->pool, &err), &err);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, share, c), 0);
    share(c);
    pthread_join(other, NULL);
    for (int i = 0; i < 40; i++)
        assert_int_equal(c->runs[i], 600);
    tw_pool_free(c->pool);
    free(c);
}

/* The caller's own "threads": tasks in reverse order on one. */
static void run_backwards(void *user, void (*task)(void *arg, int index), void *arg, int n_tasks) {
    ++*(int *)user;
    for (int i = n_tasks; i-- > 0;)
        task(arg, i);
}

static void a_wrapped_pool_uses_the_callers_threads(void **state) {
    counts *c = calloc(1, sizeof *c);
    assert_non_null(c);
    int calls = 0;
    tw_pool_ops ops = {sizeof ops, 7, run_backwards, &calls};
    assert_ok(tw_pool_wrap(&ops, &c->pool, &err), &err);
    assert_int_equal(tw_pool_threads(c->pool), 7);
    tw_pool_run(c->pool, outer_task, c, 20);
    assert_int_equal(c->nested, 60);
    assert_int_equal(calls, 1);
    tw_pool_free(c->pool);
    free(c);
}

static void numbers_out_of_range_are_refused(void **state) {
    tw_pool *pool;
    assert_fails(tw_pool_create(-1, &pool, &err), TW_ERR_ARGUMENT, &err);
    assert_null(pool);
    assert_fails(tw_pool_create(1025, &pool, &err), TW_ERR_ARGUMENT, &err);
    tw_pool_ops ops = {sizeof ops, 0, run_backwards, NULL};
    assert_fails(tw_pool_wrap(&ops, &pool, &err), TW_ERR_ARGUMENT, &err);
    ops.n_threads = 1, ops.run = NULL;
    assert_fails(tw_pool_wrap(&ops, &pool, &err), TW_ERR_ARGUMENT, &err);
    assert_true(tw_cpu_count() >= 1);
    tw_pool_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_exactly_once),
        cmocka_unit_test(short_and_long_regions_do_not_mix),
        cmocka_unit_test(a_region_inside_a_task_runs_serially),
        cmocka_unit_test(two_threads_may_share_a_pool),
        cmocka_unit_test(a_wrapped_pool_uses_the_callers_threads),
        cmocka_unit_test(numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
