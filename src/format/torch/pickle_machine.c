/* The pickle machine: a stack, a memo, and opcodes that make values; see pickle.h. */
#include "base/bytes.h"
#include "base/size.h"
#include "format/torch/pickle.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPCODES ((size_t)1 << 24)
#define MAX_VALUES ((size_t)4 << 20)
#define MAX_CELLS ((size_t)8 << 20)
#define MAX_STACK ((size_t)1 << 20)
#define MAX_MEMO ((size_t)4 << 20)
#define MAX_GLOBAL_NAME 512

/* Values made once, at these indices. */
enum { NONE_VALUE, FALSE_VALUE, TRUE_VALUE, N_FIXED_VALUES };

typedef struct indices {
    uint32_t *items;
    size_t n, capacity;
} indices;

typedef struct machine {
    const uint8_t *data;
    size_t n, at;
    size_t op_at; /* of the opcode at work, for messages */
    tw_pickle *p;
    indices stack;
    indices marks; /* stack heights */
    indices memo;  /* value + 1; 0 = empty */
    uint32_t n_memoized;
    tw_error *err;
} machine;

/* ------------------------------------------------------------------------- growing and failing */

static tw_status fail(machine *m, const char *what) {
    return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: %s", m->op_at, what);
}

static tw_status fail_limit(machine *m, const char *what, size_t limit) {
    return tw_fail(m->err, TW_ERR_LIMIT, "byte %zu: more than %zu %s", m->op_at, limit, what);
}

/* Makes room for item `n` of an array; *items may move. */
static tw_status reserve(machine *m, void **items, size_t n, size_t *capacity, size_t item_bytes,
                         size_t limit, const char *what) {
    if (n < *capacity) return TW_OK;
    if (n >= limit) return fail_limit(m, what, limit);
    size_t grown = TW_MIN(TW_MAX(n + n / 2, 64), limit);
    void *moved = realloc(*items, grown * item_bytes);
    if (!moved) return tw_fail_no_memory(m->err, grown * item_bytes);
    *items = moved;
    *capacity = grown;
    return TW_OK;
}

static tw_status append_index(machine *m, indices *a, uint32_t index, size_t limit,
                              const char *what) {
    void *items = a->items;
    tw_status status = reserve(m, &items, a->n, &a->capacity, sizeof *a->items, limit, what);
    a->items = items;
    if (status == TW_OK) a->items[a->n++] = index;
    return status;
}

static tw_status new_value(machine *m, tw_pickle_value value, uint32_t *out) {
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

static tw_status push(machine *m, uint32_t value) {
    return append_index(m, &m->stack, value, MAX_STACK, "values on the stack");
}

static tw_status push_new(machine *m, tw_pickle_value value) {
    uint32_t index = 0;
    TW_TRY(new_value(m, value, &index));
    return push(m, index);
}

/* Values above the innermost mark; all when there is none. */
static size_t n_free(const machine *m) {
    return m->stack.n - (m->marks.n ? m->marks.items[m->marks.n - 1] : 0);
}

static tw_status pop(machine *m, uint32_t *out) {
    if (n_free(m) == 0) return fail(m, "stack underflow");
    *out = m->stack.items[--m->stack.n];
    return TW_OK;
}

static tw_status top(machine *m, tw_pickle_value **out) {
    if (n_free(m) == 0) return fail(m, "stack underflow");
    *out = &m->p->values[m->stack.items[m->stack.n - 1]];
    return TW_OK;
}

/* Removes the innermost mark; *begin is the first stack item above it. */
static tw_status pop_mark(machine *m, size_t *begin) {
    if (m->marks.n == 0) return fail(m, "no mark on the stack");
    *begin = m->marks.items[--m->marks.n];
    return TW_OK;
}

/* ---------------------------------------------------------------------------------- containers */

static tw_status append_cell(machine *m, tw_pickle_value *v, uint32_t item) {
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
static tw_status fill(machine *m, tw_pickle_value *v, size_t begin, tw_pickle_kind expected) {
    size_t n = m->stack.n - begin;
    if (expected == TW_PICKLE_DICT && n % 2) return fail(m, "a key without a value");
    if (v->kind == expected) {
        for (size_t i = begin; i < m->stack.n; i++)
            TW_TRY(append_cell(m, v, m->stack.items[i]));
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
static tw_status collect(machine *m, size_t begin, tw_pickle_kind kind) {
    uint32_t index = 0;
    TW_TRY(new_value(m, (tw_pickle_value){.kind = (uint8_t)kind}, &index));
    TW_TRY(fill(m, &m->p->values[index], begin, kind));
    return push(m, index);
}

static tw_status collect_marked(machine *m, tw_pickle_kind kind) {
    size_t begin = 0;
    TW_TRY(pop_mark(m, &begin));
    return collect(m, begin, kind);
}

static tw_status collect_few(machine *m, size_t n) {
    if (n_free(m) < n) return fail(m, "stack underflow");
    return collect(m, m->stack.n - n, TW_PICKLE_TUPLE);
}

/* APPEND, SETITEM (n items) and, with a mark, APPENDS, SETITEMS, ADDITEMS. */
static tw_status extend(machine *m, size_t n, bool marked, tw_pickle_kind kind) {
    size_t begin = 0;
    if (marked)
        TW_TRY(pop_mark(m, &begin));
    else if (n_free(m) < n)
        return fail(m, "stack underflow");
    else
        begin = m->stack.n - n;
    size_t floor = m->marks.n ? m->marks.items[m->marks.n - 1] : 0;
    if (begin <= floor) return fail(m, "stack underflow");
    return fill(m, &m->p->values[m->stack.items[begin - 1]], begin, kind);
}

/* --------------------------------------------------------------------------- globals and calls */

/* Modules and functions whose only use in a pickle is an attack. They would never run here; a
 * file that wants them is refused so that its user learns what it is. */
static bool is_hostile(const tw_pickle *p, const tw_pickle_value *global) {
    static const char *const modules[] = {
        "os",    "posix", "nt",     "subprocess", "socket",     "shutil", "importlib",
        "runpy", "pty",   "ctypes", "_ctypes",    "webbrowser", "bdb",    "pdb",
    };
    static const char *const functions[] = {
        "eval", "exec", "execfile", "compile", "open", "__import__", "apply", "breakpoint",
    };
    const tw_pickle_value *module = &p->values[global->u.refs[0]];
    const tw_pickle_value *name = &p->values[global->u.refs[1]];
    for (size_t i = 0; i < TW_COUNT(modules); i++)
        if (tw_pickle_is_string(module, modules[i])) return true;
    if (!tw_pickle_is_string(module, "builtins") && !tw_pickle_is_string(module, "__builtin__"))
        return false;
    for (size_t i = 0; i < TW_COUNT(functions); i++)
        if (tw_pickle_is_string(name, functions[i])) return true;
    return false;
}

static tw_status push_global(machine *m, uint32_t module, uint32_t name) {
    tw_pickle_value global = {.kind = TW_PICKLE_GLOBAL, .u.refs = {module, name}};
    if (is_hostile(m->p, &global)) {
        char what[160];
        return tw_fail(m->err, TW_ERR_FORMAT,
                       "byte %zu: hostile pickle: it asks for %s; nothing was run", m->op_at,
                       tw_pickle_describe(m->p, &global, what, sizeof what));
    }
    return push_new(m, global);
}

static tw_status op_global(machine *m) {
    uint32_t names[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        const uint8_t *line = m->data + m->at;
        const uint8_t *end = memchr(line, '\n', TW_MIN(m->n - m->at, MAX_GLOBAL_NAME));
        if (!end) return fail(m, "name of a global without an end");
        m->at += (size_t)(end - line) + 1;
        tw_pickle_value text = {.kind = TW_PICKLE_STRING, .n = (uint32_t)(end - line)};
        text.u.bytes = line;
        TW_TRY(new_value(m, text, &names[i]));
    }
    return push_global(m, names[0], names[1]);
}

static tw_status op_stack_global(machine *m) {
    uint32_t module = 0, name = 0;
    TW_TRY(pop(m, &name));
    TW_TRY(pop(m, &module));
    if (m->p->values[module].kind != TW_PICKLE_STRING ||
        m->p->values[name].kind != TW_PICKLE_STRING)
        return fail(m, "name of a global that is not a string");
    return push_global(m, module, name);
}

/* OrderedDict() or, as Python 2 wrote it, OrderedDict([[key, value], …]). */
static tw_status push_ordered_dict(machine *m, uint32_t args) {
    uint32_t dict = 0;
    TW_TRY(new_value(m, (tw_pickle_value){.kind = TW_PICKLE_DICT}, &dict));
    const tw_pickle_value *pairs = tw_pickle_item(m->p, &m->p->values[args], 0), *pair;
    if (pairs && pairs->kind != TW_PICKLE_LIST) return fail(m, "OrderedDict of no list");
    for (uint32_t c = pairs ? pairs->u.cells.first : 0; (pair = tw_pickle_next(m->p, &c));) {
        if ((pair->kind != TW_PICKLE_LIST && pair->kind != TW_PICKLE_TUPLE) || pair->n != 2)
            return fail(m, "OrderedDict of something else than pairs");
        uint32_t key = pair->u.cells.first;
        TW_TRY(append_cell(m, &m->p->values[dict], m->p->cells[key].value));
        TW_TRY(append_cell(m, &m->p->values[dict], m->p->cells[pair->u.cells.last].value));
        m->p->values[dict].n++;
    }
    return push(m, dict);
}

static tw_status push_call(machine *m, uint32_t callable, uint32_t args) {
    if (m->p->values[args].kind != TW_PICKLE_TUPLE) return fail(m, "arguments are not a tuple");
    if (tw_pickle_is_global(m->p, &m->p->values[callable], "collections", "OrderedDict"))
        return push_ordered_dict(m, args);
    return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_CALL, .u.refs = {callable, args}});
}

/* REDUCE and NEWOBJ; NEWOBJ_EX has keyword arguments on top, which no tensor is built with. */
static tw_status op_call(machine *m, bool has_keywords) {
    uint32_t callable = 0, args = 0, keywords;
    if (has_keywords) TW_TRY(pop(m, &keywords));
    TW_TRY(pop(m, &args));
    TW_TRY(pop(m, &callable));
    return push_call(m, callable, args);
}

/* OBJ: mark, class, arguments. */
static tw_status op_obj(machine *m) {
    size_t begin = 0;
    TW_TRY(pop_mark(m, &begin));
    if (begin == m->stack.n) return fail(m, "stack underflow");
    uint32_t callable = m->stack.items[begin], args = 0;
    TW_TRY(collect(m, begin + 1, TW_PICKLE_TUPLE));
    args = m->stack.items[begin + 1];
    m->stack.n = begin;
    return push_call(m, callable, args);
}

/* BUILD: the state of an object stays with the call that made it; the attributes of a dict
 * (`_metadata`) are dropped. */
static tw_status op_build(machine *m) {
    uint32_t state = 0;
    tw_pickle_value *object = NULL;
    TW_TRY(pop(m, &state));
    TW_TRY(top(m, &object));
    if (object->kind == TW_PICKLE_CALL) object->n = state;
    return TW_OK;
}

static tw_status op_persistent(machine *m) {
    uint32_t id = 0;
    TW_TRY(pop(m, &id));
    return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_PERSID, .u.refs = {id, id}});
}

/* ---------------------------------------------------------------------------------------- memo */

static tw_status memo_put(machine *m, size_t index) {
    if (index >= MAX_MEMO)
        return tw_fail(m->err, TW_ERR_LIMIT, "byte %zu: memo index %zu, beyond the limit of %zu",
                       m->op_at, index, MAX_MEMO);
    if (n_free(m) == 0) return fail(m, "stack underflow");
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

static tw_status memo_get(machine *m, size_t index) {
    if (index >= m->memo.n || m->memo.items[index] == 0)
        return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: memo index %zu was never stored", m->op_at,
                       index);
    return push(m, m->memo.items[index] - 1);
}

/* ----------------------------------------------------------------------------------- arguments */

static tw_status take(machine *m, uint64_t n, const uint8_t **out) {
    if (n > m->n - m->at)
        return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: %llu bytes wanted, %zu are left", m->op_at,
                       (unsigned long long)n, m->n - m->at);
    *out = m->data + m->at;
    m->at += (size_t)n;
    return TW_OK;
}

/* A little-endian unsigned number of 1, 2, 4 or 8 bytes. */
static tw_status take_uint(machine *m, int n_bytes, uint64_t *out) {
    const uint8_t *p = NULL;
    TW_TRY(take(m, (uint64_t)n_bytes, &p));
    *out = 0;
    for (int i = n_bytes; i-- > 0;)
        *out = *out << 8 | p[i];
    return TW_OK;
}

static tw_status op_bytes(machine *m, int length_bytes, tw_pickle_kind kind) {
    uint64_t n = 0;
    const uint8_t *p = NULL;
    TW_TRY(take_uint(m, length_bytes, &n));
    TW_TRY(take(m, n, &p));
    if (n > UINT32_MAX) return fail_limit(m, "bytes in a string", UINT32_MAX);
    return push_new(m, (tw_pickle_value){.kind = (uint8_t)kind, .n = (uint32_t)n, .u.bytes = p});
}

static tw_status op_int(machine *m, int n_bytes) {
    uint64_t u = 0;
    TW_TRY(take_uint(m, n_bytes, &u));
    int64_t i = n_bytes == 4 ? (int64_t)(int32_t)(uint32_t)u : (int64_t)u;
    return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_INT, .u.integer = i});
}

static tw_status op_long(machine *m, int length_bytes) {
    uint64_t n = 0;
    const uint8_t *p = NULL;
    TW_TRY(take_uint(m, length_bytes, &n));
    if (length_bytes == 4 && n > INT32_MAX) return fail(m, "integer of negative length");
    TW_TRY(take(m, n, &p));
    if (n > 8)
        return push_new(m,
                        (tw_pickle_value){.kind = TW_PICKLE_LONG, .n = (uint32_t)n, .u.bytes = p});
    uint64_t u = n > 0 && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)n; i-- > 0;)
        u = u << 8 | p[i];
    return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_INT, .u.integer = (int64_t)u});
}

static tw_status op_float(machine *m) {
    const uint8_t *p = NULL;
    TW_TRY(take(m, 8, &p));
    uint64_t bits = tw_load_u64be(p);
    tw_pickle_value v = {.kind = TW_PICKLE_FLOAT};
    memcpy(&v.u.number, &bits, sizeof bits);
    return push_new(m, v);
}

static tw_status op_proto(machine *m) {
    uint64_t version = 0;
    TW_TRY(take_uint(m, 1, &version));
    if (version <= 5) return TW_OK;
    return tw_fail(m->err, TW_ERR_UNSUPPORTED, "byte %zu: pickle protocol %llu, expected 2 to 5",
                   m->op_at, (unsigned long long)version);
}

/* A frame only announces how many bytes to read ahead. */
static tw_status op_frame(machine *m) {
    uint64_t n = 0;
    TW_TRY(take_uint(m, 8, &n));
    return n <= m->n - m->at ? TW_OK : fail(m, "frame beyond the end");
}

/* ----------------------------------------------------------------------------------- the machine
 */

static tw_status step_string(machine *m, uint8_t op, bool *known) {
    static const struct {
        uint8_t op, length_bytes, kind;
    } ops[] = {
        {'X', 4, TW_PICKLE_STRING},  /* BINUNICODE */
        {0x8c, 1, TW_PICKLE_STRING}, /* SHORT_BINUNICODE */
        {0x8d, 8, TW_PICKLE_STRING}, /* BINUNICODE8 */
        {'T', 4, TW_PICKLE_STRING},  /* BINSTRING */
        {'U', 1, TW_PICKLE_STRING},  /* SHORT_BINSTRING */
        {'B', 4, TW_PICKLE_BYTES},   /* BINBYTES */
        {'C', 1, TW_PICKLE_BYTES},   /* SHORT_BINBYTES */
        {0x8e, 8, TW_PICKLE_BYTES},  /* BINBYTES8 */
        {0x96, 8, TW_PICKLE_BYTES},  /* BYTEARRAY8 */
    };
    for (size_t i = 0; i < TW_COUNT(ops); i++)
        if (ops[i].op == op) return op_bytes(m, ops[i].length_bytes, ops[i].kind);
    *known = false;
    return TW_OK;
}

static tw_status step_scalar(machine *m, uint8_t op, bool *known) {
    switch (op) {
    case 'N':
        return push(m, NONE_VALUE);
    case 0x88:
        return push(m, TRUE_VALUE);
    case 0x89:
        return push(m, FALSE_VALUE);
    case 'K':
        return op_int(m, 1);
    case 'M':
        return op_int(m, 2);
    case 'J':
        return op_int(m, 4);
    case 0x8a:
        return op_long(m, 1);
    case 0x8b:
        return op_long(m, 4);
    case 'G':
        return op_float(m);
    default:
        *known = false;
        return TW_OK;
    }
}

static tw_status step_container(machine *m, uint8_t op, bool *known) {
    switch (op) {
    case ')':
        return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_TUPLE});
    case ']':
        return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_LIST});
    case '}':
        return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_DICT});
    case 0x8f:
        return push_new(m, (tw_pickle_value){.kind = TW_PICKLE_SET});
    case 't':
        return collect_marked(m, TW_PICKLE_TUPLE);
    case 'l':
        return collect_marked(m, TW_PICKLE_LIST);
    case 'd':
        return collect_marked(m, TW_PICKLE_DICT);
    case 0x91:
        return collect_marked(m, TW_PICKLE_SET); /* FROZENSET */
    case 0x85:
        return collect_few(m, 1);
    case 0x86:
        return collect_few(m, 2);
    case 0x87:
        return collect_few(m, 3);
    case 'a':
        return extend(m, 1, false, TW_PICKLE_LIST);
    case 's':
        return extend(m, 2, false, TW_PICKLE_DICT);
    case 'e':
        return extend(m, 0, true, TW_PICKLE_LIST);
    case 'u':
        return extend(m, 0, true, TW_PICKLE_DICT);
    case 0x90:
        return extend(m, 0, true, TW_PICKLE_SET); /* ADDITEMS */
    default:
        *known = false;
        return TW_OK;
    }
}

static tw_status step_memo_put(machine *m, int n_bytes) {
    uint64_t index = 0;
    TW_TRY(take_uint(m, n_bytes, &index));
    return memo_put(m, (size_t)index);
}

static tw_status step_memo_get(machine *m, int n_bytes) {
    uint64_t index = 0;
    TW_TRY(take_uint(m, n_bytes, &index));
    return memo_get(m, (size_t)index);
}

static tw_status step_pop_mark(machine *m) {
    size_t begin = 0;
    TW_TRY(pop_mark(m, &begin));
    m->stack.n = begin;
    return TW_OK;
}

static tw_status step_pop(machine *m) {
    uint32_t dropped;
    if (n_free(m) == 0 && m->marks.n) return step_pop_mark(m);
    return pop(m, &dropped);
}

static tw_status step_dup(machine *m) {
    if (n_free(m) == 0) return fail(m, "stack underflow");
    return push(m, m->stack.items[m->stack.n - 1]);
}

static tw_status step(machine *m, uint8_t op) {
    bool known = true;
    tw_status status = step_scalar(m, op, &known);
    if (known) return status;
    known = true;
    status = step_string(m, op, &known);
    if (known) return status;
    known = true;
    status = step_container(m, op, &known);
    if (known) return status;
    switch (op) {
    case 0x80:
        return op_proto(m);
    case 0x95:
        return op_frame(m);
    case '(':
        return append_index(m, &m->marks, (uint32_t)m->stack.n, MAX_STACK, "marks on the stack");
    case '0':
        return step_pop(m);
    case '1':
        return step_pop_mark(m);
    case '2':
        return step_dup(m);
    case 'q':
        return step_memo_put(m, 1);
    case 'r':
        return step_memo_put(m, 4);
    case 0x94:
        return memo_put(m, m->n_memoized); /* MEMOIZE */
    case 'h':
        return step_memo_get(m, 1);
    case 'j':
        return step_memo_get(m, 4);
    case 'c':
        return op_global(m);
    case 0x93:
        return op_stack_global(m);
    case 'R':
        return op_call(m, false);
    case 0x81:
        return op_call(m, false); /* NEWOBJ */
    case 0x92:
        return op_call(m, true); /* NEWOBJ_EX */
    case 'o':
        return op_obj(m);
    case 'b':
        return op_build(m);
    case 'Q':
        return op_persistent(m);
    default:
        return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: 0x%02x is no opcode of a checkpoint",
                       m->op_at, op);
    }
}

static tw_status run(machine *m) {
    static const tw_pickle_value fixed[N_FIXED_VALUES] = {
        [NONE_VALUE] = {.kind = TW_PICKLE_NONE},
        [FALSE_VALUE] = {.kind = TW_PICKLE_BOOL, .u.boolean = false},
        [TRUE_VALUE] = {.kind = TW_PICKLE_BOOL, .u.boolean = true},
    };
    uint32_t index;
    for (int i = 0; i < N_FIXED_VALUES; i++)
        TW_TRY(new_value(m, fixed[i], &index));
    m->p->n_cells = 1;
    for (size_t n_ops = 0; n_ops < MAX_OPCODES; n_ops++) {
        m->op_at = m->at;
        if (m->at == m->n) return fail(m, "pickle without its end");
        uint8_t op = m->data[m->at++];
        if (op == '.') return pop(m, &m->p->root);
        TW_TRY(step(m, op));
    }
    return fail_limit(m, "opcodes", MAX_OPCODES);
}

tw_status tw_pickle_parse(const void *data, size_t n_bytes, tw_pickle **out, size_t *n_used,
                          tw_error *err) {
    *out = NULL;
    tw_pickle *p = calloc(1, sizeof *p);
    if (!p) return tw_fail_no_memory(err, sizeof *p);
    machine m = {.data = data, .n = n_bytes, .p = p, .err = err};
    tw_status status = run(&m);
    free(m.stack.items);
    free(m.marks.items);
    free(m.memo.items);
    if (status != TW_OK) {
        tw_pickle_free(p);
        return status;
    }
    if (n_used) *n_used = m.at;
    *out = p;
    return TW_OK;
}
