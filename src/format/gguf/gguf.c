#include "format/gguf/gguf.h"

#include "base/bytes.h"
#include "base/size.h"
#include "format/gguf/types.h"

#include <stdlib.h>
#include <string.h>

struct tw_gguf {
    const uint8_t *data;
    size_t n_bytes;
    tw_gguf_key *keys;     /* file order */
    tw_gguf_key **by_name; /* sorted */
    size_t n_keys;
    tw_gguf_tensor *tensors; /* file order */
    tw_gguf_tensor **tensors_by_name;
    size_t n_tensors;
    char *names; /* NUL-terminated copies of the tensor names */
};

/* -------------------------------------------------------------------------------------- cursor */

typedef struct cursor {
    const uint8_t *data;
    size_t n_bytes, at;
} cursor;

static tw_status take(cursor *c, uint64_t n, const char *what, const uint8_t **p, tw_error *err) {
    if (!tw_range_ok(c->at, n, c->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT,
                       "gguf: %s at byte %zu needs %llu bytes, the file has %zu left", what, c->at,
                       (unsigned long long)n, c->n_bytes - c->at);
    *p = c->data + c->at;
    c->at += (size_t)n;
    return TW_OK;
}

static tw_status take_u32(cursor *c, const char *what, uint32_t *v, tw_error *err) {
    const uint8_t *p = NULL;
    TW_TRY(take(c, 4, what, &p, err));
    *v = tw_load_u32le(p);
    return TW_OK;
}

static tw_status take_u64(cursor *c, const char *what, uint64_t *v, tw_error *err) {
    const uint8_t *p = NULL;
    TW_TRY(take(c, 8, what, &p, err));
    *v = tw_load_u64le(p);
    return TW_OK;
}

static tw_status take_string(cursor *c, const char *what, uint64_t max, tw_gguf_string *s,
                             tw_error *err) {
    size_t at = c->at;
    uint64_t n = 0;
    TW_TRY(take_u64(c, what, &n, err));
    if (n > max)
        return tw_fail(err, TW_ERR_LIMIT, "gguf: %s at byte %zu has %llu bytes, at most %llu", what,
                       at, (unsigned long long)n, (unsigned long long)max);
    const uint8_t *p = NULL;
    TW_TRY(take(c, n, what, &p, err));
    *s = (tw_gguf_string){(const char *)p, (size_t)n};
    return TW_OK;
}

/* -------------------------------------------------------------------------------------- lookup */

static int compare(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, TW_MIN(n_a, n_b));
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int compare_keys(const void *a, const void *b) {
    const tw_gguf_key *x = *(tw_gguf_key *const *)a, *y = *(tw_gguf_key *const *)b;
    return compare(x->name.data, x->name.n_bytes, y->name.data, y->name.n_bytes);
}

static int compare_tensors(const void *a, const void *b) {
    const tw_gguf_tensor *x = *(tw_gguf_tensor *const *)a, *y = *(tw_gguf_tensor *const *)b;
    return strcmp(x->view.name, y->view.name);
}

size_t tw_gguf_n_keys(const tw_gguf *g) {
    return g->n_keys;
}
const tw_gguf_key *tw_gguf_key_at(const tw_gguf *g, size_t index) {
    return &g->keys[index];
}
size_t tw_gguf_n_tensors(const tw_gguf *g) {
    return g->n_tensors;
}
const tw_gguf_tensor *tw_gguf_tensor_at(const tw_gguf *g, size_t index) {
    return &g->tensors[index];
}

const tw_gguf_key *tw_gguf_find(const tw_gguf *g, const char *name) {
    size_t low = 0, high = g->n_keys, n = strlen(name);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const tw_gguf_key *k = g->by_name[middle];
        int order = compare(k->name.data, k->name.n_bytes, name, n);
        if (order == 0) return k;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const tw_gguf_tensor *tw_gguf_find_tensor(const tw_gguf *g, const char *name) {
    size_t low = 0, high = g->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const tw_gguf_tensor *t = g->tensors_by_name[middle];
        int order = strcmp(t->view.name, name);
        if (order == 0) return t;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------ metadata */

static tw_status parse_array(cursor *c, tw_gguf_key *k, tw_error *err) {
    uint32_t element;
    TW_TRY(take_u32(c, "array type", &element, err));
    TW_TRY(take_u64(c, "array length", &k->n, err));
    if (k->n > TW_GGUF_MAX_ARRAY)
        return tw_fail(err, TW_ERR_LIMIT, "gguf: array of %llu elements at byte %zu, at most %llu",
                       (unsigned long long)k->n, c->at, (unsigned long long)TW_GGUF_MAX_ARRAY);
    if (element == TW_GGUF_ARRAY)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "gguf: array of arrays at byte %zu", c->at);
    if (element != TW_GGUF_STRING && tw_gguf_scalar_bytes(element) == 0)
        return tw_fail(err, TW_ERR_FORMAT, "gguf: unknown array type %u at byte %zu", element,
                       c->at);
    k->element = (tw_gguf_type)element;
    k->data = c->data + c->at;
    if (element != TW_GGUF_STRING)
        return take(c, k->n * tw_gguf_scalar_bytes(element), "array", &k->data, err);
    tw_gguf_string s;
    for (uint64_t i = 0; i < k->n; i++)
        TW_TRY(take_string(c, "string of an array", TW_GGUF_MAX_STRING, &s, err));
    return TW_OK;
}

static tw_status parse_key(cursor *c, tw_gguf_key *k, tw_error *err) {
    uint32_t type;
    TW_TRY(take_string(c, "key", 65535, &k->name, err));
    TW_TRY(take_u32(c, "value type", &type, err));
    k->type = (tw_gguf_type)type;
    k->n = 1;
    if (type == TW_GGUF_ARRAY) return parse_array(c, k, err);
    if (type == TW_GGUF_STRING) {
        tw_gguf_string s;
        TW_TRY(take_string(c, "string value", TW_GGUF_MAX_STRING, &s, err));
        k->data = (const uint8_t *)s.data;
        k->n = s.n_bytes;
        return TW_OK;
    }
    if (tw_gguf_scalar_bytes(type) == 0)
        return tw_fail(err, TW_ERR_FORMAT, "gguf: unknown value type %u of key '%.*s'", type,
                       (int)TW_MIN(k->name.n_bytes, 128), k->name.data);
    return take(c, tw_gguf_scalar_bytes(type), "value", &k->data, err);
}

static tw_status parse_keys(tw_gguf *g, cursor *c, tw_error *err) {
    g->keys = calloc(g->n_keys + 1, sizeof *g->keys);
    g->by_name = calloc(g->n_keys + 1, sizeof *g->by_name);
    if (!g->keys || !g->by_name) return tw_fail_no_memory(err, g->n_keys * sizeof *g->keys);
    for (size_t i = 0; i < g->n_keys; i++) {
        TW_TRY(parse_key(c, &g->keys[i], err));
        g->by_name[i] = &g->keys[i];
    }
    qsort(g->by_name, g->n_keys, sizeof *g->by_name, compare_keys);
    for (size_t i = 1; i < g->n_keys; i++)
        if (compare_keys(&g->by_name[i - 1], &g->by_name[i]) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "gguf: key '%.*s' occurs twice",
                           (int)TW_MIN(g->by_name[i]->name.n_bytes, 128), g->by_name[i]->name.data);
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- tensors */

static tw_status parse_extents(cursor *c, tw_gguf_tensor *t, uint32_t n_dims, tw_error *err) {
    t->view.n_dims = (int)n_dims;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t extent;
        TW_TRY(take_u64(c, "tensor extent", &extent, err));
        if (extent < 1 || extent > INT64_MAX)
            return tw_fail(err, TW_ERR_FORMAT, "gguf: tensor '%s' has an extent of %llu",
                           t->view.name, (unsigned long long)extent);
        t->view.shape[n_dims - 1 - i] = (int64_t)extent;
    }
    return TW_OK;
}

static tw_status measure(tw_gguf_tensor *t, tw_error *err) {
    const tw_ggml_type *type = tw_ggml_type_find(t->ggml_type);
    if (!type)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "gguf: tensor '%s' has the unknown type %u",
                       t->view.name, t->ggml_type);
    uint64_t n;
    if (!tw_shape_elements(t->view.n_dims, t->view.shape, &n) || n > INT64_MAX)
        return tw_fail(err, TW_ERR_FORMAT, "gguf: tensor '%s' is too large", t->view.name);
    uint64_t row = t->view.n_dims ? (uint64_t)t->view.shape[t->view.n_dims - 1] : 1;
    if (row % type->block)
        return tw_fail(err, TW_ERR_FORMAT,
                       "gguf: tensor '%s' has rows of %llu elements, %s needs a multiple of %u",
                       t->view.name, (unsigned long long)row, type->name, type->block);
    if (!tw_mul_u64(n / type->block, type->block_bytes, &t->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "gguf: tensor '%s' is too large", t->view.name);
    t->view.dtype = type->dtype;
    tw_tensor_set_c_order(&t->view);
    return TW_OK;
}

/* `offset` is checked later, when the start of the data section is known. */
static tw_status parse_tensor(cursor *c, tw_gguf_tensor *t, char *name, uint64_t *offset,
                              tw_error *err) {
    tw_gguf_string s;
    uint32_t n_dims;
    TW_TRY(take_string(c, "tensor name", TW_GGUF_MAX_NAME, &s, err));
    if (s.n_bytes == 0 || memchr(s.data, 0, s.n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "gguf: tensor name at byte %zu is %s", c->at - s.n_bytes,
                       s.n_bytes ? "not text" : "empty");
    memcpy(name, s.data, s.n_bytes);
    name[s.n_bytes] = '\0';
    t->view.name = name;
    TW_TRY(take_u32(c, "number of extents", &n_dims, err));
    if (n_dims > 4)
        return tw_fail(err, TW_ERR_LIMIT, "gguf: tensor '%s' has %u extents, at most 4", name,
                       n_dims);
    TW_TRY(parse_extents(c, t, n_dims, err));
    TW_TRY(take_u32(c, "tensor type", &t->ggml_type, err));
    TW_TRY(take_u64(c, "tensor offset", offset, err));
    return measure(t, err);
}

static tw_status place(const tw_gguf *g, tw_gguf_tensor *t, uint64_t base, uint64_t offset,
                       uint64_t alignment, tw_error *err) {
    uint64_t begin;
    if (offset % alignment)
        return tw_fail(err, TW_ERR_FORMAT,
                       "gguf: tensor '%s' at offset %llu, expected a multiple of %llu",
                       t->view.name, (unsigned long long)offset, (unsigned long long)alignment);
    if (!tw_add_u64(base, offset, &begin) || !tw_range_ok(begin, t->n_bytes, g->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT,
                       "gguf: tensor '%s' has %llu bytes at offset %llu, outside the file of %zu",
                       t->view.name, (unsigned long long)t->n_bytes, (unsigned long long)offset,
                       g->n_bytes);
    t->data = g->data + begin;
    if (tw_ggml_type_find(t->ggml_type)->block == 1) t->view.data = t->data;
    return TW_OK;
}

static tw_status read_alignment(const tw_gguf *g, uint64_t *alignment, tw_error *err) {
    int64_t v = TW_GGUF_ALIGNMENT;
    if (tw_gguf_find(g, "general.alignment"))
        TW_TRY(tw_gguf_get_int(g, "general.alignment", 1, 65536, &v, err));
    if (v & (v - 1))
        return tw_fail(err, TW_ERR_FORMAT, "gguf: alignment %lld is not a power of two",
                       (long long)v);
    *alignment = (uint64_t)v;
    return TW_OK;
}

static tw_status check_unique(const tw_gguf *g, tw_error *err) {
    for (size_t i = 1; i < g->n_tensors; i++)
        if (compare_tensors(&g->tensors_by_name[i - 1], &g->tensors_by_name[i]) == 0)
            return tw_fail(err, TW_ERR_FORMAT, "gguf: tensor '%s' occurs twice",
                           g->tensors_by_name[i]->view.name);
    return TW_OK;
}

static int compare_places(const void *a, const void *b) {
    const tw_gguf_tensor *x = *(tw_gguf_tensor *const *)a, *y = *(tw_gguf_tensor *const *)b;
    return (x->data > y->data) - (x->data < y->data);
}

/* Bytes that two tensors share are how a small file describes a large one. */
static tw_status check_disjoint(const tw_gguf *g, tw_error *err) {
    qsort(g->tensors_by_name, g->n_tensors, sizeof *g->tensors_by_name, compare_places);
    for (size_t i = 1; i < g->n_tensors; i++) {
        const tw_gguf_tensor *a = g->tensors_by_name[i - 1], *b = g->tensors_by_name[i];
        if ((uint64_t)(b->data - a->data) < a->n_bytes)
            return tw_fail(err, TW_ERR_FORMAT, "gguf: tensors '%s' and '%s' overlap", a->view.name,
                           b->view.name);
    }
    return TW_OK;
}

static tw_status parse_tensors(tw_gguf *g, cursor *c, tw_error *err) {
    uint64_t alignment = TW_GGUF_ALIGNMENT;
    TW_TRY(read_alignment(g, &alignment, err));
    size_t n = g->n_tensors;
    g->tensors = calloc(n + 1, sizeof *g->tensors);
    g->tensors_by_name = calloc(n + 1, sizeof *g->tensors_by_name);
    g->names = calloc(n + 1, TW_GGUF_MAX_NAME + 1);
    uint64_t *offsets = calloc(n + 1, sizeof *offsets);
    tw_status status = TW_OK;
    if (!g->tensors || !g->tensors_by_name || !g->names || !offsets) {
        status = tw_fail_no_memory(err, n * sizeof *g->tensors);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        TW_CHECK(parse_tensor(c, &g->tensors[i], g->names + i * (TW_GGUF_MAX_NAME + 1), &offsets[i],
                              err));
        g->tensors_by_name[i] = &g->tensors[i];
    }
    uint64_t base = (c->at + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < n; i++)
        TW_CHECK(place(g, &g->tensors[i], base, offsets[i], alignment, err));
    TW_CHECK(check_disjoint(g, err));
    qsort(g->tensors_by_name, n, sizeof *g->tensors_by_name, compare_tensors);
    status = check_unique(g, err);
done:
    free(offsets);
    return status;
}

/* -------------------------------------------------------------------------------------- header */

static tw_status parse_header(tw_gguf *g, cursor *c, tw_error *err) {
    const uint8_t *magic = NULL;
    uint32_t version = 0;
    uint64_t n_tensors = 0, n_keys = 0;
    TW_TRY(take(c, 4, "magic", &magic, err));
    if (memcmp(magic, "GGUF", 4))
        return tw_fail(
            err, TW_ERR_UNSUPPORTED,
            "not a gguf file: it begins with %02x %02x %02x %02x; a checkpoint becomes a "
            "model file by tuwen convert",
            magic[0], magic[1], magic[2], magic[3]);
    TW_TRY(take_u32(c, "version", &version, err));
    if (version != 2 && version != 3)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "gguf: version %s%u, expected 2 or 3",
                       (version & 0xffff) == 0 ? "of a big-endian file: " : "", version);
    TW_TRY(take_u64(c, "number of tensors", &n_tensors, err));
    TW_TRY(take_u64(c, "number of keys", &n_keys, err));
    if (n_tensors > TW_GGUF_MAX_TENSORS || n_keys > TW_GGUF_MAX_KEYS)
        return tw_fail(err, TW_ERR_LIMIT, "gguf: %llu tensors and %llu keys, at most %u and %u",
                       (unsigned long long)n_tensors, (unsigned long long)n_keys,
                       TW_GGUF_MAX_TENSORS, TW_GGUF_MAX_KEYS);
    /* The smallest key takes 13 bytes and the smallest tensor 25, so that a short file cannot ask
     * for large tables. */
    if (n_keys * 13 + n_tensors * 25 > c->n_bytes - c->at)
        return tw_fail(err, TW_ERR_FORMAT, "gguf: %llu tensors and %llu keys in %zu bytes",
                       (unsigned long long)n_tensors, (unsigned long long)n_keys, c->n_bytes);
    g->n_tensors = (size_t)n_tensors;
    g->n_keys = (size_t)n_keys;
    return TW_OK;
}

tw_status tw_gguf_parse(const void *data, size_t n_bytes, tw_gguf **out, tw_error *err) {
    *out = NULL;
    tw_gguf *g = calloc(1, sizeof *g);
    if (!g) return tw_fail_no_memory(err, sizeof *g);
    g->data = data;
    g->n_bytes = n_bytes;
    cursor c = {data, n_bytes, 0};
    tw_status status;
    TW_CHECK(parse_header(g, &c, err));
    TW_CHECK(parse_keys(g, &c, err));
    TW_CHECK(parse_tensors(g, &c, err));
    *out = g;
    g = NULL;
done:
    tw_gguf_free(g);
    return status;
}

void tw_gguf_free(tw_gguf *g) {
    if (!g) return;
    free(g->keys);
    free(g->by_name);
    free(g->tensors);
    free(g->tensors_by_name);
    free(g->names);
    free(g);
}
