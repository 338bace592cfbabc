/* The bf16 product of every table: what is rounded is equal to the bit everywhere, the sums are
 * within the roundings that f32 makes of them, and those of all tables but ref are the same. */
#define _GNU_SOURCE
#include "narrow_support.h"
#include "tensor/tensor.h"

static const double smallest = 0x1p-126; /* a normal number; below it vdpbf16ps knows only 0 */

/* Magnitudes from 2^-140 to 2^60: operands, products and sums above and below 2^-126. */
static void fill_tiny(float *x, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++)
        x[i] = ldexpf(test_random_float(seed), (int)between(seed, 0, 200) - 140);
}

/* Element (i, q) of A and (j, q) of B, as they are multiplied. */
static double a_at(const problem *p, const operands *o, size_t i, size_t q) {
    float x = o->x[i * (p->k + p->pad) + q];
    return (double)tw_bf16_to_f32(tw_f32_to_bf16(p->smooth ? x * o->m[q] : x));
}
static double b_at(const problem *p, const operands *o, size_t j, size_t q) {
    return (double)tw_bf16_to_f32(tw_f32_to_bf16(o->w[j * (p->k + p->pad) + q]));
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
            if (p->special)
                continue; /* its sums reach 2^120, where bias and residual are nothing */
            if (!(fabs(x - y) <= limit(p, allowed, y)))
                fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", i, j, x, y,
                          limit(p, allowed, y));
        }
}

static void check_problem(const problem *p, uint64_t *seed) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    operands o = make_operands(p, fill_tiny, seed);
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
             p->relu, p->smooth, p->special, (unsigned long long)*seed);
        float *sum = new_output(&plain, &o), *c = new_output(p, &o);
        if (i <= 1) n_shared = n_walls;
        unsigned char *b = pack(t, &t->bf16, p, &o, seed), *a = quantize(t, p, &o);
        check_stored(t, p, &o, b, seed);
        tw_gemm_narrow g = describe(&plain, &o, a, b, sum);
        t->bf16.gemm(&g, 0, p->m, 0, panels_of(t, p->n));
        g = describe(p, &o, a, b, c);
        t->bf16.gemm(&g, 0, p->m, 0, panels_of(t, p->n));
        check_gaps(c, p->m, p->n, ldc);
        if (i == 0) sums = sum, expected = c;
        if (i == 1) first = sum;
        compare(p, &o, sum, c, sums, expected);
        if (i > 1 && !p->special && strcmp(t->name, "avx512-emulated") != 0 &&
            strcmp(t->name, "amx") != 0)
            check_same_bits("sums of two tables", sum, first, p->m, p->n, ldc);
        check_same_bits("in pieces", pieces(t, &t->bf16, p, &o, a, b, seed), c, p->m, p->n, ldc);
        check_same_bits("row by row", lone_rows(t, p, &o, a, b), c, p->m, p->n, ldc);
        free_arrays_from(n_shared);
    }
    free_arrays();
}

static void sizes_up_to_67_agree(void **state) {
    check_sizes_up_to_67(check_problem);
}

static const tw_narrow *narrow_of(const tw_kernels *t) {
    return &t->bf16;
}

static void sizes_of_0_are_taken(void **state) {
    check_sizes_of_0(narrow_of);
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

/* What bf16 costs: half a unit of the last of 8 digits of either operand, at most 2^-8 of it. */
static void the_product_is_near_that_of_f32(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    uint64_t seed = chosen_seed();
    problem p = {9, 35, 300, 0, TW_ACT_ID, 0, 0, 0, 0, 0, 0};
    operands o = make_operands(&p, fill_tiny, &seed);
    for (int i = 0; i < n_tables; i++) {
        unsigned char *b = pack(tables[i], &tables[i]->bf16, &p, &o, &seed),
                      *a = quantize(tables[i], &p, &o);
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
                    allowed += fabs(product) * (0x1p-7 + 0x1p-16);
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
