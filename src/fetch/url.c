#include "fetch/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static tw_status refuse(const char *text, const char *why, tw_error *err) {
    return tw_fail(err, TW_ERR_ARGUMENT, "address '%.200s': %s", text, why);
}

static bool is_plain(const char *text) {
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f || strchr("\"<>\\^`{|}#", *text)) return false;
    return true;
}

/* "host", "host:port" or "[v6]:port". */
static bool read_authority(const char *s, size_t n, tw_url *out) {
    size_t n_host = 0;
    if (n && s[0] == '[') {
        while (n_host < n && s[n_host] != ']')
            n_host++;
        if (n_host < 2 || n_host++ == n || strspn(s + 1, "0123456789abcdefABCDEF:.") != n_host - 2)
            return false;
    } else {
        while (n_host < n && (isalnum((unsigned char)s[n_host]) || strchr(".-_", s[n_host])))
            n_host++;
    }
    if (n_host == 0 || n_host >= sizeof out->host) return false;
    for (size_t i = 0; i < n_host; i++)
        out->host[i] = (char)tolower((unsigned char)s[i]);
    out->host[n_host] = '\0';
    out->port = out->https ? 443 : 80;
    if (n_host == n) return true;
    size_t n_port = n - n_host - 1;
    if (s[n_host] != ':' || n_port == 0 || n_port > 5) return false;
    int port = 0;
    for (size_t i = n_host + 1; i < n; i++) {
        if (!isdigit((unsigned char)s[i])) return false;
        port = port * 10 + (s[i] - '0');
    }
    out->port = port;
    return port >= 1 && port <= 65535;
}

tw_status tw_url_parse(const char *text, tw_url *out, tw_error *err) {
    *out = (tw_url){.path = ""};
    size_t n_scheme = 0;
    if (strncasecmp(text, "https://", 8) == 0)
        n_scheme = 8;
    else if (strncasecmp(text, "http://", 7) == 0)
        n_scheme = 7;
    else
        return refuse(text, "expected http:// or https://", err);
    if (strlen(text) >= TW_URL_BYTES) return refuse(text, "longer than 4095 bytes", err);
    if (!is_plain(text)) return refuse(text, "has a character that must be written as %XX", err);
    out->https = n_scheme == 8;
    const char *authority = text + n_scheme;
    size_t n = strcspn(authority, "/?");
    if (memchr(authority, '@', n)) return refuse(authority + n, "has a user name", err);
    if (!read_authority(authority, n, out)) return refuse(text, "has no proper host", err);
    out->path = authority + n;
    return TW_OK;
}

bool tw_url_same_origin(const tw_url *a, const tw_url *b) {
    return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

tw_status tw_url_check_redirect(const char *from, const char *to, tw_error *err) {
    tw_url a, b;
    TW_TRY(tw_url_parse(from, &a, err));
    if (tw_url_parse(to, &b, err) != TW_OK) {
        tw_error_context(err, "redirected");
        if (err) err->status = TW_ERR_FORMAT; /* the server's mistake, not the caller's */
        return TW_ERR_FORMAT;
    }
    if (a.https && !b.https)
        return tw_fail(err, TW_ERR_FORMAT, "redirected from https to http://%s, not followed",
                       b.host);
    return TW_OK;
}

bool tw_url_is_private(const tw_url *url) {
    return url->https || strcmp(url->host, "localhost") == 0 || strcmp(url->host, "[::1]") == 0 ||
           strcmp(url->host, "127.0.0.1") == 0;
}

tw_status tw_url_file_name(const char *text, char *out, size_t n_bytes, tw_error *err) {
    tw_url url;
    TW_TRY(tw_url_parse(text, &url, err));
    size_t n_path = strcspn(url.path, "?"), begin = n_path;
    while (begin > 0 && url.path[begin - 1] != '/')
        begin--;
    size_t n = n_path - begin;
    if (n == 0 || n >= n_bytes) return refuse(text, "its path ends in no file name", err);
    for (size_t i = 0; i < n; i++) {
        char c = url.path[begin + i];
        bool plain = isalnum((unsigned char)c) || (i && c == '.') || strchr("_+-", c);
        out[i] = plain ? c : '_';
    }
    out[n] = '\0';
    return TW_OK;
}

tw_status tw_url_join(const char *base, const char *path, char out[TW_URL_BYTES], tw_error *err) {
    tw_url url;
    TW_TRY(tw_url_parse(base, &url, err));
    if (strchr(url.path, '?')) return refuse(base, "has a query", err);
    size_t n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    int got = snprintf(out, TW_URL_BYTES, "%.*s%s", (int)n, base, path);
    if (got < 0 || got >= TW_URL_BYTES) return refuse(base, "longer than 4095 bytes", err);
    return tw_url_parse(out, &url, err);
}
