/* Text towers as ONNX. Source: docs/MODEL.md, section 6; OpenAI CLIP clip/model.py encode_text. */
#include "convert/onnx/graph.h"

#include "base/size.h"

/* Added to a score that must not count: exp() of it is 0, and f16 can hold it. */
static const float forbidden = -10000.0f;

static const tw_onnx_attr axis0[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = 0}, {0}};

/* The first L entries of `weight` along `axes`: a part of the weight when L is fixed. */
static const char *first(tw_graph *g, const char *name, const tw_tensor *weight, int n_axes) {
    static const int64_t both[] = {0, 1}, zeros[] = {0, 0};
    char buf[TW_VALUE_BYTES];
    if (g->length) {
        tw_tensor part = *weight;
        for (int i = 0; i < n_axes; i++)
            part.shape[i] = g->length;
        return tw_onnx_weight(g->onnx, name, &part, TW_ONNX_F32);
    }
    const char *all = tw_onnx_weight(g->onnx, name, weight, TW_ONNX_F32);
    const char *end = "t.length";
    if (n_axes == 2) end = tw_graph_op(g, "Concat", "t.length2", end, end, NULL, axis0);
    const char *inputs[] = {
        all,
        tw_onnx_ints(g->onnx, tw_graph_name(buf, "%s.begin", name), zeros, (size_t)n_axes, false),
        end,
        tw_onnx_ints(g->onnx, tw_graph_name(buf, "%s.axes", name), both, (size_t)n_axes, false),
        NULL};
    return tw_onnx_node(g->onnx, "Slice", tw_graph_name(buf, "%s.first", name), inputs, NULL);
}

/* Token and position embedding: f32 [N, L, W]. */
static const char *embed(tw_graph *g) {
    const tw_text_weights *w = &g->model->text;
    const char *table = tw_onnx_weight(g->onnx, "t.token_embd.weight", &w->token, g->type);
    const char *x = tw_graph_op(g, "Gather", "t.tokens", table, "text", NULL, axis0);
    const char *p = first(g, "t.position_embd.weight", &w->position, 1);
    return tw_graph_op(g, "Add", "t.placed", tw_graph_widen(g, x), p, NULL, NULL);
}

/* 0 where there is a token, a large negative number at padding: f32 [N, 1, 1, L]. */
static const char *padding_mask(tw_graph *g) {
    static const int64_t zero[] = {0}, middle[] = {1, 2};
    const tw_onnx_attr to_f32[] = {{.name = "to", .kind = TW_ONNX_INT, .i = TW_ONNX_F32}, {0}};
    const char *pad = tw_onnx_ints(g->onnx, "t.pad", zero, 1, true);
    const char *axes = tw_onnx_ints(g->onnx, "t.mask.axes", middle, 2, false);
    const char *factor = tw_onnx_float(g->onnx, "t.mask.factor", forbidden, TW_ONNX_F32);
    const char *x = tw_graph_op(g, "Equal", "t.is_pad", "text", pad, NULL, NULL);
    x = tw_graph_op(g, "Cast", "t.is_pad.f32", x, NULL, NULL, to_f32);
    x = tw_graph_op(g, "Mul", "t.mask.flat", x, factor, NULL, NULL);
    return tw_graph_op(g, "Unsqueeze", "t.mask", x, axes, NULL, NULL);
}

/* No row looks ahead: f32 [L, L]. */
static const char *causal_mask(tw_graph *g, int64_t n) {
    float *v = tw_onnx_room(g->onnx, (size_t)(n * n));
    if (!v) return "";
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            v[i * n + j] = j > i ? forbidden : 0;
    tw_tensor t = {.dtype = TW_F32, .n_dims = 2, .shape = {n, n}, .data = v};
    tw_tensor_set_c_order(&t);
    return first(g, "t.mask", &t, 2);
}

static tw_graph_tower tower(const tw_graph *g, const char *mask) {
    const tw_text_config *c = &g->model->arch.text;
    return (tw_graph_tower){"t",        g->model->text.blocks, c->n_layers, c->width,
                            c->n_heads, c->activation,         c->norm_eps, c->kind == TW_TEXT_BERT,
                            mask};
}

static const char *bert(tw_graph *g) {
    const tw_text_weights *w = &g->model->text;
    const tw_text_config *c = &g->model->arch.text;
    tw_tensor type = tw_tensor_rows(&w->type, 0, 1);
    const char *t = tw_onnx_weight(g->onnx, "t.token_type_embd.weight", &type, TW_ONNX_F32);
    const char *x = tw_graph_op(g, "Add", "t.embedded", embed(g), t, NULL, NULL);
    x = tw_graph_layer_norm(g, "t.embd_ln", x, &w->embed_norm, c->norm_eps);
    const tw_graph_tower layers = tower(g, padding_mask(g));
    return tw_graph_blocks(g, &layers, x);
}

static const char *clip(tw_graph *g) {
    const tw_text_weights *w = &g->model->text;
    const tw_text_config *c = &g->model->arch.text;
    const tw_graph_tower layers = tower(g, causal_mask(g, c->n_positions));
    const char *x = tw_graph_blocks(g, &layers, embed(g));
    return tw_graph_layer_norm(g, "t.post_ln", x, &w->final_norm, c->norm_eps);
}

/* The row of the end of text, the first largest id: f32 [N, W]. Ids are below 2^24, so f32 holds
 * each, and every runtime has ArgMax of f32. */
static const char *end_of_text(tw_graph *g, const char *x) {
    const tw_onnx_attr to_f32[] = {{.name = "to", .kind = TW_ONNX_INT, .i = TW_ONNX_F32}, {0}};
    const tw_onnx_attr arg_max[] = {{.name = "axis", .kind = TW_ONNX_INT, .i = 1},
                                    {.name = "keepdims", .kind = TW_ONNX_INT, .i = 1},
                                    {0}};
    const tw_onnx_attr by_row[] = {{.name = "batch_dims", .kind = TW_ONNX_INT, .i = 1}, {0}};
    const char *ids = tw_graph_op(g, "Cast", "t.ids", "text", NULL, NULL, to_f32);
    const char *at = tw_graph_op(g, "ArgMax", "t.end", ids, NULL, NULL, arg_max);
    return tw_graph_op(g, "GatherND", "t.pooled", x, at, NULL, by_row);
}

const char *tw_graph_text(tw_graph *g) {
    const tw_text_config *c = &g->model->arch.text;
    tw_onnx_dim dims[] = {{g->batch, g->batch ? NULL : g->batch_name},
                          {g->length, g->length ? NULL : "length"}};
    tw_onnx_input(g->onnx, "text", TW_ONNX_I64, dims, TW_COUNT(dims));
    if (!g->length) tw_graph_extent(g, "t.length", "text", 1, 0);
    const char *x = c->kind == TW_TEXT_BERT ? bert(g) : clip(g);
    if (g->no_projection) return tw_graph_op(g, "Identity", "text_rows", x, NULL, NULL, NULL);
    x = c->kind == TW_TEXT_BERT ? tw_graph_pick(g, "t.pooled", x, 0, 1) : end_of_text(g, x);
    x = tw_graph_project(g, "t.projected", tw_graph_narrow(g, x), &g->model->text.projection,
                         "text_projection.weight");
    return tw_graph_features(g, "text", x);
}
