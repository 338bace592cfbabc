/* The two passes: vector code against the portable judge, windows, order of passes, streaming. */
#include "support.h"

#include "image/resize.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 0xA5 };

static uint8_t *random_bytes(uint64_t *seed, size_t n) {
    uint8_t *p = malloc(n);
    for (size_t i = 0; i < n; i++) { /* extremes are where clipping happens */
        uint64_t v = test_random(seed);
        p[i] = v & 0x100 ? (uint8_t)v : v & 0x200 ? 255 : 0;
    }
    return p;
}

static tw_axis random_axis(uint64_t *seed, bool bicubic) {
    tw_error err = TW_ERROR_INIT;
    uint32_t n_in = 1 + (uint32_t)(test_random(seed) % 700);
    uint32_t n_out = 1 + (uint32_t)(test_random(seed) % 300);
    uint32_t first = (uint32_t)(test_random(seed) % n_out);
    uint32_t count = 1 + (uint32_t)(test_random(seed) % (n_out - first));
    tw_axis axis;
    assert_ok(tw_axis_build(bicubic ? TW_FILTER_BICUBIC : TW_FILTER_BILINEAR, n_in, n_out, first,
                            count, false, &axis, &err),
              &err);
    return axis;
}

static void vector_passes_equal_the_portable_ones(void **state) {
    if (tw_pass_best_isa() == TW_PASS_PORTABLE) skip();
    static const size_t pixel_sizes[] = {1, 2, 4};
    uint64_t seed = 1;
    for (int round = 0; round < 300; round++) {
        size_t bytes = pixel_sizes[round % 3];
        tw_axis axis = random_axis(&seed, round % 5 != 0);
        tw_passes judge = tw_passes_u8(TW_PASS_PORTABLE, bytes);
        tw_passes fast = tw_passes_u8(tw_pass_best_isa(), bytes);
        uint32_t n_rows = 1 + (uint32_t)(test_random(&seed) % 9);
        size_t in_stride = axis.n_in * bytes + test_random(&seed) % 5;
        size_t out_stride = axis.count * bytes + 3, n_out = n_rows * out_stride;
        uint8_t *in = random_bytes(&seed, n_rows * in_stride + TW_PASS_SLACK);
        uint8_t *want = malloc(n_out), *got = malloc(n_out);
        memset(want, GUARD, n_out);
        memset(got, GUARD, n_out);
        judge.horizontal(&axis, bytes, in, in_stride, n_rows, want, out_stride);
        fast.horizontal(&axis, bytes, in, in_stride, n_rows, got, out_stride);
        assert_memory_equal(want, got, n_out);
        free(in);
        free(want);
        free(got);

        size_t n_pixels = 1 + test_random(&seed) % 90, n = n_pixels * bytes;
        size_t stride = n + test_random(&seed) % 40;
        in = random_bytes(&seed, axis.n_in * stride + TW_PASS_SLACK);
        want = malloc(n + TW_PASS_SLACK);
        got = malloc(n + TW_PASS_SLACK);
        for (uint32_t i = 0; i < axis.count; i++) {
            const uint8_t *window = in + axis.begin[i] * stride;
            judge.vertical(&axis, i, bytes, window, stride, n_pixels, want);
            fast.vertical(&axis, i, bytes, window, stride, n_pixels, got);
            assert_memory_equal(want, got, n);
        }
        free(in);
        free(want);
        free(got);
        tw_axis_free(&axis);
    }
}

static void a_window_of_an_axis_equals_that_part_of_the_whole(void **state) {
    tw_error err = TW_ERROR_INIT;
    static const tw_filter filters[] = {TW_FILTER_NEAREST, TW_FILTER_BILINEAR, TW_FILTER_BICUBIC};
    for (int f = 0; f < 3; f++) {
        tw_axis whole, part;
        assert_ok(tw_axis_build(filters[f], 901, 224, 0, 224, false, &whole, &err), &err);
        assert_ok(tw_axis_build(filters[f], 901, 224, 50, 100, false, &part, &err), &err);
        assert_memory_equal(part.begin, whole.begin + 50, 100 * sizeof *part.begin);
        assert_memory_equal(part.taps, whole.taps + 50, 100 * sizeof *part.taps);
        for (uint32_t i = 0; i < 100 && part.k; i++)
            assert_memory_equal(part.k + i * part.k_stride, whole.k + (i + 50) * whole.k_stride,
                                part.taps[i] * sizeof *part.k);
        tw_axis_free(&whole);
        tw_axis_free(&part);
    }
}

static void weights_sum_to_one(void **state) {
    uint64_t seed = 2;
    for (int round = 0; round < 100; round++) {
        tw_axis axis = random_axis(&seed, round % 2);
        for (uint32_t i = 0; i < axis.count; i++) {
            int64_t sum = 0;
            for (uint32_t t = 0; t < axis.taps[i]; t++)
                sum += axis.k[i * axis.k_stride + t];
            /* Each weight is rounded by up to half a unit. */
            assert_true(llabs(sum - (1 << TW_AXIS_K_BITS)) <= axis.taps[i]);
        }
        tw_axis_free(&axis);
    }
}

/* Rows of one value in every channel, of any mode. */
typedef struct constant {
    uint8_t value;
    uint32_t rows_read;
} constant;

static tw_status read_constant(tw_source *s, uint8_t *rows, size_t stride, uint32_t n_rows,
                               tw_error *err) {
    constant *c = s->state;
    c->rows_read += n_rows;
    for (uint32_t y = 0; y < n_rows; y++)
        memset(rows + y * stride, c->value, s->width * tw_mode_bytes(s->mode));
    return TW_OK;
}

static void a_constant_picture_stays_constant(void **state) {
    static const tw_mode modes[] = {TW_MODE_1,   TW_MODE_L,    TW_MODE_LA,
                                    TW_MODE_RGB, TW_MODE_RGBA, TW_MODE_CMYK};
    static const uint32_t sides[][2] = {{1, 1},   {3, 700},   {700, 3},
                                        {64, 64}, {65, 1000}, {1000, 65}};
    for (size_t m = 0; m < 6; m++)
        for (size_t k = 0; k < 6; k++)
            for (int resampler = 0; resampler < 4; resampler++)
                for (int mode = 0; mode < 2; mode++) {
                    tw_error err = TW_ERROR_INIT;
                    tw_recipe recipe = TW_RECIPE_INIT;
                    recipe.size = 64;
                    recipe.resampler = (tw_resampler)resampler;
                    recipe.resize_mode = (tw_resize_mode)mode;
                    constant c = {.value = 255};
                    tw_source source = {.mode = modes[m],
                                        .width = sides[k][0],
                                        .height = sides[k][1],
                                        .read = read_constant,
                                        .state = &c};
                    tw_picture canvas;
                    assert_ok(tw_resize(&recipe, tw_pass_best_isa(), &source, &canvas, &err), &err);
                    assert_int_equal(c.rows_read, source.height);
                    for (size_t i = 0; i < canvas.stride * canvas.height; i++)
                        assert_int_equal(canvas.data[i], 255);
                    tw_picture_free(&canvas);
                }
}

static void the_order_of_passes_follows_the_version(void **state) {
    /* 30 x 200 -> 24 x 24 noise: 13 goes vertically first, the others do not; 3 x 500: 12.2 and 13
     * do. */
    static const uint32_t sides[2][2] = {{30, 200}, {3, 500}};
    static const bool differs[2][4] = {{0, 0, 0, 1}, {0, 0, 1, 1}};
    uint64_t seed = 3;
    for (int k = 0; k < 2; k++) {
        uint32_t w = sides[k][0], h = sides[k][1];
        uint8_t *pixels = random_bytes(&seed, 3 * (size_t)w * h);
        static float out[4][3 * 24 * 24];
        for (int v = 0; v < 4; v++) {
            tw_error err = TW_ERROR_INIT;
            tw_recipe recipe = TW_RECIPE_INIT;
            recipe.size = 24;
            recipe.resampler = (tw_resampler)v;
            assert_ok(tw_preprocess_pixels(&recipe, pixels, w, h, 3 * w, 3, out[v], &err), &err);
            assert_int_equal(memcmp(out[v], out[0], sizeof out[0]) != 0, differs[k][v]);
        }
        free(pixels);
    }
}

static tw_status read_nothing(tw_source *s, uint8_t *rows, size_t stride, uint32_t n_rows,
                              tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "no rows");
}

static void a_source_that_fails_fails_the_resize(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe recipe = TW_RECIPE_INIT;
    tw_source source = {.mode = TW_MODE_L, .width = 9, .height = 9, .read = read_nothing};
    tw_picture canvas;
    assert_fails(tw_resize(&recipe, TW_PASS_PORTABLE, &source, &canvas, &err), TW_ERR_FORMAT, &err);
    assert_null(canvas.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_passes_equal_the_portable_ones),
        cmocka_unit_test(a_window_of_an_axis_equals_that_part_of_the_whole),
        cmocka_unit_test(weights_sum_to_one),
        cmocka_unit_test(a_constant_picture_stays_constant),
        cmocka_unit_test(the_order_of_passes_follows_the_version),
        cmocka_unit_test(a_source_that_fails_fails_the_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
