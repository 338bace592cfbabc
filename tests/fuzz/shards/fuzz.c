/* An index of shards of any bytes: refused with a message, or names that stay in their folder. */
#include "format/shards.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_shard_index index;
    tw_error err = TW_ERROR_INIT;
    tw_is_shard_index(data, n_bytes);
    tw_status status = tw_shard_index_parse(data, n_bytes, "index.json", &index, &err);
    if (status != err.status || (status != TW_OK && (!err.message[0] || index.doc))) abort();
    if (status != TW_OK) return 0;
    if (index.n_shards < 1 || index.n_shards > index.n_entries) abort();
    for (size_t i = 0; i < index.n_shards; i++) {
        const char *s = index.shards[i];
        if (!*s || strpbrk(s, "/\\:\n") || strcmp(s, "..") == 0 || strcmp(s, "index.json") == 0)
            abort();
    }
    for (size_t i = 0; i < index.n_entries; i++)
        if (tw_shard_index_find(&index, index.entries[i].tensor) != &index.entries[i]) abort();
    tw_shard_index_free(&index);
    return 0;
}
