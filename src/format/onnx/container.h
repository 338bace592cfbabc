/* An ONNX model as a checkpoint: the exports of Chinese-CLIP's pytorch_to_onnx.py and of
 * `tuwen export`, one tower or both in a file. */
#ifndef FORMAT_ONNX_CONTAINER_H
#define FORMAT_ONNX_CONTAINER_H

#include "format/tensor_list.h"
#include "tuwen/model.h"

/* What a graph shows about a tower beside its weights; zero where it does not show. */
typedef struct tw_onnx_tower {
    bool present;
    tw_activation activation;
    int32_t head_width;
    float norm_eps;
    int32_t length; /* of a row of tokens, when it is fixed */
} tw_onnx_tower;

typedef struct tw_onnx_line {
    const char *key, *value; /* not NUL-terminated */
    size_t n_key, n_value;
} tw_onnx_line;

typedef struct tw_onnx_facts {
    tw_onnx_tower image, text;
    tw_onnx_line metadata[64]; /* metadata_props; views of the file */
    size_t n_metadata;
    struct tw_onnx_storage *storage; /* what tensors point into beside the file */
} tw_onnx_facts;

bool tw_is_onnx(const uint8_t *data, size_t n_bytes);

/* The reader for tw_checkpoint_open(): fills `out` with weights under the names of the family they
 * come from, and leaves out->onnx. Side files are looked for beside out->path. Refused by name:
 * graphs of other inputs than "image" and "text". */
tw_status tw_onnx_read(const uint8_t *data, size_t n_bytes, tw_tensor_list *out, tw_error *err);
void tw_onnx_facts_free(tw_onnx_facts *facts);

/* A line of metadata, NULL when there is none of the key. */
const tw_onnx_line *tw_onnx_fact(const tw_onnx_facts *facts, const char *key);

#endif
