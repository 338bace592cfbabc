/* A safetensors file of any bytes: refused with a message, or every tensor readable to its ends. */
#include "format/safetensors/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_tensor_list list = {0};
    tw_error err = TW_ERROR_INIT;
    tw_status status = tw_safetensors_read(data, n_bytes, &list, &err);
    if (status != err.status || (status != TW_OK && !err.message[0])) abort();
    size_t total = 0;
    for (size_t i = 0; status == TW_OK && i < list.n; i++) {
        const tw_tensor *t = &list.tensors[i];
        size_t n = tw_tensor_elements(t);
        float first = 0, last = 0;
        if (n > 0) {
            tw_tensor_to_f32_range(t, 0, 1, &first);
            tw_tensor_to_f32_range(t, n - 1, 1, &last);
        }
        volatile float used = first + last;
        (void)used;
        total += n * tw_dtype_bytes(t->dtype);
    }
    if (status == TW_OK && total > n_bytes) abort(); /* no two tensors share a byte */
    tw_tensor_list_free(&list);
    return 0;
}
