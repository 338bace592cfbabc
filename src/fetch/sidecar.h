/* The small file beside a download, FILE.pull: which bytes FILE.part began with, and later what
 * FILE is. JSON, as {"url", "validator", "length", "hub_sha256", "sha256"}. */
#ifndef FETCH_SIDECAR_H
#define FETCH_SIDECAR_H

#include "fetch/headers.h"
#include "fetch/url.h"

typedef struct tw_sidecar {
    char url[TW_URL_BYTES];
    char validator[TW_VALIDATOR_BYTES]; /* for If-Range; "" when the server gave none */
    bool has_length;
    uint64_t length;                  /* of the whole file */
    char hub_sha256[TW_SHA256_BYTES]; /* what the hub says; or "" */
    char sha256[TW_SHA256_BYTES];     /* of the complete file; "" until it is */
} tw_sidecar;

/* Errors: TW_ERR_FORMAT for anything but what tw_sidecar_write() writes. */
tw_status tw_sidecar_parse(const void *json, size_t n_bytes, tw_sidecar *out, tw_error *err);

/* *found is false (and *out zeroed) when there is no file, or one that does not parse: then nothing
 * is known, and a download begins anew. */
tw_status tw_sidecar_read(const char *path, tw_sidecar *out, bool *found, tw_error *err);
tw_status tw_sidecar_write(const char *path, const tw_sidecar *s, tw_error *err);

#endif
