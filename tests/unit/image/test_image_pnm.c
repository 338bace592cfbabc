/* What counts in PBM, PGM and PPM: tokens, comments, scaling, cut-off files. */
#include "support.h"

#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

static tw_status pixels_of(const void *file, size_t n, tw_rgb_order order, uint8_t *rgb,
                           tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 2;
    recipe.rgb_order = order;
    return tw_preprocess_u8(&recipe, file, n, NULL, rgb, err);
}

/* A 2 x 2 picture has this mode and, in either order of conversion, these greys. */
static void assert_greys(const char *file, size_t n, const char *mode, const uint8_t *grey) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    uint8_t rgb[12];
    assert_ok(tw_image_probe(file, n, NULL, &info, &err), &err);
    assert_string_equal(info.format, "pnm");
    assert_string_equal(info.mode, mode);
    for (int order = 0; order < 2; order++) {
        assert_ok(pixels_of(file, n, (tw_rgb_order)order, rgb, &err), &err);
        for (int i = 0; i < 12; i++)
            assert_int_equal(rgb[i], grey[i / 3]);
    }
}

static void assert_refused(const char *file, size_t n, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    assert_fails(pixels_of(file, n, TW_RGB_AFTER, rgb, &err), expected, &err);
}

#define GREYS(file, mode, ...) assert_greys(file, sizeof(file) - 1, mode, (uint8_t[]){__VA_ARGS__})
#define REFUSED(file, status) assert_refused(file, sizeof(file) - 1, status)

static void one_is_black_in_bitmaps(void **state) {
    GREYS("P1 2 2 0 1 1 0", "1", 255, 0, 0, 255);
    GREYS("P1 2 2\n0110", "1", 255, 0, 0, 255);
    GREYS("P4 2 2\n\x40\x80", "1", 255, 0, 0, 255);
}

static void grey_is_scaled_to_its_maximum(void **state) {
    GREYS("P2 2 2 255 1 2 3 4", "L", 1, 2, 3, 4);
    GREYS("P2 2 2 2 0 1 2 2", "L", 0, 128, 255, 255); /* 127.5 goes to even */
    GREYS("P5 2 2 255\n1234", "L", '1', '2', '3', '4');
    GREYS("P5 2 2 10\n\0\1\5\x0f", "L", 0, 26, 128, 255); /* 25.5 and 127.5; 15 is clamped */
}

static void wide_grey_is_clipped_not_scaled_down(void **state) {
    GREYS("P5 2 2 65535\n\0\7\0\xff\1\0\xff\xff", "I", 7, 255, 255, 255);
    GREYS("P2 2 2 65535 7 255 256 65535", "I", 7, 255, 255, 255);
    GREYS("P2 2 2 32768 1 2 4 32768", "I", 2, 4, 8, 255);
}

static void colours_lie_in_order(void **state) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    static const char raw[] = "P6 2 2 255\nabcdefghijkl";
    static const char plain[] = "P3 2 2 255 97 98 99 100 101 102 103 104 105 106 107 108";
    assert_ok(pixels_of(raw, sizeof raw - 1, TW_RGB_AFTER, rgb, &err), &err);
    assert_memory_equal(rgb, "abcdefghijkl", 12);
    assert_ok(pixels_of(plain, sizeof plain - 1, TW_RGB_AFTER, rgb, &err), &err);
    assert_memory_equal(rgb, "abcdefghijkl", 12);
}

static void comments_may_stand_anywhere(void **state) {
    GREYS("P2\n# one\n2 #two\r2 25#three\n5\n1 2# four\n0 3 4 5", "L", 1, 20, 3, 4);
    GREYS("P1 2 2\n0# 1 1 1\n1 1 0", "1", 255, 0, 0, 255);
    GREYS("P5 2 2 255\n#234", "L", '#', '2', '3', '4'); /* but not among bytes */
}

static void what_is_not_a_number_is_refused(void **state) {
    REFUSED("P2 2 2 255 1 2 3 x", TW_ERR_FORMAT);
    REFUSED("P2 2 2 255 1 2 3 -4", TW_ERR_FORMAT);
    REFUSED("P2 2 2 255 1 2 3 256", TW_ERR_FORMAT);
    REFUSED("P2 2 2 255 1 2 3 00000000004", TW_ERR_FORMAT);
    REFUSED("P1 2 2 0 1 2 0", TW_ERR_FORMAT);
    REFUSED("P5 2 2 0\n1234", TW_ERR_FORMAT);
    REFUSED("P5 2 2 65536\n1234", TW_ERR_FORMAT);
    REFUSED("P5 -2 2 255\n1234", TW_ERR_FORMAT);
}

static void a_file_that_ends_early_is_refused(void **state) {
    REFUSED("P5 2 2 255\n123", TW_ERR_FORMAT);
    REFUSED("P5 2 2 256\n1234567", TW_ERR_FORMAT);
    REFUSED("P2 2 2 255 1 2 3", TW_ERR_FORMAT);
    REFUSED("P1 2 2 0 1 1 # 0", TW_ERR_FORMAT);
    REFUSED("P4 2 2\n1", TW_ERR_FORMAT);
    REFUSED("P6 2", TW_ERR_FORMAT);
}

static void sides_are_limited_before_anything_is_read(void **state) {
    REFUSED("P5 999999999 999999999 255\n", TW_ERR_LIMIT);
    REFUSED("P5 0 2 255\n", TW_ERR_FORMAT);
}

/* From the bottom row up; the scale gives the byte order by its sign and nothing else. */
static void grey_floats_are_cut_off(void **state) {
    GREYS("Pf\n2 2\n1.0\n\x43\x7f\x80\0\x7f\xc0\0\0\xc0\0\0\0\x40\x7f\xff\xff", "F", 0, 3, 255, 0);
    GREYS("Pf 2 2 -1_0e-1_0 \0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40", "F", 3, 4, 1, 2);
    GREYS("Pf 2 2 +.5e+3#\n\n\0\0\0\0\x43\x7f\0\0\0\0\0\0\x7f\x80\0\0", "F", 0, 255, 0, 255);
}

static void what_is_no_scale_is_refused(void **state) {
    static const char *const scales[] = {
        "0", "-0.0", "1e400", "1e-400", "nan", "inf",    "1__0",  "_1",  "1_",  "1_.0",
        ".", "1.0.", "e5",    "1e",     "1e+", "0x1p+1", "1e5.0", "+-1", "1,5", "1.00000000000"};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        char file[64];
        int n = snprintf(file, sizeof file, "Pf 2 2 %s abcdefghijklmnop", scales[i]);
        assert_refused(file, (size_t)n, TW_ERR_FORMAT);
    }
    REFUSED("Pf 2 2 1 abcdefghijklmno", TW_ERR_FORMAT);
    REFUSED("Pf 2 2", TW_ERR_FORMAT);
}

static void relatives_are_named(void **state) {
    REFUSED("P7\nWIDTH 2\n", TW_ERR_UNSUPPORTED);
    REFUSED("PF\n2 2\n-1\n", TW_ERR_UNSUPPORTED);
    REFUSED("P8 2 2", TW_ERR_UNSUPPORTED);
}

/* Rows are picked far apart here, now and then from the start of what the reader has read anew. */
static void tall_bitmaps_are_picked_from_row_by_row(void **state) {
    enum { SIZE = 33, HEIGHT = 14848 };
    char file[32 + HEIGHT];
    int n = snprintf(file, sizeof file, "P4 1 %d\n", HEIGHT);
    uint8_t *rows = (uint8_t *)file + n, rgb[3 * SIZE * SIZE];
    uint64_t random = 7;
    for (int y = 0; y < HEIGHT; y++)
        rows[y] = (uint8_t)test_random(&random);
    for (int resampler = 0; resampler < 4; resampler++) {
        tw_error err = TW_ERROR_INIT;
        tw_recipe recipe = TW_RECIPE_INIT;
        recipe.size = SIZE;
        recipe.resampler = (tw_resampler)resampler;
        assert_ok(tw_preprocess_u8(&recipe, file, (size_t)n + HEIGHT, NULL, rgb, &err), &err);
        double at = (double)HEIGHT / SIZE * 0.5;
        for (int y = 0; y < SIZE; y++, at += (double)HEIGHT / SIZE)
            assert_int_equal(rgb[3 * SIZE * y], rows[(size_t)at] & 0x80 ? 0 : 255);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_black_in_bitmaps),
        cmocka_unit_test(grey_is_scaled_to_its_maximum),
        cmocka_unit_test(wide_grey_is_clipped_not_scaled_down),
        cmocka_unit_test(colours_lie_in_order),
        cmocka_unit_test(comments_may_stand_anywhere),
        cmocka_unit_test(what_is_not_a_number_is_refused),
        cmocka_unit_test(a_file_that_ends_early_is_refused),
        cmocka_unit_test(sides_are_limited_before_anything_is_read),
        cmocka_unit_test(grey_floats_are_cut_off),
        cmocka_unit_test(what_is_no_scale_is_refused),
        cmocka_unit_test(relatives_are_named),
        cmocka_unit_test(tall_bitmaps_are_picked_from_row_by_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
