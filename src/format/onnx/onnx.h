/* ONNX models, written: nodes and small constants are collected, weights are views that are
 * streamed at the end, so that a model of any size needs the memory of one piece.
 * Source: the protobuf definitions of ONNX (onnx.proto), field by field. */
#ifndef FORMAT_ONNX_ONNX_H
#define FORMAT_ONNX_ONNX_H

#include "tensor/tensor.h"

/* The most a protobuf message can have: a model beyond it needs its weights in a side file. */
#define TW_ONNX_MAX_BYTES ((uint64_t)INT32_MAX)

typedef enum tw_onnx_type { TW_ONNX_F32 = 1, TW_ONNX_I64 = 7, TW_ONNX_F16 = 10 } tw_onnx_type;

/* Collects a graph. Values are known by their names, which the graph owns. Errors stick: after one
 * every call is harmless, and tw_onnx_write() reports it. */
typedef struct tw_onnx tw_onnx;

tw_status tw_onnx_create(const char *graph_name, int opset, tw_onnx **out, tw_error *err);
void tw_onnx_free(tw_onnx *g);

typedef struct tw_onnx_attr {
    const char *name;
    enum { TW_ONNX_INT, TW_ONNX_FLOAT, TW_ONNX_INTS } kind;
    int64_t i;
    float f;
    const int64_t *ints;
    size_t n_ints;
} tw_onnx_attr;

/* Adds a node of one output that is named `name`, as is the node. `inputs` and `attrs` end with a
 * NULL name; both may be NULL. Returns the output. */
const char *tw_onnx_node(tw_onnx *g, const char *op, const char *name, const char *const *inputs,
                         const tw_onnx_attr *attrs);

/* An i64 constant of rank 1, or 0 when `is_scalar`. */
const char *tw_onnx_ints(tw_onnx *g, const char *name, const int64_t *v, size_t n, bool is_scalar);
/* An f32 constant of rank 0, written as `type`. */
const char *tw_onnx_float(tw_onnx *g, const char *name, float v, tw_onnx_type type);
/* All of `t`, whatever its strides, written as `type` (f32 or f16). Its bytes must stay until
 * tw_onnx_write(). */
const char *tw_onnx_weight(tw_onnx *g, const char *name, const tw_tensor *t, tw_onnx_type type);
/* Room for n floats that lives as long as the graph; NULL when there is none. */
float *tw_onnx_room(tw_onnx *g, size_t n);

/* An extent of an input or output: a number, or a name when it may vary. */
typedef struct tw_onnx_dim {
    int64_t value; /* used when `name` is NULL */
    const char *name;
} tw_onnx_dim;

void tw_onnx_input(tw_onnx *g, const char *name, tw_onnx_type type, const tw_onnx_dim *dims,
                   size_t n_dims);
void tw_onnx_output(tw_onnx *g, const char *name, tw_onnx_type type, const tw_onnx_dim *dims,
                    size_t n_dims);
/* A line of metadata_props. */
void tw_onnx_metadata(tw_onnx *g, const char *key, const char *value);

/* Writes the model to `path`, and, when `side_file` is not NULL, weights of a page and more to
 * that path, which must be in the same folder. Files appear by rename when they are complete.
 * Errors: TW_ERR_LIMIT (2 GB and more without a side file; an f16 overflow, naming the weight),
 * TW_ERR_IO, TW_ERR_NO_MEMORY, TW_ERR_CANCELLED. */
tw_status tw_onnx_write(tw_onnx *g, const char *path, const char *side_file, const tw_hooks *hooks,
                        tw_error *err);

#endif
