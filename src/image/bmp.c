/* BMP: Windows headers of every length and OS/2's, 1 to 32 bits a pixel, bit fields in the layouts
 * that Pillow knows, run lengths. Where Pillow has a reading of its own, it is followed: a palette
 * of greys makes mode L or 1 (whose pixels then have 8 or 1 bits, whatever the depth), and the
 * fourth byte of 32 bits is alpha only where bit fields say so. Three mistakes that Pillow made
 * before version 13 (the palette of OS/2 in the offset of the pixels, an odd number of literal
 * nibbles, a palette of one colour) are not made here.
 *
 * Source: Pillow 13 src/PIL/BmpImagePlugin.py, src/libImaging/Unpack.c, RawDecode.c. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/picture.h"

enum { FILE_HEAD = 14, CORE_HEAD = 12, INFO_HEAD = 40 };
enum { RAW = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3 }; /* compressions */

typedef enum layout { BITS_1, INDEX_1, INDEX_4, BYTES, BGR_15, BGR_16, BGR_24, PIXEL_32 } layout;

/* Where R, G, B and A are among the four bytes of a pixel; NO = opaque. */
enum { NO = 4 };
typedef struct order32 {
    uint8_t r, g, b, a;
} order32;

typedef struct bmp_state {
    const uint8_t *bytes;
    size_t n_bytes;
    uint32_t header, bits, compression, n_colours, mask[4];
    uint64_t pixels; /* offset of the first stored row */
    bool top_down;
    layout layout;
    order32 order;
    size_t row_bytes, stride; /* of stored rows: what is read, and the distance between two */
    tw_palette palette;
    tw_picture whole; /* run lengths decoded: rows as stored */
    uint32_t row;     /* next to hand out */
} bmp_state;

/* ---------------------------------------------------------------------------------- the header */

static tw_status read_masks(bmp_state *s, size_t *at, tw_error *err) {
    if (s->header >= 52) { /* inside the header; alpha since version 3 */
        for (size_t i = 0; i < (s->header >= 56 ? 4 : 3); i++)
            s->mask[i] = tw_load_u32le(s->bytes + FILE_HEAD + INFO_HEAD + 4 * i);
        return TW_OK;
    }
    if (!tw_range_ok(*at, 12, s->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "bmp: truncated in the bit fields at byte %zu", *at);
    for (size_t i = 0; i < 3; i++)
        s->mask[i] = tw_load_u32le(s->bytes + *at + 4 * i);
    *at += 12;
    return TW_OK;
}

/* Size, depth and compression; `at` is then behind the header and its masks. */
static tw_status read_header(bmp_state *s, tw_source *out, size_t *at, tw_error *err) {
    if (s->n_bytes < FILE_HEAD + 4)
        return tw_fail(err, TW_ERR_FORMAT, "bmp: truncated: %zu bytes", s->n_bytes);
    const uint8_t *p = s->bytes + FILE_HEAD;
    s->pixels = tw_load_u32le(s->bytes + 10);
    s->header = tw_load_u32le(p);
    static const uint32_t lengths[] = {CORE_HEAD, INFO_HEAD, 52, 56, 64, 108, 124};
    bool known = false;
    for (size_t i = 0; i < TW_COUNT(lengths); i++)
        known = known || s->header == lengths[i];
    if (!known)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "bmp: header of %u bytes, expected 12, 40, 52, 56, "
                       "64, 108 or 124",
                       s->header);
    if (!tw_range_ok(FILE_HEAD, s->header, s->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "bmp: truncated in the header of %u bytes", s->header);
    *at = FILE_HEAD + s->header;
    if (s->header == CORE_HEAD) {
        out->width = tw_load_u16le(p + 4);
        out->height = tw_load_u16le(p + 6);
        s->bits = tw_load_u16le(p + 10);
        return TW_OK;
    }
    s->top_down = p[11] == 0xFF; /* a negative height, by its highest byte */
    out->width = tw_load_u32le(p + 4);
    out->height = tw_load_u32le(p + 8);
    if (s->top_down) out->height = 0u - out->height;
    s->bits = tw_load_u16le(p + 14);
    s->compression = tw_load_u32le(p + 16);
    s->n_colours = tw_load_u32le(p + 32);
    return s->compression == BITFIELDS ? read_masks(s, at, err) : TW_OK;
}

/* ----------------------------------------------------------------------------- kinds of pixels */

static tw_status fail_fields(const bmp_state *s, tw_error *err) {
    return tw_fail(err, TW_ERR_UNSUPPORTED, "bmp: %u bits with bit fields %08x %08x %08x %08x",
                   s->bits, s->mask[0], s->mask[1], s->mask[2], s->mask[3]);
}

static tw_status choose_fields_32(bmp_state *s, tw_mode *mode, tw_error *err) {
    static const struct {
        uint32_t mask[4];
        order32 order;
    } known[] = {
        {{0xFF0000, 0xFF00, 0xFF, 0}, {2, 1, 0, NO}},
        {{0xFF000000, 0xFF0000, 0xFF00, 0}, {3, 2, 1, NO}},
        {{0xFF000000, 0xFF00, 0xFF, 0}, {3, 1, 0, NO}},
        {{0xFF000000, 0xFF0000, 0xFF00, 0xFF}, {3, 2, 1, 0}},
        {{0xFF, 0xFF00, 0xFF0000, 0xFF000000}, {0, 1, 2, 3}},
        {{0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {2, 1, 0, 3}},
        {{0xFF000000, 0xFF00, 0xFF, 0xFF0000}, {3, 1, 0, 2}},
        {{0, 0, 0, 0}, {2, 1, 0, 3}},
    };
    for (size_t i = 0; i < TW_COUNT(known); i++) {
        if (memcmp(s->mask, known[i].mask, sizeof s->mask) != 0) continue;
        s->order = known[i].order;
        if (s->order.a != NO) *mode = TW_MODE_RGBA;
        return TW_OK;
    }
    return fail_fields(s, err);
}

static tw_status choose_fields(bmp_state *s, tw_mode *mode, tw_error *err) {
    static const struct {
        uint32_t bits, mask[3];
        layout layout;
    } known[] = {{24, {0xFF0000, 0xFF00, 0xFF}, BGR_24},
                 {16, {0xF800, 0x7E0, 0x1F}, BGR_16},
                 {16, {0x7C00, 0x3E0, 0x1F}, BGR_15}};
    if (s->bits == 32) return choose_fields_32(s, mode, err);
    for (size_t i = 0; i < TW_COUNT(known); i++) {
        if (known[i].bits != s->bits || memcmp(s->mask, known[i].mask, sizeof known[i].mask) != 0)
            continue;
        s->layout = known[i].layout;
        return TW_OK;
    }
    return fail_fields(s, err);
}

static tw_status choose_layout(bmp_state *s, tw_mode *mode, tw_error *err) {
    static const struct {
        uint32_t bits;
        tw_mode mode;
        layout layout;
    } depths[] = {{1, TW_MODE_P, INDEX_1},   {4, TW_MODE_P, INDEX_4},
                  {8, TW_MODE_P, BYTES},     {16, TW_MODE_RGB, BGR_15},
                  {24, TW_MODE_RGB, BGR_24}, {32, TW_MODE_RGB, PIXEL_32}};
    size_t i = 0;
    while (i < TW_COUNT(depths) && depths[i].bits != s->bits)
        i++;
    if (i == TW_COUNT(depths))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "bmp: %u bits a pixel", s->bits);
    *mode = depths[i].mode;
    s->layout = depths[i].layout;
    s->order = (order32){2, 1, 0, NO};
    if (s->compression == BITFIELDS) return choose_fields(s, mode, err);
    bool rle = s->compression == RLE8 || s->compression == RLE4;
    if (s->compression != RAW && !(rle && *mode == TW_MODE_P))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "bmp: compression %u of %u bits a pixel",
                       s->compression, s->bits);
    return TW_OK;
}

static size_t colour_bytes(const bmp_state *s) {
    return s->header == CORE_HEAD ? 3 : 4;
}

/* A palette of nothing but greys in order is none: the mode is then L, or 1. */
static tw_status read_palette(bmp_state *s, size_t *at, tw_mode *mode, tw_error *err) {
    size_t n_bytes = colour_bytes(s), n = s->n_colours;
    if (n > 65536) return tw_fail(err, TW_ERR_FORMAT, "bmp: palette of %zu colours", n);
    size_t n_there = TW_MIN(n, (s->n_bytes - *at) / n_bytes);
    const uint8_t *p = s->bytes + *at;
    *at += n_there * n_bytes;
    bool grey = n_there == n;
    for (size_t i = 0; i < n_there && grey; i++) {
        uint8_t v = (uint8_t)(n == 2 ? 255 * i : i);
        grey = p[n_bytes * i] == v && p[n_bytes * i + 1] == v && p[n_bytes * i + 2] == v;
    }
    if (grey) {
        *mode = n <= 2 ? TW_MODE_1 : TW_MODE_L;
        s->layout = n <= 2 ? BITS_1 : BYTES;
        return TW_OK;
    }
    if (n_there > 256) return tw_fail(err, TW_ERR_FORMAT, "bmp: palette of %zu colours", n_there);
    for (size_t i = 0; i < n_there; i++) {
        s->palette[i][0] = p[n_bytes * i + 2];
        s->palette[i][1] = p[n_bytes * i + 1];
        s->palette[i][2] = p[n_bytes * i];
    }
    return TW_OK;
}

static size_t bits_of(layout l) {
    static const uint8_t bits[] = {1, 1, 4, 8, 16, 16, 24, 32};
    return bits[l];
}

static tw_status bmp_start(bmp_state *s, const tw_image_limits *limits, tw_source *out,
                           tw_error *err) {
    size_t at = 0;
    TW_TRY(read_header(s, out, &at, err));
    TW_TRY(tw_image_check_size(out->width, out->height, limits, err));
    TW_TRY(choose_layout(s, &out->mode, err));
    if (s->n_colours == 0 && s->bits <= 8) s->n_colours = 1u << s->bits;
    /* Some writers forget the palette in the offset of the pixels. */
    if (s->pixels == FILE_HEAD + s->header && s->bits <= 8)
        s->pixels += (uint64_t)colour_bytes(s) * s->n_colours;
    if (out->mode == TW_MODE_P) TW_TRY(read_palette(s, &at, &out->mode, err));
    if (s->pixels == 0) s->pixels = at;
    if (out->mode == TW_MODE_P) out->palette = (const tw_palette *)&s->palette;
    s->stride = ((size_t)out->width * s->bits + 31) / 32 * 4;
    s->row_bytes = ((size_t)out->width * bits_of(s->layout) + 7) / 8;
    return TW_OK;
}

/* --------------------------------------------------------------------------------- run lengths */

typedef struct runs {
    const uint8_t *bytes;
    size_t n_bytes, at;
    uint8_t *out;
    uint64_t n_out, end; /* pixels made, wanted; more may be made than is wanted */
    uint32_t width, x;
    bool nibbles;
} runs;

static void put_pixel(runs *r, uint8_t v) {
    if (r->n_out < r->end) r->out[r->n_out] = v;
    r->n_out++;
}

static void put_run(runs *r, uint8_t n, uint8_t v) {
    uint32_t left = r->x < r->width ? r->width - r->x : 0, count = TW_MIN(n, left);
    for (uint32_t i = 0; i < count; i++)
        put_pixel(r, !r->nibbles ? v : i % 2 ? v & 15 : v >> 4);
    r->x += count;
}

/* False when the data ends. */
static bool put_literals(runs *r, uint8_t n) {
    size_t n_wanted = r->nibbles ? (n + 1u) / 2 : n, n_there = TW_MIN(n_wanted, r->n_bytes - r->at);
    for (size_t i = 0; i < n_there; i++) {
        uint8_t v = r->bytes[r->at + i];
        put_pixel(r, r->nibbles ? v >> 4 : v);
        if (r->nibbles && 2 * i + 1 < n) put_pixel(r, v & 15);
    }
    r->at += n_there;
    r->x += n;
    if (r->at % 2 != 0) r->at++;
    return n_there == n_wanted;
}

/* False when the picture ends. */
static bool escape(runs *r, uint8_t code) {
    if (code > 2) return put_literals(r, code);
    if (code == 0) {
        r->n_out += (r->width - r->n_out % r->width) % r->width;
        r->x = 0;
    } else if (code == 2) {
        if (!tw_range_ok(r->at, 2, r->n_bytes)) return false;
        r->n_out += r->bytes[r->at] + (uint64_t)r->bytes[r->at + 1] * r->width;
        r->x = (uint32_t)(r->n_out % r->width);
        r->at += 2;
    }
    return code != 1;
}

static tw_status decode_runs(bmp_state *s, const tw_source *source, tw_error *err) {
    TW_TRY(tw_picture_create(source->mode, source->width, source->height, &s->whole, err));
    runs r = {.bytes = s->bytes,
              .n_bytes = s->n_bytes,
              .at = (size_t)TW_MIN(s->pixels, s->n_bytes),
              .out = s->whole.data,
              .end = (uint64_t)source->width * source->height,
              .width = source->width,
              .nibbles = s->compression == RLE4};
    while (r.n_out < r.end && tw_range_ok(r.at, 2, r.n_bytes)) {
        uint8_t n = r.bytes[r.at], v = r.bytes[r.at + 1];
        r.at += 2;
        if (n > 0)
            put_run(&r, n, v);
        else if (!escape(&r, v))
            break;
    }
    if (r.n_out >= r.end) {
        size_t n_bytes = source->mode == TW_MODE_1 ? s->whole.stride * s->whole.height : 0;
        for (size_t i = 0; i < n_bytes; i++)
            s->whole.data[i] = s->whole.data[i] ? 255 : 0;
        return TW_OK;
    }
    tw_picture_free(&s->whole);
    return tw_fail(err, TW_ERR_FORMAT, "bmp: truncated: run lengths make %llu pixels of %llu",
                   (unsigned long long)r.n_out, (unsigned long long)r.end);
}

/* --------------------------------------------------------------------------------------- rows */

static void unpack_bits(const uint8_t *src, uint8_t *dst, size_t n, uint8_t one) {
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i / 8] >> (7 - i % 8) & 1 ? one : 0;
}

static void unpack_16(const uint8_t *src, uint8_t *dst, size_t n, unsigned green_max) {
    unsigned shift = green_max == 63 ? 11 : 10;
    for (size_t i = 0; i < n; i++, dst += 4) {
        unsigned v = tw_load_u16le(src + 2 * i);
        dst[0] = (uint8_t)((v >> shift & 31) * 255 / 31);
        dst[1] = (uint8_t)((v >> 5 & green_max) * 255 / green_max);
        dst[2] = (uint8_t)((v & 31) * 255 / 31);
        dst[3] = 255;
    }
}

static void unpack_bytes(const uint8_t *src, uint8_t *dst, size_t n, size_t n_bytes, order32 o) {
    for (size_t i = 0; i < n; i++, src += n_bytes, dst += 4) {
        dst[0] = src[o.r];
        dst[1] = src[o.g];
        dst[2] = src[o.b];
        dst[3] = o.a == NO ? 255 : src[o.a];
    }
}

static void unpack_row(const bmp_state *s, const uint8_t *src, uint8_t *dst, size_t n) {
    switch (s->layout) {
    case BITS_1:
        unpack_bits(src, dst, n, 255);
        break;
    case INDEX_1:
        unpack_bits(src, dst, n, 1);
        break;
    case INDEX_4:
        for (size_t i = 0; i < n; i++)
            dst[i] = i % 2 ? src[i / 2] & 15 : src[i / 2] >> 4;
        break;
    case BYTES:
        memcpy(dst, src, n);
        break;
    case BGR_15:
        unpack_16(src, dst, n, 31);
        break;
    case BGR_16:
        unpack_16(src, dst, n, 63);
        break;
    case BGR_24:
        unpack_bytes(src, dst, n, 3, (order32){2, 1, 0, NO});
        break;
    case PIXEL_32:
        unpack_bytes(src, dst, n, 4, s->order);
    }
}

static tw_status prepare(bmp_state *s, const tw_source *source, tw_error *err) {
    if (s->compression == RLE8 || s->compression == RLE4) return decode_runs(s, source, err);
    uint64_t needed = (uint64_t)(source->height - 1) * s->stride + s->row_bytes;
    if (tw_range_ok(s->pixels, needed, s->n_bytes)) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "bmp: truncated: pixels of %llu bytes at byte %llu of %zu",
                   (unsigned long long)needed, (unsigned long long)s->pixels, s->n_bytes);
}

static tw_status bmp_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                          tw_error *err) {
    bmp_state *s = source->state;
    if (s->row == 0) TW_TRY(prepare(s, source, err));
    for (uint32_t i = 0; i < n_rows; i++, s->row++) {
        uint32_t stored = s->top_down ? s->row : source->height - 1 - s->row;
        uint8_t *row = rows + i * stride;
        if (s->whole.data)
            tw_picture_rows(&s->whole, stored, row, stride, 1);
        else
            unpack_row(s, s->bytes + s->pixels + (size_t)stored * s->stride, row, source->width);
    }
    return TW_OK;
}

static void bmp_close(tw_source *source) {
    bmp_state *s = source->state;
    tw_picture_free(&s->whole);
    free(s);
}

static bool bmp_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= 2 && memcmp(bytes, "BM", 2) == 0;
}

static tw_status bmp_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                          tw_source *out, tw_error *err) {
    bmp_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = bmp_read, .close = bmp_close, .state = s};
    s->bytes = bytes;
    s->n_bytes = n_bytes;
    tw_status status = bmp_start(s, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

static int bmp_orientation(const uint8_t *bytes, size_t n_bytes) {
    return 1;
}

const tw_image_format tw_format_bmp = {"bmp", bmp_sniff, bmp_open, bmp_orientation};
