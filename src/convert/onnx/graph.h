/* The pieces that the towers' ONNX graphs are made of. Weights keep the names of the model file;
 * one that is a right factor of MatMul is stored as [in, out] and is named "NAME.T".
 *
 * In an f16 graph only products, their biases and activations are f16: the residual stream,
 * LayerNorm, softmax, masks and pooling stay f32, as do inputs and outputs. */
#ifndef CONVERT_ONNX_GRAPH_H
#define CONVERT_ONNX_GRAPH_H

#include "format/onnx/onnx.h"
#include "model/model.h"

#define TW_VALUE_BYTES 96 /* of a value's name */

typedef struct tw_graph {
    tw_onnx *onnx;
    const tw_model *model;
    int opset;
    tw_onnx_type type; /* of products: f32 or f16 */
    int64_t batch;     /* 0 = any */
    const char *batch_name;
    int64_t length;     /* of token rows; 0 = any */
    bool normalize;     /* features of length 1 */
    bool no_projection; /* a text tower ends before pooling and projection */
} tw_graph;

/* printf into `buf`, which it returns. The longest name there is stays well below the room. */
const char *tw_graph_name(char buf[TW_VALUE_BYTES], const char *fmt, ...) TW_PRINTF(2, 3);

/* A node named `name` of up to four inputs, NULL for those that are not there. */
const char *tw_graph_op(tw_graph *g, const char *op, const char *name, const char *a, const char *b,
                        const char *c, const tw_onnx_attr *attrs);
const char *tw_graph_transpose(tw_graph *g, const char *name, const char *x, const int64_t *order,
                               size_t n);
/* An extent of 0 is taken over from x, one of -1 is what is left. */
const char *tw_graph_reshape(tw_graph *g, const char *name, const char *x, const int64_t *shape,
                             size_t n);
/* Row `index` along `axis`, without that axis. */
const char *tw_graph_pick(tw_graph *g, const char *name, const char *x, int64_t index, int axis);
const char *tw_graph_softmax(tw_graph *g, const char *name, const char *x);

/* f32 to the type of products, and back; x itself where they are the same. */
const char *tw_graph_narrow(tw_graph *g, const char *x);
const char *tw_graph_widen(tw_graph *g, const char *x);

/* x A^T + b; `x` and the result are of the type of products. */
const char *tw_graph_linear(tw_graph *g, const char *prefix, const char *x,
                            const tw_linear_weights *w);
/* x A^T */
const char *tw_graph_project(tw_graph *g, const char *name, const char *x, const tw_tensor *weight,
                             const char *weight_name);
/* f32 in and out */
const char *tw_graph_layer_norm(tw_graph *g, const char *prefix, const char *x,
                                const tw_norm_weights *w, float eps);

typedef struct tw_graph_tower {
    const char *prefix; /* of the weights of a block: "v" or "t" */
    const tw_block_weights *blocks;
    int32_t n_layers, width, n_heads;
    tw_activation activation;
    float eps;
    bool post_norm;   /* BERT */
    const char *mask; /* f32, added to the scores [N, H, L, L]; NULL = none */
} tw_graph_tower;

/* x f32 [N, L, W] -> f32 [N, L, W] */
const char *tw_graph_blocks(tw_graph *g, const tw_graph_tower *t, const char *x);

/* Attention of rows `q` [N, Lq, W] over `kv` [N, L, W], both of the type of products. */
const char *tw_graph_attention(tw_graph *g, const char *prefix, const char *q, const char *kv,
                               const tw_linear_weights weights[3], int32_t width, int32_t n_heads,
                               const char *mask);

/* Batch extent of `input` as an i64 tensor [1]: a constant when it is fixed. */
const char *tw_graph_extent(tw_graph *g, const char *name, const char *input, int axis,
                            int64_t fixed);

/* The last step of a tower: f32 features [N, E], of length 1 when asked for, as output `name`. */
const char *tw_graph_features(tw_graph *g, const char *tower, const char *x);

/* The towers; the result is the name of f32 features [N, E]. */
const char *tw_graph_vision(tw_graph *g);
const char *tw_graph_text(tw_graph *g);

#endif
