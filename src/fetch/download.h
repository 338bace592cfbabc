/* A file from the network to its place: FILE.part grows beside it, and what it began as is noted in
 * FILE.pull, so that a later call continues where this one ended. Nothing takes FILE's place before
 * the caller has looked at all of FILE.part. */
#ifndef FETCH_DOWNLOAD_H
#define FETCH_DOWNLOAD_H

#include "fetch/sidecar.h"

typedef struct tw_download tw_download;

typedef struct tw_download_request {
    const char *url;
    const char *token;  /* goes to the origin of `url` alone, and to no other after a redirect */
    bool has_sha256;    /* the caller knows what the whole must hash to */
    uint64_t max_bytes; /* of the file */
    int retries;        /* of attempts that bring less than a megabyte */
    int timeout_s;
    const tw_hooks *hooks;
} tw_download_request;

/* Makes the folders above `path` and takes the lock. Errors: TW_ERR_IO, also while another process
 * downloads to the same path. */
tw_status tw_download_open(const char *path, tw_download **out, tw_error *err);

/* Fetches until FILE.part is as long as the server says. What is there of the same version is kept.
 * A failure keeps what is good of it. Errors: TW_ERR_IO (network, server, disk), TW_ERR_FORMAT (an
 * answer that contradicts itself), TW_ERR_LIMIT, TW_ERR_UNSUPPORTED, TW_ERR_CANCELLED. */
tw_status tw_download_run(tw_download *d, const tw_download_request *request, tw_error *err);

const char *tw_download_part(const tw_download *d);
uint64_t tw_download_n_bytes(const tw_download *d);    /* in FILE.part */
uint64_t tw_download_resumed_at(const tw_download *d); /* bytes that were there before */
bool tw_download_can_continue(const tw_download *d);   /* what is there is of use to a later call */
const char *tw_download_hub_sha256(const tw_download *d); /* what the hub says of it; or "" */

/* FILE.part becomes FILE; its digest is noted. */
tw_status tw_download_commit(tw_download *d, const char *sha256, tw_error *err);
/* Removes FILE.part, which is not what it should be. */
void tw_download_discard(tw_download *d);
void tw_download_close(tw_download *d);

/* The name of the note beside `path`; the caller frees it. NULL: out of memory. */
char *tw_download_note_name(const char *path);

#endif
