/* UTF-8, strict: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point from p[0..n); returns its length in bytes, 0 when the bytes there are
 * not valid (or n is 0). */
size_t tw_utf8_decode(const uint8_t *p, size_t n, uint32_t *code_point);

/* Encodes into out[0..4); returns the length, 0 for a surrogate or a value above U+10FFFF. */
size_t tw_utf8_encode(uint32_t code_point, uint8_t out[4]);

bool tw_utf8_valid(const void *data, size_t n_bytes);

#endif
