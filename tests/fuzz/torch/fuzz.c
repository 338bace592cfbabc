#include "format/checkpoint.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* The first and the last element are the lowest and the highest byte a view can reach. */
static void touch(const tw_checkpoint *c, size_t index) {
    const tw_tensor *t = tw_checkpoint_tensor(c, index);
    size_t n = tw_tensor_elements(t);
    float first = 0, last = 0;
    if (t->name[0] != '\0' && tw_checkpoint_find(c, t->name) != t) abort();
    if (n > 0) {
        tw_tensor_to_f32_range(t, 0, 1, &first);
        tw_tensor_to_f32_range(t, n - 1, 1, &last);
    }
    volatile float used = first + last;
    (void)used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    if (tw_checkpoint_parse(data, n_bytes, &c, &err) != TW_OK) {
        if (c || !err.message[0]) abort();
        return 0;
    }
    int64_t epoch;
    for (size_t i = 0; i < tw_checkpoint_n_tensors(c); i++)
        touch(c, i);
    (void)tw_checkpoint_int(c, "epoch", &epoch);
    tw_checkpoint_free(c);
    return 0;
}
