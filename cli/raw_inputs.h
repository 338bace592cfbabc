/* Inputs that a person prepared: pixels and token ids from .npy files. */
#ifndef CLI_RAW_INPUTS_H
#define CLI_RAW_INPUTS_H

#include "base/file.h"
#include "inputs.h"
#include "tensor/npy.h"

typedef struct cli_array {
    const char *path;
    tw_mapped_file file;
    uint8_t *owned; /* when it came from standard input */
    tw_tensor tensor;
    size_t n_rows, row; /* row: elements of one */
} cli_array;

tw_status cli_array_open(const char *path, cli_array *out, tw_error *err);
void cli_array_close(cli_array *array);

/* [N, 3, R, R] (or [3, R, R]) of floats, R the model's. */
tw_status cli_array_check_pixels(cli_array *array, const tw_model *model, tw_error *err);

/* [N, L] (or [L]) of integers. */
tw_status cli_array_check_ids(cli_array *array, tw_error *err);

tw_status cli_encode_array(cli_session *s, const cli_array *array, bool is_pixels, bool normalize,
                           cli_rows_fn rows, void *user, tw_error *err);

#endif
