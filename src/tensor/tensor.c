#include "tensor/tensor.h"

#include "base/bytes.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>

const char *tw_dtype_name(tw_dtype dtype) {
    static const char *const names[] = {"f32", "f16", "bf16", "f64", "i8",
                                        "u8",  "i16", "i32",  "i64", "bool"};
    return (unsigned)dtype < TW_COUNT(names) ? names[dtype] : "?";
}

size_t tw_dtype_bytes(tw_dtype dtype) {
    static const uint8_t bytes[] = {4, 2, 2, 8, 1, 1, 2, 4, 8, 1};
    return (unsigned)dtype < TW_COUNT(bytes) ? bytes[dtype] : 0;
}

bool tw_shape_elements(int n_dims, const int64_t *shape, uint64_t *out) {
    /* An extent of 0 must not hide an overflow of the others: strides are their products. */
    uint64_t n = 1;
    bool empty = false;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0 || !tw_mul_u64(n, (uint64_t)TW_MAX(shape[i], 1), &n)) return false;
        empty |= shape[i] == 0;
    }
    *out = empty ? 0 : n;
    return n <= INT64_MAX;
}

size_t tw_tensor_elements(const tw_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= (size_t)t->shape[i];
    return n;
}

void tw_tensor_set_c_order(tw_tensor *t) {
    int64_t stride = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        t->stride[i] = stride;
        stride *= t->shape[i];
    }
}

bool tw_tensor_is_c_order(const tw_tensor *t) {
    int64_t stride = 1;
    if (t->unpack || t->row_scale || t->column_scale) return false;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != stride) return false;
        stride *= t->shape[i];
    }
    return true;
}

const char *tw_shape_text(int n_dims, const int64_t *shape, char *buf, size_t n_bytes) {
    size_t n = 0;
    snprintf(buf, n_bytes, "[");
    n = 1;
    for (int i = 0; i < n_dims && n < n_bytes; i++)
        n += (size_t)snprintf(buf + n, n_bytes - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (n < n_bytes) snprintf(buf + n, n_bytes - n, "]");
    return buf;
}

float tw_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1F, mantissa = h & 0x3FF;
    uint32_t bits;
    if (exponent == 0x1F)
        bits = sign | 0x7F800000u | mantissa << 13;
    else if (exponent != 0)
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else {
        /* Subnormal: mantissa * 2^-24, exact in f32. */
        float v = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &v, 4);
        bits |= sign;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t tw_f32_to_f16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00); /* rounds to 65536 or more */
    if (magnitude >= 0x38800000u) {                                 /* normal */
        uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
        return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
    }
    if (magnitude < 0x33000000u) return (uint16_t)sign; /* below half of the smallest subnormal */
    uint32_t exponent = magnitude >> 23, mantissa = (magnitude & 0x7FFFFF) | 0x800000;
    uint32_t shift = 126 - exponent; /* 14..24 */
    uint32_t value = mantissa >> shift, rest = mantissa & ((1u << shift) - 1),
             half = 1u << (shift - 1);
    if (rest > half || (rest == half && (value & 1))) value++;
    return (uint16_t)(sign | value);
}

float tw_bf16_to_f32(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t tw_f32_to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40); /* quiet NaN */
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* n elements `stride` elements apart, from unaligned little-endian bytes. */
static void convert_run(tw_dtype dtype, const uint8_t *p, int64_t stride, size_t n, float *out) {
    size_t step = (size_t)stride * tw_dtype_bytes(dtype);
    if (dtype == TW_F32 && stride == 1) {
        memcpy(out, p, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++, p += step) {
        switch (dtype) {
        case TW_F32:
            memcpy(&out[i], p, 4);
            break;
        case TW_F16:
            out[i] = tw_f16_to_f32(tw_load_u16le(p));
            break;
        case TW_BF16:
            out[i] = tw_bf16_to_f32(tw_load_u16le(p));
            break;
        case TW_F64: {
            double d;
            memcpy(&d, p, 8);
            out[i] = (float)d;
            break;
        }
        case TW_I8:
            out[i] = (float)(int8_t)*p;
            break;
        case TW_U8:
            out[i] = (float)*p;
            break;
        case TW_BOOL:
            out[i] = *p != 0;
            break;
        case TW_I16:
            out[i] = (float)(int16_t)tw_load_u16le(p);
            break;
        case TW_I32:
            out[i] = (float)(int32_t)tw_load_u32le(p);
            break;
        case TW_I64:
            out[i] = (float)(int64_t)tw_load_u64le(p);
            break;
        }
    }
}

static float load_scale(const void *scales, size_t i) {
    float v = 1;
    if (scales) memcpy(&v, (const uint8_t *)scales + i * sizeof v, sizeof v);
    return v;
}

/* The two scales are multiplied first, so that a transposed view gives the same bits. */
static void scale_run(const tw_tensor *t, size_t row, size_t column, size_t n, float *out) {
    float by = load_scale(t->row_scale, row);
    for (size_t i = 0; i < n; i++)
        out[i] *= by * load_scale(t->column_scale, column + i);
}

void tw_tensor_to_f32_range(const tw_tensor *t, size_t begin, size_t n, float *out) {
    size_t size = tw_dtype_bytes(t->dtype);
    const uint8_t *data = t->data;
    if (n == 0) return;
    if (t->unpack) {
        t->unpack(data, begin, n, out);
        return;
    }
    if (tw_tensor_is_c_order(t)) {
        convert_run(t->dtype, data + begin * size, 1, n, out);
        return;
    }
    /* Walk the C-order sequence in runs along the last axis. */
    int last = t->n_dims - 1;
    size_t inner = (size_t)t->shape[last];
    while (n > 0) {
        size_t rest = begin / inner, column = begin % inner,
               offset = column * (size_t)t->stride[last];
        for (int i = last - 1; i >= 0; i--) {
            offset += rest % (size_t)t->shape[i] * (size_t)t->stride[i];
            rest /= (size_t)t->shape[i];
        }
        size_t run = TW_MIN(n, inner - column);
        convert_run(t->dtype, data + offset * size, t->stride[last], run, out);
        if (t->row_scale || t->column_scale) scale_run(t, begin / inner, column, run, out);
        out += run;
        begin += run;
        n -= run;
    }
}

void tw_tensor_to_f32(const tw_tensor *t, float *out) {
    tw_tensor_to_f32_range(t, 0, tw_tensor_elements(t), out);
}

tw_tensor tw_tensor_transpose(const tw_tensor *t) {
    tw_tensor out = *t;
    out.shape[0] = t->shape[1];
    out.shape[1] = t->shape[0];
    out.stride[0] = t->stride[1];
    out.stride[1] = t->stride[0];
    out.row_scale = t->column_scale;
    out.column_scale = t->row_scale;
    return out;
}

tw_tensor tw_tensor_rows(const tw_tensor *t, int64_t begin, int64_t n) {
    tw_tensor out = *t;
    out.shape[0] = n;
    out.data = (const uint8_t *)t->data + (size_t)(begin * t->stride[0]) * tw_dtype_bytes(t->dtype);
    if (t->row_scale) out.row_scale = (const uint8_t *)t->row_scale + (size_t)begin * sizeof(float);
    return out;
}
