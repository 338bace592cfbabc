#define _GNU_SOURCE
#include "dataset/id_map.h"

#include <stdlib.h>

/* Mixed well, so that ids in steps (or chosen to collide) do not pile up: the finaliser of
 * splitmix64. */
static size_t hash(int64_t id) {
    uint64_t x = (uint64_t)id + 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (size_t)(x ^ (x >> 31));
}

/* The slot of `id`, or the free one where it would go. */
static struct tw_id_slot *find(const tw_id_map *map, int64_t id) {
    size_t at = hash(id) & (map->n_slots - 1);
    while (map->slots[at].index != TW_NO_INDEX && map->slots[at].id != id)
        at = (at + 1) & (map->n_slots - 1);
    return &map->slots[at];
}

static tw_status grow(tw_id_map *map, tw_error *err) {
    tw_id_map grown = {.n = map->n, .n_slots = map->n_slots ? map->n_slots * 2 : 64};
    grown.slots = reallocarray(NULL, grown.n_slots, sizeof *grown.slots);
    if (!grown.slots) return tw_fail_no_memory(err, grown.n_slots * sizeof *grown.slots);
    for (size_t i = 0; i < grown.n_slots; i++)
        grown.slots[i].index = TW_NO_INDEX;
    for (size_t i = 0; i < map->n_slots; i++)
        if (map->slots[i].index != TW_NO_INDEX) *find(&grown, map->slots[i].id) = map->slots[i];
    free(map->slots);
    *map = grown;
    return TW_OK;
}

tw_status tw_id_map_put(tw_id_map *map, int64_t id, size_t index, size_t *before, tw_error *err) {
    if (2 * (map->n + 1) >= map->n_slots) TW_TRY(grow(map, err));
    struct tw_id_slot *slot = find(map, id);
    *before = slot->index;
    map->n += slot->index == TW_NO_INDEX;
    *slot = (struct tw_id_slot){id, index};
    return TW_OK;
}

size_t tw_id_map_get(const tw_id_map *map, int64_t id) {
    return map->n_slots ? find(map, id)->index : TW_NO_INDEX;
}

void tw_id_map_free(tw_id_map *map) {
    free(map->slots);
    *map = (tw_id_map){0};
}
