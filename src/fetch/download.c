#define _GNU_SOURCE
#include "fetch/download.h"

#include "base/clock.h"
#include "base/size.h"
#include "fetch/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MAX_REDIRECTS 10
#define MAX_PAUSE_S 600
#define GOOD_ATTEMPT ((uint64_t)1 << 20)
#define MS_NS 1000000

struct tw_download {
    char *path, *part, *note;
    int fd;        /* of the part; -1: none */
    uint64_t have; /* bytes in it */
    uint64_t resumed_at;
    tw_sidecar known; /* what the part is; url "" = nothing known */
    bool noted;       /* the note on the disk is ours */
    bool over;        /* the part is of no use: begin anew */
    char hub_sha256[TW_SHA256_BYTES];
    const tw_download_request *request;
    tw_http *http;
    uint64_t pause_ms; /* before the next attempt; 0 = by count */
};

/* ------------------------------------------------------------------------------------- files */

static char *name_beside(const char *path, const char *ending) {
    size_t n = strlen(path) + strlen(ending) + 1;
    char *name = malloc(n);
    if (name) snprintf(name, n, "%s%s", path, ending);
    return name;
}

char *tw_download_note_name(const char *path) {
    return name_beside(path, ".pull");
}

static tw_status make_folders(char *path, tw_error *err) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0777) != 0 && errno != EEXIST;
        tw_status status = failed ? tw_fail_errno(err, errno, "%s", path) : TW_OK;
        *slash = '/';
        TW_TRY(status);
    }
    return TW_OK;
}

/* Opens and locks the part. A part that was put in place between the two is no longer ours. */
static tw_status lock_part(tw_download *d, tw_error *err) {
    for (int i = 0; i < 100; i++) {
        struct stat ours, named;
        d->fd = open(d->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
        if (d->fd < 0) return tw_fail_errno(err, errno, "%s", d->part);
        if (flock(d->fd, LOCK_EX | LOCK_NB) != 0) {
            close(d->fd);
            d->fd = -1;
            return tw_fail(err, TW_ERR_IO, "%s: another tuwen pull is downloading it", d->path);
        }
        if (fstat(d->fd, &ours) != 0) return tw_fail_errno(err, errno, "%s", d->part);
        if (!S_ISREG(ours.st_mode))
            return tw_fail(err, TW_ERR_IO, "%s: is not a regular file", d->part);
        if (stat(d->part, &named) == 0 && named.st_ino == ours.st_ino &&
            named.st_dev == ours.st_dev) {
            d->have = (uint64_t)ours.st_size;
            return TW_OK;
        }
        close(d->fd);
        d->fd = -1;
    }
    return tw_fail(err, TW_ERR_IO, "%s: does not stay where it is", d->part);
}

tw_status tw_download_open(const char *path, tw_download **out, tw_error *err) {
    tw_download *d = calloc(1, sizeof *d);
    bool found;
    tw_status status;
    *out = NULL;
    if (!d) return tw_fail_no_memory(err, sizeof *d);
    d->fd = -1;
    d->path = strdup(path);
    d->part = name_beside(path, ".part");
    d->note = tw_download_note_name(path);
    if (!d->path || !d->part || !d->note) {
        status = tw_fail_no_memory(err, strlen(path));
        goto done;
    }
    TW_CHECK(make_folders(d->path, err));
    TW_CHECK(lock_part(d, err));
    TW_CHECK(tw_sidecar_read(d->note, &d->known, &found, err));
    d->noted = found && !d->known.sha256[0];
    *out = d;
    return TW_OK;
done:
    tw_download_close(d);
    return status;
}

static tw_status empty_part(tw_download *d, tw_error *err) {
    d->have = d->resumed_at = 0;
    d->over = false;
    d->known = (tw_sidecar){0};
    if (ftruncate(d->fd, 0) == 0) return TW_OK;
    return tw_fail_errno(err, errno, "%s", d->part);
}

void tw_download_discard(tw_download *d) {
    d->over = true;
}

void tw_download_close(tw_download *d) {
    if (!d) return;
    /* Nothing stays of what cannot be continued. */
    if (d->fd >= 0 && !tw_download_can_continue(d)) {
        unlink(d->part);
        if (d->noted) unlink(d->note);
    }
    if (d->fd >= 0) close(d->fd);
    tw_http_close(d->http);
    free(d->path);
    free(d->part);
    free(d->note);
    free(d);
}

tw_status tw_download_commit(tw_download *d, const char *sha256, tw_error *err) {
    snprintf(d->known.sha256, sizeof d->known.sha256, "%s", sha256);
    d->known.has_length = true;
    d->known.length = d->have;
    if (fsync(d->fd) != 0) return tw_fail_errno(err, errno, "%s: sync", d->part);
    TW_TRY(tw_sidecar_write(d->note, &d->known, err));
    if (rename(d->part, d->path) != 0)
        return tw_fail_errno(err, errno, "%s: rename into place", d->path);
    close(d->fd);
    d->fd = -1;
    return TW_OK;
}

const char *tw_download_part(const tw_download *d) {
    return d->part;
}
uint64_t tw_download_n_bytes(const tw_download *d) {
    return d->have;
}
uint64_t tw_download_resumed_at(const tw_download *d) {
    return d->resumed_at;
}
bool tw_download_can_continue(const tw_download *d) {
    return d->have > 0 && !d->over && d->known.validator[0] && d->known.has_length;
}
const char *tw_download_hub_sha256(const tw_download *d) {
    return d->hub_sha256;
}

/* -------------------------------------------------------------------------------------- body */

static tw_status check_space(const tw_download *d, uint64_t n_bytes, tw_error *err) {
    struct statvfs fs;
    if (fstatvfs(d->fd, &fs) != 0) return TW_OK; /* then write() will tell */
    uint64_t free_bytes = 0;
    if (!tw_mul_u64(fs.f_bavail, fs.f_frsize, &free_bytes) || n_bytes <= free_bytes) return TW_OK;
    return tw_fail(err, TW_ERR_IO, "%s: needs %llu more bytes, the disk has %llu free", d->path,
                   (unsigned long long)n_bytes, (unsigned long long)free_bytes);
}

/* Whether a 206 continues exactly what is there. */
static tw_status check_continuation(tw_download *d, const tw_response *r, tw_error *err) {
    const tw_content_range *g = &r->range;
    const char *validator = d->known.validator[0] == '"' ? r->etag : r->last_modified;
    d->over = true;
    if (d->have == 0 || r->bad_range || !g->has_range || !g->has_total || g->first != d->have)
        return tw_fail(err, TW_ERR_FORMAT, "answers a range from byte %llu with another one",
                       (unsigned long long)d->have);
    if (g->total != d->known.length || (r->has_length && r->n_bytes != g->last - g->first + 1))
        return tw_fail(err, TW_ERR_FORMAT, "states %llu bytes, stated %llu before",
                       (unsigned long long)g->total, (unsigned long long)d->known.length);
    if (strcmp(validator, d->known.validator) != 0)
        return tw_fail(err, TW_ERR_FORMAT, "continues another version of the file");
    d->over = false;
    return TW_OK;
}

/* A whole file from its first byte, whatever was asked. */
static tw_status begin_anew(tw_download *d, const tw_response *r, tw_error *err) {
    TW_TRY(empty_part(d, err));
    if (!r->has_length && !r->chunked && !d->request->has_sha256 && !d->hub_sha256[0])
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "states no length, and no SHA-256 is known: give --sha256 HEX");
    d->known.has_length = r->has_length && !r->chunked;
    d->known.length = d->known.has_length ? r->n_bytes : 0;
    snprintf(d->known.url, sizeof d->known.url, "%s", d->request->url);
    snprintf(d->known.validator, sizeof d->known.validator, "%s", tw_response_validator(r));
    snprintf(d->known.hub_sha256, sizeof d->known.hub_sha256, "%s", d->hub_sha256);
    if (d->known.length > d->request->max_bytes)
        return tw_fail(err, TW_ERR_LIMIT, "states %llu bytes, the limit is %llu (--max-bytes)",
                       (unsigned long long)d->known.length,
                       (unsigned long long)d->request->max_bytes);
    TW_TRY(tw_sidecar_write(d->note, &d->known, err));
    d->noted = true;
    return TW_OK;
}

static tw_status begin_body(void *user, const tw_response *r, tw_error *err) {
    tw_download *d = user;
    if (r->encoded)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "has a Content-Encoding, none was asked for");
    if (r->bad_length) return tw_fail(err, TW_ERR_FORMAT, "has no proper Content-Length");
    if (r->status == 206)
        TW_TRY(check_continuation(d, r, err));
    else
        TW_TRY(begin_anew(d, r, err));
    return check_space(d, d->known.length - (d->known.has_length ? d->have : 0), err);
}

static tw_status write_body(void *user, const void *data, size_t n_bytes, tw_error *err) {
    tw_download *d = user;
    uint64_t most = d->known.has_length ? d->known.length : d->request->max_bytes;
    if (n_bytes > most - d->have) {
        d->over = true;
        return tw_fail(err, d->known.has_length ? TW_ERR_FORMAT : TW_ERR_LIMIT,
                       "sends more than %llu bytes%s", (unsigned long long)most,
                       d->known.has_length ? "" : ", the limit (--max-bytes)");
    }
    const char *p = data;
    while (n_bytes) {
        ssize_t n = pwrite(d->fd, p, n_bytes, (off_t)d->have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return tw_fail_errno(err, errno, "%s: write", d->part);
        p += n;
        n_bytes -= (size_t)n;
        d->have += (uint64_t)n;
    }
    return TW_OK;
}

static tw_status poll_hooks(void *user, tw_error *err) {
    tw_download *d = user;
    return tw_progress(d->request->hooks, "download", d->have, d->known.length, err);
}

/* ----------------------------------------------------------------------------------- answers */

static tw_status refuse_access(const char *host, int status, bool token, tw_error *err) {
    return tw_fail(err, TW_ERR_IO, "%s refuses access (HTTP %d)%s", host, status,
                   token ? ", also with HF_TOKEN: is the repository's licence accepted there?"
                         : "; for a gated repository set HF_TOKEN");
}

/* A status other than 200, 206 and the redirects. */
static tw_status judge_status(tw_download *d, const char *url, const tw_response *r, bool *again,
                              tw_error *err) {
    tw_url u;
    TW_TRY(tw_url_parse(url, &u, err));
    *again = r->status >= 500 || r->status == 408 || r->status == 429;
    d->pause_ms = 0;
    if (*again && r->has_retry_after) {
        if (r->retry_after > MAX_PAUSE_S) {
            *again = false;
            return tw_fail(err, TW_ERR_IO, "%s is busy (HTTP %d) and asks to come back in %llu s",
                           u.host, r->status, (unsigned long long)r->retry_after);
        }
        d->pause_ms = r->retry_after * 1000 + 1;
    }
    if (r->status == 401 || r->status == 403)
        return refuse_access(u.host, r->status, d->request->token != NULL, err);
    if (r->status == 404 || r->status == 410)
        return tw_fail(err, TW_ERR_IO, "%s has no %.300s (HTTP %d)", u.host, u.path, r->status);
    return tw_fail(err, TW_ERR_IO, "%s answers HTTP %d", u.host, r->status);
}

/* 416: the part is complete, or not of this file. */
static tw_status judge_range(tw_download *d, const tw_response *r, bool *again, tw_error *err) {
    if (r->range.has_total && !r->bad_range && r->range.total == d->have && d->known.has_length &&
        d->known.length == d->have)
        return TW_OK;
    *again = d->over = true;
    return tw_fail(err, TW_ERR_FORMAT, "has nothing from byte %llu on",
                   (unsigned long long)d->have);
}

static tw_status judge_body(tw_download *d, bool *again, tw_error *err) {
    if (!d->known.has_length) {
        d->known.has_length = true;
        d->known.length = d->have;
    }
    if (d->have == d->known.length) return TW_OK;
    *again = true;
    return tw_fail(err, TW_ERR_IO, "ends after %llu of %llu bytes", (unsigned long long)d->have,
                   (unsigned long long)d->known.length);
}

/* ---------------------------------------------------------------------------------- attempts */

/* Makes sure that what is there can be continued. Without a validator nothing tells one version of
 * the file from the next. */
static tw_status prepare_part(tw_download *d, tw_error *err) {
    bool same = strcmp(d->known.url, d->request->url) == 0 && d->known.validator[0] &&
                d->known.has_length && d->have <= d->known.length && !d->over;
    if (same && d->hub_sha256[0] && d->known.hub_sha256[0])
        same = strcmp(d->hub_sha256, d->known.hub_sha256) == 0;
    return same ? TW_OK : empty_part(d, err);
}

static tw_status get_once(tw_download *d, const char *url, const char *token, tw_response *r,
                          char to[TW_URL_BYTES], bool *again, tw_error *err) {
    tw_url u;
    TW_TRY(tw_url_parse(url, &u, err));
    TW_TRY(prepare_part(d, err));
    tw_request q = {.url = url,
                    .offset = d->have,
                    .if_range = d->known.validator,
                    .token = token,
                    .timeout_s = d->request->timeout_s,
                    .begin = begin_body,
                    .write = write_body,
                    .poll = poll_hooks,
                    .user = d};
    tw_status status = tw_http_get(d->http, &q, r, to, again, err);
    if (status != TW_OK) {
        if (d->over && status == TW_ERR_FORMAT) *again = true;
        tw_error_context(err, "%s", u.host);
    }
    return status;
}

/* Follows the redirects itself: each is looked at before a byte is sent there. */
static tw_status attempt(tw_download *d, char url[TW_URL_BYTES], bool *again, tw_error *err) {
    tw_url origin, here;
    tw_response r;
    char to[TW_URL_BYTES];
    const char *token = d->request->token;
    TW_TRY(tw_url_parse(d->request->url, &origin, err));
    snprintf(url, TW_URL_BYTES, "%s", d->request->url);
    for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
        TW_TRY(tw_url_parse(url, &here, err));
        bool at_home = tw_url_same_origin(&origin, &here);
        if (!at_home || !tw_url_is_private(&here)) token = NULL;
        TW_TRY(get_once(d, url, token, &r, to, again, err));
        if (at_home && r.hub_sha256[0]) memcpy(d->hub_sha256, r.hub_sha256, sizeof r.hub_sha256);
        if (r.status == 200 || r.status == 206) return judge_body(d, again, err);
        if (r.status == 416) return judge_range(d, &r, again, err);
        if (!to[0]) return judge_status(d, url, &r, again, err);
        TW_TRY(tw_url_check_redirect(url, to, err));
        memcpy(url, to, sizeof to);
    }
    return tw_fail(err, TW_ERR_FORMAT, "%s: more than %d redirects", origin.host, MAX_REDIRECTS);
}

/* Waits in short steps, so that a signal ends it. */
static tw_status wait_for(tw_download *d, uint64_t ms, tw_error *err) {
    uint64_t end = tw_now_ns() + ms * MS_NS;
    while (tw_now_ns() < end) {
        TW_TRY(poll_hooks(d, err));
        uint64_t left_ms = (end - tw_now_ns()) / MS_NS;
        nanosleep(&(struct timespec){0, (long)(TW_MIN(left_ms, 100) + 1) * MS_NS}, NULL);
        if (tw_now_ns() >= end) break;
    }
    return TW_OK;
}

/* 0.2 s, doubled up to 25 s while nothing comes, or what the server asks for. */
static tw_status pause_before(tw_download *d, int n, int n_barren, const tw_error *why,
                              tw_error *err) {
    uint64_t ms = d->pause_ms ? d->pause_ms : UINT64_C(200) << TW_MIN(n_barren, 7);
    tw_log(d->request->hooks, TW_LOG_INFO, "%.300s; trying again in %.1f s (%d of %d)",
           why->message, (double)ms / 1000, n + 1, d->request->retries);
    d->pause_ms = 0;
    return wait_for(d, ms, err);
}

tw_status tw_download_run(tw_download *d, const tw_download_request *request, tw_error *err) {
    char *url = malloc(TW_URL_BYTES);
    tw_status status = TW_OK;
    d->request = request;
    if (!url) return tw_fail_no_memory(err, TW_URL_BYTES);
    TW_CHECK(prepare_part(d, err));
    d->resumed_at = d->have;
    memcpy(d->hub_sha256, d->known.hub_sha256, sizeof d->hub_sha256);
    if (d->have && d->have == d->known.length) goto done; /* ended between the last byte and now */
    if (!d->http) TW_CHECK(tw_http_open(&d->http, err));
    for (int n = 0, n_barren = 0;; n++, n_barren++) {
        tw_error why = TW_ERROR_INIT;
        bool again = false;
        uint64_t before = d->have;
        status = attempt(d, url, &again, &why);
        if (status == TW_OK) break;
        if (d->have > before) n_barren = 0;
        if (d->have > before && d->have - before >= GOOD_ATTEMPT) n = 0;
        if (!again || n >= request->retries) {
            if (err) *err = why;
            break;
        }
        TW_CHECK(pause_before(d, n, n_barren, &why, err));
    }
done:
    free(url);
    return status;
}
