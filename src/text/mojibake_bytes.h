/* What ftfy does to bytes before it reads them as UTF-8 once more, and how it reads them. */
#ifndef TEXT_MOJIBAKE_BYTES_H
#define TEXT_MOJIBAKE_BYTES_H

#include "text/codepoints.h"

typedef struct tw_bytes {
    uint8_t *data;
    size_t n, capacity;
} tw_bytes;

/* Room for n bytes in all; false when there is no memory. */
bool tw_bytes_reserve(tw_bytes *b, size_t n);

/* Spaces that must have been byte 0xA0 become it. False: no memory. */
bool tw_restore_a0(tw_bytes *bytes, tw_bytes *scratch);

/* Sequences that lost a byte (0x1A, or one '?') become U+FFFD. False: no memory. */
bool tw_replace_lossy(tw_bytes *bytes, tw_bytes *scratch);

/* UTF-8, pairs of surrogates of three bytes each (CESU-8), and NUL as C0 80; appended to `out`.
 * False when the bytes are not that. */
bool tw_decode_utf8_variants(const uint8_t *bytes, size_t n, tw_codepoints *out);

#endif
