/* An HTTP/1.1 server that behaves as badly as its address asks: hostile_server ROOT LOG [PEER].
 * Prints its port on the loopback, then answers one connection after another, each closed at its
 * end. GET /MODE=ARG/PATH serves ROOT/PATH in that mode (the table below); of
 * "/MODE/PATH?…FilePath=F" it is ROOT/PATH/F. PEER is the port of another one. Each request becomes
 * a line of LOG. Only for tests. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_HEAD 65536
#define MAX_SEEN 256

typedef struct request {
    int fd;
    char head[MAX_HEAD], target[4096], mode[32], arg[128], path[4096];
    char range[64], if_range[256], authorization[256];
    int nth; /* how many requests of this target came before */
    uint8_t *data;
    size_t n_bytes;
} request;

static const char *root, *log_name, *peer = "0";
static int own_port;

/* ---------------------------------------------------------------------------------- writing */

static bool put(int fd, const void *data, size_t n) {
    for (const char *p = data; n;) {
        ssize_t got = send(fd, p, n, MSG_NOSIGNAL);
        if (got <= 0) return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool puts_to(int fd, const char *text) {
    return put(fd, text, strlen(text));
}

static void begin(const request *q, int status, const char *fields) {
    char line[128];
    snprintf(line, sizeof line, "HTTP/1.1 %d Status\r\nConnection: close\r\n", status);
    puts_to(q->fd, line);
    puts_to(q->fd, fields);
}

static void head(const request *q, int status, size_t n_bytes, const char *fields) {
    char length[64];
    begin(q, status, fields);
    snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", n_bytes);
    puts_to(q->fd, length);
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ------------------------------------------------------------------------------ proper answers */

static size_t number(const request *q) {
    return strtoul(q->arg, NULL, 10);
}

/* The file from where the request asks, as `etag` (or a date), at most `most` bytes before the line
 * goes dead. */
static void serve(const request *q, const char *etag, size_t most) {
    size_t from = 0;
    char fields[256];
    bool same = !q->if_range[0] || strcmp(q->if_range, etag) == 0;
    bool ranged = same && sscanf(q->range, "bytes=%zu-", &from) == 1;
    if (!ranged) from = 0;
    if (from >= q->n_bytes && ranged) {
        snprintf(fields, sizeof fields, "Content-Range: bytes */%zu\r\n", q->n_bytes);
        head(q, 416, 0, fields);
        return;
    }
    size_t n = q->n_bytes - from;
    int at = snprintf(fields, sizeof fields, "%s: %s\r\nAccept-Ranges: bytes\r\n",
                      etag[0] == '"' ? "ETag" : "Last-Modified", etag);
    if (ranged)
        snprintf(fields + at, sizeof fields - (size_t)at, "Content-Range: bytes %zu-%zu/%zu\r\n",
                 from, q->n_bytes - 1, q->n_bytes);
    head(q, ranged ? 206 : 200, n, fields);
    put(q->fd, q->data + from, n < most ? n : most);
}

static void plain(request *q) {
    serve(q, "\"v1\"", SIZE_MAX);
}

static void cut(request *q) {
    serve(q, "\"v1\"", number(q));
}

static void cut_once(request *q) {
    serve(q, "\"v1\"", q->nth ? SIZE_MAX : number(q));
}

/* Other bytes under another name from the second request on. */
static void version(request *q) {
    if (q->nth == 0) {
        for (size_t i = 0; i < q->n_bytes; i++)
            q->data[i] ^= 0x55;
        serve(q, "\"old\"", number(q));
    } else {
        serve(q, "\"new\"", SIZE_MAX);
    }
}

static void busy(request *q) {
    if (q->nth == 0)
        head(q, (int)number(q), 0, "Retry-After: 1\r\n");
    else
        plain(q);
}

static void chunked(request *q) {
    char line[32];
    begin(q, 200, "ETag: \"v1\"\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t most = q->arg[0] ? number(q) : q->n_bytes;
    for (size_t at = 0; at < most; at += 5000) {
        size_t n = most - at < 5000 ? most - at : 5000;
        snprintf(line, sizeof line, "%zx\r\n", n);
        puts_to(q->fd, line);
        put(q->fd, q->data + at, n);
        puts_to(q->fd, "\r\n");
    }
    if (!q->arg[0]) puts_to(q->fd, "0\r\n\r\n");
}

static void no_validator(request *q) {
    head(q, 200, q->n_bytes, "");
    put(q->fd, q->data, q->nth ? q->n_bytes : number(q));
}

static void last_modified(request *q) {
    serve(q, "Sat, 01 Jan 2022 00:00:00 GMT", q->nth ? SIZE_MAX : number(q));
}

/* -------------------------------------------------------------------------------------- lies */

static void no_range(request *q) {
    head(q, 200, q->n_bytes, "ETag: \"v1\"\r\n");
    put(q->fd, q->data, q->nth ? q->n_bytes : number(q));
}

/* A first answer that is cut, then 206 with these fields and the rest of the file. */
static void continue_with(request *q, const char *etag, long shift, long more) {
    size_t from = 0;
    char fields[256];
    if (sscanf(q->range, "bytes=%zu-", &from) != 1) {
        serve(q, "\"v1\"", number(q));
        return;
    }
    snprintf(fields, sizeof fields, "ETag: %s\r\nContent-Range: bytes %ld-%ld/%ld\r\n", etag,
             (long)from + shift, (long)q->n_bytes - 1, (long)q->n_bytes + more);
    head(q, 206, q->n_bytes - from - (size_t)shift, fields);
    put(q->fd, q->data + from, q->n_bytes - from);
}

static void bad_range(request *q) {
    continue_with(q, "\"v1\"", 1, 0);
}
static void bad_total(request *q) {
    continue_with(q, "\"v1\"", 0, 7);
}
static void other_etag(request *q) {
    continue_with(q, "\"v2\"", 0, 0);
}

static void too_short(request *q) {
    head(q, 200, q->n_bytes + 100, "ETag: \"v1\"\r\n");
    if (!q->range[0]) put(q->fd, q->data, q->n_bytes);
}

static void too_long(request *q) {
    head(q, 200, q->n_bytes, "ETag: \"v1\"\r\n");
    put(q->fd, q->data, q->n_bytes);
    put(q->fd, q->data, 100);
}

static void less(request *q) {
    head(q, 200, number(q), "ETag: \"v1\"\r\n");
    put(q->fd, q->data, number(q));
}

static void no_length(request *q) {
    begin(q, 200, "ETag: \"v1\"\r\n\r\n");
    put(q->fd, q->data, q->arg[0] ? number(q) : q->n_bytes);
}

static void wrong(request *q) {
    q->data[q->n_bytes / 2] ^= 1;
    plain(q);
}

static void endless(request *q) {
    char chunk[4096 + 8];
    memcpy(chunk, "1000\r\n", 6);
    memset(chunk + 6, 'x', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    begin(q, 200, "ETag: \"v1\"\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (put(q->fd, chunk, 4096 + 8))
        continue;
}

static void endless_head(request *q) {
    begin(q, 200, "");
    while (puts_to(q->fd, "X-Filler: 0123456789012345678901234567890123456789\r\n"))
        continue;
}

static void long_head(request *q) {
    begin(q, 200, "X-Filler: ");
    while (puts_to(q->fd, "0123456789012345678901234567890123456789"))
        continue;
}

static void gzip(request *q) {
    head(q, 200, 6, "Content-Encoding: gzip\r\n");
    put(q->fd, "\x1f\x8bgarb", 6);
}

static void garbage(request *q) {
    puts_to(q->fd, "SSH-2.0-OpenSSH\r\n");
}

static void two_lengths(request *q) {
    head(q, 200, 5, "Content-Length: 9\r\n");
    puts_to(q->fd, "123456789");
}

static void crawl(request *q) {
    head(q, 200, q->n_bytes, "ETag: \"v1\"\r\n");
    put(q->fd, q->data, number(q));
    for (size_t i = number(q); i < q->n_bytes && put(q->fd, q->data + i, 1); i++)
        pause_ms(100);
}

static void crawl_once(request *q) {
    (q->nth ? plain : crawl)(q);
}

static void huge(request *q) {
    head(q, 200, (size_t)1 << 60, "ETag: \"v1\"\r\n");
    put(q->fd, q->data, q->n_bytes);
}

/* ---------------------------------------------------------------------------- other statuses */

static void status(request *q) {
    head(q, (int)number(q), 0, "");
}

/* An error page without an end. */
static void error_page(request *q) {
    begin(q, 500, "\r\n");
    while (puts_to(q->fd, "sorry "))
        continue;
}

static void later(request *q) {
    char fields[64];
    snprintf(fields, sizeof fields, "Retry-After: %zu\r\n", number(q));
    head(q, 429, 0, fields);
}

static void redirect(const request *q, const char *to, const char *more) {
    char fields[8192];
    snprintf(fields, sizeof fields, "Location: %s\r\n%s", to, more);
    head(q, 302, 0, fields);
}

static void loop(request *q) {
    redirect(q, q->target, "");
}

static void moved(request *q) {
    char to[4200];
    snprintf(to, sizeof to, "/plain%s", q->path);
    redirect(q, to, "");
}

static void away(request *q) {
    char to[4300];
    snprintf(to, sizeof to, "http://127.0.0.1:%s/back=%d%s", peer, own_port, q->path);
    redirect(q, to, "");
}

/* Back to where the request of `away` came from. */
static void back(request *q) {
    char to[4300];
    snprintf(to, sizeof to, "http://127.0.0.1:%s/plain%s", q->arg, q->path);
    redirect(q, to, "");
}

static void to_file(request *q) {
    redirect(q, "file:///etc/passwd", "");
}

static void to_ftp(request *q) {
    redirect(q, "ftp://127.0.0.1/x", "");
}

/* As Hugging Face: the digest with the redirect. */
static void hub(request *q) {
    char to[4200], more[256];
    snprintf(to, sizeof to, "/plain%s", q->path);
    snprintf(more, sizeof more, "X-Linked-Etag: \"%s\"\r\n", q->arg);
    redirect(q, to, more);
}

/* ----------------------------------------------------------------------------------- requests */

static const struct mode {
    const char *name;
    void (*answer)(request *q);
} modes[] = {
    {"plain", plain},
    {"cut", cut},
    {"once", cut_once},
    {"version", version},
    {"busy", busy},
    {"chunked", chunked},
    {"novalidator", no_validator},
    {"modified", last_modified},
    {"norange", no_range},
    {"badrange", bad_range},
    {"badtotal", bad_total},
    {"etag206", other_etag},
    {"short", too_short},
    {"long", too_long},
    {"less", less},
    {"nolength", no_length},
    {"wrong", wrong},
    {"endless", endless},
    {"heads", endless_head},
    {"longhead", long_head},
    {"gzip", gzip},
    {"garbage", garbage},
    {"lengths", two_lengths},
    {"crawl", crawl},
    {"drip", crawl_once},
    {"huge", huge},
    {"status", status},
    {"page", error_page},
    {"later", later},
    {"loop", loop},
    {"moved", moved},
    {"away", away},
    {"back", back},
    {"tofile", to_file},
    {"toftp", to_ftp},
    {"hub", hub},
};

static int count_earlier(const char *target) {
    static char *seen[MAX_SEEN];
    static int counts[MAX_SEEN];
    int i = 0;
    while (i < MAX_SEEN - 1 && seen[i] && strcmp(seen[i], target) != 0)
        i++;
    if (!seen[i]) seen[i] = strdup(target);
    return counts[i]++;
}

static void take_field(const request *q, const char *name, char *out, size_t n_out) {
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(q->head, "\r\n"); line && line[2];
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *value = line + 2 + n + 1 + strspn(line + 2 + n + 1, " ");
            snprintf(out, n_out, "%.*s", (int)strcspn(value, "\r"), value);
        }
}

static bool read_head(request *q) {
    size_t n = 0;
    while (n < MAX_HEAD - 1) {
        ssize_t got = recv(q->fd, q->head + n, MAX_HEAD - 1 - n, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        q->head[n] = '\0';
        if (strstr(q->head, "\r\n\r\n")) break;
    }
    if (sscanf(q->head, "GET %4095s HTTP/1.1", q->target) != 1) return false;
    sscanf(q->target, "/%31[a-z0-9]", q->mode);
    const char *rest = q->target + 1 + strlen(q->mode);
    if (*rest == '=') sscanf(rest + 1, "%127[0-9a-z]", q->arg);
    rest += strcspn(rest, "/");
    snprintf(q->path, sizeof q->path, "%s", rest);
    take_field(q, "Range", q->range, sizeof q->range);
    take_field(q, "If-Range", q->if_range, sizeof q->if_range);
    take_field(q, "Authorization", q->authorization, sizeof q->authorization);
    return true;
}

static bool load_file(request *q) {
    char name[8192];
    const char *in_query = strstr(q->path, "FilePath=");
    snprintf(name, sizeof name, "%s%.*s%s%s", root, (int)strcspn(q->path, "?"), q->path,
             in_query ? "/" : "", in_query ? in_query + strlen("FilePath=") : "");
    FILE *f = fopen(name, "rb");
    if (!f) return false;
    fseek(f, 0, SEEK_END);
    q->n_bytes = (size_t)ftell(f);
    rewind(f);
    q->data = malloc(q->n_bytes + 1);
    bool ok = q->data && fread(q->data, 1, q->n_bytes, f) == q->n_bytes;
    fclose(f);
    return ok;
}

static void answer(request *q) {
    q->nth = count_earlier(q->target);
    FILE *log = fopen(log_name, "a");
    if (log) {
        fprintf(log, "%d %s range=%s if-range=%s authorization=%s\n", own_port, q->target, q->range,
                q->if_range, q->authorization);
        fclose(log);
    }
    bool loaded = load_file(q);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(q->mode, modes[i].name) == 0 && (loaded || strncmp(q->mode, "status", 6) == 0)) {
            modes[i].answer(q);
            return;
        }
    head(q, 404, 0, "");
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    root = argv[1];
    log_name = argv[2];
    if (argc > 3) peer = argv[3];
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, n) != 0 ||
        listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *)&address, &n) != 0) {
        perror("hostile_server");
        return 1;
    }
    own_port = ntohs(address.sin_port);
    printf("%d\n", own_port);
    fflush(stdout);
    for (;;) {
        request *q = calloc(1, sizeof *q);
        if (!q || (q->fd = accept(listener, NULL, NULL)) < 0) return 1;
        struct timeval limit = {5, 0};
        setsockopt(q->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(q->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (read_head(q)) answer(q);
        close(q->fd);
        free(q->data);
        free(q);
    }
}
