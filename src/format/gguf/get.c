/* Typed look-ups in the metadata of a GGUF file. */
#include "base/bytes.h"
#include "format/gguf/gguf.h"
#include "format/gguf/types.h"

static tw_status find(const tw_gguf *g, const char *key, const tw_gguf_key **k, tw_error *err) {
    *k = tw_gguf_find(g, key);
    if (*k) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s' is missing", key);
}

static tw_status wrong_type(const tw_gguf_key *k, const char *key, const char *expected,
                            tw_error *err) {
    bool array = k->type == TW_GGUF_ARRAY;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s' is %s%s, expected %s", key,
                   array ? "an array of " : "of type ",
                   tw_gguf_type_name(array ? k->element : k->type), expected);
}

/* False when the type is no integer or the value does not fit int64. */
static bool load_int(tw_gguf_type type, const uint8_t *p, int64_t *v) {
    switch (type) {
    case TW_GGUF_U8:
        *v = p[0];
        return true;
    case TW_GGUF_I8:
        *v = (int8_t)p[0];
        return true;
    case TW_GGUF_U16:
        *v = tw_load_u16le(p);
        return true;
    case TW_GGUF_I16:
        *v = (int16_t)tw_load_u16le(p);
        return true;
    case TW_GGUF_U32:
        *v = tw_load_u32le(p);
        return true;
    case TW_GGUF_I32:
        *v = (int32_t)tw_load_u32le(p);
        return true;
    case TW_GGUF_I64:
        *v = (int64_t)tw_load_u64le(p);
        return true;
    case TW_GGUF_U64:
        *v = (int64_t)tw_load_u64le(p);
        return tw_load_u64le(p) <= INT64_MAX;
    default:
        return false;
    }
}

static float load_f32(const uint8_t *p) {
    uint32_t bits = tw_load_u32le(p);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static tw_status check_range(const char *key, int64_t v, int64_t min, int64_t max, tw_error *err) {
    if (v >= min && v <= max) return TW_OK;
    return tw_fail(err, TW_ERR_FORMAT, "key '%s' is %lld, expected %lld..%lld", key, (long long)v,
                   (long long)min, (long long)max);
}

tw_status tw_gguf_get_int(const tw_gguf *g, const char *key, int64_t min, int64_t max, int64_t *out,
                          tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find(g, key, &k, err));
    if (!load_int(k->type, k->data, out)) return wrong_type(k, key, "an integer", err);
    return check_range(key, *out, min, max, err);
}

tw_status tw_gguf_get_f32(const tw_gguf *g, const char *key, float *out, tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find(g, key, &k, err));
    if (k->type == TW_GGUF_F64) {
        uint64_t bits = tw_load_u64le(k->data);
        double v;
        memcpy(&v, &bits, sizeof v);
        *out = (float)v;
        return TW_OK;
    }
    if (k->type != TW_GGUF_F32) return wrong_type(k, key, "f32", err);
    *out = load_f32(k->data);
    return TW_OK;
}

tw_status tw_gguf_get_bool(const tw_gguf *g, const char *key, bool *out, tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find(g, key, &k, err));
    if (k->type != TW_GGUF_BOOL) return wrong_type(k, key, "bool", err);
    if (k->data[0] > 1)
        return tw_fail(err, TW_ERR_FORMAT, "key '%s' is a bool of value %u", key, k->data[0]);
    *out = k->data[0] != 0;
    return TW_OK;
}

tw_status tw_gguf_get_string(const tw_gguf *g, const char *key, tw_gguf_string *out,
                             tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find(g, key, &k, err));
    if (k->type != TW_GGUF_STRING) return wrong_type(k, key, "string", err);
    *out = (tw_gguf_string){(const char *)k->data, (size_t)k->n};
    return TW_OK;
}

static tw_status find_array(const tw_gguf *g, const char *key, size_t n, const char *expected,
                            const tw_gguf_key **k, tw_error *err) {
    TW_TRY(find(g, key, k, err));
    if ((*k)->type != TW_GGUF_ARRAY) return wrong_type(*k, key, expected, err);
    if ((*k)->n != n)
        return tw_fail(err, TW_ERR_FORMAT, "key '%s' has %llu elements, expected %zu", key,
                       (unsigned long long)(*k)->n, n);
    return TW_OK;
}

tw_status tw_gguf_get_f32_array(const tw_gguf *g, const char *key, size_t n, float *out,
                                tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find_array(g, key, n, "an array of f32", &k, err));
    if (k->element != TW_GGUF_F32) return wrong_type(k, key, "an array of f32", err);
    for (size_t i = 0; i < n; i++)
        out[i] = load_f32(k->data + 4 * i);
    return TW_OK;
}

tw_status tw_gguf_get_int_array(const tw_gguf *g, const char *key, int64_t min, int64_t max,
                                size_t n, int32_t *out, tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find_array(g, key, n, "an array of integers", &k, err));
    for (size_t i = 0; i < n; i++) {
        int64_t v;
        if (!load_int(k->element, k->data + i * tw_gguf_scalar_bytes(k->element), &v))
            return wrong_type(k, key, "an array of integers", err);
        TW_TRY(check_range(key, v, min, max, err));
        out[i] = (int32_t)v;
    }
    return TW_OK;
}

bool tw_gguf_string_is(tw_gguf_string s, const char *text) {
    return s.n_bytes == strlen(text) && memcmp(s.data, text, s.n_bytes) == 0;
}

tw_status tw_gguf_get_strings(const tw_gguf *g, const char *key, tw_gguf_strings *out,
                              tw_error *err) {
    const tw_gguf_key *k;
    TW_TRY(find(g, key, &k, err));
    if (k->type != TW_GGUF_ARRAY || k->element != TW_GGUF_STRING)
        return wrong_type(k, key, "an array of strings", err);
    *out = (tw_gguf_strings){k->n, 0, k->data};
    return TW_OK;
}

bool tw_gguf_next_string(tw_gguf_strings *it, tw_gguf_string *out) {
    if (it->next == it->n) return false;
    out->n_bytes = (size_t)tw_load_u64le(it->p);
    out->data = (const char *)it->p + 8;
    it->p += 8 + out->n_bytes;
    it->next++;
    return true;
}
