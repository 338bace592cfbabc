/* SOPHON's runtime (libbmlib, libbmrt), declared here so that nothing of it is needed to build.
 * Source: bmlib_runtime.h and bmruntime_interface.h of libsophon; each was called, with these
 * layouts, on the emulator of tpu-mlir 1.30.2 on x86-64. */
#ifndef BACKEND_SOPHON_API_H
#define BACKEND_SOPHON_API_H

#include "base/status.h"

typedef struct tw_bm_shape {
    int n_dims;
    int dims[8];
} tw_bm_shape;

/* Memory of a device, passed by value. */
typedef struct tw_bm_memory {
    unsigned long address;
    unsigned reserved;
    int dmabuf;
    unsigned flags, n_bytes;
} tw_bm_memory;

typedef struct tw_bm_tensor {
    int type;
    tw_bm_shape shape;
    tw_bm_memory memory;
    int storage; /* 0 */
} tw_bm_tensor;

typedef struct tw_bm_stage {
    tw_bm_shape *in, *out;
    tw_bm_memory *in_memory, *out_memory;
} tw_bm_stage;

/* Owned by the runtime, which adds members at its end. */
typedef struct tw_bm_net {
    const char *name;
    bool is_dynamic;
    int n_in;
    const char **in_names;
    int *in_types;
    float *in_scales;
    int n_out;
    const char **out_names;
    int *out_types;
    float *out_scales;
    int n_stages;
    tw_bm_stage *stages;
    size_t *max_in_bytes, *max_out_bytes;
} tw_bm_net;

_Static_assert(sizeof(tw_bm_shape) == 36 && sizeof(tw_bm_memory) == 24 &&
                   sizeof(tw_bm_tensor) == 72,
               "the library's layouts, of 64-bit systems");

/* Calls that return int give 0 when they succeeded. Names: bm_* of libbmlib, bmrt_* of libbmrt. */
typedef struct tw_bm_functions {
    int (*dev_getcount)(int *count);
    int (*dev_request)(void **device, int id);
    void (*dev_free)(void *device);
    int (*get_chipid)(void *device, unsigned *id);
    int (*memcpy_s2d_partial)(void *device, tw_bm_memory to, void *from, unsigned n_bytes);
    int (*memcpy_d2s_partial)(void *device, void *to, tw_bm_memory from, unsigned n_bytes);
    int (*thread_sync)(void *device);
    void (*free_device)(void *device, tw_bm_memory memory);
    void *(*create)(void *device);
    void (*destroy)(void *runtime);
    bool (*load_bmodel_data)(void *runtime, const void *data, size_t n_bytes);
    const tw_bm_net *(*get_network_info)(void *runtime, const char *net);
    bool (*tensor)(tw_bm_tensor *out, void *runtime, int type, tw_bm_shape shape);
    bool (*launch_tensor_ex)(void *runtime, const char *net, const tw_bm_tensor *in, int n_in,
                             tw_bm_tensor *out, int n_out, bool user_memory, bool user_storage);
} tw_bm_functions;

extern tw_bm_functions tw_bm; /* set once tw_bm_open() succeeded */

/* Opens both libraries: of the folder `library` (or beside the file libbmrt.so), else of
 * $TUWEN_SOPHON, else the loader's. Any thread; the first choice stays. Errors:
 * TW_ERR_UNSUPPORTED. */
tw_status tw_bm_open(const char *library, tw_error *err);
const char *tw_bm_library(void); /* name of the runtime's file: "libbmrt.so.1.0" */

/* Whether libcpuop.so lies beside the runtime's file or where the loader looks: without it the
 * library ends the process at a layer that runs on the host. */
bool tw_bm_has_host_layers(void);

/* The libraries talk on standard output, and end the process where they meet what they do not
 * expect. Between these calls, which one thread at a time passes, standard output is a file of no
 * name; should the process end, what was said goes to standard error and outputs are removed. */
void tw_bm_enter(void);
void tw_bm_leave(void);
/* After the last use of a device: what the libraries say when the process ends, which the emulator
 * does, is not heard either. */
void tw_bm_done(void);
/* The last line of what was said in the last call, without its level and place. Before the next
 * tw_bm_enter() of any thread. */
void tw_bm_said(char *out, size_t n);

#endif
