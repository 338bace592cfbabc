/* What counts in a WebP container: modes, the first frame and its place, lies about sizes. */
#include "support.h"

#include "base/buffer.h"
#include "base/bytes.h"

#include <string.h>

/* 2 x 2 lossless: grey 10, 20, 30, 40 with alpha 255, 128, 0, 255. */
static const uint8_t pixels[] = {0x2f, 0x01, 0x40, 0x00, 0x10, 0x1f, 0x50, 0x85, 0x2a,
                                 0x54, 0x41, 0x40, 0x50, 0x5c, 0x67, 0x79, 0xe1, 0x80,
                                 0x6c, 0x80, 0x32, 0x55, 0x98, 0x45, 0xf4, 0x3f, 0x76};

static void put_chunk(tw_buffer *b, const char *name, const void *data, size_t n) {
    uint8_t head[8];
    memcpy(head, name, 4);
    tw_store_u32le(head + 4, (uint32_t)n);
    tw_buffer_append(b, head, 8);
    tw_buffer_append(b, data, n);
    if (n % 2) tw_buffer_append(b, "", 1);
}

static void start(tw_buffer *b) {
    *b = (tw_buffer){0};
    tw_buffer_append(b, "RIFF\0\0\0\0WEBP", 12);
}

static void finish(tw_buffer *b) {
    tw_store_u32le((uint8_t *)b->data + 4, (uint32_t)(b->n_bytes - 8));
}

static void put_vp8x(tw_buffer *b, uint8_t flags, uint8_t width, uint8_t height) {
    const uint8_t data[10] = {flags, 0, 0, 0, (uint8_t)(width - 1), 0, 0, (uint8_t)(height - 1)};
    put_chunk(b, "VP8X", data, sizeof data);
    if (flags & 0x02) /* a white background, which nobody paints */
        put_chunk(b, "ANIM", "\xff\xff\xff\xff\0", 6);
}

/* A frame at (2 x, 2 y). */
static void put_frame(tw_buffer *b, uint8_t x, uint8_t y, uint8_t width, uint8_t height) {
    const uint8_t head[16] = {x, 0, 0, y, 0, 0, (uint8_t)(width - 1), 0, 0, (uint8_t)(height - 1)};
    tw_buffer inner = {0};
    tw_buffer_append(&inner, head, sizeof head);
    put_chunk(&inner, "VP8L", pixels, sizeof pixels);
    put_chunk(b, "ANMF", inner.data, inner.n_bytes);
    tw_buffer_free(&inner);
}

static tw_status pixels_at(const tw_buffer *b, int32_t size, uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = size;
    return tw_preprocess_u8(&recipe, b->data, b->n_bytes, NULL, rgb, err);
}

static void assert_grey(const tw_buffer *b, int32_t size, const uint8_t *grey) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[3 * 64];
    assert_ok(pixels_at(b, size, rgb, &err), &err);
    for (int i = 0; i < 3 * size * size; i++)
        assert_int_equal(rgb[i], grey[i / 3]);
}

static void assert_refused(tw_buffer *b, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[3 * 64];
    assert_fails(pixels_at(b, 2, rgb, &err), expected, &err);
    tw_buffer_free(b);
}

static void alpha_is_kept_and_dropped_at_the_end(void **state) {
    tw_buffer b;
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    start(&b);
    put_chunk(&b, "VP8L", pixels, sizeof pixels);
    finish(&b);
    assert_ok(tw_image_probe(b.data, b.n_bytes, NULL, &info, &err), &err);
    assert_string_equal(info.format, "webp");
    assert_string_equal(info.mode, "RGBA");
    assert_int_equal(info.width, 2);
    assert_int_equal(info.height, 2);
    assert_grey(&b, 2, (const uint8_t[]){10, 20, 30, 40});
    tw_buffer_free(&b);
}

static void the_headers_flag_decides_about_alpha(void **state) {
    tw_buffer b;
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    for (int alpha = 0; alpha < 2; alpha++) {
        start(&b);
        put_vp8x(&b, alpha ? 0x12 : 0x02, 2, 2);
        put_frame(&b, 0, 0, 2, 2);
        finish(&b);
        assert_ok(tw_image_probe(b.data, b.n_bytes, NULL, &info, &err), &err);
        assert_string_equal(info.mode, alpha ? "RGBA" : "RGB");
        tw_buffer_free(&b);
    }
}

static void the_first_frame_lies_on_black(void **state) {
    tw_buffer b;
    start(&b);
    put_vp8x(&b, 0x12, 4, 4);
    put_frame(&b, 1, 0, 2, 2);
    put_frame(&b, 0, 1, 2, 2);
    finish(&b);
    assert_grey(&b, 4, (const uint8_t[]){0, 0, 10, 20, 0, 0, 30, 40, 0, 0, 0, 0, 0, 0, 0, 0});
    tw_buffer_free(&b);
}

static void a_frame_that_leaves_the_canvas_is_refused(void **state) {
    tw_buffer b;
    start(&b);
    put_vp8x(&b, 0x12, 3, 2);
    put_frame(&b, 1, 0, 2, 2);
    finish(&b);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void a_frame_is_of_the_size_of_its_pixels(void **state) {
    tw_buffer b;
    start(&b);
    put_vp8x(&b, 0x12, 2, 2);
    put_frame(&b, 0, 0, 200, 1); /* what its head says */
    finish(&b);
    assert_grey(&b, 2, (const uint8_t[]){10, 20, 30, 40});
    tw_buffer_free(&b);
}

static void a_frame_before_its_announcement_is_refused(void **state) {
    tw_buffer b;
    start(&b);
    put_vp8x(&b, 0x12, 2, 2);
    memcpy((uint8_t *)b.data + b.n_bytes - 14, "ANI?", 4);
    put_frame(&b, 0, 0, 2, 2);
    finish(&b);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void pixels_may_end_in_the_byte_of_padding(void **state) {
    static const uint8_t cut[] = {
        0x2f, 0x01, 0x40, 0x00, 0x00, 0x1f, 0xa0, 0xa6, 0x6d, 0x03, 0x36, 0xc4, 0x28, 0x6f, 0xff,
        0xa9, 0xa6, 0x6d, 0x03, 0x36, 0xc4, 0x28, 0x6f, 0xff, 0xa9, 0xa6, 0x6d, 0x03, 0x36, 0xc4,
        0x28, 0x6f, 0xff, 0x39, 0xff, 0xf1, 0xbf, 0x6d, 0x92, 0x00, 0xb0, 0x0b, 0x11, 0xfd, 0x8f};
    tw_buffer b;
    start(&b);
    put_chunk(&b, "VP8L", cut, sizeof cut);
    finish(&b);
    assert_grey(&b, 2, (const uint8_t[]){237, 191, 136, 70});
    tw_buffer_free(&b);
}

static void sizes_that_disagree_are_refused(void **state) {
    tw_buffer b;
    start(&b);
    put_vp8x(&b, 0x10, 2, 3);
    put_chunk(&b, "VP8L", pixels, sizeof pixels);
    finish(&b);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void an_animation_without_frames_is_refused(void **state) {
    tw_buffer b;
    start(&b);
    put_vp8x(&b, 0x12, 2, 2);
    finish(&b);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void every_cut_is_refused(void **state) {
    tw_buffer whole;
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    start(&whole);
    put_chunk(&whole, "VP8L", pixels, sizeof pixels);
    finish(&whole);
    for (size_t n = 16; n < whole.n_bytes; n++) {
        tw_buffer cut = {.data = whole.data, .n_bytes = n};
        assert_fails(pixels_at(&cut, 2, rgb, &err), TW_ERR_FORMAT, &err);
    }
    tw_buffer_free(&whole);
}

static void a_huge_canvas_is_refused_before_it_is_allocated(void **state) {
    tw_buffer b;
    start(&b);
    const uint8_t vp8x[10] = {0x12, 0, 0, 0, 0xFF, 0xFF, 0x07, 0xFF, 0xFF, 0x07};
    put_chunk(&b, "VP8X", vp8x, sizeof vp8x);
    put_chunk(&b, "ANIM", "\0\0\0\0\0", 6);
    put_frame(&b, 0, 0, 2, 2);
    finish(&b);
    assert_refused(&b, TW_ERR_LIMIT);
}

static void orientation_is_in_the_exif_chunk(void **state) {
    static const uint8_t exif[] = "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    for (int prefixed = 0; prefixed < 2; prefixed++) {
        tw_buffer b;
        tw_error err = TW_ERROR_INIT;
        tw_image_info info;
        start(&b);
        put_vp8x(&b, 0x18, 2, 2);
        put_chunk(&b, "VP8L", pixels, sizeof pixels);
        put_chunk(&b, "EXIF", exif + (prefixed ? 0 : 6), sizeof exif - (prefixed ? 0 : 6));
        finish(&b);
        assert_ok(tw_image_probe(b.data, b.n_bytes, NULL, &info, &err), &err);
        assert_int_equal(info.exif_orientation, 6);
        assert_grey(&b, 2, (const uint8_t[]){10, 20, 30, 40});
        tw_buffer_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpha_is_kept_and_dropped_at_the_end),
        cmocka_unit_test(the_headers_flag_decides_about_alpha),
        cmocka_unit_test(the_first_frame_lies_on_black),
        cmocka_unit_test(a_frame_that_leaves_the_canvas_is_refused),
        cmocka_unit_test(a_frame_is_of_the_size_of_its_pixels),
        cmocka_unit_test(a_frame_before_its_announcement_is_refused),
        cmocka_unit_test(pixels_may_end_in_the_byte_of_padding),
        cmocka_unit_test(sizes_that_disagree_are_refused),
        cmocka_unit_test(an_animation_without_frames_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_huge_canvas_is_refused_before_it_is_allocated),
        cmocka_unit_test(orientation_is_in_the_exif_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
