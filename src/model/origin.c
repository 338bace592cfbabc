#include "model/origin.h"

#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 256 /* bytes of a name that a rule can make */

typedef struct entry {
    const char *name; /* without "module." */
    const tw_tensor *tensor;
    bool used;
} entry;

struct tw_origin {
    entry *entries;  /* order of the checkpoint */
    entry **by_name; /* sorted */
    size_t n;
    const tw_family *family;
};

/* -------------------------------------------------------------------------------------- lookup */

static int compare_entries(const void *a, const void *b) {
    return strcmp((*(entry *const *)a)->name, (*(entry *const *)b)->name);
}

static entry *look_up(const tw_origin *s, const char *name) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->by_name[middle]->name, name);
        if (order == 0) return s->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* `*` stands for anything, once, anywhere. */
static bool glob(const char *pattern, const char *name) {
    const char *star = strchr(pattern, '*');
    if (!star) return strcmp(pattern, name) == 0;
    size_t n_head = (size_t)(star - pattern), n_tail = strlen(star + 1), n = strlen(name);
    return n >= n_head + n_tail && memcmp(pattern, name, n_head) == 0 &&
           memcmp(star + 1, name + n - n_tail, n_tail) == 0;
}

static bool glob_any(const char *const *patterns, const char *name) {
    for (; patterns && *patterns; patterns++)
        if (glob(*patterns, name)) return true;
    return false;
}

static bool prefix_any(const char *const *prefixes, const char *name) {
    for (; prefixes && *prefixes; prefixes++)
        if (strncmp(name, *prefixes, strlen(*prefixes)) == 0) return true;
    return false;
}

/* ------------------------------------------------------------------------------------- creation */

static bool has_any(const tw_origin *s, const char *const *patterns) {
    for (size_t i = 0; patterns && i < s->n; i++)
        if (glob_any(patterns, s->entries[i].name)) return true;
    return false;
}

static tw_status detect_family(tw_origin *s, tw_error *err) {
    const tw_family *const *f;
    for (f = tw_families; *f; f++)
        if (has_any(s, (*f)->text_signatures)) break;
    if (!*f)
        for (f = tw_families; *f; f++)
            if (has_any(s, (*f)->vision_signatures)) break;
    if (!*f)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "not a CLIP checkpoint: %zu tensors, the first is '%s', none is '%s' or "
                       "'token_embedding.weight'",
                       s->n, s->entries[0].tensor->name, tw_families[0]->text_signatures[0]);
    if (!(*f)->rules)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "this is a%s %s checkpoint; only Chinese-CLIP, OpenAI CLIP and open_clip's "
                       "CLIP ones are read",
                       strchr("AEIOaeio", (*f)->title[0]) ? "n" : "", (*f)->title);
    s->family = *f;
    return TW_OK;
}

static tw_status fill(tw_origin *s, const tw_tensor *const *tensors, tw_error *err) {
    static const char prefix[] = "module.";
    size_t n_prefix = sizeof prefix - 1;
    bool strip = strncmp(tensors[0]->name, prefix, n_prefix) == 0;
    for (size_t i = 0; i < s->n; i++) {
        const char *name = tensors[i]->name;
        if (strip && strncmp(name, prefix, n_prefix) == 0) name += n_prefix;
        s->entries[i] = (entry){name, tensors[i], false};
        s->by_name[i] = &s->entries[i];
    }
    qsort(s->by_name, s->n, sizeof *s->by_name, compare_entries);
    for (size_t i = 1; i < s->n; i++)
        if (strcmp(s->by_name[i - 1]->name, s->by_name[i]->name) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' occurs twice", s->by_name[i]->name);
    return TW_OK;
}

tw_status tw_origin_create(const tw_tensor *const *tensors, size_t n_tensors, tw_origin **out,
                           tw_error *err) {
    *out = NULL;
    if (n_tensors == 0) return tw_fail(err, TW_ERR_FORMAT, "the checkpoint has no tensors");
    tw_origin *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    tw_status status;
    s->n = n_tensors;
    s->entries = calloc(n_tensors, sizeof *s->entries);
    s->by_name = calloc(n_tensors, sizeof *s->by_name);
    if (!s->entries || !s->by_name) {
        status = tw_fail_no_memory(err, n_tensors * sizeof *s->entries);
        goto done;
    }
    TW_CHECK(fill(s, tensors, err));
    TW_CHECK(detect_family(s, err));
    *out = s;
    s = NULL;
done:
    tw_origin_free(s);
    return status;
}

void tw_origin_free(tw_origin *origin) {
    if (!origin) return;
    free(origin->entries);
    free(origin->by_name);
    free(origin);
}

const tw_family *tw_origin_family(const tw_origin *origin) {
    return origin->family;
}

/* --------------------------------------------------------------------------------------- rules */

/* What the variables of a pattern stood for: pieces of the matched name. */
typedef struct match {
    const char *piece[4]; /* {i} {s} {b} * */
    size_t n[4];
} match;

static int variable(const char *p) {
    if (*p == '*') return 3;
    if (p[0] != '{') return -1;
    return p[1] == 'i' ? 0 : p[1] == 's' ? 1 : 2;
}

static bool match_name(const char *pattern, const char *name, match *m) {
    while (*pattern) {
        int v = variable(pattern);
        if (v < 0) {
            if (*pattern++ != *name++) return false;
            continue;
        }
        size_t n = v == 3 ? strcspn(name, ".") : strspn(name, "0123456789");
        if (n == 0) return false;
        m->piece[v] = name;
        m->n[v] = n;
        name += n;
        pattern += v == 3 ? 1 : 3;
    }
    return *name == '\0';
}

static void substitute(const char *pattern, const match *m, char *out, size_t n_bytes) {
    size_t n = 0;
    while (*pattern && n + 1 < n_bytes) {
        int v = variable(pattern);
        if (v < 0) {
            out[n++] = *pattern++;
            continue;
        }
        size_t piece = TW_MIN(m->n[v], n_bytes - 1 - n);
        memcpy(out + n, m->piece[v], piece);
        n += piece;
        pattern += v == 3 ? 1 : 3;
    }
    out[n] = '\0';
}

/* False when the tensor's shape does not allow the rule. */
static bool apply(tw_name_rule_kind kind, const tw_tensor *t, tw_tensor *view) {
    if (kind == TW_RULE_PLAIN) {
        *view = *t;
        return true;
    }
    if (t->unpack) return false; /* its strides stand for nothing */
    if (kind == TW_RULE_TRANSPOSED) {
        if (t->n_dims != 2) return false;
        *view = tw_tensor_transpose(t);
        return true;
    }
    if (t->n_dims < 1 || t->shape[0] < 3 || t->shape[0] % 3) return false;
    int64_t third = t->shape[0] / 3;
    *view = tw_tensor_rows(t, third * (int64_t)(kind - TW_RULE_ROWS_0), third);
    return true;
}

bool tw_origin_find(tw_origin *origin, const char *canonical, tw_tensor *view) {
    for (const tw_name_rule *r = origin->family->rules; r->canonical; r++) {
        match m = {0};
        char name[MAX_NAME];
        if (!match_name(r->canonical, canonical, &m)) continue;
        substitute(r->source, &m, name, sizeof name);
        entry *e = look_up(origin, name);
        if (!e || !apply(r->kind, e->tensor, view)) continue;
        e->used = true;
        return true;
    }
    return false;
}

const char *tw_origin_expected_name(const tw_origin *origin, const char *canonical, char *buf,
                                    size_t n_bytes) {
    snprintf(buf, n_bytes, "%s", canonical);
    for (const tw_name_rule *r = origin->family->rules; r->canonical; r++) {
        match m = {0};
        if (!match_name(r->canonical, canonical, &m)) continue;
        substitute(r->source, &m, buf, n_bytes);
        break;
    }
    return buf;
}

tw_status tw_origin_missing(const tw_origin *origin, const char *canonical, tw_error *err) {
    char name[MAX_NAME], shape[96];
    tw_origin_expected_name(origin, canonical, name, sizeof name);
    const entry *e = look_up(origin, name);
    if (!e)
        return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' is missing in this %s checkpoint", name,
                       origin->family->title);
    return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' has shape %s, from which '%s' cannot be made",
                   e->tensor->name,
                   tw_shape_text(e->tensor->n_dims, e->tensor->shape, shape, sizeof shape),
                   canonical);
}

/* -------------------------------------------------------------------------------------- unused */

static bool looks_like_weight(const tw_tensor *t) {
    return t->n_dims > 0 &&
           (t->dtype == TW_F32 || t->dtype == TW_F16 || t->dtype == TW_BF16 || t->dtype == TW_F64);
}

tw_status tw_origin_check_unused(const tw_origin *origin, bool vision, bool text,
                                 const tw_hooks *hooks, tw_error *err) {
    const tw_family *f = origin->family;
    for (size_t i = 0; i < origin->n; i++) {
        const entry *e = &origin->entries[i];
        char shape[96];
        if (e->used || glob_any(f->ignored, e->name)) continue;
        bool in_vision = prefix_any(f->vision_prefixes, e->name);
        bool in_text = prefix_any(f->text_prefixes, e->name);
        if ((in_vision && !vision) || (in_text && !text)) continue;
        tw_shape_text(e->tensor->n_dims, e->tensor->shape, shape, sizeof shape);
        if ((in_vision || in_text) && looks_like_weight(e->tensor))
            return tw_fail(err, TW_ERR_MISMATCH,
                           "unexpected tensor '%s' %s: it belongs to no part of the model",
                           e->tensor->name, shape);
        tw_log(hooks, TW_LOG_WARNING, "tensor '%s' %s is not used", e->tensor->name, shape);
    }
    return TW_OK;
}
