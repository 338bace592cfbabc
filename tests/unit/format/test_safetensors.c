/* Safetensors: honest files give their tensors, every lie of a header is called by name. */
#include "support.h"

#include "base/bytes.h"
#include "format/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

/* A file of a header and `n_data` bytes 0, 1, 2, …, of the exact size for sanitizers; free() it. */
static uint8_t *make(const char *header, size_t n_data, size_t *n_bytes) {
    size_t n = strlen(header);
    uint8_t *p = malloc(8 + n + n_data);
    assert_non_null(p);
    tw_store_u64le(p, n);
    memcpy(p + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        p[8 + n + i] = (uint8_t)i;
    *n_bytes = 8 + n + n_data;
    return p;
}

static void refused(const char *header, size_t n_data, tw_status expected, const char *part) {
    size_t n;
    uint8_t *bytes = make(header, n_data, &n);
    tw_checkpoint *c;
    assert_fails(tw_checkpoint_parse(bytes, n, &c, &err), expected, &err);
    assert_null(c);
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
    free(bytes);
}

#define T(name, type, shape, begin, end)                                                           \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end  \
    "]}"

static void reads_tensors_in_the_order_of_the_header(void **state) {
    (void)state;
    size_t n;
    uint8_t *bytes = make(
        "{\"__metadata__\":{\"format\":\"pt\"}," T("b", "U8", "[2,3]", 4, 10) "," T(
            "a.weight", "F16", "[2]", 0, 4) "," T("none", "F32", "[0,9]", 4,
                                                  4) "," T("scalar", "I16", "[]", 10, 12) "}     ",
        12, &n);
    tw_checkpoint *c;
    assert_ok(tw_checkpoint_parse(bytes, n, &c, &err), &err);
    assert_string_equal(tw_checkpoint_format(c), "safetensors");
    assert_int_equal(tw_checkpoint_n_tensors(c), 4);
    const tw_tensor *b = tw_checkpoint_tensor(c, 0), *a = tw_checkpoint_find(c, "a.weight");
    const tw_tensor *scalar = tw_checkpoint_find(c, "scalar");
    assert_string_equal(b->name, "b");
    assert_int_equal(b->dtype, TW_U8);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->shape[1], 3);
    assert_true(tw_tensor_is_c_order(b));
    float values[6];
    tw_tensor_to_f32(b, values);
    for (int i = 0; i < 6; i++)
        assert_true(values[i] == (float)(i + 4));
    assert_int_equal(a->dtype, TW_F16);
    assert_ptr_equal(a->data, (const uint8_t *)b->data - 4);
    assert_int_equal(tw_tensor_elements(tw_checkpoint_find(c, "none")), 0);
    assert_int_equal(scalar->n_dims, 0);
    tw_tensor_to_f32(scalar, values);
    assert_true(values[0] == 10 + 256 * 11);
    tw_checkpoint_free(c);
    free(bytes);
}

static void tensors_must_tile_the_data(void **state) {
    (void)state;
    refused("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, TW_ERR_FORMAT,
            "tensor \"b\" begins at byte 4 of the data, expected 8: an overlap");
    refused("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 0, 8) "}", 8, TW_ERR_FORMAT,
            "an overlap");
    refused("{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, TW_ERR_FORMAT,
            "tensor \"b\" begins at byte 8 of the data, expected 4: a gap");
    refused("{" T("a", "F32", "[1]", 4, 8) "}", 8, TW_ERR_FORMAT, "a gap");
    refused("{" T("a", "F32", "[1]", 0, 4) "}", 5, TW_ERR_FORMAT, "end at byte 4 of 5");
    refused("{" T("a", "F32", "[2]", 0, 8) "}", 4, TW_ERR_FORMAT, "bytes 0 to 8 of 4");
    refused("{" T("a", "F32", "[1]", 4, 0) "}", 4, TW_ERR_FORMAT, "bytes 4 to 0 of 4");
}

static void a_shape_must_fit_its_bytes(void **state) {
    (void)state;
    refused("{" T("a", "F32", "[3]", 0, 8) "}", 8, TW_ERR_FORMAT,
            "tensor \"a\": 8 bytes for [3] of type F32, which needs 12");
    refused("{" T("a", "F32", "[4294967296,4294967296,2]", 0, 8) "}", 8, TW_ERR_FORMAT,
            "too large");
    refused("{" T("a", "F64", "[2305843009213693953]", 0, 8) "}", 8, TW_ERR_FORMAT, "too large");
    refused("{" T("a", "F32", "[-1,-2]", 0, 8) "}", 8, TW_ERR_FORMAT, "shape: expected an integer");
    refused("{" T("a", "F32", "[2.0]", 0, 8) "}", 8, TW_ERR_FORMAT, "shape: expected an integer");
    refused("{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, TW_ERR_UNSUPPORTED,
            "9 dimensions");
    refused("{" T("a", "F32", "[2]", 0, 1e1) "}", 8, TW_ERR_FORMAT, "data_offsets");
    refused("{" T("a", "F32", "[2]", -8, 0) "}", 8, TW_ERR_FORMAT, "data_offsets");
}

static void wrong_headers_are_named(void **state) {
    (void)state;
    refused("{}", 0, TW_ERR_FORMAT, "no tensors");
    refused("{\"a\":1}", 0, TW_ERR_FORMAT, "tensor \"a\": expected an object");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, TW_ERR_FORMAT, "[begin, end]");
    refused("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, TW_ERR_FORMAT,
            "shape: expected an array");
    refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TW_ERR_FORMAT, "dtype is missing");
    refused("{" T("a", "F8_E4M3", "[1]", 0, 1) "}", 1, TW_ERR_UNSUPPORTED,
            "element type 'F8_E4M3' is not supported");
    refused("{" T("a", "U8", "[1]", 0, 1) "," T("a", "U8", "[1]", 1, 2) "}", 2, TW_ERR_FORMAT,
            "occurs twice");
    refused("{" T("a\\u0000b", "U8", "[1]", 0, 1) "}", 1, TW_ERR_FORMAT, "is not UTF-8 text");
    refused("{\"__metadata__\":[]}", 0, TW_ERR_FORMAT, "expected an object of strings");
    refused("{\"__metadata__\":{\"a\":null}}", 0, TW_ERR_FORMAT, "expected an object of strings");
    refused("{\"a\":", 0, TW_ERR_FORMAT, "safetensors: json");
}

static void the_length_of_the_header_is_checked_first(void **state) {
    (void)state;
    size_t n;
    tw_checkpoint *c;
    uint8_t *bytes = make("{" T("a", "U8", "[1]", 0, 1) "}", 1, &n);
    tw_store_u64le(bytes, n - 7);
    assert_fails(tw_checkpoint_parse(bytes, n, &c, &err), TW_ERR_FORMAT, &err);
    assert_non_null(strstr(err.message, "is it truncated?"));
    tw_store_u64le(bytes, 100000001);
    assert_fails(tw_checkpoint_parse(bytes, n, &c, &err), TW_ERR_LIMIT, &err);
    tw_store_u64le(bytes, UINT64_MAX);
    assert_fails(tw_checkpoint_parse(bytes, n, &c, &err), TW_ERR_FORMAT, &err);
    free(bytes);
}

static void every_shorter_file_is_refused(void **state) {
    (void)state;
    size_t n;
    uint8_t *bytes = test_read(test_data("checkpoints/tiny_cn_vit/hf/model.safetensors"), &n);
    tw_checkpoint *c;
    for (size_t i = 0; i < 64; i++) {
        size_t cut = i < 16 ? n - 1 - i : n * (i - 16) / 48;
        assert_int_not_equal(tw_checkpoint_parse(bytes, cut, &c, &err), TW_OK);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tensors_in_the_order_of_the_header),
        cmocka_unit_test(tensors_must_tile_the_data),
        cmocka_unit_test(a_shape_must_fit_its_bytes),
        cmocka_unit_test(wrong_headers_are_named),
        cmocka_unit_test(the_length_of_the_header_is_checked_first),
        cmocka_unit_test(every_shorter_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
