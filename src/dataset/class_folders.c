#define _GNU_SOURCE
#include "base/size.h"
#include "dataset/pictures_internal.h"
#include "dataset/walk.h"

#include <stdlib.h>
#include <string.h>

/* A picture while it is put in order. `path` is whole; the class folder starts at a base that all
 * share. */
typedef struct item {
    const char *path;
    tw_picture_range range; /* of a tar member */
} item;

static size_t component(const char *s) {
    return strcspn(s, "/");
}

static int compare_bytes(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, TW_MIN(n_a, n_b));
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

/* ImageFolder's order: by class folder, then as sorted(os.walk()) by folder path, then by name. */
static int compare_items(const void *item_a, const void *item_b, void *base) {
    const char *a = ((const item *)item_a)->path + *(const size_t *)base;
    const char *b = ((const item *)item_b)->path + *(const size_t *)base;
    int order = compare_bytes(a, component(a), b, component(b));
    if (order) return order;
    const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');
    order = compare_bytes(a, (size_t)(name_a - a), b, (size_t)(name_b - b));
    return order ? order : strcmp(name_a, name_b);
}

/* What stands before the class folders, to be freed: "test/" wherever it shows up first, else what
 * all paths have in common ("cifar/"); at least their first `base` bytes. */
static char *find_root(const tw_strings *paths, size_t base) {
    const char *first = tw_strings_get(paths, 0);
    for (;;) {
        size_t n_first = component(first + base) + 1;
        bool shared = true;
        for (size_t i = 0; i < paths->n; i++) {
            const char *path = tw_strings_get(paths, i), *p = path + base;
            if (strncmp(p, "test/", 5) == 0 && strchr(p + 5, '/')) return strndup(path, base + 5);
            shared = shared && strncmp(p, first + base, n_first) == 0 && p[n_first - 1] == '/' &&
                     strchr(p + n_first, '/');
        }
        if (!shared) return strndup(first, base);
        base += n_first;
    }
}

/* Keeps the pictures inside a folder below the base, in ImageFolder's order. */
static tw_status put_in_order(tw_pictures *p, size_t base, const char *root, tw_error *err) {
    tw_picture_archive *archive = p->n_archives ? &p->archives[0] : NULL;
    tw_strings sorted = {0};
    size_t n = 0;
    item *items = calloc(p->names.n ? p->names.n : 1, sizeof *items);
    if (!items) return tw_fail_no_memory(err, p->names.n * sizeof *items);
    for (size_t i = 0; i < p->names.n; i++) {
        const char *path = tw_pictures_name(p, i);
        if (strncmp(path, root, base) != 0 || !strchr(path + base, '/')) continue;
        items[n].path = path;
        if (archive) items[n].range = archive->ranges[i];
        n++;
    }
    qsort_r(items, n, sizeof *items, compare_items, &base);
    tw_status status = TW_OK;
    for (size_t i = 0; i < n && status == TW_OK; i++) {
        status = tw_strings_add(&sorted, items[i].path, strlen(items[i].path), err);
        if (archive) archive->ranges[i] = items[i].range;
    }
    if (archive) archive->n = n;
    free(items);
    tw_strings_free(&p->names);
    p->names = sorted;
    return status;
}

/* The class folders' names, sorted, each once: those of the pictures' and (empty ones) of `extra`,
 * which begin at `extra_base`. */
static tw_status collect_names(tw_class_folders *out, size_t base, const tw_strings *extra,
                               const char *extra_root, tw_error *err) {
    tw_strings all = {0};
    tw_status status = TW_OK;
    const tw_strings *paths = &out->pictures->names;
    for (size_t i = 0; i < paths->n; i++) {
        const char *name = tw_strings_get(paths, i) + base;
        TW_CHECK(tw_strings_add(&all, name, component(name), err));
    }
    size_t n_root = strlen(extra_root);
    for (size_t i = 0; i < extra->n; i++) {
        const char *name = tw_strings_get(extra, i);
        if (strncmp(name, extra_root, n_root) == 0 && component(name + n_root) > 0)
            TW_CHECK(tw_strings_add(&all, name + n_root, component(name + n_root), err));
    }
    tw_strings_sort(&all, 0);
    for (size_t i = 0; i < all.n; i++) {
        const char *name = tw_strings_get(&all, i);
        if (i == 0 || strcmp(name, tw_strings_get(&all, i - 1)) != 0)
            TW_CHECK(tw_strings_add(&out->names, name, strlen(name), err));
    }
done:
    tw_strings_free(&all);
    return status;
}

/* Both lists are in the order of the names: one walk labels all pictures. */
static tw_status label_pictures(tw_class_folders *out, size_t base, tw_error *err) {
    size_t n = out->pictures->names.n, c = 0;
    out->labels = calloc(n ? n : 1, sizeof *out->labels);
    if (!out->labels) return tw_fail_no_memory(err, n * sizeof *out->labels);
    for (size_t i = 0; i < n; i++) {
        const char *name = tw_pictures_name(out->pictures, i) + base;
        while (strncmp(tw_strings_get(&out->names, c), name, component(name)) != 0 ||
               tw_strings_get(&out->names, c)[component(name)] != '\0')
            c++;
        out->labels[i] = (uint32_t)c;
    }
    return TW_OK;
}

static tw_status open_folder(const char *path, tw_class_folders *out, tw_error *err) {
    char *test = NULL, *root = NULL;
    tw_strings folders = {0};
    tw_status status;
    TW_CHECK(tw_join_path(path, "test", &test, err));
    TW_CHECK(tw_join_path(tw_is_folder(test) ? test : path, "", &root, err));
    TW_CHECK(tw_walk_files(root, tw_has_image_folder_extension, &out->pictures->names, err));
    TW_CHECK(tw_walk_folders(root, &folders, err));
    TW_CHECK(put_in_order(out->pictures, strlen(root), root, err));
    TW_CHECK(collect_names(out, strlen(root), &folders, "", err));
    TW_CHECK(label_pictures(out, strlen(root), err));
done:
    tw_strings_free(&folders);
    free(root);
    free(test);
    return status;
}

static tw_status open_tar(const char *path, tw_class_folders *out, tw_error *err) {
    tw_strings folders = {0};
    char *archive = NULL, *root = NULL;
    tw_status status;
    TW_CHECK(
        tw_pictures_add_tar(out->pictures, path, tw_has_image_folder_extension, &folders, err));
    if (out->pictures->names.n == 0) goto done;
    TW_CHECK(tw_join_path(path, "", &archive, err)); /* names in the list are ARCHIVE/MEMBER */
    root = find_root(&out->pictures->names, strlen(archive));
    if (!root) TW_CHECK(tw_fail_no_memory(err, strlen(archive)));
    TW_CHECK(put_in_order(out->pictures, strlen(root), root, err));
    TW_CHECK(collect_names(out, strlen(root), &folders, root + strlen(archive), err));
    TW_CHECK(label_pictures(out, strlen(root), err));
done:
    free(root);
    free(archive);
    tw_strings_free(&folders);
    return status;
}

tw_status tw_class_folders_open(const char *path, tw_class_folders *out, tw_error *err) {
    *out = (tw_class_folders){0};
    TW_TRY(tw_pictures_create(&out->pictures, err));
    tw_status status = tw_is_folder(path) ? open_folder(path, out, err) : open_tar(path, out, err);
    if (status == TW_OK && out->names.n == 0)
        status = tw_fail(err, TW_ERR_FORMAT, "%s: no class folder with pictures in it", path);
    if (status != TW_OK) tw_class_folders_free(out);
    return status;
}

/* The whole name as a decimal number below `limit`; false otherwise. */
static bool parse_number(const char *s, size_t limit, uint32_t *out) {
    size_t v = 0;
    for (const char *p = s; *p; p++) {
        if (*p < '0' || *p > '9') return false;
        v = v * 10 + (size_t)(*p - '0');
        if (v >= limit) return false;
    }
    *out = (uint32_t)v;
    return s[0] != '\0';
}

tw_status tw_class_folders_match(tw_class_folders *folders, size_t n_labels, tw_error *err) {
    size_t n = folders->names.n;
    if (n == n_labels) return TW_OK;
    uint32_t *numbers = calloc(n, sizeof *numbers);
    if (!numbers) return tw_fail_no_memory(err, n * sizeof *numbers);
    tw_status status = TW_OK;
    for (size_t c = 0; c < n && status == TW_OK; c++)
        if (!parse_number(tw_strings_get(&folders->names, c), n_labels, &numbers[c]))
            status = tw_fail(err, TW_ERR_MISMATCH,
                             "%zu class folders but %zu labels, and folder '%s' is not the number "
                             "of a label",
                             n, n_labels, tw_strings_get(&folders->names, c));
    for (size_t i = 0; status == TW_OK && i < tw_pictures_count(folders->pictures); i++)
        folders->labels[i] = numbers[folders->labels[i]];
    free(numbers);
    return status;
}

void tw_class_folders_free(tw_class_folders *folders) {
    tw_pictures_free(folders->pictures);
    tw_strings_free(&folders->names);
    free(folders->labels);
    *folders = (tw_class_folders){0};
}
