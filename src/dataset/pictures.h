/* A source of encoded pictures: files, folders, lists and tar archives behind one index. Names are
 * kept, bytes are read when asked for. */
#ifndef DATASET_PICTURES_H
#define DATASET_PICTURES_H

#include "dataset/strings.h"

typedef struct tw_pictures tw_pictures;

tw_status tw_pictures_create(tw_pictures **out, tw_error *err);
void tw_pictures_free(tw_pictures *p);

/* Adds what `path` stands for: a folder's pictures (see tw_has_picture_extension, sub-folders too,
 * paths in byte order), those of a .tar (likewise), or the file itself, "-" for standard input. A
 * file that is missing is found out when it is read. Errors: TW_ERR_IO (a folder that cannot be
 * listed), TW_ERR_FORMAT (tar), TW_ERR_LIMIT (folders more than 64 deep). */
tw_status tw_pictures_add(tw_pictures *p, const char *path, tw_error *err);

/* Adds the files that the list at `path` ("-": standard input) names, one a line. */
tw_status tw_pictures_add_list(tw_pictures *p, const char *path, tw_error *err);

size_t tw_pictures_count(const tw_pictures *p);

/* Path of a picture, that of a tar member being ARCHIVE/MEMBER. Borrowed from `p`. */
const char *tw_pictures_name(const tw_pictures *p, size_t i);

/* The bytes of one picture: free() `owned` when done with `data`. Messages do not name it. */
typedef struct tw_picture_bytes {
    const void *data;
    size_t n_bytes;
    void *owned; /* NULL when the bytes are borrowed from an archive */
} tw_picture_bytes;

tw_status tw_pictures_read(const tw_pictures *p, size_t i, size_t max_bytes, tw_picture_bytes *out,
                           tw_error *err);

/* Pictures in class folders. Class c is the c-th folder name in byte order; pictures are in the
 * order of class, then folder path, then file name. Source: torchvision ImageFolder, which
 * Chinese-CLIP's zero-shot script reads with. */
typedef struct tw_class_folders {
    tw_pictures *pictures;
    tw_strings names; /* [n_classes] of the folders */
    uint32_t *labels; /* [n_pictures]; the class, or after matching the label's number */
} tw_class_folders;

/* Opens DIR (or DIR/test when there is one) or a tar archive of such a folder. All of ImageFolder's
 * extensions count as pictures. Errors: TW_ERR_IO, TW_ERR_FORMAT (no class folder, bad tar). */
tw_status tw_class_folders_open(const char *path, tw_class_folders *out, tw_error *err);

/* Puts label numbers in place of classes. With as many folders as labels they are the same; else
 * all folder names must be numbers below n_labels ("007"). Errors: TW_ERR_MISMATCH. */
tw_status tw_class_folders_match(tw_class_folders *folders, size_t n_labels, tw_error *err);
void tw_class_folders_free(tw_class_folders *folders);

#endif
