/* tuwen/model.h – checkpoints into model files, and model files into models. */
#ifndef TUWEN_MODEL_H
#define TUWEN_MODEL_H

#include "tuwen/base.h"
#include "tuwen/image.h"
#include "tuwen/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------ architecture */

typedef enum tw_vision_kind { TW_VISION_NONE = 0, TW_VISION_VIT = 1, TW_VISION_RESNET = 2 } tw_vision_kind;
typedef enum tw_text_kind {
    TW_TEXT_NONE = 0,
    TW_TEXT_BERT = 1,
    TW_TEXT_CLIP = 2 /* OpenAI's causal transformer */
} tw_text_kind;
typedef enum tw_activation { TW_ACT_NONE = 0, TW_QUICK_GELU = 1, TW_GELU_ERF = 2, TW_RELU = 3 } tw_activation;

TW_API const char *tw_activation_name(tw_activation v); /* "quick_gelu", "gelu", "relu" */

/* The image tower. `width` is W of a ViT, the base width w (64 for RN50) of a ModifiedResNet. */
typedef struct tw_vision_config {
    tw_vision_kind kind;
    int32_t image_size; /* R */
    int32_t patch_size; /* ViT only */
    int32_t width;
    int32_t n_layers;  /* ViT blocks */
    int32_t stages[4]; /* bottlenecks a stage, ResNet only */
    int32_t head_width;
    int32_t n_heads;   /* of a ViT block, or of the attention pool */
    int32_t mlp_width; /* ViT only */
    tw_activation activation;
    float norm_eps;
} tw_vision_config;

/* The text tower. */
typedef struct tw_text_config {
    tw_text_kind kind;
    int32_t vocab_size;
    int32_t width;
    int32_t n_layers;
    int32_t n_heads;
    int32_t mlp_width;
    int32_t n_positions;    /* rows of the position table; the longest sequence */
    int32_t n_token_types;  /* BERT only */
    int32_t context_length; /* default length of a tokenized text */
    tw_activation activation;
    float norm_eps;
} tw_text_config;

typedef struct tw_arch {
    size_t struct_size;
    char name[64]; /* "ViT-B-16@RoBERTa-wwm-ext-base-chinese" when it is a released one, else made up */
    int32_t embed_dim; /* E, both towers */
    tw_vision_config vision;
    tw_text_config text;
} tw_arch;

/* Floating-point operations of one picture, and of a text of n_tokens: two for each multiply-add of
 * the products, convolutions and attention of the whole tower as published; 0 when there is none. */
TW_API double tw_arch_image_flop(const tw_arch *arch);
TW_API double tw_arch_text_flop(const tw_arch *arch, int32_t n_tokens);

/* ---------------------------------------------------------------------------------- convert */

/* How the position table of a ViT is resized for another resolution: as Chinese-CLIP's, open_clip's
 * or transformers' code does it. The three differ by far more than rounding. */
typedef enum tw_pos_embed {
    TW_POS_EMBED_NONE = 0,
    TW_POS_EMBED_CHINESE_CLIP = 1,
    TW_POS_EMBED_OPEN_CLIP = 2,
    TW_POS_EMBED_HUGGING_FACE = 3
} tw_pos_embed;

TW_API const char *tw_pos_embed_name(tw_pos_embed v); /* "chinese-clip", …; "none" */

/* How near the features of an int8 model are to those of the checkpoint, as somebody measured it for
 * the file to say. Pairs of cosines are mean and least, over pictures or texts that were not
 * normalised; a pair that was not measured is two NaN. */
typedef struct tw_int8_quality {
    size_t struct_size;
    const char *calibration; /* what it was measured on: "built-in", or the name of a set */
    int32_t n_images, n_texts;
    float image_cosine[2], text_cosine[2];
    float required[2];  /* of both towers: mean and least cosine */
    float recall_t2i[2]; /* R@1 in percent, of text-to-image retrieval: f32's, int8's */
    float recall_i2t[2]; /* and the other way round */
    const char *kept;   /* what was left f16 to get there: "v.blk.3,t.token_embd"; "" = nothing */
    bool forced;        /* `required` was not reached, or too many right answers were lost */
    float top1[2];      /* zero-shot top-1 in percent: f32's, int8's */
    int32_t n_labels;   /* among which; 0: not measured */
} tw_int8_quality;

#define TW_INT8_QUALITY_INIT {sizeof(tw_int8_quality), 0, 0, 0, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, 0, false, {0, 0}, 0}

/* Everything a checkpoint may leave open. All zero: recognise from names and shapes. */
typedef struct tw_convert_options {
    size_t struct_size;
    const char *arch;          /* a released name ("ViT-B-16", "RN50", "ViT-B-16@RBT3-chinese"), or
                                  "VISION.json,TEXT.json" in Chinese-CLIP's config format */
    const char *vision_config; /* path of a vision JSON; wins over `arch` */
    const char *text_config;   /* path of a text JSON */
    int32_t vision_head_width; /* settles --head-width where shapes cannot; 0 = by table */
    int32_t text_head_width;
    tw_activation activation;  /* of the image tower, in CLIP models of both; TW_ACT_NONE = by
                                  family or configuration */
    const char *vocab;         /* path of a vocab.txt, of the merges of byte pairs, or of a
                                  tokenizer.json that has either; NULL = what stands beside Hugging
                                  Face's weights, else Chinese-CLIP's or OpenAI's, built in, when
                                  its size is the text tower's */
    const tw_recipe *recipe;   /* NULL = the checkpoint's own; size 0 = the model's resolution */
    int precision;             /* -1 = each tensor as stored, else TW_F32, TW_F16, TW_BF16, or TW_I8:
                                  matrices of blocks and the token table int8, other matrices f16.
                                  What that costs is not looked at here: the command measures it */
    bool vision_only, text_only;
    int32_t context_length;    /* 0 = 52; in CLIP models all positions */
    const char *source_sha256; /* hex digest of the checkpoint, recorded as provenance; may be NULL */
    const tw_hooks *hooks;     /* may be NULL */
    int32_t resolution;        /* pixels a side of the image tower; 0 = the checkpoint's. Another one
                                  needs `pos_embed`, and a ViT */
    tw_pos_embed pos_embed;
    bool round_f16;            /* round what the originals' loaders make f16 (convert_weights), as they
                                  do also where they compute in f32; stored as f16, or as f32 when
                                  `precision` is. Not with bf16 */
    uint32_t recipe_fields;    /* tw_recipe_field flags: only these are taken from `recipe`, the rest is
                                  the checkpoint's own, from its files or family; 0 = all are */
    const char *onnx_text;     /* the text tower's graph when `checkpoint` is an ONNX graph of the
                                  image tower; NULL = X.txt.Y beside X.img.Y */
    const char *keep_f16;      /* with TW_I8: blocks, and the token table, that become f16 all the same,
                                  "v.blk.3,t.token_embd"; NULL = none */
    const tw_int8_quality *quality; /* with TW_I8: recorded in the file; may be NULL */
    bool no_smoothing;         /* with TW_I8: columns that stand out are not evened out (to see what
                                  that does) */
} tw_convert_options;

#define TW_CONVERT_OPTIONS_INIT {sizeof(tw_convert_options), 0, 0, 0, 0, 0, TW_ACT_NONE, 0, 0, -1, false, false, 0, 0, 0, 0, TW_POS_EMBED_NONE, false, 0, 0, 0, 0, false}

/* Reads the checkpoint at `checkpoint` (nothing in it is ever executed): a file; the index of a
 * sharded one (*.index.json); or a folder as published by Hugging Face, open_clip or Chinese-CLIP,
 * of which one checkpoint is taken and named to the log hook. Writes a model file
 * (GGUF v3, docs/FORMAT.md) to `path`. The file appears by rename when it is complete; on failure
 * nothing is left. `options` may be NULL. Memory: the checkpoint is mapped, tensors are streamed.
 * Errors: TW_ERR_IO, TW_ERR_FORMAT, TW_ERR_UNSUPPORTED, TW_ERR_MISMATCH, TW_ERR_AMBIGUOUS,
 * TW_ERR_LIMIT, TW_ERR_CANCELLED. */
TW_API tw_status tw_convert(const char *checkpoint, const char *path,
                            const tw_convert_options *options, tw_error *err);

/* Calls `each` with every file that tw_convert() takes tensors from: the checkpoint, the one it takes
 * in a folder, or the shards of an index in the order of their names. Ends at the first that is not
 * TW_OK. Errors: TW_ERR_IO, TW_ERR_FORMAT, TW_ERR_AMBIGUOUS, those of `each`. */
TW_API tw_status tw_convert_sources(const char *checkpoint,
                                    tw_status (*each)(void *user, const char *path, tw_error *err),
                                    void *user, tw_error *err);

/* ------------------------------------------------------------------------------------ model */

/* An opened model file: immutable, mapped read-only, shareable between threads. The file must not
 * be changed while it is open. */
typedef struct tw_model tw_model;

/* Opens a model file written by tw_convert(). Errors: TW_ERR_IO, TW_ERR_FORMAT,
 * TW_ERR_UNSUPPORTED (a GGUF file of another kind), TW_ERR_MISMATCH (tensor of another shape). */
TW_API tw_status tw_model_open(const char *path, tw_model **out, tw_error *err);
TW_API void tw_model_free(tw_model *model);

/* All of these borrow from the model. */
TW_API const tw_arch *tw_model_arch(const tw_model *model);
TW_API const tw_recipe *tw_model_recipe(const tw_model *model);       /* of the image tower */
/* NULL: image tower only, or a text tower without vocabulary, which takes token ids alone. */
TW_API const tw_tokenizer *tw_model_tokenizer(const tw_model *model);
TW_API float tw_model_logit_scale(const tw_model *model); /* log-scale, as stored: exp() is used */
TW_API const char *tw_model_path(const tw_model *model);

/* Where the model came from; empty strings when not recorded. */
typedef struct tw_provenance {
    size_t struct_size;
    const char *name;          /* general.name */
    const char *source_file;   /* base name of the checkpoint */
    const char *source_sha256; /* 64 hex digits */
    const char *source_format; /* e.g. "torch-zip" */
    const char *converter;     /* e.g. "tuwen 0.1.0" */
    int32_t trained_size;      /* the checkpoint's pixels a side when the position table was
                                  resized, else 0 */
    tw_pos_embed pos_embed;    /* how it was resized */
    bool round_f16;            /* tw_convert_options.round_f16 was asked for */
} tw_provenance;

#define TW_PROVENANCE_INIT {sizeof(tw_provenance), 0, 0, 0, 0, 0, 0, TW_POS_EMBED_NONE, false}

/* `out` was set with its _INIT macro, here and below. The strings borrow from the model. */
TW_API void tw_model_provenance(const tw_model *model, tw_provenance *out);

/* What the file records of its int8 weights; false when it records nothing. The strings borrow from
 * the model. */
TW_API bool tw_model_int8_quality(const tw_model *model, tw_int8_quality *out);

/* Size of the model: tensors, parameters, bytes of weights, and how many tensors of each type. */
typedef struct tw_model_size {
    size_t struct_size;
    uint64_t n_tensors, n_parameters, n_vision_parameters, n_text_parameters;
    uint64_t weight_bytes, file_bytes;
    uint64_t n_tensors_f32, n_tensors_f16, n_tensors_bf16;
    uint64_t n_tensors_i8;
} tw_model_size;

#define TW_MODEL_SIZE_INIT {sizeof(tw_model_size), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

TW_API void tw_model_get_size(const tw_model *model, tw_model_size *out);

/* A tensor of the model by index 0..n_tensors-1, in file order. `shape` has `n_dims` (0..4)
 * entries, outermost first. Returns false when out of range. */
TW_API bool tw_model_tensor(const tw_model *model, uint64_t index, const char **name,
                            tw_dtype *dtype, int *n_dims, int64_t shape[4]);

#ifdef __cplusplus
}
#endif
#endif
