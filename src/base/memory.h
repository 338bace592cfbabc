/* How much memory there is to have. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/status.h"

/* Bytes that can be had without another process losing its own: the system's, at most the cgroup's
 * limit. 0: not known. */
uint64_t tw_memory_available(void);

/* Whether a large allocation has room: the system promises memory that it does not have, and ends
 * the process that uses it. `per` is what there could be fewer of, "a batch". Errors:
 * TW_ERR_NO_MEMORY. */
tw_status tw_check_room(size_t n_bytes, const char *per, tw_error *err);

#endif
