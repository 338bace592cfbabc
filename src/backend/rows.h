/* Rows of pictures and tokens for a runtime whose graph takes whole tensors: padded, cut to the
 * batch it was made for, of the type it wants. */
#ifndef BACKEND_ROWS_H
#define BACKEND_ROWS_H

#include "backend/backend.h"

/* The only input of a graph. */
typedef struct tw_graph_input {
    tw_dtype type;   /* of pictures f32 or f16, of tokens i64 or i32 */
    int n_dims;      /* 4 of pictures, 2 of token rows */
    int64_t dims[4]; /* -1: any */
} tw_graph_input;

/* Runs `data` (of the input's type, shape `dims`) into the first `n` rows of f32 features
 * [n, dim]; rows beyond n are padding. */
typedef tw_status (*tw_graph_run)(void *session, void *data, const int64_t *dims, size_t n,
                                  size_t dim, float *features, tw_error *err);

/* Whether the model's rows fit the input. `name` is the input's. Errors: TW_ERR_MISMATCH. */
tw_status tw_graph_input_check(const tw_graph_input *input, const char *name, const tw_model *model,
                               tw_error *err);

/* What the towers of such graphs take; `image` and `text` NULL: there is none. */
void tw_graph_capabilities(const tw_graph_input *image, const tw_graph_input *text,
                           const tw_model *model, tw_capabilities *can);

tw_status tw_graph_encode_pixels(const tw_graph_input *input, tw_graph_run run, void *session,
                                 const tw_model *model, const float *pixels, size_t n,
                                 float *features, tw_error *err);
tw_status tw_graph_encode_tokens(const tw_graph_input *input, tw_graph_run run, void *session,
                                 const tw_model *model, size_t max_batch, const tw_token_rows *rows,
                                 float *features, tw_error *err);

/* n values of pictures as the input's type, f32 or f16. */
void tw_graph_put_pixels(tw_dtype type, const float *from, size_t n, void *out);
/* Rows [begin, begin + n) as ids of `length` a row, i64 or i32, into zeroed memory. Errors:
 * TW_ERR_LIMIT (a longer row). */
tw_status tw_graph_put_ids(tw_dtype type, const tw_token_rows *rows, size_t begin, size_t n,
                           size_t length, void *out, tw_error *err);

/* The first `n` of the `rows` rows [rows, dim] that a graph gave, `count` values of f32 or f16, as
 * f32. Errors: TW_ERR_MISMATCH (another number of values, another type). */
tw_status tw_graph_take_features(tw_dtype type, const void *data, size_t count, size_t rows,
                                 size_t n, size_t dim, float *features, tw_error *err);

/* A runtime that does not run a file right gives zeros or NaN, and no error. `name` is the file's.
 * Errors: TW_ERR_UNSUPPORTED (a row that is all zero, or not finite). */
tw_status tw_graph_check_features(const char *name, const float *features, size_t n, size_t dim,
                                  tw_error *err);

#endif
