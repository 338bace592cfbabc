#include "dataset/base64.h"

/* The six bits of a character, -1 of a foreign one. */
static int value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

tw_status tw_base64_decode(const void *text, size_t n, uint8_t *out, size_t *n_out, tw_error *err) {
    const uint8_t *p = text;
    unsigned bits = 0, n_chars = 0, n_pads = 0; /* of the group of four */
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '=' && n_chars >= 2 && n_chars + ++n_pads >= 4) return TW_OK;
        int value = value_of(p[i]);
        if (value < 0) continue;
        n_pads = 0;
        bits = (bits << 6 | (unsigned)value) & 0xFFFF;
        if (n_chars) out[(*n_out)++] = (uint8_t)(bits >> (6 - 2 * n_chars));
        n_chars = (n_chars + 1) % 4;
    }
    if (!n_chars) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT,
                   n_chars == 1 ? "base64: one character left over" : "base64: padding is missing");
}
