/* FlatBuffers, read with a schema given as tables: one walk checks every offset, length and range,
 * after which the getters need no checks. */
#ifndef BACKEND_SOPHON_FLAT_H
#define BACKEND_SOPHON_FLAT_H

#include "base/status.h"

typedef enum tw_flat_kind {
    FLAT_SKIP, /* numbers of 1 and 2 bytes, of which there are none, and what is not looked at */
    FLAT_4,    /* a number of 4 or 8 bytes */
    FLAT_8,
    FLAT_STRING,
    FLAT_RANGE, /* {u64 start, u64 size} of the binary data */
    FLAT_TABLE,
    FLAT_VECTOR_1, /* of bytes, numbers, ranges, tables */
    FLAT_VECTOR_4,
    FLAT_VECTOR_8,
    FLAT_VECTOR_RANGE,
    FLAT_VECTOR_TABLE
} tw_flat_kind;

typedef struct tw_flat_table tw_flat_table;

typedef struct tw_flat_field {
    tw_flat_kind kind;
    bool required;
    const tw_flat_table *table;
} tw_flat_field;

struct tw_flat_table {
    const tw_flat_field *fields; /* by id */
    size_t n_fields;
};

typedef struct tw_flat {
    const uint8_t *data;
    size_t n_bytes;
    uint64_t binary_bytes; /* ranges must lie inside */
} tw_flat;

/* Positions are offsets in the buffer; 0 is none, as nothing can begin there. */

/* Checks the whole buffer; *root is its table. `table` must not contain itself. Errors:
 * TW_ERR_FORMAT with the offset, TW_ERR_LIMIT. */
tw_status tw_flat_verify(const tw_flat *f, const tw_flat_table *table, size_t *root, tw_error *err);

/* Of a verified buffer: the position of a field's value (of a string, table or vector: of what it
 * points to), 0 when absent. */
size_t tw_flat_value(const tw_flat *f, size_t table, int id);
size_t tw_flat_target(const tw_flat *f, size_t table, int id);
uint32_t tw_flat_u32(const tw_flat *f, size_t table, int id, uint32_t absent);

/* Of a vector or string at `at`: its length (0 of none), and the table that element i points to. */
size_t tw_flat_length(const tw_flat *f, size_t at);
size_t tw_flat_element(const tw_flat *f, size_t vector, size_t i);
uint64_t tw_flat_element_u64(const tw_flat *f, size_t vector, size_t i);
/* Copies a string, cut off when it is longer; "" of none. */
void tw_flat_string(const tw_flat *f, size_t at, char *out, size_t n);

#endif
