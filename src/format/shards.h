/* The index of a checkpoint in several files: model.safetensors.index.json and
 * pytorch_model.bin.index.json, {metadata, weight_map: {tensor: shard}}.
 * Source: transformers utils/hub.py (get_checkpoint_shard_files). */
#ifndef FORMAT_SHARDS_H
#define FORMAT_SHARDS_H

#include "base/json.h"

#define TW_MAX_SHARDS 1024

/* Where the index puts a tensor. */
typedef struct tw_shard_entry {
    const char *tensor;
    const char *shard; /* a bare file name in the index's folder */
    bool seen;
} tw_shard_entry;

typedef struct tw_shard_index {
    tw_json_doc *doc; /* has the strings */
    tw_shard_entry *entries;
    size_t n_entries; /* sorted by tensor */
    const char *shards[TW_MAX_SHARDS];
    size_t n_shards; /* each once, sorted: the order in which they are read */
} tw_shard_index;

/* Whether bytes that are no container look like one: the first that is no white space is '{'. */
bool tw_is_shard_index(const uint8_t *data, size_t n_bytes);

/* `own_name`: the index's file name, which no shard may have; may be NULL. Errors: TW_ERR_FORMAT
 * (no weight_map, one that is empty, a shard's name that is no plain file name or the index's own),
 * TW_ERR_LIMIT. *out is empty after an error. */
tw_status tw_shard_index_parse(const void *data, size_t n_bytes, const char *own_name,
                               tw_shard_index *out, tw_error *err);
void tw_shard_index_free(tw_shard_index *index);

/* The entry of a tensor, or NULL. */
tw_shard_entry *tw_shard_index_find(const tw_shard_index *index, const char *tensor);

#endif
