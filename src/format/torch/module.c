/* The tensors of a TorchScript module. Its pickle is a tree of objects whose state is a dict of
 * attributes: tensors, further objects, and settings that no weight depends on.
 * Source: torch/csrc/jit/serialization/pickler.cpp (pushIValueImpl, objects). */
#include "base/size.h"
#include "format/torch/rebuild.h"

#include <string.h>

#define MAX_DEPTH 32 /* OpenAI's deepest tensor lies 6 modules down */
#define MAX_ATTRIBUTES ((size_t)1 << 18)

/* A module whose attributes are being walked. */
typedef struct level {
    uint32_t cell;   /* of the next attribute */
    size_t n_prefix; /* bytes of the path that lead to this module, with the dot */
} level;

typedef struct walk {
    const tw_torch_source *source;
    tw_tensor_list *out;
    level levels[MAX_DEPTH];
    int depth;
    char path[TW_MAX_TENSOR_NAME + 1];
    size_t n_attributes;
    tw_error *err;
} walk;

bool tw_torch_is_module(const tw_pickle *p, const tw_pickle_value *v) {
    static const char package[] = "__torch__";
    if (v->kind != TW_PICKLE_CALL) return false;
    const tw_pickle_value *global = &p->values[v->u.refs[0]];
    if (global->kind != TW_PICKLE_GLOBAL) return false;
    const tw_pickle_value *module = &p->values[global->u.refs[0]];
    size_t n = sizeof package - 1;
    return module->n >= n && memcmp(module->u.bytes, package, n) == 0 &&
           (module->n == n || module->u.bytes[n] == '.');
}

/* Goes down into a module; one without attributes has nothing to walk. */
static tw_status enter(walk *w, const tw_pickle_value *module, size_t n_prefix) {
    const tw_pickle_value *state = tw_pickle_state(w->source->pickle, module);
    if (!state || state->kind != TW_PICKLE_DICT) return TW_OK;
    if (w->depth == MAX_DEPTH)
        return tw_fail(w->err, TW_ERR_LIMIT, "modules %d deep at \"%.*s\"", MAX_DEPTH,
                       (int)TW_MIN(n_prefix, 80), w->path);
    w->levels[w->depth++] = (level){state->u.cells.first, n_prefix};
    return TW_OK;
}

/* The path to an attribute of the innermost module, into w->path. */
static tw_status set_path(walk *w, const tw_pickle_value *key, size_t *n_path) {
    size_t n_prefix = w->levels[w->depth - 1].n_prefix;
    if (!tw_add_size(n_prefix, key->n, n_path) || *n_path >= TW_MAX_TENSOR_NAME)
        return tw_fail(w->err, TW_ERR_LIMIT,
                       "path of attributes of %zu bytes, more than the limit of %d",
                       n_prefix + key->n, TW_MAX_TENSOR_NAME - 1);
    memcpy(w->path + n_prefix, key->u.bytes, key->n);
    return TW_OK;
}

static tw_status visit(walk *w, const tw_pickle_value *key, const tw_pickle_value *value) {
    const tw_pickle *p = w->source->pickle;
    size_t n_path = 0;
    /* Modules that occur many times make a small file a huge tree. */
    if (++w->n_attributes > MAX_ATTRIBUTES)
        return tw_fail(w->err, TW_ERR_LIMIT, "more than %zu attributes of modules", MAX_ATTRIBUTES);
    if (key->kind != TW_PICKLE_STRING) return TW_OK;
    if (value->kind == TW_PICKLE_INT && w->depth == 1)
        return tw_tensor_list_add_int(w->out, key->u.bytes, key->n, value->u.integer, w->err);
    if (value->kind != TW_PICKLE_CALL) return TW_OK;
    TW_TRY(set_path(w, key, &n_path));
    if (!tw_torch_is_module(p, value))
        return tw_torch_add(w->source, w->path, n_path, value, w->out, w->err);
    w->path[n_path] = '.';
    return enter(w, value, n_path + 1);
}

tw_status tw_torch_collect_module(const tw_torch_source *source, const tw_pickle_value *module,
                                  tw_tensor_list *out, tw_error *err) {
    walk w = {.source = source, .out = out, .err = err};
    TW_TRY(enter(&w, module, 0));
    while (w.depth > 0) {
        level *l = &w.levels[w.depth - 1];
        const tw_pickle_value *key = tw_pickle_next(source->pickle, &l->cell);
        if (!key) {
            w.depth--;
            continue;
        }
        const tw_pickle_value *value = tw_pickle_next(source->pickle, &l->cell);
        TW_TRY(visit(&w, key, value));
    }
    out->format = "torchscript";
    if (out->n == 0) return tw_fail(err, TW_ERR_FORMAT, "no tensor in the TorchScript module");
    return TW_OK;
}
