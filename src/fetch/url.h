/* Addresses: what may be fetched, and where a redirect or a secret may go. Pure text, no network.
 */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include "base/status.h"

#define TW_URL_BYTES 4096

typedef struct tw_url {
    bool https;
    char host[256];   /* lower case; an IPv6 address with its brackets */
    int port;         /* the scheme's own when none is given */
    const char *path; /* "/…" or "" or "?…"; borrows from the text */
} tw_url;

/* http or https, ASCII without spaces, no user name, no fragment, shorter than TW_URL_BYTES.
 * Errors: TW_ERR_ARGUMENT. */
tw_status tw_url_parse(const char *text, tw_url *out, tw_error *err);

bool tw_url_same_origin(const tw_url *a, const tw_url *b);

/* Whether `to` may follow `from`: http or https, and from https only to https. */
tw_status tw_url_check_redirect(const char *from, const char *to, tw_error *err);

/* A secret travels encrypted, or does not leave this machine. */
bool tw_url_is_private(const tw_url *url);

/* The last part of the path as a plain file name: characters outside A-Za-z0-9._+- become '_', as
 * does a leading dot. Errors: TW_ERR_ARGUMENT when there is none. */
tw_status tw_url_file_name(const char *text, char *out, size_t n_bytes, tw_error *err);

/* `path` below `base`, which may end in slashes. Errors: TW_ERR_ARGUMENT (not an address, or too
 * long). */
tw_status tw_url_join(const char *base, const char *path, char out[TW_URL_BYTES], tw_error *err);

#endif
