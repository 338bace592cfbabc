/* The pickle machine: opcodes that make values; see pickle.h. */
#include "base/bytes.h"
#include "base/size.h"
#include "format/torch/pickle_stack.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPCODES ((size_t)1 << 24)
#define MAX_GLOBAL_NAME 512

/* Values made once, at these indices. */
enum { NONE_VALUE, FALSE_VALUE, TRUE_VALUE, N_FIXED_VALUES };

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

static tw_status push_global(tw_pickle_machine *m, uint32_t module, uint32_t name) {
    tw_pickle_value global = {.kind = TW_PICKLE_GLOBAL, .u.refs = {module, name}};
    if (is_hostile(m->p, &global)) {
        char what[160];
        return tw_fail(m->err, TW_ERR_FORMAT,
                       "byte %zu: hostile pickle: it asks for %s; nothing was run", m->op_at,
                       tw_pickle_describe(m->p, &global, what, sizeof what));
    }
    return tw_pickle_push_new(m, global);
}

static tw_status op_global(tw_pickle_machine *m) {
    uint32_t names[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        const uint8_t *line = m->data + m->at;
        const uint8_t *end = memchr(line, '\n', TW_MIN(m->n - m->at, MAX_GLOBAL_NAME));
        if (!end) return tw_pickle_fail(m, "name of a global without an end");
        m->at += (size_t)(end - line) + 1;
        tw_pickle_value text = {.kind = TW_PICKLE_STRING, .n = (uint32_t)(end - line)};
        text.u.bytes = line;
        TW_TRY(tw_pickle_new(m, text, &names[i]));
    }
    return push_global(m, names[0], names[1]);
}

static tw_status op_stack_global(tw_pickle_machine *m) {
    uint32_t module = 0, name = 0;
    TW_TRY(tw_pickle_pop(m, &name));
    TW_TRY(tw_pickle_pop(m, &module));
    if (m->p->values[module].kind != TW_PICKLE_STRING ||
        m->p->values[name].kind != TW_PICKLE_STRING)
        return tw_pickle_fail(m, "name of a global that is not a string");
    return push_global(m, module, name);
}

/* OrderedDict() or, as Python 2 wrote it, OrderedDict([[key, value], …]). */
static tw_status push_ordered_dict(tw_pickle_machine *m, uint32_t args) {
    uint32_t dict = 0;
    TW_TRY(tw_pickle_new(m, (tw_pickle_value){.kind = TW_PICKLE_DICT}, &dict));
    const tw_pickle_value *pairs = tw_pickle_item(m->p, &m->p->values[args], 0), *pair;
    if (pairs && pairs->kind != TW_PICKLE_LIST) return tw_pickle_fail(m, "OrderedDict of no list");
    for (uint32_t c = pairs ? pairs->u.cells.first : 0; (pair = tw_pickle_next(m->p, &c));) {
        if ((pair->kind != TW_PICKLE_LIST && pair->kind != TW_PICKLE_TUPLE) || pair->n != 2)
            return tw_pickle_fail(m, "OrderedDict of something else than pairs");
        uint32_t key = pair->u.cells.first;
        TW_TRY(tw_pickle_append(m, &m->p->values[dict], m->p->cells[key].value));
        TW_TRY(tw_pickle_append(m, &m->p->values[dict], m->p->cells[pair->u.cells.last].value));
        m->p->values[dict].n++;
    }
    return tw_pickle_push(m, dict);
}

static tw_status push_call(tw_pickle_machine *m, uint32_t callable, uint32_t args) {
    if (m->p->values[args].kind != TW_PICKLE_TUPLE)
        return tw_pickle_fail(m, "arguments are not a tuple");
    if (tw_pickle_is_global(m->p, &m->p->values[callable], "collections", "OrderedDict"))
        return push_ordered_dict(m, args);
    return tw_pickle_push_new(
        m, (tw_pickle_value){.kind = TW_PICKLE_CALL, .u.refs = {callable, args}});
}

/* REDUCE and NEWOBJ; NEWOBJ_EX has keyword arguments on top, which no tensor is built with. */
static tw_status op_call(tw_pickle_machine *m, bool has_keywords) {
    uint32_t callable = 0, args = 0, keywords;
    if (has_keywords) TW_TRY(tw_pickle_pop(m, &keywords));
    TW_TRY(tw_pickle_pop(m, &args));
    TW_TRY(tw_pickle_pop(m, &callable));
    return push_call(m, callable, args);
}

/* OBJ: mark, class, arguments. */
static tw_status op_obj(tw_pickle_machine *m) {
    size_t begin = 0;
    TW_TRY(tw_pickle_pop_mark(m, &begin));
    if (begin == m->stack.n) return tw_pickle_fail(m, "stack underflow");
    uint32_t callable = m->stack.items[begin], args = 0;
    TW_TRY(tw_pickle_collect(m, begin + 1, TW_PICKLE_TUPLE));
    args = m->stack.items[begin + 1];
    m->stack.n = begin;
    return push_call(m, callable, args);
}

/* BUILD: the state of an object stays with the call that made it; the attributes of a dict
 * (`_metadata`) are dropped. */
static tw_status op_build(tw_pickle_machine *m) {
    uint32_t state = 0;
    tw_pickle_value *object = NULL;
    TW_TRY(tw_pickle_pop(m, &state));
    TW_TRY(tw_pickle_top(m, &object));
    if (object->kind == TW_PICKLE_CALL) object->n = state;
    return TW_OK;
}

static tw_status op_persistent(tw_pickle_machine *m) {
    uint32_t id = 0;
    TW_TRY(tw_pickle_pop(m, &id));
    return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_PERSID, .u.refs = {id, id}});
}

/* ----------------------------------------------------------------------------------- arguments */

static tw_status take(tw_pickle_machine *m, uint64_t n, const uint8_t **out) {
    if (n > m->n - m->at)
        return tw_fail(m->err, TW_ERR_FORMAT, "byte %zu: %llu bytes wanted, %zu are left", m->op_at,
                       (unsigned long long)n, m->n - m->at);
    *out = m->data + m->at;
    m->at += (size_t)n;
    return TW_OK;
}

/* A little-endian unsigned number of 1, 2, 4 or 8 bytes. */
static tw_status take_uint(tw_pickle_machine *m, int n_bytes, uint64_t *out) {
    const uint8_t *p = NULL;
    TW_TRY(take(m, (uint64_t)n_bytes, &p));
    *out = 0;
    for (int i = n_bytes; i-- > 0;)
        *out = *out << 8 | p[i];
    return TW_OK;
}

static tw_status op_bytes(tw_pickle_machine *m, int length_bytes, tw_pickle_kind kind) {
    uint64_t n = 0;
    const uint8_t *p = NULL;
    TW_TRY(take_uint(m, length_bytes, &n));
    TW_TRY(take(m, n, &p));
    if (n > UINT32_MAX) return tw_pickle_fail_limit(m, "bytes in a string", UINT32_MAX);
    return tw_pickle_push_new(
        m, (tw_pickle_value){.kind = (uint8_t)kind, .n = (uint32_t)n, .u.bytes = p});
}

static tw_status op_int(tw_pickle_machine *m, int n_bytes) {
    uint64_t u = 0;
    TW_TRY(take_uint(m, n_bytes, &u));
    int64_t i = n_bytes == 4 ? (int64_t)(int32_t)(uint32_t)u : (int64_t)u;
    return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_INT, .u.integer = i});
}

static tw_status op_long(tw_pickle_machine *m, int length_bytes) {
    uint64_t n = 0;
    const uint8_t *p = NULL;
    TW_TRY(take_uint(m, length_bytes, &n));
    if (length_bytes == 4 && n > INT32_MAX) return tw_pickle_fail(m, "integer of negative length");
    TW_TRY(take(m, n, &p));
    if (n > 8)
        return tw_pickle_push_new(
            m, (tw_pickle_value){.kind = TW_PICKLE_LONG, .n = (uint32_t)n, .u.bytes = p});
    uint64_t u = n > 0 && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)n; i-- > 0;)
        u = u << 8 | p[i];
    return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_INT, .u.integer = (int64_t)u});
}

static tw_status op_float(tw_pickle_machine *m) {
    const uint8_t *p = NULL;
    TW_TRY(take(m, 8, &p));
    uint64_t bits = tw_load_u64be(p);
    tw_pickle_value v = {.kind = TW_PICKLE_FLOAT};
    memcpy(&v.u.number, &bits, sizeof bits);
    return tw_pickle_push_new(m, v);
}

static tw_status op_proto(tw_pickle_machine *m) {
    uint64_t version = 0;
    TW_TRY(take_uint(m, 1, &version));
    if (version <= 5) return TW_OK;
    return tw_fail(m->err, TW_ERR_UNSUPPORTED, "byte %zu: pickle protocol %llu, expected 2 to 5",
                   m->op_at, (unsigned long long)version);
}

/* A frame only announces how many bytes to read ahead. */
static tw_status op_frame(tw_pickle_machine *m) {
    uint64_t n = 0;
    TW_TRY(take_uint(m, 8, &n));
    return n <= m->n - m->at ? TW_OK : tw_pickle_fail(m, "frame beyond the end");
}

/* ----------------------------------------------------------------------------------- the machine
 */

static tw_status step_string(tw_pickle_machine *m, uint8_t op, bool *known) {
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

static tw_status step_scalar(tw_pickle_machine *m, uint8_t op, bool *known) {
    switch (op) {
    case 'N':
        return tw_pickle_push(m, NONE_VALUE);
    case 0x88:
        return tw_pickle_push(m, TRUE_VALUE);
    case 0x89:
        return tw_pickle_push(m, FALSE_VALUE);
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

static tw_status step_container(tw_pickle_machine *m, uint8_t op, bool *known) {
    switch (op) {
    case ')':
        return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_TUPLE});
    case ']':
        return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_LIST});
    case '}':
        return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_DICT});
    case 0x8f:
        return tw_pickle_push_new(m, (tw_pickle_value){.kind = TW_PICKLE_SET});
    case 't':
        return tw_pickle_collect_marked(m, TW_PICKLE_TUPLE);
    case 'l':
        return tw_pickle_collect_marked(m, TW_PICKLE_LIST);
    case 'd':
        return tw_pickle_collect_marked(m, TW_PICKLE_DICT);
    case 0x91:
        return tw_pickle_collect_marked(m, TW_PICKLE_SET); /* FROZENSET */
    case 0x85:
        return tw_pickle_collect_few(m, 1);
    case 0x86:
        return tw_pickle_collect_few(m, 2);
    case 0x87:
        return tw_pickle_collect_few(m, 3);
    case 'a':
        return tw_pickle_extend(m, 1, false, TW_PICKLE_LIST);
    case 's':
        return tw_pickle_extend(m, 2, false, TW_PICKLE_DICT);
    case 'e':
        return tw_pickle_extend(m, 0, true, TW_PICKLE_LIST);
    case 'u':
        return tw_pickle_extend(m, 0, true, TW_PICKLE_DICT);
    case 0x90:
        return tw_pickle_extend(m, 0, true, TW_PICKLE_SET); /* ADDITEMS */
    default:
        *known = false;
        return TW_OK;
    }
}

static tw_status step_memo_put(tw_pickle_machine *m, int n_bytes) {
    uint64_t index = 0;
    TW_TRY(take_uint(m, n_bytes, &index));
    return tw_pickle_memo_put(m, (size_t)index);
}

static tw_status step_memo_get(tw_pickle_machine *m, int n_bytes) {
    uint64_t index = 0;
    TW_TRY(take_uint(m, n_bytes, &index));
    return tw_pickle_memo_get(m, (size_t)index);
}

static tw_status step_pop_mark(tw_pickle_machine *m) {
    size_t begin = 0;
    TW_TRY(tw_pickle_pop_mark(m, &begin));
    m->stack.n = begin;
    return TW_OK;
}

static tw_status step_pop(tw_pickle_machine *m) {
    uint32_t dropped;
    if (tw_pickle_n_free(m) == 0 && m->marks.n) return step_pop_mark(m);
    return tw_pickle_pop(m, &dropped);
}

static tw_status step_dup(tw_pickle_machine *m) {
    if (tw_pickle_n_free(m) == 0) return tw_pickle_fail(m, "stack underflow");
    return tw_pickle_push(m, m->stack.items[m->stack.n - 1]);
}

static tw_status step(tw_pickle_machine *m, uint8_t op) {
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
        return tw_pickle_mark(m);
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
        return tw_pickle_memo_put(m, m->n_memoized); /* MEMOIZE */
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

static tw_status run(tw_pickle_machine *m) {
    static const tw_pickle_value fixed[N_FIXED_VALUES] = {
        [NONE_VALUE] = {.kind = TW_PICKLE_NONE},
        [FALSE_VALUE] = {.kind = TW_PICKLE_BOOL, .u.boolean = false},
        [TRUE_VALUE] = {.kind = TW_PICKLE_BOOL, .u.boolean = true},
    };
    uint32_t index;
    for (int i = 0; i < N_FIXED_VALUES; i++)
        TW_TRY(tw_pickle_new(m, fixed[i], &index));
    m->p->n_cells = 1;
    for (size_t n_ops = 0; n_ops < MAX_OPCODES; n_ops++) {
        m->op_at = m->at;
        if (m->at == m->n) return tw_pickle_fail(m, "pickle without its end");
        uint8_t op = m->data[m->at++];
        if (op == '.') return tw_pickle_pop(m, &m->p->root);
        TW_TRY(step(m, op));
    }
    return tw_pickle_fail_limit(m, "opcodes", MAX_OPCODES);
}

tw_status tw_pickle_parse(const void *data, size_t n_bytes, tw_pickle **out, size_t *n_used,
                          tw_error *err) {
    *out = NULL;
    tw_pickle *p = calloc(1, sizeof *p);
    if (!p) return tw_fail_no_memory(err, sizeof *p);
    tw_pickle_machine m = {.data = data, .n = n_bytes, .p = p, .err = err};
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
