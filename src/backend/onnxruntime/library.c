#define _XOPEN_SOURCE 700 /* setenv */

#include "backend/onnxruntime/api.h"

#include "backend/library.h"
#include "base/size.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tw_ort_runtime tw_ort;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_log[512]; /* the newest line of level error; the reason is often only there */

/* ------------------------------------------------------------------------------------- errors */

static void take_log(void *param, int level, const char *category, const char *id,
                     const char *where, const char *text) {
    (void)param, (void)category, (void)id, (void)where;
    if (level < 3) return;
    pthread_mutex_lock(&log_lock);
    snprintf(last_log, sizeof last_log, "%s", text ? text : "");
    pthread_mutex_unlock(&log_lock);
}

void tw_ort_forget_log(void) {
    pthread_mutex_lock(&log_lock);
    last_log[0] = 0;
    pthread_mutex_unlock(&log_lock);
}

/* What the runtime's texts mean for a user. `{}` in the line is what stood between the two marks.
 */
typedef struct meaning {
    const char *before, *after; /* NULL `after`: the line has no {} */
    const char *line;
} meaning;

static const meaning meanings[] = {
    {"[OpenVINO] Device ", " is not available", "OpenVINO has no device {} on this machine"},
    {"CPU only supports FP32", NULL,
     "OpenVINO on CPU under ONNX Runtime takes precision f32 only (the setting load_config has "
     "more)"},
    {"Invalid provider_option key: ", "\n", "unknown OpenVINO option {}"},
    {"Unsupported property ", " by CPU plugin", "unknown OpenVINO property {}"},
    {"Number of threads should be a number", NULL, "num_of_threads must be a number"},
    {"libonnxruntime_providers_openvino.so", NULL,
     "this ONNX Runtime has no OpenVINO provider (onnxruntime-openvino has)"},
    {"libcuda.so.1: cannot open", NULL, "no NVIDIA driver on this machine (libcuda.so.1)"},
    {"error: libcu", ": cannot open", "CUDA libraries not found (libcu{})"},
    {"error: libnvinfer", ": cannot open", "TensorRT not found (libnvinfer{})"},
    {"Unknown provider option: \"", "\"", "unknown option {} of the provider"},
    {"Failed to parse provider option \"", "\"", "bad value of the provider's option {}"},
    {"CUDA execution provider is not enabled in this build", NULL,
     "this ONNX Runtime has no CUDA support (onnxruntime-gpu has)"},
    {"TensorRT execution provider is not enabled in this build", NULL,
     "this ONNX Runtime has no TensorRT support (onnxruntime-gpu has)"},
    {"execution provider is not supported in this build", NULL,
     "this ONNX Runtime was built without that provider"},
    {"Failed to get symbol CreateEpFactories", NULL, "not a library of ONNX Runtime providers"},
    {"External data path does not exist: ", "\n", "the graph's side file is missing: {}"},
    {"External data path escapes model directory", NULL,
     "the graph names a side file outside its folder"},
    {"External data path validation failed", NULL, "the graph names a side file it may not"},
    {"out of bounds or can not be read in full", NULL, "the graph's side file is cut short"},
    {"bound to different types", NULL,
     "the types in this f16 graph do not agree: it was spoilt when it was converted, export it "
     "again"},
};

/* The line for `text`, into `out`; false when no row fits. */
static bool explain(const char *text, char *out, size_t n_out) {
    for (size_t i = 0; i < TW_COUNT(meanings); i++) {
        const meaning *m = &meanings[i];
        const char *at = strstr(text, m->before);
        if (!at) continue;
        const char *mark = strstr(m->line, "{}");
        if (!mark) {
            snprintf(out, n_out, "%s", m->line);
            return true;
        }
        at += strlen(m->before);
        const char *end = m->after ? strstr(at, m->after) : NULL;
        int n = (int)(end ? end - at : (ptrdiff_t)strcspn(at, "\n"));
        snprintf(out, n_out, "%.*s%.*s%s", (int)(mark - m->line), m->line, n, at, mark + 2);
        return true;
    }
    return false;
}

tw_status tw_ort_check(tw_ort_handle status, const char *what, tw_error *err) {
    if (!status) return TW_OK;
    char log[sizeof last_log], line[256];
    const char *text =
        ((const char *(*)(tw_ort_handle))tw_ort.table[ORT_GET_ERROR_MESSAGE])(status);
    pthread_mutex_lock(&log_lock);
    memcpy(log, last_log, sizeof log);
    pthread_mutex_unlock(&log_lock);
    tw_status result;
    if (explain(text, line, sizeof line) || explain(log, line, sizeof line))
        result = tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %s", what, line);
    else
        result = tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
    ORT_RELEASE(ORT_RELEASE_STATUS, status);
    return result;
}

/* ------------------------------------------------------------------------------------ opening */

static tw_status take_table(void *handle, const char *path, tw_error *err) {
    typedef struct api_base {
        const tw_ort_function *(*get_api)(uint32_t version);
        const char *(*get_version)(void);
    } api_base;
    const api_base *(*get_base)(void) = NULL;
    void *address = dlsym(handle, "OrtGetApiBase");
    memcpy(&get_base, &address, sizeof address);
    if (!address) return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: not ONNX Runtime", path);
    const api_base *base = get_base();
    snprintf(tw_ort.version, sizeof tw_ort.version, "%s", base->get_version());
    unsigned major = 0, minor = 0;
    if (sscanf(tw_ort.version, "%u.%u", &major, &minor) != 2 || major != 1 ||
        minor < ORT_OLDEST_API)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "%s: ONNX Runtime %.32s, expected 1.%d or later (PyPI's onnxruntime)", path,
                       tw_ort.version, ORT_OLDEST_API);
    tw_ort.api = TW_MIN(minor, ORT_ASSIGNMENT_API);
    tw_ort.table = base->get_api(tw_ort.api);
    if (tw_ort.table) return TW_OK;
    return tw_fail(
        err, TW_ERR_UNSUPPORTED,
        "%s: ONNX Runtime %s refuses its own API %u: a damaged or foreign build, install another",
        path, tw_ort.version, tw_ort.api);
}

static tw_status create_environment(tw_error *err) {
    typedef void (*logger)(void *, int, const char *, const char *, const char *, const char *);
    TW_TRY(tw_ort_check(ORT(ORT_CREATE_ENV_WITH_LOGGER, logger, void *, int, const char *,
                            tw_ort_handle *)(take_log, NULL, 3, "tuwen", &tw_ort.env),
                        "onnxruntime", err));
    TW_TRY(tw_ort_check(ORT(ORT_DEFAULT_ALLOCATOR, tw_ort_handle *)(&tw_ort.allocator),
                        "onnxruntime", err));
    return tw_ort_check(
        ORT(ORT_CREATE_CPU_MEMORY_INFO, int, int, tw_ort_handle *)(0, 0, &tw_ort.cpu_memory),
        "onnxruntime", err);
}

static tw_status open_once(const char *library, tw_error *err) {
    static const char *const names[] = {"libonnxruntime.so.1", "libonnxruntime.so", NULL};
    static const tw_library_place place = {"onnxruntime", "TUWEN_ONNXRUNTIME", names,
                                           "libonnxruntime.so", "PyPI's onnxruntime has it"};
    char path[sizeof tw_ort.path];
    void *handle = NULL;
    /* Builds from 1.29 on report to Microsoft, from the moment they are opened, unless this is set;
     * a user who sets it decides. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    TW_TRY(tw_library_open(&place, library, &handle, path, sizeof path, err));
    TW_TRY(take_table(handle, path, err));
    tw_status status = create_environment(err);
    if (status != TW_OK) {
        tw_ort.table = NULL;
        return status;
    }
    memcpy(tw_ort.path, path, sizeof path);
    return TW_OK;
}

/* What is open stays open: a runtime's threads outlive its handle. */
tw_status tw_ort_open(const char *library, tw_error *err) {
    static char chosen[512];
    tw_status status = TW_OK;
    pthread_mutex_lock(&lock);
    if (!tw_ort.path[0]) {
        status = open_once(library, err);
        if (status == TW_OK) snprintf(chosen, sizeof chosen, "%s", library ? library : "");
    } else if (strcmp(chosen, library ? library : "") != 0) {
        status =
            tw_fail(err, TW_ERR_UNSUPPORTED, "%s: this process already uses ONNX Runtime of %s",
                    library ? library : "libonnxruntime.so.1", tw_ort.path);
    }
    pthread_mutex_unlock(&lock);
    return status;
}
