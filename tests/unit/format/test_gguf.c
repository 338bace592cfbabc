#include "support.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "format/gguf/gguf.h"

#include <stdlib.h>
#include <string.h>

static tw_error err;

/* ------------------------------------------------------------------------- a file by hand */

static void u32(tw_buffer *b, uint32_t v) {
    uint8_t p[4];
    tw_store_u32le(p, v);
    tw_buffer_append(b, p, 4);
}

static void u64(tw_buffer *b, uint64_t v) {
    uint8_t p[8];
    tw_store_u64le(p, v);
    tw_buffer_append(b, p, 8);
}

static void string(tw_buffer *b, const char *s) {
    u64(b, strlen(s));
    tw_buffer_puts(b, s);
}

static void header(tw_buffer *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
    tw_buffer_clear(b);
    tw_buffer_puts(b, "GGUF");
    u32(b, version);
    u64(b, n_tensors);
    u64(b, n_keys);
}

static void key(tw_buffer *b, const char *name, uint32_t type) {
    string(b, name);
    u32(b, type);
}

static void tensor(tw_buffer *b, const char *name, uint32_t n_dims, const uint64_t *dims,
                   uint32_t type, uint64_t offset) {
    string(b, name);
    u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        u64(b, dims[i]);
    u32(b, type);
    u64(b, offset);
}

static void data(tw_buffer *b, size_t alignment, size_t n_bytes) {
    while (b->n_bytes % alignment)
        tw_buffer_append(b, "", 1);
    for (size_t i = 0; i < n_bytes; i++)
        tw_buffer_append(b, &(uint8_t){(uint8_t)i}, 1);
}

static tw_status parse(const tw_buffer *b) {
    tw_gguf *g;
    /* A copy of the exact size, so that a sanitizer sees a read past the end. */
    uint8_t *exact = malloc(b->n_bytes ? b->n_bytes : 1);
    assert_non_null(exact);
    if (b->n_bytes) memcpy(exact, b->data, b->n_bytes);
    tw_status status = tw_gguf_parse(exact, b->n_bytes, &g, &err);
    tw_gguf_free(g);
    free(exact);
    return status;
}

#define refuse(b, expected, part)                                                                  \
    do {                                                                                           \
        assert_fails(parse(b), expected, &err);                                                    \
        if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);            \
    } while (0)

/* ------------------------------------------------------------------------------- round trips */

static void write_sample(const char *path) {
    static const int64_t matrix[] = {2, 3}, conv[] = {2, 1, 2, 2}, vector[] = {5};
    static const float f32[6] = {1, -2, 3.5f, 0, 1e-40f, 1e30f};
    static const uint16_t f16[8] = {0x3C00, 0x0001, 0x7BFF, 0, 1, 2, 3, 4};
    static const float mean[3] = {0.25f, 0.5f, 0.75f};
    static const int32_t stages[4] = {3, 4, 6, -3};
    uint8_t bytes[5 * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    tw_gguf_writer *w;
    tw_output out;
    assert_ok(tw_gguf_writer_create(&w, &err), &err);
    tw_gguf_put_string(w, "general.architecture", "clip");
    tw_gguf_put_u32(w, "a.u32", 4000000000u);
    tw_gguf_put_f32(w, "a.f32", 0.1f);
    tw_gguf_put_bool(w, "a.bool", true);
    tw_gguf_put_f32_array(w, "a.mean", mean, 3);
    tw_gguf_put_i32_array(w, "a.stages", stages, 4);
    tw_gguf_put_string_array(w, "a.tokens", 3);
    tw_gguf_put_element(w, "皮");
    tw_gguf_put_element(w, "");
    tw_gguf_put_element(w, "##b");
    assert_ok(tw_gguf_declare(w, "m", TW_F32, 2, matrix, &err), &err);
    assert_ok(tw_gguf_declare(w, "c", TW_F16, 4, conv, &err), &err);
    assert_ok(tw_gguf_declare(w, "v", TW_BF16, 1, vector, &err), &err);
    assert_ok(tw_output_open(path, &out, &err), &err);
    assert_ok(tw_gguf_writer_begin(w, &out, &err), &err);
    assert_ok(tw_gguf_write(w, f32, 5, &err), &err); /* in odd pieces */
    assert_ok(tw_gguf_write(w, (const uint8_t *)f32 + 5, sizeof f32 - 5, &err), &err);
    assert_ok(tw_gguf_write(w, f16, sizeof f16, &err), &err);
    assert_fails(tw_gguf_writer_end(w, &err), TW_ERR_ARGUMENT, &err);
    assert_ok(tw_gguf_write(w, bytes, sizeof bytes, &err), &err);
    assert_fails(tw_gguf_write(w, bytes, 1, &err), TW_ERR_ARGUMENT, &err);
    assert_ok(tw_gguf_writer_end(w, &err), &err);
    assert_ok(tw_output_commit(&out, &err), &err);
    tw_gguf_writer_free(w);
}

static void what_is_written_is_read_back(void **state) {
    const char *path = test_temporary(".gguf");
    write_sample(path);
    size_t n;
    uint8_t *file = test_read(path, &n);
    tw_gguf *g;
    assert_ok(tw_gguf_parse(file, n, &g, &err), &err);
    assert_int_equal(tw_gguf_n_keys(g), 7);
    assert_int_equal(tw_gguf_n_tensors(g), 3);
    const tw_gguf_tensor *m = tw_gguf_find_tensor(g, "m"), *c = tw_gguf_find_tensor(g, "c"),
                         *v = tw_gguf_find_tensor(g, "v");
    assert_ptr_equal(m, tw_gguf_tensor_at(g, 0));
    assert_int_equal(m->view.n_dims, 2);
    assert_int_equal(m->view.shape[0], 2); /* outermost first */
    assert_int_equal(m->view.shape[1], 3);
    assert_int_equal(m->view.dtype, TW_F32);
    assert_int_equal(c->view.n_dims, 4);
    assert_int_equal(c->view.shape[0], 2);
    assert_int_equal(c->view.dtype, TW_F16);
    assert_int_equal(v->view.dtype, TW_BF16);
    assert_int_equal(((const uint8_t *)v->view.data)[9], 10);
    float values[6];
    tw_tensor_to_f32(&m->view, values);
    assert_true(values[2] == 3.5f && values[4] == 1e-40f);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal((tw_gguf_tensor_at(g, i)->data - file) % 32, 0);
    tw_gguf_free(g);
    free(file);
}

static void metadata_has_its_types(void **state) {
    const char *path = test_temporary(".gguf");
    write_sample(path);
    size_t n;
    uint8_t *file = test_read(path, &n);
    tw_gguf *g;
    int64_t i;
    float f, mean[3];
    bool b;
    int32_t stages[4];
    tw_gguf_string s;
    tw_gguf_strings it;
    assert_ok(tw_gguf_parse(file, n, &g, &err), &err);
    assert_ok(tw_gguf_get_int(g, "a.u32", 0, INT64_MAX, &i, &err), &err);
    assert_int_equal(i, 4000000000);
    assert_ok(tw_gguf_get_f32(g, "a.f32", &f, &err), &err);
    assert_true(f == 0.1f);
    assert_ok(tw_gguf_get_bool(g, "a.bool", &b, &err), &err);
    assert_true(b);
    assert_ok(tw_gguf_get_f32_array(g, "a.mean", 3, mean, &err), &err);
    assert_true(mean[2] == 0.75f);
    assert_ok(tw_gguf_get_int_array(g, "a.stages", -10, 10, 4, stages, &err), &err);
    assert_int_equal(stages[3], -3);
    assert_ok(tw_gguf_get_strings(g, "a.tokens", &it, &err), &err);
    assert_int_equal(it.n, 3);
    assert_true(tw_gguf_next_string(&it, &s) && tw_gguf_string_is(s, "皮"));
    assert_true(tw_gguf_next_string(&it, &s) && s.n_bytes == 0);
    assert_true(tw_gguf_next_string(&it, &s) && tw_gguf_string_is(s, "##b"));
    assert_false(tw_gguf_next_string(&it, &s));

    assert_fails(tw_gguf_get_int(g, "a.u32", 1, 4096, &i, &err), TW_ERR_FORMAT, &err);
    assert_string_equal(err.message, "key 'a.u32' is 4000000000, expected 1..4096");
    assert_fails(tw_gguf_get_int(g, "absent", 0, 1, &i, &err), TW_ERR_FORMAT, &err);
    assert_string_equal(err.message, "key 'absent' is missing");
    assert_fails(tw_gguf_get_int(g, "a.f32", 0, 1, &i, &err), TW_ERR_FORMAT, &err);
    assert_string_equal(err.message, "key 'a.f32' is of type f32, expected an integer");
    assert_fails(tw_gguf_get_string(g, "a.mean", &s, &err), TW_ERR_FORMAT, &err);
    assert_string_equal(err.message, "key 'a.mean' is an array of f32, expected string");
    assert_fails(tw_gguf_get_f32_array(g, "a.mean", 4, mean, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_gguf_get_f32_array(g, "a.stages", 4, mean, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_gguf_get_int_array(g, "a.stages", 0, 10, 4, stages, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_gguf_get_int_array(g, "a.tokens", 0, 10, 3, stages, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_gguf_get_strings(g, "a.mean", &it, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_gguf_get_bool(g, "a.f32", &b, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_gguf_get_f32(g, "a.bool", &f, &err), TW_ERR_FORMAT, &err);
    tw_gguf_free(g);
    free(file);
}

static void integers_of_every_width_and_version_2_are_read(void **state) {
    tw_buffer b = {0};
    header(&b, 2, 0, 6);
    key(&b, "u8", 0);
    tw_buffer_append(&b, "\xff", 1);
    key(&b, "i8", 1);
    tw_buffer_append(&b, "\xff", 1);
    key(&b, "i16", 3);
    tw_buffer_append(&b, "\xfe\xff", 2);
    key(&b, "i64", 11);
    u64(&b, (uint64_t)-5);
    key(&b, "u64", 10);
    u64(&b, UINT64_MAX);
    key(&b, "f64", 12);
    u64(&b, UINT64_C(0x3FE0000000000000));
    tw_gguf *g;
    int64_t i;
    float f;
    assert_ok(tw_gguf_parse(b.data, b.n_bytes, &g, &err), &err);
    assert_ok(tw_gguf_get_int(g, "u8", 0, 255, &i, &err), &err);
    assert_int_equal(i, 255);
    assert_ok(tw_gguf_get_int(g, "i8", -1, 0, &i, &err), &err);
    assert_int_equal(i, -1);
    assert_ok(tw_gguf_get_int(g, "i16", -9, 0, &i, &err), &err);
    assert_int_equal(i, -2);
    assert_ok(tw_gguf_get_int(g, "i64", -9, 0, &i, &err), &err);
    assert_int_equal(i, -5);
    assert_fails(tw_gguf_get_int(g, "u64", 0, INT64_MAX, &i, &err), TW_ERR_FORMAT, &err);
    assert_ok(tw_gguf_get_f32(g, "f64", &f, &err), &err);
    assert_true(f == 0.5f);
    tw_gguf_free(g);
    tw_buffer_free(&b);
}

static void a_quantised_tensor_has_bytes_but_no_view(void **state) {
    tw_buffer b = {0};
    header(&b, 3, 1, 0);
    tensor(&b, "q", 2, (uint64_t[]){64, 2}, 8, 0); /* q8_0: 34 bytes for 32 elements */
    data(&b, 32, 4 * 34);
    tw_gguf *g;
    assert_ok(tw_gguf_parse(b.data, b.n_bytes, &g, &err), &err);
    const tw_gguf_tensor *t = tw_gguf_find_tensor(g, "q");
    assert_int_equal(t->n_bytes, 4 * 34);
    assert_non_null(t->data);
    assert_null(t->view.data);
    tw_gguf_free(g);
    header(&b, 3, 1, 0);
    tensor(&b, "q", 2, (uint64_t[]){33, 2}, 8, 0);
    data(&b, 32, 200);
    refuse(&b, TW_ERR_FORMAT, "multiple of 32");
    tw_buffer_free(&b);
}

/* ----------------------------------------------------------------------------------- hostile */

static void other_files_and_versions_are_refused(void **state) {
    tw_buffer b = {0};
    refuse(&b, TW_ERR_FORMAT, "magic");
    tw_buffer_puts(&b, "lmgg----");
    refuse(&b, TW_ERR_UNSUPPORTED, "not a gguf file");
    header(&b, 1, 0, 0);
    refuse(&b, TW_ERR_UNSUPPORTED, "version 1");
    header(&b, 0x03000000, 0, 0);
    refuse(&b, TW_ERR_UNSUPPORTED, "big-endian");
    tw_buffer_free(&b);
}

static void counts_are_checked_before_anything_is_allocated(void **state) {
    tw_buffer b = {0};
    header(&b, 3, 65537, 0);
    refuse(&b, TW_ERR_LIMIT, "65537 tensors");
    header(&b, 3, 0, UINT64_MAX);
    refuse(&b, TW_ERR_LIMIT, "keys");
    header(&b, 3, 60000, 60000);
    refuse(&b, TW_ERR_FORMAT, "60000 tensors and 60000 keys in 24 bytes");
    tw_buffer_free(&b);
}

static void damaged_metadata_is_refused(void **state) {
    tw_buffer b = {0};
    header(&b, 3, 0, 1);
    u64(&b, UINT64_MAX);
    tw_buffer_puts(&b, "12345678");
    refuse(&b, TW_ERR_LIMIT, "key");
    header(&b, 3, 0, 1);
    key(&b, "s", 8);
    u64(&b, 100);
    refuse(&b, TW_ERR_FORMAT, "needs 100 bytes");
    header(&b, 3, 0, 1);
    key(&b, "x", 13);
    u64(&b, 0);
    refuse(&b, TW_ERR_FORMAT, "unknown value type 13");
    header(&b, 3, 0, 1);
    key(&b, "x", 9);
    u32(&b, 9);
    u64(&b, 1);
    refuse(&b, TW_ERR_UNSUPPORTED, "array of arrays");
    header(&b, 3, 0, 1);
    key(&b, "x", 9);
    u32(&b, 99);
    u64(&b, 1);
    refuse(&b, TW_ERR_FORMAT, "unknown array type 99");
    header(&b, 3, 0, 1);
    key(&b, "x", 9);
    u32(&b, 6);
    u64(&b, UINT64_MAX / 2);
    refuse(&b, TW_ERR_LIMIT, "array of");
    header(&b, 3, 0, 1);
    key(&b, "x", 9);
    u32(&b, 8);
    u64(&b, 10000000);
    refuse(&b, TW_ERR_FORMAT, "string of an array");
    header(&b, 3, 0, 2);
    key(&b, "x", 0);
    tw_buffer_append(&b, "", 1);
    key(&b, "x", 0);
    tw_buffer_append(&b, "", 1);
    refuse(&b, TW_ERR_FORMAT, "'x' occurs twice");
    header(&b, 3, 0, 1);
    key(&b, "general.alignment", 4);
    u32(&b, 24);
    refuse(&b, TW_ERR_FORMAT, "power of two");
    header(&b, 3, 0, 1);
    key(&b, "general.alignment", 4);
    u32(&b, 0);
    refuse(&b, TW_ERR_FORMAT, "general.alignment");
    tw_buffer_free(&b);
}

static void damaged_tensors_are_refused(void **state) {
    static const struct {
        const char *name;
        uint32_t n_dims;
        uint64_t dims[5];
        uint32_t type;
        uint64_t offset;
        tw_status status;
        const char *part;
    } cases[] = {
        {"", 1, {4}, 0, 0, TW_ERR_FORMAT, "empty"},
        {"t", 5, {1, 1, 1, 1, 1}, 0, 0, TW_ERR_LIMIT, "5 extents"},
        {"t", 2, {4, 0}, 0, 0, TW_ERR_FORMAT, "extent of 0"},
        {"t", 2, {4, UINT64_MAX}, 0, 0, TW_ERR_FORMAT, "extent of 18446744073709551615"},
        {"t", 3, {1 << 30, 1 << 30, 1 << 30}, 0, 0, TW_ERR_FORMAT, "too large"},
        {"t", 2, {1u << 30, 1u << 30}, 0, 0, TW_ERR_FORMAT, "outside the file"},
        {"t", 1, {4}, 99, 0, TW_ERR_UNSUPPORTED, "unknown type 99"},
        {"t", 1, {4}, 0, 16, TW_ERR_FORMAT, "multiple of 32"},
        {"t", 1, {4}, 0, 64, TW_ERR_FORMAT, "outside the file"},
        {"t", 1, {17}, 0, 0, TW_ERR_FORMAT, "outside the file"},
        {"t", 1, {4}, 0, UINT64_MAX - 31, TW_ERR_FORMAT, "outside the file"},
        {"12345678901234567890123456789012345678901234567890123456789012345",
         1,
         {4},
         0,
         0,
         TW_ERR_LIMIT,
         "65 bytes"},
    };
    tw_buffer b = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        header(&b, 3, 1, 0);
        tensor(&b, cases[i].name, cases[i].n_dims, cases[i].dims, cases[i].type, cases[i].offset);
        data(&b, 32, 64);
        refuse(&b, cases[i].status, cases[i].part);
    }
    header(&b, 3, 2, 0);
    tensor(&b, "t", 1, (uint64_t[]){4}, 0, 0);
    tensor(&b, "t", 1, (uint64_t[]){4}, 0, 32);
    data(&b, 32, 64);
    refuse(&b, TW_ERR_FORMAT, "'t' occurs twice");
    tw_buffer_free(&b);
}

static void every_truncation_is_refused(void **state) {
    const char *path = test_temporary(".gguf");
    write_sample(path);
    size_t n;
    uint8_t *file = test_read(path, &n);
    tw_buffer b = {0};
    /* The padding after the last tensor (10 bytes of 32) may be missing. */
    for (size_t i = 0; i < n - 22; i++) {
        tw_buffer_clear(&b);
        tw_buffer_append(&b, file, i);
        assert_fails(parse(&b), TW_ERR_FORMAT, &err);
    }
    tw_buffer_free(&b);
    free(file);
}

static void flipped_bits_never_break_the_reader(void **state) {
    const char *path = test_temporary(".gguf");
    write_sample(path);
    size_t n;
    uint8_t *file = test_read(path, &n);
    tw_buffer b = {0};
    for (size_t bit = 0; bit < 8 * n; bit++) {
        tw_buffer_clear(&b);
        tw_buffer_append(&b, file, n);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
        parse(&b);
    }
    tw_buffer_free(&b);
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(metadata_has_its_types),
        cmocka_unit_test(integers_of_every_width_and_version_2_are_read),
        cmocka_unit_test(a_quantised_tensor_has_bytes_but_no_view),
        cmocka_unit_test(other_files_and_versions_are_refused),
        cmocka_unit_test(counts_are_checked_before_anything_is_allocated),
        cmocka_unit_test(damaged_metadata_is_refused),
        cmocka_unit_test(damaged_tensors_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(flipped_bits_never_break_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
