/* PBM, PGM and PPM, plain and raw (P1 to P6), with any maximum; values are scaled to 8 bits a
 * channel, of wide grey to 16, as Pillow scales them. Rows are read from the file as they are asked
 * for. Of the relatives, PAM is not read by Pillow, and PFM is of a mode that CLIP has no use for.
 *
 * Source: Pillow src/PIL/PpmImagePlugin.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/picture.h"

enum { MAX_TOKEN = 10, MAX_MAXIMUM = 65535 };

typedef struct pnm_state {
    const uint8_t *bytes;
    size_t n_bytes, at;
    char kind; /* '1' to '6' */
    uint32_t maximum, channels;
    uint32_t row;
} pnm_state;

static bool is_plain(const pnm_state *s) {
    return s->kind <= '3';
}

/* -------------------------------------------------------------------------------------- tokens */

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* After a '#': to behind the end of the line. */
static void skip_comment(pnm_state *s) {
    while (s->at < s->n_bytes) {
        uint8_t c = s->bytes[s->at++];
        if (c == '\n' || c == '\r') return;
    }
}

/* Decimal digits, with a sign and single underscores between digits: Python's int(). */
static bool parse_number(const char *p, size_t n, uint64_t *out) {
    uint64_t value = 0;
    size_t i = n > 0 && (p[0] == '+' || p[0] == '-') ? 1 : 0;
    bool digit = false; /* the character before was one */
    for (; i < n; i++) {
        if (p[i] == '_' && digit) {
            digit = false;
            continue;
        }
        if (p[i] < '0' || p[i] > '9') return false;
        value = 10 * value + (uint64_t)(p[i] - '0');
        digit = true;
    }
    *out = value;
    return digit && (p[0] != '-' || value == 0);
}

/* The next number and the one space behind it. A comment may stand anywhere, even inside. */
static tw_status read_number(pnm_state *s, uint64_t *out, tw_error *err) {
    char token[MAX_TOKEN + 1];
    size_t n = 0, from = s->at;
    while (n <= MAX_TOKEN && s->at < s->n_bytes) {
        uint8_t c = s->bytes[s->at++];
        if (c == '#')
            skip_comment(s);
        else if (!is_space(c))
            token[n++] = (char)c;
        else if (n > 0)
            break;
    }
    if (n == 0) return tw_fail(err, TW_ERR_FORMAT, "pnm: truncated: no number at byte %zu", from);
    if (n > MAX_TOKEN || !parse_number(token, n, out))
        return tw_fail(err, TW_ERR_FORMAT, "pnm: no number of up to %d characters at byte %zu",
                       MAX_TOKEN, from);
    return TW_OK;
}

/* ---------------------------------------------------------------------------------------- rows */

static tw_status truncated(const pnm_state *s, tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "pnm: truncated: the data ends in row %u", s->row);
}

/* One value of a raw or plain file that is not a bitmap. */
static tw_status read_value(pnm_state *s, uint64_t *value, tw_error *err) {
    if (!is_plain(s)) {
        size_t n = s->maximum > 255 ? 2 : 1;
        if (!tw_range_ok(s->at, n, s->n_bytes)) return truncated(s, err);
        *value = n == 1 ? s->bytes[s->at] : tw_load_u16be(s->bytes + s->at);
        s->at += n;
        return TW_OK;
    }
    TW_TRY(read_number(s, value, err));
    if (*value > s->maximum)
        return tw_fail(err, TW_ERR_FORMAT, "pnm: value %llu before byte %zu, largest allowed %u",
                       (unsigned long long)*value, s->at, s->maximum);
    return TW_OK;
}

/* Python's round(value / maximum * top), which is to even. */
static uint32_t scaled(const pnm_state *s, uint64_t value, uint32_t top) {
    if (s->maximum == top) return (uint32_t)value;
    double v = nearbyint((double)value / s->maximum * top);
    return v < top ? (uint32_t)v : top;
}

static tw_status read_values(pnm_state *s, const tw_source *source, uint8_t *row, tw_error *err) {
    uint64_t value;
    for (size_t x = 0; x < source->width; x++) {
        if (source->mode == TW_MODE_I) {
            TW_TRY(read_value(s, &value, err));
            int32_t v = (int32_t)scaled(s, value, MAX_MAXIMUM);
            memcpy(row + 4 * x, &v, sizeof v);
            continue;
        }
        for (size_t c = 0; c < s->channels; c++) {
            TW_TRY(read_value(s, &value, err));
            row[source->mode == TW_MODE_L ? x : 4 * x + c] = (uint8_t)scaled(s, value, 255);
        }
        if (source->mode == TW_MODE_RGB) row[4 * x + 3] = 255;
    }
    return TW_OK;
}

/* One is black. */
static tw_status read_bits(pnm_state *s, uint32_t width, uint8_t *row, tw_error *err) {
    size_t n = ((size_t)width + 7) / 8;
    if (!tw_range_ok(s->at, n, s->n_bytes)) return truncated(s, err);
    for (size_t x = 0; x < width; x++)
        row[x] = s->bytes[s->at + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
    s->at += n;
    return TW_OK;
}

static tw_status read_plain_bits(pnm_state *s, uint32_t width, uint8_t *row, tw_error *err) {
    for (size_t x = 0; x < width;) {
        if (s->at == s->n_bytes) return truncated(s, err);
        uint8_t c = s->bytes[s->at++];
        if (c == '#') {
            skip_comment(s);
        } else if (!is_space(c)) {
            if (c != '0' && c != '1')
                return tw_fail(err, TW_ERR_FORMAT, "pnm: byte %zu is 0x%02x, expected 0 or 1",
                               s->at - 1, c);
            row[x++] = c == '1' ? 0 : 255;
        }
    }
    return TW_OK;
}

static tw_status pnm_read(tw_source *source, uint8_t *rows, size_t stride, uint32_t n_rows,
                          tw_error *err) {
    pnm_state *s = source->state;
    for (uint32_t i = 0; i < n_rows; i++, s->row++) {
        uint8_t *row = rows + i * stride;
        if (s->kind == '1')
            TW_TRY(read_plain_bits(s, source->width, row, err));
        else if (s->kind == '4')
            TW_TRY(read_bits(s, source->width, row, err));
        else
            TW_TRY(read_values(s, source, row, err));
    }
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- header */

static tw_status read_header(pnm_state *s, const tw_image_limits *limits, tw_source *out,
                             tw_error *err) {
    uint64_t width, height, maximum;
    s->at = 3;
    TW_TRY(read_number(s, &width, err));
    TW_TRY(read_number(s, &height, err));
    TW_TRY(tw_image_check_size(width, height, limits, err));
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    out->mode = TW_MODE_1;
    if (s->kind == '1' || s->kind == '4') return TW_OK;
    TW_TRY(read_number(s, &maximum, err));
    if (maximum < 1 || maximum > MAX_MAXIMUM)
        return tw_fail(err, TW_ERR_FORMAT, "pnm: largest value %llu, expected 1 to %d",
                       (unsigned long long)maximum, MAX_MAXIMUM);
    s->maximum = (uint32_t)maximum;
    bool grey = s->kind == '2' || s->kind == '5';
    s->channels = grey ? 1 : 3;
    out->mode = !grey ? TW_MODE_RGB : maximum > 255 ? TW_MODE_I : TW_MODE_L;
    return TW_OK;
}

/* Relatives too, to say what they are. */
static bool pnm_sniff(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= 3 && bytes[0] == 'P' && memchr("1234567fF", bytes[1], 9) &&
           is_space(bytes[2]);
}

static void pnm_close(tw_source *source) {
    free(source->state);
}

static tw_status pnm_open(const uint8_t *bytes, size_t n_bytes, const tw_image_limits *limits,
                          tw_source *out, tw_error *err) {
    if (bytes[1] > '6')
        return tw_fail(err, TW_ERR_UNSUPPORTED, "pnm: P%c, expected P1 to P6", bytes[1]);
    pnm_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    *out = (tw_source){.read = pnm_read, .close = pnm_close, .state = s};
    s->bytes = bytes;
    s->n_bytes = n_bytes;
    s->kind = (char)bytes[1];
    tw_status status = read_header(s, limits, out, err);
    if (status != TW_OK) tw_source_close(out);
    return status;
}

static int pnm_orientation(const uint8_t *bytes, size_t n_bytes) {
    return 1;
}

const tw_image_format tw_format_pnm = {"pnm", pnm_sniff, pnm_open, pnm_orientation};
