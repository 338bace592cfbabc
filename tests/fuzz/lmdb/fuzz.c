/* An LMDB file: refused with a message, or every key and value lies inside it. The reader belongs
 * to the command, not to the library, so its source is taken in here. */
#include "dataset/lmdb.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

typedef struct database {
    const uint8_t *data;
    size_t n_bytes;
    unsigned sum;
} database;

static tw_status take(void *user, const tw_lmdb_record *record, tw_error *err) {
    database *d = user;
    size_t at = (size_t)(record->key - d->data);
    if (!tw_range_ok(at, record->n_key, d->n_bytes)) abort();
    if (!tw_range_ok(record->offset, record->n_bytes, d->n_bytes)) abort();
    if (record->n_key) d->sum += record->key[0] + record->key[record->n_key - 1];
    if (record->n_bytes)
        d->sum += d->data[record->offset] + d->data[record->offset + record->n_bytes - 1];
    return TW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    database d = {data, n_bytes, 0};
    tw_error err = TW_ERROR_INIT;
    if (tw_lmdb_each(data, n_bytes, take, &d, &err) != TW_OK && err.message[0] == '\0') abort();
    return 0;
}
