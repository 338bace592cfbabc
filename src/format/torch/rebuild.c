#include "format/torch/rebuild.h"

#include "base/size.h"

#include <string.h>

#define MAX_WRAPPERS 8 /* a Parameter of a subclass of a tensor is 2 */
#define MAX_METADATA 64
#define SHOWN(v) (int)TW_MIN((v)->n, 80), (const char *)(v)->u.bytes

typedef struct dtype_name {
    const char *name;
    tw_dtype dtype;
} dtype_name;

static const dtype_name storage_types[] = {
    {"FloatStorage", TW_F32},  {"HalfStorage", TW_F16},   {"BFloat16Storage", TW_BF16},
    {"DoubleStorage", TW_F64}, {"CharStorage", TW_I8},    {"ByteStorage", TW_U8},
    {"ShortStorage", TW_I16},  {"IntStorage", TW_I32},    {"LongStorage", TW_I64},
    {"BoolStorage", TW_BOOL},  {"UntypedStorage", TW_U8},
};

static const dtype_name dtypes[] = {
    {"float32", TW_F32},   {"float", TW_F32},   {"float16", TW_F16}, {"half", TW_F16},
    {"bfloat16", TW_BF16}, {"float64", TW_F64}, {"double", TW_F64},  {"int8", TW_I8},
    {"uint8", TW_U8},      {"int16", TW_I16},   {"short", TW_I16},   {"int32", TW_I32},
    {"int", TW_I32},       {"int64", TW_I64},   {"long", TW_I64},    {"bool", TW_BOOL},
};

static tw_status fail_kind(const tw_pickle *p, const tw_pickle_value *v, const char *where,
                           const char *expected, tw_error *err) {
    char got[160];
    return tw_fail(err, TW_ERR_FORMAT, "%s: expected %s, got %s", where, expected,
                   v ? tw_pickle_describe(p, v, got, sizeof got) : "nothing");
}

static tw_status read_count(const tw_pickle *p, const tw_pickle_value *v, const char *where,
                            uint64_t *out, tw_error *err) {
    if (!v || v->kind != TW_PICKLE_INT || v->u.integer < 0)
        return fail_kind(p, v, where, "a count", err);
    *out = (uint64_t)v->u.integer;
    return TW_OK;
}

/* A global of `module` whose name is in a table; false when it is another. */
static bool look_up(const tw_pickle *p, const tw_pickle_value *v, const char *module,
                    const dtype_name *table, size_t n, tw_dtype *out) {
    for (size_t i = 0; i < n; i++)
        if (tw_pickle_is_global(p, v, module, table[i].name)) {
            *out = table[i].dtype;
            return true;
        }
    return false;
}

/* ----------------------------------------------------------------------------------- storages */

static tw_status read_storage_type(const tw_pickle *p, const tw_pickle_value *type, tw_dtype *out,
                                   tw_error *err) {
    static const char *const modules[] = {"torch", "torch.storage", "torch.cuda"};
    if (!type || type->kind != TW_PICKLE_GLOBAL)
        return fail_kind(p, type, "storage", "a storage type", err);
    for (size_t i = 0; i < TW_COUNT(modules); i++)
        if (look_up(p, type, modules[i], storage_types, TW_COUNT(storage_types), out)) return TW_OK;
    char got[160];
    return tw_fail(err, TW_ERR_UNSUPPORTED, "storage type %s is not supported",
                   tw_pickle_describe(p, type, got, sizeof got) + strlen("the global "));
}

/* (key of the view, offset, elements), in elements of the storage. */
static tw_status read_view(const tw_pickle *p, const tw_pickle_value *view, tw_torch_storage *s,
                           tw_error *err) {
    if (!view || view->kind == TW_PICKLE_NONE) return TW_OK;
    if (view->kind != TW_PICKLE_TUPLE || view->n != 3)
        return fail_kind(p, view, "storage view", "a tuple of 3", err);
    s->has_view = true;
    TW_TRY(read_count(p, tw_pickle_item(p, view, 1), "offset of a storage view", &s->view_offset,
                      err));
    TW_TRY(read_count(p, tw_pickle_item(p, view, 2), "size of a storage view", &s->view_elements,
                      err));
    if (!tw_range_ok(s->view_offset, s->view_elements, s->n_elements))
        return tw_fail(err, TW_ERR_FORMAT,
                       "storage view of %llu elements at %llu in a storage of %llu",
                       (unsigned long long)s->view_elements, (unsigned long long)s->view_offset,
                       (unsigned long long)s->n_elements);
    return TW_OK;
}

tw_status tw_torch_read_storage(const tw_pickle *p, const tw_pickle_value *id,
                                tw_torch_storage *out, tw_error *err) {
    *out = (tw_torch_storage){0};
    if (!id || id->kind != TW_PICKLE_PERSID)
        return fail_kind(p, id, "storage", "a persistent id", err);
    const tw_pickle_value *tuple = &p->values[id->u.refs[0]];
    const tw_pickle_value *tag = tw_pickle_item(p, tuple, 0);
    if (!tag || !tw_pickle_is_string(tag, "storage") || tuple->n < 5 || tuple->n > 6)
        return tw_fail(err, TW_ERR_FORMAT,
                       "storage: expected ('storage', type, key, location, "
                       "count), got another persistent id");
    TW_TRY(read_storage_type(p, tw_pickle_item(p, tuple, 1), &out->dtype, err));
    out->key = tw_pickle_item(p, tuple, 2);
    if (out->key->kind != TW_PICKLE_STRING)
        return fail_kind(p, out->key, "storage key", "a string", err);
    TW_TRY(read_count(p, tw_pickle_item(p, tuple, 4), "storage size", &out->n_elements, err));
    if (!tw_mul_u64(out->n_elements, tw_dtype_bytes(out->dtype), &out->n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "storage %.*s of %llu elements", SHOWN(out->key),
                       (unsigned long long)out->n_elements);
    return read_view(p, tw_pickle_item(p, tuple, 5), out, err);
}

/* ------------------------------------------------------------------------------------ tensors */

/* A call taken apart. */
typedef struct call {
    const tw_pickle_value *function, *args;
} call;

static call call_of(const tw_pickle *p, const tw_pickle_value *v) {
    return (call){&p->values[v->u.refs[0]], &p->values[v->u.refs[1]]};
}

static bool is_wrapper(const tw_pickle *p, const tw_pickle_value *function) {
    return tw_pickle_is_global(p, function, "torch._utils", "_rebuild_parameter") ||
           tw_pickle_is_global(p, function, "torch._utils", "_rebuild_parameter_with_state") ||
           tw_pickle_is_global(p, function, "torch.nn.parameter", "Parameter") ||
           tw_pickle_is_global(p, function, "torch.nn.parameter", "Buffer");
}

static bool is_rebuild(const tw_pickle *p, const tw_pickle_value *function) {
    return tw_pickle_is_global(p, function, "torch._utils", "_rebuild_tensor") ||
           tw_pickle_is_global(p, function, "torch._utils", "_rebuild_tensor_v2") ||
           tw_pickle_is_global(p, function, "torch._utils", "_rebuild_tensor_v3");
}

/* torch's own functions: a value made by one of them is a tensor of some kind. */
static bool is_torch(const tw_pickle *p, const tw_pickle_value *function) {
    if (function->kind != TW_PICKLE_GLOBAL) return false;
    const tw_pickle_value *module = &p->values[function->u.refs[0]];
    const tw_pickle_value *name = &p->values[function->u.refs[1]];
    return (tw_pickle_is_string(module, "torch._utils") ||
            tw_pickle_is_string(module, "torch._tensor")) &&
           name->n > 9 && memcmp(name->u.bytes, "_rebuild_", 9) == 0;
}

/* Finds the call of a rebuild function inside Parameters and subclasses. *is_tensor is false for
 * a value that is no tensor at all. */
static tw_status unwrap(const tw_pickle *p, const tw_pickle_value *v, call *out, bool *is_tensor,
                        tw_error *err) {
    *is_tensor = v->kind == TW_PICKLE_CALL;
    if (!*is_tensor) return TW_OK;
    *out = call_of(p, v);
    for (int depth = 0; depth < MAX_WRAPPERS; depth++) {
        if (is_rebuild(p, out->function)) return TW_OK;
        /* _rebuild_from_type_v2(function, type, arguments, state) */
        if (tw_pickle_is_global(p, out->function, "torch._tensor", "_rebuild_from_type_v2")) {
            call inner = {tw_pickle_item(p, out->args, 0), tw_pickle_item(p, out->args, 2)};
            if (!inner.function || !inner.args || inner.args->kind != TW_PICKLE_TUPLE)
                return fail_kind(p, inner.args, "_rebuild_from_type_v2", "arguments", err);
            *out = inner;
        } else if (is_wrapper(p, out->function)) {
            const tw_pickle_value *inner = tw_pickle_item(p, out->args, 0);
            if (!inner || inner->kind != TW_PICKLE_CALL)
                return fail_kind(p, inner, "parameter", "a tensor", err);
            *out = call_of(p, inner);
        } else if (depth > 0 || is_torch(p, out->function)) {
            char got[160];
            return tw_fail(err, TW_ERR_UNSUPPORTED, "expected a dense tensor, got %s",
                           tw_pickle_describe(p, out->function, got, sizeof got));
        } else {
            *is_tensor = false;
            return TW_OK;
        }
    }
    return tw_fail(err, TW_ERR_LIMIT, "wrapped more than %d times", MAX_WRAPPERS);
}

/* A tuple of at most TW_MAX_DIMS counts, or torch.Size of one. */
static tw_status read_counts(const tw_pickle *p, const tw_pickle_value *v, const char *where,
                             int64_t out[TW_MAX_DIMS], int *n, tw_error *err) {
    if (v && v->kind == TW_PICKLE_CALL &&
        tw_pickle_is_global(p, call_of(p, v).function, "torch", "Size"))
        v = tw_pickle_item(p, call_of(p, v).args, 0);
    if (!v || (v->kind != TW_PICKLE_TUPLE && v->kind != TW_PICKLE_LIST))
        return fail_kind(p, v, where, "a tuple", err);
    if (v->n > TW_MAX_DIMS)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %u dimensions, at most %d are supported",
                       where, v->n, TW_MAX_DIMS);
    *n = 0;
    const tw_pickle_value *item;
    for (uint32_t c = v->u.cells.first; *n < TW_MAX_DIMS && (item = tw_pickle_next(p, &c));) {
        uint64_t count = 0;
        TW_TRY(read_count(p, item, where, &count, err));
        out[(*n)++] = (int64_t)count;
    }
    return TW_OK;
}

/* The element type of _rebuild_tensor_v3 stands in its arguments, not in the storage. */
static tw_status read_dtype(const tw_pickle *p, const call *c, tw_dtype *dtype, tw_error *err) {
    if (!tw_pickle_is_global(p, c->function, "torch._utils", "_rebuild_tensor_v3")) return TW_OK;
    const tw_pickle_value *name = tw_pickle_item(p, c->args, 6);
    if (name && look_up(p, name, "torch", dtypes, TW_COUNT(dtypes), dtype)) return TW_OK;
    if (!name || name->kind != TW_PICKLE_GLOBAL)
        return fail_kind(p, name, "element type", "a torch type", err);
    char got[160];
    return tw_fail(err, TW_ERR_UNSUPPORTED, "element type %s is not supported",
                   tw_pickle_describe(p, name, got, sizeof got) + strlen("the global "));
}

/* A lazy negation or conjugation is noted beside the values, which are not what they seem. */
static tw_status refuse_lazy_bits(const tw_pickle *p, const call *c, tw_error *err) {
    static const char *const bits[] = {"neg", "conj"};
    bool v3 = tw_pickle_is_global(p, c->function, "torch._utils", "_rebuild_tensor_v3");
    const tw_pickle_value *metadata = tw_pickle_item(p, c->args, v3 ? 7 : 6);
    /* A dict that many tensors share must not be searched at length for each of them. */
    if (metadata && metadata->kind == TW_PICKLE_DICT && metadata->n > MAX_METADATA)
        return tw_fail(err, TW_ERR_LIMIT, "metadata of %u members, more than the limit of %d",
                       metadata->n, MAX_METADATA);
    for (size_t i = 0; metadata && i < TW_COUNT(bits); i++) {
        const tw_pickle_value *bit = tw_pickle_get(p, metadata, bits[i]);
        if (bit && bit->kind == TW_PICKLE_BOOL && bit->u.boolean)
            return tw_fail(err, TW_ERR_UNSUPPORTED, "saved with its \"%s\" bit set", bits[i]);
    }
    return TW_OK;
}

/* The last element of the view must lie in the storage, and a view may not have more elements
 * than the storage: a stride of zero would turn four bytes into terabytes. */
static tw_status check_bounds(const tw_tensor *t, uint64_t offset, uint64_t available,
                              tw_error *err) {
    char shape[128];
    uint64_t n = 0, last = offset;
    tw_shape_text(t->n_dims, t->shape, shape, sizeof shape);
    if (!tw_shape_elements(t->n_dims, t->shape, &n))
        return tw_fail(err, TW_ERR_FORMAT, "shape %s is too large", shape);
    if (n > available)
        return tw_fail(err, TW_ERR_FORMAT, "shape %s has %llu elements, its storage %llu", shape,
                       (unsigned long long)n, (unsigned long long)available);
    if (n == 0) return TW_OK;
    for (int i = 0; i < t->n_dims; i++) {
        uint64_t step;
        if (!tw_mul_u64((uint64_t)t->shape[i] - 1, (uint64_t)t->stride[i], &step) ||
            !tw_add_u64(last, step, &last))
            return tw_fail(err, TW_ERR_FORMAT, "shape %s with a stride of %lld is too large", shape,
                           (long long)t->stride[i]);
    }
    if (last >= available)
        return tw_fail(err, TW_ERR_FORMAT,
                       "element %llu of a storage of %llu, for shape %s at offset %llu",
                       (unsigned long long)last, (unsigned long long)available, shape,
                       (unsigned long long)offset);
    return TW_OK;
}

static tw_status read_tensor(const tw_torch_source *source, const call *c, tw_tensor *out,
                             tw_error *err) {
    const tw_pickle *p = source->pickle;
    tw_torch_storage storage;
    TW_TRY(tw_torch_read_storage(p, tw_pickle_item(p, c->args, 0), &storage, err));
    uint64_t offset = 0;
    int n_strides = 0;
    *out = (tw_tensor){.dtype = storage.dtype};
    TW_TRY(read_count(p, tw_pickle_item(p, c->args, 1), "storage offset", &offset, err));
    TW_TRY(read_counts(p, tw_pickle_item(p, c->args, 2), "shape", out->shape, &out->n_dims, err));
    TW_TRY(read_counts(p, tw_pickle_item(p, c->args, 3), "strides", out->stride, &n_strides, err));
    if (n_strides != out->n_dims)
        return tw_fail(err, TW_ERR_FORMAT, "%d strides for %d dimensions", n_strides, out->n_dims);
    TW_TRY(read_dtype(p, c, &out->dtype, err));
    TW_TRY(refuse_lazy_bits(p, c, err));

    size_t was = tw_dtype_bytes(storage.dtype), is = tw_dtype_bytes(out->dtype);
    uint64_t elements = storage.has_view ? storage.view_elements : storage.n_elements;
    TW_TRY(check_bounds(out, offset, elements * was / is, err));
    const uint8_t *data = NULL;
    TW_TRY(source->locate(source->container, &storage, &data, err));
    if (tw_tensor_elements(out) == 0) offset = 0;
    out->data = data + storage.view_offset * was + offset * is;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ the dict */

tw_status tw_torch_add(const tw_torch_source *source, const void *name, size_t n_name,
                       const tw_pickle_value *value, tw_tensor_list *out, tw_error *err) {
    call c;
    bool is_tensor = false;
    tw_tensor t = {0};
    tw_status status = unwrap(source->pickle, value, &c, &is_tensor, err);
    if (status == TW_OK && is_tensor) status = read_tensor(source, &c, &t, err);
    if (status != TW_OK) {
        tw_error_context(err, "tensor \"%.*s\"", (int)TW_MIN(n_name, 80), (const char *)name);
        return status;
    }
    return is_tensor ? tw_tensor_list_add(out, name, n_name, &t, err) : TW_OK;
}

static tw_status collect_tensors(const tw_torch_source *source, const tw_pickle_value *dict,
                                 tw_tensor_list *out, tw_error *err) {
    const tw_pickle *p = source->pickle;
    const tw_pickle_value *key;
    for (uint32_t cell = dict->u.cells.first; (key = tw_pickle_next(p, &cell));) {
        const tw_pickle_value *value = tw_pickle_next(p, &cell);
        if (key->kind != TW_PICKLE_STRING) continue;
        TW_TRY(tw_torch_add(source, key->u.bytes, key->n, value, out, err));
    }
    return TW_OK;
}

static tw_status collect_ints(const tw_pickle *p, const tw_pickle_value *dict, tw_tensor_list *out,
                              tw_error *err) {
    const tw_pickle_value *key;
    for (uint32_t cell = dict->u.cells.first; (key = tw_pickle_next(p, &cell));) {
        const tw_pickle_value *value = tw_pickle_next(p, &cell);
        if (key->kind == TW_PICKLE_STRING && value->kind == TW_PICKLE_INT)
            TW_TRY(tw_tensor_list_add_int(out, key->u.bytes, key->n, value->u.integer, err));
    }
    return TW_OK;
}

tw_status tw_torch_collect(const tw_torch_source *source, tw_tensor_list *out, tw_error *err) {
    const tw_pickle *p = source->pickle;
    const tw_pickle_value *root = tw_pickle_root(p);
    char got[160];
    if (tw_torch_is_module(p, root)) return tw_torch_collect_module(source, root, out, err);
    if (root->kind == TW_PICKLE_CALL)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "the file holds %s, expected a state dict; save model.state_dict() instead",
                       tw_pickle_describe(p, root, got, sizeof got));
    if (root->kind != TW_PICKLE_DICT) return fail_kind(p, root, "root", "a dict", err);
    const tw_pickle_value *dict = tw_pickle_get(p, root, "state_dict");
    if (dict && dict->kind != TW_PICKLE_DICT)
        return fail_kind(p, dict, "\"state_dict\"", "a dict", err);
    TW_TRY(collect_ints(p, root, out, err));
    TW_TRY(collect_tensors(source, dict ? dict : root, out, err));
    if (out->n == 0)
        return tw_fail(err, TW_ERR_FORMAT, "no tensor in the %s of %u members",
                       dict ? "state dict" : "root", dict ? dict->n : root->n);
    return TW_OK;
}
