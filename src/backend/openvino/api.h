/* OpenVINO's C interface, declared here so that nothing of it is needed to build. Handles are
 * opaque; calls return 0 or an error number. The numbers of element types differ between releases,
 * so a type is only ever taken from a model's own port.
 * Source: openvino/c/openvino.h; each was called on 2025.4 and 2026.4. */
#ifndef BACKEND_OPENVINO_API_H
#define BACKEND_OPENVINO_API_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef void *tw_ov_handle;

typedef struct tw_ov_version {
    const char *build, *description;
} tw_ov_version;
typedef struct tw_ov_devices {
    char **names;
    size_t n;
} tw_ov_devices;
typedef struct tw_ov_shape {
    int64_t rank, *dims;
} tw_ov_shape;
typedef struct tw_ov_range {
    int64_t min, max; /* both -1: any */
} tw_ov_range;
typedef struct tw_ov_partial_shape {
    tw_ov_range rank, *dims;
} tw_ov_partial_shape;

/* X(result, name without "ov_", arguments) */
#define TW_OV_FUNCTIONS(X)                                                                         \
    X(int, get_openvino_version, (tw_ov_version *))                                                \
    X(void, version_free, (tw_ov_version *))                                                       \
    X(const char *, get_error_info, (int))                                                         \
    X(const char *, get_last_err_msg, (void))                                                      \
    X(void, free, (const char *))                                                                  \
    X(int, core_create, (tw_ov_handle *))                                                          \
    X(void, core_free, (tw_ov_handle))                                                             \
    X(int, core_get_available_devices, (tw_ov_handle, tw_ov_devices *))                            \
    X(void, available_devices_free, (tw_ov_devices *))                                             \
    X(int, core_read_model, (tw_ov_handle, const char *, const char *, tw_ov_handle *))            \
    X(void, model_free, (tw_ov_handle))                                                            \
    X(int, model_inputs_size, (tw_ov_handle, size_t *))                                            \
    X(int, model_const_input_by_index, (tw_ov_handle, size_t, tw_ov_handle *))                     \
    X(void, output_const_port_free, (tw_ov_handle))                                                \
    X(int, port_get_any_name, (tw_ov_handle, char **))                                             \
    X(int, port_get_element_type, (tw_ov_handle, int *))                                           \
    X(int, port_get_partial_shape, (tw_ov_handle, tw_ov_partial_shape *))                          \
    X(void, partial_shape_free, (tw_ov_partial_shape *))                                           \
    X(int, core_compile_model,                                                                     \
      (tw_ov_handle, tw_ov_handle, const char *, size_t, tw_ov_handle *, ...))                     \
    X(void, compiled_model_free, (tw_ov_handle))                                                   \
    X(int, compiled_model_get_property, (tw_ov_handle, const char *, char **))                     \
    X(int, compiled_model_create_infer_request, (tw_ov_handle, tw_ov_handle *))                    \
    X(void, infer_request_free, (tw_ov_handle))                                                    \
    X(int, shape_create, (int64_t, const int64_t *, tw_ov_shape *))                                \
    X(int, shape_free, (tw_ov_shape *))                                                            \
    X(int, tensor_create, (int, tw_ov_shape, tw_ov_handle *))                                      \
    X(int, tensor_create_from_host_ptr, (int, tw_ov_shape, void *, tw_ov_handle *))                \
    X(void, tensor_free, (tw_ov_handle))                                                           \
    X(int, tensor_get_byte_size, (tw_ov_handle, size_t *))                                         \
    X(int, tensor_get_size, (tw_ov_handle, size_t *))                                              \
    X(int, tensor_data, (tw_ov_handle, void **))                                                   \
    X(int, infer_request_set_input_tensor_by_index, (tw_ov_handle, size_t, tw_ov_handle))          \
    X(int, infer_request_infer, (tw_ov_handle))                                                    \
    X(int, infer_request_get_output_tensor_by_index, (tw_ov_handle, size_t, tw_ov_handle *))

/* The runtime of this process, opened once. */
typedef struct tw_ov_runtime {
#define TW_OV_MEMBER(result, name, arguments) result(*name) arguments;
    TW_OV_FUNCTIONS(TW_OV_MEMBER)
#undef TW_OV_MEMBER
    tw_ov_handle core;
    char version[32]; /* "2026.4.1" */
    char path[512];   /* of the library */
} tw_ov_runtime;
extern tw_ov_runtime tw_ov;

/* Opens OpenVINO: `library` (a file, or a folder with libopenvino_c.so*), else $TUWEN_OPENVINO,
 * else by the loader. A second call with another library is an error. Any thread. */
tw_status tw_ov_open(const char *library, tw_error *err);

/* TW_OK for 0, else an error of `what` with OpenVINO's own words. */
tw_status tw_ov_check(int result, const char *what, tw_error *err);

#endif
