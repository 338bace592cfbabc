/* The head of a .bmodel file: refused with a message, or a tower whose tensors have sizes. */
#include "backend/sophon/bmodel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_bmodel m;
    tw_error err = TW_ERROR_INIT;
    /* The binary data, megabytes in a real file, is not read: only its size counts. */
    if (tw_bmodel_parse(data, n_bytes, (uint64_t)1 << 40, &m, &err) != TW_OK) {
        if (err.message[0] == '\0') abort();
        return 0;
    }
    if (m.n_stages < 1 || m.n_stages > TW_BMODEL_STAGES) abort();
    for (int s = 0; s < m.n_stages; s++) {
        size_t in = tw_bmodel_tensor_bytes(m.in.type, &m.in_shape[s]);
        size_t out = tw_bmodel_tensor_bytes(m.out.type, &m.out_shape[s]);
        if (in < 1 || in > INT32_MAX || out < 1 || out > INT32_MAX) abort();
    }
    return 0;
}
