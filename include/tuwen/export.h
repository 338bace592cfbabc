/* tuwen/export.h – models as ONNX graphs, for other runtimes and compilers. */
#ifndef TUWEN_EXPORT_H
#define TUWEN_EXPORT_H

#include "tuwen/base.h"
#include "tuwen/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one graph computes. R is the picture's side, L the length of token rows, E the feature's.
 *   TW_EXPORT_IMAGE  image f32 [N, 3, R, R] -> unnorm_image_features f32 [N, E]
 *   TW_EXPORT_TEXT   text i64 [N, L], zero-padded -> unnorm_text_features f32 [N, E]
 *   TW_EXPORT_BOTH   both inputs -> logits_per_image f32 [Ni, Nt], logits_per_text f32 [Nt, Ni] */
typedef enum tw_export_part { TW_EXPORT_IMAGE = 0, TW_EXPORT_TEXT = 1, TW_EXPORT_BOTH = 2 } tw_export_part;

typedef struct tw_export_options {
    size_t struct_size;
    tw_export_part part;
    int precision;          /* TW_F32, or TW_F16: products in f16, everything else stays f32 */
    int32_t opset;          /* 13 to 17; 0 = 17 */
    int32_t batch;          /* rows of the input; 0 = any. With TW_EXPORT_BOTH of the pictures */
    int32_t text_batch;     /* with TW_EXPORT_BOTH, rows of text; 0 = any */
    int32_t context_length; /* L; 0 = any length up to the model's positions */
    bool normalize;         /* features of length 1, named image_features and text_features */
    /* The text graph ends before pooling and projection: text_rows f32 [N, L, W]. */
    bool no_text_projection;
    const char *side_file;  /* path for the weights, in the same folder; NULL = in the graph, which
                               then is below 2 GB */
    const tw_hooks *hooks;  /* may be NULL */
} tw_export_options;

#define TW_EXPORT_OPTIONS_INIT                                                                     \
    {sizeof(tw_export_options), TW_EXPORT_IMAGE, TW_F32, 0, 0, 0, 0, false, false, 0, 0}

/* Writes a part of `model` to `path` as ONNX. Weights are streamed: memory stays small, but for
 * the folded convolutions of a ModifiedResNet. The file appears by rename when it is complete.
 * `options` may be NULL. Errors: TW_ERR_ARGUMENT, TW_ERR_UNSUPPORTED (the model lacks the tower),
 * TW_ERR_LIMIT (2 GB and more without `side_file`; a weight beyond f16), TW_ERR_IO,
 * TW_ERR_CANCELLED. */
TW_API tw_status tw_export_onnx(const tw_model *model, const char *path,
                                const tw_export_options *options, tw_error *err);

/* The text projection f32 [W, E] as a .npy file, for graphs made with no_text_projection. */
TW_API tw_status tw_export_text_projection(const tw_model *model, const char *path, tw_error *err);

#ifdef __cplusplus
}
#endif
#endif
