/* The architecture of a checkpoint from the names and shapes of its tensors. */
#ifndef MODEL_RECOGNIZE_H
#define MODEL_RECOGNIZE_H

#include "model/origin.h"

/* What the user, or a configuration file, says beside the shapes. */
typedef struct tw_expectation {
    const tw_vision_config *vision; /* all sizes set; NULL = nothing is said */
    int32_t embed_dim;              /* with `vision` */
    const tw_text_config *text;
    int32_t vision_head_width, text_head_width; /* 0 = nothing is said */
    tw_activation activation; /* asked for, of a ViT and CLIP's text tower; or none */
    int32_t context_length;   /* 0 = 52, or as many as there are positions */
    bool vision_only, text_only;
    /* `text` only goes with the name of the image tower: a text tower of another kind is as good.
     */
    bool text_implied;
    tw_activation vision_activation,
        text_activation;             /* by a configuration; TW_ACT_NONE = by family */
    tw_activation preset_activation; /* of a CLIP model by its released name; or none */
    int32_t resolution; /* what the image tower is to be resized for, so a configuration may say it;
                           0 = nothing is resized */
    bool hugging_face; /* messages use the names of its config.json */
    float vision_norm_eps, text_norm_eps; /* 0 = a configuration's, or the family's */
    bool openai; /* the file is OpenAI's own: it has their scalars, if not as tensors */
} tw_expectation;

/* Errors: TW_ERR_MISMATCH (a tensor missing or of an impossible shape; a size that is not the
 * expected one), TW_ERR_AMBIGUOUS (the number of heads or the activation does not show: the message
 * names the options that tell), TW_ERR_LIMIT, TW_ERR_ARGUMENT. */
tw_status tw_recognize(tw_origin *origin, const tw_expectation *expected, tw_arch *out,
                       tw_error *err);

#endif
