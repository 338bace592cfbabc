#define _GNU_SOURCE
#include "convert/folder.h"

#include "base/buffer.h"
#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* In order of preference: safetensors first, and Hugging Face's names before open_clip's (folders
 * that have both hold the same weights twice). */
static const char *const patterns[] = {
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
    "clip_cn_*.pt",
    "*.safetensors",
    "*.pt",
};

/* The files of a folder that match a pattern, in the order of their names. */
typedef struct matches {
    char **names;
    size_t n;
} matches;

static void free_matches(matches *m) {
    for (size_t i = 0; i < m->n; i++)
        free(m->names[i]);
    free(m->names);
    *m = (matches){0};
}

static tw_status add_match(matches *m, const char *name, tw_error *err) {
    char **grown = realloc(m->names, (m->n + 1) * sizeof *grown);
    if (!grown) return tw_fail_no_memory(err, (m->n + 1) * sizeof *grown);
    m->names = grown;
    m->names[m->n] = strdup(name);
    if (!m->names[m->n]) return tw_fail_no_memory(err, strlen(name));
    m->n++;
    return TW_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static tw_status list_folder(const char *folder, matches *out, tw_error *err) {
    DIR *dir = opendir(folder);
    if (!dir) return tw_fail_errno(err, errno, "%s", folder);
    tw_status status = TW_OK;
    for (const struct dirent *e; status == TW_OK && (e = readdir(dir));) {
        struct stat st;
        bool wanted = false;
        for (size_t i = 0; i < TW_COUNT(patterns) && !wanted; i++)
            wanted = fnmatch(patterns[i], e->d_name, FNM_PERIOD) == 0;
        if (wanted && fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            status = add_match(out, e->d_name, err);
    }
    closedir(dir);
    if (out->n > 1) qsort(out->names, out->n, sizeof *out->names, by_name);
    return status;
}

/* "a, b, c": the strings that match a pattern (NULL = all), but for one of them. */
static void join(tw_buffer *b, const char *const *names, size_t n, const char *pattern,
                 const char *but) {
    for (size_t i = 0; i < n; i++) {
        if (pattern && fnmatch(pattern, names[i], FNM_PERIOD) != 0) continue;
        if (but && strcmp(but, names[i]) == 0) continue;
        tw_buffer_printf(b, "%s%s", b->n_bytes ? ", " : "", names[i]);
    }
    if (!b->data) tw_buffer_puts(b, "");
}

static tw_status choose(const char *folder, const matches *all, const char **out, tw_error *err) {
    tw_buffer b = {0};
    const char *const *names = (const char *const *)all->names;
    *out = NULL;
    tw_status status = TW_OK;
    for (size_t i = 0; i < TW_COUNT(patterns) && !*out && status == TW_OK; i++) {
        size_t n = 0;
        for (size_t k = 0; k < all->n; k++)
            if (fnmatch(patterns[i], names[k], FNM_PERIOD) == 0 && n++ == 0) *out = names[k];
        if (n < 2) continue;
        join(&b, names, all->n, patterns[i], NULL);
        status = tw_fail(err, TW_ERR_AMBIGUOUS, "%s: %zu checkpoints: %s; give one of them", folder,
                         n, b.failed ? "" : b.data);
    }
    if (!*out) {
        join(&b, patterns, TW_COUNT(patterns), NULL, NULL);
        status = tw_fail(err, TW_ERR_FORMAT, "%s: no checkpoint in this folder: looked for %s",
                         folder, b.failed ? "" : b.data);
    }
    tw_buffer_free(&b);
    return status;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "FOLDER/NAME"; a slash only where none is. */
static tw_status join_path(const char *folder, size_t n_folder, const char *name, char **out,
                           tw_error *err) {
    size_t n = strlen(name) + 1;
    bool slash = n_folder > 0 && folder[n_folder - 1] != '/';
    *out = malloc(n_folder + slash + n);
    if (!*out) return tw_fail_no_memory(err, n_folder + n);
    memcpy(*out, folder, n_folder);
    if (slash) (*out)[n_folder] = '/';
    memcpy(*out + n_folder + slash, name, n);
    return TW_OK;
}

static void log_choice(const tw_hooks *hooks, const char *folder, const matches *all,
                       const char *name) {
    tw_buffer others = {0};
    join(&others, (const char *const *)all->names, all->n, NULL, name);
    bool any = !others.failed && others.n_bytes > 0;
    tw_log(hooks, TW_LOG_INFO, "%s: takes %s%s%s", folder, name, any ? "; leaves " : "",
           any ? others.data : "");
    tw_buffer_free(&others);
}

tw_status tw_folder_checkpoint(const char *path, const tw_hooks *hooks, char **file,
                               tw_error *err) {
    *file = NULL;
    if (!is_folder(path)) {
        *file = strdup(path);
        return *file ? TW_OK : tw_fail_no_memory(err, strlen(path));
    }
    matches all = {0};
    const char *name;
    tw_status status;
    TW_CHECK(list_folder(path, &all, err));
    TW_CHECK(choose(path, &all, &name, err));
    TW_CHECK(join_path(path, strlen(path), name, file, err));
    log_choice(hooks, path, &all, name);
done:
    free_matches(&all);
    return status;
}

tw_status tw_folder_neighbour(const char *file, const char *name, char **path, tw_error *err) {
    const char *slash = strrchr(file, '/');
    struct stat st;
    TW_TRY(join_path(file, slash ? (size_t)(slash - file) + 1 : 0, name, path, err));
    if (stat(*path, &st) == 0) return TW_OK;
    free(*path);
    *path = NULL;
    return TW_OK;
}

tw_status tw_folder_model_name(const char *path, char **name, tw_error *err) {
    bool folder = is_folder(path);
    char *real = folder ? realpath(path, NULL) : NULL;
    const char *slash = strrchr(real ? real : path, '/'), *last = slash ? slash + 1 : path;
    const char *dot = folder ? NULL : strrchr(last, '.');
    *name = strndup(last, dot && dot != last ? (size_t)(dot - last) : strlen(last));
    free(real);
    return *name ? TW_OK : tw_fail_no_memory(err, strlen(path));
}
