/* Text as an array of code points, and what CPython's str methods and unicodedata do to a whole
 * one. Allocation errors stick: check `failed` once at the end. */
#ifndef TEXT_CODEPOINTS_H
#define TEXT_CODEPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tw_codepoints {
    uint32_t *c;
    size_t n, capacity;
    bool failed; /* an allocation failed; later appends do nothing */
} tw_codepoints;

bool tw_codepoints_reserve(tw_codepoints *t, size_t n_more);
void tw_codepoints_append(tw_codepoints *t, const uint32_t *c, size_t n);
void tw_codepoints_free(tw_codepoints *t);
void tw_codepoints_swap(tw_codepoints *a, tw_codepoints *b);

static inline void tw_codepoints_put(tw_codepoints *t, uint32_t c) {
    if (t->n < t->capacity || tw_codepoints_reserve(t, 1)) t->c[t->n++] = c;
}

/* str.lower(), in place where it does not grow (U+0130 becomes two). `out` is replaced. */
void tw_codepoints_lower(const tw_codepoints *in, tw_codepoints *out);

/* unicodedata.normalize("NFC"), in place; linear in the length, whatever the marks. */
void tw_codepoints_nfc(tw_codepoints *text, tw_codepoints *scratch);

#endif
