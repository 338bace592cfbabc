#include "../picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* With libheif its container and HEVC pictures, without it the refusal. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    return run_picture("\0\0\0\x1c"
                       "ftypheic",
                       12, data, n_bytes);
}
