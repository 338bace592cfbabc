/* Image towers as ONNX. Source: docs/MODEL.md, sections 4 and 5. */
#include "convert/onnx/graph.h"

#include "base/size.h"

#include <math.h>

/* ---------------------------------------------------------------------------------------- ViT */

/* [W] in front of every picture's rows. */
static const char *class_rows(tw_graph *g, const tw_tensor *row, const char *rows) {
    static const tw_onnx_attr axis1[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = 1}, {0}};
    static const tw_onnx_attr axis0[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = 0}, {0}};
    tw_tensor view = *row;
    int64_t rest[] = {1, row->shape[0]};
    view.n_dims = 3;
    view.shape[0] = view.shape[1] = 1;
    view.shape[2] = row->shape[0];
    tw_tensor_set_c_order(&view);
    const char *x = tw_onnx_weight(g->onnx, "v.class_embd", &view, TW_ONNX_F32);
    const char *n = tw_graph_extent(g, "v.batch", "image", 0, g->batch);
    const char *r = tw_onnx_ints(g->onnx, "v.class_rows.rest", rest, 2, false);
    const char *shape = tw_graph_op(g, "Concat", "v.class_rows.shape", n, r, NULL, axis0);
    x = tw_graph_op(g, "Expand", "v.class_rows", x, shape, NULL, NULL);
    return tw_graph_op(g, "Concat", "v.rows", x, rows, NULL, axis1);
}

static const char *vit(tw_graph *g) {
    const tw_vision_config *c = &g->model->arch.vision;
    const tw_vision_weights *w = &g->model->vision;
    static const int64_t rows_first[] = {0, 2, 1};
    const int64_t side[] = {c->patch_size, c->patch_size}, flat[] = {0, c->width, -1};
    const tw_onnx_attr conv[] = {
        {.name = "kernel_shape", .kind = TW_ONNX_INTS, .ints = side, .n_ints = 2},
        {.name = "strides", .kind = TW_ONNX_INTS, .ints = side, .n_ints = 2},
        {0}};
    const char *kernel = tw_onnx_weight(g->onnx, "v.patch_embd.weight", &w->patch, g->type);
    const char *x = tw_graph_narrow(g, "image");
    x = tw_graph_op(g, "Conv", "v.patches", x, kernel, NULL, conv);
    x = tw_graph_reshape(g, "v.patches.flat", x, flat, 3);
    x = tw_graph_transpose(g, "v.patches.rows", x, rows_first, 3);
    x = class_rows(g, &w->class_row, tw_graph_widen(g, x));
    const char *position =
        tw_onnx_weight(g->onnx, "v.position_embd.weight", &w->position, TW_ONNX_F32);
    x = tw_graph_op(g, "Add", "v.embedded", x, position, NULL, NULL);
    x = tw_graph_layer_norm(g, "v.pre_ln", x, &w->pre, c->norm_eps);
    const tw_graph_tower tower = {"v",           w->blocks,   c->n_layers, c->width, c->n_heads,
                                  c->activation, c->norm_eps, false,       NULL};
    x = tw_graph_blocks(g, &tower, x);
    x = tw_graph_pick(g, "v.class", x, 0, 1);
    x = tw_graph_layer_norm(g, "v.post_ln", x, &w->post, c->norm_eps);
    if (!w->projection.data) return tw_graph_features(g, "image", x);
    x = tw_graph_project(g, "v.projected", tw_graph_narrow(g, x), &w->projection,
                         "visual_projection.weight");
    return tw_graph_features(g, "image", x);
}

/* ----------------------------------------------------------------------------- ModifiedResNet */

/* bn(conv(x)) = conv'(x) + b', with w' = w s, b' = beta - mean s, s = gamma / sqrt(var + eps). */
static bool fold(tw_graph *g, const tw_conv_bn_weights *c, float eps, tw_tensor *weight,
                 tw_tensor *bias) {
    size_t o = (size_t)c->weight.shape[0], n = tw_tensor_elements(&c->weight), k = n / o;
    float *w = tw_onnx_room(g->onnx, n), *b = tw_onnx_room(g->onnx, o);
    float *bn = tw_onnx_room(g->onnx, 4 * o);
    if (!w || !b || !bn) return false;
    const tw_tensor *parts[] = {&c->gamma, &c->beta, &c->mean, &c->var};
    for (size_t i = 0; i < 4; i++)
        tw_tensor_to_f32(parts[i], bn + i * o);
    tw_tensor_to_f32(&c->weight, w);
    for (size_t i = 0; i < o; i++) {
        double s = (double)bn[i] / sqrt((double)bn[3 * o + i] + (double)eps);
        b[i] = (float)((double)bn[o + i] - (double)bn[2 * o + i] * s);
        for (size_t j = 0; j < k; j++)
            w[i * k + j] = (float)((double)w[i * k + j] * s);
    }
    *weight = c->weight;
    weight->dtype = TW_F32;
    weight->data = w;
    tw_tensor_set_c_order(weight);
    *bias = (tw_tensor){.dtype = TW_F32, .n_dims = 1, .shape = {(int64_t)o}, .data = b};
    tw_tensor_set_c_order(bias);
    return true;
}

static const char *conv(tw_graph *g, const char *prefix, const char *x, const tw_conv_bn_weights *c,
                        int64_t stride) {
    char buf[TW_VALUE_BYTES];
    tw_tensor weight, bias;
    int64_t kernel[] = {c->weight.shape[2], c->weight.shape[2]}, strides[] = {stride, stride};
    int64_t pad = kernel[0] / 2, pads[] = {pad, pad, pad, pad};
    if (!fold(g, c, g->model->arch.vision.norm_eps, &weight, &bias)) return "";
    const tw_onnx_attr attrs[] = {
        {.name = "kernel_shape", .kind = TW_ONNX_INTS, .ints = kernel, .n_ints = 2},
        {.name = "strides", .kind = TW_ONNX_INTS, .ints = strides, .n_ints = 2},
        {.name = "pads", .kind = TW_ONNX_INTS, .ints = pads, .n_ints = 4},
        {0}};
    const char *w =
        tw_onnx_weight(g->onnx, tw_graph_name(buf, "%s.weight", prefix), &weight, g->type);
    const char *b = tw_onnx_weight(g->onnx, tw_graph_name(buf, "%s.bias", prefix), &bias, g->type);
    return tw_graph_op(g, "Conv", tw_graph_name(buf, "%s.out", prefix), x, w, b, attrs);
}

static const char *relu(tw_graph *g, const char *x) {
    char buf[TW_VALUE_BYTES];
    return tw_graph_op(g, "Relu", tw_graph_name(buf, "%s.relu", x), x, NULL, NULL, NULL);
}

static const char *average(tw_graph *g, const char *x, int64_t side) {
    char buf[TW_VALUE_BYTES];
    int64_t shape[] = {side, side};
    const tw_onnx_attr attrs[] = {
        {.name = "kernel_shape", .kind = TW_ONNX_INTS, .ints = shape, .n_ints = 2},
        {.name = "strides", .kind = TW_ONNX_INTS, .ints = shape, .n_ints = 2},
        {0}};
    if (side == 1) return x;
    return tw_graph_op(g, "AveragePool", tw_graph_name(buf, "%s.pool", x), x, NULL, NULL, attrs);
}

static const char *bottleneck(tw_graph *g, const char *prefix, const char *x,
                              const tw_bottleneck_weights *b) {
    char buf[TW_VALUE_BYTES];
    const char *y = relu(g, conv(g, tw_graph_name(buf, "%s.conv1", prefix), x, &b->conv1, 1));
    y = relu(g, conv(g, tw_graph_name(buf, "%s.conv2", prefix), y, &b->conv2, 1));
    y = conv(g, tw_graph_name(buf, "%s.conv3", prefix), average(g, y, b->stride), &b->conv3, 1);
    if (b->down.weight.data) {
        tw_graph_name(buf, "%s.shortcut", prefix);
        if (b->stride > 1)
            x = average(g, tw_graph_op(g, "Identity", buf, x, 0, 0, NULL), b->stride);
        x = conv(g, tw_graph_name(buf, "%s.down", prefix), x, &b->down, 1);
    }
    return relu(g, tw_graph_op(g, "Add", tw_graph_name(buf, "%s.sum", prefix), y, x, NULL, NULL));
}

/* The mean of all places asks, they and the mean answer. */
static const char *attention_pool(tw_graph *g, const char *x) {
    const tw_vision_config *c = &g->model->arch.vision;
    const tw_vision_weights *w = &g->model->vision;
    static const int64_t rows_first[] = {0, 2, 1}, middle[] = {1};
    static const int64_t begin[] = {0}, end[] = {1}, axis[] = {1};
    int64_t width = w->pool_q.weight.shape[0], flat[] = {0, width, -1};
    const tw_onnx_attr mean[] = {
        {.name = "axes", .kind = TW_ONNX_INTS, .ints = middle, .n_ints = 1}, {0}};
    const tw_onnx_attr axis1[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = 1}, {0}};
    const tw_linear_weights weights[3] = {w->pool_q, w->pool_k, w->pool_v};
    x = tw_graph_widen(g, tw_graph_reshape(g, "v.pool.flat", x, flat, 3));
    x = tw_graph_transpose(g, "v.pool.places", x, rows_first, 3);
    const char *m = tw_graph_op(g, "ReduceMean", "v.pool.mean", x, NULL, NULL, mean);
    x = tw_graph_op(g, "Concat", "v.pool.all", m, x, NULL, axis1);
    const char *position =
        tw_onnx_weight(g->onnx, "v.pool.position_embd.weight", &w->position, TW_ONNX_F32);
    x = tw_graph_narrow(g, tw_graph_op(g, "Add", "v.pool.embedded", x, position, NULL, NULL));
    const char *slice[] = {x, tw_onnx_ints(g->onnx, "v.pool.begin", begin, 1, false),
                           tw_onnx_ints(g->onnx, "v.pool.end", end, 1, false),
                           tw_onnx_ints(g->onnx, "v.pool.axis", axis, 1, false), NULL};
    const char *q = tw_onnx_node(g->onnx, "Slice", "v.pool.query", slice, NULL);
    x = tw_graph_attention(g, "v.pool", q, x, weights, (int32_t)width, c->n_heads, NULL);
    x = tw_graph_pick(g, "v.pool.row", x, 0, 1);
    x = tw_graph_linear(g, "v.pool.attn_out", x, &w->pool_out);
    return tw_graph_features(g, "image", x);
}

static const char *resnet(tw_graph *g) {
    const tw_vision_config *c = &g->model->arch.vision;
    const tw_vision_weights *w = &g->model->vision;
    char prefix[TW_VALUE_BYTES];
    const char *x = tw_graph_narrow(g, "image");
    for (int i = 0; i < 3; i++) {
        tw_graph_name(prefix, "v.stem.%d", i + 1);
        x = relu(g, conv(g, prefix, x, &w->stem[i], i == 0 ? 2 : 1));
    }
    x = average(g, x, 2);
    for (int stage = 0, i = 0; stage < 4; stage++)
        for (int b = 0; b < c->stages[stage]; b++, i++)
            x = bottleneck(g, tw_graph_name(prefix, "v.stage.%d.%d", stage + 1, b), x,
                           &w->bottlenecks[i]);
    return attention_pool(g, x);
}

const char *tw_graph_vision(tw_graph *g) {
    const tw_vision_config *c = &g->model->arch.vision;
    tw_onnx_dim dims[] = {{g->batch, g->batch ? NULL : g->batch_name},
                          {3, NULL},
                          {c->image_size, NULL},
                          {c->image_size, NULL}};
    tw_onnx_input(g->onnx, "image", TW_ONNX_F32, dims, TW_COUNT(dims));
    return c->kind == TW_VISION_VIT ? vit(g) : resnet(g);
}
