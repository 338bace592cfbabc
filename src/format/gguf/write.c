/* The streaming GGUF v3 writer. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/size.h"
#include "format/gguf/gguf.h"
#include "format/gguf/types.h"

#include <stdlib.h>

struct tw_gguf_writer {
    tw_buffer keys, tensors; /* the two directories, as they will stand in the file */
    uint64_t n_keys, n_tensors;
    uint64_t *sizes; /* bytes of each declared tensor, without padding */
    size_t capacity;
    uint64_t data_bytes; /* of the data section so far declared, padded */
    tw_output *out;
    size_t current;   /* tensor being written */
    uint64_t written; /* bytes of it */
};

static const uint8_t zeros[TW_GGUF_ALIGNMENT];

tw_status tw_gguf_writer_create(tw_gguf_writer **out, tw_error *err) {
    *out = calloc(1, sizeof **out);
    return *out ? TW_OK : tw_fail_no_memory(err, sizeof **out);
}

void tw_gguf_writer_free(tw_gguf_writer *w) {
    if (!w) return;
    tw_buffer_free(&w->keys);
    tw_buffer_free(&w->tensors);
    free(w->sizes);
    free(w);
}

/* ------------------------------------------------------------------------------------ metadata */

static void append_u32(tw_buffer *b, uint32_t v) {
    uint8_t bytes[4];
    tw_store_u32le(bytes, v);
    tw_buffer_append(b, bytes, sizeof bytes);
}

static void append_u64(tw_buffer *b, uint64_t v) {
    uint8_t bytes[8];
    tw_store_u64le(bytes, v);
    tw_buffer_append(b, bytes, sizeof bytes);
}

static void append_f32(tw_buffer *b, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    append_u32(b, bits);
}

static void append_string(tw_buffer *b, const char *s) {
    size_t n = strlen(s);
    append_u64(b, n);
    tw_buffer_append(b, s, n);
}

static void begin_key(tw_gguf_writer *w, const char *key, tw_gguf_type type) {
    append_string(&w->keys, key);
    append_u32(&w->keys, type);
    w->n_keys++;
}

static void begin_array(tw_gguf_writer *w, const char *key, tw_gguf_type element, size_t n) {
    begin_key(w, key, TW_GGUF_ARRAY);
    append_u32(&w->keys, element);
    append_u64(&w->keys, n);
}

void tw_gguf_put_u32(tw_gguf_writer *w, const char *key, uint32_t v) {
    begin_key(w, key, TW_GGUF_U32);
    append_u32(&w->keys, v);
}

void tw_gguf_put_f32(tw_gguf_writer *w, const char *key, float v) {
    begin_key(w, key, TW_GGUF_F32);
    append_f32(&w->keys, v);
}

void tw_gguf_put_bool(tw_gguf_writer *w, const char *key, bool v) {
    begin_key(w, key, TW_GGUF_BOOL);
    tw_buffer_append(&w->keys, &(uint8_t){v}, 1);
}

void tw_gguf_put_string(tw_gguf_writer *w, const char *key, const char *v) {
    begin_key(w, key, TW_GGUF_STRING);
    append_string(&w->keys, v);
}

void tw_gguf_put_f32_array(tw_gguf_writer *w, const char *key, const float *v, size_t n) {
    begin_array(w, key, TW_GGUF_F32, n);
    for (size_t i = 0; i < n; i++)
        append_f32(&w->keys, v[i]);
}

void tw_gguf_put_i32_array(tw_gguf_writer *w, const char *key, const int32_t *v, size_t n) {
    begin_array(w, key, TW_GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        append_u32(&w->keys, (uint32_t)v[i]);
}

void tw_gguf_put_string_array(tw_gguf_writer *w, const char *key, size_t n) {
    begin_array(w, key, TW_GGUF_STRING, n);
}

void tw_gguf_put_element(tw_gguf_writer *w, const char *v) {
    append_string(&w->keys, v);
}

/* ------------------------------------------------------------------------------------- tensors */

static uint64_t padded(uint64_t n) {
    return (n + TW_GGUF_ALIGNMENT - 1) / TW_GGUF_ALIGNMENT * TW_GGUF_ALIGNMENT;
}

static tw_status remember_size(tw_gguf_writer *w, uint64_t n_bytes, tw_error *err) {
    if (w->n_tensors == w->capacity) {
        size_t grown = w->capacity * 2 + 256;
        uint64_t *p = realloc(w->sizes, grown * sizeof *p);
        if (!p) return tw_fail_no_memory(err, grown * sizeof *p);
        w->sizes = p;
        w->capacity = grown;
    }
    w->sizes[w->n_tensors++] = n_bytes;
    w->data_bytes += padded(n_bytes);
    return TW_OK;
}

tw_status tw_gguf_declare(tw_gguf_writer *w, const char *name, tw_dtype dtype, int n_dims,
                          const int64_t *shape, tw_error *err) {
    const tw_ggml_type *type = tw_ggml_type_of_dtype(dtype);
    uint64_t n, n_bytes;
    if (!type)
        return tw_fail(err, TW_ERR_ARGUMENT, "tensor '%s': gguf has no type %s", name,
                       tw_dtype_name(dtype));
    if (strlen(name) > TW_GGUF_MAX_NAME || w->n_tensors == TW_GGUF_MAX_TENSORS)
        return tw_fail(err, TW_ERR_LIMIT, "tensor '%s': at most %u tensors with names of %u bytes",
                       name, TW_GGUF_MAX_TENSORS, TW_GGUF_MAX_NAME);
    if (n_dims < 1 || n_dims > 4 || !tw_shape_elements(n_dims, shape, &n) ||
        !tw_mul_u64(n, type->block_bytes, &n_bytes) || n_bytes > INT64_MAX)
        return tw_fail(err, TW_ERR_ARGUMENT, "tensor '%s' has no shape that gguf can store", name);
    append_string(&w->tensors, name);
    append_u32(&w->tensors, (uint32_t)n_dims);
    for (int i = n_dims - 1; i >= 0; i--)
        append_u64(&w->tensors, (uint64_t)shape[i]);
    append_u32(&w->tensors, type->id);
    append_u64(&w->tensors, w->data_bytes);
    return remember_size(w, n_bytes, err);
}

tw_status tw_gguf_writer_begin(tw_gguf_writer *w, tw_output *out, tw_error *err) {
    tw_buffer head = {0};
    tw_status status;
    w->out = out;
    tw_buffer_append(&head, "GGUF", 4);
    append_u32(&head, 3);
    append_u64(&head, w->n_tensors);
    append_u64(&head, w->n_keys);
    size_t n_keys = w->keys.n_bytes, n_tensors = w->tensors.n_bytes;
    if (head.failed || w->keys.failed || w->tensors.failed) {
        status = tw_fail_no_memory(err, n_keys + n_tensors);
        goto done;
    }
    size_t total = head.n_bytes + n_keys + n_tensors;
    TW_CHECK(tw_output_write(out, head.data, head.n_bytes, err));
    TW_CHECK(tw_output_write(out, w->keys.data, n_keys, err));
    TW_CHECK(tw_output_write(out, w->tensors.data, n_tensors, err));
    status = tw_output_write(out, zeros, (size_t)(padded(total) - total), err);
done:
    tw_buffer_free(&head);
    return status;
}

tw_status tw_gguf_write(tw_gguf_writer *w, const void *data, size_t n_bytes, tw_error *err) {
    if (w->current == w->n_tensors || n_bytes > w->sizes[w->current] - w->written)
        return tw_fail(err, TW_ERR_ARGUMENT, "gguf: more bytes for tensor %zu than declared",
                       w->current);
    TW_TRY(tw_output_write(w->out, data, n_bytes, err));
    w->written += n_bytes;
    if (w->written < w->sizes[w->current]) return TW_OK;
    TW_TRY(tw_output_write(w->out, zeros, (size_t)(padded(w->written) - w->written), err));
    w->current++;
    w->written = 0;
    return TW_OK;
}

tw_status tw_gguf_writer_end(tw_gguf_writer *w, tw_error *err) {
    if (w->current == w->n_tensors) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "gguf: tensor %zu of %llu is incomplete", w->current,
                   (unsigned long long)w->n_tensors);
}
