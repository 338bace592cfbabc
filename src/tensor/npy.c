#include "tensor/npy.h"

#include "base/bytes.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *descr;
    tw_dtype dtype;
} descriptors[] = {
    {"<f4", TW_F32}, {"<f2", TW_F16}, {"<f8", TW_F64}, {"|i1", TW_I8},   {"|u1", TW_U8},
    {"<i2", TW_I16}, {"<i4", TW_I32}, {"<i8", TW_I64}, {"|b1", TW_BOOL},
};

/* The header is a Python dict literal; a small scanner reads the three keys numpy writes. */
typedef struct scanner {
    const char *p, *end;
} scanner;

static void skip_space(scanner *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool take(scanner *s, char c) {
    skip_space(s);
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

static bool take_string(scanner *s, char *buf, size_t n_bytes) {
    skip_space(s);
    if (s->p == s->end || (*s->p != '\'' && *s->p != '"')) return false;
    char quote = *s->p++;
    size_t n = 0;
    while (s->p < s->end && *s->p != quote) {
        if (n + 1 >= n_bytes) return false;
        buf[n++] = *s->p++;
    }
    buf[n] = '\0';
    return take(s, quote);
}

static bool take_word(scanner *s, const char *word) {
    skip_space(s);
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) return false;
    s->p += n;
    return true;
}

static bool take_extent(scanner *s, int64_t *out) {
    skip_space(s);
    int64_t v = 0;
    const char *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s->p - '0', &v))
            return false;
        s->p++;
    }
    *out = v;
    return s->p > start;
}

static bool take_shape(scanner *s, tw_tensor *t) {
    if (!take(s, '(')) return false;
    while (!take(s, ')')) {
        if (t->n_dims == TW_MAX_DIMS || !take_extent(s, &t->shape[t->n_dims])) return false;
        t->n_dims++;
        if (!take(s, ',')) return take(s, ')') && t->n_dims > 0;
    }
    return true;
}

static bool parse_dict(scanner *s, tw_tensor *t, char descr[16], bool *fortran) {
    bool have_descr = false, have_order = false, have_shape = false;
    if (!take(s, '{')) return false;
    while (!take(s, '}')) {
        char key[32];
        if (!take_string(s, key, sizeof key) || !take(s, ':')) return false;
        if (strcmp(key, "descr") == 0 && !have_descr)
            have_descr = take_string(s, descr, 16);
        else if (strcmp(key, "fortran_order") == 0 && !have_order)
            have_order = (*fortran = take_word(s, "True")) || take_word(s, "False");
        else if (strcmp(key, "shape") == 0 && !have_shape)
            have_shape = take_shape(s, t);
        else
            return false;
        take(s, ',');
    }
    return have_descr && have_order && have_shape;
}

tw_status tw_npy_parse(const void *data, size_t n_bytes, tw_tensor *out, tw_error *err) {
    const uint8_t *p = data;
    *out = (tw_tensor){0};
    if (n_bytes < 10 || memcmp(p, "\x93NUMPY", 6) != 0)
        return tw_fail(err, TW_ERR_FORMAT, "not a .npy file: no \\x93NUMPY at byte 0");
    size_t begin = p[6] == 1 ? 10 : 12;
    if (p[6] < 1 || p[6] > 3)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "npy version %d, expected 1 to 3", p[6]);
    if (n_bytes < begin) return tw_fail(err, TW_ERR_FORMAT, "npy: truncated in the header");
    size_t header = p[6] == 1 ? tw_load_u16le(p + 8) : tw_load_u32le(p + 8);
    if (!tw_range_ok(begin, header, n_bytes))
        return tw_fail(err, TW_ERR_FORMAT, "npy: header of %zu bytes, file has %zu", header,
                       n_bytes);
    scanner s = {(const char *)p + begin, (const char *)p + begin + header};
    char descr[16] = "";
    bool fortran = false;
    if (!parse_dict(&s, out, descr, &fortran))
        return tw_fail(err, TW_ERR_FORMAT, "npy: header is not the expected dict, near byte %zu",
                       (size_t)(s.p - (const char *)p));
    size_t i = 0;
    while (i < TW_COUNT(descriptors) && strcmp(descr + 1, descriptors[i].descr + 1) != 0)
        i++;
    if (i == TW_COUNT(descriptors) || descr[0] == '>')
        return tw_fail(err, TW_ERR_UNSUPPORTED, "npy: dtype '%s' is not supported", descr);
    out->dtype = descriptors[i].dtype;
    uint64_t n, bytes;
    if (!tw_shape_elements(out->n_dims, out->shape, &n) ||
        !tw_mul_u64(n, tw_dtype_bytes(out->dtype), &bytes) ||
        !tw_range_ok(begin + header, bytes, n_bytes)) {
        char shape[96];
        return tw_fail(err, TW_ERR_FORMAT, "npy: shape %s of %s does not fit in %zu bytes of data",
                       tw_shape_text(out->n_dims, out->shape, shape, sizeof shape), descr,
                       n_bytes - begin - header);
    }
    out->data = p + begin + header;
    tw_tensor_set_c_order(out);
    if (fortran) {
        int64_t stride = 1;
        for (int d = 0; d < out->n_dims; d++) {
            out->stride[d] = stride;
            stride *= out->shape[d];
        }
    }
    return TW_OK;
}

tw_status tw_npy_write_header(tw_output *out, tw_dtype dtype, int n_dims, const int64_t *shape,
                              tw_error *err) {
    const char *descr = NULL;
    for (size_t i = 0; i < TW_COUNT(descriptors); i++)
        if (descriptors[i].dtype == dtype) descr = descriptors[i].descr;
    if (!descr || n_dims < 0 || n_dims > TW_MAX_DIMS)
        return tw_fail(err, TW_ERR_ARGUMENT, "npy: cannot write %d-dimensional %s", n_dims,
                       tw_dtype_name(dtype));
    char header[320];
    int n = snprintf(header + 10, sizeof header - 10,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < n_dims; i++)
        n += snprintf(header + 10 + n, sizeof header - 10 - (size_t)n, "%s%lld", i ? ", " : "",
                      (long long)shape[i]);
    n +=
        snprintf(header + 10 + n, sizeof header - 10 - (size_t)n, "%s), }", n_dims == 1 ? "," : "");
    size_t total = ((size_t)n + 10 + 1 + 63) / 64 * 64;
    memset(header + 10 + n, ' ', total - 10 - (size_t)n);
    header[total - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((total - 10) & 0xFF);
    header[9] = (char)((total - 10) >> 8);
    return tw_output_write(out, header, total, err);
}

tw_status tw_npy_save(const char *path, tw_dtype dtype, int n_dims, const int64_t *shape,
                      const void *data, tw_error *err) {
    tw_output out;
    uint64_t n;
    size_t bytes;
    if (!tw_shape_elements(n_dims, shape, &n) || !tw_mul_size(n, tw_dtype_bytes(dtype), &bytes))
        return tw_fail(err, TW_ERR_ARGUMENT, "npy: shape overflows");
    TW_TRY(tw_output_open(path, &out, err));
    tw_status status;
    TW_CHECK(tw_npy_write_header(&out, dtype, n_dims, shape, err));
    TW_CHECK(tw_output_write(&out, data, bytes, err));
    TW_CHECK(tw_output_commit(&out, err));
done:
    tw_output_abort(&out);
    return status;
}
