/* Devices of AscendCL, each with a context and a stream of ours. */
#ifndef BACKEND_ASCEND_DEVICES_H
#define BACKEND_ASCEND_DEVICES_H

#include "base/status.h"

#include <pthread.h>
#include <stddef.h>

enum { TW_ACL_DEVICES = 16 };

typedef struct tw_acl_devices {
    pthread_mutex_t lock; /* calls take turns */
    size_t n;
    int ids[TW_ACL_DEVICES];
    void *contexts[TW_ACL_DEVICES], *streams[TW_ACL_DEVICES];
    char soc[32]; /* "Ascend910B4" */
} tw_acl_devices;

/* `ids`: numbers with commas, each once; NULL: "0". Between tw_acl_start() and tw_acl_stop().
 * Errors: TW_ERR_ARGUMENT, TW_ERR_UNSUPPORTED (no such device; what the library says). */
tw_status tw_acl_devices_open(const char *ids, tw_acl_devices *out, tw_error *err);
void tw_acl_devices_close(tw_acl_devices *devices);

#endif
