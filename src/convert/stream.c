#include "convert/stream.h"

#include "base/bytes.h"
#include "base/size.h"

#include <math.h>

/* Elements converted at a time: fits the first-level cache, and any thread's stack. */
#define PIECE 4096
/* Bytes copied at a time before their pages are given back. */
#define SPAN ((size_t)8 << 20)

tw_status tw_stored_type(const tw_tensor *t, bool matrix, int precision, tw_dtype *out,
                         tw_error *err) {
    if (t->dtype != TW_F32 && t->dtype != TW_F16 && t->dtype != TW_BF16 && t->dtype != TW_F64)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "tensor '%s' has type %s, expected a float type%s",
                       t->name, tw_dtype_name(t->dtype),
                       t->dtype == TW_I8 ? "; an int8 model file is made of a checkpoint" : "");
    *out = t->dtype == TW_F64 ? TW_F32 : t->dtype;
    if (precision == TW_F32 || (precision >= 0 && matrix)) *out = (tw_dtype)precision;
    return TW_OK;
}

/* Element `index` of the C-order sequence of an f64 tensor. */
static double load_f64(const tw_tensor *t, size_t index) {
    size_t offset = 0;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        offset += index % (size_t)t->shape[i] * (size_t)t->stride[i];
        index /= (size_t)t->shape[i];
    }
    double v;
    memcpy(&v, (const uint8_t *)t->data + offset * sizeof v, sizeof v);
    return v;
}

static tw_status overflow(const tw_tensor *t, double v, tw_dtype dtype, tw_error *err) {
    return tw_fail(err, TW_ERR_LIMIT, "tensor '%s' has the value %g, which does not fit %s",
                   t->name, v, tw_dtype_name(dtype));
}

/* Infinities among `values` must have been infinite in the checkpoint. */
static tw_status check_f64(const tw_tensor *t, size_t begin, const float *values, size_t n,
                           tw_dtype dtype, tw_error *err) {
    for (size_t i = 0; i < n; i++)
        if (isinf(values[i])) {
            double v = load_f64(t, begin + i);
            if (!isinf(v)) return overflow(t, v, dtype, err);
        }
    return TW_OK;
}

static tw_status to_half(const tw_tensor *t, tw_dtype dtype, const float *values, size_t n,
                         uint8_t *out, tw_error *err) {
    uint16_t infinity = dtype == TW_F16 ? 0x7C00 : 0x7F80;
    for (size_t i = 0; i < n; i++) {
        uint16_t h = dtype == TW_F16 ? tw_f32_to_f16(values[i]) : tw_f32_to_bf16(values[i]);
        if ((h & 0x7FFF) == infinity && !isinf(values[i]))
            return overflow(t, (double)values[i], dtype, err);
        out[2 * i] = (uint8_t)h;
        out[2 * i + 1] = (uint8_t)(h >> 8);
    }
    return TW_OK;
}

static tw_status through_f16(const tw_tensor *t, float *values, size_t n, tw_error *err) {
    for (size_t i = 0; i < n; i++) {
        float v = tw_f16_to_f32(tw_f32_to_f16(values[i]));
        if (isinf(v) && !isinf(values[i])) return overflow(t, (double)values[i], TW_F16, err);
        values[i] = v;
    }
    return TW_OK;
}

static void to_f32_bytes(const float *values, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        tw_store_u32le(out + 4 * i, bits);
    }
}

static tw_status copy(tw_gguf_writer *w, const tw_tensor *t, tw_error *err) {
    const uint8_t *p = t->data;
    size_t left = tw_tensor_elements(t) * tw_dtype_bytes(t->dtype);
    while (left > 0) {
        size_t n = TW_MIN(left, SPAN);
        TW_TRY(tw_gguf_write(w, p, n, err));
        tw_drop_pages(p, n);
        p += n;
        left -= n;
    }
    return TW_OK;
}

tw_status tw_stream_tensor(tw_gguf_writer *w, const tw_tensor *t, tw_dtype dtype, bool round_f16,
                           tw_error *err) {
    bool in_order = tw_tensor_is_c_order(t);
    if (in_order && t->dtype == dtype && (!round_f16 || dtype == TW_F16)) return copy(w, t, err);
    float values[PIECE];
    uint8_t bytes[PIECE * sizeof(float)];
    size_t total = tw_tensor_elements(t);
    for (size_t begin = 0; begin < total; begin += PIECE) {
        size_t n = TW_MIN(total - begin, PIECE);
        tw_tensor_to_f32_range(t, begin, n, values);
        if (t->dtype == TW_F64) TW_TRY(check_f64(t, begin, values, n, dtype, err));
        if (round_f16) TW_TRY(through_f16(t, values, n, err));
        if (dtype == TW_F32)
            to_f32_bytes(values, n, bytes);
        else
            TW_TRY(to_half(t, dtype, values, n, bytes, err));
        TW_TRY(tw_gguf_write(w, bytes, n * tw_dtype_bytes(dtype), err));
    }
    if (in_order) tw_drop_pages(t->data, total * tw_dtype_bytes(t->dtype));
    return TW_OK;
}
