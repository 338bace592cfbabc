/* The scalar types of metadata and the element types of tensors. */
#ifndef FORMAT_GGUF_TYPES_H
#define FORMAT_GGUF_TYPES_H

#include "tuwen/base.h"

#include <stddef.h>
#include <stdint.h>

/* A tensor type of ggml: `block` elements take `block_bytes` bytes. */
typedef struct tw_ggml_type {
    uint32_t id;
    const char *name;
    uint32_t block, block_bytes;
    tw_dtype dtype; /* u8 where block is not 1 */
    /* Elements [begin, begin + n) of consecutive blocks; NULL: the type is not read. */
    void (*unpack)(const uint8_t *blocks, size_t begin, size_t n, float *out);
} tw_ggml_type;

const tw_ggml_type *tw_ggml_type_find(uint32_t id);        /* NULL when unknown */
const tw_ggml_type *tw_ggml_type_of_dtype(tw_dtype dtype); /* NULL when ggml has none */

/* Unpacking, as tw_ggml_type.unpack: blocks.c. */
void tw_unpack_q4_0(const uint8_t *blocks, size_t begin, size_t n, float *out);
void tw_unpack_q4_1(const uint8_t *blocks, size_t begin, size_t n, float *out);
void tw_unpack_q5_0(const uint8_t *blocks, size_t begin, size_t n, float *out);
void tw_unpack_q5_1(const uint8_t *blocks, size_t begin, size_t n, float *out);
void tw_unpack_q8_0(const uint8_t *blocks, size_t begin, size_t n, float *out);

/* Bytes of a metadata scalar; 0 for strings, arrays and unknown types. */
uint32_t tw_gguf_scalar_bytes(uint32_t type);
const char *tw_gguf_type_name(uint32_t type);

#endif
