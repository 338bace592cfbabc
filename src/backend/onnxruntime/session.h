/* A graph of one tower in ONNX Runtime: made once, run by any number of threads. */
#ifndef BACKEND_ONNXRUNTIME_SESSION_H
#define BACKEND_ONNXRUNTIME_SESSION_H

#include "backend/backend.h"
#include "backend/onnxruntime/provider.h"
#include "backend/rows.h"

typedef struct tw_ort_session {
    tw_ort_handle handle; /* NULL: there is none */
    char *input, *output; /* names */
    int input_type;       /* the runtime's number */
    tw_graph_input takes;
    bool knows_nodes; /* the runtime tells where nodes run */
    size_t n_nodes, n_provider_nodes;
} tw_ort_session;

/* Loads a tower's graph with the provider that the options ask for.
 * Errors: TW_ERR_FORMAT, TW_ERR_UNSUPPORTED (what the runtime says; a provider that takes no node
 * of the graph, unless fallback is allowed). */
tw_status tw_ort_session_open(const tw_ort_graph *graph, const tw_backend_options *options,
                              tw_ort_session *out, tw_error *err);
void tw_ort_session_close(tw_ort_session *session);

/* A tw_graph_run of a tw_ort_session. */
tw_status tw_ort_session_run(void *session, void *data, const int64_t *dims, size_t n, size_t dim,
                             float *features, tw_error *err);

#endif
