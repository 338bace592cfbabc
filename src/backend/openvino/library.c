#include "backend/openvino/api.h"

#include "backend/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

tw_ov_runtime tw_ov;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What OpenVINO's texts mean for a user: the first row whose words all occur. */
static const struct meaning {
    const char *has, *line;
} meanings[] = {
    {"is not registered", "OpenVINO has no such device on this machine"},
    {"libOpenCL.so.1: cannot open", "OpenVINO's GPU needs an OpenCL driver (libOpenCL.so.1)"},
    {"VCL compiler loading failed", "OpenVINO's NPU is not available on this machine"},
    {"Invalid usage of method for externally stored data",
     "the graph's side file is missing or cut short"},
    {"which is outside the base directory", "the graph names a side file outside its folder"},
    {"Model wasn't fully converted", "the graph is not valid for OpenVINO"},
    {"Couldn't create directory", "the cache folder cannot be made"},
};

/* Of many lines the one that says something: not where it was thrown, nor which check failed. */
static void useful_line(const char *text, char *out, size_t n) {
    out[0] = 0;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (strstr(text, meanings[i].has)) {
            snprintf(out, n, "%s", meanings[i].line);
            return;
        }
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        if (length > 0 && strncmp(line, "Exception from", 14) != 0 &&
            strncmp(line, "Check '", 7) != 0 && strncmp(line, "FrontEnd API failed", 19) != 0 &&
            strncmp(line, "Loading input model", 19) != 0) {
            snprintf(out, n, "%.*s", (int)length, line);
            return;
        }
        line += length + (line[length] == '\n');
    }
}

tw_status tw_ov_check(int result, const char *what, tw_error *err) {
    char line[256] = "";
    if (result == 0) return TW_OK;
    /* The newest message of the whole process: taken at once, and not there for every error. */
    const char *text = tw_ov.get_last_err_msg();
    if (text) useful_line(text, line, sizeof line);
    tw_ov.free(text);
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %s", what,
                   line[0] ? line : tw_ov.get_error_info(result));
}

static tw_status take_functions(void *handle, const char *path, tw_error *err) {
    static const char *const names[] = {
#define TW_OV_NAME(result, name, arguments) "ov_" #name,
        TW_OV_FUNCTIONS(TW_OV_NAME)
#undef TW_OV_NAME
    };
    /* The pointers are the first members, in the order of the names. */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *address = dlsym(handle, names[i]);
        if (!address)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no OpenVINO of 2025 or later, it lacks %s",
                           path, names[i]);
        memcpy((char *)&tw_ov + i * sizeof address, &address, sizeof address);
    }
    return TW_OK;
}

static tw_status open_once(const char *library, tw_error *err) {
    static const char *const names[] = {"libopenvino_c.so", NULL};
    static const tw_library_place place = {"openvino", "TUWEN_OPENVINO", names, "libopenvino_c.so",
                                           "PyPI's openvino has it"};
    char path[sizeof tw_ov.path];
    void *handle = NULL;
    tw_ov_version version = {0};
    TW_TRY(tw_library_open(&place, library, &handle, path, sizeof path, err));
    TW_TRY(take_functions(handle, path, err));
    TW_TRY(tw_ov_check(tw_ov.get_openvino_version(&version), "openvino", err));
    snprintf(tw_ov.version, sizeof tw_ov.version, "%.*s", (int)strcspn(version.build, "-"),
             version.build);
    tw_ov.version_free(&version);
    TW_TRY(tw_ov_check(tw_ov.core_create(&tw_ov.core), "openvino", err));
    memcpy(tw_ov.path, path, sizeof path);
    return TW_OK;
}

/* What is open stays open: a runtime's threads outlive its handle. */
tw_status tw_ov_open(const char *library, tw_error *err) {
    static char chosen[512];
    const char *wanted = library ? library : "";
    tw_status status = TW_OK;
    pthread_mutex_lock(&lock);
    if (!tw_ov.path[0]) {
        status = open_once(library, err);
        if (status == TW_OK) snprintf(chosen, sizeof chosen, "%s", wanted);
    } else if (strcmp(chosen, wanted) != 0) {
        status = tw_fail(err, TW_ERR_UNSUPPORTED, "%s: this process already uses OpenVINO of %s",
                         wanted, tw_ov.path);
    }
    pthread_mutex_unlock(&lock);
    return status;
}
