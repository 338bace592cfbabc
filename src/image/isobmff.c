/* Source: ISO/IEC 14496-12, 4.3; ISO/IEC 23008-12, 10; Pillow src/PIL/AvifImagePlugin.py. */
#include "image/isobmff.h"

#include <string.h>

#include "base/bytes.h"
#include "base/size.h"

enum { HEAD = 8, BRAND = 4, MINOR_VERSION = 4 };

static const struct {
    char brand[BRAND + 1];
    tw_isobmff kind;
} brands[] = {
    {"avif", TW_ISOBMFF_AVIF}, {"avis", TW_ISOBMFF_AVIF}, {"heic", TW_ISOBMFF_HEIF},
    {"heix", TW_ISOBMFF_HEIF}, {"heim", TW_ISOBMFF_HEIF}, {"heis", TW_ISOBMFF_HEIF},
    {"hevc", TW_ISOBMFF_HEIF}, {"hevx", TW_ISOBMFF_HEIF}, {"hevm", TW_ISOBMFF_HEIF},
    {"hevs", TW_ISOBMFF_HEIF},
};

static tw_isobmff kind_of(const uint8_t *brand) {
    for (size_t i = 0; i < TW_COUNT(brands); i++)
        if (memcmp(brand, brands[i].brand, BRAND) == 0) return brands[i].kind;
    return TW_ISOBMFF_OTHER;
}

tw_isobmff tw_isobmff_kind(const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes < HEAD + BRAND || memcmp(bytes + 4, "ftyp", 4) != 0) return TW_ISOBMFF_OTHER;
    const uint8_t *major = bytes + HEAD;
    tw_isobmff kind = kind_of(major);
    if (kind != TW_ISOBMFF_OTHER) return kind;
    if (memcmp(major, "mif1", BRAND) != 0 && memcmp(major, "msf1", BRAND) != 0) return kind;
    size_t end = TW_MIN((size_t)tw_load_u32be(bytes), n_bytes);
    for (size_t at = HEAD + BRAND + MINOR_VERSION; at + BRAND <= end; at += BRAND)
        if (kind_of(bytes + at) == TW_ISOBMFF_AVIF) return TW_ISOBMFF_AVIF;
    return TW_ISOBMFF_HEIF;
}
