#include "format/torch/zip.h"

#include "base/bytes.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES ((uint64_t)1 << 20)
#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR64_BYTES 20
#define CENTRAL_BYTES 46
#define LOCAL_BYTES 30
#define FLAG_ENCRYPTED 1

static const uint8_t end_magic[4] = {'P', 'K', 5, 6}, end64_magic[4] = {'P', 'K', 6, 6},
                     locator64_magic[4] = {'P', 'K', 6, 7}, central_magic[4] = {'P', 'K', 1, 2},
                     local_magic[4] = {'P', 'K', 3, 4};

static int shown(size_t n_name) {
    return n_name < 120 ? (int)n_name : 120;
}

/* Where the central directory lies, from the end record or its 64-bit twin. */
typedef struct directory {
    uint64_t offset, n_bytes, n_entries;
    uint64_t end; /* where the end records begin: the directory must end before */
} directory;

/* The last end record whose comment reaches exactly to the end of the file. */
static tw_status find_end(const uint8_t *data, size_t n, size_t *at, tw_error *err) {
    size_t furthest = n > END_BYTES + 0xFFFF ? n - END_BYTES - 0xFFFF : 0;
    for (size_t i = n >= END_BYTES ? n - END_BYTES + 1 : 0; i-- > furthest;) {
        if (memcmp(data + i, end_magic, 4) != 0) continue;
        if (tw_load_u16le(data + i + 20) != n - i - END_BYTES) continue;
        *at = i;
        return TW_OK;
    }
    return tw_fail(err, TW_ERR_FORMAT,
                   "zip: no end record in the last %zu of %zu bytes; is the file truncated?",
                   n - furthest, n);
}

/* A field of the plain record must be saturated or agree with the 64-bit one. */
static bool agrees(uint64_t plain, uint64_t saturated, uint64_t wide) {
    return plain == saturated || plain == wide;
}

static tw_status read_end64(const uint8_t *data, size_t at_end, directory *d, tw_error *err) {
    size_t at_locator = at_end - LOCATOR64_BYTES;
    uint64_t at = tw_load_u64le(data + at_locator + 8);
    if (!tw_range_ok(at, END64_BYTES, at_locator) || memcmp(data + at, end64_magic, 4) != 0)
        return tw_fail(err, TW_ERR_FORMAT,
                       "zip: byte %zu: locator of a 64-bit end record at byte "
                       "%llu, where there is none",
                       at_locator, (unsigned long long)at);
    const uint8_t *p = data + at;
    if (tw_load_u32le(p + 16) != 0 || tw_load_u32le(p + 20) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "zip: archive in several parts");
    directory wide = {.n_entries = tw_load_u64le(p + 32),
                      .n_bytes = tw_load_u64le(p + 40),
                      .offset = tw_load_u64le(p + 48),
                      .end = at};
    if (!agrees(d->n_entries, 0xFFFF, wide.n_entries) ||
        !agrees(d->n_bytes, 0xFFFFFFFF, wide.n_bytes) ||
        !agrees(d->offset, 0xFFFFFFFF, wide.offset))
        return tw_fail(err, TW_ERR_FORMAT, "zip: byte %zu: the two end records disagree", at_end);
    *d = wide;
    return TW_OK;
}

static tw_status find_directory(const uint8_t *data, size_t n, directory *d, tw_error *err) {
    size_t at = 0;
    TW_TRY(find_end(data, n, &at, err));
    const uint8_t *p = data + at;
    uint16_t disk = tw_load_u16le(p + 4), start_disk = tw_load_u16le(p + 6);
    if ((disk != 0 && disk != 0xFFFF) || (start_disk != 0 && start_disk != 0xFFFF))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "zip: archive in several parts");
    *d = (directory){.n_entries = tw_load_u16le(p + 10),
                     .n_bytes = tw_load_u32le(p + 12),
                     .offset = tw_load_u32le(p + 16),
                     .end = at};
    if (at >= LOCATOR64_BYTES && memcmp(p - LOCATOR64_BYTES, locator64_magic, 4) == 0)
        TW_TRY(read_end64(data, at, d, err));
    if (!tw_range_ok(d->offset, d->n_bytes, d->end))
        return tw_fail(err, TW_ERR_FORMAT,
                       "zip: directory of %llu bytes at byte %llu, beyond its end record at %llu",
                       (unsigned long long)d->n_bytes, (unsigned long long)d->offset,
                       (unsigned long long)d->end);
    if (d->n_entries > MAX_ENTRIES)
        return tw_fail(err, TW_ERR_LIMIT, "zip: %llu members, more than the limit of %llu",
                       (unsigned long long)d->n_entries, (unsigned long long)MAX_ENTRIES);
    if (d->n_entries == 0) return tw_fail(err, TW_ERR_FORMAT, "zip: no members");
    if (d->n_entries > d->n_bytes / CENTRAL_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "zip: %llu members in a directory of %llu bytes",
                       (unsigned long long)d->n_entries, (unsigned long long)d->n_bytes);
    return TW_OK;
}

/* The ZIP64 extra field holds, in this order, those values that are saturated in the header. */
static bool read_extra64(const uint8_t *extra, size_t n_extra, tw_zip_entry *e) {
    uint64_t *wide[3] = {&e->n_bytes, &e->n_packed, &e->offset};
    bool saturated = false;
    for (int i = 0; i < 3; i++)
        saturated |= *wide[i] == 0xFFFFFFFF;
    if (!saturated) return true;
    while (n_extra >= 4) {
        size_t id = tw_load_u16le(extra), n = tw_load_u16le(extra + 2);
        extra += 4;
        n_extra -= 4;
        if (n > n_extra) return false;
        if (id != 1) {
            extra += n;
            n_extra -= n;
            continue;
        }
        for (int i = 0; i < 3; i++) {
            if (*wide[i] != 0xFFFFFFFF) continue;
            if (n < 8) return false;
            *wide[i] = tw_load_u64le(extra);
            extra += 8;
            n -= 8;
        }
        return true;
    }
    return false;
}

static tw_status read_central(const tw_zip *zip, uint64_t *at, uint64_t end, tw_zip_entry *e,
                              tw_error *err) {
    const uint8_t *p = zip->data + *at;
    if (end - *at < CENTRAL_BYTES || memcmp(p, central_magic, 4) != 0)
        return tw_fail(err, TW_ERR_FORMAT, "zip: byte %llu: expected a directory entry",
                       (unsigned long long)*at);
    size_t n_name = tw_load_u16le(p + 28), n_extra = tw_load_u16le(p + 30),
           n_comment = tw_load_u16le(p + 32);
    size_t total = CENTRAL_BYTES + n_name + n_extra + n_comment;
    if (total > end - *at)
        return tw_fail(err, TW_ERR_FORMAT, "zip: byte %llu: directory entry beyond the directory",
                       (unsigned long long)*at);
    *e = (tw_zip_entry){.name = p + CENTRAL_BYTES,
                        .n_name = n_name,
                        .flags = tw_load_u16le(p + 8),
                        .method = tw_load_u16le(p + 10),
                        .n_packed = tw_load_u32le(p + 20),
                        .n_bytes = tw_load_u32le(p + 24),
                        .offset = tw_load_u32le(p + 42)};
    if (!read_extra64(p + CENTRAL_BYTES + n_name, n_extra, e))
        return tw_fail(err, TW_ERR_FORMAT, "zip: byte %llu: 64-bit sizes are missing",
                       (unsigned long long)*at);
    *at += total;
    return TW_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const tw_zip_entry *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int compare_names(const void *a, const void *b) {
    const tw_zip_entry *x = a, *y = b;
    int order = memcmp(x->name, y->name, TW_MIN(x->n_name, y->n_name));
    return order ? order : (x->n_name > y->n_name) - (x->n_name < y->n_name);
}

/* Fills `limit`. The local extra field is not known without reading the local header, so here a
 * member's extent is at least its header, name and bytes; tw_zip_member checks the rest. */
static tw_status check_extents(tw_zip *zip, uint64_t directory_offset, tw_error *err) {
    qsort(zip->entries, zip->n_entries, sizeof *zip->entries, compare_offsets);
    for (size_t i = 0; i < zip->n_entries; i++) {
        tw_zip_entry *e = &zip->entries[i];
        e->limit = i + 1 < zip->n_entries ? e[1].offset : directory_offset;
        uint64_t n;
        if (!tw_add_u64(e->n_packed, LOCAL_BYTES + e->n_name, &n) ||
            !tw_range_ok(e->offset, n, e->limit))
            return tw_fail(err, TW_ERR_FORMAT,
                           "zip: member %.*s: %llu bytes at byte %llu reach beyond byte %llu",
                           shown(e->n_name), (const char *)e->name, (unsigned long long)e->n_packed,
                           (unsigned long long)e->offset, (unsigned long long)e->limit);
    }
    return TW_OK;
}

static tw_status read_directory(tw_zip *zip, tw_error *err) {
    directory d = {0};
    TW_TRY(find_directory(zip->data, zip->n_data, &d, err));
    zip->entries = malloc((size_t)d.n_entries * sizeof *zip->entries);
    if (!zip->entries) return tw_fail_no_memory(err, (size_t)d.n_entries * sizeof *zip->entries);
    uint64_t at = d.offset, end = d.offset + d.n_bytes;
    for (; zip->n_entries < d.n_entries; zip->n_entries++)
        TW_TRY(read_central(zip, &at, end, &zip->entries[zip->n_entries], err));
    if (at != end)
        return tw_fail(err, TW_ERR_FORMAT,
                       "zip: byte %llu: %llu bytes after the last entry of "
                       "the directory",
                       (unsigned long long)at, (unsigned long long)(end - at));
    zip->first_name = zip->entries[0].name;
    zip->n_first_name = zip->entries[0].n_name;
    TW_TRY(check_extents(zip, d.offset, err));
    qsort(zip->entries, zip->n_entries, sizeof *zip->entries, compare_names);
    for (size_t i = 1; i < zip->n_entries; i++) {
        const tw_zip_entry *e = &zip->entries[i];
        if (compare_names(e - 1, e) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "zip: member %.*s occurs twice", shown(e->n_name),
                           (const char *)e->name);
    }
    return TW_OK;
}

tw_status tw_zip_open(const void *data, size_t n_bytes, tw_zip *out, tw_error *err) {
    *out = (tw_zip){.data = data, .n_data = n_bytes};
    tw_status status = read_directory(out, err);
    if (status != TW_OK) tw_zip_free(out);
    return status;
}

void tw_zip_free(tw_zip *zip) {
    free(zip->entries);
    *zip = (tw_zip){0};
}

const tw_zip_entry *tw_zip_find(const tw_zip *zip, const void *name, size_t n_name) {
    tw_zip_entry key = {.name = name, .n_name = n_name};
    if (zip->n_entries == 0) return NULL;
    return bsearch(&key, zip->entries, zip->n_entries, sizeof key, compare_names);
}

tw_status tw_zip_member(const tw_zip *zip, const tw_zip_entry *entry, const uint8_t **data,
                        size_t *n_bytes, tw_error *err) {
    int n_shown = shown(entry->n_name);
    const char *name = (const char *)entry->name;
    /* check_extents has made sure that a header and the name fit before `limit`. */
    const uint8_t *p = zip->data + entry->offset;
    if (memcmp(p, local_magic, 4) != 0)
        return tw_fail(err, TW_ERR_FORMAT, "zip: member %.*s: no local header at byte %llu",
                       n_shown, name, (unsigned long long)entry->offset);
    if ((entry->flags | tw_load_u16le(p + 6)) & FLAG_ENCRYPTED)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "zip: member %.*s is encrypted", n_shown, name);
    if (entry->method != 0 || tw_load_u16le(p + 8) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "zip: member %.*s is compressed (method %u), expected stored", n_shown, name,
                       entry->method ? entry->method : tw_load_u16le(p + 8));
    size_t n_name = tw_load_u16le(p + 26), n_extra = tw_load_u16le(p + 28);
    if (n_name != entry->n_name || memcmp(p + LOCAL_BYTES, entry->name, n_name) != 0)
        return tw_fail(err, TW_ERR_FORMAT,
                       "zip: member %.*s: the local header at byte %llu has another name", n_shown,
                       name, (unsigned long long)entry->offset);
    uint64_t begin = entry->offset + LOCAL_BYTES + n_name + n_extra;
    if (entry->n_packed != entry->n_bytes || !tw_range_ok(begin, entry->n_bytes, entry->limit))
        return tw_fail(err, TW_ERR_FORMAT,
                       "zip: member %.*s: %llu bytes at byte %llu reach beyond byte %llu", n_shown,
                       name, (unsigned long long)entry->n_bytes, (unsigned long long)begin,
                       (unsigned long long)entry->limit);
    *data = zip->data + begin;
    *n_bytes = (size_t)entry->n_bytes;
    return TW_OK;
}
