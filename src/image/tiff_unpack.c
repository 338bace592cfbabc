/* Source: TIFF 6.0, sections 9 and 13; Adobe Photoshop TIFF technical notes (Deflate); zlib.h. */
#include "image/tiff_unpack.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/size.h"

enum { CLEAR = 256, END = 257, N_CODES = 4096 };

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

/* Never writes more than is wanted, so a small strip cannot grow beyond its picture. */
static bool unpack_deflate(z_stream *z, const uint8_t *src, size_t n_src, uint8_t *dst,
                           size_t n_dst) {
    if (inflateReset(z) != Z_OK) return false;
    z->next_in = (z_const Bytef *)src;
    z->next_out = dst;
    while (n_dst > 0) {
        uInt give = (uInt)TW_MIN(n_src, (size_t)UINT_MAX),
             want = (uInt)TW_MIN(n_dst, (size_t)UINT_MAX);
        z->avail_in = give;
        z->avail_out = want;
        int result = inflate(z, Z_SYNC_FLUSH);
        n_src -= give - z->avail_in;
        n_dst -= want - z->avail_out;
        if (result == Z_STREAM_END) return n_dst == 0;
        if (result != Z_OK) return false; /* the checksum too, where the stream gets that far */
    }
    return true;
}

struct tw_tiff_unpacker {
    uint32_t compression;
    bool inflating; /* z needs an end */
    tw_tiff_jpeg jpeg;
    lzw lzw;
    z_stream z;
};

tw_tiff_unpacker *tw_tiff_unpacker_create(uint32_t compression, const tw_tiff_jpeg *jpeg) {
    tw_tiff_unpacker *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    u->compression = compression;
    u->jpeg = *jpeg;
    for (unsigned i = 0; i < 256; i++) {
        u->lzw.length[i] = 1;
        u->lzw.value[i] = u->lzw.first[i] = (uint8_t)i;
    }
    if (compression != TW_TIFF_DEFLATE && compression != TW_TIFF_DEFLATE_OLD) return u;
    u->inflating = inflateInit(&u->z) == Z_OK;
    if (u->inflating) return u;
    free(u);
    return NULL;
}

void tw_tiff_unpacker_free(tw_tiff_unpacker *u) {
    if (u && u->inflating) inflateEnd(&u->z);
    free(u);
}

bool tw_tiff_unpack(tw_tiff_unpacker *u, const uint8_t *src, size_t n_src, uint8_t *dst,
                    size_t n_dst) {
    switch (u->compression) {
    case TW_TIFF_LZW:
        return unpack_lzw(&u->lzw, src, n_src, dst, n_dst);
    case TW_TIFF_JPEG:
        return tw_tiff_unpack_jpeg(&u->jpeg, src, n_src, dst, n_dst);
    case TW_TIFF_PACKBITS:
        return unpack_packbits(src, n_src, dst, n_dst);
    default:
        return unpack_deflate(&u->z, src, n_src, dst, n_dst);
    }
}
