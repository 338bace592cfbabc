#define _GNU_SOURCE
#include "dataset/walk.h"

#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_DEPTH 64

static bool has_extension(const char *path, const char *const *extensions, size_t n) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < n; i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0) return true;
    return false;
}

/* What the library reads, and torchvision's list. */
static const char *const readable[] = {"jpg", "jpeg", "png", "webp", "bmp",  "gif",  "ppm", "pgm",
                                       "pbm", "pnm",  "tif", "tiff", "heic", "heif", "hif", "avif"};
static const char *const image_folder[] = {"jpg", "jpeg", "png",  "ppm", "bmp",
                                           "pgm", "tif",  "tiff", "webp"};

bool tw_has_picture_extension(const char *path) {
    return has_extension(path, readable, TW_COUNT(readable));
}

bool tw_has_image_folder_extension(const char *path) {
    return has_extension(path, image_folder, TW_COUNT(image_folder));
}

bool tw_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

tw_status tw_join_path(const char *folder, const char *name, char **out, tw_error *err) {
    size_t n = strlen(folder);
    bool slash = n > 0 && folder[n - 1] == '/';
    if (asprintf(out, "%s%s%s", folder, slash ? "" : "/", name) >= 0) return TW_OK;
    *out = NULL;
    return tw_fail_no_memory(err, n + strlen(name) + 2);
}

/* The folders between the first and the one being read, to notice a link back to one of them. */
typedef struct ancestors {
    dev_t device[MAX_DEPTH];
    ino_t inode[MAX_DEPTH];
    int depth;
} ancestors;

typedef struct walk {
    bool (*wanted)(const char *path);
    tw_strings *out;
    ancestors above;
} walk;

static bool is_above(const ancestors *a, const struct stat *st) {
    for (int i = 0; i < a->depth; i++)
        if (a->device[i] == st->st_dev && a->inode[i] == st->st_ino) return true;
    return false;
}

static tw_status walk_folder(walk *w, const char *folder, const struct stat *st, tw_error *err);

static tw_status walk_entry(walk *w, const char *folder, const char *name, tw_error *err) {
    char *path;
    TW_TRY(tw_join_path(folder, name, &path, err));
    tw_status status = TW_OK;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        status = is_above(&w->above, &st) ? TW_OK : walk_folder(w, path, &st, err);
    else if (w->wanted(path)) /* a dangling link too: reading it will say what is wrong */
        status = tw_strings_add(w->out, path, strlen(path), err);
    free(path);
    return status;
}

static tw_status walk_folder(walk *w, const char *folder, const struct stat *st, tw_error *err) {
    if (w->above.depth == MAX_DEPTH)
        return tw_fail(err, TW_ERR_LIMIT, "%s: folders more than %d deep", folder, MAX_DEPTH);
    DIR *dir = opendir(folder);
    if (!dir) return tw_fail_errno(err, errno, "%s", folder);
    w->above.device[w->above.depth] = st->st_dev;
    w->above.inode[w->above.depth] = st->st_ino;
    w->above.depth++;
    tw_status status = TW_OK;
    for (struct dirent *e; status == TW_OK && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            status = walk_entry(w, folder, e->d_name, err);
    w->above.depth--;
    closedir(dir);
    return status;
}

tw_status tw_walk_files(const char *folder, bool (*wanted)(const char *path), tw_strings *out,
                        tw_error *err) {
    struct stat st;
    if (stat(folder, &st) != 0) return tw_fail_errno(err, errno, "%s", folder);
    size_t before = out->n;
    walk w = {.wanted = wanted, .out = out};
    TW_TRY(walk_folder(&w, folder, &st, err));
    tw_strings_sort(out, before);
    return TW_OK;
}

tw_status tw_walk_folders(const char *folder, tw_strings *out, tw_error *err) {
    DIR *dir = opendir(folder);
    if (!dir) return tw_fail_errno(err, errno, "%s", folder);
    size_t before = out->n;
    tw_status status = TW_OK;
    for (struct dirent *e; status == TW_OK && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *path;
        status = tw_join_path(folder, e->d_name, &path, err);
        if (status != TW_OK) break;
        if (tw_is_folder(path)) status = tw_strings_add(out, e->d_name, strlen(e->d_name), err);
        free(path);
    }
    closedir(dir);
    if (status == TW_OK) tw_strings_sort(out, before);
    return status;
}
