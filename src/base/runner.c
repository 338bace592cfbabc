#include "base/runner.h"

#include "base/status.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct tw_runner {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*call)(void *arg); /* NULL: nothing is started */
    void *arg;
    bool stop;
};

static void *runner_main(void *p) {
    tw_runner *r = p;
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        if (!r->call) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        r->call(r->arg);
        pthread_mutex_lock(&r->lock);
        r->call = NULL;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

tw_status tw_runner_create(tw_runner **out, tw_error *err) {
    sigset_t all, before;
    tw_runner *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) return tw_fail_no_memory(err, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    /* Signals are the program's: its own threads take them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, runner_main, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return tw_fail(err, TW_ERR_NO_MEMORY, "no further thread can be had");
    }
    *out = r;
    return TW_OK;
}

void tw_runner_start(tw_runner *r, void (*call)(void *arg), void *arg) {
    pthread_mutex_lock(&r->lock);
    r->call = call;
    r->arg = arg;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void tw_runner_wait(tw_runner *r) {
    pthread_mutex_lock(&r->lock);
    while (r->call)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

void tw_runner_free(tw_runner *r) {
    if (!r) return;
    tw_runner_wait(r);
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
