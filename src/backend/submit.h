/* Work of a backend, submitted and waited for. A runtime that computes beside the calling thread
 * (tw_capabilities.beside) does so on a thread kept for its blocking calls; one that computes with
 * the caller's pool is done when submitting returns. Written once here, so that a backend has only
 * its blocking calls. */
#ifndef BACKEND_SUBMIT_H
#define BACKEND_SUBMIT_H

#include "backend/backend.h"

struct tw_runner;

/* Pixels of any number of pictures, or token rows as of encode_tokens. All is borrowed until waited
 * for. */
typedef struct tw_work {
    const float *pixels; /* f32 [n, 3, R, R]; NULL: `rows` */
    size_t n;
    const tw_token_rows *rows;
    float *features; /* out */
} tw_work;

/* What is in flight of one state: at most one piece of work. Zeroed: nothing. */
typedef struct tw_flight {
    const tw_backend *backend;
    tw_backend_state *state;
    size_t max_batch; /* pictures at once */
    size_t picture, dim;
    struct tw_runner *runner; /* NULL: computes while submitting */
    tw_work work;
    tw_status status;
    tw_error error;
} tw_flight;

/* For pictures of `picture` floats and features of `dim`. Errors: TW_ERR_NO_MEMORY. */
tw_status tw_flight_open(const tw_backend *backend, tw_backend_state *state, size_t max_batch,
                         size_t picture, size_t dim, tw_flight *out, tw_error *err);
/* Waits for what is in flight; its result is lost. */
void tw_flight_close(tw_flight *flight);

/* What was submitted before has been waited for. */
void tw_submit(tw_flight *flight, const tw_work *work);
/* The features are there, or the error of the backend's call. */
tw_status tw_wait(tw_flight *flight, tw_error *err);

#endif
