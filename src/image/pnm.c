/* PBM, PGM and PPM, plain and raw (P1 to P6), with any maximum; values are scaled to 8 bits a
 * channel, of wide grey to 16, as Pillow scales them. PFM of grey floats (Pf), whose scale counts
 * for its sign. Rows are read from the file as they are asked for. Other relatives (PAM, colours in
 * PFM) are not read by Pillow either.
 *
 * Source: Pillow src/PIL/PpmImagePlugin.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "image/picture.h"

enum { MAX_TOKEN = 10, MAX_MAXIMUM = 65535 };

typedef struct pnm_state {
    const uint8_t *bytes;
    size_t n_bytes, at;
    char kind; /* '1' to '6', 'f' */
    bool big;  /* of 'f': byte order */
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

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* After a '#': to behind the end of the line. */
static void skip_comment(pnm_state *s) {
    while (s->at < s->n_bytes) {
        uint8_t c = s->bytes[s->at++];
        if (c == '\n' || c == '\r') return;
    }
}

/* Decimal digits, with a sign and single underscores between digits: Python's int(). */
static bool parse_digits(const char *p, size_t n, uint64_t *out) {
    uint64_t value = 0;
    size_t i = n > 0 && (p[0] == '+' || p[0] == '-') ? 1 : 0;
    bool digit = false; /* the character before was one */
    for (; i < n; i++) {
        if (p[i] == '_' && digit) {
            digit = false;
            continue;
        }
        if (!is_digit(p[i])) return false;
        value = 10 * value + (uint64_t)(p[i] - '0');
        digit = true;
    }
    *out = value;
    return digit;
}

static bool parse_number(const char *p, size_t n, uint64_t *out) {
    return parse_digits(p, n, out) && (p[0] != '-' || *out == 0);
}

/* Python's float(), of up to MAX_TOKEN characters; strtod sees no decimal point, so that no locale
 * counts. Nothing that is not finite fits the grammar but by overflow. */
static bool parse_float(const char *p, size_t n, double *out) {
    char text[40];
    uint64_t digits = 0, power = 0;
    size_t i = n > 0 && (p[0] == '+' || p[0] == '-') ? 1 : 0, n_digits = 0, n_behind = 0;
    bool point = false;
    for (; i < n && p[i] != 'e' && p[i] != 'E'; i++) {
        bool between = i > 0 && i + 1 < n && is_digit(p[i - 1]) && is_digit(p[i + 1]);
        if (p[i] == '_' && between) continue;
        if (p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(p[i])) return false;
        digits = 10 * digits + (uint64_t)(p[i] - '0');
        n_digits++;
        n_behind += point;
    }
    bool negative = i + 1 < n && p[i + 1] == '-';
    if (n_digits == 0 || (i < n && !parse_digits(p + i + 1, n - i - 1, &power))) return false;
    int64_t shift = (negative ? -(int64_t)power : (int64_t)power) - (int64_t)n_behind;
    snprintf(text, sizeof text, "%s%llue%lld", p[0] == '-' ? "-" : "", (unsigned long long)digits,
             (long long)shift);
    *out = strtod(text, NULL);
    return true;
}

/* What is up to the next space, and that space. A comment may stand anywhere, even inside. */
static tw_status read_token(pnm_state *s, char token[MAX_TOKEN + 1], size_t *length,
                            tw_error *err) {
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
    *length = n;
    return TW_OK;
}

static tw_status no_number(size_t from, tw_error *err) {
    return tw_fail(err, TW_ERR_FORMAT, "pnm: no number of up to %d characters at byte %zu",
                   MAX_TOKEN, from);
}

static tw_status read_number(pnm_state *s, uint64_t *out, tw_error *err) {
    char token[MAX_TOKEN + 1];
    size_t n, from = s->at;
    TW_TRY(read_token(s, token, &n, err));
    return n <= MAX_TOKEN && parse_number(token, n, out) ? TW_OK : no_number(from, err);
}

/* Positive: big-endian. */
static tw_status read_scale(pnm_state *s, tw_error *err) {
    char token[MAX_TOKEN + 1];
    size_t n, from = s->at;
    double scale = 0;
    TW_TRY(read_token(s, token, &n, err));
    if (n > MAX_TOKEN || !parse_float(token, n, &scale)) return no_number(from, err);
    if (scale == 0 || !isfinite(scale))
        return tw_fail(err, TW_ERR_FORMAT, "pnm: scale before byte %zu is zero or infinite", s->at);
    s->big = scale > 0;
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

/* The last row of a picture lies first. */
static tw_status read_floats(const pnm_state *s, const tw_source *source, uint8_t *row,
                             tw_error *err) {
    size_t n = 4 * (size_t)source->width;
    uint64_t from = s->at + (uint64_t)n * (source->height - 1 - s->row);
    if (!tw_range_ok(from, n, s->n_bytes)) return truncated(s, err);
    for (size_t i = 0; i < n; i += 4) {
        const uint8_t *p = s->bytes + from + i;
        uint32_t v = s->big ? tw_load_u32be(p) : tw_load_u32le(p);
        memcpy(row + i, &v, sizeof v);
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
        else if (s->kind == 'f')
            TW_TRY(read_floats(s, source, row, err));
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
    if (s->kind == 'f') {
        out->mode = TW_MODE_F;
        return read_scale(s, err);
    }
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
    if (bytes[1] > '6' && bytes[1] != 'f')
        return tw_fail(err, TW_ERR_UNSUPPORTED, "pnm: P%c, expected P1 to P6 or Pf", bytes[1]);
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
