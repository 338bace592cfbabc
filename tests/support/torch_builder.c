#include "torch_builder.h"

#include <stdio.h>
#include <string.h>

static void put_uint(tw_buffer *b, uint64_t v, int n_bytes) {
    uint8_t bytes[8];
    for (int i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(v >> 8 * i);
    tw_buffer_append(b, bytes, (size_t)n_bytes);
}

void pickle_op(tw_buffer *b, const char *ops) {
    tw_buffer_puts(b, ops);
}

void pickle_raw(tw_buffer *b, const char *bytes, size_t n) {
    tw_buffer_append(b, bytes, n);
}

void pickle_string(tw_buffer *b, const char *s) {
    pickle_op(b, "X");
    put_uint(b, strlen(s), 4);
    tw_buffer_puts(b, s);
}

void pickle_int(tw_buffer *b, int64_t i) {
    pickle_op(b, "\x8a\x08");
    put_uint(b, (uint64_t)i, 8);
}

void pickle_global(tw_buffer *b, const char *module, const char *name) {
    tw_buffer_printf(b, "c%s\n%s\n", module, name);
}

void pickle_counts(tw_buffer *b, int n, const int64_t *counts) {
    pickle_op(b, "(");
    for (int i = 0; i < n; i++)
        pickle_int(b, counts[i]);
    pickle_op(b, "t");
}

void pickle_storage(tw_buffer *b, const char *type, const char *key, int64_t count) {
    pickle_op(b, "(");
    pickle_string(b, "storage");
    pickle_global(b, "torch", type);
    pickle_string(b, key);
    pickle_string(b, "cpu");
    pickle_int(b, count);
    pickle_op(b, "tQ");
}

void pickle_tensor(tw_buffer *b, const test_view *view) {
    pickle_global(b, "torch._utils", "_rebuild_tensor_v2");
    pickle_op(b, "(");
    pickle_storage(b, view->type, view->key, view->count);
    pickle_int(b, view->offset);
    pickle_counts(b, view->n_dims, view->shape);
    pickle_counts(b, view->n_dims, view->stride);
    pickle_op(b, "\x89");
    pickle_global(b, "collections", "OrderedDict");
    pickle_op(b, ")RtR");
}

size_t test_zip_add(test_zip *zip, const char *name, const void *data, size_t n_bytes) {
    size_t at = zip->bytes.n_bytes, n_name = strlen(name);
    /* As torch writes it: flags 0x0808, no sizes in the local header. The extra field of the
     * local header is longer than the directory's, which has none. */
    tw_buffer_append(&zip->bytes, "PK\3\4\0\0\x08\x08\0\0\0\0\0\0", 14);
    put_uint(&zip->bytes, 0, 4);
    put_uint(&zip->bytes, 0, 8);
    put_uint(&zip->bytes, n_name, 2);
    put_uint(&zip->bytes, 7, 2);
    tw_buffer_puts(&zip->bytes, name);
    tw_buffer_append(&zip->bytes, "FB\3\0ZZZ", 7);
    if (n_bytes) tw_buffer_append(&zip->bytes, data, n_bytes);

    tw_buffer_append(&zip->directory, "PK\1\2\0\0\0\0\x08\x08\0\0\0\0\0\0", 16);
    put_uint(&zip->directory, 0, 4);
    put_uint(&zip->directory, n_bytes, 4);
    put_uint(&zip->directory, n_bytes, 4);
    put_uint(&zip->directory, n_name, 2);
    put_uint(&zip->directory, 0, 8);
    put_uint(&zip->directory, 0, 4);
    put_uint(&zip->directory, at, 4);
    tw_buffer_puts(&zip->directory, name);
    zip->n_members++;
    return at;
}

void test_zip_finish(test_zip *zip, bool wide) {
    tw_buffer *b = &zip->bytes;
    uint64_t n = (uint64_t)zip->n_members, n_bytes = zip->directory.n_bytes, at = b->n_bytes;
    zip->directory_at = b->n_bytes;
    tw_buffer_append(b, zip->directory.data, zip->directory.n_bytes);
    if (wide) {
        uint64_t end64 = b->n_bytes;
        tw_buffer_puts(b, "PK\6\6");
        put_uint(b, 44, 8);
        put_uint(b, 0, 4);
        put_uint(b, 0, 8);
        put_uint(b, n, 8);
        put_uint(b, n, 8);
        put_uint(b, n_bytes, 8);
        put_uint(b, at, 8);
        tw_buffer_puts(b, "PK\6\7");
        put_uint(b, 0, 4);
        put_uint(b, end64, 8);
        put_uint(b, 1, 4);
        n = 0xFFFF;
        n_bytes = at = 0xFFFFFFFF;
    }
    tw_buffer_puts(b, "PK\5\6");
    put_uint(b, 0, 4);
    put_uint(b, n, 2);
    put_uint(b, n, 2);
    put_uint(b, n_bytes, 4);
    put_uint(b, at, 4);
    put_uint(b, 0, 2);
}

void test_zip_free(test_zip *zip) {
    tw_buffer_free(&zip->bytes);
    tw_buffer_free(&zip->directory);
    *zip = (test_zip){0};
}

void test_zip_checkpoint(test_zip *zip, const tw_buffer *pickle, int n_floats) {
    *zip = (test_zip){0};
    tw_buffer floats = {0};
    for (int i = 0; i < n_floats; i++) {
        float f = (float)i;
        tw_buffer_append(&floats, &f, sizeof f);
    }
    test_zip_add(zip, "a/data.pkl", pickle->data, pickle->n_bytes);
    test_zip_add(zip, "a/data/0", floats.data, floats.n_bytes);
    test_zip_finish(zip, false);
    tw_buffer_free(&floats);
}
