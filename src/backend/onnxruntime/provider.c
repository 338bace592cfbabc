#include "backend/onnxruntime/provider.h"

#include "base/buffer.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char suffix[] = "ExecutionProvider";

/* Those that are added by functions of their own take settings through an object: of five
 * functions in a row, append, create, update, as string, release. */
struct tw_ort_builtin {
    const char *word, *name; /* ours, and ONNX Runtime's */
    int append, create;      /* places of the functions; 0: by `generic` */
    const char *generic;     /* what the function for all others calls it; NULL: nothing to add */
    const char *device_key;  /* the setting that --device becomes */
    const char *source;      /* where to get it */
};

#define OPENVINO_SOURCE "PyPI's onnxruntime-openvino has it"
#define GPU_SOURCE "PyPI's onnxruntime-gpu has it"

static const struct tw_ort_builtin builtins[] = {
    {"cpu", "CPUExecutionProvider", 0, 0, NULL, NULL, NULL},
    {"cuda", "CUDAExecutionProvider", 204, 205, NULL, "device_id", GPU_SOURCE},
    {"tensorrt", "TensorrtExecutionProvider", 170, 171, NULL, "device_id", GPU_SOURCE},
    {"openvino", "OpenVINOExecutionProvider", 0, 0, "OpenVINO", "device_type", OPENVINO_SOURCE},
    {"cann", "CANNExecutionProvider", 220, 221, NULL, "device_id", "a build for Ascend has it"},
    {"rocm", "ROCMExecutionProvider", 153, 255, NULL, "device_id", "AMD's builds before 1.23 have it"},
    {"migraphx", "MIGraphXExecutionProvider", 0, 0, "MIGraphX", "device_id",
     "AMD's builds have it"},
    {"qnn", "QNNExecutionProvider", 0, 0, "QNN", NULL, "a build for Qualcomm's chips has it"},
    {"xnnpack", "XnnpackExecutionProvider", 0, 0, "XNNPACK", NULL, "a build with it is needed"},
    {"coreml", "CoreMLExecutionProvider", 0, 0, "CoreML", NULL, "builds for macOS have it"},
    {"vitisai", "VitisAIExecutionProvider", 0, 0, "VitisAI", NULL, "AMD's builds have it"},
    {"azure", "AzureExecutionProvider", 0, 0, "AZURE", NULL, NULL},
};

void tw_ort_provider_word(const tw_backend_options *o, char *buf, size_t n) {
    const char *word = o->provider ? o->provider : "cpu";
    snprintf(buf, n, "%.*s", (int)strcspn(word, "="), word);
}

/* -------------------------------------------------------------------------------------- finding */

/* Whether a name of ONNX Runtime's is meant by a word: "CUDAExecutionProvider" by that and "cuda".
 */
static bool is_meant(const char *name, const char *word) {
    const char *end = strstr(name, suffix);
    size_t n = end ? (size_t)(end - name) : strlen(name);
    return strcasecmp(name, word) == 0 || (strlen(word) == n && strncasecmp(name, word, n) == 0);
}

static tw_status not_there(const tw_ort_provider *p, const tw_buffer *list, tw_error *err) {
    const char *source = p->builtin ? p->builtin->source : NULL;
    const char *listed = list->data ? list->data : " none";
    if (strcmp(p->word, "directml") == 0 || strcmp(p->word, "dml") == 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "provider %s: DirectML is part of Windows; this ONNX Runtime has%s", p->word,
                       listed);
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "provider %s: ONNX Runtime %s of %s was built without it%s%s%s; it has%s",
                   p->word, tw_ort.version, tw_ort.path, source ? " (" : "", source ? source : "",
                   source ? ")" : "", listed);
}

/* Only what is listed is asked for: a build would also load a file of another build that lies
 * beside it, and crash. */
static tw_status find_listed(tw_ort_provider *p, tw_error *err) {
    char **names = NULL;
    int n = 0;
    bool listed = false;
    tw_buffer list = {0};
    TW_TRY(tw_ort_check(ORT(ORT_AVAILABLE_PROVIDERS, char ***, int *)(&names, &n), "onnxruntime",
                        err));
    for (int i = 0; i < n; i++) {
        const char *end = strstr(names[i], suffix);
        tw_buffer_printf(&list, " %.*s", (int)(end ? end - names[i] : 60), names[i]);
        if (!is_meant(names[i], p->name)) continue;
        snprintf(p->name, sizeof p->name, "%s", names[i]);
        listed = true;
    }
    tw_status status = tw_ort_check(ORT(ORT_RELEASE_AVAILABLE_PROVIDERS, char **, int)(names, n),
                                    "onnxruntime", err);
    if (status == TW_OK && !listed) status = not_there(p, &list, err);
    tw_buffer_free(&list);
    return status;
}

static tw_status find_builtin(tw_ort_provider *p, tw_error *err) {
    for (size_t i = 0; i < TW_COUNT(builtins) && !p->builtin; i++)
        if (is_meant(builtins[i].name, p->word) || strcasecmp(builtins[i].word, p->word) == 0)
            p->builtin = &builtins[i];
    snprintf(p->name, sizeof p->name, "%s", p->builtin ? p->builtin->name : p->word);
    p->is_cpu = p->builtin == &builtins[0];
    return p->is_cpu ? TW_OK : find_listed(p, err);
}

/* ------------------------------------------------------------------------------------- settings */

static bool is_named(const tw_ort_provider *p, const char *word) {
    return !p->device && p->builtin && strcmp(p->builtin->word, word) == 0;
}

/* OpenVINO as a library of its own knows only this setting, and computes in bf16 where it can. */
static tw_status openvino_library_defaults(tw_ort_provider *p, const char *device, int threads,
                                           tw_error *err) {
    char json[192], number[40] = "";
    if (!device) device = "CPU";
    if (strcmp(device, "CPU") == 0)
        snprintf(number, sizeof number, ",\"INFERENCE_NUM_THREADS\":\"%d\"", threads);
    snprintf(json, sizeof json, "{\"%s\":{\"INFERENCE_PRECISION_HINT\":\"f32\"%s}}", device,
             number);
    return tw_settings_default(&p->settings, "load_config", json, err);
}

static tw_status take_settings(const tw_backend_options *o, const tw_ort_graph *graph,
                               tw_ort_provider *p, tw_error *err) {
    char threads[16];
    tw_settings *s = &p->settings;
    snprintf(threads, sizeof threads, "%d", graph->threads);
    TW_TRY(tw_settings_add_all(s, o->settings, o->n_settings, err));
    if (p->device)
        return strncmp(p->name, "OpenVINO", 8) == 0
                   ? openvino_library_defaults(p, o->device, graph->threads, err)
                   : TW_OK;
    if (!p->builtin) return TW_OK;
    if (o->device && p->builtin->device_key)
        TW_TRY(tw_settings_default(s, p->builtin->device_key, o->device, err));
    if (is_named(p, "openvino")) {
        TW_TRY(tw_settings_default(s, "device_type", "CPU", err));
        TW_TRY(tw_settings_default(s, "num_of_threads", threads, err));
    }
    /* Its own default rounds the inputs of every product to 10 bits. */
    if (is_named(p, "cuda") && tw_ort.api >= ORT_TF32_API)
        TW_TRY(tw_settings_default(s, "use_tf32", "0", err));
    if (is_named(p, "tensorrt")) TW_TRY(tw_ort_tensorrt_defaults(o, graph, s, err));
    /* The call that takes settings is the one that loads the library and says why it cannot. */
    if (p->builtin->create) TW_TRY(tw_settings_default(s, "device_id", "0", err));
    return TW_OK;
}

tw_status tw_ort_provider_open(const tw_backend_options *o, const tw_ort_graph *graph,
                               tw_ort_provider *out, tw_error *err) {
    const char *path = o->provider ? strchr(o->provider, '=') : NULL;
    *out = (tw_ort_provider){0};
    tw_ort_provider_word(o, out->word, sizeof out->word);
    tw_status status =
        path ? tw_ort_plugin_open(path + 1, o->device, out, err) : find_builtin(out, err);
    if (status == TW_OK) status = take_settings(o, graph, out, err);
    if (status != TW_OK) tw_ort_provider_close(out);
    return status;
}

void tw_ort_provider_close(tw_ort_provider *p) {
    tw_settings_free(&p->settings);
}

/* ------------------------------------------------------------------------------------ appending */

static tw_status append_by_object(const tw_ort_provider *p, tw_ort_handle options, const char *what,
                                  tw_error *err) {
    const int create = p->builtin->create;
    tw_ort_handle o = NULL;
    TW_TRY(tw_ort_check(ORT(create, tw_ort_handle *)(&o), what, err));
    tw_status status =
        tw_ort_check(ORT(create + 1, tw_ort_handle, const char *const *, const char *const *,
                         size_t)(o, p->settings.keys, p->settings.values, p->settings.n),
                     what, err);
    if (status == TW_OK)
        status = tw_ort_check(ORT(p->builtin->append, tw_ort_handle, tw_ort_handle)(options, o),
                              what, err);
    ORT_RELEASE(create + 3, o);
    return status;
}

tw_status tw_ort_provider_append(const tw_ort_provider *p, tw_ort_handle options, tw_error *err) {
    const tw_settings *s = &p->settings;
    char what[80], name[sizeof p->name];
    snprintf(what, sizeof what, "provider %s", p->word);
    if (p->is_cpu) return TW_OK;
    if (p->device)
        return tw_ort_check(
            ORT(ORT_APPEND_DEVICES, tw_ort_handle, tw_ort_handle, const tw_ort_handle *, size_t,
                const char *const *, const char *const *,
                size_t)(options, tw_ort.env, &p->device, 1, s->keys, s->values, s->n),
            what, err);
    if (p->builtin && p->builtin->create) return append_by_object(p, options, what, err);
    if (is_named(p, "openvino"))
        return tw_ort_check(ORT(ORT_APPEND_OPENVINO, tw_ort_handle, const char *const *,
                                const char *const *, size_t)(options, s->keys, s->values, s->n),
                            what, err);
    const char *end = strstr(p->name, suffix);
    snprintf(name, sizeof name, "%.*s", (int)(end ? end - p->name : 60), p->name);
    return tw_ort_check(
        ORT(ORT_APPEND_PROVIDER, tw_ort_handle, const char *, const char *const *,
            const char *const *,
            size_t)(options, p->builtin ? p->builtin->generic : name, s->keys, s->values, s->n),
        what, err);
}
