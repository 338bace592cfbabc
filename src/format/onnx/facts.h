/* What a graph shows about the network beside its weights. */
#ifndef FORMAT_ONNX_FACTS_H
#define FORMAT_ONNX_FACTS_H

#include "format/onnx/container.h"
#include "format/onnx/graph.h"

/* Errors: TW_ERR_UNSUPPORTED (other inputs than "image" and "text"; layers that no tower has). */
tw_status tw_onnx_facts_read(const tw_onnx_graph *g, tw_onnx_facts *facts, tw_error *err);

#endif
