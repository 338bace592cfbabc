#include "backend/ascend/devices.h"

#include "backend/ascend/api.h"
#include "backend/devices.h"

#include <stdint.h>
#include <stdio.h>

/* A device is set once a process, however many encoders use it, and reset with the last. */
static pthread_mutex_t device_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_device_users[1024];

static int take_device(int id) {
    int result = 0;
    pthread_mutex_lock(&device_lock);
    if (n_device_users[id] == 0) result = tw_acl.rtSetDevice(id);
    if (result == 0) n_device_users[id]++;
    pthread_mutex_unlock(&device_lock);
    return result;
}

static void give_device(int id) {
    pthread_mutex_lock(&device_lock);
    if (--n_device_users[id] == 0) tw_acl.rtResetDevice(id);
    pthread_mutex_unlock(&device_lock);
}

static tw_status open_device(tw_acl_devices *d, size_t i, tw_error *err) {
    char what[32];
    snprintf(what, sizeof what, "device %d", d->ids[i]);
    TW_TRY(tw_acl_check(take_device(d->ids[i]), what, err));
    int result = tw_acl.rtCreateContext(&d->contexts[i], d->ids[i]);
    if (result != 0) {
        d->contexts[i] = NULL;
        tw_status status = tw_acl_check(result, what, err);
        give_device(d->ids[i]);
        return status;
    }
    TW_TRY(tw_acl_check(tw_acl.rtSetCurrentContext(d->contexts[i]), what, err));
    return tw_acl_check(tw_acl.rtCreateStream(&d->streams[i]), what, err);
}

static tw_status open_devices(tw_acl_devices *d, tw_error *err) {
    uint32_t n_there = 0;
    TW_TRY(tw_acl_check(tw_acl.rtGetDeviceCount(&n_there), "devices", err));
    for (size_t i = 0; i < d->n; i++)
        if ((uint32_t)d->ids[i] >= n_there)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "device %d: AscendCL tells of %u here",
                           d->ids[i], n_there);
    for (size_t i = 0; i < d->n; i++)
        TW_TRY(open_device(d, i, err));
    const char *soc = tw_acl.rtGetSocName();
    snprintf(d->soc, sizeof d->soc, "%s", soc ? soc : "Ascend");
    return TW_OK;
}

tw_status tw_acl_devices_open(const char *ids, tw_acl_devices *out, tw_error *err) {
    *out = (tw_acl_devices){0};
    TW_TRY(tw_device_numbers(ids, out->ids, TW_ACL_DEVICES, &out->n, err));
    pthread_mutex_init(&out->lock, NULL);
    tw_status status = open_devices(out, err);
    if (status != TW_OK) tw_acl_devices_close(out);
    return status;
}

void tw_acl_devices_close(tw_acl_devices *d) {
    for (size_t i = 0; i < d->n; i++) {
        if (!d->contexts[i]) continue;
        tw_acl.rtSetCurrentContext(d->contexts[i]);
        if (d->streams[i]) tw_acl.rtDestroyStream(d->streams[i]);
        tw_acl.rtDestroyContext(d->contexts[i]);
        give_device(d->ids[i]);
    }
    if (d->n) pthread_mutex_destroy(&d->lock);
    *d = (tw_acl_devices){0};
}
