/* The bf16 product of every table: what is rounded is equal to the bit everywhere, the sums are
 * within the roundings that f32 makes of them, and those of all tables but ref are the same. */
#define _GNU_SOURCE
#include "kernel_support.h"
#include "tensor/tensor.h"

#include <time.h>

typedef struct problem {
    size_t m, n, k, pad;
    tw_act act;
    int bias, residual, in_place, relu, smooth, tiny; /* tiny: around the smallest normal numbers */
} problem;

typedef struct operands {
    float *x, *w, *m, *bias, *residual;
} operands;

static const double smallest = 0x1p-126; /* a normal number; below it vdpbf16ps knows only 0 */

static unsigned char *bytes(size_t n) {
    assert_int_equal(n % 4, 0);
    return (unsigned char *)array(n / 4);
}

static size_t panels_of(const tw_kernels *t, size_t n) {
    return (n + t->nr - 1) / t->nr;
}

/* Magnitudes from 2^-140 to 2^60: operands, products and sums above and below 2^-126. */
static void fill_tiny(float *x, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++)
        x[i] = ldexpf(test_random_float(seed), (int)between(seed, 0, 200) - 140);
}

static operands make_operands(const problem *p, uint64_t *seed) {
    size_t ld = p->k + p->pad, ldc = p->n + p->pad;
    operands o = {array((p->m - 1) * ld + p->k), array((p->n - 1) * ld + p->k), array(p->k),
                  array(p->n), array((p->m - 1) * ldc + p->n)};
    void (*fill)(float *, size_t, uint64_t *) = p->tiny ? fill_tiny : fill_random;
    fill(o.x, (p->m - 1) * ld + p->k, seed);
    fill(o.w, (p->n - 1) * ld + p->k, seed);
    fill_random(o.m, p->k, seed);
    fill_random(o.bias, p->n, seed);
    fill_random(o.residual, (p->m - 1) * ldc + p->n, seed);
    return o;
}

/* Element (i, q) of A and (j, q) of B, as they are multiplied. */
static double a_at(const problem *p, const operands *o, size_t i, size_t q) {
    float x = o->x[i * (p->k + p->pad) + q];
    return (double)tw_bf16_to_f32(tw_f32_to_bf16(p->smooth ? x * o->m[q] : x));
}
static double b_at(const problem *p, const operands *o, size_t j, size_t q) {
    return (double)tw_bf16_to_f32(tw_f32_to_bf16(o->w[j * (p->k + p->pad) + q]));
}

/* In two ranges of panels; what is outside a range stays. */
static unsigned char *pack(const tw_kernels *t, const problem *p, const operands *o,
                           uint64_t *seed) {
    size_t panels = panels_of(t, p->n), size = t->bf16.panel(p->k), cut = between(seed, 0, panels);
    unsigned char *packed = bytes(panels * size);
    memset(packed, 0xA5, panels * size);
    t->bf16.pack(o->w, p->k + p->pad, p->n, p->k, cut, panels, packed);
    for (size_t i = 0; i < cut * size; i++)
        if (packed[i] != 0xA5) fail_case("packing touched a panel outside its range");
    t->bf16.pack(o->w, p->k + p->pad, p->n, p->k, 0, cut, packed);
    return packed;
}

/* A matrix stored as bf16, at an odd address, is packed to the same bytes. */
static void check_stored(const tw_kernels *t, const problem *p, const operands *o,
                         const unsigned char *packed, uint64_t *seed) {
    size_t panels = panels_of(t, p->n), size = t->bf16.panel(p->k), cut = between(seed, 0, panels);
    size_t n_bytes = p->n * p->k * 2;
    unsigned char *stored = bytes((n_bytes + 7) / 4 * 4), *again = bytes(panels * size);
    stored += (n_bytes + 7) / 4 * 4 - n_bytes; /* ends at the wall */
    if (n_bytes % 4 == 0) stored--;
    for (size_t j = 0; j < p->n; j++)
        for (size_t q = 0; q < p->k; q++) {
            uint16_t b = tw_f32_to_bf16(o->w[j * (p->k + p->pad) + q]);
            memcpy(stored + (j * p->k + q) * 2, &b, 2);
        }
    memset(again, 0xA5, panels * size);
    t->pack_stored_bf16(stored, p->n, p->k, cut, panels, again);
    for (size_t i = 0; i < cut * size; i++)
        if (again[i] != 0xA5) fail_case("packing touched a panel outside its range");
    t->pack_stored_bf16(stored, p->n, p->k, 0, cut, again);
    if (memcmp(again, packed, panels * size) != 0)
        fail_case("a matrix stored as bf16 is packed differently");
}

/* Rows as the contract says: the rounded elements back to back, and a zero where k is odd. */
static unsigned char *quantize(const tw_kernels *t, const problem *p, const operands *o) {
    size_t size = t->bf16.row(p->k), ld = p->k + p->pad, element = t->bf16.row(2) / 2;
    unsigned char *rows = bytes(p->m * size);
    assert_true(element == 2 || element == 4);
    assert_int_equal(size, (p->k + 1) / 2 * 2 * element);
    memset(rows, 0xA5, p->m * size);
    t->bf16.quantize(o->x, ld, p->smooth ? o->m : NULL, p->m, p->k, rows);
    for (size_t i = 0; i < p->m; i++)
        for (size_t q = 0; q < size / element; q++) {
            uint32_t bits = 0;
            float expected = q < p->k ? (float)a_at(p, o, i, q) : 0;
            memcpy((unsigned char *)&bits + (4 - element), rows + i * size + q * element, element);
            if (memcmp(&bits, &expected, 4) != 0) fail_case("element (%zu, %zu) of A", i, q);
        }
    return rows;
}

static float *new_output(const problem *p, const operands *o) {
    size_t ldc = p->n + p->pad, n = (p->m - 1) * ldc + p->n;
    float *c = array(n);
    fill_guard(c, n);
    for (size_t i = 0; p->in_place && i < p->m; i++)
        memcpy(c + i * ldc, o->residual + i * ldc, p->n * sizeof(float));
    return c;
}

static tw_gemm_narrow describe(const problem *p, const operands *o, const unsigned char *a,
                               const unsigned char *b, float *c) {
    size_t ldc = p->n + p->pad;
    tw_gemm_narrow g = {a, b, {.c = c, .ldc = ldc, .ld_residual = ldc, .m = p->m, .n = p->n}};
    g.to.k = p->k;
    g.to.bias = p->bias ? o->bias : NULL;
    g.to.residual = p->in_place ? c : p->residual ? o->residual : NULL;
    g.to.act = p->act;
    g.to.relu = p->relu;
    return g;
}

/* Cut anywhere along rows and panels. */
static float *pieces(const tw_kernels *t, const problem *p, const operands *o,
                     const unsigned char *a, const unsigned char *b, uint64_t *seed) {
    float *c = new_output(p, o);
    tw_gemm_narrow g = describe(p, o, a, b, c);
    size_t panels = panels_of(t, p->n);
    for (size_t row = 0; row < p->m;) {
        size_t row_end = row + between(seed, 1, p->m - row);
        for (size_t panel = 0; panel < panels;) {
            size_t panel_end = panel + between(seed, 1, panels - panel);
            t->bf16.gemm(&g, row, row_end, panel, panel_end);
            panel = panel_end;
        }
        row = row_end;
    }
    return c;
}

/* Every row as a product of its own. */
static float *lone_rows(const tw_kernels *t, const problem *p, const operands *o,
                        const unsigned char *a, const unsigned char *b) {
    float *c = new_output(p, o);
    for (size_t i = 0; i < p->m; i++) {
        tw_gemm_narrow g = describe(p, o, a + i * t->bf16.row(p->k), b, c);
        g.to.c += i * g.to.ldc;
        if (g.to.residual) g.to.residual += i * g.to.ld_residual;
        g.to.m = 1;
        t->bf16.gemm(&g, 0, 1, 0, panels_of(t, p->n));
    }
    return c;
}

/* How far a sum may be from the true one. A product of two bf16 has at most 16 digits and is exact
 * in f32. K of them are added one after the other, each rounded once, hence with an error of at
 * most K units of the sum of their magnitudes (the emulated fused multiply-add of AVX-512 rounds
 * twice), and one more unit is the reference's own. What is below 2^-126 may be taken as 0: an
 * operand costs the product it is in, a product or a sum 2^-126, at each of K steps. `with` is what
 * the unit's second order adds: 1 / (1 - 2 K unit) is below 1.001 up to K = 8388. */
static double sum_limit(const problem *p, const operands *o, size_t i, size_t j) {
    const double with = 1.001;
    double magnitude = 0, lost = 0;
    for (size_t q = 0; q < p->k; q++) {
        double a = fabs(a_at(p, o, i, q)), b = fabs(b_at(p, o, j, q));
        magnitude += a * b;
        lost += 2 * smallest + (a < smallest || b < smallest ? a * b : 0);
    }
    return with * (2.0 * (double)p->k + 1) * unit * magnitude + lost;
}

/* And the result: the bias, the residual and the activation as in the f32 product. */
static double limit(const problem *p, double of_sum, double result) {
    return 1.13 * of_sum + (p->act == TW_ACT_ID ? 4 : 14) * unit * (fabs(result) + 4);
}

static void compare(const problem *p, const operands *o, const float *sum, const float *c,
                    const float *sums, const float *expected) {
    size_t ldc = p->n + p->pad;
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double s = (double)sums[i * ldc + j], allowed = sum_limit(p, o, i, j);
            double x = (double)c[i * ldc + j], y = (double)expected[i * ldc + j];
            if (!(fabs((double)sum[i * ldc + j] - s) <= allowed))
                fail_case("sum (%zu, %zu) is %.9g, expected %.9g +- %.3g", i, j,
                          (double)sum[i * ldc + j], s, allowed);
            if (p->tiny) continue; /* its sums reach 2^120, where bias and residual are nothing */
            if (!(fabs(x - y) <= limit(p, allowed, y)))
                fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", i, j, x, y,
                          limit(p, allowed, y));
        }
}

static void check_problem(const problem *p, uint64_t *seed) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    operands o = make_operands(p, seed);
    size_t ldc = p->n + p->pad;
    float *sums = NULL, *expected = NULL, *first = NULL;
    problem plain = *p;
    plain.act = TW_ACT_ID;
    plain.bias = plain.residual = plain.in_place = plain.relu = 0;
    size_t n_shared = n_walls;
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        CASE("%s: m=%zu n=%zu k=%zu pad=%zu act=%d bias=%d residual=%d in_place=%d relu=%d "
             "smooth=%d tiny=%d seed=%llu",
             t->name, p->m, p->n, p->k, p->pad, (int)p->act, p->bias, p->residual, p->in_place,
             p->relu, p->smooth, p->tiny, (unsigned long long)*seed);
        float *sum = new_output(&plain, &o), *c = new_output(p, &o);
        if (i <= 1) n_shared = n_walls;
        unsigned char *b = pack(t, p, &o, seed), *a = quantize(t, p, &o);
        check_stored(t, p, &o, b, seed);
        tw_gemm_narrow g = describe(&plain, &o, a, b, sum);
        t->bf16.gemm(&g, 0, p->m, 0, panels_of(t, p->n));
        g = describe(p, &o, a, b, c);
        t->bf16.gemm(&g, 0, p->m, 0, panels_of(t, p->n));
        check_gaps(c, p->m, p->n, ldc);
        if (i == 0) sums = sum, expected = c;
        if (i == 1) first = sum;
        compare(p, &o, sum, c, sums, expected);
        if (i > 1 && !p->tiny && strcmp(t->name, "avx512-emulated") != 0 &&
            strcmp(t->name, "amx") != 0)
            check_same_bits("sums of two tables", sum, first, p->m, p->n, ldc);
        check_same_bits("in pieces", pieces(t, p, &o, a, b, seed), c, p->m, p->n, ldc);
        check_same_bits("row by row", lone_rows(t, p, &o, a, b), c, p->m, p->n, ldc);
        free_arrays_from(n_shared);
    }
    free_arrays();
}

static uint64_t chosen_seed(void) {
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("# TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Every size from 1 to 67 takes each role. */
static void sizes_up_to_67_agree(void **state) {
    uint64_t seed = chosen_seed();
    for (size_t i = 1; i <= 67; i++) {
        size_t j = between(&seed, 1, 67), l = between(&seed, 1, 67);
        int tiny = i % 3 == 0;
        problem rows = {i, j, l, i % 5, (tw_act)(i % 3), 1, 1, 0, 0, i % 2, tiny};
        problem columns = {j, i, l, i % 4, (tw_act)(i % 3), 1, 0, 0, 1, i % 2, tiny};
        problem depth = {l, j, i, i % 3, TW_ACT_ID, 0, 1, 1, 0, 0, tiny};
        check_problem(&rows, &seed);
        check_problem(&columns, &seed);
        check_problem(&depth, &seed);
    }
}

/* No rows or columns: nothing is written. No K: bias and residual alone. */
static void sizes_of_0_are_taken(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        size_t panels = panels_of(t, 2);
        unsigned char *a = bytes(2 * t->bf16.row(0)), *b = bytes(panels * t->bf16.panel(0));
        float bias[2] = {1, -2}, *c = array(4), none = 0;
        CASE("%s: sizes of 0", t->name);
        t->bf16.quantize(&none, 0, NULL, 2, 0, a);
        t->bf16.pack(&none, 0, 2, 0, 0, panels, b);
        t->pack_stored_bf16(a, 2, 0, 0, panels, b);
        fill_guard(c, 4);
        tw_gemm_narrow g = {a, b, {.bias = bias, .c = c, .ldc = 2, .n = 2}};
        t->bf16.gemm(&g, 0, 0, 0, panels);
        g.to.m = 2;
        t->bf16.gemm(&g, 0, 2, 0, 0);
        for (int j = 0; j < 4; j++)
            if (!is_guard(c[j])) fail_case("nothing to compute, and element %d is written", j);
        t->bf16.gemm(&g, 0, 2, 0, panels);
        for (int j = 0; j < 4; j++)
            if (c[j] != bias[j % 2]) fail_case("element %d is %g", j, (double)c[j]);
        free_arrays();
    }
}

/* Parts of K and blocks of rows and panels among them. */
static void real_shapes_agree(void **state) {
    static const size_t shapes[][3] = {{14, 96, 768},  {1, 64, 3072}, {97, 33, 192}, {200, 40, 65},
                                       {49, 130, 513}, {3, 33, 512},  {5, 65, 1025}};
    uint64_t seed = chosen_seed();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int tiny = 0; tiny <= 1; tiny++) {
            problem p = {
                shapes[i][0], shapes[i][1], shapes[i][2], 3, (tw_act)(i % 3), 1, 1, 0, 0, 0, tiny};
            check_problem(&p, &seed);
        }
}

/* What bf16 costs: half a digit of 8 of either operand, 2^-9 of it. */
static void the_product_is_near_that_of_f32(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    uint64_t seed = chosen_seed();
    problem p = {9, 35, 300, 0, TW_ACT_ID, 0, 0, 0, 0, 0, 0};
    operands o = make_operands(&p, &seed);
    for (int i = 0; i < n_tables; i++) {
        unsigned char *b = pack(tables[i], &p, &o, &seed), *a = quantize(tables[i], &p, &o);
        float *c = new_output(&p, &o);
        tw_gemm_narrow g = describe(&p, &o, a, b, c);
        tables[i]->bf16.gemm(&g, 0, p.m, 0, panels_of(tables[i], p.n));
        CASE("%s: rounding of operands", tables[i]->name);
        for (size_t r = 0; r < p.m; r++)
            for (size_t j = 0; j < p.n; j++) {
                double sum = 0, allowed = sum_limit(&p, &o, r, j);
                for (size_t q = 0; q < p.k; q++) {
                    double product = (double)o.x[r * p.k + q] * (double)o.w[j * p.k + q];
                    sum += product;
                    allowed += fabs(product) * (0x1p-8 + 0x1p-18);
                }
                if (!(fabs((double)c[r * p.n + j] - sum) <= allowed))
                    fail_case("element (%zu, %zu) is %.9g, of f32 %.9g +- %.3g", r, j,
                              (double)c[r * p.n + j], sum, allowed);
            }
    }
    free_arrays();
}

static float product_of(const tw_kernels *t, const float *x, const float *w, size_t k) {
    float c = 9;
    unsigned char *a = bytes(t->bf16.row(k)), *b = bytes(t->bf16.panel(k));
    t->bf16.quantize(x, k, NULL, 1, k, a);
    t->bf16.pack(w, k, 1, k, 0, 1, b);
    tw_gemm_narrow g = {a, b, {.c = &c, .ldc = 1, .m = 1, .n = 1, .k = k}};
    t->bf16.gemm(&g, 0, 1, 0, 1);
    free_arrays();
    return c;
}

/* NaN of any payload stays NaN, infinity infinity, and the largest f32, beyond bf16, becomes it. */
static void what_is_not_finite_survives(void **state) {
    static const uint32_t nans[] = {0x7FC00000u, 0x7FFFFFFFu, 0xFFFFFFFFu, 0x7F800001u,
                                    0xFF8000FFu};
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        float ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
        CASE("%s", tables[i]->name);
        for (size_t v = 0; v < sizeof nans / sizeof *nans; v++)
            for (size_t at = 0; at < 9; at += 4) {
                float y[9];
                memcpy(y, x, sizeof y);
                memcpy(y + at, nans + v, 4);
                if (!isnan(product_of(tables[i], y, ones, 9)) ||
                    !isnan(product_of(tables[i], ones, y, 9)))
                    fail_case("NaN %08x at %zu became a number", nans[v], at);
            }
        x[3] = INFINITY;
        if (product_of(tables[i], x, ones, 9) != INFINITY) fail_case("infinity was lost");
        x[3] = -3.4028234e38f;
        if (product_of(tables[i], x, ones, 9) != -INFINITY) fail_case("the largest is no infinity");
        x[3] = 3.38953139e38f; /* the largest bf16 */
        if (product_of(tables[i], x, ones, 9) != x[3]) fail_case("the largest of bf16 was lost");
        x[3] = 0;
        ones[3] = INFINITY;
        if (!isnan(product_of(tables[i], x, ones, 9))) fail_case("0 times infinity");
    }
}

/* Ties go to even: 1 + 2^-8 is halfway between 1 and 1 + 2^-7. */
static void halves_are_rounded_to_even(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        static const float from[] = {0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 0x1.00fffep0f,
                                     -0x1.03p0f};
        static const float to[] = {1, 0x1.04p0f, 0x1.02p0f, 1, -0x1.04p0f};
        CASE("%s", tables[i]->name);
        for (size_t j = 0; j < sizeof to / sizeof *to; j++) {
            float one = 1;
            if (product_of(tables[i], from + j, &one, 1) != to[j] ||
                product_of(tables[i], &one, from + j, 1) != to[j])
                fail_case("%a became %a and %a", (double)from[j],
                          (double)product_of(tables[i], from + j, &one, 1),
                          (double)product_of(tables[i], &one, from + j, 1));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_up_to_67_agree),
        cmocka_unit_test(sizes_of_0_are_taken),
        cmocka_unit_test(real_shapes_agree),
        cmocka_unit_test(the_product_is_near_that_of_f32),
        cmocka_unit_test(what_is_not_finite_survives),
        cmocka_unit_test(halves_are_rounded_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
