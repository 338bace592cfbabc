/* The ONNX graphs a runtime is given: the user's files, or ones written from the model for the
 * time it takes to load them. */
#ifndef BACKEND_GRAPHS_H
#define BACKEND_GRAPHS_H

#include "backend/backend.h"

typedef struct tw_graph_file {
    char path[4096];
    char folder[1024]; /* to remove with what is in it; empty for a file of the user's */
} tw_graph_file;

/* The graph of the image (`image`) or text tower. options->graphs: a file that ends in .onnx serves
 * the tower its name says (".img." or ".txt."; any file when the other tower is left out), else a
 * PREFIX of PREFIX.img.fp32.onnx or PREFIX.img.fp16.onnx (.txt. likewise), the precision asked for
 * first; engines of TensorRT are refused. NULL: written from the model as f32, or as f16 when that
 * is asked for, into a folder of $TMPDIR. Errors: TW_ERR_IO naming what was looked for, those of
 * tw_export_onnx(). */
tw_status tw_graph_file_open(const tw_model *model, bool image, const tw_backend_options *options,
                             tw_graph_file *out, tw_error *err);
/* The compiled file of a tower: options->graphs when it ends in `suffix` (".mm"; the same rule), else
 * PREFIX.img.mm or PREFIX.txt.mm. Whether it is there is not looked at. Errors: TW_ERR_ARGUMENT. */
tw_status tw_compiled_file(const tw_backend_options *options, const char *suffix, bool image,
                           char *path, size_t n, tw_error *err);
/* Removes what was written. */
void tw_graph_file_close(tw_graph_file *file);

#endif
