#include "support.h"

#include "tensor/npy.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

/* The definition: sign, exponent and fraction as numbers. */
static double f16_value(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent == 0    ? ldexp(fraction, -24)
               : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                : ldexp(1024 + fraction, exponent - 25);
    return h & 0x8000 ? -v : v;
}

static void every_f16_is_read_exactly_and_comes_back(void **state) {
    for (uint32_t h = 0; h < 65536; h++) {
        float f = tw_f16_to_f32((uint16_t)h);
        double v = f16_value((uint16_t)h);
        if (isnan(v)) {
            assert_true(isnan(f) && isnan(tw_f16_to_f32(tw_f32_to_f16(f))));
            continue;
        }
        assert_true((double)f == v && !signbit(f) == !signbit(v));
        assert_int_equal(tw_f32_to_f16(f), h);
    }
}

static void f32_rounds_to_the_nearest_even_f16(void **state) {
    for (uint32_t h = 0; h < 0x7C00; h++) {
        double low = f16_value((uint16_t)h);
        double high = h == 0x7BFF ? 65536.0 : f16_value((uint16_t)(h + 1));
        float middle = (float)((low + high) / 2); /* exact in f32 */
        assert_int_equal(tw_f32_to_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(tw_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(tw_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(tw_f32_to_f16(1e30f), 0x7C00);
    assert_int_equal(tw_f32_to_f16(-INFINITY), 0xFC00);
    assert_int_equal(tw_f32_to_f16(1e-30f), 0);
}

static void bf16_rounds_to_the_nearest_even(void **state) {
    assert_int_equal(tw_f32_to_bf16(1.0f), 0x3F80);
    assert_int_equal(tw_f32_to_bf16(1.00390625f), 0x3F80); /* tie: even */
    assert_int_equal(tw_f32_to_bf16(1.01171875f), 0x3F82); /* tie: even */
    assert_true(isnan(tw_bf16_to_f32(tw_f32_to_bf16(NAN))));
    for (uint32_t h = 0; h < 65536; h++) {
        float f = tw_bf16_to_f32((uint16_t)h);
        if (!isnan(f)) assert_int_equal(tw_f32_to_bf16(f), h);
    }
}

static void strided_views_are_read_in_c_order(void **state) {
    float data[24];
    for (int i = 0; i < 24; i++)
        data[i] = (float)i;
    tw_tensor t = {NULL, TW_F32, 3, {2, 3, 4}, {0}, data, NULL, NULL, NULL};
    tw_tensor_set_c_order(&t);
    assert_true(tw_tensor_is_c_order(&t));
    tw_tensor m = {NULL, TW_F32, 2, {4, 6}, {6, 1}, data, NULL, NULL, NULL},
              turned = tw_tensor_transpose(&m);
    assert_false(tw_tensor_is_c_order(&turned));
    float out[24], part[24];
    tw_tensor_to_f32(&turned, out);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 4; j++)
            assert_true(out[i * 4 + j] == data[j * 6 + i]);
    for (size_t begin = 0; begin < 24; begin++)
        for (size_t n = 0; begin + n <= 24; n++) {
            tw_tensor_to_f32_range(&turned, begin, n, part);
            assert_memory_equal(part, out + begin, n * sizeof *part);
        }
    tw_tensor rows = tw_tensor_rows(&m, 2, 1);
    tw_tensor_to_f32(&rows, part);
    assert_memory_equal(part, data + 12, 6 * sizeof *part);
}

static void integers_and_unaligned_bytes_are_converted(void **state) {
    uint8_t bytes[33] = {0};
    int64_t wide[2] = {-5, 1 << 20};
    memcpy(bytes + 1, wide, sizeof wide);
    tw_tensor t = {NULL, TW_I64, 1, {2}, {1}, bytes + 1, NULL, NULL, NULL};
    float out[2];
    tw_tensor_to_f32(&t, out);
    assert_true(out[0] == -5 && out[1] == 1048576);
    double d = 0.1;
    memcpy(bytes + 1, &d, 8);
    tw_tensor f64 = {NULL, TW_F64, 0, {0}, {0}, bytes + 1, NULL, NULL, NULL};
    tw_tensor_to_f32(&f64, out);
    assert_true(out[0] == 0.1f);
}

static void npy_files_come_back(void **state) {
    static const int64_t shapes[][3] = {{0, 0, 0}, {5, 0, 0}, {3, 4, 0}, {2, 3, 4}};
    for (int dims = 0; dims <= 3; dims++) {
        const char *path = test_temporary(".npy");
        float data[24];
        for (int i = 0; i < 24; i++)
            data[i] = (float)i / 7;
        assert_ok(tw_npy_save(path, TW_F32, dims, shapes[dims], data, &err), &err);
        size_t n;
        uint8_t *bytes = test_read(path, &n);
        tw_tensor t;
        assert_ok(tw_npy_parse(bytes, n, &t, &err), &err);
        assert_int_equal(t.n_dims, dims);
        assert_int_equal(((const uint8_t *)t.data - bytes) % 64, 0);
        assert_memory_equal(t.data, data, tw_tensor_elements(&t) * 4);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_not_equal(tw_npy_parse(bytes, cut, &t, &err), TW_OK);
        free(bytes);
    }
}

static void npy_reads_fortran_order_and_refuses_nonsense(void **state) {
    char file[256];
    size_t header = 118;
    memset(file, ' ', sizeof file);
    memcpy(file, "\x93NUMPY\x01\x00\x76\x00", 10);
    const char *dict = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
    memcpy(file + 10, dict, strlen(dict));
    float *data = (float *)(void *)(file + 10 + header);
    for (int i = 0; i < 6; i++)
        data[i] = (float)i;
    tw_tensor t;
    assert_ok(tw_npy_parse(file, sizeof file, &t, &err), &err);
    float out[6];
    tw_tensor_to_f32(&t, out);
    static const float expected[] = {0, 2, 4, 1, 3, 5};
    assert_memory_equal(out, expected, sizeof expected);
    static const char *const bad[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 999999999999), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': 'O', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
        "[]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(file + 10, ' ', header);
        memcpy(file + 10, bad[i], strlen(bad[i]));
        assert_int_not_equal(tw_npy_parse(file, sizeof file, &t, &err), TW_OK);
    }
}

static void products_of_shapes_are_checked(void **state) {
    uint64_t n;
    int64_t huge[4] = {1LL << 40, 1LL << 40, 1, 1}, negative[1] = {-1};
    assert_false(tw_shape_elements(4, huge, &n));
    assert_false(tw_shape_elements(1, negative, &n));
    const int64_t hidden[] = {INT64_C(1) << 62, 4, 0}, empty[] = {3, 0};
    assert_false(tw_shape_elements(3, hidden, &n));
    assert_true(tw_shape_elements(2, empty, &n) && n == 0);
    assert_true(tw_shape_elements(0, huge, &n) && n == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_is_read_exactly_and_comes_back),
        cmocka_unit_test(f32_rounds_to_the_nearest_even_f16),
        cmocka_unit_test(bf16_rounds_to_the_nearest_even),
        cmocka_unit_test(strided_views_are_read_in_c_order),
        cmocka_unit_test(integers_and_unaligned_bytes_are_converted),
        cmocka_unit_test(npy_files_come_back),
        cmocka_unit_test(npy_reads_fortran_order_and_refuses_nonsense),
        cmocka_unit_test(products_of_shapes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
