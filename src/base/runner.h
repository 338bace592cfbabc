/* One call at a time on a thread of its own: started, waited for. What a blocking call of another
 * runtime needs to go on beside ours. */
#ifndef BASE_RUNNER_H
#define BASE_RUNNER_H

#include "tuwen/base.h"

typedef struct tw_runner tw_runner;

/* Errors: TW_ERR_NO_MEMORY (also when no thread can be had). */
tw_status tw_runner_create(tw_runner **out, tw_error *err);
/* Waits for what was started. NULL is permitted. */
void tw_runner_free(tw_runner *runner);

/* Begins call(arg); what was started before has been waited for. */
void tw_runner_start(tw_runner *runner, void (*call)(void *arg), void *arg);
/* Returns when the call has; at once when nothing was started. */
void tw_runner_wait(tw_runner *runner);

#endif
