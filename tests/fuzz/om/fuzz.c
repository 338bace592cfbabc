/* The head of an .om file: refused with a message, or one whose partitions lie in the file. */
#include "backend/ascend/om.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    if (tw_om_check(data, n_bytes, n_bytes, &err) != TW_OK && err.message[0] == '\0') abort();
    return 0;
}
