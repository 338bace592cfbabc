/* WebP. The container is walked here and libwebp decodes the bitstream of one frame, so that its
 * demultiplexer, a library of its own, is not needed. A picture is what Pillow's animation decoder
 * makes of the first frame: placed on a transparent black canvas, not blended.
 *
 * Source: WebP container specification; Pillow src/PIL/WebPImagePlugin.py, src/_webp.c. */
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/exif.h"
#include "image/picture.h"

enum { RIFF_HEAD = 12, CHUNK_HEAD = 8, VP8X_BYTES = 10, FRAME_HEAD = 16 };
enum { FLAG_ANIMATION = 0x02 }; /* of VP8X */

typedef struct chunk {
    const uint8_t *data;
    uint32_t n;
} chunk;

typedef struct webp_state {
    const uint8_t *bitstream; /* ALPH and VP8, or VP8L, with their chunk heads */
    size_t n_bitstream;
    uint32_t x, y, width, height; /* of the frame on the canvas */
    tw_picture whole;
    uint32_t row; /* next to hand out */
} webp_state;

/* -------------------------------------------------------------------------------- the container */

static bool is_chunk(const chunk *c, const char *name) {
    return memcmp(c->data - CHUNK_HEAD, name, 4) == 0;
}

static bool read_chunk(const uint8_t *bytes, size_t end, size_t at, chunk *c) {
    if (!tw_range_ok(at, CHUNK_HEAD, end)) return false;
    c->data = bytes + at + CHUNK_HEAD;
    c->n = tw_load_u32le(bytes + at + 4);
    return tw_range_ok(at + CHUNK_HEAD, c->n, end);
}

static size_t after_chunk(size_t at, const chunk *c) {
    return at + CHUNK_HEAD + (size_t)c->n + (c->n & 1);
}

static uint32_t load_u24le(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

/* The end of the RIFF container; what follows it is not looked at. */
static tw_status container_end(const uint8_t *bytes, size_t n_bytes, size_t *end, tw_error *err) {
    uint64_t stated = (uint64_t)tw_load_u32le(bytes + 4) + CHUNK_HEAD;
    if (stated > n_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "webp: truncated: %zu bytes of %llu", n_bytes,
                       (unsigned long long)stated);
    *end = (size_t)stated;
    return TW_OK;
}

/* From the first ALPH, VP8 or VP8L chunk at or after `at` to the end of the pixels. */
static tw_status find_bitstream(webp_state *s, const uint8_t *bytes, size_t end, size_t at,
                                tw_error *err) {
    size_t begin = 0;
    for (chunk c; read_chunk(bytes, end, at, &c); at = after_chunk(at, &c)) {
        bool pixels = is_chunk(&c, "VP8 ") || is_chunk(&c, "VP8L");
        if (begin == 0 && (pixels || is_chunk(&c, "ALPH"))) begin = at;
        if (!pixels) continue;
        s->bitstream = bytes + begin;
        s->n_bitstream = TW_MIN(after_chunk(at, &c), end) - begin; /* with the byte of padding */
        return TW_OK;
    }
    return tw_fail(err, TW_ERR_FORMAT, "webp: no pixels in bytes up to %zu", end);
}

/* The first frame of an animation. Its size is that of its pixels, whatever its head says. */
static tw_status find_frame(webp_state *s, const uint8_t *bytes, size_t end, size_t at,
                            tw_error *err) {
    bool announced = false;
    for (chunk c; read_chunk(bytes, end, at, &c); at = after_chunk(at, &c)) {
        announced = announced || is_chunk(&c, "ANIM");
        if (!is_chunk(&c, "ANMF")) continue;
        if (!announced)
            return tw_fail(err, TW_ERR_FORMAT, "webp: frame at byte %zu before the ANIM chunk", at);
        if (c.n < FRAME_HEAD)
            return tw_fail(err, TW_ERR_FORMAT, "webp: frame of %u bytes at byte %zu", c.n, at);
        s->x = 2 * load_u24le(c.data);
        s->y = 2 * load_u24le(c.data + 3);
        size_t first = at + CHUNK_HEAD + FRAME_HEAD;
        return find_bitstream(s, bytes, at + CHUNK_HEAD + c.n, first, err);
    }
    return tw_fail(err, TW_ERR_FORMAT, "webp: animation without a frame");
}

/* Fills the frame's place, the canvas' size and where the pixels are. */
static tw_status read_container(webp_state *s, const uint8_t *bytes, size_t n_bytes, tw_source *out,
                                tw_error *err) {
    size_t end = 0, at = RIFF_HEAD;
    TW_TRY(container_end(bytes, n_bytes, &end, err));
    chunk c;
    bool animated = false;
    if (!read_chunk(bytes, end, at, &c))
        return tw_fail(err, TW_ERR_FORMAT, "webp: truncated: no chunk at byte %zu", at);
    if (is_chunk(&c, "VP8X")) {
        if (c.n < VP8X_BYTES)
            return tw_fail(err, TW_ERR_FORMAT, "webp: VP8X chunk of %u bytes, expected %d", c.n,
                           VP8X_BYTES);
        animated = c.data[0] & FLAG_ANIMATION;
        out->width = 1 + load_u24le(c.data + 4);
        out->height = 1 + load_u24le(c.data + 7);
        at = after_chunk(at, &c);
        if (!animated) {
            s->width = out->width;
            s->height = out->height;
        }
    }
    return animated ? find_frame(s, bytes, end, at, err) : find_bitstream(s, bytes, end, at, err);
}

static const char *status_text(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "out of memory";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return "truncated";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "a feature that libwebp does not support";
    default:
        return "damaged";
    }
}

static tw_status fail_from(VP8StatusCode code, const char *what, tw_error *err) {
    tw_status status = code == VP8_STATUS_OUT_OF_MEMORY         ? TW_ERR_NO_MEMORY
                       : code == VP8_STATUS_UNSUPPORTED_FEATURE ? TW_ERR_UNSUPPORTED
                                                                : TW_ERR_FORMAT;
    return tw_fail(err, status, "webp: %s: %s", what, status_text(code));
}

/* The bitstream's own size must be what the container says, and lie on the canvas. */
static tw_status check_frame(webp_state *s, tw_source *out, tw_error *err) {
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(s->bitstream, s->n_bitstream, &features);
    if (code != VP8_STATUS_OK) return fail_from(code, "header of the pixels", err);
    uint32_t width = (uint32_t)features.width, height = (uint32_t)features.height;
    if (out->width == 0) { /* no VP8X */
        out->width = width;
        out->height = height;
    }
    if (s->width == 0) { /* an animation's frame, or no VP8X */
        s->width = width;
        s->height = height;
    }
    if (s->width != width || s->height != height)
        return tw_fail(err, TW_ERR_FORMAT, "webp: pixels of %u x %u in a frame of %u x %u", width,
                       height, s->width, s->height);
    if (!tw_range_ok(s->x, width, out->width) || !tw_range_ok(s->y, height, out->height))
        return tw_fail(err, TW_ERR_FORMAT,
                       "webp: frame of %u x %u at (%u, %u) on a canvas of %u x %u", width, height,
                       s->x, s->y, out->width, out->height);
    return TW_OK;
}

/* -------------------------------------------------------------------------------------- decoder */

static tw_status decode(webp_state *s, const tw_source *source, tw_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "webp: libwebp of another interface than built for");
    tw_picture *p = &s->whole;
    TW_TRY(tw_picture_create(source->mode, source->width, source->height, p, err));
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = p->data + s->y * p->stride + 4 * (size_t)s->x;
    config.output.u.RGBA.stride = (int)p->stride;
    config.output.u.RGBA.size = (size_t)(s->height - 1) * p->stride + 4 * (size_t)s->width;
    VP8StatusCode code = WebPDecode(s->bitstream, s->n_bitstream, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK) return TW_OK;
    tw_picture_free(p);
    return fail_from(code, "pixels", err);
}

static tw_status webp_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                           tw_error *err) {
    webp_state *s = source->state;
    if (!s->whole.data) TW_TRY(decode(s, source, err));
    tw_picture_rows(&s->whole, s->row, rows, stride, n_rows);
    s->row += n_rows;
    return TW_OK;
}

static void webp_close(tw_source *source) {
    webp_state *s = source->state;
    tw_picture_free(&s->whole);
    free(s);
}

static bool webp_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= RIFF_HEAD + 4 && memcmp(bytes, "RIFF", 4) == 0 &&
           memcmp(bytes + 8, "WEBPVP8", 7) == 0 && strchr(" XL", bytes[15]) && bytes[15] != 0;
}

static tw_status open_frame(webp_state *s, const uint8_t *bytes, size_t n_bytes,
                            const tw_image_limits *limits, tw_source *out, tw_error *err) {
    TW_TRY(read_container(s, bytes, n_bytes, out, err));
    TW_TRY(check_frame(s, out, err));
    TW_TRY(tw_image_check_size(out->width, out->height, limits, err));
    /* Pillow's mode is by the header's flag, whatever the frame has. */
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(bytes, n_bytes, &features);
    if (code != VP8_STATUS_OK) return fail_from(code, "header", err);
    out->mode = features.has_alpha ? TW_MODE_RGBA : TW_MODE_RGB;
    return TW_OK;
}

static tw_status webp_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                           tw_source *out, tw_error *err) {
    webp_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = webp_read, .close = webp_close, .state = s};
    tw_status status = open_frame(s, bytes, n_bytes, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

static int webp_orientation(const uint8_t *bytes, size_t n_bytes) {
    static const char prefix[6] = "Exif\0";
    size_t end = 0, at = RIFF_HEAD;
    tw_error err = TW_ERROR_INIT;
    if (container_end(bytes, n_bytes, &end, &err) != TW_OK) return 1;
    for (chunk c; read_chunk(bytes, end, at, &c); at = after_chunk(at, &c)) {
        if (!is_chunk(&c, "EXIF")) continue;
        bool prefixed = c.n >= sizeof prefix && memcmp(c.data, prefix, sizeof prefix) == 0;
        size_t skip = prefixed ? sizeof prefix : 0;
        return tw_exif_orientation(c.data + skip, c.n - skip);
    }
    return 1;
}

const tw_image_format tw_format_webp = {"webp", webp_sniff, webp_open, webp_orientation};
