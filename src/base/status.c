#include "base/status.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *tw_version(void) {
    return TUWEN_VERSION;
}

const char *tw_status_name(tw_status status) {
    static const char *const names[] = {
        "ok",       "argument",  "io",    "format",    "unsupported",
        "mismatch", "ambiguous", "limit", "no memory", "cancelled",
    };
    if ((unsigned)status >= sizeof names / sizeof *names) return "unknown";
    return names[status];
}

/* A message must stay one readable line whatever a hostile file put into a name: control
 * characters (C1 and the marks that turn text around too) and bytes that are not UTF-8 become '?'.
 */
static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void make_one_line(char *s) {
    size_t n = strlen(s), out = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t bytes = tw_utf8_decode((const uint8_t *)s + i, n - i, &c);
        if (bytes == 0 || is_control(c)) {
            s[out++] = '?';
            i += bytes ? bytes : 1;
            continue;
        }
        memmove(s + out, s + i, bytes);
        out += bytes;
        i += bytes;
    }
    s[out] = '\0';
}

/* Cuts a UTF-8 sequence that snprintf split at the end of the buffer. */
static void trim_partial_utf8(char *s, size_t capacity) {
    size_t n = strlen(s);
    if (n + 1 < capacity) return;
    size_t i = n;
    while (i > 0 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0) return;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (n - (i - 1) < need) s[i - 1] = '\0';
}

static void set_message(tw_error *err, tw_status status, const char *fmt, va_list args) {
    err->status = status;
    vsnprintf(err->message, sizeof err->message, fmt, args);
    trim_partial_utf8(err->message, sizeof err->message);
    make_one_line(err->message);
}

tw_status tw_fail(tw_error *err, tw_status status, const char *fmt, ...) {
    if (err) {
        va_list args;
        va_start(args, fmt);
        set_message(err, status, fmt, args);
        va_end(args);
    }
    return status;
}

tw_status tw_fail_errno(tw_error *err, int errno_value, const char *fmt, ...) {
    if (err) {
        va_list args;
        va_start(args, fmt);
        set_message(err, TW_ERR_IO, fmt, args);
        va_end(args);
        size_t n = strlen(err->message);
        snprintf(err->message + n, sizeof err->message - n, ": %s", strerror(errno_value));
        make_one_line(err->message);
    }
    return TW_ERR_IO;
}

void tw_error_context(tw_error *err, const char *fmt, ...) {
    if (!err) return;
    char context[sizeof err->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    char joined[2 * sizeof err->message + 3];
    snprintf(joined, sizeof joined, "%s: %s", context, err->message);
    memcpy(err->message, joined, sizeof err->message - 1);
    err->message[sizeof err->message - 1] = '\0';
    trim_partial_utf8(err->message, sizeof err->message);
    make_one_line(err->message);
}

tw_status tw_fail_no_memory(tw_error *err, size_t n_bytes) {
    return tw_fail(err, TW_ERR_NO_MEMORY, "out of memory: %zu bytes asked for", n_bytes);
}

void tw_log(const tw_hooks *hooks, tw_log_level level, const char *fmt, ...) {
    if (!hooks || !hooks->log) return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    make_one_line(line);
    hooks->log(hooks->user, level, line);
}

tw_status tw_progress(const tw_hooks *hooks, const char *stage, uint64_t done, uint64_t total,
                      tw_error *err) {
    if (!hooks || !hooks->progress || hooks->progress(hooks->user, stage, done, total))
        return TW_OK;
    return tw_fail(err, TW_ERR_CANCELLED, "cancelled during %s at %llu of %llu", stage,
                   (unsigned long long)done, (unsigned long long)total);
}
