/* The model behind tw_model: architecture, recipe, tokenizer and checked weight views into the
 * mapped file. Shapes stand beside the fields: W width, M MLP width, E embedding, R resolution. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/file.h"
#include "tensor/tensor.h"
#include "tuwen/model.h"

typedef struct tw_norm_weights {
    tw_tensor gamma, beta; /* [d] */
} tw_norm_weights;

typedef struct tw_linear_weights {
    tw_tensor weight; /* [out, in]; int8 with its scales where stored so */
    tw_tensor bias;   /* [out]; data NULL when there is none */
} tw_linear_weights;

/* A transformer block. In a ViT ln1 stands before attention and ln2 before the MLP; in BERT ln1
 * after attention and ln2 after the MLP. */
typedef struct tw_block_weights {
    tw_norm_weights ln1, ln2;       /* [W] */
    tw_linear_weights q, k, v, out; /* [W, W] */
    tw_linear_weights fc1;          /* [M, W] */
    tw_linear_weights fc2;          /* [W, M] */
} tw_block_weights;

typedef struct tw_conv_bn_weights {
    tw_tensor weight;                 /* [O, I, kh, kw], no bias */
    tw_tensor gamma, beta, mean, var; /* [O], batch norm, eps = config.norm_eps */
} tw_conv_bn_weights;

typedef struct tw_bottleneck_weights {
    tw_conv_bn_weights conv1, conv2, conv3;
    tw_conv_bn_weights down; /* weight.data NULL when the block has no downsample branch */
    int stride;              /* 1 or 2: average pooling after conv2 and before down */
} tw_bottleneck_weights;

typedef struct tw_vision_weights {
    /* ViT */
    tw_tensor patch;     /* [W, 3, p, p] */
    tw_tensor class_row; /* [W] */
    tw_tensor position;  /* ViT: [g*g + 1, W]; ResNet: attention pool [g*g + 1, 32w] */
    tw_norm_weights pre, post;
    tw_block_weights *blocks; /* [n_layers] */
    tw_tensor projection;     /* [E, W]; data NULL when there is none */
    /* ModifiedResNet */
    tw_conv_bn_weights stem[3];
    tw_bottleneck_weights *bottlenecks;       /* stages in order, sum(stages) of them */
    tw_linear_weights pool_q, pool_k, pool_v; /* [32w, 32w] */
    tw_linear_weights pool_out;               /* [E, 32w] */
} tw_vision_weights;

typedef struct tw_text_weights {
    tw_tensor token;    /* [vocab, W] */
    tw_tensor position; /* [n_positions, W] */
    tw_tensor type;     /* BERT: [n_token_types, W]; row 0 is added to every token */
    tw_norm_weights embed_norm; /* BERT */
    tw_norm_weights final_norm; /* CLIP */
    tw_block_weights *blocks; /* [n_layers] */
    tw_tensor projection;     /* [E, W] */
} tw_text_weights;

struct tw_gguf;

struct tw_model {
    char *path;
    tw_mapped_file file;
    size_t file_bytes;
    struct tw_gguf *gguf;
    tw_arch arch;
    tw_recipe recipe;
    tw_tokenizer *tokenizer;
    float logit_scale;
    tw_provenance provenance; /* strings in provenance_text */
    char *provenance_text;
    tw_vision_weights vision;
    tw_text_weights text;
    bool int8; /* some matrices of blocks are int8 */
    tw_int8_quality quality; /* struct_size 0: not recorded; strings in quality_text */
    char *quality_text;
};

/* The same as tw_model_open() on bytes in memory, which must outlive the model (tests, fuzzing). */
tw_status tw_model_parse(const void *data, size_t n_bytes, tw_model **out, tw_error *err);

#endif
