/* The internal side of the pool: running a parallel region. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "tuwen/base.h"

/* Calls task(arg, i) once for each i in [0, n_tasks), spread over the pool's threads; returns when
 * all are done. Called from inside a task it runs serially. `pool` NULL runs serially. */
void tw_pool_run(tw_pool *pool, void (*task)(void *arg, int index), void *arg, int n_tasks);

#endif
