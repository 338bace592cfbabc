/* Folders: every file below one, in a fixed order. */
#ifndef DATASET_WALK_H
#define DATASET_WALK_H

#include "dataset/strings.h"

/* Adds the paths (`folder`/…) of all files below `folder` that `wanted` accepts, in byte order.
 * Links are followed, loops noticed. Errors: TW_ERR_IO, TW_ERR_LIMIT (more than 64 deep). */
tw_status tw_walk_files(const char *folder, bool (*wanted)(const char *path), tw_strings *out,
                        tw_error *err);

/* Adds the names (not paths) of the folders in `folder`, in byte order. */
tw_status tw_walk_folders(const char *folder, tw_strings *out, tw_error *err);

bool tw_is_folder(const char *path);

/* "FOLDER/NAME", to be freed. */
tw_status tw_join_path(const char *folder, const char *name, char **out, tw_error *err);

/* .jpg .jpeg .png .webp .bmp .gif .ppm .pgm .pbm .pnm .tif .tiff .heic .heif .hif .avif, in any case: what a folder
 * of pictures contributes. */
bool tw_has_picture_extension(const char *path);
/* The longer list of torchvision's ImageFolder: .jpg .jpeg .png .ppm .bmp .pgm .tif
 * .tiff .webp. */
bool tw_has_image_folder_extension(const char *path);

#endif
