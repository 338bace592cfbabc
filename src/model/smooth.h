/* Smoothing of int8 products: see smooth.c. */
#ifndef MODEL_SMOOTH_H
#define MODEL_SMOOTH_H

#include "base/pool.h"
#include "model/model.h"

/* The products of a block whose A has factors; q, k and v read the same A. */
typedef enum tw_smooth_group { TW_SMOOTH_QKV, TW_SMOOTH_OUT, TW_SMOOTH_FC1 } tw_smooth_group;
enum { TW_SMOOTH_GROUPS = 3 };

/* What columns of A are multiplied by and those of W divided by, [W] for each group. */
typedef struct tw_block_smooth {
    float *m[TW_SMOOTH_GROUPS]; /* NULL: no column stands out */
    float *storage;
} tw_block_smooth;

/* Finds the factors of a block whose attention and MLP read what these norms made. */
tw_status tw_block_smooth_find(tw_pool *pool, const tw_block_weights *block,
                               const tw_norm_weights *attention, const tw_norm_weights *mlp,
                               tw_block_smooth *out, tw_error *err);
void tw_block_smooth_free(tw_block_smooth *smooth);

/* Block i's norms: `before` is the LayerNorm in front of post-norm blocks, NULL: they are pre-norm.
 */
void tw_block_norms(const tw_block_weights *blocks, int32_t i, const tw_norm_weights *before,
                    const tw_norm_weights **attention, const tw_norm_weights **mlp);

/* Rows [n, k] times 1 / m, column by column; a column with m = 0 is all 0. */
void tw_smooth_divide(const float *m, size_t n, size_t k, float *rows);

#endif
