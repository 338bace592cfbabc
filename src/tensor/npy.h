/* NumPy's .npy files, versions 1 to 3, C order, little endian. */
#ifndef TENSOR_NPY_H
#define TENSOR_NPY_H

#include "base/file.h"
#include "tensor/tensor.h"

/* Parses a .npy image; `out` views `data`. Fortran order is read (as strides). Descriptors read:
 * f2 f4 f8 i1 u1 i2 i4 i8 b1. */
tw_status tw_npy_parse(const void *data, size_t n_bytes, tw_tensor *out, tw_error *err);

/* Writes a header for `shape`; the caller then writes the elements. Data starts at a multiple of
 * 64 bytes. `dtype`: f32, f16, f64, i32, i64, u8, i8. */
tw_status tw_npy_write_header(tw_output *out, tw_dtype dtype, int n_dims, const int64_t *shape,
                              tw_error *err);

/* A whole array at once, atomically, to `path`. */
tw_status tw_npy_save(const char *path, tw_dtype dtype, int n_dims, const int64_t *shape,
                      const void *data, tw_error *err);

#endif
