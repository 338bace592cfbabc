#include "backend/submit.h"

#include "base/runner.h"
#include "base/size.h"
#include "base/status.h"

tw_status tw_flight_open(const tw_backend *backend, tw_backend_state *state, size_t max_batch,
                         size_t picture, size_t dim, tw_flight *out, tw_error *err) {
    tw_capabilities can = TW_CAPABILITIES_INIT;
    *out = (tw_flight){
        .backend = backend, .state = state, .max_batch = max_batch, .picture = picture, .dim = dim};
    backend->capabilities(state, &can);
    return can.beside ? tw_runner_create(&out->runner, err) : TW_OK;
}

void tw_flight_close(tw_flight *flight) {
    tw_runner_free(flight->runner);
    *flight = (tw_flight){0};
}

static tw_status compute_pixels(tw_flight *f) {
    const tw_work *w = &f->work;
    for (size_t i = 0; i < w->n; i += f->max_batch)
        TW_TRY(f->backend->encode_pixels(f->state, w->pixels + i * f->picture,
                                         TW_MIN(w->n - i, f->max_batch), w->features + i * f->dim,
                                         &f->error));
    return TW_OK;
}

static void compute(void *arg) {
    tw_flight *f = arg;
    f->error = (tw_error)TW_ERROR_INIT;
    f->status = f->work.pixels ? compute_pixels(f)
                               : f->backend->encode_tokens(f->state, f->work.rows, f->work.features,
                                                           &f->error);
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
