#include "backend/submit.h"

#include "base/runner.h"

tw_status tw_flight_open(const tw_backend *backend, tw_backend_state *state, tw_flight *out,
                         tw_error *err) {
    tw_capabilities can = TW_CAPABILITIES_INIT;
    *out = (tw_flight){.backend = backend, .state = state};
    backend->capabilities(state, &can);
    return can.beside ? tw_runner_create(&out->runner, err) : TW_OK;
}

void tw_flight_close(tw_flight *flight) {
    tw_runner_free(flight->runner);
    *flight = (tw_flight){0};
}

static void compute(void *arg) {
    tw_flight *f = arg;
    const tw_work *w = &f->work;
    f->error = (tw_error)TW_ERROR_INIT;
    f->status = w->pixels
                    ? f->backend->encode_pixels(f->state, w->pixels, w->n, w->features, &f->error)
                    : f->backend->encode_tokens(f->state, w->rows, w->features, &f->error);
}

void tw_submit(tw_flight *f, const tw_work *work) {
    f->work = *work;
    if (f->runner)
        tw_runner_start(f->runner, compute, f);
    else
        compute(f);
}

tw_status tw_wait(tw_flight *f, tw_error *err) {
    if (f->runner) tw_runner_wait(f->runner);
    if (f->status != TW_OK && err) *err = f->error;
    return f->status;
}
