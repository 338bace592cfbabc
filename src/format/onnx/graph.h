/* An ONNX graph as it is read: nodes and tensors, found by the names of their values. Strings and
 * most tensors are views of the mapped file. */
#ifndef FORMAT_ONNX_GRAPH_H
#define FORMAT_ONNX_GRAPH_H

#include "base/file.h"
#include "format/onnx/wire.h"
#include "tensor/tensor.h"

#define TW_ONNX_MAX_NODES ((size_t)1 << 17)
#define TW_ONNX_MAX_INPUTS ((size_t)1 << 20) /* of all nodes together */
#define TW_ONNX_MAX_SIDE_FILES 1024

/* Not NUL-terminated. */
typedef struct tw_onnx_string {
    const char *data;
    size_t n;
} tw_onnx_string;
#define TW_ONNX_SHOWN(s) (int)TW_MIN((s).n, 80), (s).data ? (s).data : ""

/* What tensors may point into beside the model file; lives as long as they do. */
typedef struct tw_onnx_storage {
    tw_mapped_file *files;
    tw_onnx_string *file_names; /* views of the model file */
    size_t n_files;
    void **blocks;
    size_t n_blocks, blocks_capacity;
} tw_onnx_storage;

void *tw_onnx_storage_room(tw_onnx_storage *s, size_t n_bytes);
void tw_onnx_storage_free(tw_onnx_storage *s);

/* An initializer, what an Identity calls one, or the value of a Constant. */
typedef struct tw_onnx_tensor {
    tw_onnx_string name;
    tw_tensor view;   /* without name */
    bool is_constant; /* of a node */
    bool is_copied;   /* its bytes are in the storage */
    /* Its place in a side file. */
    bool is_aside;
    size_t file;
    uint64_t begin, end;
} tw_onnx_tensor;

typedef struct tw_onnx_node {
    tw_onnx_string op, output; /* the first output */
    size_t first_input, n_inputs;
    float epsilon; /* attribute; NaN when there is none */
} tw_onnx_node;

typedef struct tw_onnx_port {
    tw_onnx_string name;
    int n_dims;
    int64_t dims[4]; /* 0 where the extent has a name, or none */
} tw_onnx_port;

typedef struct tw_onnx_graph {
    tw_onnx_storage *storage;
    const char *path; /* of the model file, for side files; NULL for bytes in memory */
    tw_onnx_node *nodes;
    size_t n_nodes, nodes_capacity;
    tw_onnx_string *strings; /* inputs of all nodes */
    size_t n_strings, strings_capacity;
    tw_onnx_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    tw_onnx_port inputs[16]; /* of the graph, without those that are initializers */
    size_t n_inputs;
    struct {
        tw_onnx_string key, value;
    } metadata[64];
    size_t n_metadata;
    const tw_onnx_node **nodes_by_output;
    const tw_onnx_tensor **tensors_by_name;
} tw_onnx_graph;

/* Parses a ModelProto. Errors: TW_ERR_FORMAT, TW_ERR_LIMIT, TW_ERR_UNSUPPORTED, TW_ERR_IO (a side
 * file). Call tw_onnx_graph_free() whatever is returned. */
tw_status tw_onnx_graph_read(const uint8_t *data, size_t n_bytes, tw_onnx_graph *g, tw_error *err);
/* All but the storage. */
void tw_onnx_graph_free(tw_onnx_graph *g);

/* Reads a TensorProto into *t. */
tw_status tw_onnx_tensor_read(tw_onnx_graph *g, tw_pb_reader r, tw_onnx_tensor *t, tw_error *err);
/* Two tensors that share bytes of a side file are TW_ERR_FORMAT. */
tw_status tw_onnx_check_overlaps(const tw_onnx_graph *g, tw_error *err);

/* Entry {key, value} of metadata and external data. */
tw_status tw_onnx_entry_read(tw_pb_reader r, tw_onnx_string *key, tw_onnx_string *value,
                             tw_error *err);

bool tw_onnx_is(tw_onnx_string s, const char *text);
bool tw_onnx_starts(tw_onnx_string s, const char *text);
bool tw_onnx_ends(tw_onnx_string s, const char *text);
int tw_onnx_compare(tw_onnx_string a, tw_onnx_string b);
/* Of pointers to nodes by output, to tensors by name. */
int tw_onnx_compare_nodes(const void *a, const void *b);
int tw_onnx_compare_tensors(const void *a, const void *b);

/* NULL when no node, or tensor, has the name. */
const tw_onnx_node *tw_onnx_producer(const tw_onnx_graph *g, tw_onnx_string value);
const tw_onnx_tensor *tw_onnx_tensor_find(const tw_onnx_graph *g, tw_onnx_string value);
/* Input `i` of a node; empty when it has fewer. */
tw_onnx_string tw_onnx_input_of(const tw_onnx_graph *g, const tw_onnx_node *node, size_t i);
/* What `value` is made of, past operators of `ops` (NULL-terminated); empty when they go round. */
tw_onnx_string tw_onnx_source(const tw_onnx_graph *g, tw_onnx_string value, const char *const *ops);
/* Whether `value` is one float; its stored type in *dtype. */
bool tw_onnx_scalar(const tw_onnx_graph *g, tw_onnx_string value, float *out, tw_dtype *dtype);

/* Room for one more element: grows the array, or fails at the limit. */
tw_status tw_onnx_grow(void **array, size_t n, size_t *capacity, size_t size, size_t limit,
                       const char *what, tw_error *err);

#endif
