/* Many strings in one block of memory: a million paths cost their bytes and eight more each. */
#ifndef DATASET_STRINGS_H
#define DATASET_STRINGS_H

#include "base/buffer.h"

typedef struct tw_strings {
    tw_buffer bytes; /* the strings one after the other, each NUL-terminated */
    size_t *offsets; /* [n], of the first byte of each */
    size_t n, capacity;
} tw_strings;

/* Adds a copy. A string with a NUL inside reads back as its part before it. */
tw_status tw_strings_add(tw_strings *s, const char *text, size_t n_bytes, tw_error *err);

/* Borrowed until the next add. */
static inline const char *tw_strings_get(const tw_strings *s, size_t i) {
    return s->bytes.data + s->offsets[i];
}

/* Sorts by bytes, from element `begin` on. */
void tw_strings_sort(tw_strings *s, size_t begin);

/* Drops the elements from `n` on. */
void tw_strings_cut(tw_strings *s, size_t n);

/* The strings as an array the caller frees with free(); borrowed from `s`, in its order. */
tw_status tw_strings_pointers(const tw_strings *s, const char ***out, tw_error *err);

void tw_strings_free(tw_strings *s);

#endif
