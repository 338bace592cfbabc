/* Libraries of providers, registered with ONNX Runtime at run time (API 22). */
#define _XOPEN_SOURCE 700 /* realpath */

#include "backend/onnxruntime/provider.h"

#include "base/buffer.h"
#include "base/size.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_LIBRARIES = 8 };

/* Registered once a process, and never taken back: sessions may live anywhere. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *registered[MAX_LIBRARIES];

static tw_status register_locked(const char *path, const char *word, tw_error *err) {
    size_t i = 0;
    while (i < MAX_LIBRARIES && registered[i] && strcmp(registered[i], path) != 0)
        i++;
    if (i == MAX_LIBRARIES)
        return tw_fail(err, TW_ERR_LIMIT, "%s: more than %d provider libraries", path,
                       MAX_LIBRARIES);
    if (registered[i]) return TW_OK;
    tw_ort_forget_log();
    TW_TRY(tw_ort_check(ORT(ORT_REGISTER_LIBRARY, tw_ort_handle, const char *,
                            const char *)(tw_ort.env, word, path),
                        path, err));
    registered[i] = strdup(path);
    return registered[i] ? TW_OK : tw_fail_no_memory(err, strlen(path));
}

static const char *text_of(int slot, tw_ort_handle object) {
    const char *text = ((const char *(*)(tw_ort_handle))tw_ort.table[slot])(object);
    return text ? text : "";
}

static const char *kind_of(tw_ort_handle device) {
    static const char *const kinds[] = {"CPU", "GPU", "NPU"};
    tw_ort_handle hardware =
        ((tw_ort_handle(*)(tw_ort_handle))tw_ort.table[ORT_EP_DEVICE_HARDWARE])(device);
    int kind = ((int (*)(tw_ort_handle))tw_ort.table[ORT_HARDWARE_KIND])(hardware);
    return kind >= 0 && kind < (int)TW_COUNT(kinds) ? kinds[kind] : "?";
}

/* "openvino" means OpenVINOExecutionProvider, as everywhere. */
static bool is_meant(const char *name, const char *word) {
    size_t n = strlen(word);
    return strncasecmp(name, word, n) == 0 &&
           (name[n] == 0 || strcmp(name + n, "ExecutionProvider") == 0);
}

static tw_status find_device(const char *path, const char *wanted, tw_ort_provider *p,
                             tw_error *err) {
    tw_ort_handle *devices = NULL;
    size_t n = 0;
    tw_buffer list = {0};
    TW_TRY(tw_ort_check(
        ORT(ORT_EP_DEVICES, tw_ort_handle, tw_ort_handle **, size_t *)(tw_ort.env, &devices, &n),
        path, err));
    for (size_t i = 0; i < n; i++) {
        const char *name = text_of(ORT_EP_DEVICE_NAME, devices[i]), *kind = kind_of(devices[i]);
        tw_buffer_printf(&list, "%s %s on %s", list.n_bytes ? "," : "", name, kind);
        if (p->device || !is_meant(name, p->word) || (wanted && strcasecmp(wanted, kind) != 0))
            continue;
        snprintf(p->name, sizeof p->name, "%s", name);
        p->device = devices[i];
    }
    tw_status status = TW_OK;
    if (!p->device)
        status =
            tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no provider %s%s%s on this machine; there are%s",
                    path, p->word, wanted ? " for device " : "", wanted ? wanted : "",
                    list.data ? list.data : " none");
    tw_buffer_free(&list);
    return status;
}

tw_status tw_ort_plugin_open(const char *path, const char *wanted, tw_ort_provider *p,
                             tw_error *err) {
    char resolved[PATH_MAX];
    if (tw_ort.api < ORT_DEVICES_API)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "%s: provider libraries need ONNX Runtime 1.%d or later, this is %s", path,
                       ORT_DEVICES_API, tw_ort.version);
    if (!realpath(path, resolved))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: no such provider library", path);
    pthread_mutex_lock(&lock);
    tw_status status = register_locked(resolved, p->word, err);
    pthread_mutex_unlock(&lock);
    return status == TW_OK ? find_device(path, wanted, p, err) : status;
}
