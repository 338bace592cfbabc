#include "format/onnx/container.h"

#include "base/size.h"
#include "format/onnx/facts.h"
#include "format/onnx/graph.h"
#include "format/onnx/names.h"

#include <stdlib.h>
#include <string.h>

/* There is no magic number: a ModelProto begins with its IR version, a small number, and what
 * follows is one of its fields. */
bool tw_is_onnx(const uint8_t *data, size_t n_bytes) {
    static const uint8_t next[] = {0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42};
    return n_bytes > 8 && data[0] == 0x08 && data[1] >= 1 && data[1] < 32 &&
           memchr(next, data[2], sizeof next);
}

tw_status tw_onnx_read(const uint8_t *data, size_t n_bytes, tw_tensor_list *out, tw_error *err) {
    tw_onnx_graph g = {.path = out->path};
    tw_status status;
    out->onnx = calloc(1, sizeof *out->onnx);
    if (!out->onnx) return tw_fail_no_memory(err, sizeof *out->onnx);
    g.storage = out->onnx->storage = calloc(1, sizeof *g.storage);
    if (!g.storage) return tw_fail_no_memory(err, sizeof *g.storage);
    TW_CHECK(tw_onnx_graph_read(data, n_bytes, &g, err));
    TW_CHECK(tw_onnx_facts_read(&g, out->onnx, err));
    status = tw_onnx_name_weights(&g, out, err);
done:
    tw_onnx_graph_free(&g);
    if (status != TW_OK) tw_error_context(err, "onnx");
    return status;
}

void tw_onnx_facts_free(tw_onnx_facts *facts) {
    if (facts) tw_onnx_storage_free(facts->storage);
    free(facts);
}

const tw_onnx_line *tw_onnx_fact(const tw_onnx_facts *facts, const char *key) {
    for (size_t i = 0; i < facts->n_metadata; i++)
        if (facts->metadata[i].n_key == strlen(key) &&
            memcmp(facts->metadata[i].key, key, facts->metadata[i].n_key) == 0)
            return &facts->metadata[i];
    return NULL;
}
