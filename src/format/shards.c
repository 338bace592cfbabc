#include "format/shards.h"

#include "base/size.h"
#include "format/tensor_list.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INDEX_BYTES ((size_t)64 << 20)
#define MAX_SHARD_NAME 255

bool tw_is_shard_index(const uint8_t *data, size_t n_bytes) {
    size_t i = 0;
    while (i < n_bytes && i < 64 && memchr(" \t\r\n", data[i], 4))
        i++;
    return i < n_bytes && data[i] == '{';
}

/* --------------------------------------------------------------------------------------- names */

/* What is wrong with a shard's name; NULL when it stays in the index's folder on any system. */
static const char *find_fault(const tw_json *name, const char *own_name) {
    if (name->type != TW_JSON_STRING) return "is no string";
    if (name->n_string == 0) return "is empty";
    if (name->n_string > MAX_SHARD_NAME) return "is too long";
    for (size_t i = 0; i < name->n_string; i++) {
        unsigned char c = (unsigned char)name->string[i];
        if (c < 0x20 || c == 0x7f) return "has a control character";
        if (c == '/' || c == '\\' || c == ':') return "is not a plain file name";
    }
    if (strcmp(name->string, ".") == 0 || strcmp(name->string, "..") == 0)
        return "is not a plain file name";
    if (own_name && strcmp(name->string, own_name) == 0) return "is the index itself";
    return NULL;
}

static tw_status read_entry(const tw_json *v, const char *own_name, tw_shard_entry *out,
                            tw_error *err) {
    const char *fault = find_fault(v, own_name);
    int shown = (int)TW_MIN(v->n_key, 80);
    if (memchr(v->key, 0, v->n_key))
        return tw_fail(err, TW_ERR_FORMAT, "weight_map: the name '%.*s' has a NUL", shown, v->key);
    if (fault)
        return tw_fail(err, TW_ERR_FORMAT, "weight_map: shard '%.*s' of tensor '%.*s' %s",
                       v->type == TW_JSON_STRING ? (int)TW_MIN(v->n_string, 80) : 0,
                       v->type == TW_JSON_STRING ? v->string : "", shown, v->key, fault);
    *out = (tw_shard_entry){v->key, v->string, false};
    return TW_OK;
}

/* --------------------------------------------------------------------------------------- parse */

static int by_tensor(const void *a, const void *b) {
    return strcmp(((const tw_shard_entry *)a)->tensor, ((const tw_shard_entry *)b)->tensor);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The shards, each once. */
static tw_status list_shards(tw_shard_index *index, tw_error *err) {
    const char **all = malloc(index->n_entries * sizeof *all);
    if (!all) return tw_fail_no_memory(err, index->n_entries * sizeof *all);
    for (size_t i = 0; i < index->n_entries; i++)
        all[i] = index->entries[i].shard;
    qsort(all, index->n_entries, sizeof *all, by_name);
    tw_status status = TW_OK;
    for (size_t i = 0; i < index->n_entries && status == TW_OK; i++) {
        if (i > 0 && strcmp(all[i - 1], all[i]) == 0) continue;
        if (index->n_shards == TW_MAX_SHARDS)
            status = tw_fail(err, TW_ERR_LIMIT, "more than %d shards", TW_MAX_SHARDS);
        else
            index->shards[index->n_shards++] = all[i];
    }
    free(all);
    return status;
}

static tw_status read_map(tw_shard_index *index, const char *own_name, tw_error *err) {
    const tw_json *map = tw_json_get(tw_json_root(index->doc), "weight_map");
    if (!map || map->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT,
                       "no index of shards: 'weight_map' is missing or no object");
    if (map->n_items == 0) return tw_fail(err, TW_ERR_FORMAT, "weight_map is empty");
    if (map->n_items > TW_MAX_TENSORS)
        return tw_fail(err, TW_ERR_LIMIT, "weight_map has %zu tensors, more than the limit of %zu",
                       map->n_items, TW_MAX_TENSORS);
    index->entries = calloc(map->n_items, sizeof *index->entries);
    if (!index->entries) return tw_fail_no_memory(err, map->n_items * sizeof *index->entries);
    for (const tw_json *v = map->first; v; v = v->next)
        TW_TRY(read_entry(v, own_name, &index->entries[index->n_entries++], err));
    qsort(index->entries, index->n_entries, sizeof *index->entries, by_tensor);
    return list_shards(index, err);
}

tw_status tw_shard_index_parse(const void *data, size_t n_bytes, const char *own_name,
                               tw_shard_index *out, tw_error *err) {
    *out = (tw_shard_index){0};
    if (n_bytes > MAX_INDEX_BYTES)
        return tw_fail(err, TW_ERR_LIMIT, "an index of %zu bytes, more than the limit of %zu",
                       n_bytes, MAX_INDEX_BYTES);
    TW_TRY(tw_json_parse(data, n_bytes, &out->doc, err));
    tw_status status = read_map(out, own_name, err);
    if (status != TW_OK) tw_shard_index_free(out);
    return status;
}

void tw_shard_index_free(tw_shard_index *index) {
    free(index->entries);
    tw_json_free(index->doc);
    *index = (tw_shard_index){0};
}

tw_shard_entry *tw_shard_index_find(const tw_shard_index *index, const char *tensor) {
    const tw_shard_entry wanted = {.tensor = tensor};
    return bsearch(&wanted, index->entries, index->n_entries, sizeof *index->entries, by_tensor);
}
