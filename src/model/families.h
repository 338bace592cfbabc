/* Families of checkpoints: how each names and lays out the tensors of a model. A family is a
 * table; to read another one, add a table. */
#ifndef MODEL_FAMILIES_H
#define MODEL_FAMILIES_H

#include "tuwen/model.h"

typedef enum tw_name_rule_kind {
    TW_RULE_PLAIN = 0,
    TW_RULE_TRANSPOSED, /* [in, out] in the checkpoint, [out, in] in the model file */
    TW_RULE_ROWS_0,     /* first, second, last third of the rows of a stacked tensor */
    TW_RULE_ROWS_1,
    TW_RULE_ROWS_2
} tw_name_rule_kind;

/* Canonical name -> name in the checkpoint. In both patterns {i}, {s} and {b} stand for the same
 * numbers, and * (last) for the same rest: "weight" or "bias". Several rules for one canonical
 * name are alternatives; the first whose tensor exists is used, and the first one names what is
 * missing when none does. */
typedef struct tw_name_rule {
    const char *canonical, *source;
    tw_name_rule_kind kind;
} tw_name_rule;

typedef struct tw_family {
    const char *title; /* "Chinese-CLIP" */
    const char *const
        *text_signatures; /* glob patterns, NULL-terminated: a tensor of such a name */
    const char *const
        *vision_signatures;     /* tells the family; text first, image towers look alike */
    const tw_name_rule *rules;  /* ends with a NULL canonical; NULL: recognised, but not read */
    const char *const *ignored; /* glob patterns of tensors that no model needs */
    const char *const *vision_prefixes; /* where every other tensor must be known */
    const char *const *text_prefixes;
    const char *const *configs; /* files of a release that say the rest, the first found counts */
    const char
        *image_processor; /* of Hugging Face's families: the class that makes their pictures */
    tw_bpe_variant bpe_variant; /* of CLIP's own text tower */
    tw_activation activation;   /* of a ViT and CLIP's text tower; TW_ACT_NONE: names do not tell */
    tw_text_kind text_kind;
    tw_resize_mode
        resize_mode; /* of the recipe that the family's own library uses, as both below */
    tw_rgb_order rgb_order;
    tw_crop_rounding crop_rounding;
    int32_t head_width; /* of every transformer of the family; 0 = see arch.h */
} tw_family;

extern const tw_family *const tw_families[]; /* NULL-terminated */

#endif
