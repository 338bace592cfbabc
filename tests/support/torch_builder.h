/* Writes small torch checkpoints, honest and hostile, for the tests of their reader. */
#ifndef TESTS_TORCH_BUILDER_H
#define TESTS_TORCH_BUILDER_H

#include "base/buffer.h"

/* ---- pickle opcodes, appended to a buffer ---- */
void pickle_op(tw_buffer *b, const char *ops); /* opcodes without arguments, in order */
void pickle_raw(tw_buffer *b, const char *bytes, size_t n);
/* A literal, its NULs included. */
#define pickle_bytes(b, literal) pickle_raw(b, literal, sizeof(literal) - 1)
void pickle_string(tw_buffer *b, const char *s); /* BINUNICODE */
void pickle_int(tw_buffer *b, int64_t i);        /* LONG1 of 8 bytes */
void pickle_global(tw_buffer *b, const char *module, const char *name);
void pickle_counts(tw_buffer *b, int n, const int64_t *counts); /* a tuple of integers */
/* ('storage', torch.TYPE, KEY, 'cpu', COUNT) and BINPERSID */
void pickle_storage(tw_buffer *b, const char *type, const char *key, int64_t count);

typedef struct test_view {
    const char *type, *key; /* of the storage: "FloatStorage", "0" */
    int64_t count, offset;
    int n_dims;
    int64_t shape[10], stride[10];
} test_view;

/* _rebuild_tensor_v2 of a view */
void pickle_tensor(tw_buffer *b, const test_view *view);

/* ---- zip archives of stored members ---- */
typedef struct test_zip {
    tw_buffer bytes, directory;
    int n_members;
    size_t directory_at; /* after test_zip_finish */
} test_zip;

/* Returns where the local header begins. */
size_t test_zip_add(test_zip *zip, const char *name, const void *data, size_t n_bytes);
/* Writes the directory; with `wide` also a 64-bit end record, the plain one saturated. */
void test_zip_finish(test_zip *zip, bool wide);
void test_zip_free(test_zip *zip);

/* An archive of a/data.pkl = `pickle` and a/data/0 = `n_floats` floats 0, 1, 2, … */
void test_zip_checkpoint(test_zip *zip, const tw_buffer *pickle, int n_floats);

#endif
