/* A 3x3 convolution by F(2x2, 3x3) of every table that has it against sums in f64. */
#define _GNU_SOURCE
#include "kernel_support.h"

enum { POINTS = 16 };

typedef struct conv {
    size_t h, w, c, n;
    float *x, *g, *bias; /* [h, w, c], [n, 3, 3, c], [n] */
} conv;

static conv make_conv(size_t h, size_t w, size_t c, size_t n, uint64_t *seed) {
    conv v = {h, w, c, n, array(h * w * c), array(n * 9 * c), array(n)};
    fill_random(v.x, h * w * c, seed);
    fill_random(v.g, n * 9 * c, seed);
    fill_random(v.bias, n, seed);
    return v;
}

static double expected_at(const conv *v, size_t y, size_t x, size_t o) {
    double sum = (double)v->bias[o];
    for (size_t ky = 0; ky < 3; ky++)
        for (size_t kx = 0; kx < 3; kx++) {
            size_t iy = y + ky, ix = x + kx; /* one too many: padding */
            if (iy < 1 || ix < 1 || iy > v->h || ix > v->w) continue;
            const float *in = v->x + ((iy - 1) * v->w + ix - 1) * v->c;
            for (size_t c = 0; c < v->c; c++)
                sum += (double)in[c] * (double)v->g[(o * 9 + ky * 3 + kx) * v->c + c];
        }
    return sum > 0 ? sum : 0;
}

/* Point (i, j) of G g G^T of a filter's channel. */
static float point(const conv *v, size_t o, size_t c, size_t i, size_t j) {
    static const double g[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
    double sum = 0;
    for (size_t y = 0; y < 3; y++)
        for (size_t x = 0; x < 3; x++)
            sum += g[i][y] * g[j][x] * (double)v->g[(o * 9 + y * 3 + x) * v->c + c];
    return (float)sum;
}

/* Matrix `p` of the filters, packed. */
static float *packed_point(const tw_kernels *t, const conv *v, size_t p) {
    size_t panels = (v->n + t->nr - 1) / t->nr;
    float *plain = array(v->n * v->c), *packed = scratch_array(panels * t->nr * v->c);
    for (size_t o = 0; o < v->n; o++)
        for (size_t c = 0; c < v->c; c++)
            plain[o * v->c + c] = point(v, o, c, p / 4, p % 4);
    t->pack_f32(plain, v->c, v->n, v->c, 0, panels, packed);
    return packed;
}

/* Tiles [begin, end) of the map. */
static void convolve(const tw_kernels *t, const conv *v, float *const packed[POINTS], size_t begin,
                     size_t end, float *out) {
    size_t tiles = end - begin, in_plane = tiles * v->c + 3, out_plane = tiles * v->n + 5;
    float *in = array(POINTS * in_plane), *sums = array(POINTS * out_plane);
    t->winograd_in(v->x, v->h, v->w, v->c, begin, end, in, in_plane);
    for (size_t p = 0; p < POINTS; p++) {
        tw_gemm g = {.a = in + p * in_plane,
                     .b = packed[p],
                     .c = sums + p * out_plane,
                     .lda = v->c,
                     .ldc = v->n,
                     .m = tiles,
                     .n = v->n,
                     .k = v->c};
        t->gemm_f32(&g, 0, tiles, 0, (v->n + t->nr - 1) / t->nr);
    }
    t->winograd_out(sums, out_plane, v->bias, v->w, v->n, begin, end, out);
}

/* Values are below 1: an input point is below 4 and a weight's below 9 / 4, each good to 4
 * roundings; a sum of c products to c + 2 of its magnitude, twice that where the multiply-add is
 * emulated; an output is nine of the sums and a bias, added up in eight steps. */
static double limit_of(const conv *v) {
    double c = (double)v->c;
    return 9 * (9 * c) * (2 * c + 20) * unit;
}

static void check_conv(const tw_kernels *t, const conv *v, uint64_t *seed) {
    size_t tiles = v->h * v->w / 4, n = v->h * v->w * v->n, cut = between(seed, 0, tiles);
    float *out = array(n), *split = array(n), *packed[POINTS];
    for (size_t p = 0; p < POINTS; p++)
        packed[p] = packed_point(t, v, p);
    CASE("%s: h=%zu w=%zu c=%zu n=%zu", t->name, v->h, v->w, v->c, v->n);
    fill_guard(out, n);
    convolve(t, v, packed, 0, tiles, out);
    for (size_t i = 0; i < n; i++) {
        double e = expected_at(v, i / v->n / v->w, i / v->n % v->w, i % v->n);
        if (!(fabs((double)out[i] - e) <= limit_of(v)))
            fail_case("element %zu is %.9g, expected %.9g +- %.3g", i, (double)out[i], e,
                      limit_of(v));
    }
    if (cut < tiles) convolve(t, v, packed, cut, tiles, split);
    if (cut > 0) convolve(t, v, packed, 0, cut, split);
    check_same_bits("in two ranges of tiles", split, out, v->h * v->w, v->n, v->n);
}

static void convolution_agrees_with_sums_in_f64(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    uint64_t seed = 8;
    assert_null(tables[0]->winograd_in);
    for (int i = 0; i < n_tables; i++)
        for (int c = 0; c < 24 && tables[i]->winograd_in; c++) {
            conv v = c == 0 ? make_conv(14, 14, 64, 33, &seed)
                            : make_conv(2 * between(&seed, 1, 5), 2 * between(&seed, 1, 5),
                                        between(&seed, 1, 40), between(&seed, 1, 40), &seed);
            check_conv(tables[i], &v, &seed);
            free_arrays();
        }
}

/* A NaN reaches the outputs it is a neighbour of, in whatever lane, as it does through windows. */
static void a_nan_is_not_lost(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    uint64_t seed = 9;
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        if (!t->winograd_in) continue;
        conv v = make_conv(4, 4, 3, 18, &seed);
        float *out = array(4 * 4 * 18), *packed[POINTS];
        v.x[5 * 3 + 1] = NAN; /* pixel (1, 1) */
        for (size_t p = 0; p < POINTS; p++)
            packed[p] = packed_point(t, &v, p);
        convolve(t, &v, packed, 0, 4, out);
        CASE("%s: a NaN", t->name);
        for (size_t y = 0; y < 3; y++)
            for (size_t j = 0; j < 3 * 18; j++)
                if (!isnan(out[y * 4 * 18 + j])) fail_case("lost at (%zu, %zu)", y, j);
        free_arrays();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_agrees_with_sums_in_f64),
        cmocka_unit_test(a_nan_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
