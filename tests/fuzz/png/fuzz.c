#include "../picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    return run_picture("\x89PNG\r\n\x1A\n", 8, data, n_bytes);
}
