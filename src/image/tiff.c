/* TIFF: the first picture of a classic or a big file, strips or tiles, samples together or (8 bits)
 * in planes, stored as it is, by PackBits, JPEG, LZW or Deflate, the latter two with or without a
 * predictor. The orientation is applied, as Pillow applies it to TIFF and to nothing else. Grey of
 * 16 bits keeps them; of other 16-bit samples the high byte counts.
 *
 * Source: TIFF 6.0; Pillow src/PIL/TiffImagePlugin.py, src/libImaging/Unpack.c. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "image/picture.h"
#include "image/tiff_tags.h"
#include "image/tiff_unpack.h"

enum { MAX_SAMPLES = 4 };
enum { RGB_ALPHA_PREMULTIPLIED = 1 }; /* of ExtraSamples */
enum { FORMAT_UNSIGNED = 1, FORMAT_SIGNED = 2, FORMAT_FLOAT = 3 };

typedef struct tiff_state {
    tw_tiff_file file;
    uint32_t width, height; /* as stored */
    uint32_t bits, samples, photometric, compression, predictor, extra, orientation;
    uint32_t format, fill_order;
    uint32_t n_planes, plane_samples; /* 1 of all samples, or one of each */
    tw_tiff_tag offsets, counts;
    tw_tiff_jpeg jpeg;
    uint32_t piece_width, piece_height; /* a strip is a piece as wide as the picture */
    tw_mode mode;
    tw_palette palette;
    tw_picture whole;
    uint32_t row;
    tw_source oriented;
} tiff_state;

/* ------------------------------------------------------------------------------ kinds of pixels */

enum {
    WHITE_IS_0,
    BLACK_IS_0,
    RGB,
    PALETTE,
    SEPARATED = 5,
    YCBCR = 6
}; /* photometric interpretations */

static tw_status choose_mode(tiff_state *s, uint32_t n_extra, tw_error *err) {
    uint32_t photo = s->photometric, bits = s->bits, n = s->samples;
    bool narrow = bits == 1 || bits == 2 || bits == 4 || bits == 8;
    bool alpha = n_extra == 0 || s->extra == 1 || s->extra == 2 || s->extra == 999;
    bool opaque = n_extra == 1 && s->extra == 0;
    bool whole = s->format == FORMAT_UNSIGNED;
    if (photo == BLACK_IS_0 && n == 1 && n_extra == 0 &&
        ((bits == 16 && s->format == FORMAT_SIGNED) ||
         (bits == 32 && (whole || s->format == FORMAT_SIGNED))))
        s->mode = TW_MODE_I;
    else if (photo <= BLACK_IS_0 && n == 1 && n_extra == 0 && bits == 32 &&
             s->format == FORMAT_FLOAT)
        s->mode = TW_MODE_F;
    else if (!whole)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: sample format %u of %u bits", s->format,
                       bits);
    else if (photo <= BLACK_IS_0 && n == 1 && n_extra == 0 && narrow)
        s->mode = bits == 1 ? TW_MODE_1 : TW_MODE_L;
    else if (photo <= BLACK_IS_0 && n == 1 && n_extra == 0 && bits == 16 &&
             !(photo == WHITE_IS_0 && s->file.big))
        s->mode = TW_MODE_I16;
    else if (photo == BLACK_IS_0 && n == 2 && n_extra == 1 && s->extra == 2 && bits == 8)
        s->mode = TW_MODE_LA;
    else if (photo == PALETTE && n == 1 && n_extra == 0 && narrow)
        s->mode = TW_MODE_P;
    else if (photo == YCBCR && s->compression == TW_TIFF_JPEG && n == 3 && n_extra == 0 &&
             bits == 8)
        s->mode = TW_MODE_RGB;
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
    tw_tiff_tag t;
    if (s->mode != TW_MODE_P) return TW_OK;
    TW_TRY(tw_tiff_find(&s->file, 320, &t, err));
    uint64_t n = t.n / 3;
    if (n == 0 || n > 256 || t.n % 3 != 0)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: palette of %llu values", (unsigned long long)t.n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < 3; c++)
            s->palette[i][c] = (uint8_t)(tw_tiff_value(&s->file, &t, c * n + i) >> 8);
    return TW_OK;
}

/* Planes are read as Pillow reads them: 8 bits, and no alpha that was multiplied in. */
static tw_status read_planes(tiff_state *s, tw_error *err) {
    uint32_t planar;
    TW_TRY(tw_tiff_number(&s->file, 284, 1, &planar, err));
    s->n_planes = planar == 2 && s->samples > 1 ? s->samples : 1;
    s->plane_samples = s->samples / s->n_planes;
    bool colours = s->mode == TW_MODE_RGB || s->mode == TW_MODE_RGBA || s->mode == TW_MODE_CMYK;
    bool readable = s->bits == 8 && colours && s->extra != RGB_ALPHA_PREMULTIPLIED;
    if ((planar != 1 && planar != 2) || (s->n_planes > 1 && !readable))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: planes %u of %u bits, mode %s", planar,
                       s->bits, tw_mode_name(s->mode));
    return TW_OK;
}

static tw_status read_compression(tiff_state *s, tw_error *err) {
    TW_TRY(tw_tiff_number(&s->file, 259, TW_TIFF_STORED, &s->compression, err));
    TW_TRY(tw_tiff_number(&s->file, 317, 1, &s->predictor, err));
    bool lzw = s->compression == TW_TIFF_LZW, jpeg = s->compression == TW_TIFF_JPEG;
    bool deflate = s->compression == TW_TIFF_DEFLATE || s->compression == TW_TIFF_DEFLATE_OLD;
    if (!deflate && !lzw && !(jpeg && s->bits == 8) && s->compression != TW_TIFF_STORED &&
        s->compression != TW_TIFF_PACKBITS)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "tiff: compression %u of %u bits, expected none, LZW, JPEG (of 8), Deflate "
                       "or PackBits",
                       s->compression, s->bits);
    if (!deflate && !lzw) s->predictor = 1;
    bool floats = s->format == FORMAT_FLOAT && s->bits == 32;
    if (s->predictor != 1 && !(s->predictor == 2 && s->bits >= 8) && !(s->predictor == 3 && floats))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: predictor %u for %u bits", s->predictor,
                       s->bits);
    if (jpeg) s->fill_order = 1; /* has none */
    if (s->fill_order != 1 && !(s->fill_order == 2 && s->bits <= 8))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: fill order %u for %u bits", s->fill_order,
                       s->bits);
    return TW_OK;
}

/* Known once the pieces are. */
static tw_status read_jpeg(tiff_state *s, tw_error *err) {
    tw_tiff_tag tables;
    TW_TRY(tw_tiff_find(&s->file, 347, &tables, err));
    if (s->n_planes > 1 && s->compression == TW_TIFF_JPEG)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: JPEG in %u planes", s->n_planes);
    s->jpeg = (tw_tiff_jpeg){.tables = tables.n ? tables.values : NULL,
                             .n_tables = (size_t)tables.n,
                             .width = s->piece_width,
                             .n_samples = (int)s->samples,
                             .ycbcr = s->photometric == YCBCR};
    return TW_OK;
}

static tw_status read_kind(tiff_state *s, tw_error *err) {
    tw_tiff_tag extra;
    TW_TRY(tw_tiff_number(&s->file, 277, 1, &s->samples, err));
    if (s->samples < 1 || s->samples > MAX_SAMPLES)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: %u samples a pixel, expected 1 to %d",
                       s->samples, MAX_SAMPLES);
    TW_TRY(tw_tiff_same_number(&s->file, 258, s->samples, 1, &s->bits, err));
    TW_TRY(tw_tiff_same_number(&s->file, 339, s->samples, FORMAT_UNSIGNED, &s->format, err));
    TW_TRY(tw_tiff_number(&s->file, 262, 0, &s->photometric, err));
    TW_TRY(tw_tiff_number(&s->file, 266, 1, &s->fill_order, err));
    TW_TRY(tw_tiff_number(&s->file, 274, 1, &s->orientation, err));
    TW_TRY(tw_tiff_find(&s->file, 338, &extra, err));
    if (extra.n) TW_TRY(tw_tiff_number(&s->file, 338, 0, &s->extra, err));
    TW_TRY(read_compression(s, err));
    TW_TRY(choose_mode(s, (uint32_t)TW_MIN(extra.n, (uint64_t)MAX_SAMPLES), err));
    TW_TRY(read_planes(s, err));
    return read_palette(s, err);
}

/* Of a compressed file Pillow has libtiff read the directory, which refuses these with more values
 * than the one that counts. */
static tw_status check_counts(const tiff_state *s, tw_error *err) {
    static const uint16_t single[] = {256, 257, 277, 278, 284, 322, 323};
    tw_tiff_tag t;
    for (size_t i = 0; s->compression != TW_TIFF_STORED && i < TW_COUNT(single); i++) {
        TW_TRY(tw_tiff_find(&s->file, single[i], &t, err));
        if (t.n > 1)
            return tw_fail(err, TW_ERR_FORMAT, "tiff: tag %u has %llu values, expected 1",
                           single[i], (unsigned long long)t.n);
    }
    return TW_OK;
}

static size_t bytes_of_row(const tiff_state *s, uint32_t width) {
    return ((size_t)width * s->plane_samples * s->bits + 7) / 8;
}

static tw_status read_pieces(tiff_state *s, tw_error *err) {
    TW_TRY(tw_tiff_find(&s->file, 273, &s->offsets, err));
    TW_TRY(tw_tiff_find(&s->file, 279, &s->counts, err));
    s->piece_width = s->width;
    if (s->offsets.n) {
        TW_TRY(tw_tiff_number(&s->file, 278, s->height, &s->piece_height, err));
        s->piece_height = TW_MIN(s->piece_height, s->height);
    } else {
        TW_TRY(tw_tiff_find(&s->file, 324, &s->offsets, err));
        TW_TRY(tw_tiff_find(&s->file, 325, &s->counts, err));
        TW_TRY(tw_tiff_number(&s->file, 322, 0, &s->piece_width, err));
        TW_TRY(tw_tiff_number(&s->file, 323, 0, &s->piece_height, err));
        if (s->piece_width > TW_IMAGE_MAX_SIDE || s->piece_height > TW_IMAGE_MAX_SIDE)
            return tw_fail(err, TW_ERR_LIMIT, "tiff: tiles of %u x %u", s->piece_width,
                           s->piece_height);
    }
    if (s->piece_width == 0 || s->piece_height == 0)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: pieces of %u x %u", s->piece_width,
                       s->piece_height);
    uint64_t across = ((uint64_t)s->width + s->piece_width - 1) / s->piece_width;
    uint64_t down = ((uint64_t)s->height + s->piece_height - 1) / s->piece_height;
    uint64_t n = across * down * s->n_planes;
    bool counted = s->compression == TW_TIFF_STORED || s->counts.n >= n;
    if (s->offsets.n < n || !counted)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: %llu offsets and %llu sizes of %llu pieces",
                       (unsigned long long)s->offsets.n, (unsigned long long)s->counts.n,
                       (unsigned long long)n);
    return TW_OK;
}

/* Undoes differences between neighbours of a row. */
static void undo_predictor(const tiff_state *s, uint8_t *row, size_t n_values) {
    size_t step = s->bits / 8, back = s->plane_samples;
    for (size_t i = back; i < n_values; i++) {
        uint8_t *p = row + step * i;
        const uint8_t *before = row + step * (i - back);
        unsigned carry = 0;
        for (size_t k = 0; k < step; k++) { /* from the lowest byte on */
            size_t at = s->file.big ? step - 1 - k : k;
            carry += (unsigned)p[at] + before[at];
            p[at] = (uint8_t)carry;
            carry >>= 8;
        }
    }
}

/* Floats, whose first bytes stand before their second bytes and so on, as differences of bytes;
 * they come out lowest byte first. `spare` has room for a row. */
static void undo_float_predictor(uint8_t *row, size_t n_values, uint8_t *spare) {
    for (size_t i = 1; i < 4 * n_values; i++)
        row[i] = (uint8_t)(row[i] + row[i - 1]);
    memcpy(spare, row, 4 * n_values);
    for (size_t i = 0; i < 4 * n_values; i++)
        row[i] = spare[(3 - i % 4) * n_values + i / 4];
}

/* The lowest bit of each byte first. */
static void reverse_bits(uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned v = bytes[i];
        v = (v & 0x0F) << 4 | v >> 4;
        v = (v & 0x33) << 2 | (v >> 2 & 0x33);
        bytes[i] = (uint8_t)((v & 0x55) << 1 | (v >> 1 & 0x55));
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

/* Pillow has libtiff put the bytes of a compressed picture in this machine's order, and then puts
 * those of modes I and F of a big-endian file in order again. */
static void unpack_deep(const tiff_state *s, const uint8_t *src, uint8_t *dst, size_t n) {
    tw_tiff_file f = s->file;
    bool swapped = s->compression != TW_TIFF_STORED && s->predictor != 3;
    if (s->mode != TW_MODE_I16 && swapped) f.big = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = s->bits == 16 ? tw_tiff_u16(&f, src + 2 * i) : tw_tiff_u32(&f, src + 4 * i);
        uint16_t v16 = (uint16_t)v;
        int32_t v32 = s->bits == 16 ? (int16_t)v16 : (int32_t)v;
        if (s->mode == TW_MODE_I16)
            memcpy(dst + 2 * i, &v16, sizeof v16);
        else
            memcpy(dst + 4 * i, &v32, sizeof v32);
    }
}

static void unpack_row(const tiff_state *s, uint32_t plane, const uint8_t *src, uint8_t *dst,
                       size_t n) {
    if (s->samples == 1 && s->bits <= 8) {
        unpack_narrow(s, src, dst, n);
        return;
    }
    if (s->mode == TW_MODE_I16 || s->mode == TW_MODE_I || s->mode == TW_MODE_F) {
        unpack_deep(s, src, dst, n);
        return;
    }
    if (s->n_planes > 1) {
        for (size_t i = 0; i < n; i++, dst += 4) {
            dst[plane] = src[i];
            if (s->mode == TW_MODE_RGB) dst[3] = 255;
        }
        return;
    }
    size_t step = s->bits / 8, high = step == 2 && !s->file.big ? 1 : 0,
           out = tw_mode_bytes(s->mode);
    bool premultiplied = s->mode == TW_MODE_RGBA && s->extra == RGB_ALPHA_PREMULTIPLIED;
    for (size_t i = 0; i < n; i++, dst += out) {
        for (size_t c = 0; c < s->samples; c++, src += step)
            dst[c] = src[high];
        if (s->mode == TW_MODE_RGB) dst[3] = 255;
        if (premultiplied) unpremultiply(dst);
    }
}

/* Where the pixels of one piece come from. */
typedef struct piece {
    uint32_t index, plane, x, y; /* (x, y): its first pixel */
} piece;

/* Of a size that no compression explains libtiff reads a part; all others must be in the file. */
static uint64_t size_of_piece(uint64_t stated, uint64_t needed) {
    uint64_t most = 10 * needed + 4096;
    return stated > 1u << 20 && (stated - 4096) / 10 > needed ? most : stated;
}

/* Points `src` to a piece's `needed` bytes, in the file or, where they are changed, in `scratch`.
 */
static tw_status fetch_piece(const tiff_state *s, uint32_t index, size_t needed,
                             tw_tiff_unpacker *unpacker, uint8_t *scratch, const uint8_t **src,
                             tw_error *err) {
    uint64_t at = tw_tiff_value(&s->file, &s->offsets, index), n = needed;
    if (s->compression != TW_TIFF_STORED)
        n = size_of_piece(tw_tiff_value(&s->file, &s->counts, index), needed);
    if (!tw_range_ok(at, n, s->file.n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "tiff: truncated: %llu bytes at byte %llu of %zu",
                       (unsigned long long)n, (unsigned long long)at, s->file.n_bytes);
    *src = s->file.bytes + at;
    if (s->compression == TW_TIFF_STORED) {
        if (s->fill_order == 1) return TW_OK;
        memcpy(scratch, *src, needed);
        reverse_bits(scratch, needed);
    } else {
        uint8_t *reversed = s->fill_order == 2 ? malloc((size_t)n + 1) : NULL;
        if (s->fill_order == 2) {
            if (!reversed) return tw_fail_no_memory(err, (size_t)n + 1);
            memcpy(reversed, *src, (size_t)n);
            reverse_bits(reversed, (size_t)n);
        }
        bool whole =
            tw_tiff_unpack(unpacker, reversed ? reversed : *src, (size_t)n, scratch, needed);
        free(reversed);
        if (!whole)
            return tw_fail(err, TW_ERR_FORMAT, "tiff: damaged or truncated: piece %u at byte %llu",
                           index, (unsigned long long)at);
    }
    *src = scratch;
    return TW_OK;
}

/* `scratch` holds a piece when it is not used where it lies, and a row more. */
static tw_status decode_piece(tiff_state *s, const piece *p, tw_tiff_unpacker *unpacker,
                              uint8_t *scratch, tw_error *err) {
    bool strips = s->piece_width == s->width;
    uint32_t width = TW_MIN(s->piece_width, s->width - p->x);
    uint32_t height = TW_MIN(s->piece_height, s->height - p->y);
    size_t row_bytes = bytes_of_row(s, s->piece_width);
    size_t needed = s->compression == TW_TIFF_STORED
                        ? row_bytes * (height - 1) + bytes_of_row(s, width)
                        : row_bytes * (strips ? height : s->piece_height);
    const uint8_t *src = NULL;
    TW_TRY(fetch_piece(s, p->index, needed, unpacker, scratch, &src, err));
    size_t pixel_bytes = tw_mode_bytes(s->mode);
    for (uint32_t i = 0; i < height; i++) {
        if (s->predictor == 2)
            undo_predictor(s, scratch + i * row_bytes, (size_t)s->piece_width * s->plane_samples);
        else if (s->predictor == 3)
            undo_float_predictor(scratch + i * row_bytes, s->piece_width,
                                 scratch + row_bytes * s->piece_height);
        unpack_row(s, p->plane, src + i * row_bytes,
                   s->whole.data + (p->y + i) * s->whole.stride + p->x * pixel_bytes, width);
    }
    return TW_OK;
}

static tw_status decode_planes(tiff_state *s, tw_tiff_unpacker *unpacker, uint8_t *scratch,
                               tw_error *err) {
    piece p = {0};
    /* An unused fourth plane is not looked at. */
    uint32_t n_planes = s->mode == TW_MODE_RGB ? TW_MIN(s->n_planes, 3u) : s->n_planes;
    for (; p.plane < n_planes; p.plane++)
        for (uint64_t y = 0; y < s->height; y += s->piece_height)
            for (uint64_t x = 0; x < s->width; x += s->piece_width, p.index++) {
                p.x = (uint32_t)x;
                p.y = (uint32_t)y;
                TW_TRY(decode_piece(s, &p, unpacker, scratch, err));
            }
    return TW_OK;
}

static tw_status decode(tiff_state *s, tw_error *err) {
    tw_status status = TW_OK;
    uint8_t *scratch = NULL;
    tw_tiff_unpacker *unpacker = NULL;
    if (s->compression != TW_TIFF_STORED || s->fill_order == 2) {
        size_t n;
        bool fits = tw_mul_size(bytes_of_row(s, s->piece_width), s->piece_height + 1, &n);
        scratch = fits ? malloc(n) : NULL;
        unpacker = tw_tiff_unpacker_create(s->compression, &s->jpeg);
        if (!scratch || !unpacker) TW_CHECK(tw_fail_no_memory(err, fits ? n : SIZE_MAX));
    }
    TW_CHECK(tw_picture_create(s->mode, s->width, s->height, &s->whole, err));
    TW_CHECK(decode_planes(s, unpacker, scratch, err));
done:
    free(scratch);
    tw_tiff_unpacker_free(unpacker);
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
    TW_TRY(tw_tiff_number(&s->file, 256, 0, &s->width, err));
    TW_TRY(tw_tiff_number(&s->file, 257, 0, &s->height, err));
    TW_TRY(tw_image_check_size(s->width, s->height, limits, err));
    TW_TRY(read_kind(s, err));
    TW_TRY(check_counts(s, err));
    TW_TRY(read_pieces(s, err));
    TW_TRY(read_jpeg(s, err));
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
    tw_status status = tw_tiff_read_directory(bytes, n_bytes, &s->file, err);
    if (status == TW_OK) status = tiff_start(s, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

/* Applied already. */
static int tiff_orientation(const uint8_t *bytes, size_t n_bytes) {
    return 1;
}

const tw_image_format tw_format_tiff = {"tiff", tiff_sniff, tiff_open, tiff_orientation};
