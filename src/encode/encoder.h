/* The encoder's inside, for the files of this layer. */
#ifndef ENCODE_ENCODER_H
#define ENCODE_ENCODER_H

#include "backend/submit.h"
#include "tuwen/encode.h"

struct tw_encoder {
    const tw_model *model;
    tw_pool *pool;
    const tw_backend *backend;
    tw_backend_state *state;
    tw_flight flight;
    tw_capabilities can;
    int32_t batch;
    tw_hooks hooks; /* zeros when none were given */
    tw_used used;
    char description[sizeof(tw_used)];
};

/* NaN in every value: the mark of a row that could not be computed. */
void tw_fill_nan(float *row, size_t n);

#endif
