/* Reads a pickle (protocols 2 to 5) into a graph of inert values. Nothing is imported, constructed
 * or called: a global is its two names, a call is the callable, its arguments and the state that
 * was given to its object afterwards, side by side.
 * Only collections.OrderedDict is made into what it means, a dict. The graph may have cycles
 * (through the memo), so whoever walks it bounds the depth.
 * Source: Python's Lib/pickletools.py. */
#ifndef FORMAT_TORCH_PICKLE_H
#define FORMAT_TORCH_PICKLE_H

#include "base/status.h"

typedef enum tw_pickle_kind {
    TW_PICKLE_NONE,
    TW_PICKLE_BOOL,
    TW_PICKLE_INT,  /* fits int64 */
    TW_PICKLE_LONG, /* does not: little-endian two's complement bytes */
    TW_PICKLE_FLOAT,
    TW_PICKLE_STRING, /* bytes as stored, not checked to be UTF-8 */
    TW_PICKLE_BYTES,
    TW_PICKLE_TUPLE,
    TW_PICKLE_LIST,
    TW_PICKLE_DICT, /* OrderedDict too */
    TW_PICKLE_SET,
    TW_PICKLE_GLOBAL, /* refs: module, name */
    TW_PICKLE_CALL,   /* refs: callable, arguments (a tuple) */
    TW_PICKLE_PERSID  /* refs: the persistent id */
} tw_pickle_kind;

/* Values refer to each other by index into the pickle's array. */
typedef struct tw_pickle_value {
    uint8_t kind;
    /* Bytes; items of a tuple, list or set; members of a dict. Of a call: the value that BUILD
     * gave to what it made, 0 (None) when nothing did. */
    uint32_t n;
    union {
        bool boolean;
        int64_t integer;
        double number;
        const uint8_t *bytes; /* inside the pickle's bytes */
        struct {
            uint32_t first, last; /* cells; 0 = none. A dict's alternate key, value */
        } cells;
        uint32_t refs[2];
    } u;
} tw_pickle_value;

typedef struct tw_pickle_cell {
    uint32_t value, next; /* next 0 = last; cell 0 is not used */
} tw_pickle_cell;

/* Read it through the functions below. */
typedef struct tw_pickle {
    tw_pickle_value *values; /* in the order in which they were made */
    size_t n_values, value_capacity;
    tw_pickle_cell *cells;
    size_t n_cells, cell_capacity;
    uint32_t root;
} tw_pickle;

/* Runs data[0..n), which must outlive the pickle, up to its STOP; *n_used (may be NULL) is how
 * many bytes that took. A global of a module made to run programs (os, subprocess, …) is
 * TW_ERR_FORMAT: no checkpoint needs one. */
tw_status tw_pickle_parse(const void *data, size_t n_bytes, tw_pickle **out, size_t *n_used,
                          tw_error *err);
void tw_pickle_free(tw_pickle *pickle);

const tw_pickle_value *tw_pickle_root(const tw_pickle *pickle);

/* Walks the items of a tuple, list, set or dict:
 *     for (uint32_t c = v->u.cells.first; (item = tw_pickle_next(p, &c));) */
const tw_pickle_value *tw_pickle_next(const tw_pickle *pickle, uint32_t *cell);

/* Item of a tuple or list; NULL when it has fewer. */
const tw_pickle_value *tw_pickle_item(const tw_pickle *pickle, const tw_pickle_value *sequence,
                                      uint32_t index);
/* What the object that a call made was given by BUILD; NULL when nothing. */
const tw_pickle_value *tw_pickle_state(const tw_pickle *pickle, const tw_pickle_value *call);

/* Member of a dict by a string key, the last of that name as in Python; NULL when absent. */
const tw_pickle_value *tw_pickle_get(const tw_pickle *pickle, const tw_pickle_value *dict,
                                     const char *key);

bool tw_pickle_is_string(const tw_pickle_value *v, const char *s);
bool tw_pickle_is_global(const tw_pickle *pickle, const tw_pickle_value *v, const char *module,
                         const char *name);

/* What a value is, for a message: "an integer", "a call of numpy.dtype". Returns buf. */
const char *tw_pickle_describe(const tw_pickle *pickle, const tw_pickle_value *v, char *buf,
                               size_t n_buf);

#endif
