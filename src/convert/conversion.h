/* What one conversion knows; shared by the files of this folder. */
#ifndef CONVERT_CONVERSION_H
#define CONVERT_CONVERSION_H

#include "convert/clip_config.h"
#include "format/checkpoint.h"
#include "model/metadata.h"
#include "model/recognize.h"
#include "model/schema.h"
#include "model/smooth.h"

/* A tensor of the model file: where it comes from and what it becomes. */
typedef struct tw_item {
    tw_tensor view;
    tw_dtype dtype;
    bool round_f16; /* its values pass through f16 */
} tw_item;

typedef struct tw_conversion {
    tw_convert_options options;
    tw_int8_quality quality; /* that options.quality points to */
    char *file; /* that is read: the checkpoint, or the one chosen in a folder */
    tw_checkpoint *checkpoint, *other; /* `other`: the second tower of ONNX graphs, or NULL */
    const tw_tensor **tensors;
    tw_origin *origin;
    tw_vision_config vision; /* what a configuration says */
    tw_text_config text;
    tw_clip_config clip; /* what the configuration of a whole model says; embed_dim 0 = none */
    tw_tokenizer *tokenizer;
    tw_schema schema;
    tw_item *items;        /* [schema.n_entries]; view.data NULL for an absent optional tensor */
    int32_t position_from; /* image size of the position table when it is resized, else 0 */
    float *position;       /* the resized table */
    tw_block_smooth *vision_smooth, *text_smooth; /* [n_layers] with precision int8, else NULL */
    tw_metadata metadata;
    char *name; /* of the model */
    tw_gguf_writer *writer;
    tw_output output;
} tw_conversion;

/* What the options say (expect.c). */
tw_status tw_expect(tw_conversion *c, tw_expectation *e, tw_error *err);

/* What stands beside the tensors: scalars in the checkpoint, a configuration in its folder. */
tw_status tw_expect_beside(tw_conversion *c, tw_expectation *e, tw_error *err);

/* c->metadata.recipe: what stands beside the tensors or the family's, with the option's fields
 * (recipe.c). */
tw_status tw_settle_recipe(tw_conversion *c, tw_error *err);

/* c->tokenizer, of the size of the text tower's table (vocabulary.c). */
tw_status tw_load_vocabulary(tw_conversion *c, tw_error *err);

#endif
