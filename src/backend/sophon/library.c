#define _XOPEN_SOURCE 700 /* realpath */

#include "backend/sophon/api.h"

#include "base/file.h"
#include "base/size.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

tw_bm_functions tw_bm;

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static char opened[PATH_MAX]; /* the runtime's library; empty: none */

static const char *const symbols[] = {
    "bm_dev_getcount", "bm_dev_request",        "bm_dev_free",
    "bm_get_chipid",   "bm_memcpy_s2d_partial", "bm_memcpy_d2s_partial",
    "bm_thread_sync",  "bm_free_device",        "bmrt_create",
    "bmrt_destroy",    "bmrt_load_bmodel_data", "bmrt_get_network_info",
    "bmrt_tensor",     "bmrt_launch_tensor_ex"};
_Static_assert(TW_COUNT(symbols) * sizeof(void *) == sizeof(tw_bm_functions), "one name each");

/* ------------------------------------------------------------------------------------ opening */

/* `names` in `folder` (NULL: wherever the loader looks), in turn; `path` gets what was opened. */
static void *open_first(const char *folder, const char *const *names, char *path) {
    for (; *names; names++) {
        char joined[PATH_MAX + 32], resolved[PATH_MAX];
        snprintf(joined, sizeof joined, "%s%s%s", folder ? folder : "", folder ? "/" : "", *names);
        /* Their parts lie beside the file itself. */
        const char *name = folder && realpath(joined, resolved) ? resolved : joined;
        void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!handle) continue;
        if ((size_t)snprintf(path, PATH_MAX, "%s", name) < PATH_MAX) return handle;
        dlclose(handle);
    }
    return NULL;
}

static tw_status take_functions(void *bmlib, void *bmrt, const char *path, tw_error *err) {
    tw_bm_functions f;
    for (size_t i = 0; i < TW_COUNT(symbols); i++) {
        void *address = dlsym(strncmp(symbols[i], "bmrt_", 5) == 0 ? bmrt : bmlib, symbols[i]);
        if (!address)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no function %s", path, symbols[i]);
        memcpy((char *)&f + i * sizeof address, &address, sizeof address);
    }
    tw_bm = f;
    return TW_OK;
}

static tw_status open_once(const char *folder, tw_error *err) {
    static const char *const bmlib_names[] = {"libbmlib.so.0", "libbmlib.so", NULL};
    static const char *const bmrt_names[] = {"libbmrt.so.1.0", "libbmrt.so", NULL};
    char path[PATH_MAX] = "";
    void *bmlib = open_first(folder, bmlib_names, path);
    void *bmrt = bmlib ? open_first(folder, bmrt_names, path) : NULL;
    if (!bmrt && folder)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no %s that can be opened in this folder (%s)",
                       folder, bmlib ? "libbmrt.so" : "libbmlib.so", dlerror());
    if (!bmrt)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "backend sophon: libbmrt.so and libbmlib.so are not installed; give their "
                       "folder with --library or TUWEN_SOPHON (they are in SOPHON's libsophon)");
    TW_TRY(take_functions(bmlib, bmrt, path, err));
    memcpy(opened, path, sizeof opened);
    return TW_OK;
}

/* The folder that `library` is, or that the file lies in. */
static tw_status find_folder(const char *library, char *out, tw_error *err) {
    struct stat st;
    if (!realpath(library, out) || stat(out, &st) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no such folder of libraries", library);
    char *slash = strrchr(out, '/');
    if (!S_ISDIR(st.st_mode) && slash) *slash = 0;
    return TW_OK;
}

/* What is open stays open: the library's threads outlive its handle. */
tw_status tw_bm_open(const char *library, tw_error *err) {
    static char chosen[PATH_MAX];
    char folder[PATH_MAX] = "";
    const char *variable = getenv("TUWEN_SOPHON");
    if (!library && variable && variable[0]) library = variable;
    if (library) TW_TRY(find_folder(library, folder, err));
    tw_status status = TW_OK;
    pthread_mutex_lock(&open_lock);
    if (!opened[0]) {
        status = open_once(library ? folder : NULL, err);
        memcpy(chosen, folder, sizeof chosen);
    } else if (strcmp(chosen, folder) != 0) {
        status =
            tw_fail(err, TW_ERR_UNSUPPORTED, "%s: this process already uses %s", folder, opened);
    }
    pthread_mutex_unlock(&open_lock);
    return status;
}

const char *tw_bm_library(void) {
    const char *slash = strrchr(opened, '/');
    return slash ? slash + 1 : opened;
}

bool tw_bm_has_host_layers(void) {
    char path[PATH_MAX + 32];
    const char *slash = strrchr(opened, '/');
    snprintf(path, sizeof path, "%.*slibcpuop.so", slash ? (int)(slash - opened) + 1 : 0, opened);
    if (slash && access(path, R_OK) == 0) return true;
    void *handle = dlopen("libcpuop.so", RTLD_NOW | RTLD_LOCAL);
    if (handle) dlclose(handle);
    return handle != NULL;
}

/* ------------------------------------------------------------------------------------ talking */

static pthread_mutex_t call_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *said;     /* what is said; NULL: it could not be made and is lost */
static int saved = -1; /* standard output, during a call */

/* The end of what was said in this call, into text[n]. */
static void read_said(char *text, size_t n) {
    ssize_t n_read = -1;
    if (said) {
        off_t end = lseek(fileno(said), 0, SEEK_END);
        n_read = pread(fileno(said), text, n - 1, end > (off_t)n - 1 ? end - (off_t)n + 1 : 0);
    }
    text[n_read > 0 ? n_read : 0] = 0;
}

/* The last line that is not empty, without "[BMRT][place] LEVEL:". */
void tw_bm_said(char *out, size_t n) {
    char text[2048];
    read_said(text, sizeof text);
    size_t length = strlen(text);
    while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = 0;
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    const char *bracket = strrchr(line, ']');
    if (line[0] == '[' && bracket) line = bracket + 1 + strspn(bracket + 1, " ");
    snprintf(out, n, "%s", line);
}

/* Sends standard output where nobody reads. */
static void silence(void) {
    int quiet = said ? fileno(said) : open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (quiet >= 0) dup2(quiet, STDOUT_FILENO);
    if (quiet >= 0 && !said) close(quiet);
}

/* The process ends in a call: the library's last words, and no half-written output. */
static void report_end(void) {
    char text[2048];
    if (saved < 0) return;
    tw_output_abort_all();
    fflush(stdout);
    read_said(text, sizeof text);
    fprintf(stderr, "tuwen: SOPHON's library ended the process; it said:\n%s", text);
}

static void silence_the_end(void) {
    fflush(stdout);
    silence();
}

/* Handlers run from the last to the first: this one before those that the library left. */
void tw_bm_done(void) {
    static bool registered;
    pthread_mutex_lock(&call_lock);
    if (!registered) atexit(silence_the_end);
    registered = true;
    pthread_mutex_unlock(&call_lock);
}

void tw_bm_enter(void) {
    static bool tried;
    pthread_mutex_lock(&call_lock);
    if (!tried) {
        tried = true;
        said = tmpfile();
        atexit(report_end);
    }
    fflush(stdout);
    if (said && ftruncate(fileno(said), 0) == 0) lseek(fileno(said), 0, SEEK_SET);
    saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (saved >= 0) silence();
}

void tw_bm_leave(void) {
    fflush(stdout);
    if (saved >= 0) {
        dup2(saved, STDOUT_FILENO);
        close(saved);
    }
    saved = -1;
    pthread_mutex_unlock(&call_lock);
}
