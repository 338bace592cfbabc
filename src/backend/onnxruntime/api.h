/* ONNX Runtime's C interface, declared here so that nothing of it is needed to build: one exported
 * function gives a table of function pointers whose places never move once released.
 * Source: onnxruntime_c_api.h, by place in struct OrtApi; each was called on 1.20 to 1.31. */
#ifndef BACKEND_ONNXRUNTIME_API_H
#define BACKEND_ONNXRUNTIME_API_H

#include "base/status.h"

#include <stdint.h>

/* Handles are opaque. A call that can fail returns NULL or a status object. */
typedef void *tw_ort_handle;
typedef void (*tw_ort_function)(void);

enum {
    ORT_GET_ERROR_CODE = 1,
    ORT_GET_ERROR_MESSAGE = 2,
    ORT_CREATE_ENV_WITH_LOGGER = 4,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_SESSION_OPTIONS = 10,
    ORT_SET_OPTIMIZATION_LEVEL = 23,
    ORT_SET_INTRA_THREADS = 24,
    ORT_SET_INTER_THREADS = 25,
    ORT_INPUT_COUNT = 30,
    ORT_OUTPUT_COUNT = 31,
    ORT_INPUT_TYPE_INFO = 33,
    ORT_OUTPUT_TYPE_INFO = 34,
    ORT_INPUT_NAME = 36,
    ORT_OUTPUT_NAME = 37,
    ORT_CREATE_TENSOR_WITH_DATA = 49,
    ORT_TENSOR_DATA = 51,
    ORT_CAST_TO_TENSOR_INFO = 55,
    ORT_ELEMENT_TYPE = 60,
    ORT_DIMENSIONS_COUNT = 61,
    ORT_DIMENSIONS = 62,
    ORT_ELEMENT_COUNT = 64,
    ORT_TENSOR_TYPE_AND_SHAPE = 65,
    ORT_CREATE_CPU_MEMORY_INFO = 69,
    ORT_ALLOCATOR_FREE = 76,
    ORT_DEFAULT_ALLOCATOR = 78,
    ORT_RELEASE_ENV = 92,
    ORT_RELEASE_STATUS = 93,
    ORT_RELEASE_MEMORY_INFO = 94,
    ORT_RELEASE_SESSION = 95,
    ORT_RELEASE_VALUE = 96,
    ORT_RELEASE_TYPE_INFO = 98,
    ORT_RELEASE_TENSOR_INFO = 99,
    ORT_RELEASE_SESSION_OPTIONS = 100,
    ORT_AVAILABLE_PROVIDERS = 125,
    ORT_RELEASE_AVAILABLE_PROVIDERS = 126,
    ORT_ADD_CONFIG_ENTRY = 130,
    ORT_APPEND_PROVIDER = 216,
    ORT_APPEND_OPENVINO = 275,  /* from API 17 */
    ORT_REGISTER_LIBRARY = 301, /* from API 22, as those to 316 */
    ORT_EP_DEVICES = 303,
    ORT_APPEND_DEVICES = 304,
    ORT_HARDWARE_KIND = 307,
    ORT_EP_DEVICE_NAME = 312,
    ORT_EP_DEVICE_HARDWARE = 316,
    ORT_GRAPH_ASSIGNMENT = 407, /* from API 24 */
    ORT_ASSIGNMENT_NAME = 408,
    ORT_ASSIGNMENT_NODES = 409
};

enum { ORT_OLDEST_API = 17, ORT_TF32_API = 18, ORT_DEVICES_API = 22, ORT_ASSIGNMENT_API = 24 };

/* Element types of tensors. */
enum { ORT_F32 = 1, ORT_I32 = 6, ORT_I64 = 7, ORT_F16 = 10 };

/* A call that returns a status: ORT(SLOT, types of the arguments…)(arguments…). */
#define ORT(slot, ...) (((tw_ort_handle(*)(__VA_ARGS__))tw_ort.table[slot]))
#define ORT_RELEASE(slot, handle) (((void (*)(tw_ort_handle))tw_ort.table[slot])(handle))

/* The runtime of this process, opened once. */
typedef struct tw_ort_runtime {
    const tw_ort_function *table;
    char version[32];
    uint32_t api;
    tw_ort_handle env, allocator, cpu_memory;
    char path[512]; /* of the library */
} tw_ort_runtime;
extern tw_ort_runtime tw_ort;

/* Opens ONNX Runtime: `library` (a file, or a folder with one), else $TUWEN_ONNXRUNTIME, else the
 * loader's libonnxruntime.so.1. A second call with another library is an error. Any thread.
 * Errors: TW_ERR_UNSUPPORTED, saying what was looked for and how to get it. */
tw_status tw_ort_open(const char *library, tw_error *err);

/* TW_OK for NULL; otherwise an error of `what`, the status and the last line of the runtime's log
 * that says more, and the status is released. */
tw_status tw_ort_check(tw_ort_handle status, const char *what, tw_error *err);

/* Forgets the log, before a call whose lines matter. */
void tw_ort_forget_log(void);

#endif
