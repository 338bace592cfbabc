/* What counts in a BMP file: depths, palettes, bit fields, run lengths, direction, cut-off files.
 */
#include "support.h"

#include "base/buffer.h"
#include "base/bytes.h"

#include <string.h>

typedef struct kind {
    uint32_t header, width, height, bits, compression, n_colours;
    const char *masks; /* 12 or 16 bytes after the first 40 of the header */
    size_t n_masks;
} kind;

static void append_u32(tw_buffer *b, uint32_t v) {
    uint8_t bytes[4];
    tw_store_u32le(bytes, v);
    tw_buffer_append(b, bytes, 4);
}

static void append_u16(tw_buffer *b, uint32_t v) {
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    tw_buffer_append(b, bytes, 2);
}

static void make(tw_buffer *b, const kind *k, const void *palette, size_t n_palette,
                 const void *pixels, size_t n_pixels) {
    *b = (tw_buffer){0};
    uint32_t header = k->header ? k->header : 40, extra = header == 40 ? (uint32_t)k->n_masks : 0;
    tw_buffer_append(b, "BM\0\0\0\0\0\0\0", 10);
    append_u32(b, 14 + header + extra + (uint32_t)n_palette);
    append_u32(b, header);
    if (header == 12) {
        append_u16(b, k->width);
        append_u16(b, k->height);
        append_u16(b, 1);
        append_u16(b, k->bits);
    } else {
        append_u32(b, k->width);
        append_u32(b, k->height);
        append_u16(b, 1);
        append_u16(b, k->bits);
        append_u32(b, k->compression);
        for (int i = 0; i < 3; i++)
            append_u32(b, 0);
        append_u32(b, k->n_colours);
        append_u32(b, 0);
        tw_buffer_append(b, k->masks, k->n_masks);
        while (b->n_bytes < 14 + header)
            tw_buffer_append(b, "", 1);
    }
    tw_buffer_append(b, palette, n_palette);
    tw_buffer_append(b, pixels, n_pixels);
}

static tw_status pixels_at(const tw_buffer *b, int32_t size, uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = size;
    return tw_preprocess_u8(&recipe, b->data, b->n_bytes, NULL, rgb, err);
}

/* A 2 x 2 picture has this mode and these RGB bytes. Frees it. */
static void assert_picture(tw_buffer *b, const char *mode, const char *rgb) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    uint8_t got[12];
    assert_ok(tw_image_probe(b->data, b->n_bytes, NULL, &info, &err), &err);
    assert_string_equal(info.format, "bmp");
    assert_string_equal(info.mode, mode);
    assert_ok(pixels_at(b, 2, got, &err), &err);
    assert_memory_equal(got, rgb, 12);
    tw_buffer_free(b);
}

static void assert_refused(tw_buffer *b, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    assert_fails(pixels_at(b, 2, rgb, &err), expected, &err);
    tw_buffer_free(b);
}

static void rows_are_stored_from_the_bottom(void **state) {
    tw_buffer b;
    static const char rows[] = "\3\2\1\6\5\4\0\0\x09\x08\x07\x0c\x0b\x0a\0";
    make(&b, &(kind){.width = 2, .height = 2, .bits = 24}, "", 0, rows, 16);
    assert_picture(&b, "RGB", "\7\x08\x09\x0a\x0b\x0c\1\2\3\4\5\6");
    make(&b, &(kind){.width = 2, .height = (uint32_t)-2, .bits = 24}, "", 0, rows, 16);
    assert_picture(&b, "RGB", "\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c");
}

static void colours_come_from_the_palette(void **state) {
    static const char palette[] = "\1\2\3\0\4\5\6\0\7\x08\x09\0";
    tw_buffer b;
    make(&b, &(kind){.width = 2, .height = 2, .bits = 8, .n_colours = 3}, palette, 12,
         "\2\1\0\0\1\3\0\0", 8);
    assert_picture(&b, "P", "\6\5\4\0\0\0\x09\x08\7\6\5\4"); /* entry 3 is missing: black */
    make(&b, &(kind){.width = 2, .height = 2, .bits = 4, .n_colours = 3}, palette, 12,
         "\x21\0\0\0\x10\0\0\0", 8);
    assert_picture(&b, "P", "\6\5\4\3\2\1\x09\x08\7\6\5\4");
    make(&b, &(kind){.width = 2, .height = 2, .bits = 1, .n_colours = 2}, palette, 8,
         "\x40\0\0\0\x80\0\0\0", 8);
    assert_picture(&b, "P", "\6\5\4\3\2\1\3\2\1\6\5\4");
    make(&b, &(kind){.header = 12, .width = 2, .height = 2, .bits = 1}, "\1\2\3\4\5\6", 6,
         "\x40\0\0\0\x80\0\0\0", 8); /* OS/2: three bytes a colour */
    assert_picture(&b, "P", "\6\5\4\3\2\1\3\2\1\6\5\4");
}

static void a_palette_of_greys_in_order_is_none(void **state) {
    char greys[1024] = {0};
    for (int i = 0; i < 256; i++)
        memset(greys + 4 * i, i, 3);
    tw_buffer b;
    make(&b, &(kind){.width = 2, .height = 2, .bits = 8}, greys, 1024, "\1\2\0\0\3\4\0\0", 8);
    assert_picture(&b, "L", "\3\3\3\4\4\4\1\1\1\2\2\2");
    make(&b, &(kind){.width = 2, .height = 2, .bits = 1}, "\0\0\0\0\xff\xff\xff\0", 8,
         "\x40\0\0\0\x80\0\0\0", 8);
    assert_picture(&b, "1", "\xff\xff\xff\0\0\0\0\0\0\xff\xff\xff");
    make(&b, &(kind){.width = 2, .height = 2, .bits = 1}, "\xff\xff\xff\0\0\0\0\0", 8,
         "\x40\0\0\0\x80\0\0\0", 8);
    assert_picture(&b, "P", "\0\0\0\xff\xff\xff\xff\xff\xff\0\0\0");
}

static void bit_fields_choose_channels_and_alpha(void **state) {
    static const char rows[] = "\1\2\3\4\1\2\3\4\1\2\3\4\1\2\3\4";
    tw_buffer b;
    make(&b, &(kind){.width = 2, .height = 2, .bits = 32}, "", 0, rows, 16);
    assert_picture(&b, "RGB", "\3\2\1\3\2\1\3\2\1\3\2\1");
    make(&b,
         &(kind){.header = 56,
                 .width = 2,
                 .height = 2,
                 .bits = 32,
                 .compression = 3,
                 .masks = "\xff\0\0\0\0\xff\0\0\0\0\xff\0\0\0\0\xff",
                 .n_masks = 16},
         "", 0, rows, 16);
    assert_picture(&b, "RGBA", "\1\2\3\1\2\3\1\2\3\1\2\3");
    make(&b,
         &(kind){.width = 2,
                 .height = 2,
                 .bits = 16,
                 .compression = 3,
                 .masks = "\0\xf8\0\0\xe0\x07\0\0\x1f\0\0\0",
                 .n_masks = 12},
         "", 0, "\0\xf8\xe0\x07\x1f\0\x41\x08", 8);
    assert_picture(&b, "RGB", "\0\0\xff\x08\x08\x08\xff\0\0\0\xff\0");
    make(&b,
         &(kind){.width = 2,
                 .height = 2,
                 .bits = 16,
                 .compression = 3,
                 .masks = "\0\xf0\0\0\0\x0f\0\0\xf0\0\0\0",
                 .n_masks = 12},
         "", 0, rows, 8);
    assert_refused(&b, TW_ERR_UNSUPPORTED);
}

static void run_lengths_literals_and_skips(void **state) {
    static const char palette[] = "\0\0\0\0\1\1\1\0\2\2\2\0\4\4\4\0";
    tw_buffer b;
    kind k = {.width = 2, .height = 2, .bits = 8, .compression = 1, .n_colours = 4};
    make(&b, &k, palette, 16, "\2\3\0\0\1\1\1\2\0\1", 10);
    assert_picture(&b, "P", "\1\1\1\2\2\2\4\4\4\4\4\4");
    make(&b, &k, palette, 16, "\0\2\1\0\1\1\0\0\0\3\2\1\2\0",
         14); /* the third literal is too many */
    assert_picture(&b, "P", "\2\2\2\1\1\1\0\0\0\1\1\1");
    k.bits = 4;
    k.compression = 2;
    make(&b, &k, palette, 16, "\2\x31\0\0\0\3\x21\x30", 8);
    assert_picture(&b, "P", "\2\2\2\1\1\1\4\4\4\1\1\1");
    make(&b, &k, palette, 16, "\2\x31\0\1", 4);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void run_lengths_of_black_and_white_are_white_unless_zero(void **state) {
    tw_buffer b;
    kind k = {.width = 2, .height = 2, .bits = 8, .compression = 1, .n_colours = 2};
    make(&b, &k, "\0\0\0\0\xff\xff\xff\0", 8, "\2\0\0\0\1\7\1\0", 8);
    assert_picture(&b, "1", "\xff\xff\xff\0\0\0\0\0\0\0\0\0");
}

static void a_file_may_end_after_the_last_pixel(void **state) {
    tw_buffer b;
    make(&b, &(kind){.width = 2, .height = 2, .bits = 24}, "", 0, "123456..789abc..", 16);
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    for (size_t n = 2; n < b.n_bytes - 2; n++) {
        tw_buffer cut = {.data = b.data, .n_bytes = n};
        assert_fails(pixels_at(&cut, 2, rgb, &err), TW_ERR_FORMAT, &err);
    }
    b.n_bytes -= 2;
    assert_ok(pixels_at(&b, 2, rgb, &err), &err);
    tw_buffer_free(&b);
}

static void impossible_headers_are_refused(void **state) {
    static const struct {
        kind kind;
        tw_status status;
    } cases[] = {
        {{.width = 0, .height = 2, .bits = 24}, TW_ERR_FORMAT},
        {{.width = 0x7FFFFFFF, .height = 0x7FFFFFFF, .bits = 24}, TW_ERR_LIMIT},
        {{.width = 2, .height = 2, .bits = 2}, TW_ERR_UNSUPPORTED},
        {{.width = 2, .height = 2, .bits = 24, .compression = 4}, TW_ERR_UNSUPPORTED},
        {{.width = 2, .height = 2, .bits = 24, .compression = 1}, TW_ERR_UNSUPPORTED},
        {{.width = 2, .height = 2, .bits = 8, .n_colours = 70000}, TW_ERR_FORMAT},
        {{.header = 44, .width = 2, .height = 2, .bits = 24}, TW_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_buffer b;
        make(&b, &cases[i].kind, "", 0, "................", 16);
        assert_refused(&b, cases[i].status);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_stored_from_the_bottom),
        cmocka_unit_test(colours_come_from_the_palette),
        cmocka_unit_test(a_palette_of_greys_in_order_is_none),
        cmocka_unit_test(bit_fields_choose_channels_and_alpha),
        cmocka_unit_test(run_lengths_literals_and_skips),
        cmocka_unit_test(run_lengths_of_black_and_white_are_white_unless_zero),
        cmocka_unit_test(a_file_may_end_after_the_last_pixel),
        cmocka_unit_test(impossible_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
