/* ModelProto -> graph. Source: onnx.proto; field by field what the readers of weights need. */
#include "base/size.h"
#include "format/onnx/fields.h"
#include "format/onnx/graph.h"
#include "format/tensor_list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ the pieces
 */

tw_status tw_onnx_grow(void **array, size_t n, size_t *capacity, size_t size, size_t limit,
                       const char *what, tw_error *err) {
    if (n >= limit) return tw_fail(err, TW_ERR_LIMIT, "more than %zu %s", limit, what);
    if (n < *capacity) return TW_OK;
    size_t grown = *capacity ? 2 * *capacity : 64;
    void *p = realloc(*array, grown * size);
    if (!p) return tw_fail_no_memory(err, grown * size);
    *array = p;
    *capacity = grown;
    return TW_OK;
}

/* Room for one more, through a void pointer as C wants it. */
#define GROW(g, field, count, capacity, limit, what)                                               \
    do {                                                                                           \
        void *grow_ = (g)->field;                                                                  \
        TW_TRY(tw_onnx_grow(&grow_, (g)->count, &(g)->capacity, sizeof *(g)->field, limit, what,   \
                            err));                                                                 \
        (g)->field = grow_;                                                                        \
    } while (0)

static tw_status read_string(const tw_pb_reader *r, const tw_pb_field *f, const char *what,
                             tw_onnx_string *out, tw_error *err) {
    TW_TRY(tw_pb_expect(r, f, TW_PB_BYTES, what, err));
    *out = (tw_onnx_string){(const char *)f->data, f->n_bytes};
    return TW_OK;
}

tw_status tw_onnx_entry_read(tw_pb_reader r, tw_onnx_string *key, tw_onnx_string *value,
                             tw_error *err) {
    tw_pb_field f;
    tw_status status;
    *key = *value = (tw_onnx_string){"", 0};
    while (tw_pb_next(&r, &f, &status, err)) {
        if (f.number == ENTRY_KEY) TW_TRY(read_string(&r, &f, "key", key, err));
        if (f.number == ENTRY_VALUE) TW_TRY(read_string(&r, &f, "value", value, err));
    }
    return status;
}

/* ----------------------------------------------------------------------------------------- nodes
 */

/* What a node's attributes say that is of use. */
typedef struct attributes {
    tw_pb_reader value; /* of a Constant */
    bool has_value;
    float epsilon;
} attributes;

static tw_status read_attribute(tw_pb_reader r, attributes *a, tw_error *err) {
    tw_pb_field f, tensor = {0}, number = {0};
    tw_status status;
    tw_onnx_string name = {"", 0};
    while (tw_pb_next(&r, &f, &status, err)) {
        if (f.number == ATTR_NAME) TW_TRY(read_string(&r, &f, "attribute name", &name, err));
        if (f.number == ATTR_T) TW_TRY(tw_pb_expect(&r, &f, TW_PB_BYTES, "attribute", err));
        if (f.number == ATTR_F) TW_TRY(tw_pb_expect(&r, &f, TW_PB_FIXED32, "attribute", err));
        if (f.number == ATTR_T) tensor = f;
        if (f.number == ATTR_F) number = f;
        if (f.number == ATTR_G || f.number == ATTR_GRAPHS)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "a graph inside a node");
    }
    TW_TRY(status);
    if (tensor.data && tw_onnx_is(name, "value")) {
        a->value = tw_pb_open(&r, &tensor);
        a->has_value = true;
    }
    if (number.data && tw_onnx_is(name, "epsilon")) memcpy(&a->epsilon, number.data, 4);
    return TW_OK;
}

static tw_status add_tensor(tw_onnx_graph *g, tw_pb_reader r, const tw_onnx_string *name,
                            tw_error *err) {
    GROW(g, tensors, n_tensors, tensors_capacity, TW_MAX_TENSORS, "tensors");
    tw_onnx_tensor *t = &g->tensors[g->n_tensors];
    TW_TRY(tw_onnx_tensor_read(g, r, t, err));
    if (name) t->name = *name;
    t->is_constant = name != NULL;
    g->n_tensors++;
    return TW_OK;
}

static tw_status read_node_field(tw_onnx_graph *g, const tw_pb_reader *r, const tw_pb_field *f,
                                 tw_onnx_node *node, attributes *a, tw_error *err) {
    tw_onnx_string s;
    switch (f->number) {
    case NODE_INPUT:
        GROW(g, strings, n_strings, strings_capacity, TW_ONNX_MAX_INPUTS, "inputs of nodes");
        node->n_inputs++;
        return read_string(r, f, "input", &g->strings[g->n_strings++], err);
    case NODE_OUTPUT:
        TW_TRY(read_string(r, f, "output", &s, err));
        if (!node->output.data) node->output = s;
        return TW_OK;
    case NODE_OP:
        return read_string(r, f, "op_type", &node->op, err);
    case NODE_ATTRIBUTE:
        TW_TRY(tw_pb_expect(r, f, TW_PB_BYTES, "attribute", err));
        return read_attribute(tw_pb_open(r, f), a, err);
    default:
        return TW_OK;
    }
}

static tw_status read_node(tw_onnx_graph *g, tw_pb_reader r, tw_error *err) {
    tw_pb_field f;
    tw_status status;
    attributes a = {.epsilon = NAN};
    tw_onnx_node node = {.first_input = g->n_strings, .op = {"", 0}};
    while (tw_pb_next(&r, &f, &status, err))
        TW_TRY(read_node_field(g, &r, &f, &node, &a, err));
    TW_TRY(status);
    if (a.has_value && tw_onnx_is(node.op, "Constant") && node.output.n)
        return add_tensor(g, a.value, &node.output, err);
    node.epsilon = a.epsilon;
    GROW(g, nodes, n_nodes, nodes_capacity, TW_ONNX_MAX_NODES, "nodes");
    g->nodes[g->n_nodes++] = node;
    return TW_OK;
}

/* ---------------------------------------------------------------------------------------- inputs
 */

static tw_status read_dim(tw_pb_reader r, int64_t *out, tw_error *err) {
    tw_pb_field f;
    tw_status status;
    *out = 0;
    while (tw_pb_next(&r, &f, &status, err))
        if (f.number == DIM_VALUE && f.wire == TW_PB_VARINT && f.value <= INT32_MAX)
            *out = (int64_t)f.value;
    return status;
}

/* `path` leads through messages inside messages to the extents. */
static tw_status read_extents(tw_pb_reader r, const uint64_t *path, tw_onnx_port *port,
                              tw_error *err) {
    tw_pb_field f;
    tw_status status;
    while (tw_pb_next(&r, &f, &status, err)) {
        if (f.number != *path) continue;
        TW_TRY(tw_pb_expect(&r, &f, TW_PB_BYTES, "type", err));
        if (path[1])
            TW_TRY(read_extents(tw_pb_open(&r, &f), path + 1, port, err));
        else if (port->n_dims < 4)
            TW_TRY(read_dim(tw_pb_open(&r, &f), &port->dims[port->n_dims++], err));
    }
    return status;
}

static tw_status read_input(tw_onnx_graph *g, tw_pb_reader r, tw_error *err) {
    static const uint64_t path[] = {VALUE_TYPE, TYPE_TENSOR, TENSOR_TYPE_SHAPE, SHAPE_DIM, 0};
    tw_pb_reader all = r;
    tw_pb_field f;
    tw_status status;
    tw_onnx_port port = {.name = {"", 0}};
    while (tw_pb_next(&r, &f, &status, err))
        if (f.number == VALUE_NAME) TW_TRY(read_string(&r, &f, "input", &port.name, err));
    TW_TRY(status);
    if (tw_onnx_tensor_find(g, port.name)) return TW_OK; /* old exporters list initializers, too */
    if (g->n_inputs == TW_COUNT(g->inputs))
        return tw_fail(err, TW_ERR_LIMIT, "more than %zu inputs", TW_COUNT(g->inputs));
    TW_TRY(read_extents(all, path, &port, err));
    g->inputs[g->n_inputs++] = port;
    return TW_OK;
}

/* --------------------------------------------------------------------------------------- sorting
 */

static tw_status sort_tensors(tw_onnx_graph *g, tw_error *err) {
    free(g->tensors_by_name);
    g->tensors_by_name = malloc((g->n_tensors + 1) * sizeof *g->tensors_by_name);
    if (!g->tensors_by_name) return tw_fail_no_memory(err, g->n_tensors * sizeof(void *));
    for (size_t i = 0; i < g->n_tensors; i++)
        g->tensors_by_name[i] = &g->tensors[i];
    qsort(g->tensors_by_name, g->n_tensors, sizeof *g->tensors_by_name, tw_onnx_compare_tensors);
    return TW_OK;
}

static tw_status sort_nodes(tw_onnx_graph *g, tw_error *err) {
    g->nodes_by_output = malloc((g->n_nodes + 1) * sizeof *g->nodes_by_output);
    if (!g->nodes_by_output) return tw_fail_no_memory(err, g->n_nodes * sizeof(void *));
    for (size_t i = 0; i < g->n_nodes; i++)
        g->nodes_by_output[i] = &g->nodes[i];
    qsort(g->nodes_by_output, g->n_nodes, sizeof *g->nodes_by_output, tw_onnx_compare_nodes);
    return TW_OK;
}

/* A value has one maker. Nodes without a first output are passed over. */
static tw_status check_single(const tw_onnx_graph *g, tw_error *err) {
    for (size_t i = 1; i < g->n_tensors; i++)
        if (tw_onnx_compare_tensors(&g->tensors_by_name[i - 1], &g->tensors_by_name[i]) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "tensor '%.*s' occurs twice",
                           TW_ONNX_SHOWN(g->tensors_by_name[i]->name));
    for (size_t i = 1; i < g->n_nodes; i++)
        if (g->nodes_by_output[i]->output.n &&
            tw_onnx_compare_nodes(&g->nodes_by_output[i - 1], &g->nodes_by_output[i]) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "value '%.*s' is made by two nodes",
                           TW_ONNX_SHOWN(g->nodes_by_output[i]->output));
    return TW_OK;
}

/* torch's exporter keeps one of equal weights and calls it by the others' names through Identity.
 */
static bool alias_of(const tw_onnx_graph *g, const tw_onnx_node *node, tw_onnx_tensor *alias) {
    if (!tw_onnx_is(node->op, "Identity") || !node->output.n) return false;
    const tw_onnx_tensor *same = tw_onnx_tensor_find(g, tw_onnx_input_of(g, node, 0));
    if (!same || same->is_constant || same->is_copied) return false;
    *alias = *same;
    alias->name = node->output;
    return true;
}

static tw_status add_aliases(tw_onnx_graph *g, tw_error *err) {
    size_t n = 0;
    tw_onnx_tensor alias;
    for (size_t i = 0; i < g->n_nodes; i++)
        n += alias_of(g, &g->nodes[i], &alias);
    if (n == 0) return TW_OK;
    if (n > TW_MAX_TENSORS - g->n_tensors)
        return tw_fail(err, TW_ERR_LIMIT, "more than %zu tensors", TW_MAX_TENSORS);
    size_t n_bytes = (g->n_tensors + n + 1) * sizeof *g->tensors;
    tw_onnx_tensor *grown = realloc(g->tensors, n_bytes);
    if (!grown) return tw_fail_no_memory(err, n_bytes);
    g->tensors = grown;
    g->tensors_capacity = g->n_tensors + n + 1;
    TW_TRY(sort_tensors(g, err));
    size_t end = g->n_tensors;
    for (size_t i = 0; i < g->n_nodes; i++)
        end += alias_of(g, &g->nodes[i], &g->tensors[end]);
    g->n_tensors = end; /* not before: look-ups go by the old order */
    return sort_tensors(g, err);
}

/* -------------------------------------------------------------------------------------- the model
 */

/* Nodes and initializers first: inputs are told from initializers by name. */
static tw_status read_graph(tw_onnx_graph *g, tw_pb_reader r, tw_error *err) {
    tw_pb_reader again = r;
    tw_pb_field f;
    tw_status status;
    while (tw_pb_next(&r, &f, &status, err)) {
        bool known =
            f.number == GRAPH_NODE || f.number == GRAPH_INITIALIZER || f.number == GRAPH_INPUT;
        if (known) TW_TRY(tw_pb_expect(&r, &f, TW_PB_BYTES, "graph", err));
        if (f.number == GRAPH_SPARSE)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "a sparse initializer");
        if (f.number == GRAPH_NODE) TW_TRY(read_node(g, tw_pb_open(&r, &f), err));
        if (f.number == GRAPH_INITIALIZER) TW_TRY(add_tensor(g, tw_pb_open(&r, &f), NULL, err));
    }
    TW_TRY(status);
    TW_TRY(tw_onnx_check_overlaps(g, err));
    TW_TRY(sort_tensors(g, err));
    TW_TRY(sort_nodes(g, err));
    TW_TRY(add_aliases(g, err));
    TW_TRY(check_single(g, err));
    while (tw_pb_next(&again, &f, &status, err))
        if (f.number == GRAPH_INPUT) TW_TRY(read_input(g, tw_pb_open(&again, &f), err));
    return status;
}

static tw_status read_metadata(tw_onnx_graph *g, tw_pb_reader r, tw_error *err) {
    if (g->n_metadata == TW_COUNT(g->metadata)) return TW_OK;
    size_t i = g->n_metadata++;
    return tw_onnx_entry_read(r, &g->metadata[i].key, &g->metadata[i].value, err);
}

tw_status tw_onnx_graph_read(const uint8_t *data, size_t n_bytes, tw_onnx_graph *g, tw_error *err) {
    tw_pb_reader r = {data, data + n_bytes, data};
    tw_pb_field f;
    tw_status status;
    bool found = false;
    while (tw_pb_next(&r, &f, &status, err)) {
        if (f.number != MODEL_GRAPH && f.number != MODEL_METADATA) continue;
        TW_TRY(tw_pb_expect(&r, &f, TW_PB_BYTES, "model", err));
        if (f.number == MODEL_METADATA) TW_TRY(read_metadata(g, tw_pb_open(&r, &f), err));
        if (f.number != MODEL_GRAPH) continue;
        if (found) return tw_fail(err, TW_ERR_FORMAT, "two graphs");
        found = true;
        TW_TRY(read_graph(g, tw_pb_open(&r, &f), err));
    }
    TW_TRY(status);
    return found ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "no graph");
}

void tw_onnx_graph_free(tw_onnx_graph *g) {
    free(g->nodes);
    free(g->strings);
    free(g->tensors);
    free(g->nodes_by_output);
    free(g->tensors_by_name);
}
