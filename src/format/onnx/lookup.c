/* Values of a graph by name, and walks from one to what it is made of. */
#include "base/size.h"
#include "format/onnx/graph.h"

#include <stdlib.h>
#include <string.h>

bool tw_onnx_is(tw_onnx_string s, const char *text) {
    return s.n == strlen(text) && memcmp(s.data, text, s.n) == 0;
}

bool tw_onnx_starts(tw_onnx_string s, const char *text) {
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.data, text, n) == 0;
}

bool tw_onnx_ends(tw_onnx_string s, const char *text) {
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.data + s.n - n, text, n) == 0;
}

int tw_onnx_compare(tw_onnx_string a, tw_onnx_string b) {
    size_t n = TW_MIN(a.n, b.n);
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

int tw_onnx_compare_nodes(const void *a, const void *b) {
    return tw_onnx_compare((*(const tw_onnx_node *const *)a)->output,
                           (*(const tw_onnx_node *const *)b)->output);
}

int tw_onnx_compare_tensors(const void *a, const void *b) {
    return tw_onnx_compare((*(const tw_onnx_tensor *const *)a)->name,
                           (*(const tw_onnx_tensor *const *)b)->name);
}

const tw_onnx_node *tw_onnx_producer(const tw_onnx_graph *g, tw_onnx_string value) {
    const tw_onnx_node wanted = {.output = value}, *key = &wanted;
    if (value.n == 0 || !g->nodes_by_output) return NULL;
    const tw_onnx_node **found = bsearch(&key, g->nodes_by_output, g->n_nodes,
                                         sizeof *g->nodes_by_output, tw_onnx_compare_nodes);
    return found ? *found : NULL;
}

const tw_onnx_tensor *tw_onnx_tensor_find(const tw_onnx_graph *g, tw_onnx_string value) {
    const tw_onnx_tensor wanted = {.name = value}, *key = &wanted;
    if (value.n == 0 || !g->tensors_by_name) return NULL;
    const tw_onnx_tensor **found = bsearch(&key, g->tensors_by_name, g->n_tensors,
                                           sizeof *g->tensors_by_name, tw_onnx_compare_tensors);
    return found ? *found : NULL;
}

tw_onnx_string tw_onnx_input_of(const tw_onnx_graph *g, const tw_onnx_node *node, size_t i) {
    return i < node->n_inputs ? g->strings[node->first_input + i] : (tw_onnx_string){"", 0};
}

tw_onnx_string tw_onnx_source(const tw_onnx_graph *g, tw_onnx_string value,
                              const char *const *ops) {
    enum { MOST_STEPS = 16 };
    for (int step = 0; step < MOST_STEPS; step++) {
        const tw_onnx_node *node = tw_onnx_producer(g, value);
        const char *const *op = ops;
        while (node && *op && !tw_onnx_is(node->op, *op))
            op++;
        if (!node || !*op) return value;
        value = tw_onnx_input_of(g, node, 0);
    }
    return (tw_onnx_string){"", 0};
}

bool tw_onnx_scalar(const tw_onnx_graph *g, tw_onnx_string value, float *out, tw_dtype *dtype) {
    const tw_onnx_tensor *t = tw_onnx_tensor_find(g, value);
    if (!t || (t->view.dtype != TW_F32 && t->view.dtype != TW_F16)) return false;
    for (int i = 0; i < t->view.n_dims; i++)
        if (t->view.shape[i] != 1) return false;
    tw_tensor_to_f32(&t->view, out);
    *dtype = t->view.dtype;
    return true;
}
