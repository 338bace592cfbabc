/* The interface between tuwen, which is C, and libtuwen_magicmind.so, a thin layer of C++ over
 * Cambricon's MagicMind: its own headers have std::vector in signatures, so only a compiler of C++
 * that has them can call it (`make magicmind`). Read by both languages. */
#ifndef BACKEND_MAGICMIND_SHIM_H
#define BACKEND_MAGICMIND_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes with whatever stands below it. */
#ifndef TW_MM_ABI
#define TW_MM_ABI 1u
#endif

enum { TW_MM_OTHER = 0, TW_MM_F32 = 1, TW_MM_F16 = 2, TW_MM_I32 = 3, TW_MM_I64 = 4 };
enum { TW_MM_DIMS = 8 };

typedef struct tw_mm_tensor {
    char name[64], type_name[24]; /* as MagicMind calls them */
    int32_t type;                 /* TW_MM_F32, … */
    int32_t n_dims;               /* more than TW_MM_DIMS: dims has the first of them */
    int64_t dims[TW_MM_DIMS];     /* -1: any */
} tw_mm_tensor;

typedef struct tw_mm_info {
    int32_t n_in, n_out;
    tw_mm_tensor in, out; /* the first of each */
} tw_mm_info;

typedef struct tw_mm_model tw_mm_model; /* a file, its engine and context on one device */

/* A function gives 0 when it succeeded, else something else and one line in `why` of `n_why`
 * bytes. None throws. One thread at a time uses a model. */
typedef struct tw_mm_shim {
    uint32_t abi;     /* TW_MM_ABI */
    uint32_t n_bytes; /* sizeof(tw_mm_shim) */
    int (*count_devices)(unsigned *count, char *why, size_t n_why);
    int (*open)(const char *path, int device, tw_mm_model **out, tw_mm_info *info, char *why,
                size_t n_why);
    /* Extents of the input for the runs that follow, as many as it has; what comes out of them. */
    int (*set_shape)(tw_mm_model *model, const int64_t *dims, tw_mm_tensor *out, char *why,
                     size_t n_why);
    /* Whole tensors of the host, as large as the shapes of set_shape() say. */
    int (*run)(tw_mm_model *model, const void *in, size_t in_bytes, void *out, size_t out_bytes,
               char *why, size_t n_why);
    void (*close)(tw_mm_model *model);
} tw_mm_shim;

/* The only symbol of the library. */
typedef const tw_mm_shim *tw_mm_entry(void);
#define TW_MM_ENTRY tw_magicmind_shim
#define TW_MM_ENTRY_NAME "tw_magicmind_shim"

#ifdef __cplusplus
}
#endif

#endif
