/* What the weights of a graph are called, where the exporter lost it. */
#ifndef FORMAT_ONNX_NAMES_H
#define FORMAT_ONNX_NAMES_H

#include "format/onnx/graph.h"
#include "format/tensor_list.h"

/* Adds every weight of the graph under the name that its family has for it:
 * - a matrix without a name by the bias that is added to its product, transposed;
 * - a convolution without a name by its place in a ModifiedResNet;
 * - a convolution's bias, into which batch norm was folded, as the batch norm that adds it and
 *   changes nothing else;
 * - "NAME.T" as NAME, transposed.
 * Constants and masks are left out. Errors: TW_ERR_UNSUPPORTED naming a weight whose name cannot be
 * found, TW_ERR_NO_MEMORY. */
tw_status tw_onnx_name_weights(const tw_onnx_graph *g, tw_tensor_list *out, tw_error *err);

#endif
