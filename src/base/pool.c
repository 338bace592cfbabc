/* The pool: workers spin for a few microseconds for the next region, then sleep on a futex-backed
 * condition variable. Spinning longer would collapse when a neighbour takes a core; sleeping at
 * once would cost a wake-up for each of the ~100 regions of a forward pass.
 *
 * Tasks are claimed one by one from an atomic counter, so a thread that loses its core delays one
 * task, not a fixed share of the work. */
#define _GNU_SOURCE
#include "base/pool.h"

#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024, SPIN_NS = 20000 };

struct tw_pool {
    int n_threads;
    tw_pool_ops ops; /* of a wrapped pool; ops.run NULL otherwise */
    pthread_t *workers;
    int n_workers;
    pthread_mutex_t region_lock; /* one region at a time */

    /* The current region. `ticket` packs its generation (upper 32 bits) and how many of its tasks
     * nobody has claimed yet (lower 32). A worker late for one region finds another generation or
     * nothing left, whatever the fields of the next region hold by then; it reads task and arg only
     * after a claim, and a region with a claimed task cannot end. */
    void (*task)(void *arg, int index);
    void *arg;
    _Atomic uint64_t ticket;
    atomic_int pending; /* tasks not finished */

    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    _Atomic uint32_t generation;
    bool stop;
};

/* Set while this thread runs a task: a nested region runs serially. */
static _Thread_local bool inside_region;

static void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Claims and runs tasks of region `generation`, the last index first, until none is left. */
static void work(tw_pool *pool, uint32_t generation) {
    for (;;) {
        uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
        do {
            if ((uint32_t)(ticket >> 32) != generation || (uint32_t)ticket == 0) return;
        } while (!atomic_compare_exchange_weak_explicit(
            &pool->ticket, &ticket, ticket - 1, memory_order_acq_rel, memory_order_acquire));
        pool->task(pool->arg, (int)((uint32_t)ticket - 1));
        if (atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_broadcast(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void *worker_main(void *p) {
    tw_pool *pool = p;
    uint32_t seen = 0;
    inside_region = true;
    for (;;) {
        uint64_t deadline = tw_now_ns() + SPIN_NS;
        while (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen &&
               tw_now_ns() < deadline)
            cpu_relax();
        pthread_mutex_lock(&pool->lock);
        while (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen && !pool->stop)
            pthread_cond_wait(&pool->wake, &pool->lock);
        seen = atomic_load_explicit(&pool->generation, memory_order_acquire);
        bool stop = pool->stop;
        pthread_mutex_unlock(&pool->lock);
        if (stop) return NULL;
        work(pool, seen);
    }
}

static void wait_finished(tw_pool *pool) {
    uint64_t deadline = tw_now_ns() + SPIN_NS;
    while (atomic_load_explicit(&pool->pending, memory_order_acquire) > 0 && tw_now_ns() < deadline)
        cpu_relax();
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->pending, memory_order_acquire) > 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* A caller's thread must know that it is inside a region, too. */
typedef struct wrapped_task {
    void (*task)(void *arg, int index);
    void *arg;
} wrapped_task;

static void run_wrapped(void *p, int index) {
    const wrapped_task *w = p;
    bool outer = inside_region;
    inside_region = true;
    w->task(w->arg, index);
    inside_region = outer;
}

void tw_pool_run(tw_pool *pool, void (*task)(void *arg, int index), void *arg, int n_tasks) {
    if (n_tasks <= 0) return;
    if (!pool || inside_region || n_tasks == 1 || (!pool->ops.run && pool->n_workers == 0)) {
        for (int i = 0; i < n_tasks; i++)
            task(arg, i);
        return;
    }
    pthread_mutex_lock(&pool->region_lock);
    if (pool->ops.run) {
        wrapped_task w = {task, arg};
        pool->ops.run(pool->ops.user, run_wrapped, &w, n_tasks);
        pthread_mutex_unlock(&pool->region_lock);
        return;
    }
    /* All fields are published under the lock together with the new generation; a worker reads
     * them only after it has seen that generation there. */
    pthread_mutex_lock(&pool->lock);
    uint32_t generation = atomic_load_explicit(&pool->generation, memory_order_relaxed) + 1;
    pool->task = task;
    pool->arg = arg;
    atomic_store_explicit(&pool->pending, n_tasks, memory_order_relaxed);
    atomic_store_explicit(&pool->ticket, (uint64_t)generation << 32 | (uint32_t)n_tasks,
                          memory_order_release);
    atomic_store_explicit(&pool->generation, generation, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    inside_region = true;
    work(pool, generation);
    inside_region = false;
    wait_finished(pool);
    pthread_mutex_unlock(&pool->region_lock);
}

/* The CPUs a cgroup's quota amounts to, rounded up; 0 when there is none. */
static int cgroup_cpus(void) {
    char line[128];
    long long quota = -1, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (f) {
        if (fgets(line, sizeof line, f) && sscanf(line, "%lld %lld", &quota, &period) != 2)
            quota = -1;
        fclose(f);
    } else {
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        if (f) {
            if (fscanf(f, "%lld", &quota) != 1) quota = -1;
            fclose(f);
        }
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (f) {
            if (fscanf(f, "%lld", &period) != 1) period = 0;
            fclose(f);
        }
    }
    if (quota <= 0 || period <= 0) return 0;
    long long n = (quota + period - 1) / period;
    return n > MAX_THREADS ? MAX_THREADS : (int)n;
}

int tw_cpu_count(void) {
    cpu_set_t set;
    int n = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    int limit = cgroup_cpus();
    if (limit > 0 && limit < n) n = limit;
    if (n > MAX_THREADS) n = MAX_THREADS;
    return n < 1 ? 1 : n;
}

static tw_pool *new_pool(void) {
    tw_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->region_lock, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    return pool;
}

tw_status tw_pool_create(int n_threads, tw_pool **out, tw_error *err) {
    *out = NULL;
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return tw_fail(err, TW_ERR_ARGUMENT, "threads: %d, expected 0 to %d", n_threads,
                       MAX_THREADS);
    if (n_threads == 0) n_threads = tw_cpu_count();
    tw_pool *pool = new_pool();
    if (!pool) return tw_fail_no_memory(err, sizeof *pool);
    pool->n_threads = n_threads;
    pool->workers = calloc((size_t)n_threads, sizeof *pool->workers);
    if (!pool->workers) {
        tw_pool_free(pool);
        return tw_fail_no_memory(err, (size_t)n_threads * sizeof *pool->workers);
    }
    for (int i = 0; i < n_threads - 1; i++) {
        int e = pthread_create(&pool->workers[i], NULL, worker_main, pool);
        if (e) {
            tw_pool_free(pool);
            return tw_fail_errno(err, e, "thread %d of %d", i + 2, n_threads);
        }
        pool->n_workers++;
    }
    *out = pool;
    return TW_OK;
}

tw_status tw_pool_wrap(const tw_pool_ops *ops, tw_pool **out, tw_error *err) {
    *out = NULL;
    if (!ops || ops->struct_size < sizeof *ops || !ops->run || ops->n_threads < 1 ||
        ops->n_threads > MAX_THREADS)
        return tw_fail(err, TW_ERR_ARGUMENT, "pool: needs struct_size, run and 1 to %d threads",
                       MAX_THREADS);
    tw_pool *pool = new_pool();
    if (!pool) return tw_fail_no_memory(err, sizeof *pool);
    pool->ops = *ops;
    pool->n_threads = ops->n_threads;
    *out = pool;
    return TW_OK;
}

int tw_pool_threads(const tw_pool *pool) {
    return pool ? pool->n_threads : 1;
}

void tw_pool_free(tw_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_workers; i++)
        pthread_join(pool->workers[i], NULL);
    free(pool->workers);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->finished);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->region_lock);
    free(pool);
}
