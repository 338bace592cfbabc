/* The matrix product of every table against the reference, and against itself in other splits. */
#define _GNU_SOURCE
#include "kernel_support.h"

typedef struct problem {
    size_t m, n, k, pad; /* rows lie pad floats further apart than needed */
    tw_act act;
    int bias, residual, in_place, relu;
} problem;

typedef struct operands {
    float *a, *w, *bias, *residual;
} operands;

static const char *const act_names[] = {"id", "quick", "gelu"};

static void describe(const char *table, const problem *p) {
    CASE("%s: m=%zu n=%zu k=%zu pad=%zu act=%s bias=%d residual=%d in_place=%d relu=%d", table,
         p->m, p->n, p->k, p->pad, act_names[p->act], p->bias, p->residual, p->in_place, p->relu);
}

static operands make_operands(const problem *p, uint64_t *seed) {
    operands o;
    size_t lda = p->k + p->pad, ldc = p->n + p->pad;
    o.a = array((p->m - 1) * lda + p->k);
    o.w = array((p->n - 1) * lda + p->k);
    o.bias = array(p->n);
    o.residual = array((p->m - 1) * ldc + p->n);
    fill_random(o.a, (p->m - 1) * lda + p->k, seed);
    fill_random(o.w, (p->n - 1) * lda + p->k, seed);
    fill_random(o.bias, p->n, seed);
    fill_random(o.residual, (p->m - 1) * ldc + p->n, seed);
    return o;
}

static float *pack(const tw_kernels *t, const problem *p, const operands *o, uint64_t *seed) {
    size_t panels = (p->n + t->nr - 1) / t->nr, cut = between(seed, 0, panels);
    float *packed = array(panels * t->nr * p->k);
    fill_guard(packed, panels * t->nr * p->k);
    t->pack_f32(o->w, p->k + p->pad, p->n, p->k, cut, panels, packed);
    for (size_t i = 0; i < cut * t->nr * p->k; i++)
        if (!is_guard(packed[i])) fail_case("packing touched a panel outside its range");
    t->pack_f32(o->w, p->k + p->pad, p->n, p->k, 0, cut, packed);
    for (size_t i = 0; i < panels * t->nr * p->k; i++) {
        size_t column = i / (t->nr * p->k) * t->nr + i % t->nr, row = i / t->nr % p->k;
        float expected = column < p->n ? o->w[column * (p->k + p->pad) + row] : 0.0f;
        if (memcmp(&packed[i], &expected, 4) != 0) fail_case("packed element %zu is wrong", i);
    }
    return packed;
}

static float *new_output(const problem *p, const operands *o) {
    size_t ldc = p->n + p->pad, n = (p->m - 1) * ldc + p->n;
    float *c = array(n);
    fill_guard(c, n);
    if (p->in_place)
        for (size_t i = 0; i < p->m; i++)
            memcpy(c + i * ldc, o->residual + i * ldc, p->n * sizeof(float));
    return c;
}

static tw_gemm describe_gemm(const problem *p, const operands *o, const float *packed, float *c) {
    size_t ldc = p->n + p->pad;
    return (tw_gemm){.a = o->a,
                     .b = packed,
                     .bias = p->bias ? o->bias : NULL,
                     .residual = p->in_place   ? c
                                 : p->residual ? o->residual
                                               : NULL,
                     .c = c,
                     .lda = p->k + p->pad,
                     .ld_residual = ldc,
                     .ldc = ldc,
                     .m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .act = p->act,
                     .relu = p->relu};
}

static float *whole(const tw_kernels *t, const problem *p, const operands *o, const float *packed) {
    float *c = new_output(p, o);
    tw_gemm g = describe_gemm(p, o, packed, c);
    t->gemm_f32(&g, 0, p->m, 0, (p->n + t->nr - 1) / t->nr);
    check_gaps(c, p->m, p->n, p->n + p->pad);
    return c;
}

/* The same product in pieces: any cut of rows and panels, each piece a call. */
static float *pieces(const tw_kernels *t, const problem *p, const operands *o, const float *packed,
                     uint64_t *seed) {
    float *c = new_output(p, o);
    tw_gemm g = describe_gemm(p, o, packed, c);
    size_t panels = (p->n + t->nr - 1) / t->nr;
    for (size_t row = 0; row < p->m;) {
        size_t row_end = row + between(seed, 1, p->m - row);
        for (size_t panel = 0; panel < panels;) {
            size_t panel_end = panel + between(seed, 1, panels - panel);
            t->gemm_f32(&g, row, row_end, panel, panel_end);
            panel = panel_end;
        }
        row = row_end;
    }
    return c;
}

/* Every row as a product of its own, m = 1, out of place of the others. */
static float *lone_rows(const tw_kernels *t, const problem *p, const operands *o,
                        const float *packed) {
    float *c = new_output(p, o);
    for (size_t i = 0; i < p->m; i++) {
        tw_gemm g = describe_gemm(p, o, packed, c);
        g.a += i * g.lda;
        g.c += i * g.ldc;
        if (g.residual) g.residual += i * g.ld_residual;
        g.m = 1;
        t->gemm_f32(&g, 0, 1, 0, (p->n + t->nr - 1) / t->nr);
    }
    return c;
}

/* Largest admissible difference of element (i, j) from the reference. A strand of 32
 * products, a part of 8 strands and K/256 parts make at most 32 + 8 + K/256 + 3 roundings on the
 * way of each product, each of `unit` of the sum of the magnitudes; the emulated fused multiply-add
 * rounds twice. The activations have a slope of at most 1.13 and an error of their own of 10
 * roundings of their result. */
static double limit(const problem *p, const operands *o, size_t i, size_t j, double result) {
    double magnitude = 2;
    for (size_t q = 0; q < p->k; q++)
        magnitude +=
            fabs((double)o->a[i * (p->k + p->pad) + q] * (double)o->w[j * (p->k + p->pad) + q]);
    double strands = (double)p->k / 32;
    double roundings = fmin((double)p->k, 32) + fmin(strands, 8) + (double)p->k / 256 + 3;
    return 2 * 1.13 * roundings * unit * magnitude + 12 * unit * fabs(result);
}

static void compare(const problem *p, const operands *o, const float *got, const float *expected) {
    size_t ldc = p->n + p->pad;
    double error = 0, power = 0;
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double x = (double)got[i * ldc + j], y = (double)expected[i * ldc + j];
            if (!(fabs(x - y) <= limit(p, o, i, j, y)))
                fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", i, j, x, y,
                          limit(p, o, i, j, y));
            error += (x - y) * (x - y);
            power += y * y;
        }
    /* Roundings are random: their rms is far below the worst case, about sqrt(roundings) * unit of
     * the result's, which is 3e-7 at most; three times that, squared. */
    if (p->m * p->n > 64 && error > 1e-12 * power)
        fail_case("normalised mean square error %.3g", error / power);
}

static void check_problem(const problem *p, uint64_t *seed) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    operands o = make_operands(p, seed);
    float *expected = NULL;
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        describe(t->name, p);
        float *packed = pack(t, p, &o, seed);
        float *c = whole(t, p, &o, packed);
        if (i == 0) expected = c;
        compare(p, &o, c, expected);
        check_same_bits("in pieces", pieces(t, p, &o, packed, seed), c, p->m, p->n, p->n + p->pad);
        check_same_bits("row by row", lone_rows(t, p, &o, packed), c, p->m, p->n, p->n + p->pad);
    }
    free_arrays();
}

static void random_problems_agree_with_the_reference(void **state) {
    uint64_t seed = 1;
    for (int i = 0; i < 160; i++) {
        int in_place = (int)between(&seed, 0, 3) == 0;
        problem p = {.m = between(&seed, 1, i % 4 ? 40 : 150),
                     .n = between(&seed, 1, i % 4 ? 80 : 150),
                     .k = between(&seed, 1, i % 4 ? 80 : 700),
                     .pad = between(&seed, 0, 3) ? between(&seed, 0, 19) : 0,
                     .act = (tw_act)between(&seed, 0, 2),
                     .bias = (int)between(&seed, 0, 1),
                     .residual = in_place || between(&seed, 0, 1),
                     .in_place = in_place,
                     .relu = between(&seed, 0, 3) == 0};
        check_problem(&p, &seed);
    }
}

/* Sizes at the edges of tiles, panels, blocks and parts of K, all with all. */
static void edge_sizes_agree_with_the_reference(void **state) {
    static const size_t ms[] = {1, 2, 6, 7, 13, 14, 15, 97}, ns[] = {1, 15, 16, 17, 31, 32, 33, 64};
    static const size_t ks[] = {1, 4, 255, 256, 257, 513};
    uint64_t seed = 2;
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (size_t l = 0; l < sizeof ks / sizeof *ks; l++) {
                if (ms[i] == 97 && ks[l] > 256 && ns[j] > 33) continue; /* keeps the test short */
                problem p = {ms[i], ns[j], ks[l], 3, (tw_act)((i + j + l) % 3), 1, 1, 0, 0};
                check_problem(&p, &seed);
            }
}

/* More rows than any block: the cut into blocks must not show. */
static void tall_products_agree_with_the_reference(void **state) {
    uint64_t seed = 3;
    problem tall = {1003, 17, 70, 1, TW_ACT_ID, 1, 0, 0, 1};
    check_problem(&tall, &seed);
    problem deep = {50, 33, 3072, 0, TW_ACT_ID, 1, 1, 1, 0};
    check_problem(&deep, &seed);
}

/* The true value is the activation of `bias` since A is zero. */
static void activations_are_within_their_stated_error(void **state) {
    enum { N = 200003 };
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        size_t panels = (N + t->nr - 1) / t->nr;
        float zero = 0, *b = calloc(panels * t->nr, sizeof *b);
        float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
        assert_true(b && x && y);
        for (int j = 0; j < N; j++)
            x[j] = j < 20000 ? (j & 1 ? -1.0f : 1.0f) * ldexpf(1.0f, -j / 200)
                             : -20.0f + 40.0f * (float)(j - 20000) / (float)(N - 20000);
        for (tw_act act = TW_ACT_QUICK; act <= TW_ACT_GELU; act++) {
            tw_gemm g = {.a = &zero,
                         .b = b,
                         .bias = x,
                         .c = y,
                         .lda = 1,
                         .ldc = N,
                         .m = 1,
                         .n = N,
                         .k = 1,
                         .act = act};
            t->gemm_f32(&g, 0, 1, 0, panels);
            double worst = 0;
            for (int j = 0; j < N; j++) {
                double v = (double)x[j], e;
                e = act == TW_ACT_QUICK ? v / (1 + exp(-1.702 * v))
                                        : 0.5 * v * erfc(-v * 0.70710678118654752440);
                /* 10 roundings of the result; in the negative tail the exponent (1.702 x or x^2/2)
                 * is rounded too, which the exponential magnifies by its size; 1e-36 where it
                 * underflows. */
                double tail = v < 0 ? (act == TW_ACT_QUICK ? 1.702 * -v : v * v) : 0;
                double allowed = (10 + 2 * tail) * unit * fabs(e) + 1e-36;
                worst = fmax(worst, fabs((double)y[j] - e) / (unit * fabs(v) + 1e-36));
                CASE("%s: %s(%.9g)", t->name, act_names[act], v);
                if (!(fabs((double)y[j] - e) <= allowed))
                    fail_case("got %.9g, expected %.9g +- %.3g", (double)y[j], e, allowed);
            }
            printf("%s: %s: error at most %.2f * 2^-24 |x|\n", t->name, act_names[act], worst);
        }
        free(b);
        free(x);
        free(y);
    }
}

static void activations_keep_nan_and_infinity(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        float a[1] = {0}, b[64] = {0}, c[4], bias[4] = {NAN, INFINITY, 1e30f, -1e30f};
        for (int act = 0; act <= 2; act++)
            for (int relu = 0; relu <= 1; relu++) {
                tw_gemm g = {.a = a,
                             .b = b,
                             .bias = bias,
                             .c = c,
                             .lda = 1,
                             .ldc = 4,
                             .m = 1,
                             .n = 4,
                             .k = 1,
                             .act = (tw_act)act,
                             .relu = relu};
                t->gemm_f32(&g, 0, 1, 0, (4 + t->nr - 1) / t->nr);
                CASE("%s: %s relu=%d", t->name, act_names[act], relu);
                if (!isnan(c[0])) fail_case("NaN became %.9g", (double)c[0]);
                if (!(c[1] == INFINITY)) fail_case("infinity became %.9g", (double)c[1]);
                if (!(c[2] == 1e30f)) fail_case("1e30 became %.9g", (double)c[2]);
                double low = act == 0 && !relu ? -1e30 : 0;
                if (!(fabs((double)c[3] - low) <= 1e-6 * fabs(low) + 1e-7))
                    fail_case("-1e30 became %.9g", (double)c[3]);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_problems_agree_with_the_reference),
        cmocka_unit_test(edge_sizes_agree_with_the_reference),
        cmocka_unit_test(tall_products_agree_with_the_reference),
        cmocka_unit_test(activations_are_within_their_stated_error),
        cmocka_unit_test(activations_keep_nan_and_infinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
