#include "fetch/http.h"

#include "base/size.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEAD_BYTES ((size_t)256 << 10)
#define SLOWEST_BYTES_PER_SECOND 512L

struct tw_http {
    void *library;
    CURL *curl;
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURLcode (*easy_set)(CURL *, CURLoption, ...);
    CURLcode (*easy_info)(CURL *, CURLINFO, ...);
    CURLcode (*easy_perform)(CURL *);
    const char *(*easy_strerror)(CURLcode);
    CURLcode (*global_init)(long);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
};

/* What the callbacks of one exchange share. */
typedef struct exchange {
    const tw_request *request;
    tw_response *response;
    size_t head_bytes;
    bool begun, stopped; /* stopped: the body of an error, which nobody wants */
    tw_status status;
    tw_error *err;
} exchange;

/* ---------------------------------------------------------------------------------- library */

static tw_status find_symbols(tw_http *h, tw_error *err) {
    const struct {
        const char *name;
        void *target;
    } symbols[] = {
        {"curl_easy_init", &h->easy_init},         {"curl_easy_cleanup", &h->easy_cleanup},
        {"curl_easy_reset", &h->easy_reset},       {"curl_easy_setopt", &h->easy_set},
        {"curl_easy_getinfo", &h->easy_info},      {"curl_easy_perform", &h->easy_perform},
        {"curl_easy_strerror", &h->easy_strerror}, {"curl_global_init", &h->global_init},
        {"curl_slist_append", &h->slist_append},   {"curl_slist_free_all", &h->slist_free_all},
    };
    for (size_t i = 0; i < TW_COUNT(symbols); i++) {
        void *symbol = dlsym(h->library, symbols[i].name);
        if (!symbol) return tw_fail(err, TW_ERR_UNSUPPORTED, "libcurl has no %s", symbols[i].name);
        memcpy(symbols[i].target, &symbol, sizeof symbol); /* POSIX: both are as wide */
    }
    return TW_OK;
}

tw_status tw_http_open(tw_http **out, tw_error *err) {
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    tw_http *h = calloc(1, sizeof *h);
    *out = NULL;
    if (!h) return tw_fail_no_memory(err, sizeof *h);
    tw_status status = TW_OK;
    for (size_t i = 0; i < TW_COUNT(names) && !h->library; i++)
        h->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!h->library)
        status = tw_fail(err, TW_ERR_UNSUPPORTED,
                         "libcurl.so.4 is not on this machine: install the package libcurl4");
    if (status == TW_OK) status = find_symbols(h, err);
    if (status == TW_OK && h->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        status = tw_fail(err, TW_ERR_UNSUPPORTED, "libcurl does not start");
    if (status == TW_OK && !(h->curl = h->easy_init())) status = tw_fail_no_memory(err, 0);
    if (status != TW_OK) {
        tw_http_close(h);
        return status;
    }
    *out = h;
    return TW_OK;
}

/* The library stays open: it has state of its own that does not unload. */
void tw_http_close(tw_http *h) {
    if (h && h->curl) h->easy_cleanup(h->curl);
    free(h);
}

/* -------------------------------------------------------------------------------- callbacks */

static size_t on_head(char *data, size_t size, size_t n, void *user) {
    exchange *x = user;
    size_t n_bytes = size * n;
    x->head_bytes += n_bytes;
    if (x->head_bytes > MAX_HEAD_BYTES) {
        x->status = tw_fail(x->err, TW_ERR_LIMIT, "head of the answer: more than %zu bytes",
                            MAX_HEAD_BYTES);
        return 0;
    }
    tw_response_take_line(x->response, data, n_bytes);
    return n_bytes;
}

static bool is_wanted(const tw_response *r) {
    return r->status == 200 || r->status == 206;
}

static tw_status begin_body(exchange *x) {
    if (x->begun || !is_wanted(x->response)) return TW_OK;
    x->begun = true;
    return x->request->begin(x->request->user, x->response, x->err);
}

static size_t on_body(char *data, size_t size, size_t n, void *user) {
    exchange *x = user;
    x->stopped = !is_wanted(x->response);
    if (x->stopped) return 0;
    x->status = begin_body(x);
    if (x->status == TW_OK) x->status = x->request->write(x->request->user, data, size * n, x->err);
    return x->status == TW_OK ? size * n : 0;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    exchange *x = user;
    if (x->status == TW_OK) x->status = x->request->poll(x->request->user, x->err);
    return x->status != TW_OK;
}

/* --------------------------------------------------------------------------------- exchange */

static bool add_line(tw_http *h, struct curl_slist **list, const char *name, const char *value) {
    char line[1024];
    int n = snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *grown =
        n < 0 || (size_t)n >= sizeof line ? NULL : h->slist_append(*list, line);
    if (grown) *list = grown;
    return grown != NULL;
}

static bool make_head(tw_http *h, const tw_request *q, struct curl_slist **list) {
    char bearer[768];
    bool ok = add_line(h, list, "Accept-Encoding", "identity");
    if (ok && q->offset && q->if_range[0]) ok = add_line(h, list, "If-Range", q->if_range);
    if (ok && q->token) {
        int n = snprintf(bearer, sizeof bearer, "Bearer %s", q->token);
        ok = n > 0 && (size_t)n < sizeof bearer && add_line(h, list, "Authorization", bearer);
    }
    return ok;
}

/* Certificates and names are checked by libcurl's defaults; a company's own authority is named by
 * SSL_CERT_FILE. Proxies come from the usual variables. */
static CURLcode set_options(tw_http *h, const tw_request *q, exchange *x, char *message,
                            const struct curl_slist *head) {
    char range[32] = "";
    const char *authorities = getenv("SSL_CERT_FILE");
    if (q->offset) snprintf(range, sizeof range, "%llu-", (unsigned long long)q->offset);
    CURL *c = h->curl;
    h->easy_reset(c);
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {
        {CURLOPT_ERRORBUFFER, message},
        {CURLOPT_URL, q->url},
        {CURLOPT_PROTOCOLS_STR, "http,https"},
        {CURLOPT_USERAGENT, "tuwen"},
        {CURLOPT_HTTPHEADER, head},
        {CURLOPT_HEADERDATA, x},
        {CURLOPT_WRITEDATA, x},
        {CURLOPT_XFERINFODATA, x},
        {CURLOPT_RANGE, q->offset ? range : NULL},
    };
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_NOPROGRESS, 0},
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_CONNECTTIMEOUT, q->timeout_s},
        {CURLOPT_LOW_SPEED_TIME, q->timeout_s},
        {CURLOPT_LOW_SPEED_LIMIT, SLOWEST_BYTES_PER_SECOND},
    };
    CURLcode code = CURLE_OK;
    for (size_t i = 0; i < TW_COUNT(pointers) && code == CURLE_OK; i++)
        code = h->easy_set(c, pointers[i].option, pointers[i].value);
    for (size_t i = 0; i < TW_COUNT(numbers) && code == CURLE_OK; i++)
        code = h->easy_set(c, numbers[i].option, numbers[i].value);
    if (code == CURLE_OK && authorities && authorities[0])
        code = h->easy_set(c, CURLOPT_CAINFO, authorities);
    if (code == CURLE_OK) code = h->easy_set(c, CURLOPT_HEADERFUNCTION, on_head);
    if (code == CURLE_OK) code = h->easy_set(c, CURLOPT_WRITEFUNCTION, on_body);
    if (code == CURLE_OK) code = h->easy_set(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    return code;
}

/* What a later try may find better. */
static bool is_passing(CURLcode code) {
    static const CURLcode codes[] = {
        CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY,
        CURLE_COULDNT_CONNECT,      CURLE_PARTIAL_FILE,
        CURLE_OPERATION_TIMEDOUT,   CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR,           CURLE_RECV_ERROR,
        CURLE_SSL_CONNECT_ERROR,
    };
    for (size_t i = 0; i < TW_COUNT(codes); i++)
        if (codes[i] == code) return true;
    return false;
}

static tw_status judge(tw_http *h, exchange *x, CURLcode code, const char *message, bool *again) {
    if (x->status != TW_OK) return x->status;
    if (x->stopped && code == CURLE_WRITE_ERROR) code = CURLE_OK;
    if (code == CURLE_OK) return begin_body(x); /* of an empty body */
    *again = is_passing(code);
    if (code == CURLE_OUT_OF_MEMORY) /* what libcurl also says of a line that it does not take */
        return tw_fail(x->err, TW_ERR_LIMIT, "no memory, or a line of the head above 100 kB");
    return tw_fail(x->err, TW_ERR_IO, "%s", message[0] ? message : h->easy_strerror(code));
}

tw_status tw_http_get(tw_http *h, const tw_request *request, tw_response *response,
                      char redirect[TW_URL_BYTES], bool *again, tw_error *err) {
    exchange x = {.request = request, .response = response, .err = err};
    struct curl_slist *head = NULL;
    char message[CURL_ERROR_SIZE] = "";
    const char *to = NULL;
    tw_status status;
    *response = (tw_response){0};
    *again = false;
    redirect[0] = '\0';
    if (!make_head(h, request, &head)) {
        status = tw_fail(err, TW_ERR_ARGUMENT, "a header of the request is too long");
        goto done;
    }
    CURLcode code = set_options(h, request, &x, message, head);
    if (code != CURLE_OK) {
        status = tw_fail(err, TW_ERR_UNSUPPORTED, "libcurl 7.85 or later is needed: %s",
                         h->easy_strerror(code));
        goto done;
    }
    code = h->easy_perform(h->curl);
    TW_CHECK(judge(h, &x, code, message, again));
    if (response->status >= 300 && response->status < 400)
        h->easy_info(h->curl, CURLINFO_REDIRECT_URL, &to);
    if (to && strlen(to) < TW_URL_BYTES) memcpy(redirect, to, strlen(to) + 1);
done:
    h->slist_free_all(head);
    return status;
}
