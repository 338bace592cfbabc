#include "support.h"

#include "base/memory.h"

#include <string.h>

static tw_error err;

static void what_nobody_has_is_refused_in_one_line(void **state) {
    if (tw_memory_available() == 0) skip();
    assert_fails(tw_check_room(SIZE_MAX / 2, "a batch", &err), TW_ERR_NO_MEMORY, &err);
    assert_non_null(strstr(err.message, "a batch needs 9223372036.9 GB and "));
    assert_null(strchr(err.message, '\n'));
}

static void what_is_there_is_not(void **state) {
    assert_ok(tw_check_room(0, "a batch", &err), &err);
    assert_ok(tw_check_room((size_t)1 << 20, "a batch", &err), &err);
    if (tw_memory_available() == 0) skip();
    assert_true(tw_memory_available() > (uint64_t)16 << 20);
    assert_ok(tw_check_room((size_t)(tw_memory_available() / 4), "a batch", &err), &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_has_is_refused_in_one_line),
        cmocka_unit_test(what_is_there_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
