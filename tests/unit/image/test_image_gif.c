/* What counts in a GIF file: palettes, transparency, the frame's place, interlacing, codes. */
#include "support.h"

#include "base/buffer.h"

#include <string.h>

/* Grey levels 9, 60, 120, 200 in a palette that is not grey in order. */
static const uint8_t palette[12] = {9, 9, 9, 60, 60, 60, 120, 120, 120, 200, 200, 200};
static const uint8_t greys_in_order[12] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};

static void start(tw_buffer *b, int width, int height, const uint8_t *colours) {
    const uint8_t size[] = {(uint8_t)width, 0, (uint8_t)height, 0, colours ? 0x81 : 0x01, 1, 0};
    *b = (tw_buffer){0};
    tw_buffer_append(b, "GIF89a", 6);
    tw_buffer_append(b, size, sizeof size);
    if (colours) tw_buffer_append(b, colours, 12);
}

/* Indices below 4, each as its own code of 3 bits behind a clear code: the table never matters. */
static void put_frame(tw_buffer *b, int x, int y, int width, int height, int flags,
                      const uint8_t *colours, const uint8_t *indices) {
    const uint8_t head[] = {',', (uint8_t)x,
                            0,   (uint8_t)y,
                            0,   (uint8_t)width,
                            0,   (uint8_t)height,
                            0,   (uint8_t)(flags | (colours ? 0x81 : 0))};
    tw_buffer_append(b, head, sizeof head);
    if (colours) tw_buffer_append(b, colours, 12);
    uint8_t codes[64] = {0};
    size_t n_bits = 0;
    for (int i = 0; i < width * height; i++) {
        const unsigned pair[2] = {4, indices[i]}; /* 4 = clear */
        for (int k = 0; k < 2; k++, n_bits += 3)
            for (size_t bit = 0; bit < 3; bit++)
                codes[(n_bits + bit) / 8] |= (uint8_t)((pair[k] >> bit & 1) << (n_bits + bit) % 8);
    }
    const uint8_t lead[] = {2, (uint8_t)((n_bits + 7) / 8)};
    tw_buffer_append(b, lead, sizeof lead);
    tw_buffer_append(b, codes, lead[1]);
    tw_buffer_append(b, "\0;", 2);
}

static tw_status pixels_at(const tw_buffer *b, int32_t size, uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = size;
    return tw_preprocess_u8(&recipe, b->data, b->n_bytes, NULL, rgb, err);
}

static void assert_picture(tw_buffer *b, const char *mode, int32_t size, const uint8_t *grey) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    uint8_t rgb[3 * 64];
    assert_ok(tw_image_probe(b->data, b->n_bytes, NULL, &info, &err), &err);
    assert_string_equal(info.format, "gif");
    assert_string_equal(info.mode, mode);
    assert_int_equal(info.width, size);
    assert_int_equal(info.height, size);
    assert_ok(pixels_at(b, size, rgb, &err), &err);
    for (int i = 0; i < 3 * size * size; i++)
        assert_int_equal(rgb[i], grey[i / 3]);
    tw_buffer_free(b);
}

static void assert_refused(tw_buffer *b, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[3 * 64];
    assert_fails(pixels_at(b, 2, rgb, &err), expected, &err);
    tw_buffer_free(b);
}

static const uint8_t four[] = {0, 1, 2, 3};

static void colours_come_from_the_frames_palette_or_the_files(void **state) {
    static const uint8_t other[12] = {5, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2};
    tw_buffer b;
    start(&b, 2, 2, palette);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, four);
    assert_picture(&b, "P", 2, (uint8_t[]){9, 60, 120, 200});
    start(&b, 2, 2, palette);
    put_frame(&b, 0, 0, 2, 2, 0, other, four);
    assert_picture(&b, "P", 2, (uint8_t[]){5, 4, 3, 2});
}

static void a_palette_of_greys_in_order_or_none_makes_grey(void **state) {
    tw_buffer b;
    start(&b, 2, 2, greys_in_order);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, four);
    assert_picture(&b, "L", 2, four);
    start(&b, 2, 2, NULL);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, four);
    assert_picture(&b, "L", 2, four);
}

static void around_the_frame_is_index_0_or_the_transparent_one(void **state) {
    tw_buffer b;
    start(&b, 3, 3, palette);
    put_frame(&b, 1, 1, 2, 2, 0, NULL, four);
    assert_picture(&b, "P", 3, (uint8_t[]){9, 9, 9, 9, 9, 60, 9, 120, 200});
    start(&b, 3, 3, palette);
    tw_buffer_append(&b, "!\xf9\4\1\0\0\3\0", 8);
    put_frame(&b, 1, 1, 2, 2, 0, NULL, four);
    assert_picture(&b, "P", 3, (uint8_t[]){200, 200, 200, 200, 9, 60, 200, 120, 200});
}

static void a_frame_that_leaves_the_screen_makes_it_larger(void **state) {
    tw_buffer b;
    start(&b, 2, 2, palette);
    put_frame(&b, 1, 1, 2, 2, 0, NULL, four);
    assert_picture(&b, "P", 3, (uint8_t[]){9, 9, 9, 9, 9, 60, 9, 120, 200});
}

static void interlaced_rows_find_their_places(void **state) {
    static const uint8_t stored[] = {0, 0, 0, 1, 1, 1, 2, 2, 2}; /* rows 0, then 2, then 1 */
    tw_buffer b;
    start(&b, 3, 3, palette);
    put_frame(&b, 0, 0, 3, 3, 0x40, NULL, stored);
    assert_picture(&b, "P", 3, (uint8_t[]){9, 9, 9, 120, 120, 120, 60, 60, 60});
}

static void only_the_first_frame_counts(void **state) {
    tw_buffer b;
    start(&b, 2, 2, palette);
    tw_buffer_append(&b, "!\xfe\3abc\0", 7);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, four);
    b.n_bytes--; /* the end */
    put_frame(&b, 0, 0, 4, 4, 0, NULL, (const uint8_t[16]){0});
    assert_picture(&b, "P", 2, (uint8_t[]){9, 60, 120, 200});
}

static void a_cut_before_the_last_pixel_is_refused(void **state) {
    tw_buffer b;
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    start(&b, 2, 2, palette);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, four);
    for (size_t n = 6; n < b.n_bytes - 2; n++) {
        tw_buffer cut = {.data = b.data, .n_bytes = n};
        assert_fails(pixels_at(&cut, 2, rgb, &err), TW_ERR_FORMAT, &err);
    }
    b.n_bytes -= 2; /* terminators are not needed */
    assert_picture(&b, "P", 2, (uint8_t[]){9, 60, 120, 200});
}

static void impossible_codes_are_refused(void **state) {
    tw_buffer b;
    start(&b, 2, 2, palette);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, four);
    size_t bits = b.n_bytes - 2 - 3 - 2;
    assert_int_equal(b.data[bits], 2);
    b.data[bits] = 13;
    assert_refused(&b, TW_ERR_FORMAT);
    start(&b, 2, 2, palette);
    put_frame(&b, 0, 0, 2, 2, 0, NULL, (const uint8_t[]){0, 1, 6, 0}); /* 6 cannot be first */
    assert_refused(&b, TW_ERR_FORMAT);
}

/* 5 is the end. Pillow goes on behind it only when it has not read the whole file yet. */
static void an_end_before_the_last_pixel_is_one(void **state) {
    static const uint8_t codes[][5] = {{0, 1, 2, 3, 5}, {0, 1, 5, 2, 3}};
    for (int early = 0; early < 2; early++) {
        tw_buffer b;
        start(&b, 2, 2, palette);
        put_frame(&b, 0, 0, 5, 1, 0, NULL, codes[early]);
        ((uint8_t *)b.data)[30] = 2; /* the frame is 2 x 2 */
        ((uint8_t *)b.data)[32] = 2;
        if (early)
            assert_refused(&b, TW_ERR_FORMAT);
        else
            assert_picture(&b, "P", 2, (uint8_t[]){9, 60, 120, 200});
    }
}

static void a_file_without_a_frame_is_refused(void **state) {
    tw_buffer b;
    start(&b, 2, 2, palette);
    tw_buffer_append(&b, ";", 1);
    assert_refused(&b, TW_ERR_FORMAT);
    start(&b, 2, 2, palette);
    put_frame(&b, 1, 0, 0, 2, 0, NULL, four);
    assert_refused(&b, TW_ERR_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_come_from_the_frames_palette_or_the_files),
        cmocka_unit_test(a_palette_of_greys_in_order_or_none_makes_grey),
        cmocka_unit_test(around_the_frame_is_index_0_or_the_transparent_one),
        cmocka_unit_test(a_frame_that_leaves_the_screen_makes_it_larger),
        cmocka_unit_test(interlaced_rows_find_their_places),
        cmocka_unit_test(only_the_first_frame_counts),
        cmocka_unit_test(a_cut_before_the_last_pixel_is_refused),
        cmocka_unit_test(impossible_codes_are_refused),
        cmocka_unit_test(an_end_before_the_last_pixel_is_one),
        cmocka_unit_test(a_file_without_a_frame_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
