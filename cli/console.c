#define _GNU_SOURCE
#include "console.h"

#include "args.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)

/* The state of the one process this is: the library has no such thing, the command may. */
static struct {
    const char *verb;
    int mode;
    bool bar_shown, output_failed;
    const char *stage; /* of the work under way; NULL: none */
    uint64_t base, total;
    uint64_t done, of; /* as last reported */
    uint64_t begin_ns, shown_ns;
} console = {.verb = "", .mode = CLI_PROGRESS_AUTO};

static volatile sig_atomic_t working, interrupted;

/* ---------------------------------------------------------------------------------- signals */

static void on_signal(int number) {
    if (number == SIGPIPE) { /* nobody reads on: end as any program in a pipe does */
        tw_output_abort_all();
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
        return;
    }
    if (working && !interrupted) {
        interrupted = number;
        return;
    }
    tw_output_abort_all();
    _exit(128 + number);
}

static void catch_signal(int number) {
    struct sigaction old, action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    /* What the parent told us to ignore (nohup, a background job) stays ignored. */
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN) return;
    sigaction(number, &action, NULL);
}

int cli_interrupted(void) {
    return interrupted;
}

void cli_console_init(const char *verb) {
    console.verb = verb;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
    catch_signal(SIGPIPE);
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit is an error of write(), as a full disk */
}

void cli_console_set_progress(int mode) {
    console.mode = mode ? mode : CLI_PROGRESS_AUTO;
}

/* --------------------------------------------------------------------------------- messages */

static void clear_bar(void) {
    if (console.bar_shown) fputs("\r\x1b[K", stderr);
    console.bar_shown = false;
}

void cli_error(const char *fmt, ...) {
    clear_bar();
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    fprintf(stderr, "tuwen%s%s: %s\n", console.verb[0] ? " " : "", console.verb, line);
}

void cli_output_failed(void) {
    int e = errno;
    if (!console.output_failed) cli_error("standard output: %s", strerror(e ? e : EIO));
    console.output_failed = true;
}

int cli_fail(const tw_error *err) {
    if (console.output_failed) return CLI_FAILED;
    if (interrupted) {
        cli_error("stopped by %s", interrupted == SIGINT ? "Ctrl-C" : strsignal(interrupted));
        return 128 + interrupted;
    }
    cli_error("%s", err->message[0] ? err->message : tw_status_name(err->status));
    return err->status == TW_ERR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

int cli_finish(int status) {
    clear_bar();
    if (!console.output_failed && (fflush(stdout) != 0 || ferror(stdout))) cli_output_failed();
    bool lost = console.output_failed && (status == CLI_DONE || status == CLI_SKIPPED);
    return lost ? CLI_FAILED : status;
}

/* --------------------------------------------------------------------------------- progress */

typedef struct pace {
    double seconds, per_second;
    double left; /* seconds; negative: not known */
} pace;

static pace measure(uint64_t done, uint64_t total) {
    pace p = {.seconds = (double)(tw_now_ns() - console.begin_ns) / 1e9, .left = -1};
    if (p.seconds > 0) p.per_second = (double)done / p.seconds;
    if (p.per_second > 0 && total >= done) p.left = (double)(total - done) / p.per_second;
    return p;
}

/* "1:07", "2:03:09", or "?" */
static void format_time(double seconds, char *buf, size_t n) {
    if (seconds < 0 || seconds > 1e7) {
        snprintf(buf, n, "?");
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        snprintf(buf, n, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, n, "%u:%02u", s / 60, s % 60);
}

/* Counts for people: bytes (the hashing and the converting count them) as MB. */
static void format_counts(uint64_t done, uint64_t total, double rate, char *buf, size_t n) {
    if (total >= UINT64_C(100000000))
        snprintf(buf, n, "%llu/%llu MB  %.0f MB/s", (unsigned long long)done / 1000000,
                 (unsigned long long)total / 1000000, rate / 1e6);
    else
        snprintf(buf, n, "%llu/%llu  %.*f/s", (unsigned long long)done, (unsigned long long)total,
                 rate < 100 ? 1 : 0, rate);
}

static void show_text(const char *stage, uint64_t done, uint64_t total, bool bar) {
    enum { WIDTH = 24 };
    pace p = measure(done, total);
    char left[32], counts[96], drawing[WIDTH + 1];
    format_time(p.left, left, sizeof left);
    format_counts(done, total, p.per_second, counts, sizeof counts);
    int percent = total ? (int)((double)done * 100 / (double)total) : 0;
    int filled = total ? (int)((double)done * WIDTH / (double)total) : 0;
    for (int i = 0; i < WIDTH; i++)
        drawing[i] = i < filled ? '#' : '.';
    drawing[WIDTH] = '\0';
    if (bar)
        fprintf(stderr, "\r\x1b[K%s [%s] %3d%%  %s  %s left", stage, drawing, percent, counts,
                left);
    else
        fprintf(stderr, "tuwen %s: %s %3d%%  %s  %s left\n", console.verb, stage, percent, counts,
                left);
    console.bar_shown = bar;
    fflush(stderr);
}

static void show_json(const char *stage, uint64_t done, uint64_t total) {
    pace p = measure(done, total);
    fprintf(stderr,
            "{\"progress\": {\"stage\": \"%s\", \"done\": %llu, \"total\": %llu, "
            "\"seconds\": %.1f, \"per_second\": %.1f, \"seconds_left\": ",
            stage, (unsigned long long)done, (unsigned long long)total, p.seconds, p.per_second);
    if (p.left < 0)
        fputs("null}}\n", stderr);
    else
        fprintf(stderr, "%.1f}}\n", p.left);
}

static void show(const char *stage, uint64_t done, uint64_t total, bool last) {
    console.done = done;
    console.of = total;
    if (console.mode == CLI_PROGRESS_NEVER) return;
    bool bar = console.mode == CLI_PROGRESS_ALWAYS ||
               (console.mode == CLI_PROGRESS_AUTO && isatty(STDERR_FILENO));
    bool json = console.mode == CLI_PROGRESS_JSON;
    uint64_t now = tw_now_ns();
    uint64_t pause = json ? SECOND_NS : bar ? SECOND_NS / 10 : 10 * SECOND_NS;
    /* A bar first shows after half a second: what is done by then needs none. */
    bool due = now - console.shown_ns >= pause && (!bar || now - console.begin_ns >= SECOND_NS / 2);
    if (console.mode == CLI_PROGRESS_ALWAYS) due = due || last;
    if (!due && !(json && last)) return;
    console.shown_ns = now;
    if (json)
        show_json(stage, done, total);
    else
        show_text(stage, done, total, bar);
}

void cli_work_begin(const char *stage, uint64_t total) {
    console.stage = stage;
    console.base = console.done = 0;
    console.total = console.of = total;
    console.begin_ns = console.shown_ns = tw_now_ns();
    working = 1;
}

void cli_work_at(uint64_t done) {
    console.base = done;
    show(console.stage, done, console.total, false);
}

void cli_work_end(void) {
    if (console.stage && console.done > 0) show(console.stage, console.done, console.of, true);
    clear_bar();
    console.stage = NULL;
    working = 0;
}

static bool on_progress(void *user, const char *stage, uint64_t done, uint64_t total) {
    if (!console.stage) return !interrupted;
    /* Inside one call of many the counts continue from where it began; a call that is the whole
     * work (total 0 at its beginning) brings its own. */
    if (console.total)
        show(console.stage, console.base + done, console.total, false);
    else
        show(stage, done, total, false);
    return !interrupted;
}

static void on_log(void *user, tw_log_level level, const char *message) {
    if (level >= TW_LOG_INFO) cli_error("%s", message);
}

const tw_hooks *cli_hooks(void) {
    static const tw_hooks hooks = {sizeof(tw_hooks), on_log, on_progress, NULL};
    return &hooks;
}
