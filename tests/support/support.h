/* Shared by the cmocka programs. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tuwen/tuwen.h"

/* Fails the test with the error's message unless the call returned TW_OK. */
#define assert_ok(call, err_pointer)                                                               \
    do {                                                                                           \
        if ((call) != TW_OK) fail_msg("%s: %s", #call, (err_pointer)->message);                    \
    } while (0)

/* Fails unless the call returned `expected` with a non-empty one-line message. */
#define assert_fails(call, expected, err_pointer)                                                  \
    do {                                                                                           \
        tw_status got_ = (call);                                                                   \
        if (got_ != (expected))                                                                    \
            fail_msg("%s: expected status %s, got %s (%s)", #call, tw_status_name(expected),       \
                     tw_status_name(got_), (err_pointer)->message);                                \
        assert_true((err_pointer)->message[0] != '\0');                                            \
        assert_null(strchr((err_pointer)->message, '\n'));                                         \
        assert_int_equal((err_pointer)->status, expected);                                         \
    } while (0)

/* A recipe's fields, not what lies between them. */
#define assert_recipe_equal(a, b)                                                                  \
    do {                                                                                           \
        assert_memory_equal(a, b, offsetof(tw_recipe, fast_decode));                               \
        assert_int_equal((a)->fast_decode, (b)->fast_decode);                                      \
    } while (0)

/* TEST_DATA_DIR "/" name; the buffer is reused after 8 calls. */
const char *test_data(const char *name);

/* Whole file in memory (free() it), NUL-terminated; fails the test when it is missing. */
uint8_t *test_read(const char *path, size_t *n_bytes);

/* A name for a temporary file, unlinked at exit. Up to 64 a program. */
const char *test_temporary(const char *suffix);

/* A new empty folder, removed at exit with the files in it. Up to 32 a program. */
const char *test_folder(void);

/* "FOLDER/NAME"; the buffer is reused after 8 calls. */
const char *test_in(const char *folder, const char *name);

/* Writes a file whole. */
void test_write(const char *path, const void *bytes, size_t n_bytes);

/* Deterministic numbers: the same sequence on every machine. */
uint64_t test_random(uint64_t *state);
float test_random_float(uint64_t *state); /* in [-1, 1) */

#endif
