/* A stand-in for libcnrt.so, where no card is. It ends the process at mistakes: no device chosen in
 * this thread, a copy larger than its memory or before the queue was waited for, memory or a queue
 * left at the end. $STANDIN_DEVICES (2) describes the machine. */
#include "standin.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cnrtQueueSt {
    bool pending;
};

typedef struct block {
    void *data;
    size_t n_bytes;
} block;

enum { N_BLOCKS = 64 };
static block blocks[N_BLOCKS];
static int n_queues, n_pending;
static _Thread_local bool device_chosen;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void standin_check(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "ASSERT stand-in: %s\n", what);
    _Exit(134);
}

static void nothing_is_left(void) {
    standin_check(n_queues == 0, "a queue is left at the end");
    for (int i = 0; i < N_BLOCKS; i++)
        standin_check(!blocks[i].data, "memory is left at the end");
}

const char *standin_setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && value[0] ? value : otherwise;
}

static block *find(const void *data) {
    for (int i = 0; i < N_BLOCKS; i++)
        if (blocks[i].data == data) return &blocks[i];
    return NULL;
}

bool standin_has_memory(const void *data, size_t n_bytes) {
    pthread_mutex_lock(&lock);
    const block *b = data ? find(data) : NULL;
    pthread_mutex_unlock(&lock);
    return b && n_bytes <= b->n_bytes;
}

void standin_launched(cnrtQueue_t queue) {
    standin_check(device_chosen, "a launch in a thread that chose no device");
    n_pending += !queue->pending;
    queue->pending = true;
}

cnrtRet_t cnrtGetDeviceCount(unsigned int *count) {
    *count = (unsigned)atoi(standin_setting("STANDIN_DEVICES", "2"));
    return *count ? cnrtSuccess : cnrtErrorNoDevice;
}

cnrtRet_t cnrtSetDevice(int device) {
    unsigned n = 0;
    if (cnrtGetDeviceCount(&n) != cnrtSuccess || device < 0 || (unsigned)device >= n)
        return cnrtErrorArgsInvalid;
    device_chosen = true;
    return cnrtSuccess;
}

cnrtRet_t cnrtQueueCreate(cnrtQueue_t *queue) {
    static bool registered;
    if (!registered) atexit(nothing_is_left);
    registered = true;
    standin_check(device_chosen, "a queue in a thread that chose no device");
    *queue = calloc(1, sizeof **queue);
    n_queues++;
    return cnrtSuccess;
}

cnrtRet_t cnrtQueueDestroy(cnrtQueue_t queue) {
    standin_check(!queue->pending, "a queue destroyed while it runs");
    n_queues--;
    free(queue);
    return cnrtSuccess;
}

cnrtRet_t cnrtQueueSync(cnrtQueue_t queue) {
    n_pending -= queue->pending;
    queue->pending = false;
    return cnrtSuccess;
}

cnrtRet_t cnrtMalloc(void **memory, size_t n_bytes) {
    standin_check(device_chosen, "memory for a thread that chose no device");
    standin_check(n_bytes > 0, "no memory asked for");
    pthread_mutex_lock(&lock);
    block *b = find(NULL);
    standin_check(b != NULL, "too many blocks");
    *b = (block){malloc(n_bytes), n_bytes};
    memset(b->data, 0xee, n_bytes);
    *memory = b->data;
    pthread_mutex_unlock(&lock);
    return cnrtSuccess;
}

cnrtRet_t cnrtFree(void *memory) {
    pthread_mutex_lock(&lock);
    block *b = memory ? find(memory) : NULL;
    standin_check(b && n_pending == 0, "memory freed that is none, or in use");
    free(b->data);
    *b = (block){0};
    pthread_mutex_unlock(&lock);
    return cnrtSuccess;
}

cnrtRet_t cnrtMemcpy(void *to, void *from, size_t n_bytes, cnrtMemTransDir_t direction) {
    bool out = direction == cnrtMemcpyDevToHost;
    standin_check(standin_has_memory(out ? from : to, n_bytes), "a copy larger than its memory");
    standin_check(n_pending == 0, "a copy before the end of the launch");
    memcpy(to, from, n_bytes);
    return cnrtSuccess;
}

const char *cnrtGetErrorStr(cnrtRet_t result) {
    static const char *const words[] = {"success", "invalid argument", "no device"};
    return words[result];
}
