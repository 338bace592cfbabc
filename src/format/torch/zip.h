/* The directory of a zip archive in memory: ZIP64, stored members only.
 * Source: APPNOTE.TXT 6.3.9 (PKWARE), sections 4.3 and 4.5.3. */
#ifndef FORMAT_TORCH_ZIP_H
#define FORMAT_TORCH_ZIP_H

#include "base/status.h"

typedef struct tw_zip_entry {
    const uint8_t *name; /* inside the archive's bytes; not NUL-terminated */
    size_t n_name;
    uint64_t offset; /* of the local header */
    uint64_t n_packed, n_bytes;
    uint64_t limit; /* where the next member or the directory begins */
    uint16_t flags, method;
} tw_zip_entry;

typedef struct tw_zip {
    const uint8_t *data;
    size_t n_data;
    tw_zip_entry *entries; /* [n_entries], sorted by name */
    size_t n_entries;
    const uint8_t *first_name; /* of the directory's first entry */
    size_t n_first_name;
} tw_zip;

/* Reads the central directory of data[0..n), which must outlive the archive. Names that occur
 * twice and members that overlap are TW_ERR_FORMAT. No member's bytes are touched. */
tw_status tw_zip_open(const void *data, size_t n_bytes, tw_zip *out, tw_error *err);
void tw_zip_free(tw_zip *zip);

/* NULL when there is no such member. */
const tw_zip_entry *tw_zip_find(const tw_zip *zip, const void *name, size_t n_name);

/* The bytes of a stored member, found through its local header. A compressed or encrypted one is
 * TW_ERR_UNSUPPORTED. */
tw_status tw_zip_member(const tw_zip *zip, const tw_zip_entry *entry, const uint8_t **data,
                        size_t *n_bytes, tw_error *err);

#endif
