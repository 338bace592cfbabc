/* PNG. The container is walked here, because what counts in it (which chunks are checked, what is
 * ignored, which palette entries exist) must be as in Pillow, which has a reader of its own; libpng
 * then sees a stream of nothing but IHDR, IDAT and IEND, and does what it does best: inflate,
 * unfilter, de-interlace, unpack. A palette picture is shown to it as grey of the same depth. So
 * compressed profiles, texts and whatever else a hostile file carries are never unpacked.
 *
 * Source: W3C PNG (2nd edition); Pillow src/PIL/PngImagePlugin.py, src/libImaging/ZipDecode.c. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/exif.h"
#include "image/source.h"

enum { SIGNATURE_BYTES = 8, CHUNK_HEAD = 8, CHUNK_CRC = 4, IHDR_BYTES = 13 };
enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 }; /* colour types */

static const uint8_t signature[SIGNATURE_BYTES] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

typedef struct chunk {
    const uint8_t *data;
    size_t n;        /* bytes of data really there */
    uint32_t length; /* as stated */
    char name[5];
} chunk;

typedef struct png_state {
    const uint8_t *bytes;
    size_t n_bytes;
    uint32_t width, height;
    uint8_t depth, colour;
    bool interlaced;
    tw_palette palette;
    int64_t sequence;  /* the last number of an animation's chunks, -1 before the first */
    uint32_t n_frames; /* of an animation, 0 = none */
    bool framed;       /* fcTL came before IDAT, which then is the first frame */

    /* What libpng reads next: `part` first, then the data of the IDAT chunk it introduced. */
    uint8_t part[SIGNATURE_BYTES + CHUNK_HEAD + IHDR_BYTES + CHUNK_CRC];
    size_t part_at, part_end;
    const uint8_t *data;
    size_t n_data;
    size_t next; /* file offset of the next chunk */
    bool ended;

    png_structp png;
    png_infop info;
    tw_status status;
    char message[160];
    uint8_t *whole; /* an interlaced picture, decoded at once */
    uint32_t row;   /* next to hand out */
} png_state;

/* ------------------------------------------------------------------------------------ chunks */

/* Reads the chunk at `at`; its data may be cut off by the end of the file. */
static bool read_chunk(const uint8_t *bytes, size_t n_bytes, size_t at, chunk *c) {
    if (!tw_range_ok(at, CHUNK_HEAD, n_bytes)) return false;
    c->length = tw_load_u32be(bytes + at);
    memcpy(c->name, bytes + at + 4, 4);
    c->name[4] = '\0';
    for (int i = 0; i < 4; i++) {
        unsigned char b = (unsigned char)c->name[i];
        bool word =
            (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '_';
        if (!word) return false;
    }
    c->data = bytes + at + CHUNK_HEAD;
    c->n = TW_MIN((size_t)c->length, n_bytes - at - CHUNK_HEAD);
    return true;
}

static bool is_chunk(const chunk *c, const char *name) {
    return memcmp(c->name, name, 4) == 0;
}

static size_t after_chunk(size_t at, const chunk *c) {
    return at + CHUNK_HEAD + c->n + CHUNK_CRC;
}

/* CRC-32 of a chunk's name and data, four bits at a time: headers are small. */
static uint32_t chunk_crc(const chunk *c) {
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = 0xFFFFFFFF;
    const uint8_t *p = c->data - 4;
    for (size_t i = 0; i < c->n + 4; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* -------------------------------------------------------------------------------- the header */

static const struct {
    uint8_t depth, colour;
    tw_mode mode;
} png_modes[] = {
    {1, GREY, TW_MODE_1},           {2, GREY, TW_MODE_L},         {4, GREY, TW_MODE_L},
    {8, GREY, TW_MODE_L},           {16, GREY, TW_MODE_I16},      {8, RGB, TW_MODE_RGB},
    {16, RGB, TW_MODE_RGB},         {1, PALETTE, TW_MODE_P},      {2, PALETTE, TW_MODE_P},
    {4, PALETTE, TW_MODE_P},        {8, PALETTE, TW_MODE_P},      {8, GREY_ALPHA, TW_MODE_LA},
    {16, GREY_ALPHA, TW_MODE_RGBA}, {8, RGB_ALPHA, TW_MODE_RGBA}, {16, RGB_ALPHA, TW_MODE_RGBA},
};

static tw_status read_ihdr(png_state *s, const chunk *c, tw_mode *mode, tw_error *err) {
    if (!is_chunk(c, "IHDR") || c->length < IHDR_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "png: first chunk is %s of %u bytes, expected IHDR",
                       c->name, c->length);
    s->width = tw_load_u32be(c->data);
    s->height = tw_load_u32be(c->data + 4);
    s->depth = c->data[8];
    s->colour = c->data[9];
    s->interlaced = c->data[12] != 0;
    if (c->data[11] != 0)
        return tw_fail(err, TW_ERR_FORMAT, "png: filter method %u, expected 0", c->data[11]);
    for (size_t i = 0; i < TW_COUNT(png_modes); i++)
        if (png_modes[i].depth == s->depth && png_modes[i].colour == s->colour) {
            *mode = png_modes[i].mode;
            return TW_OK;
        }
    return tw_fail(err, TW_ERR_FORMAT, "png: no such kind: %u bits of colour type %u", s->depth,
                   s->colour);
}

/* ------------------------------------------------------------------- chunks beside the pixels */

/* Nothing in them changes a pixel, but Pillow looks into them and refuses a file for what it finds.
 * What they have compressed is not unpacked here, so that it may be of any size. */

static size_t least_bytes(const png_state *s, const chunk *c) {
    static const struct {
        char name[5];
        uint8_t n;
    } least[] = {{"gAMA", 4}, {"cHRM", 32}, {"sRGB", 1}, {"pHYs", 9},
                 {"acTL", 8}, {"fcTL", 26}, {"fdAT", 4}, {"IHDR", IHDR_BYTES}};
    if (is_chunk(c, "tRNS")) return s->colour == GREY ? 2 : s->colour == RGB ? 6 : 0;
    for (size_t i = 0; i < TW_COUNT(least); i++)
        if (is_chunk(c, least[i].name)) return least[i].n;
    return 0;
}

/* Behind the first NUL: the method of compression, of which there is one. */
static bool is_compression_known(const chunk *c) {
    const uint8_t *nul = c->n > 0 ? memchr(c->data, 0, c->n) : NULL;
    bool behind = nul && nul + 1 < c->data + c->n;
    if (is_chunk(c, "iCCP")) return behind && nul[1] == 0;
    return !is_chunk(c, "zTXt") || !behind || nul[1] == 0;
}

/* Of an animation. Its chunks are numbered, fcTL and fdAT alike. */
static tw_status check_frame(png_state *s, const chunk *c, tw_error *err) {
    bool control = is_chunk(c, "fcTL");
    uint32_t number = tw_load_u32be(c->data);
    if (number != s->sequence + 1 || (!control && s->sequence < 0))
        return tw_fail(err, TW_ERR_FORMAT, "png: %s chunk has number %u, expected %lld", c->name,
                       number, (long long)s->sequence + 1);
    s->sequence = number;
    if (!control) return TW_OK;
    uint32_t width = tw_load_u32be(c->data + 4), height = tw_load_u32be(c->data + 8);
    uint32_t x = tw_load_u32be(c->data + 12), y = tw_load_u32be(c->data + 16);
    if (!tw_range_ok(x, width, s->width) || !tw_range_ok(y, height, s->height))
        return tw_fail(err, TW_ERR_FORMAT, "png: frame of %u x %u at (%u, %u) in %u x %u", width,
                       height, x, y, s->width, s->height);
    if (!s->framed && (width != s->width || height != s->height) && s->next == 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "png: first frame of %u x %u, expected %u x %u",
                       width, height, s->width, s->height);
    s->framed = true;
    return TW_OK;
}

static tw_status check_chunk(png_state *s, const chunk *c, tw_error *err) {
    size_t least = least_bytes(s, c);
    if (c->n < least)
        return tw_fail(err, TW_ERR_FORMAT, "png: %s chunk of %zu bytes, expected %zu", c->name,
                       c->n, least);
    if (!is_compression_known(c))
        return tw_fail(err, TW_ERR_FORMAT, "png: %s chunk of unknown compression", c->name);
    if (is_chunk(c, "acTL")) { /* a second one cancels the first */
        uint32_t n = tw_load_u32be(c->data);
        s->n_frames = s->n_frames > 0 || n > 0x80000000u ? 0 : n;
    }
    return is_chunk(c, "fcTL") || is_chunk(c, "fdAT") ? check_frame(s, c, err) : TW_OK;
}

/* What follows the pixels, up to an animation's next frame; checksums are not looked at. */
static tw_status check_rest(png_state *s, tw_error *err) {
    bool animated = s->n_frames > (s->framed ? 1u : 0u);
    chunk c;
    for (size_t at = s->next; read_chunk(s->bytes, s->n_bytes, at, &c); at = after_chunk(at, &c)) {
        if (is_chunk(&c, "IEND") || (animated && is_chunk(&c, "fcTL"))) break;
        if (c.n < c.length)
            return tw_fail(err, TW_ERR_FORMAT, "png: truncated in the %s chunk at byte %zu", c.name,
                           at);
        TW_TRY(check_chunk(s, &c, err));
    }
    return TW_OK;
}

/* ----------------------------------------------------------------------------- up to the pixels */

/* Entries the file does not have are black. */
static tw_status read_palette(png_state *s, const chunk *c, tw_error *err) {
    size_t n = c->n / 3;
    if (n > 256) return tw_fail(err, TW_ERR_FORMAT, "png: palette of %zu entries", n);
    memset(s->palette, 0, sizeof s->palette);
    for (size_t i = 0; i < n; i++)
        memcpy(s->palette[i], c->data + 3 * i, 3);
    return TW_OK;
}

/* Walks to the first IDAT. Every chunk before it is checked, as in Pillow; IDAT itself is not. */
static tw_status read_header(png_state *s, tw_source *out, tw_error *err) {
    size_t at = SIGNATURE_BYTES;
    for (chunk c;; at = after_chunk(at, &c)) {
        if (!read_chunk(s->bytes, s->n_bytes, at, &c))
            return tw_fail(err, TW_ERR_FORMAT, "png: no chunk at byte %zu of %zu", at, s->n_bytes);
        bool first = at == SIGNATURE_BYTES;
        if (is_chunk(&c, "IDAT") && !first) break;
        if (is_chunk(&c, "IEND")) return tw_fail(err, TW_ERR_FORMAT, "png: no IDAT chunk");
        if (!tw_range_ok(at, (uint64_t)CHUNK_HEAD + c.length + CHUNK_CRC, s->n_bytes))
            return tw_fail(err, TW_ERR_FORMAT, "png: truncated in the %s chunk at byte %zu", c.name,
                           at);
        if (chunk_crc(&c) != tw_load_u32be(c.data + c.n))
            return tw_fail(err, TW_ERR_FORMAT, "png: wrong checksum of the %s chunk at byte %zu",
                           c.name, at);
        if (first) TW_TRY(read_ihdr(s, &c, &out->mode, err));
        TW_TRY(check_chunk(s, &c, err));
        if (first) continue;
        if (is_chunk(&c, "fdAT"))
            return tw_fail(err, TW_ERR_UNSUPPORTED, "png: an animation without an IDAT chunk");
        if (is_chunk(&c, "IHDR"))
            return tw_fail(err, TW_ERR_FORMAT, "png: a second IHDR chunk at byte %zu", at);
        if (is_chunk(&c, "PLTE") && s->colour == PALETTE) TW_TRY(read_palette(s, &c, err));
    }
    s->next = at;
    out->width = s->width;
    out->height = s->height;
    return TW_OK;
}

static int png_orientation(const uint8_t *bytes, size_t n_bytes) {
    size_t at = SIGNATURE_BYTES;
    for (chunk c; read_chunk(bytes, n_bytes, at, &c); at = after_chunk(at, &c)) {
        if (is_chunk(&c, "IEND")) break;
        if (is_chunk(&c, "eXIf") && c.n == c.length) return tw_exif_orientation(c.data, c.n);
    }
    return 1;
}

/* ---------------------------------------------------------------------- the stream for libpng */

static void store_u32be(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void put_chunk_head(png_state *s, size_t at, uint32_t length, const char *name) {
    store_u32be(s->part + at, length);
    memcpy(s->part + at + 4, name, 4);
    s->part_at = 0;
    s->part_end = at + CHUNK_HEAD;
}

static void put_start(png_state *s) {
    memcpy(s->part, signature, SIGNATURE_BYTES);
    put_chunk_head(s, SIGNATURE_BYTES, IHDR_BYTES, "IHDR");
    uint8_t *p = s->part + s->part_end;
    store_u32be(p, s->width);
    store_u32be(p + 4, s->height);
    p[8] = s->depth;
    p[9] = s->colour == PALETTE ? GREY : s->colour;
    p[10] = p[11] = 0;
    p[12] = s->interlaced;
    memset(p + IHDR_BYTES, 0, CHUNK_CRC); /* no checksum of ours is looked at */
    s->part_end += IHDR_BYTES + CHUNK_CRC;
}

/* Goes to the next IDAT, which may be cut short by the end of the file; after the last, to IEND.
 * Between two heads comes the four-byte checksum of the chunk before. */
static void put_next_chunk(png_state *s, bool first) {
    size_t crc = first ? 0 : CHUNK_CRC;
    memset(s->part, 0, crc);
    chunk c;
    if (!read_chunk(s->bytes, s->n_bytes, s->next, &c) || !is_chunk(&c, "IDAT")) {
        put_chunk_head(s, crc, 0, "IEND");
        memset(s->part + s->part_end, 0, CHUNK_CRC);
        s->part_end += CHUNK_CRC;
        s->ended = true;
        return;
    }
    size_t n = TW_MIN(c.n, (size_t)PNG_UINT_31_MAX);
    put_chunk_head(s, crc, (uint32_t)n, "IDAT");
    s->data = c.data;
    s->n_data = n;
    s->next = TW_MIN(after_chunk(s->next, &c), s->n_bytes);
}

static void feed(png_structp png, png_bytep out, size_t n) {
    png_state *s = png_get_io_ptr(png);
    while (n > 0) {
        bool in_part = s->part_at < s->part_end;
        if (!in_part && s->n_data == 0) {
            if (s->ended) png_error(png, "the data ends too early");
            put_next_chunk(s, s->data == NULL);
            continue;
        }
        const uint8_t *from = in_part ? s->part + s->part_at : s->data;
        size_t step = TW_MIN(n, in_part ? s->part_end - s->part_at : s->n_data);
        memcpy(out, from, step);
        if (in_part) {
            s->part_at += step;
        } else {
            s->data += step;
            s->n_data -= step;
        }
        out += step;
        n -= step;
    }
}

/* ----------------------------------------------------------------------------------- decoder */

static void on_error(png_structp png, png_const_charp message) {
    png_state *s = png_get_error_ptr(png);
    if (strcmp(message, "Not enough image data") == 0) message = "truncated: too little image data";
    if (strstr(message, "emory")) s->status = TW_ERR_NO_MEMORY; /* "Insufficient memory" etc. */
    snprintf(s->message, sizeof s->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {}

static void png_close(tw_source *source) {
    png_state *s = source->state;
    if (!s) return;
    if (s->png) png_destroy_read_struct(&s->png, s->info ? &s->info : NULL, NULL);
    free(s->whole);
    free(s);
}

/* To 8 bits a channel (of 16 the high byte), pixels as mode.h lays them out. */
static void set_transforms(png_state *s) {
    png_structp png = s->png;
    if (s->colour == PALETTE)
        png_set_packing(png);
    else if (s->depth < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (s->depth == 16 && s->colour == GREY) {
        const uint16_t one = 1;
        if (*(const uint8_t *)&one == 1) png_set_swap(png);
    } else if (s->depth == 16) {
        png_set_strip_16(png);
        if (s->colour == GREY_ALPHA) png_set_gray_to_rgb(png);
    }
    if (s->colour == RGB) png_set_filler(png, 0xFF, PNG_FILLER_AFTER);
}

/* Runs under the caller's setjmp. */
static void start(png_state *s) {
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* our own were checked */
    png_set_crc_action(s->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_benign_errors(s->png, 1);
#ifdef PNG_MAXIMUM_INFLATE_WINDOW
    png_set_option(s->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON); /* as plain zlib does */
#endif
    put_start(s);
    png_set_read_fn(s->png, s, feed);
    png_read_info(s->png, s->info);
    set_transforms(s);
    if (s->interlaced) png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
}

/* Runs under the caller's setjmp. */
static void read_whole(png_state *s, size_t row_bytes) {
    s->whole = calloc(s->height, row_bytes);
    if (!s->whole) png_error(s->png, "out of memory");
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
        for (uint32_t y = 0; y < s->height; y++)
            png_read_row(s->png, s->whole + y * row_bytes, NULL);
}

/* Whether the error that jumped came after the last pixel: libpng wants the end of the compressed
 * stream, Pillow does not. */
static bool is_complete(const png_state *s) {
    if (s->interlaced) return png_get_current_pass_number(s->png) >= PNG_INTERLACE_ADAM7_PASSES;
    return png_get_current_row_number(s->png) >= s->height;
}

static tw_status png_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                          tw_error *err) {
    png_state *s = source->state;
    size_t row_bytes = source->width * tw_mode_bytes(source->mode);
    const bool last = s->height - s->row == n_rows;
    s->status = TW_ERR_FORMAT;
    if (!s->png) {
        s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
        if (s->png) s->info = png_create_info_struct(s->png);
        if (!s->info) return tw_fail_no_memory(err, 0);
    }
    if (setjmp(png_jmpbuf(s->png))) {
        if (!is_complete(s))
            return tw_fail(err, s->status, "png: %s (at row %u of %u)", s->message, s->row,
                           s->height);
    } else {
        if (s->row == 0) start(s);
        if (!s->interlaced)
            for (uint32_t i = 0; i < n_rows; i++, s->row++)
                png_read_row(s->png, rows + i * stride, NULL);
        else if (!s->whole)
            read_whole(s, row_bytes);
    }
    if (s->whole)
        for (uint32_t i = 0; i < n_rows; i++, s->row++)
            memcpy(rows + i * stride, s->whole + s->row * row_bytes, row_bytes);
    return last ? check_rest(s, err) : TW_OK;
}

static bool png_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= SIGNATURE_BYTES && memcmp(bytes, signature, SIGNATURE_BYTES) == 0;
}

static tw_status png_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                          tw_source *out, tw_error *err) {
    png_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = png_read, .close = png_close, .state = s};
    s->bytes = bytes;
    s->n_bytes = n_bytes;
    s->sequence = -1;
    tw_status status = read_header(s, out, err);
    if (status == TW_OK) status = tw_image_check_size(out->width, out->height, limits, err);
    if (status != TW_OK) {
        tw_source_close(out);
        return status;
    }
    if (out->mode == TW_MODE_P) out->palette = (const tw_palette *)&s->palette;
    return TW_OK;
}

const tw_image_format tw_format_png = {"png", png_sniff, png_open, png_orientation};
