#include "fetch/headers.h"

#include "base/size.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

typedef struct span {
    const char *p;
    size_t n;
} span;

static span trim(span s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

bool tw_decimal_parse(const char *text, size_t n_bytes, uint64_t *out) {
    uint64_t v = 0;
    if (n_bytes == 0) return false;
    for (size_t i = 0; i < n_bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || !tw_mul_u64(v, 10, &v) ||
            !tw_add_u64(v, (uint64_t)(text[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

/* "N-M", or a star. */
static bool read_range(span s, tw_content_range *out) {
    if (s.n == 1 && s.p[0] == '*') return true;
    const char *dash = memchr(s.p, '-', s.n);
    if (!dash) return false;
    size_t n_first = (size_t)(dash - s.p);
    out->has_range = true;
    return tw_decimal_parse(s.p, n_first, &out->first) &&
           tw_decimal_parse(dash + 1, s.n - n_first - 1, &out->last) && out->first <= out->last;
}

bool tw_content_range_parse(const char *text, size_t n_bytes, tw_content_range *out) {
    *out = (tw_content_range){0};
    span s = trim((span){text, n_bytes});
    if (s.n < 6 || strncasecmp(s.p, "bytes", 5) != 0 || s.p[5] != ' ') return false;
    s = trim((span){s.p + 5, s.n - 5});
    const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
    if (!slash) return false;
    size_t n_range = (size_t)(slash - s.p);
    span total = {slash + 1, s.n - n_range - 1};
    if (!read_range((span){s.p, n_range}, out)) return false;
    if (total.n == 1 && total.p[0] == '*') return out->has_range;
    out->has_total = true;
    if (!tw_decimal_parse(total.p, total.n, &out->total)) return false;
    return !out->has_range || out->last < out->total;
}

bool tw_sha256_parse(const char *text, size_t n_bytes, char out[TW_SHA256_BYTES]) {
    if (n_bytes == 66 && text[0] == '"' && text[65] == '"') text++, n_bytes = 64;
    if (n_bytes != 64) return false;
    for (size_t i = 0; i < 64; i++) {
        if (!isxdigit((unsigned char)text[i])) return false;
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[64] = '\0';
    return true;
}

/* ------------------------------------------------------------------------------------- fields */

/* Visible ASCII and spaces that fit; else nothing. */
static void copy_text(span v, char out[TW_VALIDATOR_BYTES]) {
    out[0] = '\0';
    if (v.n >= TW_VALIDATOR_BYTES) return;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] > 0x7e) return;
    memcpy(out, v.p, v.n);
    out[v.n] = '\0';
}

static void take_etag(tw_response *r, span v) {
    r->etag[0] = '\0';
    bool strong =
        v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"' && !memchr(v.p + 1, '"', v.n - 2);
    if (strong) copy_text(v, r->etag);
}

static void take_last_modified(tw_response *r, span v) {
    copy_text(v, r->last_modified);
}

static void take_length(tw_response *r, span v) {
    uint64_t n = 0;
    bool again = r->has_length;
    r->has_length = tw_decimal_parse(v.p, v.n, &n);
    if (!r->has_length || (again && n != r->n_bytes)) r->bad_length = true;
    r->n_bytes = n;
}

static void take_range(tw_response *r, span v) {
    r->bad_range = !tw_content_range_parse(v.p, v.n, &r->range);
}

static void take_transfer_encoding(tw_response *r, span v) {
    r->chunked = v.n > 0;
}

static void take_content_encoding(tw_response *r, span v) {
    r->encoded = !(v.n == 8 && strncasecmp(v.p, "identity", 8) == 0);
}

/* A date instead of seconds is answered with a pause of our own. */
static void take_retry_after(tw_response *r, span v) {
    r->has_retry_after = tw_decimal_parse(v.p, v.n, &r->retry_after);
}

static void take_linked_etag(tw_response *r, span v) {
    if (!tw_sha256_parse(v.p, v.n, r->hub_sha256)) r->hub_sha256[0] = '\0';
}

static const struct field {
    const char *name;
    void (*take)(tw_response *r, span value);
} fields[] = {
    {"etag", take_etag},
    {"last-modified", take_last_modified},
    {"content-length", take_length},
    {"content-range", take_range},
    {"transfer-encoding", take_transfer_encoding},
    {"content-encoding", take_content_encoding},
    {"retry-after", take_retry_after},
    {"x-linked-etag", take_linked_etag},
};

void tw_response_take_line(tw_response *r, const char *line, size_t n_bytes) {
    if (n_bytes >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        *r = (tw_response){0};
        const char *space = memchr(line, ' ', n_bytes);
        uint64_t status = 0;
        if (space && line + n_bytes - space >= 4 && tw_decimal_parse(space + 1, 3, &status))
            r->status = (int)status;
        return;
    }
    const char *colon = n_bytes ? memchr(line, ':', n_bytes) : NULL;
    if (!colon) return;
    size_t n_name = (size_t)(colon - line);
    span value = trim((span){colon + 1, n_bytes - n_name - 1});
    for (size_t i = 0; i < TW_COUNT(fields); i++)
        if (strlen(fields[i].name) == n_name && strncasecmp(fields[i].name, line, n_name) == 0)
            fields[i].take(r, value);
}

const char *tw_response_validator(const tw_response *r) {
    return r->etag[0] ? r->etag : r->last_modified;
}
