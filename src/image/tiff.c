/* TIFF: the first picture of a classic file, strips or tiles, chunky, stored as it is, by PackBits
 * or by LZW with or without a predictor. The orientation is applied, as Pillow applies it to TIFF
 * and to nothing else. Grey of 16 bits keeps them; of other 16-bit samples the high byte counts.
 *
 * Source: TIFF 6.0; Pillow src/PIL/TiffImagePlugin.py, src/libImaging/Unpack.c. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/picture.h"

enum { ENTRY_BYTES = 12, MAX_SAMPLES = 4, SHORT = 3, LONG = 4, BYTE = 1 };
enum { STORED = 1, LZW = 5, PACKBITS = 32773 };
enum { RGB_ALPHA_PREMULTIPLIED = 1 }; /* of ExtraSamples */
enum { CLEAR = 256, END = 257, N_CODES = 4096 };

/* A tag's values where they lie in the file; n = 0: the file does not have it. */
typedef struct tag {
    const uint8_t *values;
    uint32_t type, n;
} tag;

typedef struct tiff_state {
    const uint8_t *bytes;
    size_t n_bytes;
    bool big;       /* byte order */
    size_t entries; /* offset of the directory's first entry */
    uint32_t n_entries;
    uint32_t width, height; /* as stored */
    uint32_t bits, samples, photometric, compression, predictor, extra, orientation;
    tag offsets, counts;
    uint32_t piece_width, piece_height; /* a strip is a piece as wide as the picture */
    tw_mode mode;
    tw_palette palette;
    tw_picture whole;
    uint32_t row;
    tw_source oriented;
} tiff_state;

/* ------------------------------------------------------------------------------ the directory */

static uint32_t load_u16(const tiff_state *s, const uint8_t *p) {
    return s->big ? tw_load_u16be(p) : tw_load_u16le(p);
}
static uint32_t load_u32(const tiff_state *s, const uint8_t *p) {
    return s->big ? tw_load_u32be(p) : tw_load_u32le(p);
}

static tw_status find_tag(const tiff_state *s, uint32_t id, tag *out, tw_error *err) {
    *out = (tag){0};
    for (uint32_t i = 0; i < s->n_entries; i++) {
        const uint8_t *p = s->bytes + s->entries + ENTRY_BYTES * (size_t)i;
        if (load_u16(s, p) != id) continue;
        uint32_t type = load_u16(s, p + 2), n = load_u32(s, p + 4);
        uint64_t size = (uint64_t)n * (type == LONG ? 4 : type == SHORT ? 2 : 1);
        uint64_t at = size > 4 ? load_u32(s, p + 8) : (uint64_t)(p + 8 - s->bytes);
        if ((type != BYTE && type != SHORT && type != LONG) || n == 0 ||
            !tw_range_ok(at, size, s->n_bytes))
            return tw_fail(err, TW_ERR_FORMAT, "tiff: tag %u has %u values of type %u at byte %llu",
                           id, n, type, (unsigned long long)at);
        *out = (tag){s->bytes + at, type, n};
        return TW_OK;
    }
    return TW_OK;
}

static uint32_t value_of(const tiff_state *s, const tag *t, uint32_t i) {
    if (t->type == LONG) return load_u32(s, t->values + 4 * (size_t)i);
    return t->type == SHORT ? load_u16(s, t->values + 2 * (size_t)i) : t->values[i];
}

/* The first value, or what is assumed when the file has none. */
static tw_status number(const tiff_state *s, uint32_t id, uint32_t otherwise, uint32_t *out,
                        tw_error *err) {
    tag t;
    TW_TRY(find_tag(s, id, &t, err));
    *out = t.n ? value_of(s, &t, 0) : otherwise;
    return TW_OK;
}

/* A value that must be the same for every sample. */
static tw_status same_number(const tiff_state *s, uint32_t id, uint32_t otherwise, uint32_t *out,
                             tw_error *err) {
    tag t;
    TW_TRY(find_tag(s, id, &t, err));
    *out = t.n ? value_of(s, &t, 0) : otherwise;
    for (uint32_t i = 1; i < t.n && i < s->samples; i++)
        if (value_of(s, &t, i) != *out)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: tag %u differs between samples", id);
    return TW_OK;
}

static tw_status read_directory(tiff_state *s, tw_error *err) {
    if (s->n_bytes < 8)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: truncated: %zu bytes", s->n_bytes);
    s->big = s->bytes[0] == 'M';
    if (load_u16(s, s->bytes + 2) != 42)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: version %u, expected 42",
                       load_u16(s, s->bytes + 2));
    size_t at = load_u32(s, s->bytes + 4);
    if (!tw_range_ok(at, 2, s->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "tiff: directory at byte %zu of %zu", at, s->n_bytes);
    s->entries = at + 2;
    s->n_entries = load_u16(s, s->bytes + at);
    if (tw_range_ok(s->entries, (uint64_t)s->n_entries * ENTRY_BYTES, s->n_bytes)) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "tiff: truncated in a directory of %u entries at byte %zu",
                   s->n_entries, at);
}

/* ------------------------------------------------------------------------------ kinds of pixels */

enum { WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, SEPARATED = 5 }; /* photometric interpretations */

static tw_status choose_mode(tiff_state *s, uint32_t n_extra, tw_error *err) {
    uint32_t photo = s->photometric, bits = s->bits, n = s->samples;
    bool narrow = bits == 1 || bits == 2 || bits == 4 || bits == 8;
    bool alpha = n_extra == 0 || s->extra == 1 || s->extra == 2 || s->extra == 999;
    bool opaque = n_extra == 1 && s->extra == 0;
    if (photo <= BLACK_IS_0 && n == 1 && n_extra == 0 && narrow)
        s->mode = bits == 1 ? TW_MODE_1 : TW_MODE_L;
    else if (photo <= BLACK_IS_0 && n == 1 && n_extra == 0 && bits == 16 &&
             !(photo == WHITE_IS_0 && s->big))
        s->mode = TW_MODE_I16;
    else if (photo == BLACK_IS_0 && n == 2 && n_extra == 1 && s->extra == 2 && bits == 8)
        s->mode = TW_MODE_LA;
    else if (photo == PALETTE && n == 1 && n_extra == 0 && narrow)
        s->mode = TW_MODE_P;
    else if (photo == RGB && n == 3 && n_extra == 0 && (bits == 8 || bits == 16))
        s->mode = TW_MODE_RGB;
    else if (photo == RGB && n == 4 && n_extra <= 1 && (alpha || opaque) &&
             (bits == 8 || (bits == 16 && s->extra != 999)))
        s->mode = opaque ? TW_MODE_RGB : TW_MODE_RGBA;
    else if (photo == SEPARATED && n == 4 && n_extra == 0 && (bits == 8 || bits == 16))
        s->mode = TW_MODE_CMYK;
    else
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "tiff: photometric interpretation %u with %u samples of %u bits", photo, n,
                       bits);
    return TW_OK;
}

static tw_status read_palette(tiff_state *s, tw_error *err) {
    tag t;
    if (s->mode != TW_MODE_P) return TW_OK;
    TW_TRY(find_tag(s, 320, &t, err));
    uint32_t n = t.n / 3;
    if (n == 0 || n > 256 || t.n % 3 != 0)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: palette of %u values", t.n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < 3; c++)
            s->palette[i][c] = (uint8_t)(value_of(s, &t, c * n + i) >> 8);
    return TW_OK;
}

static tw_status read_kind(tiff_state *s, tw_error *err) {
    uint32_t fill, planar, format;
    tag extra;
    TW_TRY(number(s, 277, 1, &s->samples, err));
    if (s->samples < 1 || s->samples > MAX_SAMPLES)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: %u samples a pixel, expected 1 to %d",
                       s->samples, MAX_SAMPLES);
    TW_TRY(same_number(s, 258, 1, &s->bits, err));
    TW_TRY(same_number(s, 339, 1, &format, err));
    TW_TRY(number(s, 262, 0, &s->photometric, err));
    TW_TRY(number(s, 259, STORED, &s->compression, err));
    TW_TRY(number(s, 266, 1, &fill, err));
    TW_TRY(number(s, 274, 1, &s->orientation, err));
    TW_TRY(number(s, 284, 1, &planar, err));
    TW_TRY(number(s, 317, 1, &s->predictor, err));
    TW_TRY(find_tag(s, 338, &extra, err));
    if (extra.n) s->extra = value_of(s, &extra, 0);
    if (s->compression != STORED && s->compression != LZW && s->compression != PACKBITS)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "tiff: compression %u, expected none, LZW or PackBits", s->compression);
    if (fill != 1 || format != 1 || (planar != 1 && s->samples > 1))
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "tiff: fill order %u, sample format %u, planes %u, expected 1, 1, 1", fill,
                       format, planar);
    if (s->compression != LZW) s->predictor = 1;
    if (s->predictor != 1 && !(s->predictor == 2 && s->bits >= 8))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: predictor %u for %u bits", s->predictor,
                       s->bits);
    TW_TRY(choose_mode(s, extra.n, err));
    return read_palette(s, err);
}

static size_t bytes_of_row(const tiff_state *s, uint32_t width) {
    return ((size_t)width * s->samples * s->bits + 7) / 8;
}

static tw_status read_pieces(tiff_state *s, tw_error *err) {
    TW_TRY(find_tag(s, 273, &s->offsets, err));
    TW_TRY(find_tag(s, 279, &s->counts, err));
    s->piece_width = s->width;
    if (s->offsets.n) {
        TW_TRY(number(s, 278, s->height, &s->piece_height, err));
        s->piece_height = TW_MIN(s->piece_height, s->height);
    } else {
        TW_TRY(find_tag(s, 324, &s->offsets, err));
        TW_TRY(find_tag(s, 325, &s->counts, err));
        TW_TRY(number(s, 322, 0, &s->piece_width, err));
        TW_TRY(number(s, 323, 0, &s->piece_height, err));
        if (s->piece_width > TW_IMAGE_MAX_SIDE || s->piece_height > TW_IMAGE_MAX_SIDE)
            return tw_fail(err, TW_ERR_LIMIT, "tiff: tiles of %u x %u", s->piece_width,
                           s->piece_height);
    }
    if (s->piece_width == 0 || s->piece_height == 0)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: pieces of %u x %u", s->piece_width,
                       s->piece_height);
    uint64_t across = ((uint64_t)s->width + s->piece_width - 1) / s->piece_width;
    uint64_t down = ((uint64_t)s->height + s->piece_height - 1) / s->piece_height;
    bool counted = s->compression == STORED || s->counts.n >= across * down;
    if (s->offsets.n < across * down || !counted)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: %u offsets and %u sizes of %llu pieces",
                       s->offsets.n, s->counts.n, (unsigned long long)(across * down));
    return TW_OK;
}

/* ---------------------------------------------------------------------------------- compression */

static bool unpack_packbits(const uint8_t *src, size_t n_src, uint8_t *dst, size_t n_dst) {
    size_t at = 0, made = 0;
    while (made < n_dst && at < n_src) {
        unsigned head = src[at++];
        if (head == 128) continue;
        size_t n = head < 128 ? head + 1 : 257 - head, step = TW_MIN(n, n_dst - made);
        if (head < 128) {
            if (!tw_range_ok(at, step, n_src)) return false;
            memcpy(dst + made, src + at, step);
            at += n;
        } else {
            if (at == n_src) return false;
            memset(dst + made, src[at++], step);
        }
        made += step;
    }
    return made == n_dst;
}

typedef struct lzw {
    uint16_t link[N_CODES], length[N_CODES];
    uint8_t value[N_CODES], first[N_CODES];
} lzw;

/* Codes of 9 to 12 bits from the highest bit on, which grow one code early. */
static bool unpack_lzw(lzw *z, const uint8_t *src, size_t n_src, uint8_t *dst, size_t n_dst) {
    uint32_t buffer = 0;
    unsigned n_buffer = 0, bits = 9, next = END + 1, last = CLEAR;
    size_t at = 0, made = 0;
    while (made < n_dst) {
        for (; n_buffer < bits; n_buffer += 8) {
            if (at == n_src) return false;
            buffer = buffer << 8 | src[at++];
        }
        n_buffer -= bits;
        unsigned code = buffer >> n_buffer & ((1u << bits) - 1);
        if (code == END) return false;
        if (code == CLEAR) {
            bits = 9;
            next = END + 1;
            last = CLEAR;
            continue;
        }
        if (last == CLEAR ? code > 255 : code > next || next >= N_CODES) return false;
        if (last != CLEAR) {
            z->link[next] = (uint16_t)last;
            z->length[next] = (uint16_t)(z->length[last] + 1);
            z->first[next] = z->first[last];
            z->value[next] = code == next ? z->first[last] : z->first[code];
            if (++next + 1 == 1u << bits && bits < 12) bits++;
        }
        size_t length = z->length[code], end = made + length;
        for (unsigned c = code; length > 0; c = z->link[c], length--)
            if (made + length - 1 < n_dst) dst[made + length - 1] = z->value[c];
        made = end;
        last = code;
    }
    return true;
}

static lzw *new_lzw(void) {
    lzw *z = calloc(1, sizeof *z);
    for (unsigned i = 0; z && i < 256; i++) {
        z->length[i] = 1;
        z->value[i] = z->first[i] = (uint8_t)i;
    }
    return z;
}

/* Undoes differences between neighbours of a row. */
static void undo_predictor(const tiff_state *s, uint8_t *row, size_t n_values) {
    if (s->bits == 8) {
        for (size_t i = s->samples; i < n_values; i++)
            row[i] = (uint8_t)(row[i] + row[i - s->samples]);
        return;
    }
    for (size_t i = s->samples; i < n_values; i++) {
        uint32_t v = load_u16(s, row + 2 * i) + load_u16(s, row + 2 * (i - s->samples));
        row[2 * i + (s->big ? 1 : 0)] = (uint8_t)v;
        row[2 * i + (s->big ? 0 : 1)] = (uint8_t)(v >> 8);
    }
}

/* ----------------------------------------------------------------------------------------- pixels
 */

static void unpack_narrow(const tiff_state *s, const uint8_t *src, uint8_t *dst, size_t n) {
    unsigned top = (1u << s->bits) - 1, per_byte = 8 / s->bits;
    for (size_t i = 0; i < n; i++) {
        unsigned v = src[i / per_byte] >> (8 - s->bits - i % per_byte * s->bits) & top;
        if (s->mode != TW_MODE_P) v = v * (255 / top);
        dst[i] = (uint8_t)(s->photometric == WHITE_IS_0 ? 255 - v : v);
    }
}

static void unpremultiply(uint8_t *pixel) {
    unsigned a = pixel[3];
    for (int c = 0; c < 3 && a != 255; c++) {
        unsigned v = a ? 255u * pixel[c] / a : 0;
        pixel[c] = (uint8_t)TW_MIN(v, 255u);
    }
}

static void unpack_row(const tiff_state *s, const uint8_t *src, uint8_t *dst, size_t n) {
    if (s->samples == 1 && s->bits <= 8) {
        unpack_narrow(s, src, dst, n);
        return;
    }
    if (s->mode == TW_MODE_I16) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v = (uint16_t)load_u16(s, src + 2 * i);
            memcpy(dst + 2 * i, &v, sizeof v);
        }
        return;
    }
    size_t step = s->bits / 8, high = step == 2 && !s->big ? 1 : 0, out = tw_mode_bytes(s->mode);
    bool premultiplied = s->mode == TW_MODE_RGBA && s->extra == RGB_ALPHA_PREMULTIPLIED;
    for (size_t i = 0; i < n; i++, dst += out) {
        for (size_t c = 0; c < s->samples; c++, src += step)
            dst[c] = src[high];
        if (s->mode == TW_MODE_RGB) dst[3] = 255;
        if (premultiplied) unpremultiply(dst);
    }
}

/* Piece `index`, whose first pixel is (x, y). `scratch` holds a piece when it is compressed. */
static tw_status decode_piece(tiff_state *s, uint32_t index, uint32_t x, uint32_t y, lzw *z,
                              uint8_t *scratch, tw_error *err) {
    bool strips = s->piece_width == s->width;
    uint32_t width = TW_MIN(s->piece_width, s->width - x);
    uint32_t height = TW_MIN(s->piece_height, s->height - y);
    size_t row_bytes = bytes_of_row(s, s->piece_width);
    size_t needed = row_bytes * (strips ? height : s->piece_height);
    size_t at = value_of(s, &s->offsets, index);
    const uint8_t *src = s->bytes + TW_MIN(at, s->n_bytes);
    if (s->compression == STORED) {
        needed = row_bytes * (height - 1) + bytes_of_row(s, width);
        if (!tw_range_ok(at, needed, s->n_bytes))
            return tw_fail(err, TW_ERR_FORMAT, "tiff: truncated: %zu bytes at byte %zu of %zu",
                           needed, at, s->n_bytes);
    } else {
        size_t n = TW_MIN(value_of(s, &s->counts, index), s->n_bytes - TW_MIN(at, s->n_bytes));
        bool whole = s->compression == LZW ? unpack_lzw(z, src, n, scratch, needed)
                                           : unpack_packbits(src, n, scratch, needed);
        if (!whole)
            return tw_fail(err, TW_ERR_FORMAT, "tiff: damaged or truncated: piece %u at byte %zu",
                           index, at);
        src = scratch;
    }
    size_t pixel_bytes = tw_mode_bytes(s->mode);
    for (uint32_t i = 0; i < height; i++) {
        if (s->predictor == 2)
            undo_predictor(s, scratch + i * row_bytes, (size_t)s->piece_width * s->samples);
        unpack_row(s, src + i * row_bytes,
                   s->whole.data + (y + i) * s->whole.stride + x * pixel_bytes, width);
    }
    return TW_OK;
}

static tw_status decode(tiff_state *s, tw_error *err) {
    tw_status status = TW_OK;
    uint8_t *scratch = NULL;
    lzw *z = NULL;
    if (s->compression != STORED) {
        size_t n;
        bool fits = tw_mul_size(bytes_of_row(s, s->piece_width), s->piece_height, &n);
        scratch = fits ? malloc(n) : NULL;
        z = new_lzw();
        if (!scratch || !z) TW_CHECK(tw_fail_no_memory(err, fits ? n : SIZE_MAX));
    }
    TW_CHECK(tw_picture_create(s->mode, s->width, s->height, &s->whole, err));
    uint32_t index = 0;
    for (uint64_t y = 0; y < s->height; y += s->piece_height)
        for (uint64_t x = 0; x < s->width; x += s->piece_width, index++)
            TW_CHECK(decode_piece(s, index, (uint32_t)x, (uint32_t)y, z, scratch, err));
done:
    free(scratch);
    free(z);
    return status;
}

static tw_status stored_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                             tw_error *err) {
    tiff_state *s = source->state;
    tw_picture_rows(&s->whole, s->row, rows, stride, n_rows);
    s->row += n_rows;
    return TW_OK;
}

static tw_status tiff_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                           tw_error *err) {
    tiff_state *s = source->state;
    if (!s->oriented.read) {
        TW_TRY(decode(s, err));
        s->oriented = (tw_source){.mode = s->mode,
                                  .width = s->width,
                                  .height = s->height,
                                  .read = stored_read,
                                  .state = s};
        TW_TRY(tw_source_orient(&s->oriented, (int)TW_MIN(s->orientation, 9u), err));
    }
    return s->oriented.read(&s->oriented, rows, stride, n_rows, err);
}

static void tiff_close(tw_source *source) {
    tiff_state *s = source->state;
    tw_source_close(&s->oriented);
    tw_picture_free(&s->whole);
    free(s);
}

static tw_status tiff_start(tiff_state *s, const tw_image_limits *limits, tw_source *out,
                            tw_error *err) {
    TW_TRY(read_directory(s, err));
    TW_TRY(number(s, 256, 0, &s->width, err));
    TW_TRY(number(s, 257, 0, &s->height, err));
    TW_TRY(tw_image_check_size(s->width, s->height, limits, err));
    TW_TRY(read_kind(s, err));
    TW_TRY(read_pieces(s, err));
    /* A tile may be larger than the picture; it is decoded whole. */
    if ((uint64_t)s->piece_width * s->piece_height > limits->max_pixels)
        return tw_fail(err, TW_ERR_LIMIT, "tiff: tiles of %u x %u", s->piece_width,
                       s->piece_height);
    bool swapped = s->orientation >= 5 && s->orientation <= 8;
    out->width = swapped ? s->height : s->width;
    out->height = swapped ? s->width : s->height;
    out->mode = s->mode;
    if (s->mode == TW_MODE_P) out->palette = (const tw_palette *)&s->palette;
    return TW_OK;
}

static bool tiff_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= 4 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0 ||
                            memcmp(bytes, "II+\0", 4) == 0 || memcmp(bytes, "MM\0+", 4) == 0);
}

static tw_status tiff_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                           tw_source *out, tw_error *err) {
    tiff_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = tiff_read, .close = tiff_close, .state = s};
    s->bytes = bytes;
    s->n_bytes = n_bytes;
    tw_status status = tiff_start(s, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

/* Applied already. */
static int tiff_orientation(const uint8_t *bytes, size_t n_bytes) {
    return 1;
}

const tw_image_format tw_format_tiff = {"tiff", tiff_sniff, tiff_open, tiff_orientation};
