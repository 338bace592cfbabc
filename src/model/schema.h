/* Which tensors a model of a given architecture has: name, shape and place in the weight structs.
 * One table serves the converter, which writes them, and the reader, which binds them.
 * docs/FORMAT.md lists the same names. */
#ifndef MODEL_SCHEMA_H
#define MODEL_SCHEMA_H

#include "model/model.h"

#define TW_NAME_BYTES 65 /* a tensor name of at most 64 bytes and its NUL */

typedef enum tw_slot_group {
    TW_SLOT_VISION,       /* in tw_vision_weights */
    TW_SLOT_VISION_BLOCK, /* in tw_vision_weights.blocks[index] */
    TW_SLOT_BOTTLENECK,   /* in tw_vision_weights.bottlenecks[index] */
    TW_SLOT_TEXT,         /* in tw_text_weights */
    TW_SLOT_TEXT_BLOCK    /* in tw_text_weights.blocks[index] */
} tw_slot_group;

typedef struct tw_schema_entry {
    char name[TW_NAME_BYTES];
    int n_dims;
    int64_t shape[4];
    bool matrix;   /* a factor of a product or an embedding table: may be stored in 16 bits */
    bool int8;     /* may be stored as int8 with scales: a block's matrix or the token table */
    bool optional; /* may be absent */
    tw_slot_group group;
    int index;
    size_t offset; /* of the tw_tensor in its struct */
} tw_schema_entry;

typedef struct tw_schema {
    tw_schema_entry *entries; /* in the order of the file */
    size_t n_entries, capacity;
} tw_schema;

/* `arch` has passed tw_arch_check(). */
tw_status tw_schema_build(const tw_arch *arch, tw_schema *out, tw_error *err);
void tw_schema_free(tw_schema *schema);

/* Makes room for the blocks of both towers; freed by tw_weights_free(). */
tw_status tw_weights_allocate(const tw_arch *arch, tw_vision_weights *vision, tw_text_weights *text,
                              tw_error *err);
void tw_weights_free(tw_vision_weights *vision, tw_text_weights *text);

tw_tensor *tw_schema_slot(const tw_schema_entry *entry, tw_vision_weights *vision,
                          tw_text_weights *text);

#endif
