#include "format/safetensors/safetensors.h"

#include "base/bytes.h"
#include "base/json.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER_BYTES ((uint64_t)100000000)
#define LENGTH_BYTES 8
#define SHOWN(v) (int)TW_MIN((v)->n_key, 80), (v)->key

/* Bytes [begin, end) of the data are a tensor's. */
typedef struct span {
    uint64_t begin, end;
    const tw_json *tensor; /* its member of the header */
} span;

typedef struct element_type {
    const char *name;
    tw_dtype dtype;
    size_t n_bytes;
} element_type;

static const element_type types[] = {
    {"F32", TW_F32, 4}, {"F16", TW_F16, 2}, {"BF16", TW_BF16, 2}, {"F64", TW_F64, 8},
    {"I8", TW_I8, 1},   {"U8", TW_U8, 1},   {"BOOL", TW_BOOL, 1}, {"I16", TW_I16, 2},
    {"I32", TW_I32, 4}, {"I64", TW_I64, 8},
};

bool tw_is_safetensors(const uint8_t *data, size_t n_bytes) {
    return n_bytes > LENGTH_BYTES && data[LENGTH_BYTES] == '{' && data[6] == 0 && data[7] == 0;
}

/* ------------------------------------------------------------------------------------ a tensor */

static tw_status find_type(const tw_json *tensor, const element_type **out, tw_error *err) {
    const char *name;
    TW_TRY(tw_json_get_string(tensor, "dtype", NULL, &name, err));
    if (!name) return tw_fail(err, TW_ERR_FORMAT, "dtype is missing");
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0) {
            *out = &types[i];
            return TW_OK;
        }
    return tw_fail(err, TW_ERR_UNSUPPORTED, "element type '%.16s' is not supported", name);
}

static tw_status read_count(const tw_json *v, const char *what, int64_t *out, tw_error *err) {
    if (v->type != TW_JSON_NUMBER || !v->is_integer || v->integer < 0)
        return tw_fail(err, TW_ERR_FORMAT, "%s: expected an integer from 0", what);
    *out = v->integer;
    return TW_OK;
}

static tw_status read_shape(const tw_json *tensor, tw_tensor *t, tw_error *err) {
    const tw_json *shape = tw_json_get(tensor, "shape");
    if (!shape || shape->type != TW_JSON_ARRAY)
        return tw_fail(err, TW_ERR_FORMAT, "shape: expected an array");
    if (shape->n_items > TW_MAX_DIMS)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%zu dimensions, at most %d are supported",
                       shape->n_items, TW_MAX_DIMS);
    for (const tw_json *v = shape->first; v; v = v->next)
        TW_TRY(read_count(v, "shape", &t->shape[t->n_dims++], err));
    return TW_OK;
}

static tw_status read_offsets(const tw_json *tensor, span *s, tw_error *err) {
    const tw_json *offsets = tw_json_get(tensor, "data_offsets");
    int64_t begin = 0, end = 0;
    if (!offsets || offsets->type != TW_JSON_ARRAY || offsets->n_items != 2)
        return tw_fail(err, TW_ERR_FORMAT, "data_offsets: expected [begin, end]");
    TW_TRY(read_count(offsets->first, "data_offsets", &begin, err));
    TW_TRY(read_count(offsets->first->next, "data_offsets", &end, err));
    *s = (span){(uint64_t)begin, (uint64_t)end, tensor};
    return TW_OK;
}

/* `n_data` bytes of data follow the header. */
static tw_status read_tensor(const tw_json *member, const uint8_t *data, uint64_t n_data,
                             tw_tensor *t, span *s, tw_error *err) {
    const element_type *type = NULL;
    char shape[128];
    uint64_t n, n_bytes;
    if (member->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT, "expected an object of dtype, shape and data_offsets");
    TW_TRY(find_type(member, &type, err));
    *t = (tw_tensor){.dtype = type->dtype};
    TW_TRY(read_shape(member, t, err));
    TW_TRY(read_offsets(member, s, err));
    tw_shape_text(t->n_dims, t->shape, shape, sizeof shape);
    if (!tw_shape_elements(t->n_dims, t->shape, &n) || !tw_mul_u64(n, type->n_bytes, &n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "shape %s is too large", shape);
    if (s->end < s->begin || s->end > n_data)
        return tw_fail(err, TW_ERR_FORMAT, "bytes %llu to %llu of %llu bytes of data",
                       (unsigned long long)s->begin, (unsigned long long)s->end,
                       (unsigned long long)n_data);
    if (s->end - s->begin != n_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "%llu bytes for %s of type %s, which needs %llu",
                       (unsigned long long)(s->end - s->begin), shape, type->name,
                       (unsigned long long)n_bytes);
    tw_tensor_set_c_order(t);
    t->data = data + s->begin;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- the file */

static int compare_spans(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The format asks that tensors tile the data: bytes that two tensors share, or that none has, are
 * how a file says different things to different readers. */
static tw_status check_tiling(span *spans, size_t n, uint64_t n_data, tw_error *err) {
    uint64_t at = 0;
    qsort(spans, n, sizeof *spans, compare_spans);
    for (size_t i = 0; i < n; at = spans[i++].end)
        if (spans[i].begin != at)
            return tw_fail(err, TW_ERR_FORMAT,
                           "tensor \"%.*s\" begins at byte %llu of the data, expected %llu: %s",
                           SHOWN(spans[i].tensor), (unsigned long long)spans[i].begin,
                           (unsigned long long)at, spans[i].begin < at ? "an overlap" : "a gap");
    if (at == n_data) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "the tensors end at byte %llu of %llu bytes of data",
                   (unsigned long long)at, (unsigned long long)n_data);
}

/* Free text about the file, of no use here; but it must be what the format says. */
static tw_status check_metadata(const tw_json *metadata, tw_error *err) {
    bool ok = metadata->type == TW_JSON_OBJECT;
    for (const tw_json *v = ok ? metadata->first : NULL; v; v = v->next)
        ok = ok && v->type == TW_JSON_STRING;
    return ok ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "__metadata__: expected an object of strings");
}

static tw_status collect(const tw_json *root, const uint8_t *data, uint64_t n_data,
                         tw_tensor_list *out, tw_error *err) {
    if (root->type != TW_JSON_OBJECT)
        return tw_fail(err, TW_ERR_FORMAT, "header: expected an object");
    span *spans = malloc((root->n_items + 1) * sizeof *spans);
    if (!spans) return tw_fail_no_memory(err, root->n_items * sizeof *spans);
    tw_status status = TW_OK;
    size_t n = 0;
    for (const tw_json *m = root->first; m; m = m->next) {
        tw_tensor t;
        if (m->n_key == 12 && memcmp(m->key, "__metadata__", 12) == 0) {
            TW_CHECK(check_metadata(m, err));
            continue;
        }
        status = read_tensor(m, data, n_data, &t, &spans[n++], err);
        if (status != TW_OK) {
            tw_error_context(err, "tensor \"%.*s\"", SHOWN(m));
            goto done;
        }
        TW_CHECK(tw_tensor_list_add(out, m->key, m->n_key, &t, err));
    }
    status = check_tiling(spans, n, n_data, err);
done:
    free(spans);
    return status;
}

tw_status tw_safetensors_read(const uint8_t *data, size_t n_bytes, tw_tensor_list *out,
                              tw_error *err) {
    if (n_bytes < LENGTH_BYTES)
        return tw_fail(err, TW_ERR_FORMAT, "safetensors: %zu bytes, expected a header", n_bytes);
    uint64_t n_header = tw_load_u64le(data), n_rest = n_bytes - LENGTH_BYTES;
    if (n_header > MAX_HEADER_BYTES)
        return tw_fail(err, TW_ERR_LIMIT,
                       "safetensors: header of %llu bytes, more than the limit of %llu",
                       (unsigned long long)n_header, (unsigned long long)MAX_HEADER_BYTES);
    if (n_header > n_rest)
        return tw_fail(err, TW_ERR_FORMAT,
                       "safetensors: header of %llu bytes in a file of %zu; is it truncated?",
                       (unsigned long long)n_header, n_bytes);
    tw_json_doc *doc = NULL;
    tw_status status = tw_json_parse(data + LENGTH_BYTES, (size_t)n_header, &doc, err);
    if (status == TW_OK)
        status =
            collect(tw_json_root(doc), data + LENGTH_BYTES + n_header, n_rest - n_header, out, err);
    if (status != TW_OK) tw_error_context(err, "safetensors");
    tw_json_free(doc);
    return status;
}
