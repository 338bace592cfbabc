/* What counts in a PNG file: modes, palettes, checksums, cut-off files, interlacing. */
#include "support.h"

#include "png_builder.h"

#include <string.h>

/* The RGB values of an R x R picture, as it is (no resize happens). */
static tw_status pixels_at(int32_t size, const tw_buffer *file, uint8_t *rgb, tw_error *err) {
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = size;
    return tw_preprocess_u8(&recipe, file->data, file->n_bytes, NULL, rgb, err);
}

static void assert_pixels(const tw_buffer *file, int32_t size, const uint8_t *grey) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[3 * 64];
    assert_ok(pixels_at(size, file, rgb, &err), &err);
    for (int i = 0; i < size * size; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(rgb[3 * i + c], grey[i]);
}

static void assert_refused(const tw_buffer *file, int32_t size, tw_status expected) {
    tw_error err = TW_ERROR_INIT;
    uint8_t rgb[3 * 64];
    assert_fails(pixels_at(size, file, rgb, &err), expected, &err);
}

static void every_kind_has_pillows_mode(void **state) {
    static const struct {
        int depth, colour;
        const char *mode;
    } kinds[] = {
        {1, 0, "1"},   {2, 0, "L"},    {4, 0, "L"},     {8, 0, "L"},    {16, 0, "I;16"},
        {8, 2, "RGB"}, {16, 2, "RGB"}, {1, 3, "P"},     {2, 3, "P"},    {4, 3, "P"},
        {8, 3, "P"},   {8, 4, "LA"},   {16, 4, "RGBA"}, {8, 6, "RGBA"}, {16, 6, "RGBA"},
    };
    const uint8_t rows[3 * 2 * 8] = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tw_error err = TW_ERROR_INIT;
        tw_buffer file = {0};
        tw_image_info info;
        test_png(&file, 3, 2, kinds[i].depth, kinds[i].colour, rows);
        assert_ok(tw_image_probe(file.data, file.n_bytes, NULL, &info, &err), &err);
        assert_string_equal(info.mode, kinds[i].mode);
        assert_string_equal(info.format, "png");
        assert_int_equal(info.width, 3);
        assert_int_equal(info.height, 2);
        assert_int_equal(info.exif_orientation, 1);
        tw_buffer_free(&file);
    }
}

static void an_unknown_kind_is_refused(void **state) {
    const uint8_t rows[64] = {0};
    tw_buffer file = {0};
    test_png_start(&file, 2, 2, 4, 2, 0);
    test_png_finish(&file, rows, 3, 2);
    assert_refused(&file, 2, TW_ERR_FORMAT);
    tw_buffer_free(&file);
}

static void narrow_grey_is_scaled(void **state) {
    tw_buffer file = {0};
    test_png(&file, 2, 2, 2, 0, (const uint8_t[]){0x10, 0xB0});
    assert_pixels(&file, 2, (const uint8_t[]){0, 85, 170, 255});
    tw_buffer_free(&file);
    test_png(&file, 2, 2, 4, 0, (const uint8_t[]){0x01, 0xEF});
    assert_pixels(&file, 2, (const uint8_t[]){0, 17, 238, 255});
    tw_buffer_free(&file);
    test_png(&file, 2, 2, 1, 0, (const uint8_t[]){0x40, 0x80});
    assert_pixels(&file, 2, (const uint8_t[]){0, 255, 255, 0});
    tw_buffer_free(&file);
}

static void wide_grey_is_clipped_not_scaled(void **state) {
    tw_buffer file = {0};
    test_png(&file, 2, 2, 16, 0, (const uint8_t[]){0, 7, 0, 255, 1, 0, 255, 255});
    assert_pixels(&file, 2, (const uint8_t[]){7, 255, 255, 255});
    tw_buffer_free(&file);
}

static void wide_colours_keep_the_high_byte(void **state) {
    tw_buffer file = {0};
    test_png(&file, 1, 1, 16, 2, (const uint8_t[]){9, 255, 9, 0, 9, 128});
    assert_pixels(&file, 1, (const uint8_t[]){9});
    tw_buffer_free(&file);
    test_png(&file, 1, 1, 16, 4, (const uint8_t[]){33, 255, 0, 0});
    assert_pixels(&file, 1, (const uint8_t[]){33});
    tw_buffer_free(&file);
}

static void alpha_is_dropped_not_composited(void **state) {
    tw_buffer file = {0};
    test_png(&file, 1, 1, 8, 6, (const uint8_t[]){70, 70, 70, 0});
    assert_pixels(&file, 1, (const uint8_t[]){70});
    tw_buffer_free(&file);
}

static void palette_entries_that_are_missing_are_black(void **state) {
    tw_buffer file = {0};
    const uint8_t rows[] = {0, 1, 2, 255};
    test_png_start(&file, 2, 2, 8, 3, 0);
    test_png_chunk(&file, "PLTE", (const uint8_t[]){50, 50, 50, 60, 60, 60}, 6);
    test_png_chunk(&file, "tRNS", "\x00\x80", 2); /* transparency changes nothing */
    test_png_finish(&file, rows, 2, 2);
    assert_pixels(&file, 2, (const uint8_t[]){50, 60, 0, 0});
    tw_buffer_free(&file);
    test_png(&file, 2, 2, 8, 3, rows);
    assert_pixels(&file, 2, (const uint8_t[]){0, 0, 0, 0});
    tw_buffer_free(&file);
}

static void a_palette_of_257_is_refused(void **state) {
    const uint8_t palette[257 * 3] = {0}, rows[4] = {0};
    tw_buffer file = {0};
    test_png_start(&file, 2, 2, 8, 3, 0);
    test_png_chunk(&file, "PLTE", palette, sizeof palette);
    test_png_finish(&file, rows, 2, 2);
    assert_refused(&file, 2, TW_ERR_FORMAT);
    tw_buffer_free(&file);
}

static void interlaced_pixels_find_their_places(void **state) {
    /* Adam7 of 3 x 3: pass 1 has (0,0), pass 4 (2,0), pass 5 (0,2) (2,2), pass 6 (1,0) then (1,2),
     * pass 7 row 1. One filter byte a row. */
    tw_buffer file = {0}, idat = {0};
    const uint8_t raw[] = {0, 1, 0, 3, 0, 7, 9, 0, 2, 0, 8, 0, 4, 5, 6};
    test_png_start(&file, 3, 3, 8, 0, 1);
    uint8_t head[] = {0x78, 0x01, 1, sizeof raw, 0, (uint8_t) ~sizeof raw, 0xFF};
    tw_buffer_append(&idat, head, sizeof head);
    tw_buffer_append(&idat, raw, sizeof raw);
    test_png_chunk(&file, "IDAT", idat.data, idat.n_bytes); /* no Adler checksum: not needed */
    assert_pixels(&file, 3, (const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
    tw_buffer_free(&file);
    tw_buffer_free(&idat);
}

static const uint8_t four[] = {10, 20, 30, 40};

static void checksums_count_except_that_of_idat(void **state) {
    tw_buffer file = {0};
    test_png(&file, 2, 2, 8, 0, four);
    size_t ihdr_crc = 8 + 8 + 13, idat_crc = file.n_bytes - 12 - 4;
    file.data[idat_crc] ^= 1;
    assert_pixels(&file, 2, four);
    file.data[ihdr_crc] ^= 1;
    assert_refused(&file, 2, TW_ERR_FORMAT);
    tw_buffer_free(&file);
    test_png_start(&file, 2, 2, 8, 0, 0);
    test_png_chunk(&file, "tEXt", "a\0b", 3);
    file.data[file.n_bytes - 1] ^= 1;
    test_png_finish(&file, four, 2, 2);
    assert_refused(&file, 2, TW_ERR_FORMAT);
    tw_buffer_free(&file);
}

static void a_file_may_end_after_the_last_pixel(void **state) {
    tw_buffer file = {0};
    test_png(&file, 2, 2, 8, 0, four);
    size_t whole = file.n_bytes, needed = whole - 12 - 4 - 4; /* IEND, checksum, Adler */
    for (file.n_bytes = 0; file.n_bytes < needed; file.n_bytes++)
        assert_refused(&file, 2,
                       file.n_bytes < 8 && file.n_bytes > 0 ? TW_ERR_UNSUPPORTED : TW_ERR_FORMAT);
    for (; file.n_bytes <= whole; file.n_bytes++)
        assert_pixels(&file, 2, four);
    tw_buffer_free(&file);
}

static void chunks_that_do_not_matter_are_not_unpacked(void **state) {
    tw_buffer file = {0};
    test_png_start(&file, 2, 2, 8, 0, 0);
    test_png_chunk(&file, "iCCP", "x\0\0not a zlib stream", 20);
    test_png_chunk(&file, "zTXt", "x\0\0nor this", 11);
    test_png_chunk(&file, "ABCD", "an unknown critical chunk", 25);
    test_png_finish(&file, four, 2, 2);
    assert_pixels(&file, 2, four);
    tw_buffer_free(&file);
}

/* 2 x 2 grey pixels with one chunk before them, or after. */
static void with_chunk(tw_buffer *file, bool after, const char *name, const void *data, size_t n) {
    test_png_start(file, 2, 2, 8, 0, 0);
    if (!after) test_png_chunk(file, name, data, n);
    test_png_finish(file, four, 2, 2);
    if (!after) return;
    file->n_bytes -= 12;
    test_png_chunk(file, name, data, n);
    test_png_chunk(file, "IEND", NULL, 0);
}

static void a_chunk_too_short_for_its_name_is_refused(void **state) {
    static const struct {
        const char *name;
        size_t n;
    } least[] = {{"gAMA", 4}, {"cHRM", 32}, {"sRGB", 1}, {"pHYs", 9}, {"tRNS", 2}, {"acTL", 8}};
    const uint8_t zeros[32] = {0};
    for (size_t i = 0; i < 2 * (sizeof least / sizeof *least); i++) {
        tw_buffer file = {0};
        with_chunk(&file, i % 2, least[i / 2].name, zeros, least[i / 2].n);
        assert_pixels(&file, 2, four);
        tw_buffer_free(&file);
        with_chunk(&file, i % 2, least[i / 2].name, zeros, least[i / 2].n - 1);
        assert_refused(&file, 2, TW_ERR_FORMAT);
        tw_buffer_free(&file);
    }
}

static void unknown_compression_is_refused(void **state) {
    static const struct {
        const char *name, *data;
        bool refused;
    } cases[] = {{"zTXt", "a\0\1b", true}, {"zTXt", "a\0\0b", false}, {"zTXt", "abcd", false},
                 {"iCCP", "a\0\1b", true}, {"iCCP", "a\0\0b", false}, {"iCCP", "abcd", true},
                 {"iCCP", "abc\0", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_buffer file = {0};
        with_chunk(&file, false, cases[i].name, cases[i].data, 4);
        if (cases[i].refused)
            assert_refused(&file, 2, TW_ERR_FORMAT);
        else
            assert_pixels(&file, 2, four);
        tw_buffer_free(&file);
    }
}

static void chunks_after_the_pixels_must_be_whole(void **state) {
    tw_buffer file = {0};
    with_chunk(&file, true, "tEXt", "a\0bcd", 5);
    file.n_bytes -= 12 + 4; /* without IEND and the checksum */
    assert_pixels(&file, 2, four);
    file.n_bytes--;
    assert_refused(&file, 2, TW_ERR_FORMAT);
    tw_buffer_free(&file);
}

static void an_animations_frames_are_numbered_and_the_first_is_whole(void **state) {
    static const struct {
        uint8_t number, width, x;
        tw_status status;
    } frames[] = {{0, 2, 0, TW_OK},
                  {1, 2, 0, TW_ERR_FORMAT},
                  {0, 2, 1, TW_ERR_FORMAT},
                  {0, 1, 1, TW_ERR_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        uint8_t control[26] = {0};
        control[3] = frames[i].number;
        control[7] = frames[i].width;
        control[11] = 2;
        control[15] = frames[i].x;
        tw_buffer file = {0};
        with_chunk(&file, false, "fcTL", control, sizeof control);
        if (frames[i].status == TW_OK)
            assert_pixels(&file, 2, four);
        else
            assert_refused(&file, 2, frames[i].status);
        tw_buffer_free(&file);
    }
}

static void orientation_is_found_before_and_after_the_pixels(void **state) {
    static const uint8_t exif[] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0";
    for (int after = 0; after < 2; after++) {
        tw_error err = TW_ERROR_INIT;
        tw_buffer file = {0};
        tw_image_info info;
        test_png_start(&file, 2, 2, 8, 0, 0);
        if (!after) test_png_chunk(&file, "eXIf", exif, sizeof exif);
        test_png_finish(&file, four, 2, 2);
        if (after) {
            file.n_bytes -= 12;
            test_png_chunk(&file, "eXIf", exif, sizeof exif);
            test_png_chunk(&file, "IEND", NULL, 0);
        }
        assert_ok(tw_image_probe(file.data, file.n_bytes, NULL, &info, &err), &err);
        assert_int_equal(info.exif_orientation, 6);
        assert_pixels(&file, 2, four);
        tw_recipe recipe = TW_RECIPE_INIT;
        recipe.size = 2;
        tw_image_options options = TW_IMAGE_OPTIONS_INIT;
        options.exif_rotate = true;
        uint8_t rgb[12];
        assert_ok(tw_preprocess_u8(&recipe, file.data, file.n_bytes, &options, rgb, &err), &err);
        const uint8_t turned[] = {30, 10, 40, 20}; /* a quarter clockwise */
        for (int i = 0; i < 4; i++)
            assert_int_equal(rgb[3 * i], turned[i]);
        tw_buffer_free(&file);
    }
}

static void sides_of_zero_or_beyond_the_limits_are_refused(void **state) {
    static const struct {
        uint32_t width, height;
        tw_status status;
    } sides[] = {
        {0, 2, TW_ERR_FORMAT},         {2, 0, TW_ERR_FORMAT},      {0xFFFFFFFF, 1, TW_ERR_LIMIT},
        {1, 0x80000000, TW_ERR_LIMIT}, {1000001, 1, TW_ERR_LIMIT}, {30000, 30000, TW_ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        tw_buffer file = {0};
        test_png_start(&file, sides[i].width, sides[i].height, 8, 0, 0);
        test_png_finish(&file, four, 2, 2);
        assert_refused(&file, 2, sides[i].status);
        tw_buffer_free(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_pillows_mode),
        cmocka_unit_test(an_unknown_kind_is_refused),
        cmocka_unit_test(narrow_grey_is_scaled),
        cmocka_unit_test(wide_grey_is_clipped_not_scaled),
        cmocka_unit_test(wide_colours_keep_the_high_byte),
        cmocka_unit_test(alpha_is_dropped_not_composited),
        cmocka_unit_test(palette_entries_that_are_missing_are_black),
        cmocka_unit_test(a_palette_of_257_is_refused),
        cmocka_unit_test(interlaced_pixels_find_their_places),
        cmocka_unit_test(checksums_count_except_that_of_idat),
        cmocka_unit_test(a_file_may_end_after_the_last_pixel),
        cmocka_unit_test(chunks_that_do_not_matter_are_not_unpacked),
        cmocka_unit_test(a_chunk_too_short_for_its_name_is_refused),
        cmocka_unit_test(unknown_compression_is_refused),
        cmocka_unit_test(chunks_after_the_pixels_must_be_whole),
        cmocka_unit_test(an_animations_frames_are_numbered_and_the_first_is_whole),
        cmocka_unit_test(orientation_is_found_before_and_after_the_pixels),
        cmocka_unit_test(sides_of_zero_or_beyond_the_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
