#include "format/torch/pickle.h"

#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tw_pickle_free(tw_pickle *pickle) {
    if (!pickle) return;
    free(pickle->values);
    free(pickle->cells);
    free(pickle);
}

const tw_pickle_value *tw_pickle_root(const tw_pickle *p) {
    return &p->values[p->root];
}

const tw_pickle_value *tw_pickle_next(const tw_pickle *p, uint32_t *at) {
    if (*at == 0) return NULL;
    tw_pickle_cell c = p->cells[*at];
    *at = c.next;
    return &p->values[c.value];
}

const tw_pickle_value *tw_pickle_item(const tw_pickle *p, const tw_pickle_value *sequence,
                                      uint32_t index) {
    if ((sequence->kind != TW_PICKLE_TUPLE && sequence->kind != TW_PICKLE_LIST) ||
        index >= sequence->n)
        return NULL;
    uint32_t at = sequence->u.cells.first;
    for (; index > 0; index--)
        at = p->cells[at].next;
    return tw_pickle_next(p, &at);
}

const tw_pickle_value *tw_pickle_state(const tw_pickle *p, const tw_pickle_value *call) {
    return call->kind == TW_PICKLE_CALL && call->n ? &p->values[call->n] : NULL;
}

const tw_pickle_value *tw_pickle_get(const tw_pickle *p, const tw_pickle_value *dict,
                                     const char *key) {
    if (dict->kind != TW_PICKLE_DICT) return NULL;
    const tw_pickle_value *found = NULL, *k;
    for (uint32_t c = dict->u.cells.first; (k = tw_pickle_next(p, &c));) {
        const tw_pickle_value *v = tw_pickle_next(p, &c);
        if (tw_pickle_is_string(k, key)) found = v;
    }
    return found;
}

bool tw_pickle_is_string(const tw_pickle_value *v, const char *s) {
    size_t n = strlen(s);
    return v->kind == TW_PICKLE_STRING && v->n == n && memcmp(v->u.bytes, s, n) == 0;
}

bool tw_pickle_is_global(const tw_pickle *p, const tw_pickle_value *v, const char *module,
                         const char *name) {
    return v->kind == TW_PICKLE_GLOBAL && tw_pickle_is_string(&p->values[v->u.refs[0]], module) &&
           tw_pickle_is_string(&p->values[v->u.refs[1]], name);
}

/* The part of a name that a message shows. */
static void ascii_text(const tw_pickle_value *v, char out[64]) {
    size_t n = TW_MIN(v->n, 63);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(v->u.bytes[i] < 0x80 ? v->u.bytes[i] : '?');
    out[n] = '\0';
}

const char *tw_pickle_describe(const tw_pickle *p, const tw_pickle_value *v, char *buf,
                               size_t n_buf) {
    static const char *const names[] = {
        "None",     "a boolean",   "an integer", "a big integer",   "a float",
        "a string", "bytes",       "a tuple",    "a list",          "a dict",
        "a set",    "the global ", "a call of ", "a persistent id",
    };
    const tw_pickle_value *global = v->kind == TW_PICKLE_CALL ? &p->values[v->u.refs[0]] : v;
    if (global->kind != TW_PICKLE_GLOBAL) {
        snprintf(buf, n_buf, "%s", v->kind == TW_PICKLE_CALL ? "a call" : names[v->kind]);
        return buf;
    }
    char module[64], name[64];
    ascii_text(&p->values[global->u.refs[0]], module);
    ascii_text(&p->values[global->u.refs[1]], name);
    snprintf(buf, n_buf, "%s%s.%s", names[v->kind], module, name);
    return buf;
}
