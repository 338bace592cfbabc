/* --npy-path DIR: one DIR/NAME.npy a picture, NAME without folders and ending: "a/b.jpeg" is b. */
#ifndef CLI_FOLDER_H
#define CLI_FOLDER_H

#include "dataset/pictures.h"
#include "tensor/npy.h"

/* Makes the folder unless it is there; two pictures of one NAME are an error. */
tw_status cli_folder_prepare(const char *folder, const tw_pictures *pictures, tw_error *err);

/* Writes what was made of the picture called `name`. */
tw_status cli_folder_save(const char *folder, const char *name, tw_dtype dtype, int n_dims,
                          const int64_t *shape, const void *data, tw_error *err);

#endif
