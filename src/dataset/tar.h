/* The members of a tar archive in memory: ustar, GNU long names, pax records, v7. Nothing is
 * extracted: a member is a range of the archive. */
#ifndef DATASET_TAR_H
#define DATASET_TAR_H

#include "base/status.h"

typedef struct tw_tar_member {
    const char *name; /* NUL-terminated, as stored but for a leading "./"; lives for the call */
    bool is_directory;
    uint64_t offset, n_bytes; /* of the data in the archive; inside it, always */
} tw_tar_member;

/* Calls `each` for every regular file and directory in archive order; stops at its first failure.
 * Links, devices and other kinds are passed over. Errors: TW_ERR_FORMAT (not a tar, damaged,
 * truncated), TW_ERR_UNSUPPORTED (compressed, sparse), TW_ERR_LIMIT (name over 4096 bytes). */
tw_status tw_tar_each(const void *data, size_t n_bytes,
                      tw_status (*each)(void *user, const tw_tar_member *member, tw_error *err),
                      void *user, tw_error *err);

#endif
