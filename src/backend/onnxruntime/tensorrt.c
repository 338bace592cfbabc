/* What TensorRT is told unless the user says otherwise: where it keeps engines and timings, and for
 * which sizes it builds.
 *
 * An engine serves one GPU, one TensorRT and one graph with its weights, of which ONNX Runtime puts
 * only some into the names of the files: it would take an engine of other weights for this graph's.
 * So every combination has a folder of its own. */
#define _XOPEN_SOURCE 700

#include "backend/onnxruntime/provider.h"

#include "base/size.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ----------------------------------------------------------------------------------- the folder */

typedef struct digest {
    uint64_t value;
} digest;

/* FNV-1a. */
static void add_bytes(digest *d, const void *data, size_t n) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++)
        d->value = (d->value ^ bytes[i]) * 0x100000001b3u;
}

static void add_text(digest *d, const char *text) {
    add_bytes(d, text, strlen(text) + 1);
}

/* A file by its place, size and time: its weights are not read for this. */
static void add_file(digest *d, const char *path) {
    struct stat st;
    char *resolved = realpath(path, NULL);
    add_text(d, resolved ? resolved : path);
    free(resolved);
    if (stat(path, &st) != 0) return;
    const int64_t facts[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    add_bytes(d, facts, sizeof facts);
}

/* The GPUs by the driver's words. */
static void add_gpus(digest *d) {
    glob_t found = {0};
    if (glob("/proc/driver/nvidia/gpus/*/information", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            char line[256] = "";
            FILE *f = fopen(found.gl_pathv[i], "r");
            if (f && fgets(line, sizeof line, f)) add_text(d, line);
            if (f) fclose(f);
        }
    globfree(&found);
}

static int tensorrt_version(void) {
    static const char *const names[] = {"libnvinfer.so.10", "libnvinfer.so.11", "libnvinfer.so.8"};
    for (size_t i = 0; i < TW_COUNT(names); i++) {
        void *handle = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
        int (*version)(void) = NULL;
        void *address = handle ? dlsym(handle, "getInferLibVersion") : NULL;
        memcpy(&version, &address, sizeof address);
        if (version) return version(); /* stays open: the provider opens it next */
    }
    return 0;
}

static bool make_folders(char *path) {
    for (char *at = path + 1;; at++) {
        if (*at && *at != '/') continue;
        const char kept = *at;
        *at = 0;
        bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
        *at = kept;
        if (!made || !kept) return made;
    }
}

/* False: there is no place for it. */
static bool cache_folder(const tw_backend_options *o, const tw_ort_graph *graph, const char *shapes,
                         char *path, size_t n) {
    const char *own = getenv("TUWEN_CACHE"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME"), *base = home, *below = "/.cache/tuwen";
    if (cache && cache[0] == '/') base = cache, below = "/tuwen";
    if (own && own[0] == '/') base = own, below = "";
    if (!base || base[0] != '/') return false;
    digest d = {0xcbf29ce484222325u};
    const int version = tensorrt_version();
    add_file(&d, o->graphs ? graph->path : graph->model->path);
    add_text(&d, graph->image ? "image" : "text");
    add_text(&d, shapes);
    add_text(&d, o->device ? o->device : "0");
    add_bytes(&d, &o->precision, sizeof o->precision);
    for (size_t i = 0; i < o->n_settings; i++)
        add_text(&d, o->settings[i]);
    add_gpus(&d);
    int length = snprintf(path, n, "%s%s/tensorrt/%d-onnxruntime-%s/%016llx", base, below, version,
                          tw_ort.version, (unsigned long long)d.value);
    return length > 0 && (size_t)length < n && make_folders(path);
}

static bool has_engine(const char *folder) {
    char pattern[1100];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/*.engine", folder);
    bool has = glob(pattern, 0, NULL, &found) == 0;
    globfree(&found);
    return has;
}

/* --------------------------------------------------------------------------------------- shapes */

/* The sizes of the graphs that tuwen writes, from one row to the most that a run is given. */
static void shape(const tw_ort_graph *graph, int rows, int length, char *text, size_t n) {
    const int r = graph->model->arch.vision.image_size;
    if (graph->image)
        snprintf(text, n, "image:%dx3x%dx%d", rows, r, r);
    else
        snprintf(text, n, "text:%dx%d", rows, length);
}

static tw_status add_profile(const tw_backend_options *o, const tw_ort_graph *graph, tw_settings *s,
                             char *widest, size_t n, tw_error *err) {
    const tw_text_config *text = &graph->model->arch.text;
    char word[64];
    shape(graph, 1, 1, word, sizeof word);
    TW_TRY(tw_settings_default(s, "trt_profile_min_shapes", word, err));
    shape(graph, o->max_batch, text->context_length, word, sizeof word);
    TW_TRY(tw_settings_default(s, "trt_profile_opt_shapes", word, err));
    shape(graph, o->max_batch, text->n_positions, widest, n);
    return tw_settings_default(s, "trt_profile_max_shapes", widest, err);
}

tw_status tw_ort_tensorrt_defaults(const tw_backend_options *o, const tw_ort_graph *graph,
                                   tw_settings *s, tw_error *err) {
    const char *tower = graph->image ? "image" : "text";
    char folder[1024], widest[64] = "";
    if (!o->graphs) TW_TRY(add_profile(o, graph, s, widest, sizeof widest, err));
    if (o->precision == TW_F16) TW_TRY(tw_settings_default(s, "trt_fp16_enable", "1", err));
    bool kept = cache_folder(o, graph, widest, folder, sizeof folder);
    if (kept) {
        TW_TRY(tw_settings_default(s, "trt_engine_cache_enable", "1", err));
        TW_TRY(tw_settings_default(s, "trt_engine_cache_path", folder, err));
        TW_TRY(tw_settings_default(s, "trt_timing_cache_enable", "1", err));
        TW_TRY(tw_settings_default(s, "trt_timing_cache_path", folder, err));
    }
    const char *place = tw_settings_get(s, "trt_engine_cache_path");
    if (!place || !has_engine(place))
        tw_log(o->hooks, TW_LOG_INFO,
               "tensorrt: building the engine of the %s tower; this can take minutes%s%s", tower,
               place ? ", later runs take it from " : "", place ? place : "");
    return TW_OK;
}
