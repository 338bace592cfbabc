/* Writes an ONNX graph that gives its only input back: make_graph FILE NAME f32|f16|i64 EXTENT…; an
 * extent of 0 varies. */
#include "format/onnx/onnx.h"

#include <stdlib.h>
#include <string.h>

static tw_onnx_type type_of(const char *word) {
    return strcmp(word, "i64") == 0   ? TW_ONNX_I64
           : strcmp(word, "f16") == 0 ? TW_ONNX_F16
                                      : TW_ONNX_F32;
}

int main(int argc, char **argv) {
    enum { MOST = 8 };
    tw_onnx_dim dims[MOST];
    tw_onnx *g;
    if (argc < 5 || argc > 4 + MOST) return 2;
    const size_t n = (size_t)argc - 4;
    for (size_t i = 0; i < n; i++) {
        dims[i].value = atoll(argv[4 + i]);
        dims[i].name = dims[i].value ? NULL : "n";
    }
    if (tw_onnx_create("graph", 17, &g, NULL) != TW_OK) return 1;
    tw_onnx_input(g, argv[2], type_of(argv[3]), dims, n);
    tw_onnx_node(g, "Identity", "same", (const char *const[]){argv[2], NULL}, NULL);
    tw_onnx_output(g, "same", type_of(argv[3]), dims, n);
    const tw_status status = tw_onnx_write(g, argv[1], NULL, NULL, NULL);
    tw_onnx_free(g);
    return status == TW_OK ? 0 : 1;
}
