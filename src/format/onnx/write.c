#include "format/onnx/onnx.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/size.h"
#include "format/onnx/fields.h"
#include "format/onnx/protobuf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef TUWEN_VERSION
#error "TUWEN_VERSION is set by the build"
#endif

enum { IR_VERSION = 8, PIECE = 16384 };
/* A weight of this size and more goes to the side file, where it starts on a page: runtimes map. */
#define SIDE_PAGE ((uint64_t)4096)

typedef struct weight {
    char *name;
    tw_tensor view;
    tw_onnx_type type;
    uint64_t n_bytes;
    uint64_t offset; /* in the side file */
    bool aside;
    tw_buffer head; /* of its TensorProto, all but the bytes of raw_data */
} weight;

typedef struct owned {
    struct owned *next;
    float values[];
} owned;

struct tw_onnx {
    tw_buffer nodes, constants, inputs, outputs, metadata;
    char *graph_name;
    int opset;
    weight *weights;
    size_t n_weights, capacity;
    char **names;
    size_t n_names, names_capacity;
    owned *rooms;
    bool failed;
};

/* -------------------------------------------------------------------------------- collecting */

tw_status tw_onnx_create(const char *graph_name, int opset, tw_onnx **out, tw_error *err) {
    *out = calloc(1, sizeof **out);
    if (!*out) return tw_fail_no_memory(err, sizeof **out);
    (*out)->opset = opset;
    (*out)->graph_name = strdup(graph_name);
    if ((*out)->graph_name) return TW_OK;
    tw_onnx_free(*out);
    *out = NULL;
    return tw_fail_no_memory(err, strlen(graph_name));
}

void tw_onnx_free(tw_onnx *g) {
    if (!g) return;
    tw_buffer *buffers[] = {&g->nodes, &g->constants, &g->inputs, &g->outputs, &g->metadata};
    for (size_t i = 0; i < TW_COUNT(buffers); i++)
        tw_buffer_free(buffers[i]);
    for (size_t i = 0; i < g->n_weights; i++) {
        free(g->weights[i].name);
        tw_buffer_free(&g->weights[i].head);
    }
    for (size_t i = 0; i < g->n_names; i++)
        free(g->names[i]);
    while (g->rooms) {
        owned *next = g->rooms->next;
        free(g->rooms);
        g->rooms = next;
    }
    free(g->weights);
    free(g->names);
    free(g->graph_name);
    free(g);
}

/* A copy that lives as long as the graph; "" after a failure. */
static const char *keep(tw_onnx *g, const char *name) {
    if (g->n_names == g->names_capacity) {
        size_t grown = 2 * g->names_capacity + 256;
        char **p = realloc(g->names, grown * sizeof *p);
        if (!p) goto failed;
        g->names = p;
        g->names_capacity = grown;
    }
    char *copy = strdup(name);
    if (!copy) goto failed;
    return g->names[g->n_names++] = copy;
failed:
    g->failed = true;
    return "";
}

static void put_attribute(tw_buffer *node, const tw_onnx_attr *a) {
    tw_buffer b = {0};
    tw_pb_string(&b, ATTR_NAME, a->name);
    if (a->kind == TW_ONNX_FLOAT) {
        tw_pb_float(&b, ATTR_F, a->f);
        tw_pb_uint(&b, ATTR_TYPE, ATTR_TYPE_FLOAT);
    } else if (a->kind == TW_ONNX_INT) {
        tw_pb_uint(&b, ATTR_I, (uint64_t)a->i);
        tw_pb_uint(&b, ATTR_TYPE, ATTR_TYPE_INT);
    } else {
        for (size_t i = 0; i < a->n_ints; i++)
            tw_pb_uint(&b, ATTR_INTS, (uint64_t)a->ints[i]);
        tw_pb_uint(&b, ATTR_TYPE, ATTR_TYPE_INTS);
    }
    tw_pb_message(node, NODE_ATTRIBUTE, &b);
    tw_buffer_free(&b);
}

const char *tw_onnx_node(tw_onnx *g, const char *op, const char *name, const char *const *inputs,
                         const tw_onnx_attr *attrs) {
    tw_buffer b = {0};
    for (; inputs && *inputs; inputs++)
        tw_pb_string(&b, NODE_INPUT, *inputs);
    tw_pb_string(&b, NODE_OUTPUT, name);
    tw_pb_string(&b, NODE_NAME, name);
    tw_pb_string(&b, NODE_OP, op);
    for (; attrs && attrs->name; attrs++)
        put_attribute(&b, attrs);
    tw_pb_message(&g->nodes, GRAPH_NODE, &b);
    tw_buffer_free(&b);
    return keep(g, name);
}

/* A small constant: everything inline. */
static const char *put_constant(tw_onnx *g, const char *name, tw_onnx_type type, const void *data,
                                size_t n_bytes, size_t n, bool is_scalar) {
    tw_buffer b = {0};
    if (!is_scalar) tw_pb_uint(&b, TENSOR_DIMS, n);
    tw_pb_uint(&b, TENSOR_TYPE, (uint64_t)type);
    tw_pb_string(&b, TENSOR_NAME, name);
    tw_pb_bytes(&b, TENSOR_RAW, data, n_bytes);
    tw_pb_message(&g->constants, GRAPH_INITIALIZER, &b);
    tw_buffer_free(&b);
    return keep(g, name);
}

const char *tw_onnx_ints(tw_onnx *g, const char *name, const int64_t *v, size_t n, bool is_scalar) {
    uint8_t bytes[8 * 8];
    if (n > sizeof bytes / 8) {
        g->failed = true;
        return "";
    }
    for (size_t i = 0; i < n; i++)
        tw_store_u64le(bytes + 8 * i, (uint64_t)v[i]);
    return put_constant(g, name, TW_ONNX_I64, bytes, 8 * n, n, is_scalar);
}

const char *tw_onnx_float(tw_onnx *g, const char *name, float v, tw_onnx_type type) {
    uint8_t bytes[4];
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (type == TW_ONNX_F16) bits = tw_f32_to_f16(v);
    tw_store_u32le(bytes, bits);
    return put_constant(g, name, type, bytes, type == TW_ONNX_F16 ? 2 : 4, 1, true);
}

const char *tw_onnx_weight(tw_onnx *g, const char *name, const tw_tensor *t, tw_onnx_type type) {
    if (g->n_weights == g->capacity) {
        size_t grown = 2 * g->capacity + 64;
        weight *p = realloc(g->weights, grown * sizeof *p);
        if (!p) goto failed;
        g->weights = p;
        g->capacity = grown;
    }
    char *copy = strdup(name);
    if (!copy) goto failed;
    g->weights[g->n_weights++] =
        (weight){.name = copy,
                 .view = *t,
                 .type = type,
                 .n_bytes = tw_tensor_elements(t) * (type == TW_ONNX_F16 ? 2 : 4)};
    return keep(g, name);
failed:
    g->failed = true;
    return "";
}

float *tw_onnx_room(tw_onnx *g, size_t n) {
    owned *room = malloc(sizeof *room + n * sizeof *room->values);
    if (!room) {
        g->failed = true;
        return NULL;
    }
    room->next = g->rooms;
    g->rooms = room;
    return room->values;
}

static void put_value(tw_buffer *to, int field, const char *name, tw_onnx_type type,
                      const tw_onnx_dim *dims, size_t n_dims) {
    tw_buffer shape = {0}, tensor = {0}, wrapped = {0}, value = {0};
    for (size_t i = 0; i < n_dims; i++) {
        tw_buffer dim = {0};
        if (dims[i].name)
            tw_pb_string(&dim, DIM_PARAM, dims[i].name);
        else
            tw_pb_uint(&dim, DIM_VALUE, (uint64_t)dims[i].value);
        tw_pb_message(&shape, SHAPE_DIM, &dim);
        tw_buffer_free(&dim);
    }
    tw_pb_uint(&tensor, TENSOR_TYPE_ELEM, (uint64_t)type);
    tw_pb_message(&tensor, TENSOR_TYPE_SHAPE, &shape);
    tw_pb_message(&wrapped, TYPE_TENSOR, &tensor);
    tw_pb_string(&value, VALUE_NAME, name);
    tw_pb_message(&value, VALUE_TYPE, &wrapped);
    tw_pb_message(to, field, &value);
    tw_buffer_free(&shape);
    tw_buffer_free(&tensor);
    tw_buffer_free(&wrapped);
    tw_buffer_free(&value);
}

void tw_onnx_input(tw_onnx *g, const char *name, tw_onnx_type type, const tw_onnx_dim *dims,
                   size_t n_dims) {
    put_value(&g->inputs, GRAPH_INPUT, name, type, dims, n_dims);
}

void tw_onnx_output(tw_onnx *g, const char *name, tw_onnx_type type, const tw_onnx_dim *dims,
                    size_t n_dims) {
    put_value(&g->outputs, GRAPH_OUTPUT, name, type, dims, n_dims);
}

static void put_entry(tw_buffer *to, int field, const char *key, const char *value) {
    tw_buffer entry = {0};
    tw_pb_string(&entry, ENTRY_KEY, key);
    tw_pb_string(&entry, ENTRY_VALUE, value);
    tw_pb_message(to, field, &entry);
    tw_buffer_free(&entry);
}

void tw_onnx_metadata(tw_onnx *g, const char *key, const char *value) {
    put_entry(&g->metadata, MODEL_METADATA, key, value);
}

/* ----------------------------------------------------------------------------------- writing */

/* The head of a weight's TensorProto; `location` is NULL for one whose bytes follow. */
static void put_weight_head(weight *w, const char *location) {
    tw_buffer *b = &w->head;
    char number[24];
    for (int i = 0; i < w->view.n_dims; i++)
        tw_pb_uint(b, TENSOR_DIMS, (uint64_t)w->view.shape[i]);
    tw_pb_uint(b, TENSOR_TYPE, (uint64_t)w->type);
    tw_pb_string(b, TENSOR_NAME, w->name);
    if (!location) {
        tw_pb_head(b, TENSOR_RAW, w->n_bytes);
        return;
    }
    put_entry(b, TENSOR_EXTERNAL, "location", location);
    snprintf(number, sizeof number, "%llu", (unsigned long long)w->offset);
    put_entry(b, TENSOR_EXTERNAL, "offset", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)w->n_bytes);
    put_entry(b, TENSOR_EXTERNAL, "length", number);
    tw_pb_uint(b, TENSOR_LOCATION, LOCATION_EXTERNAL);
}

static uint64_t message_bytes(const weight *w) {
    return w->head.n_bytes + (w->aside ? 0 : w->n_bytes);
}

/* Decides where every weight goes. Returns the bytes of all initializers in the model file. */
static uint64_t place_weights(tw_onnx *g, const char *side_name) {
    uint64_t total = 0, side = 0;
    for (size_t i = 0; i < g->n_weights; i++) {
        weight *w = &g->weights[i];
        w->aside = side_name && w->n_bytes >= SIDE_PAGE;
        if (w->aside) {
            w->offset = side;
            side += (w->n_bytes + SIDE_PAGE - 1) / SIDE_PAGE * SIDE_PAGE;
        }
        w->head.n_bytes = 0;
        put_weight_head(w, w->aside ? side_name : NULL);
        if (w->head.failed) g->failed = true;
        uint64_t n = message_bytes(w);
        total += tw_pb_varint_bytes((uint64_t)GRAPH_INITIALIZER << 3) + tw_pb_varint_bytes(n) + n;
    }
    return total;
}

static tw_status write_piece(tw_output *out, const weight *w, const float *values, size_t n,
                             tw_error *err) {
    uint8_t bytes[PIECE * sizeof(float)];
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if (w->type == TW_ONNX_F32) {
            tw_store_u32le(bytes + 4 * i, bits);
            continue;
        }
        uint16_t h = tw_f32_to_f16(values[i]);
        if ((h & 0x7FFF) == 0x7C00 && !isinf(values[i]))
            return tw_fail(err, TW_ERR_LIMIT, "weight '%s' has the value %g, beyond f16's 65504",
                           w->name, (double)values[i]);
        bytes[2 * i] = (uint8_t)h;
        bytes[2 * i + 1] = (uint8_t)(h >> 8);
    }
    return tw_output_write(out, bytes, n * (w->type == TW_ONNX_F32 ? 4 : 2), err);
}

static tw_status write_values(tw_output *out, const weight *w, tw_error *err) {
    float values[PIECE];
    size_t total = tw_tensor_elements(&w->view);
    for (size_t begin = 0; begin < total; begin += PIECE) {
        size_t n = TW_MIN(total - begin, PIECE);
        tw_tensor_to_f32_range(&w->view, begin, n, values);
        TW_TRY(write_piece(out, w, values, n, err));
    }
    return TW_OK;
}

static tw_status write_weights(tw_onnx *g, tw_output *out, bool aside, const tw_hooks *hooks,
                               tw_error *err) {
    static const uint8_t zeros[SIDE_PAGE];
    for (size_t i = 0; i < g->n_weights; i++) {
        const weight *w = &g->weights[i];
        if (!aside) {
            tw_buffer head = {0};
            tw_pb_head(&head, GRAPH_INITIALIZER, message_bytes(w));
            tw_buffer_append(&head, w->head.data, w->head.n_bytes);
            tw_status status = head.failed ? tw_fail_no_memory(err, w->head.n_bytes)
                                           : tw_output_write(out, head.data, head.n_bytes, err);
            tw_buffer_free(&head);
            if (status != TW_OK) return status;
        }
        if (aside != w->aside) continue;
        TW_TRY(tw_progress(hooks, "export", i, g->n_weights, err));
        TW_TRY(write_values(out, w, err));
        size_t rest = (size_t)(w->n_bytes % SIDE_PAGE);
        if (aside && rest) TW_TRY(tw_output_write(out, zeros, SIDE_PAGE - rest, err));
    }
    return TW_OK;
}

static tw_status write_buffer(tw_output *out, const tw_buffer *b, tw_error *err) {
    return b->n_bytes ? tw_output_write(out, b->data, b->n_bytes, err) : TW_OK;
}

/* ModelProto up to and with the head of its graph. */
static void put_model_head(const tw_onnx *g, uint64_t graph_bytes, tw_buffer *b) {
    tw_buffer opset = {0};
    tw_pb_uint(b, MODEL_IR_VERSION, IR_VERSION);
    tw_pb_string(b, MODEL_PRODUCER, "tuwen");
    tw_pb_string(b, MODEL_PRODUCER_VERSION, TUWEN_VERSION);
    tw_pb_uint(&opset, OPSET_VERSION, (uint64_t)g->opset);
    tw_pb_message(b, MODEL_OPSET, &opset);
    tw_buffer_free(&opset);
    tw_buffer_append(b, g->metadata.data, g->metadata.n_bytes);
    tw_pb_head(b, MODEL_GRAPH, graph_bytes);
}

static tw_status write_model(tw_onnx *g, uint64_t weight_bytes, tw_output *out,
                             const tw_hooks *hooks, tw_error *err) {
    tw_buffer name = {0}, head = {0};
    tw_status status;
    tw_pb_string(&name, GRAPH_NAME, g->graph_name);
    uint64_t graph_bytes = g->nodes.n_bytes + name.n_bytes + g->constants.n_bytes + weight_bytes +
                           g->inputs.n_bytes + g->outputs.n_bytes;
    put_model_head(g, graph_bytes, &head);
    const tw_buffer *buffers[] = {&name,      &head,       &g->nodes,   &g->constants,
                                  &g->inputs, &g->outputs, &g->metadata};
    for (size_t i = 0; i < TW_COUNT(buffers); i++)
        if (buffers[i]->failed) g->failed = true;
    if (g->failed) {
        status = tw_fail_no_memory(err, (size_t)graph_bytes - (size_t)weight_bytes);
        goto done;
    }
    if (graph_bytes + head.n_bytes > TW_ONNX_MAX_BYTES) {
        status = tw_fail(err, TW_ERR_LIMIT,
                         "the model has %.1f GB, an ONNX file at most 2: its weights need a file "
                         "of their own (external data)",
                         (double)graph_bytes / 1e9);
        goto done;
    }
    TW_CHECK(write_buffer(out, &head, err));
    TW_CHECK(write_buffer(out, &g->nodes, err));
    TW_CHECK(write_buffer(out, &name, err));
    TW_CHECK(write_buffer(out, &g->constants, err));
    TW_CHECK(write_weights(g, out, false, hooks, err));
    TW_CHECK(write_buffer(out, &g->inputs, err));
    TW_CHECK(write_buffer(out, &g->outputs, err));
done:
    tw_buffer_free(&name);
    tw_buffer_free(&head);
    return status;
}

tw_status tw_onnx_write(tw_onnx *g, const char *path, const char *side_file, const tw_hooks *hooks,
                        tw_error *err) {
    tw_output model = {0}, side = {0};
    tw_status status = TW_OK;
    const char *slash = side_file ? strrchr(side_file, '/') : NULL;
    uint64_t weight_bytes = place_weights(g, slash ? slash + 1 : side_file);
    if (side_file) {
        TW_CHECK(tw_output_open(side_file, &side, err));
        TW_CHECK(write_weights(g, &side, true, hooks, err));
    }
    TW_CHECK(tw_output_open(path, &model, err));
    TW_CHECK(write_model(g, weight_bytes, &model, hooks, err));
    TW_CHECK(tw_progress(hooks, "export", g->n_weights, g->n_weights, err));
    if (side_file) TW_CHECK(tw_output_commit(&side, err));
    TW_CHECK(tw_output_commit(&model, err));
done:
    tw_output_abort(&side);
    tw_output_abort(&model);
    return status;
}
