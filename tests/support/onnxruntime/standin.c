/* Stands in for ONNX Runtime where none, or none of a kind, is at hand: it takes everything up to
 * the session, which it refuses, and writes what it was told to the file $STANDIN_ORT_LOG.
 * $STANDIN_ORT_VERSION is its version; with $STANDIN_ORT_NO_API it has no table to give. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*function)(void);
typedef void *handle; /* a status is its text */

static int object; /* every handle but a status */

static void note(const char *what, const char *key, const char *value) {
    const char *path = getenv("STANDIN_ORT_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f) return;
    fprintf(f, "%s %s=%s\n", what, key, value);
    fclose(f);
}

static void note_all(const char *what, const char *const *keys, const char *const *values,
                     size_t n) {
    for (size_t i = 0; i < n; i++)
        note(what, keys[i], values[i]);
}

static const char *message(handle status) {
    return status;
}
static handle create_env(handle log, handle param, int level, const char *id, handle *out) {
    (void)log, (void)param, (void)level, (void)id;
    const char *quiet = getenv("ORT_DISABLE_TELEMETRY");
    note("environment", "ORT_DISABLE_TELEMETRY", quiet ? quiet : "");
    *out = &object;
    return NULL;
}
static handle give_object(handle *out) {
    *out = &object;
    return NULL;
}
static handle memory_info(int allocator, int type, handle *out) {
    (void)allocator, (void)type;
    return give_object(out);
}
static handle set_number(handle options, int value) {
    (void)options, (void)value;
    return NULL;
}
static handle entry(handle options, const char *key, const char *value) {
    (void)options, (void)key, (void)value;
    return NULL;
}
static void release(handle any) {
    (void)any;
}
static handle create_session(handle env, const char *path, handle options, handle *out) {
    (void)env, (void)path, (void)options, (void)out;
    return "a stand-in runs nothing";
}

/* ------------------------------------------------------------------------------------- providers
 */

static char *providers[] = {"TensorrtExecutionProvider", "CANNExecutionProvider",
                            "QNNExecutionProvider",      "OddExecutionProvider",
                            "CUDAExecutionProvider",     "CPUExecutionProvider"};

static handle list(char ***out, int *n) {
    *out = providers;
    *n = (int)(sizeof providers / sizeof *providers);
    return NULL;
}
static handle release_list(char **names, int n) {
    (void)names, (void)n;
    return NULL;
}
static handle update(handle o, const char *const *keys, const char *const *values, size_t n) {
    (void)o;
    note_all("update", keys, values, n);
    return NULL;
}
static handle append_object(handle options, handle o) {
    (void)options, (void)o;
    note("append", "object", "1");
    return NULL;
}
static handle append_by_name(handle options, const char *name, const char *const *keys,
                             const char *const *values, size_t n) {
    (void)options;
    note("append", "name", name);
    note_all("append", keys, values, n);
    return NULL;
}

typedef struct device {
    const char *name;
    int kind;
} device;

static device devices[] = {{"CPUExecutionProvider", 0},
                           {"HareExecutionProvider", 1},
                           {"HareExecutionProvider", 2},
                           {"hare.slow", 0}};

static handle register_library(handle env, const char *name, const char *path) {
    (void)env;
    note("register", name, path);
    return NULL;
}
static handle list_devices(handle env, handle **out, size_t *n) {
    static handle all[4];
    (void)env;
    for (size_t i = 0; i < 4; i++)
        all[i] = &devices[i];
    *out = all;
    *n = 4;
    return NULL;
}
static const char *device_name(const device *d) {
    return d->name;
}
static handle hardware(handle d) {
    return d;
}
static int kind(const device *d) {
    return d->kind;
}
static handle append_devices(handle options, handle env, const handle *chosen, size_t n,
                             const char *const *keys, const char *const *values, size_t n_keys) {
    static const char *const kinds[] = {"CPU", "GPU", "NPU"};
    (void)options, (void)env;
    for (size_t i = 0; i < n; i++) {
        const device *d = chosen[i];
        note("device", d->name, kinds[d->kind]);
    }
    note_all("device", keys, values, n_keys);
    return NULL;
}

/* ----------------------------------------------------------------------------------------- table
 */

static function table[512];

static void unexpected(void) {
    fputs("the stand-in has no such function\n", stderr);
    abort();
}

#define PUT(slot, f) table[slot] = (function)f

static const function *get_api(uint32_t version) {
    (void)version;
    if (getenv("STANDIN_ORT_NO_API")) return NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        table[i] = unexpected;
    static const int numbers[] = {23, 24, 25};
    static const int releases[] = {93, 94, 98, 99, 100, 174, 208, 224};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        PUT(numbers[i], set_number);
    for (size_t i = 0; i < sizeof releases / sizeof *releases; i++)
        PUT(releases[i], release);
    PUT(2, message);
    PUT(4, create_env);
    PUT(7, create_session);
    PUT(10, give_object);
    PUT(69, memory_info);
    PUT(78, give_object);
    PUT(125, list);
    PUT(126, release_list);
    PUT(130, entry);
    PUT(170, append_object); /* TensorRT */
    PUT(171, give_object);
    PUT(172, update);
    PUT(204, append_object); /* CUDA */
    PUT(205, give_object);
    PUT(206, update);
    PUT(216, append_by_name);
    PUT(220, append_object); /* CANN */
    PUT(221, give_object);
    PUT(222, update);
    PUT(301, register_library);
    PUT(303, list_devices);
    PUT(304, append_devices);
    PUT(307, kind);
    PUT(312, device_name);
    PUT(316, hardware);
    return table;
}

static const char *get_version(void) {
    const char *version = getenv("STANDIN_ORT_VERSION");
    return version ? version : "1.31.1";
}

typedef struct api_base {
    const function *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} api_base;

__attribute__((visibility("default"))) const api_base *OrtGetApiBase(void);
const api_base *OrtGetApiBase(void) {
    static const api_base base = {get_api, get_version};
    return &base;
}

/* It stands in for libnvinfer too, of which only this is asked. */
__attribute__((visibility("default"))) int getInferLibVersion(void);
int getInferLibVersion(void) {
    const char *version = getenv("STANDIN_NVINFER_VERSION");
    return version ? atoi(version) : 0;
}
