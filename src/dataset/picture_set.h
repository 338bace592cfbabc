/* Pictures with ids: the picture side of a retrieval set. */
#ifndef DATASET_PICTURE_SET_H
#define DATASET_PICTURE_SET_H

#include "dataset/annotations.h"
#include "dataset/pictures.h"

typedef struct tw_picture_set {
    tw_pictures *pictures;
    int64_t *ids; /* [n] */
    size_t n;
} tw_picture_set;

/* Opens what `path` is:
 *   a folder with data.mdb   Chinese-CLIP's LMDB `imgs`: id -> base64
 *   FILE.tsv                 Chinese-CLIP's id TAB base64, one a line
 *   a folder, FILE.tar       pictures in byte order of their paths; the id of one is the first
 *                            "image_ids" of the captions whose "file" is its path's last part
 * The first two come in LMDB's order, that of the bytes of the keys ("1000002" before "27"), of
 * lines with the same id the last one: what the LMDB made of the .tsv gives. Entries without a
 * valid id are left out, and so are pictures without a caption. Errors: TW_ERR_IO, TW_ERR_FORMAT,
 * TW_ERR_ARGUMENT (no captions), TW_ERR_AMBIGUOUS (two ids). */
tw_status tw_picture_set_open(const char *path, const tw_annotations *captions, tw_picture_set *out,
                              tw_left_out *left_out, tw_error *err);
void tw_picture_set_free(tw_picture_set *set);

#endif
