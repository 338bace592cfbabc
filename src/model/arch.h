/* Architectures as data: the released ones, head widths by table, and the limits every
 * architecture must keep, so that whatever is allocated from one is bounded. */
#ifndef MODEL_ARCH_H
#define MODEL_ARCH_H

#include "base/status.h"
#include "tuwen/model.h"

#define TW_VISION_EPS 1e-5f /* LayerNorm of the image tower, and batch norm */
#define TW_BERT_EPS 1e-12f
#define TW_DEFAULT_CONTEXT 52

typedef struct tw_vision_preset {
    const char *name; /* "ViT-B-16" */
    int32_t embed_dim;
    tw_vision_config config;
} tw_vision_preset;

typedef struct tw_text_preset {
    const char *name; /* "RoBERTa-wwm-ext-base-chinese" */
    tw_text_config config;
} tw_text_preset;

/* "VISION" (with the BERT it was released with; *text is NULL for one that only goes with CLIP's own
 * text tower) or "VISION@TEXT". Errors: TW_ERR_ARGUMENT
 * whose message lists the names. */
tw_status tw_preset_find(const char *name, const tw_vision_preset **vision,
                         const tw_text_preset **text, tw_error *err);

/* Width of an attention head by the tower's width; 0 when the width does not tell. */
int32_t tw_vision_head_width(int32_t width);
int32_t tw_text_head_width(int32_t width);
#define TW_POOL_HEAD_WIDTH 64 /* of a ModifiedResNet's attention pool */

/* Width of the last feature map, and of the attention pool, of a ModifiedResNet. */
static inline int64_t tw_pool_width(const tw_vision_config *v) {
    return (int64_t)v->width * 32;
}
/* Cells along one side of the grid of patches, or of the last feature map. */
static inline int64_t tw_vision_grid(const tw_vision_config *v) {
    return v->kind == TW_VISION_RESNET ? v->image_size / 32 : v->image_size / v->patch_size;
}
/* Rows of the position table of the image tower. */
static inline int64_t tw_vision_tokens(const tw_vision_config *v) {
    return tw_vision_grid(v) * tw_vision_grid(v) + 1;
}

/* Sets arch->name: of the released pair with these sizes, else made up from them. */
void tw_arch_set_name(tw_arch *arch);

/* Whether all sizes are positive, fit together and stay within the limits. Errors: TW_ERR_MISMATCH,
 * TW_ERR_LIMIT, TW_ERR_ARGUMENT (no tower at all). */
tw_status tw_arch_check(const tw_arch *arch, tw_error *err);

#endif
