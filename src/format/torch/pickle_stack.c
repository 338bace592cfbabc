#include "format/torch/pickle_stack.h"

#include "base/size.h"

#include <stdlib.h>

#define MAX_VALUES ((size_t)4 << 20)
#define MAX_CELLS ((size_t)8 << 20)
#define MAX_STACK ((size_t)1 << 20)
#define MAX_MEMO ((size_t)4 << 20)

/* ------------------------------------------------------------------------- growing and failing */

tw_status tw_pickle_fail(tw_pickle_machine *m, const char *what) {
    return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: %s", m->op_at, what);
}

tw_status tw_pickle_fail_limit(tw_pickle_machine *m, const char *what, size_t limit) {
    return tw_fail(m->err, TW_ERR_LIMIT, "byte %zu: more than %zu %s", m->op_at, limit, what);
}

/* Makes room for item `n` of an array; *items may move. */
static tw_status reserve(tw_pickle_machine *m, void **items, size_t n, size_t *capacity,
                         size_t item_bytes, size_t limit, const char *what) {
    if (n < *capacity) return TW_OK;
    if (n >= limit) return tw_pickle_fail_limit(m, what, limit);
    size_t grown = TW_MIN(TW_MAX(n + n / 2, 64), limit);
    void *moved = realloc(*items, grown * item_bytes);
    if (!moved) return tw_fail_no_memory(m->err, grown * item_bytes);
    *items = moved;
    *capacity = grown;
    return TW_OK;
}

static tw_status append_index(tw_pickle_machine *m, tw_pickle_indices *a, uint32_t index,
                              size_t limit, const char *what) {
    void *items = a->items;
    tw_status status = reserve(m, &items, a->n, &a->capacity, sizeof *a->items, limit, what);
    a->items = items;
    if (status == TW_OK) a->items[a->n++] = index;
    return status;
}

tw_status tw_pickle_new(tw_pickle_machine *m, tw_pickle_value value, uint32_t *out) {
    tw_pickle *p = m->p;
    void *values = p->values;
    tw_status status = reserve(m, &values, p->n_values, &p->value_capacity, sizeof *p->values,
                               MAX_VALUES, "values");
    p->values = values;
    if (status != TW_OK) return status;
    *out = (uint32_t)p->n_values;
    p->values[p->n_values++] = value;
    return TW_OK;
}

tw_status tw_pickle_push(tw_pickle_machine *m, uint32_t value) {
    return append_index(m, &m->stack, value, MAX_STACK, "values on the stack");
}

tw_status tw_pickle_push_new(tw_pickle_machine *m, tw_pickle_value value) {
    uint32_t index = 0;
    TW_TRY(tw_pickle_new(m, value, &index));
    return tw_pickle_push(m, index);
}

tw_status tw_pickle_mark(tw_pickle_machine *m) {
    return append_index(m, &m->marks, (uint32_t)m->stack.n, MAX_STACK, "marks on the stack");
}

/* Values above the innermost mark; all when there is none. */
size_t tw_pickle_n_free(const tw_pickle_machine *m) {
    return m->stack.n - (m->marks.n ? m->marks.items[m->marks.n - 1] : 0);
}

tw_status tw_pickle_pop(tw_pickle_machine *m, uint32_t *out) {
    if (tw_pickle_n_free(m) == 0) return tw_pickle_fail(m, "stack underflow");
    *out = m->stack.items[--m->stack.n];
    return TW_OK;
}

tw_status tw_pickle_top(tw_pickle_machine *m, tw_pickle_value **out) {
    if (tw_pickle_n_free(m) == 0) return tw_pickle_fail(m, "stack underflow");
    *out = &m->p->values[m->stack.items[m->stack.n - 1]];
    return TW_OK;
}

/* Removes the innermost mark; *begin is the first stack item above it. */
tw_status tw_pickle_pop_mark(tw_pickle_machine *m, size_t *begin) {
    if (m->marks.n == 0) return tw_pickle_fail(m, "no mark on the stack");
    *begin = m->marks.items[--m->marks.n];
    return TW_OK;
}

/* ---------------------------------------------------------------------------------- containers */

tw_status tw_pickle_append(tw_pickle_machine *m, tw_pickle_value *v, uint32_t item) {
    tw_pickle *p = m->p;
    void *cells = p->cells;
    tw_status status = reserve(m, &cells, p->n_cells, &p->cell_capacity, sizeof *p->cells,
                               MAX_CELLS, "items of containers");
    p->cells = cells;
    if (status != TW_OK) return status;
    uint32_t index = (uint32_t)p->n_cells++;
    p->cells[index] = (tw_pickle_cell){item, 0};
    if (v->u.cells.first)
        p->cells[v->u.cells.last].next = index;
    else
        v->u.cells.first = index;
    v->u.cells.last = index;
    return TW_OK;
}

/* Moves the stack items from `begin` on into a container. What a called object does with items is
 * its own affair: they are dropped. */
static tw_status fill(tw_pickle_machine *m, tw_pickle_value *v, size_t begin,
                      tw_pickle_kind expected) {
    size_t n = m->stack.n - begin;
    if (expected == TW_PICKLE_DICT && n % 2) return tw_pickle_fail(m, "a key without a value");
    if (v->kind == expected) {
        for (size_t i = begin; i < m->stack.n; i++)
            TW_TRY(tw_pickle_append(m, v, m->stack.items[i]));
        v->n += (uint32_t)(expected == TW_PICKLE_DICT ? n / 2 : n);
    } else if (v->kind != TW_PICKLE_CALL) {
        char what[160];
        return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: items for %s", m->op_at,
                       tw_pickle_describe(m->p, v, what, sizeof what));
    }
    m->stack.n = begin;
    return TW_OK;
}

/* TUPLE, LIST, DICT, FROZENSET: a new container of the stack items from `begin` on. */
tw_status tw_pickle_collect(tw_pickle_machine *m, size_t begin, tw_pickle_kind kind) {
    uint32_t index = 0;
    TW_TRY(tw_pickle_new(m, (tw_pickle_value){.kind = (uint8_t)kind}, &index));
    TW_TRY(fill(m, &m->p->values[index], begin, kind));
    return tw_pickle_push(m, index);
}

tw_status tw_pickle_collect_marked(tw_pickle_machine *m, tw_pickle_kind kind) {
    size_t begin = 0;
    TW_TRY(tw_pickle_pop_mark(m, &begin));
    return tw_pickle_collect(m, begin, kind);
}

tw_status tw_pickle_collect_few(tw_pickle_machine *m, size_t n) {
    if (tw_pickle_n_free(m) < n) return tw_pickle_fail(m, "stack underflow");
    return tw_pickle_collect(m, m->stack.n - n, TW_PICKLE_TUPLE);
}

/* APPEND, SETITEM (n items) and, with a mark, APPENDS, SETITEMS, ADDITEMS. */
tw_status tw_pickle_extend(tw_pickle_machine *m, size_t n, bool marked, tw_pickle_kind kind) {
    size_t begin = 0;
    if (marked)
        TW_TRY(tw_pickle_pop_mark(m, &begin));
    else if (tw_pickle_n_free(m) < n)
        return tw_pickle_fail(m, "stack underflow");
    else
        begin = m->stack.n - n;
    size_t floor = m->marks.n ? m->marks.items[m->marks.n - 1] : 0;
    if (begin <= floor) return tw_pickle_fail(m, "stack underflow");
    return fill(m, &m->p->values[m->stack.items[begin - 1]], begin, kind);
}

/* ---------------------------------------------------------------------------------------- memo */

tw_status tw_pickle_memo_put(tw_pickle_machine *m, size_t index) {
    if (index >= MAX_MEMO)
        return tw_fail(m->err, TW_ERR_LIMIT, "byte %zu: memo index %zu, beyond the limit of %zu",
                       m->op_at, index, MAX_MEMO);
    if (tw_pickle_n_free(m) == 0) return tw_pickle_fail(m, "stack underflow");
    void *items = m->memo.items;
    tw_status status = reserve(m, &items, index, &m->memo.capacity, sizeof *m->memo.items, MAX_MEMO,
                               "memo entries");
    m->memo.items = items;
    if (status != TW_OK) return status;
    while (m->memo.n <= index)
        m->memo.items[m->memo.n++] = 0;
    if (m->memo.items[index] == 0) m->n_memoized++;
    m->memo.items[index] = m->stack.items[m->stack.n - 1] + 1;
    return TW_OK;
}

tw_status tw_pickle_memo_get(tw_pickle_machine *m, size_t index) {
    if (index >= m->memo.n || m->memo.items[index] == 0)
        return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: memo index %zu was never stored", m->op_at,
                       index);
    return tw_pickle_push(m, m->memo.items[index] - 1);
}
