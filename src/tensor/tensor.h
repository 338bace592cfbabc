/* Typed, strided views of numbers somebody else owns, and conversion to and from f32. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "base/status.h"

#define TW_MAX_DIMS 8

typedef struct tw_tensor {
    const char *name; /* borrowed; may be NULL */
    tw_dtype dtype;
    int n_dims;                   /* 0..TW_MAX_DIMS */
    int64_t shape[TW_MAX_DIMS];   /* outermost first */
    int64_t stride[TW_MAX_DIMS];  /* in elements, >= 0 */
    const void *data;             /* little endian; element 0; may be unaligned */
    /* NULL; or, when `data` is packed blocks of ggml's in C order: reads elements [begin, begin + n)
     * of them. Then the type is f32 and the strides stand for what is read. */
    void (*unpack)(const uint8_t *data, size_t begin, size_t n, float *out);
    /* NULL; or, of a matrix, what its rows or columns are multiplied by when read as f32: f32, one
     * behind the other, little endian, may be unaligned. */
    const void *row_scale, *column_scale;
} tw_tensor;

size_t tw_dtype_bytes(tw_dtype dtype); /* 0 for an unknown value */

/* Number of elements; the caller has checked that it does not overflow (tw_shape_elements). */
size_t tw_tensor_elements(const tw_tensor *t);

/* Checked product of a shape; false when an extent is negative or the product of those that are not
 * 0 exceeds INT64_MAX. */
bool tw_shape_elements(int n_dims, const int64_t *shape, uint64_t *out);

/* Sets C-order strides from the shape. */
void tw_tensor_set_c_order(tw_tensor *t);
/* Whether the bytes at `data` are the elements in C order, as they are. */
bool tw_tensor_is_c_order(const tw_tensor *t);

/* "[768, 3, 16, 16]" into buf. Returns buf. */
const char *tw_shape_text(int n_dims, const int64_t *shape, char *buf, size_t n_bytes);

/* Copies all elements in C order as f32; honours strides; integers are converted. */
void tw_tensor_to_f32(const tw_tensor *t, float *out);

/* The same, elements [begin, begin + n) of the C-order sequence. */
void tw_tensor_to_f32_range(const tw_tensor *t, size_t begin, size_t n, float *out);

/* The transpose view of a 2-D tensor. */
tw_tensor tw_tensor_transpose(const tw_tensor *t);

/* Rows [begin, begin + n) along axis 0. */
tw_tensor tw_tensor_rows(const tw_tensor *t, int64_t begin, int64_t n);

float tw_f16_to_f32(uint16_t h);   /* exact, subnormals, infinities and NaN included */
uint16_t tw_f32_to_f16(float f);   /* round to nearest even; overflow becomes infinity */
float tw_bf16_to_f32(uint16_t h);
uint16_t tw_f32_to_bf16(float f);  /* round to nearest even */

#endif
