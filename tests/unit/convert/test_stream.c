/* Single tensors through the converter: types, layouts, values that do not fit. */
#include "support.h"

#include "convert/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

static tw_tensor vector(const void *data, tw_dtype dtype, int64_t n) {
    tw_tensor t = {.name = "t", .dtype = dtype, .n_dims = 1, .shape = {n}, .data = data};
    tw_tensor_set_c_order(&t);
    return t;
}

/* Streams `t` into a file and reads it back as f32 (free() it); NULL with `err` set on failure. */
static float *stream(const tw_tensor *t, tw_dtype dtype) {
    const char *path = test_temporary(".gguf");
    tw_gguf_writer *w;
    tw_output out;
    float *values = NULL;
    assert_ok(tw_gguf_writer_create(&w, &err), &err);
    assert_ok(tw_gguf_declare(w, "t", dtype, t->n_dims, t->shape, &err), &err);
    assert_ok(tw_output_open(path, &out, &err), &err);
    assert_ok(tw_gguf_writer_begin(w, &out, &err), &err);
    if (tw_stream_tensor(w, t, dtype, false, &err) == TW_OK) {
        size_t n;
        tw_gguf *g;
        assert_ok(tw_gguf_writer_end(w, &err), &err);
        assert_ok(tw_output_commit(&out, &err), &err);
        uint8_t *file = test_read(path, &n);
        assert_ok(tw_gguf_parse(file, n, &g, &err), &err);
        const tw_tensor *back = &tw_gguf_tensor_at(g, 0)->view;
        assert_int_equal(back->dtype, dtype);
        values = malloc(tw_tensor_elements(back) * sizeof *values);
        assert_non_null(values);
        tw_tensor_to_f32(back, values);
        tw_gguf_free(g);
        free(file);
    }
    tw_output_abort(&out);
    tw_gguf_writer_free(w);
    return values;
}

static void halves_are_rounded_to_nearest_even(void **state) {
    static const float in[] = {1.0f, 1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, 65504.0f, 1e-8f, -0.0f};
    static const float f16[] = {1.0f, 1.0f, 1.0f + 0x1p-9f, 65504.0f, 0.0f, -0.0f};
    tw_tensor t = vector(in, TW_F32, 6);
    float *out = stream(&t, TW_F16);
    assert_memory_equal(out, f16, sizeof f16);
    free(out);
    out = stream(&t, TW_BF16);
    assert_true(out[0] == 1.0f && out[1] == 1.0f && out[3] == 65536.0f);
    free(out);
}

static void strides_are_honoured_across_pieces(void **state) {
    enum { ROWS = 67, COLUMNS = 301 }; /* more than one piece, rows cut by pieces */
    static float in[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++)
        in[i] = (float)i;
    tw_tensor t = {.name = "t", .dtype = TW_F32, .n_dims = 2, .shape = {ROWS, COLUMNS}, .data = in};
    tw_tensor_set_c_order(&t);
    t = tw_tensor_transpose(&t);
    float *out = stream(&t, TW_F32);
    for (int c = 0; c < COLUMNS; c++)
        for (int r = 0; r < ROWS; r++)
            assert_true(out[c * ROWS + r] == (float)(r * COLUMNS + c));
    free(out);
}

static void a_value_that_does_not_fit_is_an_error_naming_the_tensor(void **state) {
    static const float large[] = {1, 65520, 3};
    tw_tensor t = vector(large, TW_F32, 3);
    assert_null(stream(&t, TW_F16));
    assert_int_equal(err.status, TW_ERR_LIMIT);
    assert_string_equal(err.message, "tensor 't' has the value 65520, which does not fit f16");
    static const float huge[] = {3.4e38f};
    t = vector(huge, TW_F32, 1);
    assert_null(stream(&t, TW_BF16));
    static const double wide[] = {1, -1e300};
    t = vector(wide, TW_F64, 2);
    assert_null(stream(&t, TW_F32));
    assert_string_equal(err.message, "tensor 't' has the value -1e+300, which does not fit f32");
    assert_null(stream(&t, TW_F16));
}

static void infinities_and_nan_pass(void **state) {
    static const float in[] = {INFINITY, -INFINITY, NAN};
    static const double wide[] = {INFINITY, 0.1, NAN};
    tw_tensor t = vector(in, TW_F32, 3);
    float *out = stream(&t, TW_F16);
    assert_true(isinf(out[0]) && out[1] == -INFINITY && isnan(out[2]));
    free(out);
    t = vector(wide, TW_F64, 3);
    out = stream(&t, TW_F32);
    assert_true(isinf(out[0]) && out[1] == 0.1f && isnan(out[2]));
    free(out);
}

static void the_stored_type_follows_precision_and_role(void **state) {
    static const struct {
        tw_dtype in;
        bool matrix;
        int precision;
        tw_dtype out;
    } cases[] = {
        {TW_F32, true, -1, TW_F32},       {TW_F16, true, -1, TW_F16},
        {TW_F64, true, -1, TW_F32},       {TW_F64, false, TW_F16, TW_F32},
        {TW_F32, true, TW_F16, TW_F16},   {TW_F32, false, TW_F16, TW_F32},
        {TW_F16, false, TW_F32, TW_F32},  {TW_F16, false, TW_BF16, TW_F16},
        {TW_F16, true, TW_BF16, TW_BF16},
    };
    float dummy = 0;
    tw_dtype out;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_tensor t = vector(&dummy, cases[i].in, 1);
        assert_ok(tw_stored_type(&t, cases[i].matrix, cases[i].precision, &out, &err), &err);
        assert_int_equal(out, cases[i].out);
    }
    tw_tensor t = vector(&dummy, TW_I8, 4);
    assert_fails(tw_stored_type(&t, true, -1, &out, &err), TW_ERR_UNSUPPORTED, &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_are_rounded_to_nearest_even),
        cmocka_unit_test(strides_are_honoured_across_pieces),
        cmocka_unit_test(a_value_that_does_not_fit_is_an_error_naming_the_tensor),
        cmocka_unit_test(infinities_and_nan_pass),
        cmocka_unit_test(the_stored_type_follows_precision_and_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
