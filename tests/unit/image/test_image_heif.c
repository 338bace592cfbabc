/* HEIC and AVIF: the pixels that Pillow's plug-ins give, which picture of several, how it is
 * turned, limits, damage. Without libheif or libavif the tests of pixels are skipped. */
#include "support.h"

#include "base/dynamic.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16, PIXEL_BYTES = 3 * SIDE * SIDE };

static void map_data(const char *name, const char *more, tw_mapped_file *f) {
    char path[512];
    tw_error err = TW_ERROR_INIT;
    snprintf(path, sizeof path, "%s/heif/%s%s", TEST_DATA_DIR, name, more);
    assert_ok(tw_map_file(path, f, &err), &err);
}

/* cmocka's skip(), with the reason that users get. */
static void need(const char *format) {
    char why[256];
    if (tw_image_library(format, why, sizeof why)) return;
    print_message("# skipped: %s\n", why);
    skip();
}

static tw_status pixels_of(const void *bytes, size_t n, const tw_image_options *options,
                           uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = SIDE;
    return tw_preprocess_u8(&recipe, bytes, n, options, rgb, err);
}

/* The picture has SIDE x SIDE pixels, and they are those of the file beside it. */
static void assert_picture(const char *name, const char *format, const char *mode,
                           int orientation) {
    tw_mapped_file picture, expected;
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    uint8_t rgb[PIXEL_BYTES];
    map_data(name, "", &picture);
    map_data(name, ".rgb", &expected);
    assert_ok(tw_image_probe(picture.data, picture.n_bytes, NULL, &info, &err), &err);
    assert_string_equal(info.format, format);
    assert_string_equal(info.mode, mode);
    assert_int_equal(info.width, SIDE);
    assert_int_equal(info.height, SIDE);
    assert_int_equal(info.exif_orientation, orientation);
    assert_ok(pixels_of(picture.data, picture.n_bytes, NULL, rgb, &err), &err);
    assert_int_equal(expected.n_bytes, PIXEL_BYTES);
    assert_memory_equal(rgb, expected.data, PIXEL_BYTES);
    tw_unmap_file(&picture);
    tw_unmap_file(&expected);
}

static void heic_pixels_are_pillow_heifs(void **state) {
    need("heif");
    assert_picture("rgb.heic", "heif", "RGB", 1);
    assert_picture("rgba.heic", "heif", "RGBA", 1);
    assert_picture("grey10.heic", "heif", "I;16", 1);
}

static void the_primary_heic_counts(void **state) {
    need("heif");
    assert_picture("second.heic", "heif", "RGB", 1);
}

static void a_heic_is_turned_already(void **state) {
    need("heif");
    assert_picture("turned.heic", "heif", "RGB", 1);
}

static void avif_pixels_are_pillows(void **state) {
    need("avif");
    assert_picture("rgb.avif", "avif", "RGB", 1);
    assert_picture("rgb420.avif", "avif", "RGB", 1);
    assert_picture("rgba.avif", "avif", "RGBA", 1);
    assert_picture("grey.avif", "avif", "RGB", 1);
}

static void the_first_of_an_avif_sequence_counts(void **state) {
    need("avif");
    assert_picture("sequence.avif", "avif", "RGB", 1);
}

static void an_avif_says_how_to_turn_it(void **state) {
    need("avif");
    assert_picture("turned.avif", "avif", "RGB", 6);
    assert_picture("mirrored.avif", "avif", "RGB", 5);
}

static void grey_heic_is_grey(void **state) {
    need("heif");
    tw_mapped_file picture, expected;
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[PIXEL_BYTES];
    map_data("grey.heic", "", &picture);
    map_data("grey.heic", ".rgb", &expected);
    assert_ok(pixels_of(picture.data, picture.n_bytes, NULL, rgb, &err), &err);
    assert_memory_equal(rgb, expected.data, PIXEL_BYTES);
    tw_unmap_file(&picture);
    tw_unmap_file(&expected);
}

static void assert_limit_and_damage(const char *name) {
    tw_mapped_file f;
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[PIXEL_BYTES];
    map_data(name, "", &f);
    tw_image_options options = TW_IMAGE_OPTIONS_INIT;
    options.max_pixels = 64 * 64; /* HEVC's smallest block: what is coded counts too */
    assert_ok(pixels_of(f.data, f.n_bytes, &options, rgb, &err), &err);
    options.max_pixels = SIDE * SIDE - 1;
    assert_fails(pixels_of(f.data, f.n_bytes, &options, rgb, &err), TW_ERR_LIMIT, &err);
    for (size_t n = 12; n < f.n_bytes / 2; n += 7) /* within the boxes of the header */
        assert_fails(pixels_of(f.data, n, NULL, rgb, &err), TW_ERR_FORMAT, &err);
    tw_unmap_file(&f);
}

static void limits_and_damage_are_errors_in_heic(void **state) {
    need("heif");
    assert_limit_and_damage("rgb.heic");
}

static void limits_and_damage_are_errors_in_avif(void **state) {
    need("avif");
    assert_limit_and_damage("rgb.avif");
}

/* --------------------------------------------------------------------------- opening libraries */

static double (*functions[2])(double);
static const char *const wanted[2] = {"cos", "no_such_function"};

static tw_dynamic libm(const char *name, size_t n_required) {
    tw_dynamic d = {.variable = "TUWEN_TEST_LIBRARY",
                    .names = {name},
                    .what = "the test needs a library",
                    .package = "libtest1",
                    .symbols = wanted,
                    .n_functions = 2,
                    .n_required = n_required,
                    .functions = functions};
    return d;
}

static void a_library_is_opened_when_it_is_there(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_dynamic d = libm("libm.so.6", 1);
    assert_ok(tw_dynamic_open(&d, &err), &err);
    assert_ok(tw_dynamic_open(&d, &err), &err);
    assert_true(functions[0](0) == 1);
    assert_null((void *)(uintptr_t)functions[1]);
}

static void a_library_that_is_not_there_is_named(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_dynamic d = libm("libnosuch.so.1", 1);
    for (int again = 0; again < 2; again++) {
        assert_fails(tw_dynamic_open(&d, &err), TW_ERR_UNSUPPORTED, &err);
        assert_string_equal(err.message, "the test needs a library (libnosuch.so.1), which is not "
                                         "installed (Debian's package libtest1)");
    }
    setenv("TUWEN_TEST_LIBRARY", "/nowhere/lib.so", 1);
    d = libm("libm.so.6", 1);
    assert_fails(tw_dynamic_open(&d, &err), TW_ERR_UNSUPPORTED, &err);
    assert_non_null(strstr(err.message, "/nowhere/lib.so"));
    unsetenv("TUWEN_TEST_LIBRARY");
}

static void a_library_that_lacks_a_function_is_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_dynamic d = libm("libm.so.6", 2);
    assert_fails(tw_dynamic_open(&d, &err), TW_ERR_UNSUPPORTED, &err);
    assert_non_null(strstr(err.message, "libm.so.6 has no no_such_function"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heic_pixels_are_pillow_heifs),
        cmocka_unit_test(the_primary_heic_counts),
        cmocka_unit_test(a_heic_is_turned_already),
        cmocka_unit_test(grey_heic_is_grey),
        cmocka_unit_test(avif_pixels_are_pillows),
        cmocka_unit_test(the_first_of_an_avif_sequence_counts),
        cmocka_unit_test(an_avif_says_how_to_turn_it),
        cmocka_unit_test(limits_and_damage_are_errors_in_heic),
        cmocka_unit_test(limits_and_damage_are_errors_in_avif),
        cmocka_unit_test(a_library_is_opened_when_it_is_there),
        cmocka_unit_test(a_library_that_is_not_there_is_named),
        cmocka_unit_test(a_library_that_lacks_a_function_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
