/* The released architectures. Source: Chinese-CLIP cn_clip/clip/model_configs and _MODEL_INFO,
 * OpenAI CLIP clip/model.py build_model, open_clip model_configs. */
#include "base/size.h"
#include "model/arch.h"

#include <stdio.h>
#include <string.h>

#define VIT_MLP(r, p, w, l, d, m)                                                                  \
    {                                                                                              \
        .kind = TW_VISION_VIT, .image_size = r, .patch_size = p, .width = w, .n_layers = l,        \
        .head_width = d, .n_heads = w / d, .mlp_width = m, .activation = TW_QUICK_GELU,            \
        .norm_eps = TW_VISION_EPS                                                                  \
    }
#define VIT(r, p, w, l, d) VIT_MLP(r, p, w, l, d, 4 * w)
#define RESNET(r, w, a, b, c, d)                                                                   \
    {                                                                                              \
        .kind = TW_VISION_RESNET, .image_size = r, .width = w, .stages = {a, b, c, d},             \
        .head_width = TW_POOL_HEAD_WIDTH, .n_heads = w * 32 / TW_POOL_HEAD_WIDTH,                  \
        .activation = TW_RELU, .norm_eps = TW_VISION_EPS                                           \
    }
#define BERT(w, l, h)                                                                              \
    {                                                                                              \
        .kind = TW_TEXT_BERT, .vocab_size = 21128, .width = w, .n_layers = l, .n_heads = h,        \
        .mlp_width = 4 * w, .n_positions = 512, .n_token_types = 2,                                \
        .context_length = TW_DEFAULT_CONTEXT, .activation = TW_GELU_ERF, .norm_eps = TW_BERT_EPS   \
    }

static const tw_vision_preset visions[] = {
    {"RN50", 1024, RESNET(224, 64, 3, 4, 6, 3)},
    {"ViT-B-16", 512, VIT(224, 16, 768, 12, 64)},
    {"ViT-B-32", 512, VIT(224, 32, 768, 12, 64)},
    {"ViT-L-14", 768, VIT(224, 14, 1024, 24, 64)},
    {"ViT-L-14-336", 768, VIT(336, 14, 1024, 24, 64)},
    {"ViT-H-14", 1024, VIT(224, 14, 1280, 32, 80)},
    {"RN101", 512, RESNET(224, 64, 3, 4, 23, 3)},
    {"RN50x4", 640, RESNET(288, 80, 4, 6, 10, 6)},
    {"RN50x16", 768, RESNET(384, 96, 6, 8, 18, 8)},
    {"RN50x64", 1024, RESNET(448, 128, 3, 15, 36, 10)},
    {"ViT-B-32-256", 512, VIT(256, 32, 768, 12, 64)},
    {"ViT-B-16-plus-240", 640, VIT(240, 16, 896, 12, 64)},
    {"ViT-L-14-280", 768, VIT(280, 14, 1024, 24, 64)},
    {"ViT-H-14-378", 1024, VIT(378, 14, 1280, 32, 80)},
    {"ViT-g-14", 1024, VIT_MLP(224, 14, 1408, 40, 88, 6144)},
    {"ViT-bigG-14", 1280, VIT_MLP(224, 14, 1664, 48, 104, 8192)},
    {"ViT-e-14", 1280, VIT_MLP(224, 14, 1792, 56, 112, 15360)},
};

static const tw_text_preset texts[] = {
    {"RBT3-chinese", BERT(768, 3, 12)},
    {"RoBERTa-wwm-ext-base-chinese", BERT(768, 12, 12)},
    {"RoBERTa-wwm-ext-large-chinese", BERT(1024, 24, 16)},
};

/* Which text tower an image tower is paired with when only the latter is named. ViT-B-32 has a
 * configuration and no released weights. */
static const struct pair {
    const char *vision, *text;
} pairs[] = {
    {"RN50", "RBT3-chinese"},
    {"ViT-B-16", "RoBERTa-wwm-ext-base-chinese"},
    {"ViT-B-32", "RoBERTa-wwm-ext-base-chinese"},
    {"ViT-L-14", "RoBERTa-wwm-ext-base-chinese"},
    {"ViT-L-14-336", "RoBERTa-wwm-ext-base-chinese"},
    {"ViT-H-14", "RoBERTa-wwm-ext-large-chinese"},
};

typedef struct head_width {
    int32_t width, head_width;
} head_width;

/* Chinese-CLIP, OpenAI and open_clip image towers. */
static const head_width vision_heads[] = {
    {192, 64},  {384, 64},  {512, 64},  {640, 64},   {768, 64},   {896, 64},
    {1024, 64}, {1280, 80}, {1408, 88}, {1664, 104}, {1792, 112},
};
static const head_width text_heads[] = {{192, 64}, {256, 64},  {512, 64}, {640, 64},
                                        {768, 64}, {1024, 64}, {1280, 64}};

static int32_t look_up(const head_width *table, size_t n, int32_t width) {
    for (size_t i = 0; i < n; i++)
        if (table[i].width == width) return table[i].head_width;
    return 0;
}

int32_t tw_vision_head_width(int32_t width) {
    return look_up(vision_heads, TW_COUNT(vision_heads), width);
}

int32_t tw_text_head_width(int32_t width) {
    return look_up(text_heads, TW_COUNT(text_heads), width);
}

static bool equals(const char *s, const char *part, size_t n_part) {
    return strlen(s) == n_part && memcmp(s, part, n_part) == 0;
}

static const tw_vision_preset *find_vision(const char *name, size_t n) {
    for (size_t i = 0; i < TW_COUNT(visions); i++)
        if (equals(visions[i].name, name, n)) return &visions[i];
    return NULL;
}

static const tw_text_preset *find_text(const char *name, size_t n) {
    for (size_t i = 0; i < TW_COUNT(texts); i++)
        if (equals(texts[i].name, name, n)) return &texts[i];
    return NULL;
}

static const tw_text_preset *text_of(const char *vision) {
    for (size_t i = 0; i < TW_COUNT(pairs); i++)
        if (strcmp(pairs[i].vision, vision) == 0)
            return find_text(pairs[i].text, strlen(pairs[i].text));
    return NULL;
}

tw_status tw_preset_find(const char *name, const tw_vision_preset **vision,
                         const tw_text_preset **text, tw_error *err) {
    const char *at = strchr(name, '@');
    *vision = find_vision(name, at ? (size_t)(at - name) : strlen(name));
    *text = at ? find_text(at + 1, strlen(at + 1)) : *vision ? text_of((*vision)->name) : NULL;
    if (*vision && (*text || !at)) return TW_OK;
    char known[448];
    size_t n = 0;
    if (!*vision)
        for (size_t i = 0; i < TW_COUNT(visions); i++)
            n += (size_t)snprintf(known + n, sizeof known - n, " %s", visions[i].name);
    else
        for (size_t i = 0; i < TW_COUNT(texts); i++)
            n += (size_t)snprintf(known + n, sizeof known - n, " %s", texts[i].name);
    return tw_fail(err, TW_ERR_ARGUMENT,
                   "unknown architecture '%s': its %s tower is none of%s, and it is not "
                   "VISION.json,TEXT.json",
                   name, *vision ? "text" : "image", known);
}

static bool same_vision(const tw_vision_config *a, const tw_vision_config *b) {
    return a->kind == b->kind && a->image_size == b->image_size && a->patch_size == b->patch_size &&
           a->width == b->width && a->n_layers == b->n_layers &&
           memcmp(a->stages, b->stages, sizeof a->stages) == 0 && a->head_width == b->head_width &&
           a->mlp_width == b->mlp_width;
}

static bool same_text(const tw_text_config *a, const tw_text_config *b) {
    return a->kind == b->kind && a->vocab_size == b->vocab_size && a->width == b->width &&
           a->n_layers == b->n_layers && a->n_heads == b->n_heads && a->mlp_width == b->mlp_width &&
           a->n_positions == b->n_positions && a->n_token_types == b->n_token_types;
}

static void vision_name(const tw_arch *arch, char *out, size_t n_bytes) {
    const tw_vision_config *v = &arch->vision;
    bool clip = arch->text.kind == TW_TEXT_CLIP; /* either activation is a released one */
    for (size_t i = 0; i < TW_COUNT(visions); i++)
        if (visions[i].embed_dim == arch->embed_dim && same_vision(&visions[i].config, v) &&
            (clip || visions[i].config.activation == v->activation)) {
            snprintf(out, n_bytes, "%s", visions[i].name);
            return;
        }
    if (v->kind == TW_VISION_RESNET)
        snprintf(out, n_bytes, "RN-%d.%d.%d.%d-w%d-r%d", v->stages[0], v->stages[1], v->stages[2],
                 v->stages[3], v->width, v->image_size);
    else
        snprintf(out, n_bytes, "ViT-w%d-l%d-p%d-r%d", v->width, v->n_layers, v->patch_size,
                 v->image_size);
}

static void text_name(const tw_text_config *t, char *out, size_t n_bytes) {
    for (size_t i = 0; i < TW_COUNT(texts); i++)
        if (same_text(&texts[i].config, t) &&
            (t->kind == TW_TEXT_CLIP || texts[i].config.activation == t->activation)) {
            snprintf(out, n_bytes, "%s", texts[i].name);
            return;
        }
    snprintf(out, n_bytes, "%s-w%d-l%d", t->kind == TW_TEXT_CLIP ? "CLIP" : "BERT", t->width,
             t->n_layers);
}

void tw_arch_set_name(tw_arch *arch) {
    char vision[48] = "", text[48] = "", joined[128] = "";
    if (arch->vision.kind != TW_VISION_NONE) vision_name(arch, vision, sizeof vision);
    if (arch->text.kind != TW_TEXT_NONE) text_name(&arch->text, text, sizeof text);
    snprintf(joined, sizeof joined, "%s%s%s", vision, *vision && *text ? "@" : "", text);
    memcpy(arch->name, joined, sizeof arch->name - 1);
    arch->name[sizeof arch->name - 1] = '\0';
}
