#include "backend/onnxruntime/session.h"

#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ session */

static tw_status make_options(const tw_ort_provider *p, int threads, tw_ort_handle options,
                              tw_error *err) {
#define SET(slot, type, value)                                                                     \
    TW_TRY(tw_ort_check(ORT(slot, tw_ort_handle, type)(options, value), "onnxruntime", err))
#define ENTRY(key, value)                                                                          \
    TW_TRY(tw_ort_check(                                                                           \
        ORT(ORT_ADD_CONFIG_ENTRY, tw_ort_handle, const char *, const char *)(options, key, value), \
        "onnxruntime", err))
    SET(ORT_SET_OPTIMIZATION_LEVEL, int, 99);
    SET(ORT_SET_INTRA_THREADS, int, threads);
    SET(ORT_SET_INTER_THREADS, int, 1);
    ENTRY("session.intra_op.allow_spinning", "0");
    if (tw_ort.api >= ORT_ASSIGNMENT_API) ENTRY("session.record_ep_graph_assignment_info", "1");
#undef SET
#undef ENTRY
    return tw_ort_provider_append(p, options, err);
}

/* (tw_dtype)-1: one that no tower has. */
static tw_dtype dtype_of(int type) {
    return type == ORT_F32   ? TW_F32
           : type == ORT_F16 ? TW_F16
           : type == ORT_I64 ? TW_I64
           : type == ORT_I32 ? TW_I32
                             : (tw_dtype)-1;
}

/* Name, type and extents of the only input, and name and type of the first output. */
static tw_status describe_ends(tw_ort_session *s, int n_dims, tw_error *err) {
    size_t n_in = 0, n_out = 0, rank = 0;
    tw_ort_handle type = NULL, info = NULL;
    tw_status status;
    TW_TRY(tw_ort_check(ORT(ORT_INPUT_COUNT, tw_ort_handle, size_t *)(s->handle, &n_in), "graph",
                        err));
    TW_TRY(tw_ort_check(ORT(ORT_OUTPUT_COUNT, tw_ort_handle, size_t *)(s->handle, &n_out), "graph",
                        err));
    if (n_in != 1 || n_out < 1)
        return tw_fail(err, TW_ERR_MISMATCH,
                       "the graph has %zu inputs and %zu outputs, expected one tower: one input",
                       n_in, n_out);
    TW_TRY(tw_ort_check(ORT(ORT_INPUT_NAME, tw_ort_handle, size_t, tw_ort_handle,
                            char **)(s->handle, 0, tw_ort.allocator, &s->input),
                        "graph", err));
    TW_TRY(tw_ort_check(ORT(ORT_OUTPUT_NAME, tw_ort_handle, size_t, tw_ort_handle,
                            char **)(s->handle, 0, tw_ort.allocator, &s->output),
                        "graph", err));
    TW_TRY(tw_ort_check(
        ORT(ORT_INPUT_TYPE_INFO, tw_ort_handle, size_t, tw_ort_handle *)(s->handle, 0, &type),
        "graph", err));
    TW_CHECK(tw_ort_check(ORT(ORT_CAST_TO_TENSOR_INFO, tw_ort_handle, tw_ort_handle *)(type, &info),
                          "graph", err));
    if (info) {
        TW_CHECK(tw_ort_check(ORT(ORT_ELEMENT_TYPE, tw_ort_handle, int *)(info, &s->input_type),
                              "graph", err));
        TW_CHECK(tw_ort_check(ORT(ORT_DIMENSIONS_COUNT, tw_ort_handle, size_t *)(info, &rank),
                              "graph", err));
    }
    if (!info || rank != (size_t)n_dims) {
        status = tw_fail(err, TW_ERR_MISMATCH, "input '%s' has %zu extents, expected %d", s->input,
                         rank, n_dims);
        goto done;
    }
    s->takes.n_dims = n_dims;
    s->takes.type = dtype_of(s->input_type);
    TW_CHECK(tw_ort_check(
        ORT(ORT_DIMENSIONS, tw_ort_handle, int64_t *, size_t)(info, s->takes.dims, rank), "graph",
        err));
done:
    ORT_RELEASE(ORT_RELEASE_TYPE_INFO, type);
    return status;
}

/* How many nodes of the graph run where. */
static tw_status count_nodes(tw_ort_session *s, const tw_ort_provider *p, tw_error *err) {
    tw_ort_handle *parts = NULL;
    size_t n = 0;
    s->knows_nodes = tw_ort.api >= ORT_ASSIGNMENT_API;
    if (!s->knows_nodes) return TW_OK;
    TW_TRY(tw_ort_check(
        ORT(ORT_GRAPH_ASSIGNMENT, tw_ort_handle, tw_ort_handle **, size_t *)(s->handle, &parts, &n),
        "node assignment", err));
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        tw_ort_handle *nodes = NULL;
        size_t n_nodes = 0;
        TW_TRY(tw_ort_check(ORT(ORT_ASSIGNMENT_NAME, tw_ort_handle, const char **)(parts[i], &name),
                            "node assignment", err));
        TW_TRY(tw_ort_check(ORT(ORT_ASSIGNMENT_NODES, tw_ort_handle, tw_ort_handle **,
                                size_t *)(parts[i], &nodes, &n_nodes),
                            "node assignment", err));
        s->n_nodes += n_nodes;
        if (name && strcmp(name, p->name) == 0) s->n_provider_nodes += n_nodes;
    }
    return TW_OK;
}

static tw_status check_fallback(const tw_ort_session *s, const tw_ort_provider *p,
                                const tw_backend_options *o, tw_error *err) {
    if (p->is_cpu || o->allow_fallback || !s->knows_nodes || s->n_provider_nodes) return TW_OK;
    return tw_fail(
        err, TW_ERR_UNSUPPORTED,
        "provider %s takes none of the graph's %zu nodes: all would run on ONNX Runtime's "
        "CPU provider (--allow-fallback permits that)",
        p->word, s->n_nodes);
}

static tw_status load(const tw_ort_graph *graph, const tw_backend_options *o, tw_ort_session *s,
                      tw_error *err) {
    tw_ort_provider p;
    tw_ort_handle options = NULL;
    tw_status status;
    tw_ort_forget_log();
    TW_TRY(tw_ort_provider_open(o, graph, &p, err));
    TW_CHECK(tw_ort_check(ORT(ORT_CREATE_SESSION_OPTIONS, tw_ort_handle *)(&options), "onnxruntime",
                          err));
    TW_CHECK(make_options(&p, graph->threads, options, err));
    TW_CHECK(tw_ort_check(ORT(ORT_CREATE_SESSION, tw_ort_handle, const char *, tw_ort_handle,
                              tw_ort_handle *)(tw_ort.env, graph->path, options, &s->handle),
                          graph->path, err));
    TW_CHECK(describe_ends(s, graph->image ? 4 : 2, err));
    TW_CHECK(count_nodes(s, &p, err));
    TW_CHECK(check_fallback(s, &p, o, err));
done:
    if (options) ORT_RELEASE(ORT_RELEASE_SESSION_OPTIONS, options);
    tw_ort_provider_close(&p);
    return status;
}

tw_status tw_ort_session_open(const tw_ort_graph *graph, const tw_backend_options *options,
                              tw_ort_session *out, tw_error *err) {
    *out = (tw_ort_session){0};
    tw_status status = load(graph, options, out, err);
    if (status != TW_OK) tw_ort_session_close(out);
    return status;
}

static void free_name(char *name) {
    if (name) (void)ORT(ORT_ALLOCATOR_FREE, tw_ort_handle, void *)(tw_ort.allocator, name);
}

void tw_ort_session_close(tw_ort_session *s) {
    if (!tw_ort.table) return;
    free_name(s->input);
    free_name(s->output);
    if (s->handle) ORT_RELEASE(ORT_RELEASE_SESSION, s->handle);
    *s = (tw_ort_session){0};
}

/* ---------------------------------------------------------------------------------------- run */

static tw_status take_features(tw_ort_handle value, size_t rows, size_t n, size_t dim,
                               float *features, tw_error *err) {
    tw_ort_handle info = NULL;
    size_t count = 0;
    int type = 0;
    void *data = NULL;
    tw_status status;
    TW_TRY(
        tw_ort_check(ORT(ORT_TENSOR_TYPE_AND_SHAPE, tw_ort_handle, tw_ort_handle *)(value, &info),
                     "output", err));
    TW_CHECK(
        tw_ort_check(ORT(ORT_ELEMENT_COUNT, tw_ort_handle, size_t *)(info, &count), "output", err));
    TW_CHECK(tw_ort_check(ORT(ORT_ELEMENT_TYPE, tw_ort_handle, int *)(info, &type), "output", err));
    TW_CHECK(
        tw_ort_check(ORT(ORT_TENSOR_DATA, tw_ort_handle, void **)(value, &data), "output", err));
    TW_CHECK(tw_graph_take_features(dtype_of(type), data, count, rows, n, dim, features, err));
done:
    ORT_RELEASE(ORT_RELEASE_TENSOR_INFO, info);
    return status;
}

tw_status tw_ort_session_run(void *session, void *data, const int64_t *dims, size_t n, size_t dim,
                             float *features, tw_error *err) {
    const tw_ort_session *s = session;
    tw_ort_handle in = NULL, out = NULL;
    const char *input = s->input, *output = s->output;
    size_t n_bytes = tw_dtype_bytes(s->takes.type);
    tw_status status;
    for (int i = 0; i < s->takes.n_dims; i++)
        n_bytes *= (size_t)dims[i];
    TW_TRY(tw_ort_check(ORT(ORT_CREATE_TENSOR_WITH_DATA, tw_ort_handle, void *, size_t,
                            const int64_t *, size_t, int,
                            tw_ort_handle *)(tw_ort.cpu_memory, data, n_bytes, dims,
                                             (size_t)s->takes.n_dims, s->input_type, &in),
                        "input", err));
    TW_CHECK(tw_ort_check(ORT(ORT_RUN, tw_ort_handle, tw_ort_handle, const char *const *,
                              const tw_ort_handle *, size_t, const char *const *, size_t,
                              tw_ort_handle *)(s->handle, NULL, &input, &in, 1, &output, 1, &out),
                          "onnxruntime", err));
    TW_CHECK(take_features(out, (size_t)dims[0], n, dim, features, err));
done:
    if (out) ORT_RELEASE(ORT_RELEASE_VALUE, out);
    if (in) ORT_RELEASE(ORT_RELEASE_VALUE, in);
    return status;
}
