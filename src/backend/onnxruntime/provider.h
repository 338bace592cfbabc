/* What computes in ONNX Runtime: a provider built into it, or one of a library registered with it.
 */
#ifndef BACKEND_ONNXRUNTIME_PROVIDER_H
#define BACKEND_ONNXRUNTIME_PROVIDER_H

#include "backend/backend.h"
#include "backend/onnxruntime/api.h"
#include "backend/settings.h"

typedef struct tw_ort_provider {
    char word[64];                        /* as the user says it: "cuda" */
    char name[64];                        /* ONNX Runtime's: "CUDAExecutionProvider" */
    bool is_cpu;                          /* ONNX Runtime's own, always there */
    const struct tw_ort_builtin *builtin; /* how it is added; NULL: by its name alone */
    tw_ort_handle device;                 /* of a registered library; NULL: built in */
    tw_settings settings;
} tw_ort_provider;

/* A graph that is about to be loaded; providers that keep what they compile want to know. */
typedef struct tw_ort_graph {
    const char *path;
    const tw_model *model;
    bool image;
    int threads;
} tw_ort_graph;

/* The provider of options->provider: NULL is the CPU's, a word one that is built in, NAME=PATH the
 * device of that name which the library PATH offers once registered (API 22). Takes the options'
 * settings and adds defaults. Errors: TW_ERR_UNSUPPORTED (not there, and what is), TW_ERR_ARGUMENT.
 */
tw_status tw_ort_provider_open(const tw_backend_options *options, const tw_ort_graph *graph,
                               tw_ort_provider *out, tw_error *err);
void tw_ort_provider_close(tw_ort_provider *provider);

/* Adds it to the options of a session. */
tw_status tw_ort_provider_append(const tw_ort_provider *provider, tw_ort_handle session_options,
                                 tw_error *err);

/* The device of a library of providers; see tw_ort_provider_open(). `word` becomes its name.
 * `wanted` NULL: the first, else "CPU", "GPU" or "NPU". */
tw_status tw_ort_plugin_open(const char *path, const char *wanted, tw_ort_provider *out,
                             tw_error *err);

/* The settings of TensorRT that keep engines and timings in the user's cache folder and size them
 * for the batch, unless given; says when an engine has to be built. */
tw_status tw_ort_tensorrt_defaults(const tw_backend_options *options, const tw_ort_graph *graph,
                                   tw_settings *settings, tw_error *err);

/* "cpu", "cuda", …: the word of options->provider, without a library's path. */
void tw_ort_provider_word(const tw_backend_options *options, char *buf, size_t n);

#endif
