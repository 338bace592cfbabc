#include "model/schema.h"

#include "base/size.h"
#include "model/arch.h"

#include <stdio.h>
#include <stdlib.h>

/* Extents that a row of a table may name. */
enum {
    END,
    X1,     /* 1 */
    X3,     /* 3: colour channels, and the kernel of a 3 x 3 convolution */
    W,      /* width */
    M,      /* width inside the MLP */
    E,      /* embedding length */
    P,      /* patch size */
    N,      /* rows of the position table */
    V,      /* vocabulary size */
    T,      /* token types */
    HALF,   /* half the base width of a ModifiedResNet */
    POOL,   /* width of its attention pool */
    IN,     /* of a bottleneck: channels coming in, */
    PLANES, /* in its middle, */
    OUT,    /* going out */
    N_EXTENTS
};

enum { VECTOR = 0, MATRIX = 1, OPTIONAL = 2, INT8 = 4 };

typedef struct row {
    const char *name;
    size_t offset;
    int flags;
    uint8_t extents[4];
} row;

#define NORM(name, at, d)                                                                          \
    {name ".weight", at + offsetof(tw_norm_weights, gamma), VECTOR, {d}}, {                        \
        name ".bias", at + offsetof(tw_norm_weights, beta), VECTOR, {                              \
            d                                                                                      \
        }                                                                                          \
    }
#define LINEAR(name, at, out, in)                                                                  \
    {name ".weight", at + offsetof(tw_linear_weights, weight), MATRIX, {out, in}}, {               \
        name ".bias", at + offsetof(tw_linear_weights, bias), VECTOR, {                            \
            out                                                                                    \
        }                                                                                          \
    }
/* A linear layer of a block. */
#define PRODUCT(name, at, out, in)                                                                 \
    {name ".weight", at + offsetof(tw_linear_weights, weight), MATRIX | INT8, {out, in}}, {        \
        name ".bias", at + offsetof(tw_linear_weights, bias), VECTOR, {                            \
            out                                                                                    \
        }                                                                                          \
    }
#define CONV_BN(name, at, out, in, k)                                                              \
    {name ".weight", at + offsetof(tw_conv_bn_weights, weight), MATRIX, {out, in, k, k}},          \
        {name ".bn.weight", at + offsetof(tw_conv_bn_weights, gamma), VECTOR, {out}},              \
        {name ".bn.bias", at + offsetof(tw_conv_bn_weights, beta), VECTOR, {out}},                 \
        {name ".bn.mean", at + offsetof(tw_conv_bn_weights, mean), VECTOR, {out}}, {               \
        name ".bn.var", at + offsetof(tw_conv_bn_weights, var), VECTOR, {                          \
            out                                                                                    \
        }                                                                                          \
    }

#define IN_VISION(field) offsetof(tw_vision_weights, field)
#define IN_TEXT(field) offsetof(tw_text_weights, field)
#define IN_BLOCK(field) offsetof(tw_block_weights, field)
#define IN_BOTTLENECK(field) offsetof(tw_bottleneck_weights, field)

/* Position tables are added, never multiplied: they keep the precision of vectors. */
static const row vit_rows[] = {
    {"v.patch_embd.weight", IN_VISION(patch), MATRIX, {W, X3, P, P}},
    {"v.class_embd", IN_VISION(class_row), VECTOR, {W}},
    {"v.position_embd.weight", IN_VISION(position), VECTOR, {N, W}},
    NORM("v.pre_ln", IN_VISION(pre), W),
};
static const row vit_end_rows[] = {
    NORM("v.post_ln", IN_VISION(post), W),
    {"visual_projection.weight", IN_VISION(projection), MATRIX | OPTIONAL, {E, W}},
};

/* ffn_down is the first linear of the MLP and ffn_up the second: so clip.cpp named them. */
static const row block_rows[] = {
    PRODUCT("attn_q", IN_BLOCK(q), W, W),   PRODUCT("attn_k", IN_BLOCK(k), W, W),
    PRODUCT("attn_v", IN_BLOCK(v), W, W),   PRODUCT("attn_out", IN_BLOCK(out), W, W),
    NORM("ln1", IN_BLOCK(ln1), W),          PRODUCT("ffn_down", IN_BLOCK(fc1), M, W),
    PRODUCT("ffn_up", IN_BLOCK(fc2), W, M), NORM("ln2", IN_BLOCK(ln2), W),
};

static const row stem_rows[] = {
    CONV_BN("v.stem.1", IN_VISION(stem[0]), HALF, X3, X3),
    CONV_BN("v.stem.2", IN_VISION(stem[1]), HALF, HALF, X3),
    CONV_BN("v.stem.3", IN_VISION(stem[2]), W, HALF, X3),
};
static const row bottleneck_rows[] = {
    CONV_BN("conv1", IN_BOTTLENECK(conv1), PLANES, IN, X1),
    CONV_BN("conv2", IN_BOTTLENECK(conv2), PLANES, PLANES, X3),
    CONV_BN("conv3", IN_BOTTLENECK(conv3), OUT, PLANES, X1),
};
static const row downsample_rows[] = {
    CONV_BN("down", IN_BOTTLENECK(down), OUT, IN, X1),
};
static const row pool_rows[] = {
    {"v.pool.position_embd.weight", IN_VISION(position), VECTOR, {N, POOL}},
    LINEAR("v.pool.attn_q", IN_VISION(pool_q), POOL, POOL),
    LINEAR("v.pool.attn_k", IN_VISION(pool_k), POOL, POOL),
    LINEAR("v.pool.attn_v", IN_VISION(pool_v), POOL, POOL),
    LINEAR("v.pool.attn_out", IN_VISION(pool_out), E, POOL),
};

static const row bert_rows[] = {
    {"t.token_embd.weight", IN_TEXT(token), MATRIX | INT8, {V, W}},
    {"t.position_embd.weight", IN_TEXT(position), VECTOR, {N, W}},
    {"t.token_type_embd.weight", IN_TEXT(type), MATRIX, {T, W}},
    NORM("t.embd_ln", IN_TEXT(embed_norm), W),
};
static const row bert_end_rows[] = {
    {"text_projection.weight", IN_TEXT(projection), MATRIX, {E, W}},
};

/* The names are clip.cpp's. */
static const row clip_text_rows[] = {
    {"t.token_embd.weight", IN_TEXT(token), MATRIX | INT8, {V, W}},
    {"t.position_embd.weight", IN_TEXT(position), VECTOR, {N, W}},
};
static const row clip_text_end_rows[] = {
    NORM("t.post_ln", IN_TEXT(final_norm), W),
    {"text_projection.weight", IN_TEXT(projection), MATRIX, {E, W}},
};

/* What is being added where, and what the extents mean there. */
typedef struct place {
    tw_schema *schema;
    tw_slot_group group;
    int index;
    const char *prefix; /* before each name */
    int64_t extents[N_EXTENTS];
} place;

static tw_status reserve(tw_schema *s, size_t more, tw_error *err) {
    if (s->capacity - s->n_entries >= more) return TW_OK;
    size_t grown = s->capacity * 2 + more + 64;
    tw_schema_entry *p = realloc(s->entries, grown * sizeof *p);
    if (!p) return tw_fail_no_memory(err, grown * sizeof *p);
    s->entries = p;
    s->capacity = grown;
    return TW_OK;
}

static tw_status add(const place *at, const row *rows, size_t n_rows, tw_error *err) {
    tw_schema *s = at->schema;
    TW_TRY(reserve(s, n_rows, err));
    for (size_t i = 0; i < n_rows; i++) {
        const row *r = &rows[i];
        tw_schema_entry *e = &s->entries[s->n_entries++];
        *e = (tw_schema_entry){.matrix = r->flags & MATRIX,
                               .int8 = r->flags & INT8,
                               .optional = r->flags & OPTIONAL,
                               .group = at->group,
                               .index = at->index,
                               .offset = r->offset};
        snprintf(e->name, sizeof e->name, "%s%s", at->prefix, r->name);
        while (e->n_dims < 4 && r->extents[e->n_dims] != END) {
            e->shape[e->n_dims] = at->extents[r->extents[e->n_dims]];
            e->n_dims++;
        }
    }
    return TW_OK;
}

#define ADD(at, rows) TW_TRY(add(at, rows, TW_COUNT(rows), err))

static tw_status add_blocks(place at, tw_slot_group group, const char *tower, int n_blocks,
                            tw_error *err) {
    char prefix[32];
    at.group = group;
    at.prefix = prefix;
    for (int i = 0; i < n_blocks; i++) {
        at.index = i;
        snprintf(prefix, sizeof prefix, "%s.blk.%d.", tower, i);
        ADD(&at, block_rows);
    }
    return TW_OK;
}

static tw_status add_vit(tw_schema *s, const tw_arch *arch, tw_error *err) {
    const tw_vision_config *v = &arch->vision;
    place at = {.schema = s,
                .group = TW_SLOT_VISION,
                .prefix = "",
                .extents = {[X3] = 3,
                            [W] = v->width,
                            [M] = v->mlp_width,
                            [E] = arch->embed_dim,
                            [P] = v->patch_size,
                            [N] = tw_vision_tokens(v)}};
    ADD(&at, vit_rows);
    TW_TRY(add_blocks(at, TW_SLOT_VISION_BLOCK, "v", v->n_layers, err));
    ADD(&at, vit_end_rows);
    return TW_OK;
}

/* The first bottleneck of every stage has the downsample branch: its channels always change. */
static tw_status add_bottlenecks(place at, const tw_vision_config *v, tw_error *err) {
    char prefix[32];
    at.group = TW_SLOT_BOTTLENECK;
    at.prefix = prefix;
    at.extents[OUT] = v->width;
    for (int stage = 0; stage < 4; stage++) {
        at.extents[PLANES] = (int64_t)v->width << stage;
        for (int block = 0; block < v->stages[stage]; block++, at.index++) {
            at.extents[IN] = at.extents[OUT];
            at.extents[OUT] = 4 * at.extents[PLANES];
            snprintf(prefix, sizeof prefix, "v.stage.%d.%d.", stage + 1, block);
            ADD(&at, bottleneck_rows);
            if (block == 0) ADD(&at, downsample_rows);
        }
    }
    return TW_OK;
}

static tw_status add_resnet(tw_schema *s, const tw_arch *arch, tw_error *err) {
    const tw_vision_config *v = &arch->vision;
    place at = {.schema = s,
                .group = TW_SLOT_VISION,
                .prefix = "",
                .extents = {[X1] = 1,
                            [X3] = 3,
                            [W] = v->width,
                            [HALF] = v->width / 2,
                            [POOL] = tw_pool_width(v),
                            [E] = arch->embed_dim,
                            [N] = tw_vision_tokens(v)}};
    ADD(&at, stem_rows);
    TW_TRY(add_bottlenecks(at, v, err));
    ADD(&at, pool_rows);
    return TW_OK;
}

static tw_status add_bert(tw_schema *s, const tw_arch *arch, tw_error *err) {
    const tw_text_config *t = &arch->text;
    place at = {.schema = s,
                .group = TW_SLOT_TEXT,
                .prefix = "",
                .extents = {[W] = t->width,
                            [M] = t->mlp_width,
                            [E] = arch->embed_dim,
                            [N] = t->n_positions,
                            [V] = t->vocab_size,
                            [T] = t->n_token_types}};
    ADD(&at, bert_rows);
    TW_TRY(add_blocks(at, TW_SLOT_TEXT_BLOCK, "t", t->n_layers, err));
    ADD(&at, bert_end_rows);
    return TW_OK;
}

static tw_status add_clip_text(tw_schema *s, const tw_arch *arch, tw_error *err) {
    const tw_text_config *t = &arch->text;
    place at = {.schema = s,
                .group = TW_SLOT_TEXT,
                .prefix = "",
                .extents = {[W] = t->width,
                            [M] = t->mlp_width,
                            [E] = arch->embed_dim,
                            [N] = t->n_positions,
                            [V] = t->vocab_size}};
    ADD(&at, clip_text_rows);
    TW_TRY(add_blocks(at, TW_SLOT_TEXT_BLOCK, "t", t->n_layers, err));
    ADD(&at, clip_text_end_rows);
    return TW_OK;
}

tw_status tw_schema_build(const tw_arch *arch, tw_schema *out, tw_error *err) {
    *out = (tw_schema){0};
    tw_status status = TW_OK;
    if (arch->vision.kind == TW_VISION_VIT) TW_CHECK(add_vit(out, arch, err));
    if (arch->vision.kind == TW_VISION_RESNET) TW_CHECK(add_resnet(out, arch, err));
    if (arch->text.kind == TW_TEXT_BERT) TW_CHECK(add_bert(out, arch, err));
    if (arch->text.kind == TW_TEXT_CLIP) TW_CHECK(add_clip_text(out, arch, err));
done:
    if (status != TW_OK) tw_schema_free(out);
    return status;
}

void tw_schema_free(tw_schema *schema) {
    free(schema->entries);
    *schema = (tw_schema){0};
}

/* ------------------------------------------------------------------------------------- weights */

tw_status tw_weights_allocate(const tw_arch *arch, tw_vision_weights *vision, tw_text_weights *text,
                              tw_error *err) {
    const tw_vision_config *v = &arch->vision;
    size_t n_bottlenecks = 0;
    for (int i = 0; i < 4; i++)
        n_bottlenecks += (size_t)v->stages[i];
    vision->blocks = calloc((size_t)v->n_layers + 1, sizeof *vision->blocks);
    vision->bottlenecks = calloc(n_bottlenecks + 1, sizeof *vision->bottlenecks);
    text->blocks = calloc((size_t)arch->text.n_layers + 1, sizeof *text->blocks);
    if (!vision->blocks || !vision->bottlenecks || !text->blocks)
        return tw_fail_no_memory(err, sizeof *text->blocks);
    for (size_t stage = 1, i = (size_t)v->stages[0]; stage < 4; i += (size_t)v->stages[stage++])
        if (v->kind == TW_VISION_RESNET) vision->bottlenecks[i].stride = 2;
    for (size_t i = 0; i < n_bottlenecks; i++)
        if (vision->bottlenecks[i].stride == 0) vision->bottlenecks[i].stride = 1;
    return TW_OK;
}

void tw_weights_free(tw_vision_weights *vision, tw_text_weights *text) {
    free(vision->blocks);
    free(vision->bottlenecks);
    free(text->blocks);
    vision->blocks = NULL;
    vision->bottlenecks = NULL;
    text->blocks = NULL;
}

tw_tensor *tw_schema_slot(const tw_schema_entry *entry, tw_vision_weights *vision,
                          tw_text_weights *text) {
    char *base = NULL;
    switch (entry->group) {
    case TW_SLOT_VISION:
        base = (char *)vision;
        break;
    case TW_SLOT_VISION_BLOCK:
        base = (char *)&vision->blocks[entry->index];
        break;
    case TW_SLOT_BOTTLENECK:
        base = (char *)&vision->bottlenecks[entry->index];
        break;
    case TW_SLOT_TEXT:
        base = (char *)text;
        break;
    case TW_SLOT_TEXT_BLOCK:
        base = (char *)&text->blocks[entry->index];
        break;
    }
    return (tw_tensor *)(void *)(base + entry->offset);
}
