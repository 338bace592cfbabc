/* Values between our f32 and what a compiled tower takes and gives. */
#ifndef BACKEND_SOPHON_ROWS_H
#define BACKEND_SOPHON_ROWS_H

#include "backend/backend.h"
#include "backend/sophon/bmodel.h"

/* n values into an input of BM_F32, BM_F16 or BM_I8. */
void tw_bm_put_values(const tw_bmodel_end *in, const float *values, size_t n, void *out);
/* n values of an output. */
void tw_bm_get_values(const tw_bmodel_end *out, const void *from, size_t n, float *values);

/* The text tower's projection, where the compiled graph ends before it. */
typedef struct tw_bm_projection {
    float *matrix; /* [W, E]; NULL: the graph projects */
    size_t width, dim;
    bool from_file;
} tw_bm_projection;

/* Of the array at `path` [W, E] if there is such a file, else of the model. */
tw_status tw_bm_projection_open(const char *path, const tw_model *model, size_t width,
                                tw_bm_projection *out, tw_error *err);
void tw_bm_projection_close(tw_bm_projection *projection);
/* row f32 [W] -> feature f32 [E] */
void tw_bm_project(const tw_bm_projection *projection, const float *row, float *feature);

#endif
