#include "shard_builder.h"

#include "support.h"
#include "torch_builder.h"

#include "base/buffer.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(tw_dtype dtype) {
    return dtype == TW_F32 ? "F32" : dtype == TW_F16 ? "F16" : dtype == TW_BF16 ? "BF16" : "I64";
}

void test_write_safetensors(const char *path, const tw_tensor *const *tensors, size_t n) {
    tw_buffer header = {0}, file = {0};
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const tw_tensor *t = tensors[i];
        size_t n_bytes = tw_tensor_elements(t) * tw_dtype_bytes(t->dtype);
        assert_true(tw_tensor_is_c_order(t));
        tw_buffer_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", t->name,
                         type_name(t->dtype));
        for (int d = 0; d < t->n_dims; d++)
            tw_buffer_printf(&header, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        tw_buffer_printf(&header, "],\"data_offsets\":[%zu,%zu]}", at, at + n_bytes);
        at += n_bytes;
    }
    tw_buffer_puts(&header, "}");
    uint8_t length[8];
    tw_store_u64le(length, header.n_bytes);
    tw_buffer_append(&file, length, sizeof length);
    tw_buffer_append(&file, header.data, header.n_bytes);
    for (size_t i = 0; i < n; i++)
        tw_buffer_append(&file, tensors[i]->data,
                         tw_tensor_elements(tensors[i]) * tw_dtype_bytes(tensors[i]->dtype));
    assert_false(file.failed);
    test_write(path, file.data, file.n_bytes);
    tw_buffer_free(&header);
    tw_buffer_free(&file);
}

void test_write_torch(const char *path, const tw_tensor *const *tensors, size_t n) {
    test_zip zip = {0};
    tw_buffer pickle = {0};
    char name[32];
    pickle_op(&pickle, "\x80\2}(");
    for (size_t i = 0; i < n; i++) {
        const tw_tensor *t = tensors[i];
        test_view view = {.type = t->dtype == TW_F32   ? "FloatStorage"
                                  : t->dtype == TW_F16 ? "HalfStorage"
                                                       : "LongStorage",
                          .key = name,
                          .count = (int64_t)tw_tensor_elements(t),
                          .n_dims = t->n_dims};
        assert_true(tw_tensor_is_c_order(t));
        memcpy(view.shape, t->shape, sizeof *t->shape * (size_t)t->n_dims);
        memcpy(view.stride, t->stride, sizeof *t->stride * (size_t)t->n_dims);
        snprintf(name, sizeof name, "%zu", i);
        pickle_string(&pickle, t->name);
        pickle_tensor(&pickle, &view);
    }
    pickle_op(&pickle, "u.");
    test_zip_add(&zip, "shard/data.pkl", pickle.data, pickle.n_bytes);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "shard/data/%zu", i);
        test_zip_add(&zip, name, tensors[i]->data,
                     tw_tensor_elements(tensors[i]) * tw_dtype_bytes(tensors[i]->dtype));
    }
    test_zip_finish(&zip, false);
    assert_false(pickle.failed || zip.bytes.failed);
    test_write(path, zip.bytes.data, zip.bytes.n_bytes);
    tw_buffer_free(&pickle);
    test_zip_free(&zip);
}

static void split(const char *checkpoint, const char *folder, const char *const names[2],
                  const char *index_name,
                  void (*write)(const char *path, const tw_tensor *const *tensors, size_t n)) {
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_ok(tw_checkpoint_open(checkpoint, &c, &err), &err);
    size_t n = tw_checkpoint_n_tensors(c);
    const tw_tensor **half = malloc(n * sizeof *half);
    assert_non_null(half);
    tw_buffer index = {0};
    tw_buffer_puts(&index, "{\"metadata\":{\"total_size\":1},\"weight_map\":");
    for (size_t i = 0; i < n; i++)
        tw_buffer_printf(&index, "%s\"%s\":\"%s\"", i ? "," : "{", tw_checkpoint_tensor(c, i)->name,
                         names[i % 2]);
    tw_buffer_puts(&index, "}}");
    for (size_t k = 0; k < 2; k++) {
        size_t n_half = 0;
        for (size_t i = k; i < n; i += 2)
            half[n_half++] = tw_checkpoint_tensor(c, i);
        write(test_in(folder, names[k]), half, n_half);
    }
    test_write(test_in(folder, index_name), index.data, index.n_bytes);
    tw_buffer_free(&index);
    free(half);
    tw_checkpoint_free(c);
}

void test_split(const char *checkpoint, const char *folder) {
    static const char *const names[2] = {"model-00001-of-00002.safetensors",
                                         "model-00002-of-00002.safetensors"};
    split(checkpoint, folder, names, "model.safetensors.index.json", test_write_safetensors);
}

void test_split_torch(const char *checkpoint, const char *folder) {
    static const char *const names[2] = {"pytorch_model-00001-of-00002.bin",
                                         "pytorch_model-00002-of-00002.bin"};
    split(checkpoint, folder, names, "pytorch_model.bin.index.json", test_write_torch);
}
