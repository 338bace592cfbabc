/* From tensors of the model file to memory that the weights own. */
#ifndef BACKEND_CPU_PACKING_H
#define BACKEND_CPU_PACKING_H

#include "backend/cpu/cpu.h"

typedef struct tw_loader {
    tw_weights *weights;
    tw_pool *pool;
    const tw_kernels *kernels;
    const tw_narrow *blocks; /* what matrices of transformer blocks are packed for; NULL: f32 */
    const tw_narrow *stored; /* the same of those that are int8 in the file */
    const tw_narrow *resnet; /* the same of a ResNet behind its stem */
    tw_error *err;
} tw_loader;

/* Memory that the weights own. */
tw_status tw_own(tw_loader *l, size_t n_floats, float **out);

/* A small tensor as f32, or NULL for an absent one. */
tw_status tw_load_floats(tw_loader *l, const tw_tensor *t, float **out);

/* Room for a packed matrix [n, k], in floats. */
size_t tw_packed_floats(const tw_kernels *k, const tw_narrow *narrow, size_t n, size_t columns);

/* Memory for the packed matrix `to`, whose n, k and narrow are set. */
tw_status tw_own_packed(tw_loader *l, tw_matrix *to);

/* Rewrites [begin, begin + n) rows of a matrix before packing (batch norm, smoothing). */
typedef void (*tw_row_filter)(const void *context, size_t begin, size_t n, size_t k, float *rows);

/* Packs `weight`, viewed as [n, k] of `to`, to its memory, and gives its file pages back. */
tw_status tw_pack(tw_loader *l, const tw_tensor *weight, tw_row_filter filter, const void *context,
                  const tw_matrix *to);

/* The same of int8 with its scales, packed as it is. */
tw_status tw_pack_int8(tw_loader *l, const tw_tensor *weight, const tw_matrix *to);

/* A matrix of its own with its bias, packed for `narrow`. */
tw_status tw_load_linear(tw_loader *l, const tw_narrow *narrow, const tw_linear_weights *from,
                         tw_matrix *to);

/* A matrix for each of n_heads from `weight` [n_heads * d, k]: [d, k], or transposed, [k, d]. */
tw_status tw_load_heads(tw_loader *l, const tw_narrow *narrow, const tw_tensor *weight,
                        size_t n_heads, bool transposed, tw_matrix **out);

/* The matrices of F(2x2, 3x3), from filters w [O, 9, I]. */
tw_status tw_conv3_points(tw_loader *l, const float *w, tw_conv *to);

#endif
