/* The inside of tw_pictures, shared by the plain sources and the class folders. */
#ifndef DATASET_PICTURES_INTERNAL_H
#define DATASET_PICTURES_INTERNAL_H

#include "base/file.h"
#include "dataset/pictures.h"

typedef struct tw_picture_range {
    uint64_t offset, n_bytes;
} tw_picture_range;

/* Pictures [first, …) up to the next archive's first are members of this one. */
typedef struct tw_picture_archive {
    tw_mapped_file file;
    bool is_base64; /* the ranges are text that stands for the bytes */
    size_t first, n;
    tw_picture_range *ranges; /* [n] */
} tw_picture_archive;

struct tw_pictures {
    tw_strings names;
    tw_picture_archive *archives;
    size_t n_archives;
};

/* Adds n pictures with these names that lie in `file` as base64. Takes the file and the ranges,
 * whatever the result. */
tw_status tw_pictures_add_base64(tw_pictures *p, tw_mapped_file *file, const tw_strings *names,
                                 tw_picture_range *ranges, size_t n, tw_error *err);

/* Adds the members of the tar at `path` that `wanted` accepts, in byte order of their names, and
 * (if not NULL) all folder names, those that only appear in a member's path left out. */
tw_status tw_pictures_add_tar(tw_pictures *p, const char *path, bool (*wanted)(const char *path),
                              tw_strings *folders, tw_error *err);

#endif
