/* The int8 product of every table. What is quantised and the integer sums are equal to the bit
 * everywhere; what the epilogue makes of them is within a few roundings. */
#define _GNU_SOURCE
#include "narrow_support.h"

/* Extreme values quantise to 0 and 255 and to -127 and 127: where a 16-bit sum would saturate. */
static void fill_extreme(float *x, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++)
        x[i] = between(seed, 0, 7) ? 1.0f : between(seed, 0, 1) ? -1.0f : 0.0f;
}

/* Weights that are int8 already give the panels that quantising makes. */
static void check_stored(const tw_kernels *t, const problem *p, const operands *o,
                         const unsigned char *packed) {
    size_t n = panels_of(t, p->n) * t->i8.panel(p->k);
    signed char *b = (signed char *)bytes((p->n * p->k + 3) / 4 * 4);
    float *scale = array(p->n);
    unsigned char *again = bytes(n);
    for (size_t i = 0; i < p->n; i++) {
        const float *row = o->w + i * (p->k + p->pad);
        float most = 0;
        for (size_t j = 0; j < p->k; j++)
            most = fmaxf(most, fabsf(row[j]));
        scale[i] = most > 0 ? most / 127.0f : 0;
        for (size_t j = 0; j < p->k && most > 0; j++)
            b[i * p->k + j] = (signed char)rintf(row[j] * (127.0f / most));
    }
    memset(again, 0xA5, n);
    t->pack_stored_i8(b, scale, p->n, p->k, 0, panels_of(t, p->n), again);
    if (memcmp(packed, again, n) != 0)
        fail_case("%s: stored weights are packed differently", t->name);
}

static unsigned char *quantize(const tw_kernels *t, const problem *p, const operands *o) {
    size_t size = t->i8.row(p->k), ld = p->k + p->pad;
    unsigned char *rows = bytes(p->m * size), *alone = bytes(size);
    memset(rows, 0xA5, p->m * size);
    t->i8.quantize(o->x, ld, p->smooth ? o->m : NULL, p->m, p->k, rows);
    for (size_t i = 0; i < p->m; i++) {
        memset(alone, 0xA5, size);
        t->i8.quantize(o->x + i * ld, ld, p->smooth ? o->m : NULL, 1, p->k, alone);
        /* A row's head has bytes nobody reads; scale and zero are its first eight. */
        size_t head = size - (size - 64) / 64 * 64;
        if (memcmp(alone, rows + i * size, 8) != 0 ||
            (size > 64 && memcmp(alone + head, rows + i * size + head, size - head) != 0))
            fail_case("row %zu alone is quantised differently", i);
    }
    return rows;
}

/* The scaled sum rounds three times, bias and residual once each; the activations are as exact as
 * in the f32 product, 10 roundings of their result with a slope of at most 1.13. `sum` is the
 * reference's without them. */
static double limit(double sum, double result) {
    return unit * (1.13 * (4 * fabs(sum) + 4) + 14 * fabs(result) + 4);
}

static void check_problem(const problem *p, uint64_t *seed) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    operands o = make_operands(p, fill_extreme, seed);
    size_t ldc = p->n + p->pad;
    float *sums = NULL, *expected = NULL, *first = NULL;
    problem plain = *p;
    plain.act = TW_ACT_ID;
    plain.bias = plain.residual = plain.in_place = plain.relu = 0;
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        CASE("%s: m=%zu n=%zu k=%zu pad=%zu act=%d bias=%d residual=%d in_place=%d relu=%d "
             "smooth=%d "
             "extreme=%d seed=%llu",
             t->name, p->m, p->n, p->k, p->pad, (int)p->act, p->bias, p->residual, p->in_place,
             p->relu, p->smooth, p->special, (unsigned long long)*seed);
        unsigned char *b = pack(t, &t->i8, p, &o, seed), *a = quantize(t, p, &o);
        check_stored(t, p, &o, b);
        float *sum = new_output(&plain, &o), *c = new_output(p, &o);
        tw_gemm_narrow g = describe(&plain, &o, a, b, sum);
        t->i8.gemm(&g, 0, p->m, 0, panels_of(t, p->n));
        g = describe(p, &o, a, b, c);
        t->i8.gemm(&g, 0, p->m, 0, panels_of(t, p->n));
        check_gaps(c, p->m, p->n, ldc);
        if (i == 0) sums = sum, expected = c;
        if (i == 1) first = sum;
        /* Scaled, a difference of one in an integer sum would be 1 / (255 * 127) of a product. */
        if (i > 1) check_same_bits("sums of two tables", sum, first, p->m, p->n, ldc);
        for (size_t r = 0; r < p->m; r++)
            for (size_t j = 0; j < p->n; j++) {
                double s = (double)sums[r * ldc + j], x = (double)c[r * ldc + j];
                double y = (double)expected[r * ldc + j];
                if (!(fabs((double)sum[r * ldc + j] - s) <= 4 * unit * fabs(s)))
                    fail_case("sum (%zu, %zu) is %.9g, expected %.9g", r, j,
                              (double)sum[r * ldc + j], s);
                if (!(fabs(x - y) <= limit(s, y)))
                    fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", r, j, x, y,
                              limit(s, y));
            }
        check_same_bits("in pieces", pieces(t, &t->i8, p, &o, a, b, seed), c, p->m, p->n, ldc);
    }
    free_arrays();
}

static void sizes_up_to_67_agree(void **state) {
    check_sizes_up_to_67(check_problem);
}

static const tw_narrow *narrow_of(const tw_kernels *t) {
    return &t->i8;
}

static void sizes_of_0_are_taken(void **state) {
    check_sizes_of_0(narrow_of);
}

static void real_shapes_agree(void **state) {
    static const size_t shapes[][3] = {{14, 96, 768}, {1, 64, 3072}, {97, 33, 192}, {200, 40, 65}};
    uint64_t seed = chosen_seed();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int extreme = 0; extreme <= 1; extreme++) {
            problem p = {
                shapes[i][0], shapes[i][1], shapes[i][2], 3, (tw_act)(i % 3), 1, 1, 0, 0, 1,
                extreme};
            check_problem(&p, &seed);
        }
}

/* All 255 times all 127 and -127, over the longest K: the largest sums there can be. */
static void the_largest_sums_are_exact(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    static const size_t ks[] = {1, 2, 3, 4, 255, 4099, TW_I8_MAX_K - 1};
    for (size_t l = 0; l < sizeof ks / sizeof *ks; l++)
        for (int i = 0; i < n_tables; i++) {
            const tw_kernels *t = tables[i];
            size_t k = ks[l];
            float *x = array(k), *w = array(2 * k), c[2];
            for (size_t p = 0; p < k; p++)
                x[p] = 255, w[p] = 127, w[k + p] = -127;
            unsigned char *a = bytes(t->i8.row(k)), *b = bytes(panels_of(t, 2) * t->i8.panel(k));
            t->i8.quantize(x, k, NULL, 1, k, a);
            t->i8.pack(w, k, 2, k, 0, panels_of(t, 2), b);
            tw_gemm_narrow g = {a, b, {.c = c, .ldc = 2, .m = 1, .n = 2, .k = k}};
            t->i8.gemm(&g, 0, 1, 0, panels_of(t, 2));
            CASE("%s: k=%zu", t->name, k);
            float expected = (float)(int32_t)(255 * 127 * k);
            if (c[0] != expected || c[1] != -expected)
                fail_case("got %.9g and %.9g, expected +-%.9g", (double)c[0], (double)c[1],
                          (double)expected);
            free_arrays();
        }
}

/* What eight bits cost: half a step of either operand a product, steps of range / 255 and
 * magnitude / 127. */
static void the_product_is_near_the_unquantised(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    uint64_t seed = chosen_seed();
    problem p = {9, 35, 300, 0, TW_ACT_ID, 0, 0, 0, 0, 0, 0};
    operands o = make_operands(&p, fill_extreme, &seed);
    for (int i = 0; i < n_tables; i++) {
        unsigned char *b = pack(tables[i], &tables[i]->i8, &p, &o, &seed),
                      *a = quantize(tables[i], &p, &o);
        float *c = new_output(&p, &o);
        tw_gemm_narrow g = describe(&p, &o, a, b, c);
        tables[i]->i8.gemm(&g, 0, p.m, 0, panels_of(tables[i], p.n));
        CASE("%s: quantisation error", tables[i]->name);
        for (size_t r = 0; r < p.m; r++)
            for (size_t j = 0; j < p.n; j++) {
                double sum = 0, allowed = 1e-5;
                for (size_t q = 0; q < p.k; q++) {
                    double x = (double)o.x[r * p.k + q], w = (double)o.w[j * p.k + q];
                    sum += x * w;
                    allowed += fabs(x) / 254 + fabs(w) / 127 + 1.0 / 254 / 127;
                }
                if (!(fabs((double)c[r * p.n + j] - sum) <= allowed))
                    fail_case("element (%zu, %zu) is %.9g, unquantised %.9g +- %.3g", r, j,
                              (double)c[r * p.n + j], sum, allowed);
            }
    }
    free_arrays();
}

static void check_special(const tw_kernels *t, float value, float *out) {
    float x[8] = {1, 2, 3, value, 5, 6, 7, 8}, w[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    unsigned char *a = bytes(t->i8.row(8)), *b = bytes(t->i8.panel(8));
    t->i8.quantize(x, 8, NULL, 1, 8, a);
    t->i8.pack(w, 8, 1, 8, 0, 1, b);
    tw_gemm_narrow g = {a, b, {.c = out, .ldc = 1, .m = 1, .n = 1, .k = 8}};
    t->i8.gemm(&g, 0, 1, 0, 1);
    t->i8.pack(x, 8, 1, 8, 0, 1, b);
    t->i8.quantize(w, 8, NULL, 1, 8, a);
    g.to.c = out + 1;
    t->i8.gemm(&g, 0, 1, 0, 1);
    free_arrays();
}

/* What is not finite in either operand stays NaN, is not turned into a number. */
static void nan_and_infinity_become_nan(void **state) {
    static const float values[] = {NAN, INFINITY, -INFINITY};
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++)
        for (int v = 0; v < 3; v++) {
            float out[2] = {0, 0};
            check_special(tables[i], values[v], out);
            CASE("%s: %g", tables[i]->name, (double)values[v]);
            if (!isnan(out[0]) || !isnan(out[1]))
                fail_case("became %g in A, %g in B", (double)out[0], (double)out[1]);
        }
}

static void zeros_and_tiny_numbers_are_zero(void **state) {
    static const float values[] = {0, -0.0f, 1e-38f, 1e-44f};
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++)
        for (int v = 0; v < 4; v++) {
            const tw_kernels *t = tables[i];
            float x[3] = {values[v], -values[v], values[v]}, w[3] = {1, 2, 3}, c = 9;
            unsigned char *a = bytes(t->i8.row(3)), *b = bytes(t->i8.panel(3));
            t->i8.quantize(x, 3, NULL, 1, 3, a);
            t->i8.pack(w, 3, 1, 3, 0, 1, b);
            tw_gemm_narrow g = {a, b, {.c = &c, .ldc = 1, .m = 1, .n = 1, .k = 3}};
            t->i8.gemm(&g, 0, 1, 0, 1);
            CASE("%s: %g", t->name, (double)values[v]);
            if (c != 0) fail_case("became %g", (double)c);
            free_arrays();
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_up_to_67_agree),
        cmocka_unit_test(sizes_of_0_are_taken),
        cmocka_unit_test(real_shapes_agree),
        cmocka_unit_test(the_largest_sums_are_exact),
        cmocka_unit_test(the_product_is_near_the_unquantised),
        cmocka_unit_test(nan_and_infinity_become_nan),
        cmocka_unit_test(zeros_and_tiny_numbers_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
