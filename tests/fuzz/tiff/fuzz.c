#include "../picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* The first byte of the file says which byte order. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    bool big = n_bytes > 1 && data[1] == 'M';
    return run_picture(big ? "MM\0*" : "II*\0", 4, data, n_bytes);
}
