/* The scalar types of metadata and the element types of tensors. */
#ifndef FORMAT_GGUF_TYPES_H
#define FORMAT_GGUF_TYPES_H

#include "tuwen/base.h"

/* A tensor type of ggml: `block` elements take `block_bytes` bytes. */
typedef struct tw_ggml_type {
    uint32_t id;
    const char *name;
    uint32_t block, block_bytes;
    tw_dtype dtype; /* meaningful where block is 1 */
} tw_ggml_type;

const tw_ggml_type *tw_ggml_type_find(uint32_t id);        /* NULL when unknown */
const tw_ggml_type *tw_ggml_type_of_dtype(tw_dtype dtype); /* NULL when ggml has none */

/* Bytes of a metadata scalar; 0 for strings, arrays and unknown types. */
uint32_t tw_gguf_scalar_bytes(uint32_t type);
const char *tw_gguf_type_name(uint32_t type);

#endif
