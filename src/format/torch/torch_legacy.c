#include "base/bytes.h"
#include "base/size.h"
#include "format/torch/rebuild.h"
#include "format/torch/torch.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL 1001

/* A storage and where its elements begin; data is NULL until the list of keys has been walked. */
typedef struct entry {
    tw_torch_storage storage;
    const uint8_t *data;
} entry;

typedef struct legacy {
    const uint8_t *data;
    size_t n, at;
    tw_pickle *pickle;
    entry *entries; /* [n_entries], sorted by key, each key once */
    size_t n_entries;
} legacy;

/* The next of the pickles that the file begins with. */
static tw_status next_pickle(legacy *f, const char *what, tw_pickle **out, tw_error *err) {
    size_t n_used = 0;
    tw_status status = tw_pickle_parse(f->data + f->at, f->n - f->at, out, &n_used, err);
    if (status != TW_OK) tw_error_context(err, "%s, from byte %zu", what, f->at);
    f->at += n_used;
    return status;
}

/* ------------------------------------------------------------------------------------- header */

static bool is_magic(const tw_pickle_value *v) {
    static const uint8_t magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    return v->kind == TW_PICKLE_LONG && v->n == sizeof magic &&
           memcmp(v->u.bytes, magic, sizeof magic) == 0;
}

static tw_status check_magic(legacy *f, tw_error *err) {
    tw_pickle *p = NULL;
    TW_TRY(next_pickle(f, "magic number", &p, err));
    bool ok = is_magic(tw_pickle_root(p));
    tw_pickle_free(p);
    if (ok) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT,
                   "a pickle without torch's magic number: not a torch checkpoint");
}

static tw_status check_protocol(legacy *f, tw_error *err) {
    tw_pickle *p = NULL;
    TW_TRY(next_pickle(f, "protocol version", &p, err));
    tw_pickle_value root = *tw_pickle_root(p);
    tw_pickle_free(p);
    if (root.kind != TW_PICKLE_INT)
        return tw_fail(err, TW_ERR_FORMAT, "protocol version is not an integer");
    if (root.u.integer == PROTOCOL) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "protocol version %lld, expected %d",
                   (long long)root.u.integer, PROTOCOL);
}

static tw_status check_system(legacy *f, tw_error *err) {
    tw_pickle *p = NULL;
    TW_TRY(next_pickle(f, "system information", &p, err));
    const tw_pickle_value *little = tw_pickle_get(p, tw_pickle_root(p), "little_endian");
    bool is_big = little && little->kind == TW_PICKLE_BOOL && !little->u.boolean;
    tw_pickle_free(p);
    if (!is_big) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "big-endian checkpoint, expected little-endian");
}

/* ----------------------------------------------------------------------------------- storages */

static int compare_keys(const void *a, const void *b) {
    const tw_pickle_value *x = ((const entry *)a)->storage.key,
                          *y = ((const entry *)b)->storage.key;
    int order = memcmp(x->u.bytes, y->u.bytes, TW_MIN(x->n, y->n));
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static entry *find(const legacy *f, const tw_pickle_value *key) {
    entry wanted = {.storage.key = key};
    if (f->n_entries == 0) return NULL;
    return bsearch(&wanted, f->entries, f->n_entries, sizeof wanted, compare_keys);
}

/* ('module', …): the source text of a class, which concerns nobody. */
static bool is_module(const tw_pickle *p, const tw_pickle_value *id) {
    const tw_pickle_value *tag = tw_pickle_item(p, &p->values[id->u.refs[0]], 0);
    return tag && tw_pickle_is_string(tag, "module");
}

/* All storages, the optimizer's too: to find one, those before it have to be skipped. */
static tw_status list_storages(legacy *f, tw_error *err) {
    const tw_pickle *p = f->pickle;
    size_t n = 0;
    for (size_t i = 0; i < p->n_values; i++)
        n += p->values[i].kind == TW_PICKLE_PERSID;
    if (n == 0) return TW_OK;
    f->entries = calloc(n, sizeof *f->entries);
    if (!f->entries) return tw_fail_no_memory(err, n * sizeof *f->entries);
    n = 0;
    for (size_t i = 0; i < p->n_values; i++) {
        const tw_pickle_value *id = &p->values[i];
        if (id->kind != TW_PICKLE_PERSID || is_module(p, id)) continue;
        TW_TRY(tw_torch_read_storage(p, id, &f->entries[n++].storage, err));
    }
    qsort(f->entries, n, sizeof *f->entries, compare_keys);
    for (size_t i = 0; i < n; i++) {
        const tw_torch_storage *s = &f->entries[i].storage;
        const tw_torch_storage *kept = f->n_entries ? &f->entries[f->n_entries - 1].storage : NULL;
        if (!kept || compare_keys(&f->entries[f->n_entries - 1], &f->entries[i]) != 0)
            f->entries[f->n_entries++] = f->entries[i];
        else if (s->dtype != kept->dtype || s->n_elements != kept->n_elements)
            return tw_fail(err, TW_ERR_FORMAT, "storage %.*s has two types or sizes",
                           (int)TW_MIN(s->key->n, 80), (const char *)s->key->u.bytes);
    }
    return TW_OK;
}

/* One storage of the tail: its element count, then its bytes. */
static tw_status place_storage(legacy *f, const tw_pickle_value *key, tw_error *err) {
    if (key->kind != TW_PICKLE_STRING)
        return tw_fail(err, TW_ERR_FORMAT, "list of storage keys: expected strings");
    int n_shown = (int)TW_MIN(key->n, 80);
    const char *name = (const char *)key->u.bytes;
    entry *e = find(f, key);
    if (!e || e->data)
        return tw_fail(err, TW_ERR_FORMAT, "storage %.*s is %s", n_shown, name,
                       e ? "listed twice" : "listed but never used");
    if (f->n - f->at < 8)
        return tw_fail(err, TW_ERR_FORMAT, "storage %.*s: the file ends at byte %zu", n_shown, name,
                       f->n);
    uint64_t n_elements = tw_load_u64le(f->data + f->at);
    if (n_elements != e->storage.n_elements)
        return tw_fail(err, TW_ERR_FORMAT,
                       "byte %zu: storage %.*s has %llu elements, expected %llu", f->at, n_shown,
                       name, (unsigned long long)n_elements,
                       (unsigned long long)e->storage.n_elements);
    f->at += 8;
    if (e->storage.n_bytes > f->n - f->at)
        return tw_fail(err, TW_ERR_FORMAT,
                       "storage %.*s: %llu bytes at byte %zu, the file ends at byte %zu", n_shown,
                       name, (unsigned long long)e->storage.n_bytes, f->at, f->n);
    e->data = f->data + f->at;
    f->at += (size_t)e->storage.n_bytes;
    return TW_OK;
}

static tw_status place_storages(legacy *f, tw_error *err) {
    tw_pickle *keys = NULL;
    TW_TRY(next_pickle(f, "list of storage keys", &keys, err));
    const tw_pickle_value *list = tw_pickle_root(keys), *key;
    tw_status status = TW_OK;
    if (list->kind != TW_PICKLE_LIST)
        status = tw_fail(err, TW_ERR_FORMAT, "list of storage keys: expected a list");
    else
        for (uint32_t c = list->u.cells.first; status == TW_OK && (key = tw_pickle_next(keys, &c));)
            status = place_storage(f, key, err);
    tw_pickle_free(keys);
    return status;
}

static tw_status locate(const void *container, const tw_torch_storage *storage,
                        const uint8_t **data, tw_error *err) {
    const entry *e = find(container, storage->key);
    if (!e || !e->data)
        return tw_fail(err, TW_ERR_FORMAT, "storage %.*s is missing from the list of keys",
                       (int)TW_MIN(storage->key->n, 80), (const char *)storage->key->u.bytes);
    *data = e->data;
    return TW_OK;
}

tw_status tw_torch_read_legacy(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                               tw_error *err) {
    legacy f = {.data = data, .n = n_bytes};
    tw_status status;
    TW_CHECK(check_magic(&f, err));
    TW_CHECK(check_protocol(&f, err));
    TW_CHECK(check_system(&f, err));
    TW_CHECK(next_pickle(&f, "object", &f.pickle, err));
    TW_CHECK(list_storages(&f, err));
    TW_CHECK(place_storages(&f, err));
    const tw_torch_source source = {f.pickle, locate, &f};
    status = tw_torch_collect(&source, out, err);
done:
    tw_pickle_free(f.pickle);
    free(f.entries);
    return status;
}
