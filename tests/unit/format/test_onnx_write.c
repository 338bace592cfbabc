/* The bytes of an ONNX file: a model small enough to be written down. */
#include "support.h"

#include "format/onnx/onnx.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tw_error err;

static bool contains(const uint8_t *data, size_t n, const char *what, size_t n_what) {
    for (size_t i = 0; i + n_what <= n; i++)
        if (memcmp(data + i, what, n_what) == 0) return true;
    return false;
}

static uint8_t *write_small(const char *side, size_t *n) {
    static const float values[] = {1.5f, -2.0f};
    tw_onnx *g = NULL;
    assert_ok(tw_onnx_create("g", 17, &g, &err), &err);
    tw_tensor t = {.dtype = TW_F32, .n_dims = 1, .shape = {2}, .stride = {1}, .data = values};
    const char *w = tw_onnx_weight(g, "w", &t, TW_ONNX_F16);
    const char *inputs[] = {"x", w, NULL};
    const tw_onnx_attr attrs[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = -1}, {0}};
    const tw_onnx_dim dims[] = {{0, "n"}, {2, NULL}};
    tw_onnx_input(g, "x", TW_ONNX_F16, dims, 2);
    tw_onnx_output(g, tw_onnx_node(g, "Add", "y", inputs, attrs), TW_ONNX_F16, dims, 1);
    assert_ok(tw_onnx_write(g, "small.onnx", side, NULL, &err), &err);
    tw_onnx_free(g);
    return test_read("small.onnx", n);
}

/* Checked against onnx.load() of onnx 1.23.2, which printed the same fields. */
static void bytes_are_those_of_the_format(void **state) {
    (void)state;
    static const char head[] = "\x08\x08\x12\x05tuwen\x1a\x05";
    static const char node[] = "\x0a\x27\x0a\x01x\x0a\x01w\x12\x01y\x1a\x01y\x22\x03"
                               "Add\x2a\x14\x0a\x04"
                               "axis\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xa0\x01\x02";
    static const char weight[] = "\x2a\x0d\x08\x02\x10\x0a\x42\x01w\x4a\x04\x00\x3e\x00\xc0";
    size_t n;
    uint8_t *data = write_small(NULL, &n);
    assert_memory_equal(data, head, sizeof head - 1);
    assert_true(contains(data, n, node, sizeof node - 1));
    assert_true(contains(data, n, weight, sizeof weight - 1));
    free(data);
    assert_int_equal(unlink("small.onnx"), 0);
}

/* What is smaller than a page stays in the graph, so the side file is there and empty. */
static void small_weights_stay_inside(void **state) {
    (void)state;
    size_t n, n_aside, n_side;
    uint8_t *inside = write_small(NULL, &n), *aside = write_small("small.side", &n_aside);
    assert_int_equal(n, n_aside);
    assert_memory_equal(inside, aside, n);
    free(inside);
    free(aside);
    free(test_read("small.side", &n_side));
    assert_int_equal(n_side, 0);
    unlink("small.onnx");
    unlink("small.side");
}

static void a_weight_beyond_f16_is_refused(void **state) {
    (void)state;
    static const float large = 65520;
    tw_onnx *g = NULL;
    assert_ok(tw_onnx_create("g", 17, &g, &err), &err);
    tw_tensor t = {.dtype = TW_F32, .n_dims = 1, .shape = {1}, .stride = {1}, .data = &large};
    tw_onnx_weight(g, "big", &t, TW_ONNX_F16);
    assert_int_equal(tw_onnx_write(g, "big.onnx", NULL, NULL, &err), TW_ERR_LIMIT);
    assert_non_null(strstr(err.message, "'big'"));
    assert_int_not_equal(access("big.onnx", F_OK), 0);
    tw_onnx_free(g);
}

/* 2 GB and more are refused before anything is written; the values are never touched. */
static void two_gigabytes_need_a_side_file(void **state) {
    (void)state;
    static const float zero;
    tw_onnx *g = NULL;
    assert_ok(tw_onnx_create("g", 17, &g, &err), &err);
    tw_tensor t = {
        .dtype = TW_F32, .n_dims = 2, .shape = {1 << 15, 1 << 14}, .stride = {0, 0}, .data = &zero};
    tw_onnx_weight(g, "huge", &t, TW_ONNX_F32);
    assert_int_equal(tw_onnx_write(g, "huge.onnx", NULL, NULL, &err), TW_ERR_LIMIT);
    assert_non_null(strstr(err.message, "external data"));
    assert_int_not_equal(access("huge.onnx", F_OK), 0);
    tw_onnx_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_the_format),
        cmocka_unit_test(small_weights_stay_inside),
        cmocka_unit_test(a_weight_beyond_f16_is_refused),
        cmocka_unit_test(two_gigabytes_need_a_side_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
