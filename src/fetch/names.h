/* The released checkpoints by name: where each is, and what a conversion must be told. */
#ifndef FETCH_NAMES_H
#define FETCH_NAMES_H

#include "fetch/url.h"

typedef enum tw_place {
    TW_PLACE_HUB,    /* Hugging Face; Chinese-CLIP's also on ModelScope */
    TW_PLACE_OPENAI, /* the SHA-256 is part of the address */
    TW_PLACE_GITHUB, /* open_clip's releases; the name ends in the first digits of the SHA-256 */
    TW_PLACE_META
} tw_place;

typedef enum tw_hub { TW_HUB_HUGGINGFACE = 1, TW_HUB_MODELSCOPE } tw_hub;
#define TW_HUB_WORDS "huggingface|modelscope"

/* How pictures are prepared where neither the file nor its configuration says so. */
typedef enum tw_release_recipe {
    TW_RELEASE_USUAL,
    TW_RELEASE_HALF,    /* mean = std = 0.5 */
    TW_RELEASE_SQUASHED /* resized to a square without a crop */
} tw_release_recipe;

typedef struct tw_release {
    const char *family; /* "chinese-clip", "openai", "open_clip" */
    const char *name;   /* "ViT-B-16", "ViT-B/32", "ViT-B-32/laion2b_s34b_b79k" */
    const char *alias;  /* another name for it; or NULL */
    tw_place place;
    const char *owner;      /* of the repository on Hugging Face; else NULL */
    const char *repository; /* likewise */
    const char *file;
    const char *sha256; /* published: all 64 digits or the first 8; NULL = not published */
    const char *arch;   /* what the network is called */
    const char
        *convert_as;      /* --arch for the conversion; NULL = the file or its configuration says */
    const char *config;   /* a file that must stand beside it; NULL = none */
    tw_release_recipe recipe;
} tw_release;

extern const tw_release tw_releases[];
extern const size_t tw_n_releases;

/* By "FAMILY/NAME", "FAMILY/ALIAS", or NAME or ALIAS alone when one family has it. Errors:
 * TW_ERR_ARGUMENT naming what was meant perhaps. */
tw_status tw_release_find(const char *name, const tw_release **out, tw_error *err);

/* The address of `file` of a release. `base` replaces what stands before the path ("" = the
 * official one). Errors: TW_ERR_ARGUMENT: not on that hub, `base` no address. */
tw_status tw_release_url(const tw_release *r, tw_hub hub, const char *base, const char *file,
                         char out[TW_URL_BYTES], tw_error *err);

/* The folder it belongs to, below the one for downloads. */
void tw_release_folder(const tw_release *r, tw_hub hub, char *out, size_t n_bytes);

/* Whether a digest is what `expected` begins with. */
bool tw_sha256_agrees(const char *sha256, const char *expected);

#endif
