/* A tar archive: refused with a message, or every member lies inside it under a plain name. The
 * reader belongs to the command, not to the library, so its source is taken in here. */
#include "dataset/tar.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

typedef struct archive {
    const uint8_t *data;
    size_t n_bytes;
    unsigned sum;
} archive;

static tw_status visit(void *user, const tw_tar_member *member, tw_error *err) {
    archive *a = user;
    if (!tw_range_ok(member->offset, member->n_bytes, a->n_bytes)) abort();
    if (strlen(member->name) > MAX_NAME) abort();
    if (member->n_bytes)
        a->sum += a->data[member->offset] + a->data[member->offset + member->n_bytes - 1];
    return TW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    archive a = {data, n_bytes, 0};
    tw_error err = TW_ERROR_INIT;
    if (tw_tar_each(data, n_bytes, visit, &a, &err) != TW_OK && err.message[0] == '\0') abort();
    return 0;
}
