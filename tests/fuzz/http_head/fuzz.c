/* The head of an answer, line by line: numbers in their ranges, texts that fit a line. The reader
 * belongs to the command, not to the library, so its source is taken in. */
#include "fetch/headers.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void check(const tw_response *r) {
    const tw_content_range *g = &r->range;
    if (r->status < 0 || r->status > 999) abort();
    if (!r->bad_range && g->has_range && g->first > g->last) abort();
    if (!r->bad_range && g->has_range && g->has_total && g->last >= g->total) abort();
    if (strpbrk(tw_response_validator(r), "\r\n")) abort();
    if (r->hub_sha256[0] && strlen(r->hub_sha256) != 64) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_response r = {0};
    const char *p = (const char *)data;
    while (n_bytes) {
        const char *end = memchr(p, '\n', n_bytes);
        size_t n = end ? (size_t)(end - p) + 1 : n_bytes;
        tw_response_take_line(&r, p, n);
        check(&r);
        p += n;
        n_bytes -= n;
    }
    return 0;
}
