/* What counts in a TIFF file: byte order, kinds of pixels, strips and tiles, compression,
 * orientation, lies about sizes. */
#include "support.h"

#include "base/buffer.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

typedef struct entry {
    int tag, n, values[8];
} entry;

enum { DATA = -1 }; /* as a value: where the pixels begin; DATA - k: k bytes later */

static void put16(tw_buffer *b, bool big, int v) {
    const uint8_t le[2] = {(uint8_t)v, (uint8_t)(v >> 8)}, be[2] = {le[1], le[0]};
    tw_buffer_append(b, big ? be : le, 2);
}

static void put32(tw_buffer *b, bool big, int v) {
    put16(b, big, big ? v >> 16 : v);
    put16(b, big, big ? v : v >> 16);
}

/* A file of one directory, all values 16 bits; tags beyond the first with n = 0 end the list. */
static void make(tw_buffer *b, bool big, const entry *e, const void *data, size_t n_data) {
    int n = 0, n_far = 0;
    for (; e[n].n; n++)
        n_far += e[n].n > 2 ? 2 * e[n].n : 0;
    int far = 8 + 2 + 12 * n + 4, pixels = far + n_far;
    *b = (tw_buffer){0};
    tw_buffer_append(b, big ? "MM\0*" : "II*\0", 4);
    put32(b, big, 8);
    put16(b, big, n);
    for (int i = 0; i < n; i++) {
        put16(b, big, e[i].tag);
        put16(b, big, 3);
        put32(b, big, e[i].n);
        for (int k = 0; k < 2 && e[i].n <= 2; k++)
            put16(b, big, e[i].values[k] < 0 ? pixels + DATA - e[i].values[k] : e[i].values[k]);
        if (e[i].n <= 2) continue;
        put32(b, big, far);
        far += 2 * e[i].n;
    }
    put32(b, big, 0);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < e[i].n && e[i].n > 2; k++)
            put16(b, big, e[i].values[k] < 0 ? pixels + DATA - e[i].values[k] : e[i].values[k]);
    tw_buffer_append(b, data, n_data);
}

/* 2 x 2, one strip. */
static void make_small(tw_buffer *b, bool big, int bits, int photometric, int compression,
                       int orientation, const void *data, size_t n) {
    make(b, big,
         (const entry[]){{256, 1, {2}},
                         {257, 1, {2}},
                         {258, 1, {bits}},
                         {259, 1, {compression}},
                         {262, 1, {photometric}},
                         {273, 1, {DATA}},
                         {274, 1, {orientation}},
                         {279, 1, {(int)n}},
                         {320, 6, {0x0100, 0x0900, 0x0200, 0x0900, 0x0300, 0x0900}},
                         {0, 0, {0}}},
         data, n);
}

static tw_status pixels_of(const tw_buffer *b, int32_t size, uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = size;
    return tw_preprocess_u8(&recipe, b->data, b->n_bytes, NULL, rgb, err);
}

static void assert_greys(tw_buffer *b, const char *mode, const uint8_t *grey) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    uint8_t rgb[12];
    assert_ok(tw_image_probe(b->data, b->n_bytes, NULL, &info, &err), &err);
    assert_string_equal(info.format, "tiff");
    assert_string_equal(info.mode, mode);
    assert_int_equal(info.exif_orientation, 1);
    assert_ok(pixels_of(b, 2, rgb, &err), &err);
    for (int i = 0; i < 12; i++)
        assert_int_equal(rgb[i], grey[i / 3]);
    tw_buffer_free(b);
}

static void assert_refused(tw_buffer *b, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    assert_fails(pixels_of(b, 2, rgb, &err), expected, &err);
    tw_buffer_free(b);
}

static void grey_of_every_depth_in_both_byte_orders(void **state) {
    for (int big = 0; big < 2; big++) {
        tw_buffer b;
        make_small(&b, big, 1, 1, 1, 1, "\x40\x80", 2);
        assert_greys(&b, "1", (uint8_t[]){0, 255, 255, 0});
        make_small(&b, big, 1, 0, 1, 1, "\x40\x80", 2);
        assert_greys(&b, "1", (uint8_t[]){255, 0, 0, 255});
        make_small(&b, big, 2, 1, 1, 1, "\x10\xb0", 2);
        assert_greys(&b, "L", (uint8_t[]){0, 85, 170, 255});
        make_small(&b, big, 4, 0, 1, 1, "\x01\xef", 2);
        assert_greys(&b, "L", (uint8_t[]){255, 238, 17, 0});
        make_small(&b, big, 8, 1, 1, 1, "\1\2\3\4", 4);
        assert_greys(&b, "L", (uint8_t[]){1, 2, 3, 4});
        make_small(&b, big, 16, 1, 1, 1, big ? "\0\1\0\2\0\3\1\0" : "\1\0\2\0\3\0\0\1", 8);
        assert_greys(&b, "I;16", (uint8_t[]){1, 2, 3, 255});
    }
}

static void colours_come_from_the_high_bytes_of_the_palette(void **state) {
    tw_buffer b;
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    make_small(&b, true, 1, 3, 1, 1, "\x40\x80", 2);
    assert_ok(pixels_of(&b, 2, rgb, &err), &err);
    assert_memory_equal(rgb, "\1\2\3\x09\x09\x09\x09\x09\x09\1\2\3", 12);
    tw_buffer_free(&b);
}

static void orientation_is_applied(void **state) {
    static const uint8_t seen[9][4] = {{1, 2, 3, 4}, {1, 2, 3, 4}, {2, 1, 4, 3},
                                       {4, 3, 2, 1}, {3, 4, 1, 2}, {1, 3, 2, 4},
                                       {3, 1, 4, 2}, {4, 2, 3, 1}, {2, 4, 1, 3}};
    for (int i = 0; i < 9; i++) {
        tw_buffer b;
        make_small(&b, false, 8, 1, 1, i, "\1\2\3\4", 4);
        assert_greys(&b, "L", seen[i]);
    }
}

static void packbits_literals_and_runs(void **state) {
    tw_buffer b;
    make_small(&b, false, 8, 1, 32773, 1, "\1\5\6\x80\xff\7", 6);
    assert_greys(&b, "L", (uint8_t[]){5, 6, 7, 7});
    make_small(&b, false, 8, 1, 32773, 1, "\1\5\6\xff", 4);
    assert_refused(&b, TW_ERR_FORMAT);
}

/* Codes of 9 bits from the highest bit on. */
static size_t pack_codes(const int *codes, int n, uint8_t *out) {
    memset(out, 0, 16);
    for (int i = 0; i < 9 * n; i++)
        out[i / 8] |= (uint8_t)((codes[i / 9] >> (8 - i % 9) & 1) << (7 - i % 8));
    return (size_t)(9 * n + 7) / 8;
}

static void lzw_strings_and_their_repetition(void **state) {
    tw_buffer b;
    uint8_t data[16];
    size_t n = pack_codes((const int[]){256, 7, 258, 8, 257}, 5, data);
    make_small(&b, false, 8, 1, 5, 1, data, n);
    assert_greys(&b, "L", (uint8_t[]){7, 7, 7, 8});
    n = pack_codes((const int[]){256, 7, 260, 8}, 4, data); /* no such string yet */
    make_small(&b, false, 8, 1, 5, 1, data, n);
    assert_refused(&b, TW_ERR_FORMAT);
    n = pack_codes((const int[]){256, 7, 257}, 3, data); /* ends early */
    make_small(&b, false, 8, 1, 5, 1, data, n);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void tiles_are_cut_at_the_edges(void **state) {
    tw_buffer b;
    uint8_t data[2 * 256] = {0};
    data[0] = 1;
    data[16] = 3;
    data[256] = 2; /* the second tile, whose first pixel is at x = 16 */
    tw_error err = TW_ERROR_INIT;
    make(&b, false,
         (const entry[]){{256, 1, {17}},
                         {257, 1, {2}},
                         {258, 1, {8}},
                         {262, 1, {1}},
                         {322, 1, {16}},
                         {323, 1, {16}},
                         {324, 2, {DATA, DATA - 256}},
                         {325, 2, {256, 256}},
                         {0, 0, {0}}},
         data, sizeof data);
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 17;
    recipe.resize_mode = TW_RESIZE_LONGEST; /* the same size, on a canvas of 17 rows */
    uint8_t rgb[17 * 17 * 3];
    assert_ok(tw_preprocess_u8(&recipe, b.data, b.n_bytes, NULL, rgb, &err), &err);
    const uint8_t *first = rgb + 7 * 17 * 3;
    assert_int_equal(first[0], 1);
    assert_int_equal(first[16 * 3], 2);
    assert_int_equal(first[17 * 3], 3);
    tw_buffer_free(&b);
}

/* Grey, 2 x 2, by Deflate under both of its numbers, with differences within a row. */
static void deflate_is_undone_with_its_predictor(void **state) {
    static const uint8_t packed[] = {0x78, 0x9c, 0x63, 0x64, 0x64, 0x66,
                                     0x01, 0x00, 0x00, 0x15, 0x00, 0x0a};
    for (int old = 0; old < 2; old++)
        for (int predictor = 1; predictor <= 2; predictor++) {
            tw_buffer b;
            make(&b, old,
                 (const entry[]){{256, 1, {2}},
                                 {257, 1, {2}},
                                 {258, 1, {8}},
                                 {259, 1, {old ? 32946 : 8}},
                                 {262, 1, {1}},
                                 {273, 1, {DATA}},
                                 {279, 1, {sizeof packed}},
                                 {317, 1, {predictor}},
                                 {0, 0, {0}}},
                 packed, sizeof packed);
            assert_greys(&b, "L",
                         predictor == 2 ? (const uint8_t[]){1, 2, 3, 7}
                                        : (const uint8_t[]){1, 1, 3, 4});
            tw_buffer_free(&b);
        }
}

/* A strip that inflates to more than its picture stops at the picture; one to less is damaged. */
static void deflate_gives_what_the_picture_needs(void **state) {
    static const uint8_t packed[] = {0x78, 0x9c, 0x63, 0x64, 0x64, 0x66,
                                     0x01, 0x00, 0x00, 0x15, 0x00, 0x0a};
    for (int height = 1; height <= 3; height++) {
        tw_buffer b;
        make(&b, false,
             (const entry[]){{256, 1, {2}},
                             {257, 1, {height}},
                             {258, 1, {8}},
                             {259, 1, {8}},
                             {262, 1, {1}},
                             {273, 1, {DATA}},
                             {279, 1, {sizeof packed}},
                             {0, 0, {0}}},
             packed, sizeof packed);
        uint8_t rgb[12];
        tw_error err = TW_ERROR_INIT;
        if (height <= 2)
            assert_ok(pixels_of(&b, 2, rgb, &err), &err);
        else
            assert_fails(pixels_of(&b, 2, rgb, &err), TW_ERR_FORMAT, &err);
        tw_buffer_free(&b);
    }
}

/* Of four planes the last, not used, is outside of the file. */
static void planes_are_put_together(void **state) {
    for (int n = 3; n <= 4; n++) {
        tw_buffer b;
        tw_error err = TW_ERROR_INIT;
        uint8_t rgb[12];
        make(&b, false,
             (const entry[]){{256, 1, {2}},
                             {257, 1, {2}},
                             {258, n, {8, 8, 8, 8}},
                             {262, 1, {2}},
                             {273, n, {DATA, DATA - 4, DATA - 8, 9999}},
                             {277, 1, {n}},
                             {279, n, {4, 4, 4, 4}},
                             {284, 1, {2}},
                             {n == 4 ? 338 : 999, 1, {0}},
                             {0, 0, {0}}},
             "\1\2\3\4\11\12\13\14\21\22\23\24", 12);
        assert_ok(pixels_of(&b, 2, rgb, &err), &err);
        assert_memory_equal(rgb, "\1\11\21\2\12\22\3\13\23\4\14\24", 12);
        tw_buffer_free(&b);
    }
}

static void the_order_of_bits_is_obeyed(void **state) {
    tw_buffer b;
    make(&b, false,
         (const entry[]){{256, 1, {2}},
                         {257, 1, {2}},
                         {258, 1, {8}},
                         {262, 1, {1}},
                         {266, 1, {2}},
                         {273, 1, {DATA}},
                         {279, 1, {4}},
                         {0, 0, {0}}},
         "\x80\x40\x01\xF0", 4);
    assert_greys(&b, "L", (const uint8_t[]){1, 2, 128, 15});
    tw_buffer_free(&b);
}

/* 1 x 1, in a directory of 20-byte entries, and one whose number of entries overflows. */
static void a_big_tiff_is_read(void **state) {
    static const uint8_t head[] = {'I', 'I', 43, 0, 8, 0, 0, 0, 16, 0, 0, 0,
                                   0,   0,   0,  0, 5, 0, 0, 0, 0,  0, 0, 0};
    static const uint16_t tags[5][3] = {
        {256, 3, 1}, {257, 3, 1}, {258, 3, 8}, {262, 3, 1}, {273, 16, 124}};
    for (int lie = 0; lie < 2; lie++) {
        tw_buffer b = {0};
        tw_error err = TW_ERROR_INIT;
        uint8_t rgb[3];
        tw_buffer_append(&b, head, sizeof head);
        for (int i = 0; i < 5; i++) {
            const uint8_t bytes[20] = {(uint8_t)tags[i][0],
                                       (uint8_t)(tags[i][0] >> 8),
                                       (uint8_t)tags[i][1],
                                       0,
                                       1,
                                       0,
                                       0,
                                       0,
                                       0,
                                       0,
                                       0,
                                       0,
                                       (uint8_t)tags[i][2]};
            tw_buffer_append(&b, bytes, sizeof bytes);
        }
        tw_buffer_append(&b, "\x2A", 1);
        if (lie) memset((uint8_t *)b.data + 16, 0xFF, 8);
        if (lie) {
            assert_fails(pixels_of(&b, 1, rgb, &err), TW_ERR_FORMAT, &err);
        } else {
            assert_ok(pixels_of(&b, 1, rgb, &err), &err);
            assert_memory_equal(rgb, "\x2A\x2A\x2A", 3);
        }
        tw_buffer_free(&b);
    }
}

/* Pillow's pixels, beside the file. */
static void jpeg_inside_is_read(void **state) {
    static const char *const names[] = {"jpeg_tables.tif", "jpeg_ycbcr.tif"};
    for (int i = 0; i < 2; i++) {
        char path[512];
        tw_mapped_file picture, expected;
        tw_error err = TW_ERROR_INIT;
        uint8_t rgb[16 * 16 * 3];
        snprintf(path, sizeof path, "%s/tiff/%s", TEST_DATA_DIR, names[i]);
        assert_ok(tw_map_file(path, &picture, &err), &err);
        snprintf(path, sizeof path, "%s/tiff/%s.rgb", TEST_DATA_DIR, names[i]);
        assert_ok(tw_map_file(path, &expected, &err), &err);
        tw_buffer b = {.data = (char *)(uintptr_t)picture.data, .n_bytes = picture.n_bytes};
        assert_ok(pixels_of(&b, 16, rgb, &err), &err);
        assert_int_equal(expected.n_bytes, sizeof rgb);
        assert_memory_equal(rgb, expected.data, sizeof rgb);
        tw_unmap_file(&picture);
        tw_unmap_file(&expected);
    }
}

static void make_floats(tw_buffer *b, bool big, int compression, int predictor, const void *data,
                        size_t n) {
    make(b, big,
         (const entry[]){{256, 1, {2}},
                         {257, 1, {2}},
                         {258, 1, {32}},
                         {259, 1, {compression}},
                         {262, 1, {1}},
                         {273, 1, {DATA}},
                         {279, 1, {(int)n}},
                         {317, 1, {predictor}},
                         {339, 1, {3}},
                         {0, 0, {0}}},
         data, n);
}

/* -2, 3.99, 255.5 and 7 are cut off. */
static void floats_are_read(void **state) {
    static const uint8_t grey[] = {0, 3, 255, 7};
    static const uint8_t le[] = {15,   0x00, 0x00, 0x00, 0xc0, 0x29, 0x5c, 0x7f, 0x40,
                                 0x00, 0x80, 0x7f, 0x43, 0x00, 0x00, 0xe0, 0x40},
                         be[] = {15,   0xc0, 0x00, 0x00, 0x00, 0x40, 0x7f, 0x5c, 0x29,
                                 0x43, 0x7f, 0x80, 0x00, 0x40, 0xe0, 0x00, 0x00};
    static const uint8_t differences[] = {0x78, 0xda, 0x3b, 0xd0, 0x70, 0xa0, 0xbe, 0x31,
                                          0x66, 0x89, 0xa6, 0xf3, 0x5f, 0xfb, 0xc4, 0x05,
                                          0x0d, 0x0c, 0x0c, 0x00, 0x46, 0xbe, 0x07, 0x2a};
    tw_buffer b;
    make_floats(&b, false, 1, 1, le + 1, 16);
    assert_greys(&b, "F", grey);
    make_floats(&b, true, 1, 1, be + 1, 16);
    assert_greys(&b, "F", grey);
    make_floats(&b, false, 32773, 1, le, 17);
    assert_greys(&b, "F", grey);
    make_floats(&b, true, 32773, 1, le, 17); /* Pillow swaps bytes once too often */
    assert_greys(&b, "F", grey);
    make_floats(&b, false, 8, 3, differences, sizeof differences);
    assert_greys(&b, "F", grey);
}

static void make_odd(tw_buffer *b, int compression, int n_rows, int n_bytes, const void *data,
                     size_t n) {
    make(b, false,
         (const entry[]){{256, 1, {2}},
                         {257, 1, {2}},
                         {258, 1, {8}},
                         {259, 1, {compression}},
                         {262, 1, {1}},
                         {273, 1, {DATA}},
                         {278, n_rows, {2, 2}},
                         {279, 1, {n_bytes}},
                         {0, 0, {0}}},
         data, n);
}

/* What Pillow leaves to libtiff is read more strictly. */
static void damage_that_libtiff_refuses_is_refused(void **state) {
    static const uint8_t checksum[] = {0x78, 0x9c, 0x63, 0x64, 0x64, 0x66,
                                       0x01, 0x00, 0x00, 0x15, 0x00, 0x0b};
    tw_buffer b;
    make_odd(&b, 1, 2, 4, "\1\2\3\4", 4); /* two values where one belongs */
    assert_greys(&b, "L", (const uint8_t[]){1, 2, 3, 4});
    make_odd(&b, 32773, 1, 5, "\3\1\2\3\4", 5);
    assert_greys(&b, "L", (const uint8_t[]){1, 2, 3, 4});
    make_odd(&b, 32773, 2, 5, "\3\1\2\3\4", 5);
    assert_refused(&b, TW_ERR_FORMAT);
    make_odd(&b, 32773, 1, 6, "\3\1\2\3\4", 5); /* a byte that is missing and not needed */
    assert_refused(&b, TW_ERR_FORMAT);
    make_odd(&b, 8, 1, sizeof checksum, checksum, sizeof checksum);
    assert_refused(&b, TW_ERR_FORMAT);
}

static void what_is_not_read_is_named(void **state) {
    tw_buffer b;
    make_small(&b, false, 8, 1, 6, 1, "\1\2\3\4", 4); /* JPEG as it was in TIFF 6.0 */
    assert_refused(&b, TW_ERR_UNSUPPORTED);
    make_small(&b, false, 1, 0, 4, 1, "\1\2\3\4", 4); /* fax */
    assert_refused(&b, TW_ERR_UNSUPPORTED);
    make_small(&b, false, 12, 1, 1, 1, "\1\2\3\4\5\6", 6);
    assert_refused(&b, TW_ERR_UNSUPPORTED);
    make_small(&b, false, 8, 9, 1, 1, "\1\2\3\4", 4);
    assert_refused(&b, TW_ERR_UNSUPPORTED);
    b = (tw_buffer){0};
    tw_buffer_append(&b, "II+\0\x04\0\0\0", 8); /* offsets of 4 bytes in a BigTIFF */
    assert_refused(&b, TW_ERR_UNSUPPORTED);
}

static void every_cut_is_refused(void **state) {
    tw_buffer b;
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[12];
    make_small(&b, true, 8, 1, 1, 6, "\1\2\3\4", 4);
    for (size_t n = 4; n < b.n_bytes; n++) {
        tw_buffer cut = {.data = b.data, .n_bytes = n};
        assert_fails(pixels_of(&cut, 2, rgb, &err), TW_ERR_FORMAT, &err);
    }
    tw_buffer_free(&b);
}

static void sizes_are_checked_before_anything_is_allocated(void **state) {
    tw_buffer b;
    for (int tile = 0; tile < 2; tile++) {
        make(&b, false,
             (const entry[]){{256, 1, {tile ? 2 : 65535}},
                             {257, 1, {tile ? 2 : 65535}},
                             {258, 1, {8}},
                             {262, 1, {1}},
                             {322, 1, {65535}},
                             {323, 1, {65535}},
                             {324, 1, {DATA}},
                             {325, 1, {4}},
                             {0, 0, {0}}},
             "\1\2\3\4", 4);
        assert_refused(&b, TW_ERR_LIMIT);
    }
    make(&b, false,
         (const entry[]){{256, 1, {2}},
                         {257, 1, {2}},
                         {258, 1, {8}},
                         {262, 1, {1}},
                         {273, 1, {DATA}},
                         {278, 1, {1}}, /* one strip of two */
                         {0, 0, {0}}},
         "\1\2\3\4", 4);
    assert_refused(&b, TW_ERR_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grey_of_every_depth_in_both_byte_orders),
        cmocka_unit_test(colours_come_from_the_high_bytes_of_the_palette),
        cmocka_unit_test(orientation_is_applied),
        cmocka_unit_test(packbits_literals_and_runs),
        cmocka_unit_test(lzw_strings_and_their_repetition),
        cmocka_unit_test(tiles_are_cut_at_the_edges),
        cmocka_unit_test(deflate_is_undone_with_its_predictor),
        cmocka_unit_test(deflate_gives_what_the_picture_needs),
        cmocka_unit_test(planes_are_put_together),
        cmocka_unit_test(the_order_of_bits_is_obeyed),
        cmocka_unit_test(a_big_tiff_is_read),
        cmocka_unit_test(jpeg_inside_is_read),
        cmocka_unit_test(floats_are_read),
        cmocka_unit_test(damage_that_libtiff_refuses_is_refused),
        cmocka_unit_test(what_is_not_read_is_named),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(sizes_are_checked_before_anything_is_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
