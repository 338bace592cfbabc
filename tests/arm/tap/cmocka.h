/* As much of cmocka as the kernel tests use, speaking TAP: there is no cmocka for the cross
 * compiler to link. A failed assertion leaves its test, and the next one begins. */
#ifndef TESTS_ARM_CMOCKA_H
#define TESTS_ARM_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};
#define cmocka_unit_test(f)                                                                        \
    { #f, f }

/* One for all files of a program, or test_read()'s failure would have nowhere to go. */
__attribute__((weak)) jmp_buf tap_leave;

#define fail_msg(...)                                                                              \
    do {                                                                                           \
        printf("# %s:%d: ", __FILE__, __LINE__);                                                   \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        longjmp(tap_leave, 1);                                                                     \
    } while (0)
#define skip() longjmp(tap_leave, 2)
#define assert_true(x)                                                                             \
    do {                                                                                           \
        if (!(x)) fail_msg("%s does not hold", #x);                                                \
    } while (0)
#define assert_false(x) assert_true(!(x))
#define assert_null(x) assert_true(!(x))
#define assert_non_null(x) assert_true(x)
#define assert_int_equal(a, b) assert_true((intmax_t)(a) == (intmax_t)(b))
#define assert_in_range(x, low, high)                                                              \
    assert_true((intmax_t)(x) >= (intmax_t)(low) && (intmax_t)(x) <= (intmax_t)(high))
#define assert_string_equal(a, b)                                                                  \
    do {                                                                                           \
        const char *a_ = (a), *b_ = (b);                                                           \
        if (strcmp(a_, b_) != 0) fail_msg("%s is \"%s\", not \"%s\"", #a, a_, b_);                 \
    } while (0)

static inline int tap_run(const struct CMUnitTest *tests, size_t n) {
    volatile int failed = 0;
    printf("1..%zu\n", n);
    for (volatile size_t i = 0; i < n; i++) {
        int left = setjmp(tap_leave);
        void *state = NULL;
        if (!left) tests[i].run(&state);
        failed += left == 1;
        printf("%s %zu - %s%s\n", left == 1 ? "not ok" : "ok", i + 1, tests[i].name,
               left == 2 ? " # skip" : "");
        fflush(stdout);
    }
    return failed;
}
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    tap_run(tests, sizeof(tests) / sizeof *(tests))

#endif
