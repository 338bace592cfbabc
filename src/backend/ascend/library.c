#include "backend/ascend/api.h"

#include "backend/library.h"
#include "base/size.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

tw_acl_functions tw_acl;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char opened[PATH_MAX]; /* the library's file; empty: none */
static char version[32];
static size_t n_users;
static bool is_ours; /* we initialised it, and give it back */

static const char *const symbols[] = {
#define TW_ACL_SYMBOL(result, name, arguments) "acl" #name,
    TW_ACL_FUNCTIONS(TW_ACL_SYMBOL)
#undef TW_ACL_SYMBOL
};
_Static_assert(TW_COUNT(symbols) * sizeof(void *) == sizeof(tw_acl_functions), "one name each");

/* The library's text has several lines: codes and reasons, advice, where it was. */
tw_status tw_acl_check(int result, const char *what, tw_error *err) {
    if (result == 0) return TW_OK;
    const char *text = tw_acl.GetRecentErrMsg();
    if (!text) text = "";
    text += strspn(text, " \t\r\n");
    int n = (int)TW_MIN(strcspn(text, "\r\n"), (size_t)200);
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: AscendCL's error %d%s%.*s", what, result,
                   n ? ": " : "", n, text);
}

static tw_status take_functions(void *handle, const char *path, tw_error *err) {
    tw_acl_functions f;
    for (size_t i = 0; i < TW_COUNT(symbols); i++) {
        void *address = dlsym(handle, symbols[i]);
        if (!address)
            return tw_fail(
                err, TW_ERR_UNSUPPORTED,
                "%s: no AscendCL that fits, it lacks %s (is CANN's set_env.sh of another "
                "version?)",
                path, symbols[i]);
        memcpy((char *)&f + i * sizeof address, &address, sizeof address);
    }
    tw_acl = f;
    return TW_OK;
}

static tw_status take_version(const char *path, tw_error *err) {
    int32_t v[3] = {0};
    TW_TRY(tw_acl_check(tw_acl.rtGetVersion(&v[0], &v[1], &v[2]), path, err));
    snprintf(version, sizeof version, "AscendCL %d.%d.%d", (int)v[0], (int)v[1], (int)v[2]);
    if (v[0] == 1) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "%s: %s, expected AscendCL 1 (source the set_env.sh of a CANN that has it)",
                   path, version);
}

static tw_status open_once(const char *library, tw_error *err) {
    static const char *const names[] = {"libascendcl.so", NULL};
    static const tw_library_place place = {"ascend", "TUWEN_ASCEND", names, "libascendcl.so",
                                           "source set_env.sh of Huawei's CANN first"};
    char path[PATH_MAX];
    void *handle = NULL;
    TW_TRY(tw_library_open(&place, library, &handle, path, sizeof path, err));
    TW_TRY(take_functions(handle, path, err));
    TW_TRY(take_version(path, err));
    memcpy(opened, path, sizeof opened);
    return TW_OK;
}

/* What is open stays open: the library's threads outlive its handle. */
static tw_status start(const char *library, tw_error *err) {
    static char chosen[PATH_MAX];
    const char *wanted = library ? library : "";
    if (!opened[0]) {
        TW_TRY(open_once(library, err));
        snprintf(chosen, sizeof chosen, "%s", wanted);
    } else if (strcmp(chosen, wanted) != 0) {
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: this process already uses %s", wanted, opened);
    }
    if (n_users++ > 0) return TW_OK;
    int result = tw_acl.Init(NULL);
    is_ours = result == 0;
    if (is_ours || result == TW_ACL_REPEAT_INITIALIZE) return TW_OK;
    n_users--;
    return tw_acl_check(result, "backend ascend (has CANN's set_env.sh been sourced?)", err);
}

tw_status tw_acl_start(const char *library, tw_error *err) {
    pthread_mutex_lock(&lock);
    tw_status status = start(library, err);
    pthread_mutex_unlock(&lock);
    return status;
}

void tw_acl_stop(void) {
    pthread_mutex_lock(&lock);
    if (--n_users == 0 && is_ours) tw_acl.Finalize();
    pthread_mutex_unlock(&lock);
}

const char *tw_acl_version(void) {
    return version;
}
