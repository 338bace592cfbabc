/* The native backend: packed weights, scratch memory, and the towers on top of the kernel table. */
#ifndef BACKEND_CPU_CPU_H
#define BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "kernels/kernels.h"

#include <stdatomic.h>

/* A matrix [n, k] packed for the kernels in use, with its bias. */
typedef struct tw_matrix {
    const tw_narrow *narrow; /* what B is packed for, or NULL: f32 */
    void *packed;            /* ceil(n/nr) panels */
    const float *smooth;     /* [k] or NULL: what columns of A are multiplied by, model/smooth.c */
    float *bias;             /* [n] or NULL */
    size_t n, k;
} tw_matrix;

typedef struct tw_norm {
    float *gamma, *beta; /* [d] */
} tw_norm;

/* A transformer block, width W, MLP width M. The q, k and v matrices lie back to back: when W is a
 * multiple of nr they are one packed [3W, W] matrix, and one product computes all three. */
typedef struct tw_block {
    tw_norm ln1, ln2;
    tw_matrix q, k, v; /* [W, W] each */
    tw_matrix out;     /* [W, W] */
    tw_matrix fc1;     /* [M, W] */
    tw_matrix fc2;     /* [W, M] */
} tw_block;

/* A convolution with batch norm folded in: [O, kh*kw*I], columns in (ky, kx, channel) order. */
typedef struct tw_conv {
    tw_matrix matrix;
    int kernel;    /* 1 or 3; padding kernel / 2 */
    float *points; /* F(2x2, 3x3): 16 packed matrices [O, I] in place of `matrix`; or NULL */
} tw_conv;

typedef struct tw_bottleneck {
    tw_conv conv1, conv2, conv3, down;
    bool has_down;
    int stride;
} tw_bottleneck;

typedef struct tw_vit {
    tw_matrix patch;  /* [W, 3*p*p], columns in (channel, y, x) order */
    float *class_row; /* [W], position row 0 already added */
    float *position;  /* [g*g, W], of the patches */
    tw_norm pre, post;
    tw_block *blocks;     /* [n_layers] */
    tw_matrix projection; /* [E, W] */
} tw_vit;

typedef struct tw_resnet {
    tw_conv stem[3];
    tw_bottleneck *blocks;
    size_t n_blocks;
    float *position;  /* [g*g + 1, 32w] */
    tw_matrix q, out; /* attention pool */
    tw_matrix *k, *v; /* [n_heads]: k transposed, [32w, d], without its bias; v [d, 32w] */
} tw_resnet;

typedef struct tw_bert {
    float *position; /* [n_positions, W], token type row 0 not included */
    float *type;     /* [W], row 0 */
    tw_norm embed_norm;
    tw_block *blocks;     /* [n_layers] */
    tw_matrix projection; /* [E, W] */
} tw_bert;

typedef struct tw_clip_text {
    float *position;  /* [n_positions, W] */
    tw_block *blocks; /* [n_layers] */
    tw_norm final;
    tw_matrix projection; /* [E, W] */
} tw_clip_text;

/* What clones share. Every allocation is remembered in `owned`. */
typedef struct tw_weights {
    atomic_int n_users;
    tw_vit vit;
    tw_resnet resnet;
    tw_bert bert;
    tw_clip_text clip_text;
    bool has_vision, has_text;
    const tw_narrow *narrow; /* of the matrices that are not f32; NULL: all are */
    size_t n_products;       /* groups of matrices of transformer blocks that read the same A */
    size_t n_narrow;         /* of these, not f32 */
    size_t n_widened;        /* of these, int8 in the file and something else here */
    void **owned;
    size_t n_owned, capacity_owned;
} tw_weights;

/* Scratch of one state, carved from one allocation. */
typedef struct tw_scratch {
    float *memory;
    size_t n_floats;
    size_t used;
} tw_scratch;

typedef struct tw_lanes tw_lanes;

struct tw_backend_state {
    const tw_model *model;
    tw_pool *pool;
    const tw_kernels *kernels;
    tw_weights *weights;
    int32_t max_batch;
    tw_scratch scratch;
    tw_scratch maps; /* of a ResNet, behind layer 3 */
    tw_lanes *lanes; /* NULL until the first batch for them */
    tw_hooks hooks;
    tw_observer observer;
    void *observer_user;
    const char *dump_folder; /* TUWEN_DUMP */
    bool trace;              /* TUWEN_TRACE */
    uint64_t trace_ns;       /* when the last stage was seen */
};

/* ----------------------------------------------------------------------------------- cpu.c */
/* The backend's open() on a table of the caller's choice: tests run every one. */
tw_status tw_cpu_open(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                      const tw_kernels *kernels, tw_backend_state **out, tw_error *err);

/* --------------------------------------------------------------------------------- lanes.c */
/* Computes pictures [first, first + n) over all threads of s, every layer of all of them at once.
 */
typedef tw_status (*tw_lane_work)(tw_backend_state *s, void *arg, size_t first, size_t n,
                                  tw_error *err);
/* Calls `work` for n pictures: for a few at a time on each thread, for the rest with s itself. */
tw_status tw_run_lanes(tw_backend_state *s, size_t n, tw_lane_work work, void *arg, tw_error *err);
void tw_lanes_free(tw_lanes *lanes);

/* ------------------------------------------------------------------------------- weights.c */
tw_status tw_weights_load(const tw_model *model, tw_pool *pool, const tw_kernels *kernels,
                          const tw_backend_options *options, tw_weights **out, tw_error *err);
void tw_weights_release(tw_weights *weights);

/* ----------------------------------------------------------------------------------- run.c */
/* Makes room for `n_floats` (grows, never shrinks) and forgets what was carved. */
tw_status tw_scratch_grow(tw_scratch *scratch, size_t n_floats, tw_error *err);
/* The same of s->scratch. */
tw_status tw_scratch_reset(tw_backend_state *s, size_t n_floats, tw_error *err);
/* Carves n floats at a 64-byte boundary; the total was asked for by tw_scratch_reset(). */
float *tw_scratch_take(tw_backend_state *s, size_t n);
/* The room a carve of n floats takes. */
static inline size_t tw_scratch_room(size_t n) {
    return (n + 15) / 16 * 16;
}

/* C = act(A W^T + bias) + residual over all threads; `relu` last. */
typedef struct tw_product {
    const float *a;
    size_t lda, m;
    const tw_matrix *w;
    tw_act act;
    const float *residual; /* rows ldr apart; NULL for none; may be c */
    size_t ldr;
    float *c;
    size_t ldc;
    bool relu;
    float *quantized; /* tw_quantized_room(s, m, k) floats; unused where w is f32 */
} tw_product;
void tw_run_product(tw_backend_state *s, const tw_product *p);

/* Rows of x [rows, k] as a narrow product reads them, times `smooth` [k] where that is not NULL. */
void tw_run_quantize(tw_backend_state *s, const tw_narrow *narrow, const float *x, size_t ldx,
                     const float *smooth, size_t rows, size_t k, float *out);

/* Room for A [m, k] quantised, in floats; 0 where all is computed in f32. */
size_t tw_quantized_room(const tw_backend_state *s, size_t m, size_t k);

void tw_run_layer_norm(tw_backend_state *s, const float *x, size_t ldx, const tw_norm *norm,
                       float eps, size_t n, size_t d, float *out, size_t ldo);

/* ------------------------------------------------------------------------------- observe.c */
/* Whether anybody watches: the observer, TUWEN_DUMP or TUWEN_TRACE. */
bool tw_observed(const tw_backend_state *s);
/* Shows a stage to those who watch. */
void tw_observe(tw_backend_state *s, const char *stage, const float *x, size_t n_rows,
                size_t n_columns, size_t ld);
/* Reads TUWEN_DUMP and TUWEN_TRACE. */
void tw_observe_by_environment(tw_backend_state *s);

/* --------------------------------------------------------------------------------- block.c */
/* The rows of a batch of sequences, back to back; sequence i is rows offset[i]..offset[i+1]. */
typedef struct tw_sequences {
    const size_t *offset; /* [n + 1] */
    size_t n;
    size_t n_rows, longest;
    bool last_wanted; /* the last row of each sequence is what is wanted of it; else its first */
} tw_sequences;

typedef struct tw_transformer {
    const char *stage; /* observer's name of block i is "STAGE.i" */
    const tw_block *blocks;
    int n_layers;
    size_t width, mlp_width, n_heads;
    tw_act act;
    float eps;
    bool post_norm; /* BERT: LayerNorm after the residual sum */
    bool causal;    /* a row sees itself and the rows before it; needs last_wanted */
} tw_transformer;

/* Floats of scratch that tw_run_transformer() carves. */
size_t tw_transformer_scratch(const tw_backend_state *s, const tw_transformer *t,
                              const tw_sequences *seq);

/* x [n_rows, W] through all blocks. Only one row of each sequence is wanted: wanted_rows [n, W].
 * The last block therefore computes queries, output and MLP for those rows only, which changes
 * nothing in them: rows meet only as keys and values. */
void tw_run_transformer(tw_backend_state *s, const tw_transformer *t, const tw_sequences *seq,
                        float *x, float *wanted_rows);

/* One attention of n_q = 1 or all rows: used by the blocks and the attention pool. Sequence i has
 * queries q_rows(i).. and keys/values at rows offset[i].. */
typedef struct tw_attention {
    const float *q, *k, *v;
    size_t ldq, ldk, ldv;
    float *out;
    size_t ldo;
    size_t n_heads, head_width;
    bool one_query; /* query and output row i belong to sequence i; else rows as the keys */
    bool causal;    /* a query sees the keys up to its own row; not with one_query */
    bool narrow;    /* products in bf16 where the kernels have such, else in f32 */
    const tw_sequences *seq;
    float *scratch; /* tw_attention_scratch() floats */
} tw_attention;
size_t tw_attention_scratch(const tw_backend_state *s, const tw_sequences *seq, size_t n_heads,
                            size_t head_width);
void tw_run_attention(tw_backend_state *s, const tw_attention *a);

/* -------------------------------------------------------------------------------- tokens.c */
/* Embeds all token rows into x [n_tokens, W]: word + position (+ type [W], may be NULL). */
void tw_embed_tokens(tw_backend_state *s, const tw_token_rows *rows, const float *position,
                     const float *type, float *x);
size_t tw_longest_row(const tw_token_rows *rows);

/* --------------------------------------------------------------------------------- conv3.c */
/* A batch of feature maps, f32 [n, h, w, c]. */
typedef struct tw_map {
    float *x;
    size_t n, h, w, c;
} tw_map;

/* Floats of scratch that tw_conv3() needs a thread. */
size_t tw_conv3_room(const tw_conv *conv);
/* relu(bn(conv3x3(in))), padding 1. `planar`: in is NCHW. `quantized`: tw_quantized_room() of in.
 */
void tw_conv3(tw_backend_state *s, const tw_conv *conv, const tw_map *in, bool planar,
              size_t stride, float *scratch, float *quantized, tw_map *out);

/* ------------------------------------------------------------------------ attention_pool.c */
/* Floats of scratch that tw_attention_pool() carves for n maps. */
size_t tw_attention_pool_scratch(const tw_backend_state *s, size_t n);
/* The last maps of n pictures [n, R/32, R/32, 32w] into features [n, E]. */
void tw_attention_pool(tw_backend_state *s, const float *maps, size_t n, float *features);

/* ---------------------------------------------- vit.c, resnet.c, bert.c, clip_text.c */
tw_status tw_vit_encode(tw_backend_state *s, const float *pixels, size_t n, float *features,
                        tw_error *err);
tw_status tw_resnet_encode(tw_backend_state *s, const float *pixels, size_t n, float *features,
                           tw_error *err);
tw_status tw_bert_encode(tw_backend_state *s, const tw_token_rows *rows, float *features,
                         tw_error *err);
tw_status tw_clip_text_encode(tw_backend_state *s, const tw_token_rows *rows, float *features,
                              tw_error *err);

#endif
