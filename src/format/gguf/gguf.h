/* GGUF v3 (and v2), little endian: the reader for untrusted bytes and the streaming writer.
 * Source: the GGUF specification (ggml/docs/gguf.md); extents are stored innermost first there and
 * are outermost first here, as everywhere in this library. */
#ifndef FORMAT_GGUF_GGUF_H
#define FORMAT_GGUF_GGUF_H

#include "base/file.h"
#include "tensor/tensor.h"

/* Limits of the reader; a real model file stays far below each. */
#define TW_GGUF_MAX_TENSORS 65536u
#define TW_GGUF_MAX_KEYS 65536u
#define TW_GGUF_MAX_STRING ((uint64_t)64 << 20)
#define TW_GGUF_MAX_ARRAY ((uint64_t)16 << 20)
#define TW_GGUF_MAX_NAME 64u /* bytes of a tensor name */
#define TW_GGUF_ALIGNMENT 32u

typedef enum tw_gguf_type {
    TW_GGUF_U8 = 0,
    TW_GGUF_I8 = 1,
    TW_GGUF_U16 = 2,
    TW_GGUF_I16 = 3,
    TW_GGUF_U32 = 4,
    TW_GGUF_I32 = 5,
    TW_GGUF_F32 = 6,
    TW_GGUF_BOOL = 7,
    TW_GGUF_STRING = 8,
    TW_GGUF_ARRAY = 9,
    TW_GGUF_U64 = 10,
    TW_GGUF_I64 = 11,
    TW_GGUF_F64 = 12
} tw_gguf_type;

/* Bytes that need no NUL, borrowed from the file. */
typedef struct tw_gguf_string {
    const char *data;
    size_t n_bytes;
} tw_gguf_string;

/* A metadata entry. `data` points at the value: a scalar's bytes, a string's characters, or the
 * first element of an array. */
typedef struct tw_gguf_key {
    tw_gguf_string name;
    tw_gguf_type type;
    tw_gguf_type element; /* of an array; arrays of arrays are refused */
    uint64_t n;           /* elements of an array, bytes of a string, else 1 */
    const uint8_t *data;
} tw_gguf_key;

typedef struct tw_gguf_tensor {
    tw_tensor view;     /* C order; name NUL-terminated; data NULL for a block-quantised type */
    uint32_t ggml_type; /* 0 f32, 1 f16, 8 q8_0, … */
    const uint8_t *data;
    uint64_t n_bytes;
} tw_gguf_tensor;

typedef struct tw_gguf tw_gguf;

/* Parses and validates the whole directory; `data` must outlive the result. Every tensor's bytes
 * lie inside the file. Errors: TW_ERR_FORMAT, TW_ERR_UNSUPPORTED (version 1, big endian, unknown
 * tensor type), TW_ERR_LIMIT, TW_ERR_NO_MEMORY. */
tw_status tw_gguf_parse(const void *data, size_t n_bytes, tw_gguf **out, tw_error *err);
void tw_gguf_free(tw_gguf *g);

size_t tw_gguf_n_keys(const tw_gguf *g);
const tw_gguf_key *tw_gguf_key_at(const tw_gguf *g, size_t index); /* in file order */
const tw_gguf_key *tw_gguf_find(const tw_gguf *g, const char *name);

size_t tw_gguf_n_tensors(const tw_gguf *g);
const tw_gguf_tensor *tw_gguf_tensor_at(const tw_gguf *g, size_t index); /* in file order */
const tw_gguf_tensor *tw_gguf_find_tensor(const tw_gguf *g, const char *name);

/* Typed look-ups. An absent key, another type or a value out of range is TW_ERR_FORMAT naming key,
 * expected and got. Integers of any width are accepted where an integer is asked for. */
tw_status tw_gguf_get_int(const tw_gguf *g, const char *key, int64_t min, int64_t max, int64_t *out,
                          tw_error *err);
tw_status tw_gguf_get_f32(const tw_gguf *g, const char *key, float *out, tw_error *err);
tw_status tw_gguf_get_bool(const tw_gguf *g, const char *key, bool *out, tw_error *err);
tw_status tw_gguf_get_string(const tw_gguf *g, const char *key, tw_gguf_string *out, tw_error *err);
tw_status tw_gguf_get_f32_array(const tw_gguf *g, const char *key, size_t n, float *out,
                                tw_error *err);
tw_status tw_gguf_get_int_array(const tw_gguf *g, const char *key, int64_t min, int64_t max,
                                size_t n, int32_t *out, tw_error *err);

bool tw_gguf_string_is(tw_gguf_string s, const char *text);

/* Walks a string array without copying:
 *     tw_gguf_strings it;
 *     tw_gguf_get_strings(g, key, &it, err);   // it.n = how many
 *     while (tw_gguf_next_string(&it, &s)) …   */
typedef struct tw_gguf_strings {
    uint64_t n;
    uint64_t next;
    const uint8_t *p;
} tw_gguf_strings;

tw_status tw_gguf_get_strings(const tw_gguf *g, const char *key, tw_gguf_strings *out,
                              tw_error *err);
bool tw_gguf_next_string(tw_gguf_strings *it, tw_gguf_string *out);

/* ------------------------------------------------------------------------------------ writer */

/* Metadata and tensor shapes are declared first; then each tensor's bytes are written in the order
 * of declaration, in pieces of any size. No tensor is ever held in memory.
 *     tw_gguf_writer_create, tw_gguf_put_… , tw_gguf_declare … ,
 *     tw_gguf_writer_begin(w, out), tw_gguf_write … , tw_gguf_writer_end */
typedef struct tw_gguf_writer tw_gguf_writer;

tw_status tw_gguf_writer_create(tw_gguf_writer **out, tw_error *err);
void tw_gguf_writer_free(tw_gguf_writer *w);

/* A key must be put once. Running out of memory is reported by tw_gguf_writer_begin(). */
void tw_gguf_put_u32(tw_gguf_writer *w, const char *key, uint32_t v);
void tw_gguf_put_f32(tw_gguf_writer *w, const char *key, float v);
void tw_gguf_put_bool(tw_gguf_writer *w, const char *key, bool v);
void tw_gguf_put_string(tw_gguf_writer *w, const char *key, const char *v);
void tw_gguf_put_f32_array(tw_gguf_writer *w, const char *key, const float *v, size_t n);
void tw_gguf_put_i32_array(tw_gguf_writer *w, const char *key, const int32_t *v, size_t n);
/* Starts an array of n strings; exactly n tw_gguf_put_element() calls must follow. */
void tw_gguf_put_string_array(tw_gguf_writer *w, const char *key, size_t n);
void tw_gguf_put_element(tw_gguf_writer *w, const char *v);

/* Declares a tensor (f32, f16, bf16, f64 or an integer type); n_dims 1..4, extents outermost first.
 * Errors: TW_ERR_ARGUMENT, TW_ERR_LIMIT. */
tw_status tw_gguf_declare(tw_gguf_writer *w, const char *name, tw_dtype dtype, int n_dims,
                          const int64_t *shape, tw_error *err);

tw_status tw_gguf_writer_begin(tw_gguf_writer *w, tw_output *out, tw_error *err);
/* The next bytes of the current tensor; the padding between tensors is the writer's business. More
 * than was declared is TW_ERR_ARGUMENT. */
tw_status tw_gguf_write(tw_gguf_writer *w, const void *data, size_t n_bytes, tw_error *err);
/* Checks that every declared byte was written. Commits nothing: `out` stays the caller's. */
tw_status tw_gguf_writer_end(tw_gguf_writer *w, tw_error *err);

#endif
