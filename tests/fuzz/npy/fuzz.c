/* A .npy file: refused with a message, or every element can be read. */
#include "tensor/npy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_tensor t;
    tw_error err = TW_ERROR_INIT;
    if (tw_npy_parse(data, n_bytes, &t, &err) != TW_OK) {
        if (err.message[0] == '\0') abort();
        return 0;
    }
    uint64_t n;
    if (!tw_shape_elements(t.n_dims, t.shape, &n) || n > n_bytes) abort();
    float *values = malloc((size_t)n * sizeof *values + 1);
    if (values) tw_tensor_to_f32(&t, values);
    free(values);
    return 0;
}
