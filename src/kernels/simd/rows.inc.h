/* What works along rows: LayerNorm, sums, pooling. Partial sums are kept in SUMS vectors, element i
 * in vector i / VL % SUMS, and added up in one order: fixed by the length alone. */

enum { SUMS = 4 };

ALWAYS_INLINE float sum_of(const vf sum[SUMS]) {
    return v_sum(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

static float row_mean(const float *x, size_t d) {
    vf sum[SUMS] = {v_zero(), v_zero(), v_zero(), v_zero()};
    size_t i = 0;
    for (; i + SUMS * VL <= d; i += SUMS * VL)
        UNROLL
    for (size_t s = 0; s < SUMS; s++)
        sum[s] = v_add(sum[s], v_load(x + i + s * VL));
    for (size_t s = 0; i < d; i += VL, s++)
        sum[s] = v_add(sum[s], v_load_n(x + i, min_size(d - i, VL)));
    return sum_of(sum) / (float)d;
}

static float row_variance(const float *x, size_t d, float mean) {
    vf sum[SUMS] = {v_zero(), v_zero(), v_zero(), v_zero()}, m = v_set1(mean);
    size_t i = 0;
    for (; i + SUMS * VL <= d; i += SUMS * VL)
        UNROLL for (size_t s = 0; s < SUMS; s++) {
            vf c = v_sub(v_load(x + i + s * VL), m);
            sum[s] = v_fma(c, c, sum[s]);
        }
    for (size_t s = 0; i < d; i += VL, s++) {
        size_t lanes = min_size(d - i, VL);
        vf c = v_first_n(v_sub(v_load_n(x + i, lanes), m), lanes);
        sum[s] = v_fma(c, c, sum[s]);
    }
    return sum_of(sum) / (float)d;
}

static void layer_norm_f32(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t n, size_t d, float *out, size_t ldo) {
    for (size_t row = 0; row < n; row++, x += ldx, out += ldo) {
        float mean = row_mean(x, d);
        vf scale = v_set1(1.0f / sqrtf(row_variance(x, d, mean) + eps)), m = v_set1(mean);
        size_t i = 0;
        for (; i + VL <= d; i += VL) {
            vf y = v_mul(v_sub(v_load(x + i), m), scale);
            v_store(out + i, v_fma(y, v_load(gamma + i), v_load(beta + i)));
        }
        if (i < d) {
            size_t lanes = d - i;
            vf y = v_mul(v_sub(v_load_n(x + i, lanes), m), scale);
            y = v_fma(y, v_load_n(gamma + i, lanes), v_load_n(beta + i, lanes));
            v_store_n(out + i, y, lanes);
        }
    }
}

static void add_f32(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    for (; i < n; i++)
        y[i] += x[i];
}

static float dot_f32(const float *a, const float *b, size_t n) {
    vf sum[SUMS] = {v_zero(), v_zero(), v_zero(), v_zero()};
    size_t i = 0;
    for (; i + SUMS * VL <= n; i += SUMS * VL)
        UNROLL
    for (size_t s = 0; s < SUMS; s++)
        sum[s] = v_fma(v_load(a + i + s * VL), v_load(b + i + s * VL), sum[s]);
    for (size_t s = 0; i < n; i += VL, s++) {
        size_t lanes = min_size(n - i, VL);
        sum[s] = v_fma(v_load_n(a + i, lanes), v_load_n(b + i, lanes), sum[s]);
    }
    return sum_of(sum);
}

/* One output pixel: the s x s pixels from x, rows of w pixels of c channels. */
static void pool_pixel(const float *x, size_t w, size_t c, size_t s, float *out) {
    const vf scale = v_set1(1.0f / (float)(s * s));
    for (size_t i = 0; i < c; i += VL) {
        size_t lanes = min_size(c - i, VL);
        vf sum = v_zero();
        for (size_t dy = 0; dy < s; dy++)
            for (size_t dx = 0; dx < s; dx++) {
                const float *from = x + (dy * w + dx) * c + i;
                sum = v_add(sum, lanes == VL ? v_load(from) : v_load_n(from, lanes));
            }
        sum = v_mul(sum, scale);
        if (lanes == VL)
            v_store(out + i, sum);
        else
            v_store_n(out + i, sum, lanes);
    }
}

static void avg_pool_f32(const float *x, size_t h, size_t w, size_t c, size_t s, size_t row_begin,
                         size_t row_end, float *out) {
    (void)h;
    size_t out_w = w / s;
    for (size_t y = row_begin; y < row_end; y++)
        for (size_t column = 0; column < out_w; column++)
            pool_pixel(x + (y * s * w + column * s) * c, w, c, s, out + (y * out_w + column) * c);
}
