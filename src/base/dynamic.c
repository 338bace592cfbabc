#include "base/dynamic.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *open_file(const tw_dynamic *d, const char **name) {
    const char *chosen = getenv(d->variable);
    if (chosen && chosen[0]) {
        *name = chosen;
        return dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
    }
    for (size_t i = 0; i < TW_DYNAMIC_NAMES && d->names[i]; i++) {
        *name = d->names[i];
        void *handle = dlopen(d->names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle) return handle;
    }
    *name = d->names[0];
    return NULL;
}

static tw_status open_once(tw_dynamic *d, tw_error *err) {
    const char *name;
    void *handle = open_file(d, &name);
    if (!handle)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "%s (%s), which is not installed (Debian's package %s)", d->what, name,
                       d->package);
    for (size_t i = 0; i < d->n_functions; i++) {
        void *address = dlsym(handle, d->symbols[i]);
        if (!address && i < d->n_required)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "%s, and %s has no %s", d->what, name,
                           d->symbols[i]);
        memcpy((char *)d->functions + i * sizeof address, &address, sizeof address);
    }
    return d->check ? d->check(err) : TW_OK;
}

tw_status tw_dynamic_open(tw_dynamic *d, tw_error *err) {
    pthread_mutex_lock(&lock);
    if (!d->state.tried) {
        d->state.error = (tw_error)TW_ERROR_INIT;
        (void)open_once(d, &d->state.error);
        d->state.tried = true;
    }
    pthread_mutex_unlock(&lock);
    if (d->state.error.status == TW_OK) return TW_OK;
    return tw_fail(err, d->state.error.status, "%s", d->state.error.message);
}
