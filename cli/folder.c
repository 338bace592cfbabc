#include "folder.h"

#include "base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* FOLDER/NAME.npy, on the heap. */
static char *path_of(const char *folder, const char *name) {
    const char *slash = strrchr(name, '/'), *stem = slash ? slash + 1 : name;
    const char *dot = strrchr(stem, '.');
    tw_buffer b = {0};
    tw_buffer_printf(&b, "%s/%.*s.npy", folder,
                     (int)(dot && dot > stem ? (size_t)(dot - stem) : strlen(stem)), stem);
    return b.failed ? NULL : b.data;
}

static int by_path(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

tw_status cli_folder_prepare(const char *folder, const tw_pictures *pictures, tw_error *err) {
    size_t n = tw_pictures_count(pictures);
    char **paths = calloc(n, sizeof *paths);
    tw_status status = TW_OK;
    if (!paths) return tw_fail_no_memory(err, n * sizeof *paths);
    for (size_t i = 0; i < n; i++)
        if (!(paths[i] = path_of(folder, tw_pictures_name(pictures, i))))
            TW_CHECK(tw_fail_no_memory(err, 1));
    qsort(paths, n, sizeof *paths, by_path);
    for (size_t i = 1; i < n; i++)
        if (strcmp(paths[i - 1], paths[i]) == 0)
            TW_CHECK(tw_fail(err, TW_ERR_ARGUMENT, "%s: two pictures of this name", paths[i]));
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        status = tw_fail(err, TW_ERR_IO, "%s: %s", folder, strerror(errno));
done:
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
    return status;
}

tw_status cli_folder_save(const char *folder, const char *name, tw_dtype dtype, int n_dims,
                          const int64_t *shape, const void *data, tw_error *err) {
    char *path = path_of(folder, name);
    if (!path) return tw_fail_no_memory(err, 1);
    tw_status status = tw_npy_save(path, dtype, n_dims, shape, data, err);
    free(path);
    return status;
}
