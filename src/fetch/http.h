/* One GET by libcurl, which is opened at run time: only `tuwen pull` needs it, and no other verb
 * should load the thirty libraries it brings. No redirect is followed here; the caller decides. */
#ifndef FETCH_HTTP_H
#define FETCH_HTTP_H

#include "fetch/headers.h"
#include "fetch/url.h"

typedef struct tw_http tw_http;

typedef struct tw_request {
    const char *url;
    uint64_t offset;      /* above 0: "Range: bytes=OFFSET-" */
    const char *if_range; /* with an offset; "" = none */
    const char *token;    /* "Authorization: Bearer …"; NULL = none */
    int timeout_s;        /* to connect, and without 512 bytes a second on average */
    /* Called once the head of a 200 or 206 is there, then for its body piece by piece. */
    tw_status (*begin)(void *user, const tw_response *r, tw_error *err);
    tw_status (*write)(void *user, const void *data, size_t n_bytes, tw_error *err);
    tw_status (*poll)(void *user, tw_error *err); /* now and then; an error stops */
    void *user;
} tw_request;

/* Errors: TW_ERR_UNSUPPORTED when there is no libcurl. */
tw_status tw_http_open(tw_http **out, tw_error *err);
void tw_http_close(tw_http *http);

/* TW_OK for any complete exchange, whatever its status (bodies of others than 200 and 206 are not
 * read). `redirect` is the absolute address of a 3xx, else "". On failure *again says whether the
 * network was at fault and another try may do. Errors of the callbacks come back unchanged. */
tw_status tw_http_get(tw_http *http, const tw_request *request, tw_response *response,
                      char redirect[TW_URL_BYTES], bool *again, tw_error *err);

#endif
