#define _GNU_SOURCE
#include "dataset/strings.h"

#include <stdlib.h>
#include <string.h>

tw_status tw_strings_add(tw_strings *s, const char *text, size_t n_bytes, tw_error *err) {
    if (s->n == s->capacity) {
        size_t grown = s->capacity ? s->capacity * 2 : 64;
        size_t *p = reallocarray(s->offsets, grown, sizeof *p);
        if (!p) return tw_fail_no_memory(err, grown * sizeof *p);
        s->offsets = p;
        s->capacity = grown;
    }
    size_t offset = s->bytes.n_bytes;
    tw_buffer_append(&s->bytes, text, n_bytes);
    tw_buffer_append(&s->bytes, "", 1);
    if (s->bytes.failed) return tw_fail_no_memory(err, offset + n_bytes + 1);
    s->offsets[s->n++] = offset;
    return TW_OK;
}

static int compare(const void *a, const void *b, void *bytes) {
    const char *base = bytes;
    return strcmp(base + *(const size_t *)a, base + *(const size_t *)b);
}

void tw_strings_sort(tw_strings *s, size_t begin) {
    if (s->n > begin + 1)
        qsort_r(s->offsets + begin, s->n - begin, sizeof *s->offsets, compare, s->bytes.data);
}

void tw_strings_cut(tw_strings *s, size_t n) {
    if (n < s->n) s->n = n;
}

tw_status tw_strings_pointers(const tw_strings *s, const char ***out, tw_error *err) {
    const char **p = calloc(s->n ? s->n : 1, sizeof *p);
    *out = p;
    if (!p) return tw_fail_no_memory(err, s->n * sizeof *p);
    for (size_t i = 0; i < s->n; i++)
        p[i] = tw_strings_get(s, i);
    return TW_OK;
}

void tw_strings_free(tw_strings *s) {
    tw_buffer_free(&s->bytes);
    free(s->offsets);
    *s = (tw_strings){0};
}
