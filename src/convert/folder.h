/* Folders as checkpoints are published in: Hugging Face's, open_clip's, Chinese-CLIP's. */
#ifndef CONVERT_FOLDER_H
#define CONVERT_FOLDER_H

#include "base/status.h"

/* The file to take tensors from: `path` itself, or, when it is a folder, the first of
 * model.safetensors, its index, open_clip_model.safetensors, the same as .bin, clip_cn_*.pt, any
 * other that is alone of its kind; the choice is logged. Errors: TW_ERR_FORMAT (none; the message
 * says what was looked for), TW_ERR_AMBIGUOUS (several of one pattern; it names them). free()
 * *file. */
tw_status tw_folder_checkpoint(const char *path, const tw_hooks *hooks, char **file, tw_error *err);

/* The path of `name` in the folder of `file`, or NULL when it is not there. free() *path. */
tw_status tw_folder_neighbour(const char *file, const char *name, char **path, tw_error *err);

/* What a model is called: the folder's name when `path` is one, else the file's without its ending.
 * free() *name. */
tw_status tw_folder_model_name(const char *path, char **name, tw_error *err);

#endif
