/* Source: TIFF 6.0, section 2; the BigTIFF proposal of libtiff's documentation. */
#include "image/tiff_tags.h"

#include "base/bytes.h"
#include "base/size.h"

enum { BYTE = 1, SHORT = 3, LONG = 4, UNDEFINED = 7, LONG8 = 16 }; /* UNDEFINED: bytes */

uint32_t tw_tiff_u16(const tw_tiff_file *f, const uint8_t *p) {
    return f->big ? tw_load_u16be(p) : tw_load_u16le(p);
}
uint32_t tw_tiff_u32(const tw_tiff_file *f, const uint8_t *p) {
    return f->big ? tw_load_u32be(p) : tw_load_u32le(p);
}

static uint64_t load_u64(const tw_tiff_file *f, const uint8_t *p) {
    uint64_t first = tw_tiff_u32(f, p), second = tw_tiff_u32(f, p + 4);
    return f->big ? first << 32 | second : second << 32 | first;
}
/* A count or an offset. */
static uint64_t load_size(const tw_tiff_file *f, const uint8_t *p) {
    return f->wide ? load_u64(f, p) : tw_tiff_u32(f, p);
}

static size_t entry_bytes(const tw_tiff_file *f) {
    return f->wide ? 20 : 12;
}

static uint64_t type_bytes(uint32_t type) {
    return type == BYTE || type == UNDEFINED ? 1
           : type == SHORT                   ? 2
           : type == LONG                    ? 4
           : type == LONG8                   ? 8
                                             : 0;
}

tw_status tw_tiff_find(const tw_tiff_file *f, uint32_t id, tw_tiff_tag *out, tw_error *err) {
    *out = (tw_tiff_tag){0};
    size_t room = f->wide ? 8 : 4;
    for (uint64_t i = 0; i < f->n_entries; i++) {
        const uint8_t *p = f->bytes + f->entries + entry_bytes(f) * (size_t)i;
        if (tw_tiff_u16(f, p) != id) continue;
        uint32_t type = tw_tiff_u16(f, p + 2);
        const uint8_t *values = p + 4 + room;
        uint64_t n = load_size(f, p + 4), size, at = (uint64_t)(values - f->bytes);
        bool fits = tw_mul_u64(n, type_bytes(type), &size);
        if (size > room) at = load_size(f, values);
        if (!fits || size == 0 || !tw_range_ok(at, size, f->n_bytes))
            return tw_fail(err, TW_ERR_FORMAT,
                           "tiff: tag %u has %llu values of type %u at byte %llu", id,
                           (unsigned long long)n, type, (unsigned long long)at);
        *out = (tw_tiff_tag){f->bytes + at, type, n};
        return TW_OK;
    }
    return TW_OK;
}

uint64_t tw_tiff_value(const tw_tiff_file *f, const tw_tiff_tag *t, uint64_t i) {
    const uint8_t *p = t->values + type_bytes(t->type) * i;
    return t->type == LONG8   ? load_u64(f, p)
           : t->type == LONG  ? tw_tiff_u32(f, p)
           : t->type == SHORT ? tw_tiff_u16(f, p)
                              : *p;
}

tw_status tw_tiff_number(const tw_tiff_file *f, uint32_t id, uint32_t otherwise, uint32_t *out,
                         tw_error *err) {
    tw_tiff_tag t;
    TW_TRY(tw_tiff_find(f, id, &t, err));
    uint64_t v = t.n ? tw_tiff_value(f, &t, 0) : otherwise;
    if (v > UINT32_MAX)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: tag %u is %llu", id, (unsigned long long)v);
    *out = (uint32_t)v;
    return TW_OK;
}

tw_status tw_tiff_same_number(const tw_tiff_file *f, uint32_t id, uint32_t n, uint32_t otherwise,
                              uint32_t *out, tw_error *err) {
    tw_tiff_tag t;
    TW_TRY(tw_tiff_number(f, id, otherwise, out, err));
    TW_TRY(tw_tiff_find(f, id, &t, err));
    for (uint32_t i = 1; i < t.n && i < n; i++)
        if (tw_tiff_value(f, &t, i) != *out)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: tag %u differs between samples", id);
    return TW_OK;
}

tw_status tw_tiff_read_directory(const uint8_t *bytes, size_t n_bytes, tw_tiff_file *f,
                                 tw_error *err) {
    *f = (tw_tiff_file){.bytes = bytes, .n_bytes = n_bytes};
    if (f->n_bytes < 8)
        return tw_fail(err, TW_ERR_FORMAT, "tiff: truncated: %zu bytes", f->n_bytes);
    f->big = f->bytes[0] == 'M';
    uint32_t version = tw_tiff_u16(f, f->bytes + 2);
    f->wide = version == 43;
    if (version != 42 && !(f->wide && f->n_bytes >= 16 && tw_tiff_u16(f, f->bytes + 4) == 8))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tiff: version %u, expected 42 or 43", version);
    uint64_t at = load_size(f, f->bytes + (f->wide ? 8 : 4)), needed;
    size_t head = f->wide ? 8 : 2;
    if (!tw_range_ok(at, head, f->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "tiff: directory at byte %llu of %zu",
                       (unsigned long long)at, f->n_bytes);
    f->entries = (size_t)at + head;
    f->n_entries = f->wide ? load_u64(f, f->bytes + at) : tw_tiff_u16(f, f->bytes + at);
    if (tw_mul_u64(f->n_entries, entry_bytes(f), &needed) &&
        tw_range_ok(f->entries, needed, f->n_bytes))
        return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT,
                   "tiff: truncated in a directory of %llu entries at byte %llu",
                   (unsigned long long)f->n_entries, (unsigned long long)at);
}
