/* Source: TIFF 6.0, section 2; CIPA DC-008 (Exif), 4.6.4: tag 0x0112 in IFD0. */
#include "image/exif.h"

#include "base/bytes.h"
#include "base/size.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

int tw_exif_orientation(const uint8_t *tiff, size_t n_bytes) {
    if (n_bytes < 8) return 1;
    bool big;
    if (memcmp(tiff, "II*\0", 4) == 0)
        big = false;
    else if (memcmp(tiff, "MM\0*", 4) == 0)
        big = true;
    else
        return 1;
    uint32_t ifd = big ? tw_load_u32be(tiff + 4) : tw_load_u32le(tiff + 4);
    if (!tw_range_ok(ifd, 2, n_bytes)) return 1;
    const uint8_t *entry = tiff + ifd + 2;
    size_t n_entries = big ? tw_load_u16be(tiff + ifd) : tw_load_u16le(tiff + ifd);
    n_entries = TW_MIN(n_entries, (n_bytes - ifd - 2) / ENTRY_BYTES);
    uint32_t orientation = 1;
    for (; n_entries > 0; n_entries--, entry += ENTRY_BYTES) {
        uint32_t tag = big ? tw_load_u16be(entry) : tw_load_u16le(entry);
        uint32_t type = big ? tw_load_u16be(entry + 2) : tw_load_u16le(entry + 2);
        uint32_t count = big ? tw_load_u32be(entry + 4) : tw_load_u32le(entry + 4);
        if (tag != TAG_ORIENTATION || count != 1) continue;
        if (type == TYPE_SHORT)
            orientation = big ? tw_load_u16be(entry + 8) : tw_load_u16le(entry + 8);
        else if (type == TYPE_LONG)
            orientation = big ? tw_load_u32be(entry + 8) : tw_load_u32le(entry + 8);
    }
    return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
}
