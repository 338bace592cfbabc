/* AscendCL (libascendcl of Huawei's CANN), declared here so that nothing of it is needed to build.
 * Source: the published acl.h, acl_base.h, acl_rt.h and acl_mdl.h, and the interface's reference;
 * called on a stand-in of the same interface only. */
#ifndef BACKEND_ASCEND_API_H
#define BACKEND_ASCEND_API_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Names and extents of an input or output. */
typedef struct tw_acl_dims {
    char name[128];
    size_t n_dims;
    int64_t dims[128]; /* -1: any of tw_acl_batches */
} tw_acl_dims;

typedef struct tw_acl_batches {
    size_t n; /* 0: the batch is fixed */
    uint64_t sizes[128];
} tw_acl_batches;

_Static_assert(sizeof(tw_acl_dims) == 128 + 8 + 1024 && sizeof(tw_acl_batches) == 8 + 1024,
               "the library's layouts, of 64-bit systems");

/* aclDataType */
enum { TW_ACL_F32 = 0, TW_ACL_F16 = 1, TW_ACL_I32 = 3, TW_ACL_I64 = 9 };
/* aclrtMemMallocPolicy, aclrtMemcpyKind, aclrtMemAttr, aclError */
enum { TW_ACL_HUGE_FIRST = 0 };
enum { TW_ACL_TO_DEVICE = 1, TW_ACL_TO_HOST = 2 };
enum { TW_ACL_DDR = 0, TW_ACL_HBM = 1 };
enum { TW_ACL_REPEAT_INITIALIZE = 100002 };

/* The input that takes the batch size, of a model compiled for several. */
#define TW_ACL_BATCH_INPUT "ascend_mbatch_shape_data"

/* X(result, name after "acl", arguments). Calls that return int give 0 or an error number. */
#define TW_ACL_FUNCTIONS(X)                                                                        \
    X(int, Init, (const char *config))                                                             \
    X(int, Finalize, (void))                                                                       \
    X(const char *, GetRecentErrMsg, (void))                                                       \
    X(int, rtGetVersion, (int32_t * major, int32_t * minor, int32_t * patch))                      \
    X(const char *, rtGetSocName, (void))                                                          \
    X(int, rtGetDeviceCount, (uint32_t * n))                                                       \
    X(int, rtSetDevice, (int32_t device))                                                          \
    X(int, rtResetDevice, (int32_t device))                                                        \
    X(int, rtCreateContext, (void **context, int32_t device))                                      \
    X(int, rtDestroyContext, (void *context))                                                      \
    X(int, rtSetCurrentContext, (void *context))                                                   \
    X(int, rtCreateStream, (void **stream))                                                        \
    X(int, rtDestroyStream, (void *stream))                                                        \
    X(int, rtSynchronizeStream, (void *stream))                                                    \
    X(int, rtGetMemInfo, (int attribute, size_t *n_free, size_t *n_total))                         \
    X(int, rtMalloc, (void **memory, size_t n_bytes, int policy))                                  \
    X(int, rtFree, (void *memory))                                                                 \
    X(int, rtMemcpy, (void *to, size_t max, const void *from, size_t n_bytes, int kind))           \
    X(int, mdlQuerySize, (const char *path, size_t *n_work, size_t *n_weights))                    \
    X(int, mdlLoadFromFile, (const char *path, uint32_t *model))                                   \
    X(int, mdlUnload, (uint32_t model))                                                            \
    X(void *, mdlCreateDesc, (void))                                                               \
    X(int, mdlDestroyDesc, (void *desc))                                                           \
    X(int, mdlGetDesc, (void *desc, uint32_t model))                                               \
    X(size_t, mdlGetNumInputs, (void *desc))                                                       \
    X(size_t, mdlGetNumOutputs, (void *desc))                                                      \
    X(size_t, mdlGetInputSizeByIndex, (void *desc, size_t index))                                  \
    X(size_t, mdlGetOutputSizeByIndex, (void *desc, size_t index))                                 \
    X(int, mdlGetInputDims, (const void *desc, size_t index, tw_acl_dims *dims))                   \
    X(int, mdlGetOutputDims, (const void *desc, size_t index, tw_acl_dims *dims))                  \
    X(int, mdlGetInputDataType, (const void *desc, size_t index))                                  \
    X(int, mdlGetOutputDataType, (const void *desc, size_t index))                                 \
    X(int, mdlGetInputIndexByName, (const void *desc, const char *name, size_t *index))            \
    X(int, mdlGetDynamicBatch, (const void *desc, tw_acl_batches *batches))                        \
    X(int, mdlSetDynamicBatchSize, (uint32_t model, void *inputs, size_t index, uint64_t n))       \
    X(void *, CreateDataBuffer, (void *memory, size_t n_bytes))                                    \
    X(int, DestroyDataBuffer, (const void *buffer))                                                \
    X(void *, mdlCreateDataset, (void))                                                            \
    X(int, mdlDestroyDataset, (const void *dataset))                                               \
    X(int, mdlAddDatasetBuffer, (void *dataset, void *buffer))                                     \
    X(int, mdlExecuteAsync, (uint32_t model, const void *inputs, void *outputs, void *stream))

typedef struct tw_acl_functions {
#define TW_ACL_MEMBER(result, name, arguments) result(*name) arguments;
    TW_ACL_FUNCTIONS(TW_ACL_MEMBER)
#undef TW_ACL_MEMBER
} tw_acl_functions;

extern tw_acl_functions tw_acl; /* set once tw_acl_start() succeeded */

/* Opens the library (of `library`, $TUWEN_ASCEND or the loader) and initialises it, unless the
 * process did; each success wants one tw_acl_stop(), the last of which gives the library back what
 * it holds. Any thread; the first choice of a file stays. Errors: TW_ERR_UNSUPPORTED. */
tw_status tw_acl_start(const char *library, tw_error *err);
void tw_acl_stop(void);
const char *tw_acl_version(void); /* "AscendCL 1.13.0" */

/* TW_ERR_UNSUPPORTED with "WHAT: error N: the library's line", unless `result` is 0. */
tw_status tw_acl_check(int result, const char *what, tw_error *err);

#endif
