/* What the opcodes of a pickle work on: the stack, its marks, the memo, and the values made. Each
 * failure names the byte of the opcode at work. */
#ifndef FORMAT_TORCH_PICKLE_STACK_H
#define FORMAT_TORCH_PICKLE_STACK_H

#include "format/torch/pickle.h"

typedef struct tw_pickle_indices {
    uint32_t *items;
    size_t n, capacity;
} tw_pickle_indices;

typedef struct tw_pickle_machine {
    const uint8_t *data;
    size_t n, at;
    size_t op_at; /* of the opcode at work, for messages */
    tw_pickle *p;
    tw_pickle_indices stack;
    tw_pickle_indices marks; /* stack heights */
    tw_pickle_indices memo;  /* value + 1; 0 = empty */
    uint32_t n_memoized;
    tw_error *err;
} tw_pickle_machine;

tw_status tw_pickle_fail(tw_pickle_machine *m, const char *what);
tw_status tw_pickle_fail_limit(tw_pickle_machine *m, const char *what, size_t limit);

/* A value of the document, not on the stack. */
tw_status tw_pickle_new(tw_pickle_machine *m, tw_pickle_value value, uint32_t *out);

/* Values above the innermost mark; all when there is none. */
size_t tw_pickle_n_free(const tw_pickle_machine *m);
tw_status tw_pickle_push(tw_pickle_machine *m, uint32_t value);
tw_status tw_pickle_push_new(tw_pickle_machine *m, tw_pickle_value value);
tw_status tw_pickle_pop(tw_pickle_machine *m, uint32_t *out);
tw_status tw_pickle_top(tw_pickle_machine *m, tw_pickle_value **out);

tw_status tw_pickle_mark(tw_pickle_machine *m);
/* Removes the innermost mark; *begin is the first stack item above it. */
tw_status tw_pickle_pop_mark(tw_pickle_machine *m, size_t *begin);

/* Appends to a container. */
tw_status tw_pickle_append(tw_pickle_machine *m, tw_pickle_value *v, uint32_t item);
/* TUPLE, LIST, DICT, FROZENSET: a new container of the stack items from `begin` on, of those above
 * the mark, or a tuple of the last `n`. */
tw_status tw_pickle_collect(tw_pickle_machine *m, size_t begin, tw_pickle_kind kind);
tw_status tw_pickle_collect_marked(tw_pickle_machine *m, tw_pickle_kind kind);
tw_status tw_pickle_collect_few(tw_pickle_machine *m, size_t n);
/* APPEND, SETITEM (n items) and, with a mark, APPENDS, SETITEMS, ADDITEMS. */
tw_status tw_pickle_extend(tw_pickle_machine *m, size_t n, bool marked, tw_pickle_kind kind);

tw_status tw_pickle_memo_put(tw_pickle_machine *m, size_t index);
tw_status tw_pickle_memo_get(tw_pickle_machine *m, size_t index);

#endif
