#include "../picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* With libavif its container and AV1 pictures, without it the refusal. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    return run_picture("\0\0\0\x20"
                       "ftypavif",
                       12, data, n_bytes);
}
