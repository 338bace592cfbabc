#include "png_builder.h"

#include <string.h>

#include "support.h"

static void put_u32be(tw_buffer *b, uint32_t v) {
    uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    tw_buffer_append(b, p, sizeof p);
}

static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

void test_png_chunk(tw_buffer *b, const char *name, const void *data, size_t n_bytes) {
    put_u32be(b, (uint32_t)n_bytes);
    size_t begin = b->n_bytes;
    tw_buffer_append(b, name, 4);
    if (n_bytes) tw_buffer_append(b, data, n_bytes);
    assert_false(b->failed);
    put_u32be(b, crc32_of((const uint8_t *)b->data + begin, n_bytes + 4));
}

void test_png_start(tw_buffer *b, uint32_t width, uint32_t height, int depth, int colour,
                    int interlaced) {
    tw_buffer ihdr = {0};
    put_u32be(&ihdr, width);
    put_u32be(&ihdr, height);
    uint8_t rest[5] = {(uint8_t)depth, (uint8_t)colour, 0, 0, (uint8_t)interlaced};
    tw_buffer_append(&ihdr, rest, sizeof rest);
    tw_buffer_append(b, "\x89PNG\r\n\x1A\n", 8);
    test_png_chunk(b, "IHDR", ihdr.data, ihdr.n_bytes);
    tw_buffer_free(&ihdr);
}

/* One stored deflate block. */
static void put_zlib(tw_buffer *out, const uint8_t *p, size_t n) {
    uint32_t a = 1, c = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + p[i]) % 65521;
        c = (c + a) % 65521;
    }
    assert_true(n <= 65535);
    uint8_t head[7] = {
        0x78, 0x01, 1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
    tw_buffer_append(out, head, sizeof head);
    tw_buffer_append(out, p, n);
    put_u32be(out, c << 16 | a);
}

void test_png_finish(tw_buffer *b, const uint8_t *rows, size_t row_bytes, size_t n_rows) {
    tw_buffer raw = {0}, data = {0};
    for (size_t y = 0; y < n_rows; y++) {
        tw_buffer_append(&raw, "", 1);
        tw_buffer_append(&raw, rows + y * row_bytes, row_bytes);
    }
    put_zlib(&data, (const uint8_t *)raw.data, raw.n_bytes);
    test_png_chunk(b, "IDAT", data.data, data.n_bytes);
    test_png_chunk(b, "IEND", NULL, 0);
    tw_buffer_free(&raw);
    tw_buffer_free(&data);
}

void test_png(tw_buffer *b, uint32_t width, uint32_t height, int depth, int colour,
              const uint8_t *rows) {
    static const int channels[7] = {1, 0, 3, 1, 2, 0, 4};
    test_png_start(b, width, height, depth, colour, 0);
    size_t row_bytes = ((size_t)width * (size_t)(channels[colour] * depth) + 7) / 8;
    test_png_finish(b, rows, row_bytes, height);
}
