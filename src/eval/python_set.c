#include "eval/python_set.h"

#include <stdlib.h>

#define LINEAR_PROBES 9
#define PERTURB_SHIFT 5
#define MIN_SLOTS 8

typedef struct set {
    struct slot {
        int64_t id;
        uint8_t state; /* 0 free, 1 used, 2 removed */
    } * slots;
    size_t mask, used, fill;
} set;

/* hash(int): the value modulo 2^61 - 1 with the sign of the value, and never -1. */
static size_t hash(int64_t id) {
    const uint64_t modulus = ((uint64_t)1 << 61) - 1;
    uint64_t magnitude = id < 0 ? 0 - (uint64_t)id : (uint64_t)id;
    uint64_t h = magnitude % modulus;
    if (id >= 0) return (size_t)h;
    return h == 1 ? (size_t)-2 : (size_t)(0 - h);
}

static bool make(set *s, size_t n_slots) {
    *s = (set){.slots = calloc(n_slots, sizeof *s->slots), .mask = n_slots - 1};
    return s->slots != NULL;
}

/* The first free slot on the way of `id`, which is not in the set. */
static struct slot *free_slot(const set *s, int64_t id) {
    size_t perturb = hash(id), i = perturb & s->mask;
    for (;;) {
        size_t n_probes = i + LINEAR_PROBES <= s->mask ? LINEAR_PROBES : 0;
        for (size_t k = 0; k <= n_probes; k++)
            if (!s->slots[i + k].state) return &s->slots[i + k];
        perturb >>= PERTURB_SHIFT;
        i = (i * 5 + 1 + perturb) & s->mask;
    }
}

static void insert(set *s, int64_t id) {
    *free_slot(s, id) = (struct slot){id, 1};
    s->used++;
    s->fill++;
}

/* A table of more than n_min slots, filled in the order of the old one. */
static bool resize(set *s, size_t n_min) {
    size_t n_slots = MIN_SLOTS;
    while (n_slots <= n_min)
        n_slots *= 2;
    set grown;
    if (!make(&grown, n_slots)) return false;
    for (size_t i = 0; i <= s->mask; i++)
        if (s->slots[i].state == 1) insert(&grown, s->slots[i].id);
    free(s->slots);
    *s = grown;
    return true;
}

static size_t grown_size(const set *s) {
    return s->used > 50000 ? s->used * 2 : s->used * 4;
}

static bool add(set *s, int64_t id) {
    insert(s, id);
    return s->fill * 5 < s->mask * 3 || resize(s, grown_size(s));
}

/* What is left of a set when most of it may stay: a copy, from which the others are removed. */
static bool copy_and_remove(const set *all, bool (*lacks)(const void *user, int64_t id),
                            const void *user, set *out) {
    if (!make(out, MIN_SLOTS)) return false;
    if (all->used * 5 >= out->mask * 3 && !resize(out, all->used * 2)) return false;
    for (size_t i = 0; i <= all->mask; i++) {
        if (all->slots[i].state != 1) continue;
        if (out->mask == all->mask) { /* of the same size: slot by slot */
            out->slots[i] = all->slots[i];
            out->used++;
            out->fill++;
        } else {
            insert(out, all->slots[i].id);
        }
    }
    for (size_t i = 0; i <= out->mask; i++)
        if (out->slots[i].state == 1 && !lacks(user, out->slots[i].id)) {
            out->slots[i].state = 2;
            out->used--;
        }
    return out->fill - out->used <= out->mask / 4 || resize(out, grown_size(out));
}

static bool subtract(const set *all, size_t n_other, bool (*lacks)(const void *user, int64_t id),
                     const void *user, set *out) {
    if (all->used / 4 > n_other) return copy_and_remove(all, lacks, user, out);
    if (!make(out, MIN_SLOTS)) return false;
    for (size_t i = 0; i <= all->mask; i++)
        if (all->slots[i].state == 1 && lacks(user, all->slots[i].id) &&
            !add(out, all->slots[i].id))
            return false;
    return true;
}

tw_status tw_python_set_difference(const int64_t *all, size_t n_all, size_t n_other,
                                   bool (*lacks)(const void *user, int64_t id), const void *user,
                                   int64_t **out, size_t *n_out, tw_error *err) {
    *out = NULL;
    *n_out = 0;
    set whole = {0}, rest = {0};
    bool ok = make(&whole, MIN_SLOTS);
    for (size_t i = 0; i < n_all && ok; i++)
        ok = add(&whole, all[i]);
    ok = ok && subtract(&whole, n_other, lacks, user, &rest);
    if (ok) *out = calloc(rest.used ? rest.used : 1, sizeof **out);
    for (size_t i = 0; *out && i <= rest.mask; i++)
        if (rest.slots[i].state == 1) (*out)[(*n_out)++] = rest.slots[i].id;
    free(whole.slots);
    free(rest.slots);
    return *out ? TW_OK : tw_fail_no_memory(err, n_all * 4 * sizeof(struct slot));
}
