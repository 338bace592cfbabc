#include "backend/magicmind/library.h"

#include "backend/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"libtuwen_magicmind.so", NULL};
static const tw_library_place place = {
    .backend = "magicmind",
    .variable = "TUWEN_MAGICMIND",
    .names = names,
    .prefix = "libtuwen_magicmind.so",
    .source = "made by 'make magicmind' where Cambricon's MagicMind is",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const tw_mm_shim *opened;
static char file_name[128];

static tw_status find_shim(void *handle, const char *path, const tw_mm_shim **out, tw_error *err) {
    tw_mm_entry *entry;
    void *symbol = dlsym(handle, TW_MM_ENTRY_NAME);
    memcpy(&entry, &symbol, sizeof entry); /* a function's address, as POSIX has it */
    if (!symbol)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: not made by 'make magicmind': no %s", path,
                       TW_MM_ENTRY_NAME);
    *out = entry();
    if ((*out)->abi != TW_MM_ABI || (*out)->n_bytes != sizeof **out)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "%s: has interface %u, this tuwen wants %u; run 'make magicmind' again",
                       path, (unsigned)(*out)->abi, TW_MM_ABI);
    return TW_OK;
}

static tw_status open_once(const char *library, tw_error *err) {
    void *handle;
    char path[4096];
    if (opened) return TW_OK;
    TW_TRY(tw_library_open(&place, library, &handle, path, sizeof path, err));
    const tw_mm_shim *shim = NULL;
    tw_status status = find_shim(handle, path, &shim, err);
    if (status != TW_OK) {
        dlclose(handle);
        return status;
    }
    const char *slash = strrchr(path, '/');
    snprintf(file_name, sizeof file_name, "%.127s", slash ? slash + 1 : path);
    opened = shim;
    return TW_OK;
}

tw_status tw_mm_open(const char *library, const tw_mm_shim **out, tw_error *err) {
    pthread_mutex_lock(&lock);
    tw_status status = open_once(library, err);
    *out = opened;
    pthread_mutex_unlock(&lock);
    return status;
}

const char *tw_mm_library(void) {
    return file_name;
}
