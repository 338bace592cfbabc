/* Smoothing of int8 products: see smooth.c. */
#ifndef BACKEND_CPU_SMOOTH_H
#define BACKEND_CPU_SMOOTH_H

#include "backend/cpu/cpu.h"

/* Looks over weight [n, k]: raises columns [k] to the largest magnitudes of its columns, and, where
 * sizes [n] is not NULL, sets it to the sizes its outputs have for an A that `norm` made. */
tw_status tw_survey(tw_pool *pool, const tw_tensor *weight, const float *bias, const tw_norm *norm,
                    float *columns, float *sizes, tw_error *err);

/* The sizes of a LayerNorm's k outputs. */
void tw_norm_sizes(const tw_norm *norm, size_t k, float *sizes);

/* m [k] from the sizes of W's columns and of A's; whether any column stands out. */
bool tw_smooth(const float *columns, const float *sizes, size_t k, float *m);

#endif
