/* What a graph shows beside its weights: numbers that the shapes of weights do not tell. */
#include "format/onnx/facts.h"
#include "format/onnx/container.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

typedef struct reading {
    const tw_onnx_graph *g;
    tw_onnx_facts *facts;
    tw_error *err;
} reading;

/* In a graph of both towers, ours, values are named after their tower. */
static tw_onnx_tower *tower_of(const reading *r, const tw_onnx_node *node) {
    tw_onnx_facts *f = r->facts;
    bool text = f->text.present && (!f->image.present || tw_onnx_starts(node->output, "t."));
    return text ? &f->text : &f->image;
}

/* The number among a node's inputs; NAN when there is none. */
static float number_of(const reading *r, const tw_onnx_node *node, tw_dtype *dtype) {
    float v;
    for (size_t i = 0; i < 2; i++)
        if (tw_onnx_scalar(r->g, tw_onnx_input_of(r->g, node, i), &v, dtype)) return v;
    return NAN;
}

static const tw_onnx_node *input_made_by(const reading *r, const tw_onnx_node *node,
                                         const char *op) {
    for (size_t i = 0; i < 2; i++) {
        const tw_onnx_node *p = tw_onnx_producer(r->g, tw_onnx_input_of(r->g, node, i));
        if (p && tw_onnx_is(p->op, op)) return p;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------- activation
 */

static tw_status note_activation(const reading *r, const tw_onnx_node *node, tw_activation v) {
    tw_onnx_tower *t = tower_of(r, node);
    if (t->activation && t->activation != v)
        return tw_fail(r->err, TW_ERR_UNSUPPORTED, "a tower with both Sigmoid and Erf");
    t->activation = v;
    return TW_OK;
}

static tw_status see_erf(const reading *r, const tw_onnx_node *node) {
    return note_activation(r, node, TW_GELU_ERF);
}

/* x sigmoid(1.702 x); f16 has 1.7021. */
static tw_status see_sigmoid(const reading *r, const tw_onnx_node *node) {
    const tw_onnx_node *mul = input_made_by(r, node, "Mul");
    tw_dtype dtype;
    float factor = mul ? number_of(r, mul, &dtype) : NAN;
    if (fabsf(factor - 1.702f) < 1e-3f) return note_activation(r, node, TW_QUICK_GELU);
    return tw_fail(r->err, TW_ERR_UNSUPPORTED,
                   "a Sigmoid that is no QuickGELU: of 1.702 x, expected");
}

static tw_status see_tanh(const reading *r, const tw_onnx_node *node) {
    (void)node;
    return tw_fail(r->err, TW_ERR_UNSUPPORTED,
                   "a tower with Tanh: its activation is not supported");
}

/* ------------------------------------------------------------------------------------------ heads
 */

/* softmax(q k' / sqrt(d)): the division is on the way back along q. */
static tw_status see_softmax(const reading *r, const tw_onnx_node *softmax) {
    enum { MOST_STEPS = 12 };
    tw_onnx_tower *t = tower_of(r, softmax);
    const tw_onnx_node *node = softmax;
    for (int step = 0; node && step < MOST_STEPS; step++) {
        tw_dtype dtype;
        bool divides = tw_onnx_is(node->op, "Div"), times = tw_onnx_is(node->op, "Mul");
        float v = divides || times ? number_of(r, node, &dtype) : NAN;
        if (v > 0 && v < 1024) {
            float root = divides ? v : 1 / v, d = roundf(root * root);
            /* f16 holds a root to one part in 2048 */
            if (d < 1 || d > 4096 || fabsf(root - sqrtf(d)) > root / 1024) return TW_OK;
            if (t->head_width && t->head_width != (int32_t)d)
                return tw_fail(r->err, TW_ERR_UNSUPPORTED, "heads of width %d and of %d",
                               t->head_width, (int)d);
            t->head_width = (int32_t)d;
            return TW_OK;
        }
        node = tw_onnx_producer(r->g, tw_onnx_input_of(r->g, node, 0));
    }
    return TW_OK;
}

/* ---------------------------------------------------------------------------------------- epsilon
 */

/* f16 cannot hold 1e-12: the converter clamps it, and only f32 tells what the model has. */
static tw_status note_epsilon(const reading *r, const tw_onnx_node *node, float v) {
    tw_onnx_tower *t = tower_of(r, node);
    if (!(v > 0 && v < 1)) return TW_OK;
    if (t->norm_eps != 0 && t->norm_eps != v)
        return tw_fail(r->err, TW_ERR_UNSUPPORTED, "norms with epsilon %g and with %g",
                       (double)t->norm_eps, (double)v);
    t->norm_eps = v;
    return TW_OK;
}

static tw_status see_norm(const reading *r, const tw_onnx_node *node) {
    return note_epsilon(r, node, isnan(node->epsilon) ? 1e-5f : node->epsilon);
}

/* Sqrt(variance + epsilon) */
static tw_status see_sqrt(const reading *r, const tw_onnx_node *node) {
    const tw_onnx_node *add = input_made_by(r, node, "Add");
    tw_dtype dtype = TW_F16;
    float v = add ? number_of(r, add, &dtype) : NAN;
    return dtype == TW_F32 && !isnan(v) ? note_epsilon(r, node, v) : TW_OK;
}

/* ------------------------------------------------------------------------------------------ graph
 */

static const struct {
    const char *op;
    tw_status (*see)(const reading *r, const tw_onnx_node *node);
} operators[] = {
    {"Erf", see_erf},         {"Sigmoid", see_sigmoid}, {"Tanh", see_tanh},
    {"Softmax", see_softmax}, {"Sqrt", see_sqrt},       {"LayerNormalization", see_norm},
};

static tw_status see_inputs(const reading *r) {
    char names[256] = "";
    size_t n = 0;
    bool known = r->g->n_inputs > 0;
    for (size_t i = 0; i < r->g->n_inputs; i++) {
        const tw_onnx_port *port = &r->g->inputs[i];
        bool image = tw_onnx_is(port->name, "image"), text = tw_onnx_is(port->name, "text");
        known = known && (image || text);
        r->facts->image.present |= image;
        r->facts->text.present |= text;
        if (text) r->facts->text.length = (int32_t)port->dims[1];
        if (n < sizeof names)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%.*s", i ? ", " : "",
                                  TW_ONNX_SHOWN(port->name));
    }
    if (known) return TW_OK;
    bool hugging_face = strstr(names, "input_ids") || strstr(names, "pixel_values");
    return tw_fail(r->err, TW_ERR_UNSUPPORTED,
                   "%s of inputs (%s); only Chinese-CLIP's exports (image; text) and those of "
                   "tuwen export are read",
                   hugging_face ? "a graph of Hugging Face's exporter," : "a graph", names);
}

tw_status tw_onnx_facts_read(const tw_onnx_graph *g, tw_onnx_facts *facts, tw_error *err) {
    const reading r = {g, facts, err};
    TW_TRY(see_inputs(&r));
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < TW_COUNT(operators); k++)
            if (tw_onnx_is(g->nodes[i].op, operators[k].op))
                TW_TRY(operators[k].see(&r, &g->nodes[i]));
    for (size_t i = 0; i < g->n_metadata; i++)
        facts->metadata[facts->n_metadata++] =
            (tw_onnx_line){g->metadata[i].key.data, g->metadata[i].value.data, g->metadata[i].key.n,
                           g->metadata[i].value.n};
    return TW_OK;
}
