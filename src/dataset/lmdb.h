/* The records of an LMDB database file (data.mdb), read-only. Own reader: liblmdb trusts the file,
 * and a damaged one makes it read outside the mapping. Of the format only what Chinese-CLIP's data
 * sets have: 64-bit little-endian, one unnamed database, one value a key.
 * Source: LMDB 0.9 mdb.c, the page and node layouts. */
#ifndef DATASET_LMDB_H
#define DATASET_LMDB_H

#include "base/status.h"

typedef struct tw_lmdb_record {
    const uint8_t
        *key; /* borrowed from the file, as is the value: a range of it, inside it always */
    size_t n_key;
    uint64_t offset, n_bytes;
} tw_lmdb_record;

/* Calls `each` for every record in the order of a cursor, which is that of the keys' bytes; stops
 * at its first failure. Errors: TW_ERR_FORMAT (not LMDB, damaged, truncated), TW_ERR_UNSUPPORTED
 * (another version, duplicates, named databases). */
tw_status tw_lmdb_each(const void *data, size_t n_bytes,
                       tw_status (*each)(void *user, const tw_lmdb_record *record, tw_error *err),
                       void *user, tw_error *err);

#endif
