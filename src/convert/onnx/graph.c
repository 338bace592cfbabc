#include "convert/onnx/graph.h"

#include "base/size.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

const char *tw_graph_name(char buf[TW_VALUE_BYTES], const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(buf, TW_VALUE_BYTES, fmt, args);
    va_end(args);
    return buf;
}

const char *tw_graph_op(tw_graph *g, const char *op, const char *name, const char *a, const char *b,
                        const char *c, const tw_onnx_attr *attrs) {
    const char *inputs[] = {a, b, c, NULL};
    return tw_onnx_node(g->onnx, op, name, inputs, attrs);
}

const char *tw_graph_transpose(tw_graph *g, const char *name, const char *x, const int64_t *order,
                               size_t n) {
    tw_onnx_attr attrs[] = {{.name = "perm", .kind = TW_ONNX_INTS, .ints = order, .n_ints = n},
                            {0}};
    return tw_graph_op(g, "Transpose", name, x, NULL, NULL, attrs);
}

const char *tw_graph_reshape(tw_graph *g, const char *name, const char *x, const int64_t *shape,
                             size_t n) {
    char buf[TW_VALUE_BYTES];
    const char *to = tw_onnx_ints(g->onnx, tw_graph_name(buf, "%s.shape", name), shape, n, false);
    return tw_graph_op(g, "Reshape", name, x, to, NULL, NULL);
}

const char *tw_graph_pick(tw_graph *g, const char *name, const char *x, int64_t index, int axis) {
    char buf[TW_VALUE_BYTES];
    tw_onnx_attr attrs[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = axis}, {0}};
    const char *at = tw_onnx_ints(g->onnx, tw_graph_name(buf, "%s.index", name), &index, 1, true);
    return tw_graph_op(g, "Gather", name, x, at, NULL, attrs);
}

const char *tw_graph_softmax(tw_graph *g, const char *name, const char *x) {
    tw_onnx_attr attrs[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = -1}, {0}};
    return tw_graph_op(g, "Softmax", name, x, NULL, NULL, attrs);
}

static const char *cast(tw_graph *g, const char *x, tw_onnx_type to) {
    char buf[TW_VALUE_BYTES];
    tw_onnx_attr attrs[] = {{.name = "to", .kind = TW_ONNX_INT, .i = to}, {0}};
    if (g->type == TW_ONNX_F32) return x;
    return tw_graph_op(g, "Cast", tw_graph_name(buf, "%s.%s", x, to == TW_ONNX_F32 ? "f32" : "f16"),
                       x, NULL, NULL, attrs);
}

const char *tw_graph_narrow(tw_graph *g, const char *x) {
    return cast(g, x, g->type);
}

const char *tw_graph_widen(tw_graph *g, const char *x) {
    return cast(g, x, TW_ONNX_F32);
}

const char *tw_graph_project(tw_graph *g, const char *name, const char *x, const tw_tensor *weight,
                             const char *weight_name) {
    char buf[TW_VALUE_BYTES];
    tw_tensor t = tw_tensor_transpose(weight);
    const char *w = tw_onnx_weight(g->onnx, tw_graph_name(buf, "%s.T", weight_name), &t, g->type);
    return tw_graph_op(g, "MatMul", name, x, w, NULL, NULL);
}

const char *tw_graph_linear(tw_graph *g, const char *prefix, const char *x,
                            const tw_linear_weights *w) {
    char buf[TW_VALUE_BYTES], weight[TW_VALUE_BYTES];
    const char *y = tw_graph_project(g, tw_graph_name(buf, "%s.product", prefix), x, &w->weight,
                                     tw_graph_name(weight, "%s.weight", prefix));
    const char *bias =
        tw_onnx_weight(g->onnx, tw_graph_name(buf, "%s.bias", prefix), &w->bias, g->type);
    return tw_graph_op(g, "Add", tw_graph_name(buf, "%s.out", prefix), y, bias, NULL, NULL);
}

/* The operator exists from opset 17. */
static const char *norm_in_steps(tw_graph *g, const char *prefix, const char *x, const char *gamma,
                                 const char *beta, float eps) {
    static const int64_t last[] = {-1};
    char buf[TW_VALUE_BYTES];
    tw_onnx_attr mean[] = {{.name = "axes", .kind = TW_ONNX_INTS, .ints = last, .n_ints = 1}, {0}};
    tw_onnx *o = g->onnx;
    const char *m =
        tw_graph_op(g, "ReduceMean", tw_graph_name(buf, "%s.mean", prefix), x, 0, 0, mean);
    const char *d = tw_graph_op(g, "Sub", tw_graph_name(buf, "%s.centred", prefix), x, m, 0, NULL);
    const char *s = tw_graph_op(g, "Mul", tw_graph_name(buf, "%s.square", prefix), d, d, 0, NULL);
    const char *v =
        tw_graph_op(g, "ReduceMean", tw_graph_name(buf, "%s.var", prefix), s, 0, 0, mean);
    const char *e = tw_onnx_float(o, tw_graph_name(buf, "%s.eps", prefix), eps, TW_ONNX_F32);
    const char *a = tw_graph_op(g, "Add", tw_graph_name(buf, "%s.var_eps", prefix), v, e, 0, NULL);
    const char *r = tw_graph_op(g, "Sqrt", tw_graph_name(buf, "%s.std", prefix), a, 0, 0, NULL);
    const char *n = tw_graph_op(g, "Div", tw_graph_name(buf, "%s.scaled", prefix), d, r, 0, NULL);
    const char *y =
        tw_graph_op(g, "Mul", tw_graph_name(buf, "%s.gamma", prefix), n, gamma, 0, NULL);
    return tw_graph_op(g, "Add", tw_graph_name(buf, "%s.out", prefix), y, beta, 0, NULL);
}

const char *tw_graph_layer_norm(tw_graph *g, const char *prefix, const char *x,
                                const tw_norm_weights *w, float eps) {
    char buf[TW_VALUE_BYTES];
    const char *gamma =
        tw_onnx_weight(g->onnx, tw_graph_name(buf, "%s.weight", prefix), &w->gamma, TW_ONNX_F32);
    const char *beta =
        tw_onnx_weight(g->onnx, tw_graph_name(buf, "%s.bias", prefix), &w->beta, TW_ONNX_F32);
    if (g->opset < 17) return norm_in_steps(g, prefix, x, gamma, beta, eps);
    tw_onnx_attr attrs[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = -1},
                            {.name = "epsilon", .kind = TW_ONNX_FLOAT, .f = eps},
                            {0}};
    return tw_graph_op(g, "LayerNormalization", tw_graph_name(buf, "%s.out", prefix), x, gamma,
                       beta, attrs);
}

static const char *times(tw_graph *g, const char *name, const char *x, float factor,
                         tw_onnx_type type) {
    char buf[TW_VALUE_BYTES];
    const char *f = tw_onnx_float(g->onnx, tw_graph_name(buf, "%s.factor", name), factor, type);
    return tw_graph_op(g, "Mul", name, x, f, NULL, NULL);
}

static const char *quick_gelu(tw_graph *g, const char *prefix, const char *x) {
    char buf[TW_VALUE_BYTES];
    const char *y = times(g, tw_graph_name(buf, "%s.scaled", prefix), x, 1.702f, g->type);
    y = tw_graph_op(g, "Sigmoid", tw_graph_name(buf, "%s.sigmoid", prefix), y, NULL, NULL, NULL);
    return tw_graph_op(g, "Mul", tw_graph_name(buf, "%s.out", prefix), x, y, NULL, NULL);
}

static const char *gelu(tw_graph *g, const char *prefix, const char *x) {
    char buf[TW_VALUE_BYTES];
    const char *root =
        tw_onnx_float(g->onnx, tw_graph_name(buf, "%s.sqrt2", prefix), sqrtf(2.0f), g->type);
    const char *one = tw_onnx_float(g->onnx, tw_graph_name(buf, "%s.one", prefix), 1.0f, g->type);
    const char *y =
        tw_graph_op(g, "Div", tw_graph_name(buf, "%s.scaled", prefix), x, root, NULL, NULL);
    y = tw_graph_op(g, "Erf", tw_graph_name(buf, "%s.erf", prefix), y, NULL, NULL, NULL);
    y = tw_graph_op(g, "Add", tw_graph_name(buf, "%s.erf1", prefix), y, one, NULL, NULL);
    y = tw_graph_op(g, "Mul", tw_graph_name(buf, "%s.double", prefix), x, y, NULL, NULL);
    return times(g, tw_graph_name(buf, "%s.out", prefix), y, 0.5f, g->type);
}

/* [N, L, W] -> [N, H, L, d], or [N, H, d, L] for keys. */
static const char *heads(tw_graph *g, const char *name, const char *x, int32_t n_heads,
                         int32_t head_width, bool keys) {
    static const int64_t by_head[] = {0, 2, 1, 3}, by_head_turned[] = {0, 2, 3, 1};
    char buf[TW_VALUE_BYTES];
    int64_t shape[] = {0, 0, n_heads, head_width};
    const char *y = tw_graph_reshape(g, tw_graph_name(buf, "%s.split", name), x, shape, 4);
    return tw_graph_transpose(g, tw_graph_name(buf, "%s.heads", name), y,
                              keys ? by_head_turned : by_head, 4);
}

const char *tw_graph_attention(tw_graph *g, const char *prefix, const char *q, const char *kv,
                               const tw_linear_weights weights[3], int32_t width, int32_t n_heads,
                               const char *mask) {
    static const int64_t by_row[] = {0, 2, 1, 3};
    static const char *const names[] = {"attn_q", "attn_k", "attn_v"};
    char buf[TW_VALUE_BYTES], part[TW_VALUE_BYTES];
    const char *x[3];
    int32_t d = width / n_heads;
    for (int i = 0; i < 3; i++) {
        tw_graph_name(part, "%s.%s", prefix, names[i]);
        x[i] = tw_graph_linear(g, part, i == 0 ? q : kv, &weights[i]);
        if (i == 0)
            x[0] =
                times(g, tw_graph_name(buf, "%s.scaled", part), x[0], 1 / sqrtf((float)d), g->type);
        x[i] = heads(g, part, x[i], n_heads, d, i == 1);
    }
    const char *y =
        tw_graph_op(g, "MatMul", tw_graph_name(buf, "%s.scores", prefix), x[0], x[1], 0, 0);
    y = tw_graph_widen(g, y);
    if (mask)
        y = tw_graph_op(g, "Add", tw_graph_name(buf, "%s.masked", prefix), y, mask, NULL, NULL);
    y = tw_graph_softmax(g, tw_graph_name(buf, "%s.weights", prefix), y);
    y = tw_graph_narrow(g, y);
    y = tw_graph_op(g, "MatMul", tw_graph_name(buf, "%s.mixed", prefix), y, x[2], NULL, NULL);
    y = tw_graph_transpose(g, tw_graph_name(buf, "%s.rows", prefix), y, by_row, 4);
    int64_t shape[] = {0, 0, width};
    return tw_graph_reshape(g, tw_graph_name(buf, "%s.joined", prefix), y, shape, 3);
}

static const char *attend(tw_graph *g, const tw_graph_tower *t, const char *prefix,
                          const tw_block_weights *b, const char *x) {
    char buf[TW_VALUE_BYTES];
    const tw_linear_weights weights[3] = {b->q, b->k, b->v};
    x = tw_graph_narrow(g, x);
    x = tw_graph_attention(g, prefix, x, x, weights, t->width, t->n_heads, t->mask);
    x = tw_graph_linear(g, tw_graph_name(buf, "%s.attn_out", prefix), x, &b->out);
    return tw_graph_widen(g, x);
}

static const char *mlp(tw_graph *g, const tw_graph_tower *t, const char *prefix,
                       const tw_block_weights *b, const char *x) {
    char buf[TW_VALUE_BYTES];
    x = tw_graph_narrow(g, x);
    x = tw_graph_linear(g, tw_graph_name(buf, "%s.ffn_down", prefix), x, &b->fc1);
    tw_graph_name(buf, "%s.act", prefix);
    x = t->activation == TW_GELU_ERF ? gelu(g, buf, x) : quick_gelu(g, buf, x);
    x = tw_graph_linear(g, tw_graph_name(buf, "%s.ffn_up", prefix), x, &b->fc2);
    return tw_graph_widen(g, x);
}

static const char *block(tw_graph *g, const tw_graph_tower *t, const char *prefix,
                         const tw_block_weights *b, const char *x) {
    char ln1[TW_VALUE_BYTES], ln2[TW_VALUE_BYTES], buf[TW_VALUE_BYTES];
    tw_graph_name(ln1, "%s.ln1", prefix);
    tw_graph_name(ln2, "%s.ln2", prefix);
    const char *y = t->post_norm ? x : tw_graph_layer_norm(g, ln1, x, &b->ln1, t->eps);
    y = attend(g, t, prefix, b, y);
    x = tw_graph_op(g, "Add", tw_graph_name(buf, "%s.residual1", prefix), x, y, NULL, NULL);
    if (t->post_norm) x = tw_graph_layer_norm(g, ln1, x, &b->ln1, t->eps);
    y = t->post_norm ? x : tw_graph_layer_norm(g, ln2, x, &b->ln2, t->eps);
    y = mlp(g, t, prefix, b, y);
    x = tw_graph_op(g, "Add", tw_graph_name(buf, "%s.residual2", prefix), x, y, NULL, NULL);
    return t->post_norm ? tw_graph_layer_norm(g, ln2, x, &b->ln2, t->eps) : x;
}

const char *tw_graph_blocks(tw_graph *g, const tw_graph_tower *t, const char *x) {
    char prefix[TW_VALUE_BYTES];
    for (int32_t i = 0; i < t->n_layers; i++)
        x = block(g, t, tw_graph_name(prefix, "%s.blk.%d", t->prefix, (int)i), &t->blocks[i], x);
    return x;
}

const char *tw_graph_extent(tw_graph *g, const char *name, const char *input, int axis,
                            int64_t fixed) {
    char buf[TW_VALUE_BYTES];
    int64_t at = axis;
    if (fixed) return tw_onnx_ints(g->onnx, name, &fixed, 1, false);
    const char *shape =
        tw_graph_op(g, "Shape", tw_graph_name(buf, "%s.shape", name), input, NULL, NULL, NULL);
    const char *index = tw_onnx_ints(g->onnx, tw_graph_name(buf, "%s.axis", name), &at, 1, false);
    tw_onnx_attr attrs[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = 0}, {0}};
    return tw_graph_op(g, "Gather", name, shape, index, NULL, attrs);
}

const char *tw_graph_features(tw_graph *g, const char *tower, const char *x) {
    static const int64_t last[] = {-1};
    char buf[TW_VALUE_BYTES];
    tw_onnx_attr axes[] = {{.name = "axes", .kind = TW_ONNX_INTS, .ints = last, .n_ints = 1}, {0}};
    x = tw_graph_widen(g, x);
    if (!g->normalize)
        return tw_graph_op(g, "Identity", tw_graph_name(buf, "unnorm_%s_features", tower), x, 0, 0,
                           NULL);
    const char *norm =
        tw_graph_op(g, "ReduceL2", tw_graph_name(buf, "%s.length", tower), x, NULL, NULL, axes);
    return tw_graph_op(g, "Div", tw_graph_name(buf, "%s_features", tower), x, norm, NULL, NULL);
}
