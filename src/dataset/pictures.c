#define _GNU_SOURCE
#include "dataset/pictures.h"

#include "base/size.h"
#include "dataset/base64.h"
#include "dataset/lines.h"
#include "dataset/pictures_internal.h"
#include "dataset/tar.h"
#include "dataset/walk.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

tw_status tw_pictures_create(tw_pictures **out, tw_error *err) {
    *out = calloc(1, sizeof **out);
    return *out ? TW_OK : tw_fail_no_memory(err, sizeof **out);
}

void tw_pictures_free(tw_pictures *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n_archives; i++) {
        tw_unmap_file(&p->archives[i].file);
        free(p->archives[i].ranges);
    }
    free(p->archives);
    tw_strings_free(&p->names);
    free(p);
}

/* While a tar is indexed: its members in archive order. */
typedef struct tar_index {
    const char *path;
    bool (*wanted)(const char *path);
    tw_strings names;         /* ARCHIVE/MEMBER */
    tw_picture_range *ranges; /* [capacity] */
    size_t capacity;
    tw_strings *folders;
} tar_index;

static tw_status add_member(void *user, const tw_tar_member *member, tw_error *err) {
    tar_index *index = user;
    size_t n_name = strlen(member->name);
    if (member->is_directory)
        return index->folders ? tw_strings_add(index->folders, member->name, n_name, err) : TW_OK;
    if (!index->wanted(member->name)) return TW_OK;
    if (index->names.n == index->capacity) {
        size_t grown = index->capacity ? index->capacity * 2 : 256;
        tw_picture_range *p = reallocarray(index->ranges, grown, sizeof *p);
        if (!p) return tw_fail_no_memory(err, grown * sizeof *p);
        index->ranges = p;
        index->capacity = grown;
    }
    index->ranges[index->names.n] = (tw_picture_range){member->offset, member->n_bytes};
    char *name;
    TW_TRY(tw_join_path(index->path, member->name, &name, err));
    tw_status status = tw_strings_add(&index->names, name, strlen(name), err);
    free(name);
    return status;
}

static int by_name(const void *a, const void *b, void *names) {
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    int order = strcmp(tw_strings_get(names, i), tw_strings_get(names, j));
    return order ? order : (i > j) - (i < j);
}

/* Moves the members into `p` in byte order of their names. */
static tw_status take_sorted(tw_pictures *p, tar_index *index, tw_picture_archive *archive,
                             tw_error *err) {
    size_t n = index->names.n;
    archive->first = p->names.n;
    archive->n = n;
    size_t *order = calloc(n ? n : 1, sizeof *order);
    archive->ranges = calloc(n ? n : 1, sizeof *archive->ranges);
    tw_status status = TW_OK;
    if (!order || !archive->ranges) TW_CHECK(tw_fail_no_memory(err, n * sizeof *order));
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof *order, by_name, &index->names);
    for (size_t i = 0; i < n; i++) {
        const char *name = tw_strings_get(&index->names, order[i]);
        TW_CHECK(tw_strings_add(&p->names, name, strlen(name), err));
        archive->ranges[i] = index->ranges[order[i]];
    }
done:
    free(order);
    return status;
}

/* Room for one more archive, which counts once p->n_archives says so. */
static tw_status new_archive(tw_pictures *p, tw_picture_archive **out, tw_error *err) {
    tw_picture_archive *grown = reallocarray(p->archives, p->n_archives + 1, sizeof *grown);
    if (!grown) return tw_fail_no_memory(err, (p->n_archives + 1) * sizeof *grown);
    p->archives = grown;
    *out = &p->archives[p->n_archives];
    **out = (tw_picture_archive){0};
    return TW_OK;
}

tw_status tw_pictures_add_base64(tw_pictures *p, tw_mapped_file *file, const tw_strings *names,
                                 tw_picture_range *ranges, size_t n, tw_error *err) {
    tw_picture_archive *archive;
    tw_status status = new_archive(p, &archive, err);
    if (status != TW_OK) {
        tw_unmap_file(file);
        free(ranges);
        return status;
    }
    *archive = (tw_picture_archive){*file, true, p->names.n, n, ranges};
    *file = (tw_mapped_file){0};
    p->n_archives++;
    for (size_t i = 0; i < n && status == TW_OK; i++) {
        const char *name = tw_strings_get(names, i);
        status = tw_strings_add(&p->names, name, strlen(name), err);
    }
    return status;
}

tw_status tw_pictures_add_tar(tw_pictures *p, const char *path, bool (*wanted)(const char *path),
                              tw_strings *folders, tw_error *err) {
    tw_picture_archive *archive;
    TW_TRY(new_archive(p, &archive, err));
    tar_index index = {.path = path, .wanted = wanted, .folders = folders};
    tw_status status;
    TW_CHECK(tw_map_file(path, &archive->file, err));
    p->n_archives++;
    status = tw_tar_each(archive->file.data, archive->file.n_bytes, add_member, &index, err);
    if (status != TW_OK) {
        tw_error_context(err, "%s", path);
        goto done;
    }
    TW_CHECK(take_sorted(p, &index, archive, err));
done:
    tw_strings_free(&index.names);
    free(index.ranges);
    return status;
}

static bool is_tar_name(const char *path) {
    size_t n = strlen(path);
    return n > 4 && strcasecmp(path + n - 4, ".tar") == 0;
}

tw_status tw_pictures_add(tw_pictures *p, const char *path, tw_error *err) {
    if (strcmp(path, "-") == 0) return tw_strings_add(&p->names, path, 1, err);
    if (tw_is_folder(path)) return tw_walk_files(path, tw_has_picture_extension, &p->names, err);
    if (is_tar_name(path)) return tw_pictures_add_tar(p, path, tw_has_picture_extension, NULL, err);
    return tw_strings_add(&p->names, path, strlen(path), err);
}

tw_status tw_pictures_add_list(tw_pictures *p, const char *path, tw_error *err) {
    return tw_read_lines(path, TW_LINES_PATHS, &p->names, err);
}

size_t tw_pictures_count(const tw_pictures *p) {
    return p->names.n;
}

const char *tw_pictures_name(const tw_pictures *p, size_t i) {
    return tw_strings_get(&p->names, i);
}

static const tw_picture_archive *archive_of(const tw_pictures *p, size_t i) {
    for (size_t a = 0; a < p->n_archives; a++) {
        const tw_picture_archive *archive = &p->archives[a];
        if (i >= archive->first && i - archive->first < archive->n) return archive;
    }
    return NULL;
}

static tw_status read_member(const tw_picture_archive *archive, size_t i, size_t max_bytes,
                             tw_picture_bytes *out, tw_error *err) {
    const tw_picture_range *range = &archive->ranges[i];
    const uint8_t *data = archive->file.data + range->offset;
    size_t n = (size_t)range->n_bytes;
    if ((archive->is_base64 ? n / 4 * 3 : n) > max_bytes)
        return tw_fail(err, TW_ERR_LIMIT, "%llu bytes%s, more than the limit of %zu",
                       (unsigned long long)range->n_bytes, archive->is_base64 ? " of base64" : "",
                       max_bytes);
    *out = (tw_picture_bytes){data, n, NULL};
    if (!archive->is_base64) return TW_OK;
    uint8_t *decoded = malloc(n / 4 * 3 + 3);
    if (!decoded) return tw_fail_no_memory(err, n / 4 * 3 + 3);
    *out = (tw_picture_bytes){decoded, 0, decoded};
    return tw_base64_decode(data, n, decoded, &out->n_bytes, err);
}

tw_status tw_pictures_read(const tw_pictures *p, size_t i, size_t max_bytes, tw_picture_bytes *out,
                           tw_error *err) {
    *out = (tw_picture_bytes){0};
    const tw_picture_archive *archive = archive_of(p, i);
    if (archive) return read_member(archive, i - archive->first, max_bytes, out, err);
    const char *path = tw_pictures_name(p, i);
    if (!path[0]) return tw_fail(err, TW_ERR_ARGUMENT, "empty path");
    uint8_t *data;
    size_t n;
    tw_status status = tw_read_file(path, max_bytes, &data, &n, err);
    if (status == TW_OK) {
        *out = (tw_picture_bytes){data, n, data};
        return TW_OK;
    }
    /* The message begins with the path, as does every line that tells of it. */
    size_t n_path = strlen(path);
    if (err && strncmp(err->message, path, n_path) == 0 && err->message[n_path] == ':')
        memmove(err->message, err->message + n_path + 2, strlen(err->message + n_path + 2) + 1);
    return status;
}
