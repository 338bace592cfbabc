/* Pixels of the caller's, orientations, options and limits, the self-check. */
#include "support.h"

#include "image/picture.h"
#include "image/selfcheck.h"
#include "png_builder.h"

#include <stdlib.h>
#include <string.h>

enum { W = 19, H = 13, R = 8 };

static void pixels_equal_the_picture_they_came_from(void **state) {
    static const struct { int n_channels, colour; } kinds[] = {{1, 0}, {3, 2}, {4, 6}};
    uint64_t seed = 1;
    for (size_t i = 0; i < 3; i++) {
        size_t row = (size_t)W * (size_t)kinds[i].n_channels, stride = row + 5;
        uint8_t *tight = malloc(row * H), *loose = malloc(stride * H);
        for (size_t b = 0; b < row * H; b++)
            tight[b] = (uint8_t)test_random(&seed);
        for (size_t y = 0; y < H; y++)
            memcpy(loose + y * stride, tight + y * row, row);
        tw_buffer file = {0};
        test_png(&file, W, H, 8, kinds[i].colour, tight);
        tw_error err = TW_ERROR_INIT;
        tw_recipe recipe = TW_RECIPE_INIT;
        recipe.size = R;
        float a[3 * R * R], b[3 * R * R];
        assert_ok(tw_preprocess_f32(&recipe, file.data, file.n_bytes, NULL, a, &err), &err);
        assert_ok(tw_preprocess_pixels(&recipe, loose, W, H, stride, kinds[i].n_channels, b, &err),
                  &err);
        assert_memory_equal(a, b, sizeof a);
        tw_buffer_free(&file);
        free(tight);
        free(loose);
    }
}

static void f32_is_u8_normalised_with_two_roundings(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 1;
    for (int v = 0; v < 256; v++) {
        uint8_t pixel[3] = {(uint8_t)v, (uint8_t)v, (uint8_t)v};
        float out[3];
        assert_ok(tw_preprocess_pixels(&recipe, pixel, 1, 1, 3, 3, out, &err), &err);
        for (int c = 0; c < 3; c++) {
            volatile float x = (float)v / 255.0f; /* volatile: each step is rounded */
            volatile float y = x - recipe.mean[c];
            assert_true(out[c] == y / recipe.std[c]);
        }
    }
}

static void bad_arguments_are_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 2;
    uint8_t p[16] = {0};
    float out[12];
    assert_fails(tw_preprocess_pixels(&recipe, p, 2, 2, 4, 2, out, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_preprocess_pixels(&recipe, p, 0, 2, 4, 1, out, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_preprocess_pixels(&recipe, p, 2, 2, 5, 3, out, &err), TW_ERR_ARGUMENT, &err);
    recipe.size = 0;
    assert_fails(tw_preprocess_pixels(&recipe, p, 2, 2, 8, 3, out, &err), TW_ERR_ARGUMENT, &err);
}

/* The eight orientations of 1 2 3 / 4 5 6, as viewers turn them. */
static void orientations_turn_as_viewers_do(void **state) {
    static const uint8_t stored[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t seen[9][6] = {
        {0},
        [1] = {1, 2, 3, 4, 5, 6},
        [2] = {3, 2, 1, 6, 5, 4},
        [3] = {6, 5, 4, 3, 2, 1},
        [4] = {4, 5, 6, 1, 2, 3},
        [5] = {1, 4, 2, 5, 3, 6},
        [6] = {4, 1, 5, 2, 6, 3},
        [7] = {6, 3, 5, 2, 4, 1},
        [8] = {3, 6, 2, 5, 1, 4},
    };
    static const int channels[] = {1, 3, 4};
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int k = 0; k < 3; k++) {
            size_t n = (size_t)channels[k], out_bytes = n == 3 ? 4 : n;
            uint8_t pixels[24], rows[24];
            for (size_t i = 0; i < 6 * n; i++)
                pixels[i] = stored[i / n];
            tw_error err = TW_ERROR_INIT;
            tw_source source;
            assert_ok(tw_source_of_pixels(pixels, 3, 2, 3 * n, channels[k], &source, &err), &err);
            assert_ok(tw_source_orient(&source, orientation, &err), &err);
            assert_int_equal(source.width, orientation >= 5 ? 2 : 3);
            assert_ok(source.read(&source, rows, source.width * out_bytes, source.height, &err),
                      &err);
            for (size_t i = 0; i < 6; i++)
                assert_int_equal(rows[i * out_bytes], seen[orientation][i]);
            tw_source_close(&source);
        }
}

static void limits_are_options(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    tw_buffer file = {0};
    const uint8_t rows[W * H] = {0};
    test_png(&file, W, H, 8, 0, rows);
    tw_image_options options = TW_IMAGE_OPTIONS_INIT;
    options.max_pixels = W * H;
    options.max_bytes = file.n_bytes;
    assert_ok(tw_image_probe(file.data, file.n_bytes, &options, &info, &err), &err);
    options.max_pixels--;
    assert_fails(tw_image_probe(file.data, file.n_bytes, &options, &info, &err), TW_ERR_LIMIT,
                 &err);
    options.max_pixels = 0;
    options.max_bytes--;
    assert_fails(tw_image_probe(file.data, file.n_bytes, &options, &info, &err), TW_ERR_LIMIT,
                 &err);
    options.struct_size = 1;
    assert_fails(tw_image_probe(file.data, file.n_bytes, &options, &info, &err), TW_ERR_ARGUMENT,
                 &err);
    tw_buffer_free(&file);
}

static void what_is_no_picture_is_unsupported(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    assert_fails(tw_image_probe("qoif\0\0", 6, NULL, &info, &err), TW_ERR_UNSUPPORTED, &err);
    assert_fails(tw_image_probe("x", 1, NULL, &info, &err), TW_ERR_UNSUPPORTED, &err);
    assert_fails(tw_image_probe("", 0, NULL, &info, &err), TW_ERR_FORMAT, &err);
    assert_fails(tw_image_probe(NULL, 0, NULL, &info, &err), TW_ERR_FORMAT, &err);
}

static void this_build_gives_pillows_bytes(void **state) {
    tw_error err = TW_ERROR_INIT;
    char line[256], versions[128], cut[8];
    assert_ok(tw_image_self_check(line, sizeof line, &err), &err);
    assert_true(strlen(line) > 0);
    tw_image_versions(versions, sizeof versions);
    assert_non_null(strstr(versions, "libpng 1."));
    tw_image_versions(cut, sizeof cut);
    assert_int_equal(strlen(cut), sizeof cut - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_equal_the_picture_they_came_from),
        cmocka_unit_test(f32_is_u8_normalised_with_two_roundings),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(orientations_turn_as_viewers_do),
        cmocka_unit_test(limits_are_options),
        cmocka_unit_test(what_is_no_picture_is_unsupported),
        cmocka_unit_test(this_build_gives_pillows_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
