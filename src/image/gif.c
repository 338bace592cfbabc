/* GIF: the first frame, placed on a canvas of its transparent index (or 0) that grows when the
 * frame leaves it. The background colour is painted by nobody. A palette of nothing but greys in
 * order makes mode L; where it is a frame's, over one of colours for the file, Pillow mixes the two
 * up and mostly refuses: here the frame's counts.
 *
 * Source: Pillow src/PIL/GifImagePlugin.py, src/libImaging/GifDecode.c; GIF89a specification. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/picture.h"

enum { SCREEN_BYTES = 13, FRAME_BYTES = 9, MAX_BITS = 12, N_CODES = 1 << MAX_BITS };
enum { PIECE = 65536 }; /* what Pillow reads at a time */
enum { GRAPHIC_CONTROL = 0xF9, COMMENT = 0xFE, APPLICATION = 0xFF };

typedef struct gif_state {
    const uint8_t *bytes;
    size_t n_bytes, at;
    uint32_t x, y, width, height; /* of the frame */
    bool interlaced, has_palette;
    int transparent; /* index, or -1 */
    uint8_t code_bits;
    tw_palette palette;
    tw_picture whole;
    uint32_t row; /* next to hand out */
} gif_state;

/* ---------------------------------------------------------------------------------- the header */

static tw_status truncated(const gif_state *s, const char *where, tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "gif: truncated in %s at byte %zu of %zu", where, s->at,
                   s->n_bytes);
}

/* A block of an extension, of which the file may end; false when it is empty. */
static bool read_block(gif_state *s, const uint8_t **block, size_t *n) {
    *n = 0;
    if (s->at == s->n_bytes) return false;
    size_t stated = s->bytes[s->at++];
    *block = s->bytes + s->at;
    *n = TW_MIN(stated, s->n_bytes - s->at);
    s->at += *n;
    return *n > 0;
}

static tw_status read_extension(gif_state *s, tw_error *err) {
    const uint8_t *block;
    size_t n;
    if (s->at == s->n_bytes) return truncated(s, "an extension", err);
    uint8_t label = s->bytes[s->at++];
    bool more = read_block(s, &block, &n);
    if (label == GRAPHIC_CONTROL && more) {
        bool transparent = block[0] & 1;
        if (n < (transparent ? 4u : 3u))
            return tw_fail(err, TW_ERR_FORMAT, "gif: graphic control of %zu bytes before byte %zu",
                           n, s->at);
        if (transparent) s->transparent = block[3];
    }
    /* An empty first block ends a comment; for Pillow it does not end the others. */
    if (label == COMMENT && !more) return TW_OK;
    while (read_block(s, &block, &n)) {
    }
    return TW_OK;
}

/* A palette that is there replaces the one before; one of greys in order replaces it by none. */
static tw_status read_palette(gif_state *s, uint8_t flags, tw_error *err) {
    if (!(flags & 0x80)) return TW_OK;
    size_t n = (size_t)2 << (flags & 7);
    if (!tw_range_ok(s->at, 3 * n, s->n_bytes)) return truncated(s, "a palette", err);
    const uint8_t *p = s->bytes + s->at;
    s->at += 3 * n;
    memset(s->palette, 0, sizeof s->palette);
    s->has_palette = false;
    for (size_t i = 0; i < n; i++, p += 3) {
        memcpy(s->palette[i], p, 3);
        if (p[0] != i || p[1] != i || p[2] != i) s->has_palette = true;
    }
    return TW_OK;
}

static tw_status read_frame(gif_state *s, tw_source *out, tw_error *err) {
    if (!tw_range_ok(s->at, FRAME_BYTES, s->n_bytes)) return truncated(s, "the frame", err);
    const uint8_t *p = s->bytes + s->at;
    s->at += FRAME_BYTES;
    s->x = tw_load_u16le(p);
    s->y = tw_load_u16le(p + 2);
    s->width = tw_load_u16le(p + 4);
    s->height = tw_load_u16le(p + 6);
    s->interlaced = p[8] & 0x40;
    out->width = TW_MAX(out->width, s->x + s->width);
    out->height = TW_MAX(out->height, s->y + s->height);
    TW_TRY(read_palette(s, p[8], err));
    if (s->at == s->n_bytes) return truncated(s, "the frame", err);
    s->code_bits = s->bytes[s->at++];
    return TW_OK;
}

/* Walks to the first frame's pixels. */
static tw_status read_header(gif_state *s, tw_source *out, tw_error *err) {
    if (s->n_bytes < SCREEN_BYTES) return truncated(s, "the screen", err);
    out->width = tw_load_u16le(s->bytes + 6);
    out->height = tw_load_u16le(s->bytes + 8);
    s->transparent = -1;
    s->at = SCREEN_BYTES;
    TW_TRY(read_palette(s, s->bytes[10], err));
    while (s->at < s->n_bytes) {
        uint8_t c = s->bytes[s->at++];
        if (c == ',') return read_frame(s, out, err);
        if (c == ';') break;
        if (c == '!') TW_TRY(read_extension(s, err));
    }
    return tw_fail(err, TW_ERR_FORMAT, "gif: no frame in %zu bytes", s->n_bytes);
}

/* ------------------------------------------------------------------------------------- LZW codes
 */

typedef struct lzw {
    const uint8_t *bytes;
    size_t n_bytes, at, n_block; /* bytes left of the block */
    size_t fed;                  /* how far the file would have been read */
    uint32_t buffer;
    unsigned n_buffer; /* bits in it */
    unsigned min_bits, bits, next;
    bool fresh; /* after a clear code */
    unsigned last_code;
    uint8_t last_first; /* first value of the string of last_code */
    uint16_t link[N_CODES];
    uint8_t value[N_CODES], string[N_CODES];
} lzw;

/* Blocks that are cut off by the end of the file are not begun. */
static bool read_code(lzw *z, unsigned *code) {
    while (z->n_buffer < z->bits) {
        if (z->n_block == 0) {
            if (z->at == z->n_bytes || !tw_range_ok(z->at + 1, z->bytes[z->at], z->n_bytes))
                return false;
            z->n_block = z->bytes[z->at++];
            while (z->at + z->n_block > z->fed)
                z->fed += PIECE;
            continue;
        }
        z->buffer |= (uint32_t)z->bytes[z->at++] << z->n_buffer;
        z->n_buffer += 8;
        z->n_block--;
    }
    *code = z->buffer & ((1u << z->bits) - 1);
    z->buffer >>= z->bits;
    z->n_buffer -= z->bits;
    return true;
}

static void clear_codes(lzw *z) {
    z->bits = z->min_bits + 1;
    z->next = (1u << z->min_bits) + 2;
    z->fresh = true;
}

static void add_code(lzw *z) {
    if (z->next >= N_CODES) return;
    z->value[z->next] = z->last_first;
    z->link[z->next] = (uint16_t)z->last_code;
    if (z->next == (1u << z->bits) - 1 && z->bits < MAX_BITS) z->bits++;
    z->next++;
}

/* The string of a code, at the end of z->string; NULL when the code is impossible. */
static const uint8_t *expand(lzw *z, unsigned code, size_t *n) {
    unsigned clear = 1u << z->min_bits, c = code;
    size_t at = N_CODES;
    if (z->fresh ? code >= clear : code > z->next) return NULL;
    if (!z->fresh &&
        code == z->next) { /* the string being made: the last one and its first value */
        z->string[--at] = z->last_first;
        c = z->last_code;
    }
    for (; c >= clear; c = z->link[c]) {
        if (at == 1 || c >= N_CODES) return NULL;
        z->string[--at] = z->value[c];
    }
    z->string[--at] = z->last_first = (uint8_t)c;
    if (!z->fresh) add_code(z);
    z->fresh = false;
    z->last_code = code;
    *n = N_CODES - at;
    return z->string + at;
}

/* -------------------------------------------------------------------------------------- pixels */

/* Where the next pixel of the frame goes. */
typedef struct cursor {
    uint32_t x, y, width, height, step;
    int pass; /* of an interlaced frame 1 to 3, then 0 */
} cursor;

/* To the next row; false after the last. */
static bool next_row(cursor *c) {
    c->x = 0;
    c->y += c->step;
    while (c->y >= c->height) {
        if (c->pass == 0) return false;
        c->y = c->pass == 1 ? 4 : c->pass == 2 ? 2 : 1;
        if (c->pass > 1) c->step = c->pass == 2 ? 4 : 2;
        c->pass = (c->pass + 1) % 4;
    }
    return true;
}

/* Copies a string of values; true when the frame is complete. */
static bool put_string(cursor *c, const tw_picture *p, uint8_t *origin, const uint8_t *from,
                       size_t n) {
    while (n > 0) {
        size_t step = TW_MIN(n, c->width - c->x);
        memcpy(origin + c->y * p->stride + c->x, from, step);
        from += step;
        n -= step;
        c->x += (uint32_t)step;
        if (c->x == c->width && !next_row(c)) return true;
    }
    return false;
}

static tw_status decode_codes(gif_state *s, lzw *z, tw_error *err) {
    unsigned clear = 1u << z->min_bits, code;
    uint8_t *origin = s->whole.data + s->y * s->whole.stride + s->x;
    cursor c = {.width = s->width, .height = s->height, .step = s->interlaced ? 8 : 1};
    c.pass = s->interlaced;
    clear_codes(z);
    while (read_code(z, &code)) {
        if (code == clear) {
            clear_codes(z);
            continue;
        }
        if (code ==
            clear + 1) { /* the end: before the last pixel only believed in the last piece */
            if (z->fed >= z->n_bytes) break;
            z->fed += PIECE;
            continue;
        }
        size_t n;
        const uint8_t *string = expand(z, code, &n);
        if (!string)
            return tw_fail(err, TW_ERR_FORMAT, "gif: code %u before byte %zu, largest expected %u",
                           code, z->at, z->next);
        if (put_string(&c, &s->whole, origin, string, n)) return TW_OK;
    }
    return tw_fail(err, TW_ERR_FORMAT, "gif: truncated: the data ends in row %u of %u", c.y,
                   s->height);
}

static tw_status decode(gif_state *s, const tw_source *source, tw_error *err) {
    tw_status status;
    lzw *z = calloc(1, sizeof *z);
    if (!z) return tw_fail_no_memory(err, sizeof *z);
    z->bytes = s->bytes;
    z->n_bytes = s->n_bytes;
    z->at = s->at;
    z->fed = z->at + PIECE;
    z->min_bits = s->code_bits;
    TW_CHECK(tw_picture_create(source->mode, source->width, source->height, &s->whole, err));
    if (s->transparent > 0)
        memset(s->whole.data, s->transparent, s->whole.stride * s->whole.height);
    TW_CHECK(decode_codes(s, z, err));
done:
    free(z);
    if (status != TW_OK) tw_picture_free(&s->whole);
    return status;
}

static tw_status gif_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                          tw_error *err) {
    gif_state *s = source->state;
    if (!s->whole.data) TW_TRY(decode(s, source, err));
    tw_picture_rows(&s->whole, s->row, rows, stride, n_rows);
    s->row += n_rows;
    return TW_OK;
}

static void gif_close(tw_source *source) {
    gif_state *s = source->state;
    tw_picture_free(&s->whole);
    free(s);
}

static bool gif_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= 6 && (memcmp(bytes, "GIF87a", 6) == 0 || memcmp(bytes, "GIF89a", 6) == 0);
}

static tw_status gif_start(gif_state *s, const tw_image_limits *limits, tw_source *out,
                           tw_error *err) {
    TW_TRY(read_header(s, out, err));
    TW_TRY(tw_image_check_size(out->width, out->height, limits, err));
    if (s->code_bits > MAX_BITS)
        return tw_fail(err, TW_ERR_FORMAT, "gif: codes of %u bits, expected 0 to %d", s->code_bits,
                       MAX_BITS);
    if (s->x == 0 && s->width == 0) { /* Pillow's way of saying everything */
        s->y = 0;
        s->width = out->width;
        s->height = out->height;
    }
    if (s->width == 0 || s->height == 0)
        return tw_fail(err, TW_ERR_FORMAT, "gif: frame of %u x %u", s->width, s->height);
    out->mode = s->has_palette ? TW_MODE_P : TW_MODE_L;
    if (s->has_palette) out->palette = (const tw_palette *)&s->palette;
    return TW_OK;
}

static tw_status gif_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                          tw_source *out, tw_error *err) {
    gif_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = gif_read, .close = gif_close, .state = s};
    s->bytes = bytes;
    s->n_bytes = n_bytes;
    tw_status status = gif_start(s, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

static int gif_orientation(const uint8_t *bytes, size_t n_bytes) {
    return 1;
}

const tw_image_format tw_format_gif = {"gif", gif_sniff, gif_open, gif_orientation};
