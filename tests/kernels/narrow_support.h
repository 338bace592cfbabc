/* Shared by the tests of the narrow products (int8, bf16): a product with all its options, its
 * operands, and ways to cut it. */
#ifndef TESTS_NARROW_SUPPORT_H
#define TESTS_NARROW_SUPPORT_H

#include "kernel_support.h"

#include <time.h>

typedef struct problem {
    size_t m, n, k, pad;
    tw_act act;
    int bias, residual, in_place, relu, smooth;
    int special; /* operands that are hard on this product, each test's own */
} problem;

typedef struct operands {
    float *x, *w, *m, *bias, *residual;
} operands;

static inline unsigned char *bytes(size_t n) {
    assert_int_equal(n % 4, 0);
    return (unsigned char *)array(n / 4);
}

static inline size_t panels_of(const tw_kernels *t, size_t n) {
    return (n + t->nr - 1) / t->nr;
}

/* `special` makes x and w where the problem is special. */
static inline operands make_operands(const problem *p, void (*special)(float *, size_t, uint64_t *),
                                     uint64_t *seed) {
    size_t ld = p->k + p->pad, ldc = p->n + p->pad;
    operands o = {array((p->m - 1) * ld + p->k), array((p->n - 1) * ld + p->k), array(p->k),
                  array(p->n), array((p->m - 1) * ldc + p->n)};
    void (*fill)(float *, size_t, uint64_t *) = p->special ? special : fill_random;
    fill(o.x, (p->m - 1) * ld + p->k, seed);
    fill(o.w, (p->n - 1) * ld + p->k, seed);
    fill_random(o.m, p->k, seed);
    fill_random(o.bias, p->n, seed);
    fill_random(o.residual, (p->m - 1) * ldc + p->n, seed);
    return o;
}

/* In two ranges of panels; what is outside a range stays. */
static inline unsigned char *pack(const tw_kernels *t, const tw_narrow *narrow, const problem *p,
                                  const operands *o, uint64_t *seed) {
    size_t panels = panels_of(t, p->n), size = narrow->panel(p->k), cut = between(seed, 0, panels);
    unsigned char *packed = bytes(panels * size);
    memset(packed, 0xA5, panels * size);
    narrow->pack(o->w, p->k + p->pad, p->n, p->k, cut, panels, packed);
    for (size_t i = 0; i < cut * size; i++)
        if (packed[i] != 0xA5) fail_case("packing touched a panel outside its range");
    narrow->pack(o->w, p->k + p->pad, p->n, p->k, 0, cut, packed);
    return packed;
}

static inline float *new_output(const problem *p, const operands *o) {
    size_t ldc = p->n + p->pad, n = (p->m - 1) * ldc + p->n;
    float *c = array(n);
    fill_guard(c, n);
    for (size_t i = 0; p->in_place && i < p->m; i++)
        memcpy(c + i * ldc, o->residual + i * ldc, p->n * sizeof(float));
    return c;
}

static inline tw_gemm_narrow describe(const problem *p, const operands *o, const unsigned char *a,
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
static inline float *pieces(const tw_kernels *t, const tw_narrow *narrow, const problem *p,
                            const operands *o, const unsigned char *a, const unsigned char *b,
                            uint64_t *seed) {
    float *c = new_output(p, o);
    tw_gemm_narrow g = describe(p, o, a, b, c);
    size_t panels = panels_of(t, p->n);
    for (size_t row = 0; row < p->m;) {
        size_t row_end = row + between(seed, 1, p->m - row);
        for (size_t panel = 0; panel < panels;) {
            size_t panel_end = panel + between(seed, 1, panels - panel);
            narrow->gemm(&g, row, row_end, panel, panel_end);
            panel = panel_end;
        }
        row = row_end;
    }
    return c;
}

static inline uint64_t chosen_seed(void) {
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("# TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Every size from 1 to 67 takes each role. */
static inline void check_sizes_up_to_67(void (*check)(const problem *, uint64_t *)) {
    uint64_t seed = chosen_seed();
    for (size_t i = 1; i <= 67; i++) {
        size_t j = between(&seed, 1, 67), l = between(&seed, 1, 67);
        int special = i % 3 == 0;
        problem rows = {i, j, l, i % 5, (tw_act)(i % 3), 1, 1, 0, 0, i % 2, special};
        problem columns = {j, i, l, i % 4, (tw_act)(i % 3), 1, 0, 0, 1, i % 2, special};
        problem depth = {l, j, i, i % 3, TW_ACT_ID, 0, 1, 1, 0, 0, special};
        check(&rows, &seed);
        check(&columns, &seed);
        check(&depth, &seed);
    }
}

/* No rows or columns: nothing is written. No K: bias and residual alone. */
static inline void check_sizes_of_0(const tw_narrow *(*narrow_of)(const tw_kernels *)) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        const tw_narrow *narrow = narrow_of(t);
        size_t panels = panels_of(t, 2);
        unsigned char *a = bytes(2 * narrow->row(0)), *b = bytes(panels * narrow->panel(0));
        float bias[2] = {1, -2}, *c = array(4), none = 0;
        CASE("%s: sizes of 0", t->name);
        narrow->quantize(&none, 0, NULL, 2, 0, a);
        narrow->pack(&none, 0, 2, 0, 0, panels, b);
        t->pack_stored_bf16(a, 2, 0, 0, panels, b);
        fill_guard(c, 4);
        tw_gemm_narrow g = {a, b, {.bias = bias, .c = c, .ldc = 2, .n = 2}};
        narrow->gemm(&g, 0, 0, 0, panels);
        g.to.m = 2;
        narrow->gemm(&g, 0, 2, 0, 0);
        for (int j = 0; j < 4; j++)
            if (!is_guard(c[j])) fail_case("nothing to compute, and element %d is written", j);
        narrow->gemm(&g, 0, 2, 0, panels);
        for (int j = 0; j < 4; j++)
            if (c[j] != bias[j % 2]) fail_case("element %d is %g", j, (double)c[j]);
        free_arrays();
    }
}

#endif
