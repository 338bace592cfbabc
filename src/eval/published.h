/* Examples that the models' authors published: a picture, texts, and the probabilities they got. */
#ifndef EVAL_PUBLISHED_H
#define EVAL_PUBLISHED_H

#include "tuwen/model.h"

enum { TW_PUBLISHED_TEXTS = 4, TW_PUBLISHED_SOURCES = 4 };

/* Probabilities as one source printed them. */
typedef struct tw_published_source {
    const char *name;
    double probs[TW_PUBLISHED_TEXTS];
    double tolerance;         /* of a probability: what the difference in computing explains */
    const char *why;          /* what that difference is */
    double tolerance_rounded; /* of a model whose weights were rounded through f16 as the source's
                                 were; 0 = no other */
} tw_published_source;

typedef struct tw_published_example {
    const char *name;  /* as --published takes it */
    const char *model; /* the released model, in words */
    /* Its architecture, as far as it takes to tell it from others. */
    int32_t embed_dim, image_size, patch_size, width, n_layers, text_width, text_layers;
    tw_text_kind text_kind;
    /* The picture: not shipped, its licence is not ours to give. */
    const char *picture, *where;
    const char *sha256;        /* of the file */
    const char *recipe;        /* of pixels_sha256, at image_size */
    const char *pixels_sha256; /* of u8 [R, R, 3] after the recipe's resize and crop: another file
                                  of the same picture has them too */
    const char *texts[TW_PUBLISHED_TEXTS];             /* NULL after the last */
    tw_published_source sources[TW_PUBLISHED_SOURCES]; /* a NULL name after the last */
} tw_published_example;

extern const tw_published_example tw_published_examples[];
extern const size_t tw_n_published_examples;

/* NULL when there is none of that name. */
const tw_published_example *tw_find_published(const char *name);
size_t tw_published_n_texts(const tw_published_example *example);
size_t tw_published_n_sources(const tw_published_example *example);

/* Largest difference of a probability [n_texts]; NaN when one is not a number. */
double tw_published_difference(const tw_published_example *example, size_t source,
                               const float *probs);

/* Of a source, for a model whose weights were rounded through f16 when converted, or not. */
double tw_published_tolerance(const tw_published_example *example, size_t source, bool rounded);

/* Whether the difference is within the source's tolerance; of all sources. */
bool tw_published_agrees(const tw_published_example *example, size_t source, bool rounded,
                         const float *probs);
bool tw_published_all_agree(const tw_published_example *example, bool rounded, const float *probs);

/* A line on the model's weights and the sources'; NULL where rounding makes no difference. */
const char *tw_published_weights(const tw_published_example *example, bool rounded);

#endif
