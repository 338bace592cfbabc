/* From 64-bit ids to numbers: where in a list an id stands. */
#ifndef DATASET_ID_MAP_H
#define DATASET_ID_MAP_H

#include "base/status.h"

#define TW_NO_INDEX SIZE_MAX

typedef struct tw_id_map {
    struct tw_id_slot {
        int64_t id;
        size_t index; /* TW_NO_INDEX: free */
    } * slots;
    size_t n, n_slots; /* n_slots is a power of two, more than 2 n */
} tw_id_map;

/* Gives `id` this index. *before is the one it had, or TW_NO_INDEX. */
tw_status tw_id_map_put(tw_id_map *map, int64_t id, size_t index, size_t *before, tw_error *err);

/* The index of `id`, or TW_NO_INDEX. */
size_t tw_id_map_get(const tw_id_map *map, int64_t id);
void tw_id_map_free(tw_id_map *map);

#endif
