/* TensorProto -> view: of the model file, of a side file, or of a copy where numbers are packed in
 * a way that no view can show. */
#include "format/onnx/graph.h"

#include "base/bytes.h"
#include "base/size.h"
#include "format/onnx/fields.h"

#include <stdlib.h>
#include <string.h>

typedef struct element_type {
    uint64_t number; /* TensorProto.DataType */
    tw_dtype dtype;
    size_t n_bytes;
    uint64_t field; /* where its numbers are when they are not raw */
} element_type;

static const element_type types[] = {
    {1, TW_F32, 4, TENSOR_FLOATS},   {2, TW_U8, 1, TENSOR_INT32S},
    {3, TW_I8, 1, TENSOR_INT32S},    {5, TW_I16, 2, TENSOR_INT32S},
    {6, TW_I32, 4, TENSOR_INT32S},   {7, TW_I64, 8, TENSOR_INT64S},
    {9, TW_BOOL, 1, TENSOR_INT32S},  {10, TW_F16, 2, TENSOR_INT32S},
    {11, TW_F64, 8, TENSOR_DOUBLES}, {16, TW_BF16, 2, TENSOR_INT32S},
};

/* A TensorProto taken apart. */
typedef struct parts {
    uint64_t type;
    bool has_type, has_raw, is_aside;
    const uint8_t *raw;
    size_t n_raw;
    tw_onnx_string location;
    uint64_t offset, length;
    bool has_length;
} parts;

/* ------------------------------------------------------------------------------------ the fields
 */

static tw_status add_dim(tw_tensor *t, uint64_t v, tw_error *err) {
    if (t->n_dims == TW_MAX_DIMS)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "more than %d dimensions", TW_MAX_DIMS);
    if (v > INT64_MAX)
        return tw_fail(err, TW_ERR_FORMAT, "an extent of %lld", (long long)(int64_t)v);
    t->shape[t->n_dims++] = (int64_t)v;
    return TW_OK;
}

static tw_status read_dims(const tw_pb_field *f, tw_tensor *t, tw_error *err) {
    if (f->wire == TW_PB_VARINT) return add_dim(t, f->value, err);
    const uint8_t *p = f->data, *end = f->data + f->n_bytes;
    uint64_t v;
    while (f->wire == TW_PB_BYTES && p < end) {
        if (!tw_pb_read_varint(&p, end, &v)) break;
        TW_TRY(add_dim(t, v, err));
    }
    if (f->wire == TW_PB_BYTES && p == end) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "damaged extents");
}

static tw_status read_decimal(tw_onnx_string s, const char *key, uint64_t *out, tw_error *err) {
    *out = 0;
    bool ok = s.n > 0;
    for (size_t i = 0; ok && i < s.n; i++)
        ok = s.data[i] >= '0' && s.data[i] <= '9' && tw_mul_u64(*out, 10, out) &&
             tw_add_u64(*out, (uint64_t)(s.data[i] - '0'), out);
    if (ok) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "external data: %s '%.*s', expected a decimal number", key,
                   TW_ONNX_SHOWN(s));
}

static tw_status read_external(tw_pb_reader r, parts *p, tw_error *err) {
    tw_onnx_string key, value;
    TW_TRY(tw_onnx_entry_read(r, &key, &value, err));
    if (tw_onnx_is(key, "location")) p->location = value;
    if (tw_onnx_is(key, "offset")) return read_decimal(value, "offset", &p->offset, err);
    if (tw_onnx_is(key, "length")) {
        p->has_length = true;
        return read_decimal(value, "length", &p->length, err);
    }
    return TW_OK;
}

static tw_status read_part(const tw_pb_reader *r, const tw_pb_field *f, parts *p, tw_onnx_tensor *t,
                           tw_error *err) {
    switch (f->number) {
    case TENSOR_DIMS:
        return read_dims(f, &t->view, err);
    case TENSOR_TYPE:
        p->type = f->value;
        p->has_type = true;
        return tw_pb_expect(r, f, TW_PB_VARINT, "data_type", err);
    case TENSOR_SEGMENT:
        return tw_fail(err, TW_ERR_UNSUPPORTED, "a tensor in segments");
    case TENSOR_NAME:
        t->name = (tw_onnx_string){(const char *)f->data, f->n_bytes};
        return tw_pb_expect(r, f, TW_PB_BYTES, "name", err);
    case TENSOR_RAW:
        if (p->has_raw) return tw_fail(err, TW_ERR_FORMAT, "raw_data occurs twice");
        p->raw = f->data;
        p->n_raw = f->n_bytes;
        p->has_raw = true;
        return tw_pb_expect(r, f, TW_PB_BYTES, "raw_data", err);
    case TENSOR_EXTERNAL:
        TW_TRY(tw_pb_expect(r, f, TW_PB_BYTES, "external_data", err));
        return read_external(tw_pb_open(r, f), p, err);
    case TENSOR_LOCATION:
        p->is_aside = f->value == LOCATION_EXTERNAL;
        return tw_pb_expect(r, f, TW_PB_VARINT, "data_location", err);
    default:
        return TW_OK;
    }
}

/* ---------------------------------------------------------------------------------- numbers, typed
 */

/* How wide an unpacked number of the field is; 0 for varints. */
static size_t fixed_bytes(uint64_t field) {
    return field == TENSOR_FLOATS ? 4 : field == TENSOR_DOUBLES ? 8 : 0;
}

/* Numbers of one field, packed or not: counted, and copied to `out` unless it is NULL. */
static bool take_numbers(const tw_pb_field *f, const element_type *type, uint64_t *n, uint64_t max,
                         uint8_t *out) {
    size_t fixed = fixed_bytes(type->field);
    const uint8_t *p = f->data, *end = p ? p + f->n_bytes : p;
    if (f->wire == TW_PB_VARINT) {
        if (fixed || *n == max) return false;
        if (out) memcpy(out + *n * type->n_bytes, &f->value, type->n_bytes);
        (*n)++;
        return true;
    }
    if (fixed) {
        bool packed = f->wire == TW_PB_BYTES;
        if (!packed && f->wire != (fixed == 4 ? TW_PB_FIXED32 : TW_PB_FIXED64)) return false;
        if (f->n_bytes % fixed || f->n_bytes / fixed > max - *n) return false;
        if (out) memcpy(out + *n * fixed, p, f->n_bytes);
        *n += f->n_bytes / fixed;
        return true;
    }
    for (uint64_t v; f->wire == TW_PB_BYTES && p < end; (*n)++) {
        if (*n == max || !tw_pb_read_varint(&p, end, &v)) return false;
        uint8_t bytes[8];
        tw_store_u64le(bytes, v);
        if (out) memcpy(out + *n * type->n_bytes, bytes, type->n_bytes);
    }
    return f->wire == TW_PB_BYTES;
}

/* `n` numbers of typed fields, counted before there is room for them. */
static tw_status copy_numbers(tw_onnx_graph *g, tw_pb_reader r, const element_type *type,
                              uint64_t n, tw_onnx_tensor *t, tw_error *err) {
    uint8_t *out = NULL;
    for (int pass = 0; pass < 2; pass++) {
        tw_pb_reader again = r;
        tw_pb_field f;
        tw_status status;
        uint64_t got = 0;
        while (tw_pb_next(&again, &f, &status, err))
            if (f.number == type->field && !take_numbers(&f, type, &got, n, out))
                return tw_fail(err, TW_ERR_FORMAT, "damaged numbers, or more than %llu",
                               (unsigned long long)n);
        TW_TRY(status);
        if (got != n)
            return tw_fail(err, TW_ERR_FORMAT, "%llu numbers, expected %llu",
                           (unsigned long long)got, (unsigned long long)n);
        if (pass == 0) out = tw_onnx_storage_room(g->storage, (size_t)n * type->n_bytes);
        if (!out) return tw_fail_no_memory(err, (size_t)n * type->n_bytes);
    }
    t->view.data = out;
    t->is_copied = true;
    return TW_OK;
}

/* ---------------------------------------------------------------------------------------- aside */

/* A bare name: what leads out of the model's folder is refused, whatever the system would allow. */
static bool is_bare_name(tw_onnx_string s) {
    if (s.n == 0 || s.n > 255 || memchr(s.data, 0, s.n)) return false;
    if (memchr(s.data, '/', s.n) || memchr(s.data, '\\', s.n)) return false;
    return !tw_onnx_is(s, ".") && !tw_onnx_is(s, "..");
}

static tw_status open_side_file(tw_onnx_graph *g, tw_onnx_string name, size_t *index,
                                tw_error *err) {
    tw_onnx_storage *s = g->storage;
    for (*index = 0; *index < s->n_files; ++*index)
        if (tw_onnx_compare(s->file_names[*index], name) == 0) return TW_OK;
    if (!is_bare_name(name))
        return tw_fail(err, TW_ERR_FORMAT,
                       "external data in '%.*s', expected the name of a file in the model's folder",
                       TW_ONNX_SHOWN(name));
    if (!g->path)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "external data of a model that is no file");
    if (s->n_files == TW_ONNX_MAX_SIDE_FILES)
        return tw_fail(err, TW_ERR_LIMIT, "more than %d side files", TW_ONNX_MAX_SIDE_FILES);
    if (!s->files) {
        s->files = calloc(TW_ONNX_MAX_SIDE_FILES, sizeof *s->files);
        s->file_names = calloc(TW_ONNX_MAX_SIDE_FILES, sizeof *s->file_names);
        if (!s->files || !s->file_names) return tw_fail_no_memory(err, sizeof *s->files);
    }
    const char *slash = strrchr(g->path, '/');
    size_t n_folder = slash ? (size_t)(slash + 1 - g->path) : 0;
    char *path = malloc(n_folder + name.n + 1);
    if (!path) return tw_fail_no_memory(err, n_folder + name.n + 1);
    memcpy(path, g->path, n_folder);
    memcpy(path + n_folder, name.data, name.n);
    path[n_folder + name.n] = '\0';
    tw_status status = tw_map_file(path, &s->files[s->n_files], err);
    free(path);
    if (status == TW_OK)
        s->file_names[s->n_files++] = name;
    else
        tw_error_context(err, "its external data");
    return status;
}

static tw_status find_aside(tw_onnx_graph *g, const parts *p, uint64_t n_bytes, tw_onnx_tensor *t,
                            tw_error *err) {
    TW_TRY(open_side_file(g, p->location, &t->file, err));
    const tw_mapped_file *file = &g->storage->files[t->file];
    if (p->has_length && p->length != n_bytes)
        return tw_fail(err, TW_ERR_FORMAT, "external data: length %llu, expected %llu",
                       (unsigned long long)p->length, (unsigned long long)n_bytes);
    if (!tw_range_ok(p->offset, n_bytes, file->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT,
                       "external data: %llu bytes from byte %llu of '%.*s', which has %zu; is it "
                       "truncated?",
                       (unsigned long long)n_bytes, (unsigned long long)p->offset,
                       TW_ONNX_SHOWN(p->location), file->n_bytes);
    t->view.data = file->data + p->offset;
    t->is_aside = true;
    t->begin = p->offset;
    t->end = p->offset + n_bytes;
    return TW_OK;
}

/* ----------------------------------------------------------------------------------- the tensor */

static tw_status find_numbers(tw_onnx_graph *g, tw_pb_reader r, const parts *p, tw_onnx_tensor *t,
                              tw_error *err) {
    const element_type *type = NULL;
    uint64_t n, n_bytes;
    char shape[128];
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (p->has_type && types[i].number == p->type) type = &types[i];
    if (!type)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "element type %llu is not supported",
                       (unsigned long long)p->type);
    t->view.dtype = type->dtype;
    if (!tw_shape_elements(t->view.n_dims, t->view.shape, &n) ||
        !tw_mul_u64(n, type->n_bytes, &n_bytes) || n_bytes > INT64_MAX)
        return tw_fail(err, TW_ERR_FORMAT, "shape %s is too large",
                       tw_shape_text(t->view.n_dims, t->view.shape, shape, sizeof shape));
    tw_tensor_set_c_order(&t->view);
    if (p->is_aside) {
        if (p->has_raw) return tw_fail(err, TW_ERR_FORMAT, "data inside and aside");
        return find_aside(g, p, n_bytes, t, err);
    }
    if (!p->has_raw && n > 0) return copy_numbers(g, r, type, n, t, err);
    t->view.data = p->has_raw ? p->raw : r.p;
    if (p->n_raw == n_bytes) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "%zu bytes for %s, which needs %llu", p->n_raw,
                   tw_shape_text(t->view.n_dims, t->view.shape, shape, sizeof shape),
                   (unsigned long long)n_bytes);
}

tw_status tw_onnx_tensor_read(tw_onnx_graph *g, tw_pb_reader r, tw_onnx_tensor *t, tw_error *err) {
    tw_pb_reader all = r;
    tw_pb_field f;
    tw_status status;
    parts p = {0};
    *t = (tw_onnx_tensor){0};
    while (tw_pb_next(&r, &f, &status, err)) /* first of all, for messages */
        if (f.number == TENSOR_NAME) TW_CHECK(read_part(&r, &f, &p, t, err));
    TW_CHECK(status);
    for (r = all; tw_pb_next(&r, &f, &status, err);)
        TW_CHECK(read_part(&r, &f, &p, t, err));
    if (status == TW_OK) status = find_numbers(g, all, &p, t, err);
done:
    if (status != TW_OK) tw_error_context(err, "tensor '%.*s'", TW_ONNX_SHOWN(t->name));
    return status;
}

static int compare_places(const void *a, const void *b) {
    const tw_onnx_tensor *x = *(const tw_onnx_tensor *const *)a,
                         *y = *(const tw_onnx_tensor *const *)b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

tw_status tw_onnx_check_overlaps(const tw_onnx_graph *g, tw_error *err) {
    tw_status status = TW_OK;
    size_t n = 0;
    const tw_onnx_tensor **aside = malloc((g->n_tensors + 1) * sizeof *aside);
    if (!aside) return tw_fail_no_memory(err, g->n_tensors * sizeof *aside);
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].is_aside && g->tensors[i].end > g->tensors[i].begin)
            aside[n++] = &g->tensors[i];
    qsort(aside, n, sizeof *aside, compare_places);
    for (size_t i = 1; i < n && status == TW_OK; i++)
        if (aside[i]->file == aside[i - 1]->file && aside[i]->begin < aside[i - 1]->end)
            status = tw_fail(err, TW_ERR_FORMAT, "tensors '%.*s' and '%.*s' share bytes aside",
                             TW_ONNX_SHOWN(aside[i - 1]->name), TW_ONNX_SHOWN(aside[i]->name));
    free(aside);
    return status;
}

/* -------------------------------------------------------------------------------------- storage */

void *tw_onnx_storage_room(tw_onnx_storage *s, size_t n_bytes) {
    tw_error ignored = TW_ERROR_INIT;
    void *blocks = s->blocks;
    if (tw_onnx_grow(&blocks, s->n_blocks, &s->blocks_capacity, sizeof *s->blocks, SIZE_MAX, "",
                     &ignored) != TW_OK)
        return NULL;
    s->blocks = blocks;
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (p) s->blocks[s->n_blocks++] = p;
    return p;
}

void tw_onnx_storage_free(tw_onnx_storage *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_files; i++)
        tw_unmap_file(&s->files[i]);
    for (size_t i = 0; i < s->n_blocks; i++)
        free(s->blocks[i]);
    free(s->files);
    free(s->file_names);
    free(s->blocks);
    free(s);
}
