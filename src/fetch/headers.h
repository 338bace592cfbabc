/* The header fields of a response that decide what its body is. Untrusted text in, plain numbers
 * out. Source: RFC 9110 and RFC 9111 (fields), huggingface_hub constants.py (X-Linked-*). */
#ifndef FETCH_HEADERS_H
#define FETCH_HEADERS_H

#include "base/status.h"

#define TW_VALIDATOR_BYTES 256
#define TW_SHA256_BYTES 65 /* 64 digits and a NUL */

typedef struct tw_content_range {
    bool has_range, has_total;
    uint64_t first, last; /* first <= last, last < total */
    uint64_t total;
} tw_content_range;

typedef struct tw_response {
    int status;
    bool has_length, chunked, encoded, bad_range, has_retry_after, bad_length;
    uint64_t n_bytes;                       /* Content-Length */
    tw_content_range range;                 /* Content-Range */
    uint64_t retry_after;                   /* seconds */
    char etag[TW_VALIDATOR_BYTES];          /* a strong one, with its quotes; or "" */
    char last_modified[TW_VALIDATOR_BYTES]; /* or "" */
    char hub_sha256[TW_SHA256_BYTES];       /* what Hugging Face says of a large file; or "" */
} tw_response;

/* Digits only, no sign, no overflow. */
bool tw_decimal_parse(const char *text, size_t n_bytes, uint64_t *out);

/* "bytes 0-99/1234", "bytes 0-99/" with a star for an unknown total, "bytes" star "/1234". */
bool tw_content_range_parse(const char *text, size_t n_bytes, tw_content_range *out);

/* 64 hexadecimal digits (in quotes or not), as lower case. */
bool tw_sha256_parse(const char *text, size_t n_bytes, char out[TW_SHA256_BYTES]);

/* Takes one line of a head: a status line begins anew, a known field is stored, others pass. */
void tw_response_take_line(tw_response *r, const char *line, size_t n_bytes);

/* What If-Range may be given: a strong ETag, else Last-Modified, else "". */
const char *tw_response_validator(const tw_response *r);

#endif
