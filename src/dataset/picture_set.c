#define _GNU_SOURCE
#include "dataset/picture_set.h"

#include "base/size.h"
#include "dataset/lmdb.h"
#include "dataset/pictures_internal.h"
#include "dataset/walk.h"

#include <stdlib.h>
#include <string.h>

void tw_picture_set_free(tw_picture_set *set) {
    tw_pictures_free(set->pictures);
    free(set->ids);
    *set = (tw_picture_set){0};
}

/* -------------------------------------------------------------------- .tsv and LMDB: entries */

typedef struct entry {
    const uint8_t *key;
    size_t n_key, number; /* number: the place in the file */
    int64_t id;
    tw_picture_range range;
} entry;

typedef struct entries {
    const char *path;
    entry *items;
    size_t n, capacity;
    tw_left_out *left_out;
} entries;

static tw_status add_entry(entries *e, entry item, tw_error *err) {
    if (!tw_record_decimal(item.key, item.n_key, &item.id)) {
        tw_error why = TW_ERROR_INIT;
        tw_fail(&why, TW_ERR_FORMAT, "%s: entry %zu: '%.*s' is no image id", e->path, item.number,
                (int)TW_MIN(item.n_key, (size_t)40), (const char *)item.key);
        return tw_left_out_add(e->left_out, &why, err);
    }
    if (e->n == e->capacity) {
        size_t grown = e->capacity ? e->capacity * 2 : 256;
        entry *p = reallocarray(e->items, grown, sizeof *p);
        if (!p) return tw_fail_no_memory(err, grown * sizeof *p);
        e->items = p;
        e->capacity = grown;
    }
    e->items[e->n++] = item;
    return TW_OK;
}

static int compare_keys(const entry *a, const entry *b) {
    int order = memcmp(a->key, b->key, TW_MIN(a->n_key, b->n_key));
    return order ? order : (a->n_key > b->n_key) - (a->n_key < b->n_key);
}

static int by_key(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int order = compare_keys(x, y);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* In LMDB's order, of the same key the last. */
static void sort_entries(entries *e) {
    size_t n = 0;
    if (e->n) qsort(e->items, e->n, sizeof *e->items, by_key);
    for (size_t i = 0; i < e->n; i++)
        if (i + 1 == e->n || compare_keys(&e->items[i], &e->items[i + 1]) != 0)
            e->items[n++] = e->items[i];
    e->n = n;
}

static tw_status name_entries(const entries *e, tw_strings *names, tw_picture_range *ranges,
                              int64_t *ids, tw_error *err) {
    for (size_t i = 0; i < e->n; i++) {
        char key[24], *name;
        snprintf(key, sizeof key, "%lld", (long long)e->items[i].id);
        TW_TRY(tw_join_path(e->path, key, &name, err));
        tw_status status = tw_strings_add(names, name, strlen(name), err);
        free(name);
        TW_TRY(status);
        ranges[i] = e->items[i].range;
        ids[i] = e->items[i].id;
    }
    return TW_OK;
}

/* Makes the set of the entries; the file goes to it. */
static tw_status take_entries(entries *e, tw_mapped_file *file, tw_picture_set *out,
                              tw_error *err) {
    tw_strings names = {0};
    tw_status status;
    out->n = e->n;
    out->ids = calloc(TW_MAX(e->n, (size_t)1), sizeof *out->ids);
    tw_picture_range *ranges = calloc(TW_MAX(e->n, (size_t)1), sizeof *ranges);
    if (!out->ids || !ranges) TW_CHECK(tw_fail_no_memory(err, e->n * sizeof *ranges));
    TW_CHECK(name_entries(e, &names, ranges, out->ids, err));
    status = tw_pictures_add_base64(out->pictures, file, &names, ranges, e->n, err);
    ranges = NULL;
done:
    free(ranges);
    tw_strings_free(&names);
    return status;
}

/* ------------------------------------------------------------------------------- .tsv, LMDB */

static tw_status index_tsv(const tw_mapped_file *file, entries *e, tw_error *err) {
    tw_record_lines lines = {.name = e->path, .data = file->data, .n_bytes = file->n_bytes};
    tw_record_line line;
    while (tw_record_lines_next(&lines, &line)) {
        tw_record_line key, value;
        tw_error why = TW_ERROR_INIT;
        if (tw_record_split(&lines, line, &key, &value, &why) != TW_OK) {
            TW_TRY(tw_left_out_add(e->left_out, &why, err));
            continue;
        }
        entry item = {
            .key = (const uint8_t *)key.text,
            .n_key = key.n_bytes,
            .number = lines.number,
            .range = {(uint64_t)((const uint8_t *)value.text - file->data), value.n_bytes}};
        TW_TRY(add_entry(e, item, err));
    }
    sort_entries(e);
    return TW_OK;
}

static tw_status take_record(void *user, const tw_lmdb_record *record, tw_error *err) {
    entries *e = user;
    static const char count[] = "num_images"; /* stands among the pictures */
    if (record->n_key == sizeof count - 1 && memcmp(record->key, count, record->n_key) == 0)
        return TW_OK;
    entry item = {.key = record->key,
                  .n_key = record->n_key,
                  .number = e->n + e->left_out->n + 1,
                  .range = {record->offset, record->n_bytes}};
    return add_entry(e, item, err);
}

static tw_status open_entries(const char *path, bool is_lmdb, tw_picture_set *out,
                              tw_left_out *left_out, tw_error *err) {
    entries e = {.path = path, .left_out = left_out};
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    tw_status status;
    if (is_lmdb) {
        status = tw_lmdb_each(file.data, file.n_bytes, take_record, &e, err);
        if (status != TW_OK) tw_error_context(err, "%s", path);
    } else {
        status = index_tsv(&file, &e, err);
    }
    if (status == TW_OK) status = take_entries(&e, &file, out, err);
    tw_unmap_file(&file);
    free(e.items);
    return status;
}

/* -------------------------------------------------------------------------- folder and tar */

/* Lines of the captions that name a file, sorted by it. */
typedef struct by_file {
    const tw_annotations *captions;
    size_t *lines;
    size_t n;
} by_file;

static int compare_files(const void *a, const void *b, void *captions) {
    const tw_annotations *c = captions;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    int order = strcmp(tw_strings_get(&c->files, i), tw_strings_get(&c->files, j));
    return order ? order : (i > j) - (i < j);
}

static int64_t first_answer(const tw_annotations *c, size_t line) {
    return c->answers[tw_annotations_begin(c, line)];
}

static tw_status sort_by_file(const tw_annotations *captions, by_file *out, tw_error *err) {
    *out = (by_file){.captions = captions};
    out->lines = calloc(TW_MAX(captions->n, (size_t)1), sizeof *out->lines);
    if (!out->lines) return tw_fail_no_memory(err, captions->n * sizeof *out->lines);
    for (size_t i = 0; i < captions->n; i++)
        if (tw_strings_get(&captions->files, i)[0] &&
            captions->ends[i] > tw_annotations_begin(captions, i))
            out->lines[out->n++] = i;
    qsort_r(out->lines, out->n, sizeof *out->lines, compare_files, (void *)(uintptr_t)captions);
    for (size_t i = 1; i < out->n; i++) {
        const char *file = tw_strings_get(&captions->files, out->lines[i]);
        if (strcmp(file, tw_strings_get(&captions->files, out->lines[i - 1])) == 0 &&
            first_answer(captions, out->lines[i]) != first_answer(captions, out->lines[i - 1]))
            return tw_fail(err, TW_ERR_AMBIGUOUS, "captions give '%s' two image ids", file);
    }
    return TW_OK;
}

/* The id of the picture at `path`; false when no caption names it. */
static bool find_id(const by_file *files, const char *path, int64_t *id) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t low = 0, high = files->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *file = tw_strings_get(&files->captions->files, files->lines[middle]);
        if (strcmp(file, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == files->n) return false;
    size_t line = files->lines[low];
    if (strcmp(tw_strings_get(&files->captions->files, line), name) != 0) return false;
    *id = first_answer(files->captions, line);
    return true;
}

/* Of the pictures of one source those that a caption names, in their order. */
static tw_status keep_named(tw_picture_set *set, const by_file *files, tw_left_out *left_out,
                            tw_error *err) {
    tw_pictures *p = set->pictures;
    tw_picture_archive *archive = p->n_archives ? &p->archives[0] : NULL;
    tw_strings names = {0};
    tw_status status = TW_OK;
    for (size_t i = 0; i < p->names.n; i++) {
        const char *name = tw_strings_get(&p->names, i);
        if (find_id(files, name, &set->ids[set->n])) {
            TW_CHECK(tw_strings_add(&names, name, strlen(name), err));
            if (archive) archive->ranges[set->n] = archive->ranges[i];
            set->n++;
        } else {
            tw_error why = TW_ERROR_INIT;
            tw_fail(&why, TW_ERR_MISMATCH, "%s: no caption names it", name);
            TW_CHECK(tw_left_out_add(left_out, &why, err));
        }
    }
done:
    tw_strings_free(&p->names);
    p->names = names;
    if (archive) archive->n = set->n;
    return status;
}

static tw_status open_named(const char *path, const tw_annotations *captions, tw_picture_set *out,
                            tw_left_out *left_out, tw_error *err) {
    by_file files = {0};
    tw_status status;
    TW_CHECK(tw_pictures_add(out->pictures, path, err));
    TW_CHECK(sort_by_file(captions, &files, err));
    if (!files.n)
        TW_CHECK(tw_fail(err, TW_ERR_ARGUMENT, "%s: no caption has a \"file\" to go by", path));
    out->ids = calloc(tw_pictures_count(out->pictures) + 1, sizeof *out->ids);
    if (!out->ids) TW_CHECK(tw_fail_no_memory(err, sizeof *out->ids));
    status = keep_named(out, &files, left_out, err);
done:
    free(files.lines);
    return status;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

static bool is_file(const char *path) {
    tw_mapped_file file;
    bool ok = tw_map_file(path, &file, NULL) == TW_OK;
    tw_unmap_file(&file);
    return ok;
}

tw_status tw_picture_set_open(const char *path, const tw_annotations *captions, tw_picture_set *out,
                              tw_left_out *left_out, tw_error *err) {
    *out = (tw_picture_set){0};
    TW_TRY(tw_pictures_create(&out->pictures, err));
    tw_status status;
    char *database = NULL;
    bool is_folder = tw_is_folder(path);
    if (is_folder) TW_CHECK(tw_join_path(path, "data.mdb", &database, err));
    if (database && is_file(database))
        status = open_entries(database, true, out, left_out, err);
    else if (!is_folder && ends_with(path, ".tsv"))
        status = open_entries(path, false, out, left_out, err);
    else if (!is_folder && !ends_with(path, ".tar"))
        status =
            tw_fail(err, TW_ERR_ARGUMENT,
                    "%s: expected an LMDB folder, a .tsv, a .tar or a folder of pictures", path);
    else if (!captions)
        status = tw_fail(err, TW_ERR_ARGUMENT,
                         "%s: the ids of its pictures are in captions, and there are none", path);
    else
        status = open_named(path, captions, out, left_out, err);
done:
    free(database);
    if (status != TW_OK) tw_picture_set_free(out);
    return status;
}
