/* SHA-256 for tests that compare with published hashes. */
#ifndef TESTS_SHA256_H
#define TESTS_SHA256_H

#include <stddef.h>

/* Lower-case hexadecimal digest, NUL-terminated. */
void test_sha256(const void *data, size_t n_bytes, char hex[65]);

#endif
