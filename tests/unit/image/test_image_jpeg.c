/* JPEG files that are cut off, lie or never end; modes; EXIF orientation. */
#include "support.h"

#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct jpeg_file {
    uint8_t *bytes;
    size_t n;
} jpeg_file;

static jpeg_file read_jpeg(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "preprocess/pictures/%s", name);
    jpeg_file f;
    f.bytes = test_read(test_data(path), &f.n);
    return f;
}

static tw_status small(const uint8_t *bytes, size_t n, uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 8;
    return tw_preprocess_u8(&recipe, bytes, n, NULL, rgb, err);
}

/* Offset of the nth (from 0) marker of a kind, from the start of the file. */
static size_t find_marker(const jpeg_file *f, uint8_t marker, int nth) {
    for (size_t i = 0; i + 1 < f->n; i++)
        if (f->bytes[i] == 0xFF && f->bytes[i + 1] == marker && nth-- == 0) return i;
    fail_msg("no marker %02x", marker);
    return 0;
}

static void modes_follow_the_number_of_components(void **state) {
    static const char *const files[][2] = {{"jpg_gray_240x180.jpg", "L"},
                                           {"jpg_prog_240x180.jpg", "RGB"},
                                           {"jpg_cmyk_240x180.jpg", "CMYK"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tw_error err = TW_ERROR_INIT;
        tw_image_info info;
        jpeg_file f = read_jpeg(files[i][0]);
        assert_ok(tw_image_probe(f.bytes, f.n, NULL, &info, &err), &err);
        assert_string_equal(info.mode, files[i][1]);
        assert_string_equal(info.format, "jpeg");
        assert_int_equal(info.width, 240);
        assert_int_equal(info.height, 180);
        assert_int_equal(info.exif_orientation, 1);
        free(f.bytes);
    }
}

static void orientation_is_read_but_not_applied_by_itself(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    jpeg_file f = read_jpeg("jpg_exif_orient6_240x180.jpg");
    assert_ok(tw_image_probe(f.bytes, f.n, NULL, &info, &err), &err);
    assert_int_equal(info.exif_orientation, 6);
    assert_int_equal(info.width, 240);
    uint8_t stored[192], turned[192];
    assert_ok(small(f.bytes, f.n, stored, &err), &err);
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 8;
    tw_image_options options = TW_IMAGE_OPTIONS_INIT;
    options.exif_rotate = true;
    assert_ok(tw_preprocess_u8(&recipe, f.bytes, f.n, &options, turned, &err), &err);
    assert_memory_not_equal(stored, turned, sizeof stored);
    free(f.bytes);
}

static void a_truncated_file_is_refused_wherever_it_is_cut(void **state) {
    static const char *const files[] = {"jpg_gray_240x180.jpg", "jpg_prog_240x180.jpg",
                                        "jpg_cmyk_240x180.jpg", "jpg_q75_420_240x180.jpg"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        jpeg_file f = read_jpeg(files[i]);
        for (size_t n = 3; n + 40 < f.n; n += 1 + f.n / 40) {
            tw_error err = TW_ERROR_INIT;
            uint8_t rgb[192];
            /* An exact copy, so that a sanitizer sees a read past the end. */
            uint8_t *copy = malloc(n);
            memcpy(copy, f.bytes, n);
            assert_fails(small(copy, n, rgb, &err), TW_ERR_FORMAT, &err);
            free(copy);
        }
        free(f.bytes);
    }
}

static void a_missing_end_marker_is_truncation(void **state) {
    /* The last rows wait for what follows the scan: so it is in Pillow. */
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[192];
    jpeg_file f = read_jpeg("jpg_q75_420_240x180.jpg");
    assert_ok(small(f.bytes, f.n, rgb, &err), &err);
    assert_fails(small(f.bytes, f.n - 2, rgb, &err), TW_ERR_FORMAT, &err);
    free(f.bytes);
}

static void damaged_scan_data_is_decoded_as_far_as_it_goes(void **state) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[192];
    jpeg_file f = read_jpeg("jpg_q75_420_240x180.jpg");
    memset(f.bytes + f.n / 2, 0x55, 200);
    assert_ok(small(f.bytes, f.n, rgb, &err), &err);
    free(f.bytes);
}

static void sides_are_checked_before_anything_is_decoded(void **state) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[192];
    jpeg_file f = read_jpeg("jpg_q75_420_240x180.jpg");
    size_t frame = find_marker(&f, 0xC0, 0);
    memset(f.bytes + frame + 5, 0xFF, 4);
    assert_fails(small(f.bytes, f.n, rgb, &err), TW_ERR_LIMIT, &err);
    memset(f.bytes + frame + 5, 0, 2);
    assert_fails(small(f.bytes, f.n, rgb, &err), TW_ERR_FORMAT, &err);
    free(f.bytes);
}

static void twelve_bits_are_unsupported(void **state) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[192];
    jpeg_file f = read_jpeg("jpg_q75_420_240x180.jpg");
    f.bytes[find_marker(&f, 0xC0, 0) + 4] = 12;
    assert_fails(small(f.bytes, f.n, rgb, &err), TW_ERR_UNSUPPORTED, &err);
    free(f.bytes);
}

static void scans_without_end_are_a_limit(void **state) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[192];
    jpeg_file f = read_jpeg("jpg_prog_240x180.jpg");
    int n_scans = 0;
    for (size_t i = 0; i + 1 < f.n; i++)
        n_scans += f.bytes[i] == 0xFF && f.bytes[i + 1] == 0xDA;
    size_t last = find_marker(&f, 0xDA, n_scans - 1);
    tw_buffer many = {0};
    tw_buffer_append(&many, f.bytes, last);
    for (int i = 0; i < 600; i++)
        tw_buffer_append(&many, f.bytes + last, f.n - 2 - last);
    tw_buffer_append(&many, "\xFF\xD9", 2);
    assert_fails(small((const uint8_t *)many.data, many.n_bytes, rgb, &err), TW_ERR_LIMIT, &err);
    tw_buffer_free(&many);
    free(f.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_follow_the_number_of_components),
        cmocka_unit_test(orientation_is_read_but_not_applied_by_itself),
        cmocka_unit_test(a_truncated_file_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_missing_end_marker_is_truncation),
        cmocka_unit_test(damaged_scan_data_is_decoded_as_far_as_it_goes),
        cmocka_unit_test(sides_are_checked_before_anything_is_decoded),
        cmocka_unit_test(twelve_bits_are_unsupported),
        cmocka_unit_test(scans_without_end_are_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
