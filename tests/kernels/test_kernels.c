/* Attention, LayerNorm and the small kernels of every table against the reference. */
#define _GNU_SOURCE
#include "attention_support.h"

/* ------------------------------------------------------------------------------ attention */

static void attend(const tw_kernels *t, const head *h, size_t begin, size_t end, float *out) {
    float *scratch = scratch_array(t->attention_scratch(end - begin, h->n_kv, h->d));
    t->attention_f32(h->q + begin * h->ldq, h->ldq, h->k, h->ldkv, h->v, h->ldkv, end - begin,
                     h->n_kv, h->d, h->scale, out + begin * h->ldo, h->ldo, scratch);
    n_walls--;
    munmap(walls[n_walls].at, walls[n_walls].n_bytes);
}

/* A score is a sum of d products of at most 8 * 1, good to d + 2 roundings (twice that where the
 * multiply-add is emulated) of its magnitude; the exponential turns that into a relative error of a
 * probability, to which exp, the sums and the division add n_kv + 8 roundings; the values are at
 * most 1. */
static double attention_limit(const head *h) {
    double score = 2 * unit * (double)(h->d + 2) * (double)h->d * 8 * (double)h->scale;
    return 2 * (score + 2 * unit * (double)(h->n_kv + 8));
}

static void check_head(const head *h, uint64_t *seed) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    size_t n = (h->n_q - 1) * h->ldo + h->d;
    float *expected = array(n), *out = array(n), *split = array(n);
    attend(tables[0], h, 0, h->n_q, expected);
    for (int i = 0; i < n_tables; i++) {
        CASE("%s: n_q=%zu n_kv=%zu d=%zu ldq=%zu", tables[i]->name, h->n_q, h->n_kv, h->d, h->ldq);
        fill_guard(out, n);
        attend(tables[i], h, 0, h->n_q, out);
        check_gaps(out, h->n_q, h->d, h->ldo);
        for (size_t r = 0; r < h->n_q; r++)
            for (size_t j = 0; j < h->d; j++) {
                double x = (double)out[r * h->ldo + j], y = (double)expected[r * h->ldo + j];
                if (!(fabs(x - y) <= attention_limit(h)))
                    fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", r, j, x, y,
                              attention_limit(h));
            }
        for (size_t r = 0; r < h->n_q;) {
            size_t end = r + between(seed, 1, h->n_q - r);
            attend(tables[i], h, r, end, split);
            r = end;
        }
        check_same_bits("in ranges of queries", split, out, h->n_q, h->d, h->ldo);
        attend(tables[i], h, h->n_q - 1, h->n_q, split);
        check_same_bits("the last query alone", split, out, h->n_q, h->d, h->ldo);
    }
    free_arrays();
}

static void attention_agrees_with_the_reference(void **state) {
    static const size_t shapes[][3] = {{197, 197, 64}, {1, 50, 64},  {50, 50, 64}, {12, 12, 64},
                                       {257, 257, 80}, {1, 1, 16},   {3, 577, 64}, {577, 577, 16},
                                       {1, 82, 128},   {60, 300, 1}, {2, 7, 33}};
    uint64_t seed = 4;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        head h = make_head(shapes[i][0], shapes[i][1], shapes[i][2], i % 2 * 5, 8, &seed);
        check_head(&h, &seed);
    }
    for (int i = 0; i < 60; i++) {
        head h = make_head(between(&seed, 1, 70), between(&seed, 1, 90), between(&seed, 1, 100),
                           between(&seed, 0, 9), 8, &seed);
        check_head(&h, &seed);
    }
}

/* With d = 1, k = 1 and values 0 and 1 the result is e^s / (1 + e^s) for the score s <= 0; below
 * -17.4 an f32 denominator is 1 and what is left is the exponential itself. */
static void exponential_is_within_two_ulp(void **state) {
    enum { N = 100000 };
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        static float q[N], out[N];
        float k[2] = {0, 1}, v[2] = {0, 1};
        for (int j = 0; j < N; j++)
            q[j] = -87.3f + (87.3f - 17.4f) * (float)j / N;
        float *scratch = scratch_array(t->attention_scratch(N, 2, 1));
        t->attention_f32(q, 1, k, 1, v, 1, N, 2, 1, 1.0f, out, 1, scratch);
        double worst = 0;
        for (int j = 0; j < N; j++) {
            double e = 1 / (1 + exp(-(double)q[j])), ulp = ldexp(1, ilogb(e) - 23);
            worst = fmax(worst, fabs((double)out[j] - e) / ulp);
        }
        printf("%s: exp: error at most %.3f ulp\n", t->name, worst);
        CASE("%s: exp", t->name);
        if (!(worst <= 2)) fail_case("error of %.3f ulp", worst);
        free_arrays();
    }
}

static void attention_survives_huge_scores(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tables_under_test(tables);
    for (int i = 0; i < n_tables; i++) {
        float q[1] = {1}, k[3] = {-3e38f, 1e30f, 9e29f}, v[3] = {1, 2, 4}, out[1] = {0};
        float *scratch = scratch_array(tables[i]->attention_scratch(1, 3, 1));
        tables[i]->attention_f32(q, 1, k, 1, v, 1, 1, 3, 1, 1.0f, out, 1, scratch);
        CASE("%s: scores of 1e30", tables[i]->name);
        if (out[0] != 2.0f)
            fail_case("got %.9g, expected the value of the largest, 2", (double)out[0]);
        free_arrays();
    }
}

/* ------------------------------------------------------------------------------------ rows */

static void layer_norm_agrees_with_the_reference(void **state) {
    uint64_t seed = 5;
    for (int c = 0; c < 120; c++) {
        const tw_kernels *tables[TW_KERNELS_MAX];
        int n_tables = tables_under_test(tables);
        size_t n = between(&seed, 1, 9), d = c < 40 ? (size_t)c + 1 : between(&seed, 1, 1300);
        size_t ldx = d + between(&seed, 0, 7), ldo = d + between(&seed, 0, 7);
        float *x = array((n - 1) * ldx + d), *gamma = array(d), *beta = array(d);
        float *expected = array((n - 1) * ldo + d), *out = array((n - 1) * ldo + d);
        float offset = (float)between(&seed, 0, 4);
        fill_random(x, (n - 1) * ldx + d, &seed);
        for (size_t i = 0; i < (n - 1) * ldx + d; i++)
            x[i] += offset;
        fill_random(gamma, d, &seed);
        fill_random(beta, d, &seed);
        tables[0]->layer_norm_f32(x, ldx, gamma, beta, 1e-5f, n, d, expected, ldo);
        for (int i = 0; i < n_tables; i++) {
            CASE("%s: layer_norm n=%zu d=%zu ldx=%zu ldo=%zu offset=%g", tables[i]->name, n, d, ldx,
                 ldo, (double)offset);
            fill_guard(out, (n - 1) * ldo + d);
            tables[i]->layer_norm_f32(x, ldx, gamma, beta, 1e-5f, n, d, out, ldo);
            check_gaps(out, n, d, ldo);
            for (size_t r = 0; r < n; r++) {
                double mean = 0, variance = 0;
                for (size_t j = 0; j < d; j++)
                    mean += (double)x[r * ldx + j] / (double)d;
                for (size_t j = 0; j < d; j++)
                    variance += pow((double)x[r * ldx + j] - mean, 2) / (double)d;
                double deviation = sqrt(variance + 1e-5);
                /* The mean is a sum in 4 * lanes strands, d/16 + 8 roundings of at most
                 * (offset + 1), seen through the division by the deviation; the rest are some 10
                 * roundings of a result of up to 2 / deviation. */
                double allowed =
                    unit * ((double)d / 16 + 20) * ((double)offset + 2) / deviation + 2 * unit;
                for (size_t j = 0; j < d; j++) {
                    double a = (double)out[r * ldo + j], b = (double)expected[r * ldo + j];
                    if (!(fabs(a - b) <= allowed))
                        fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", r, j, a, b,
                                  allowed);
                }
                float *alone = array(d);
                tables[i]->layer_norm_f32(x + r * ldx, ldx, gamma, beta, 1e-5f, 1, d, alone, d);
                check_same_bits("row alone", alone, out + r * ldo, 1, d, d);
                n_walls--;
                munmap(walls[n_walls].at, walls[n_walls].n_bytes);
            }
            if (ldx == ldo) { /* in place */
                float *both = array((n - 1) * ldx + d);
                memcpy(both, x, ((n - 1) * ldx + d) * sizeof *x);
                tables[i]->layer_norm_f32(both, ldx, gamma, beta, 1e-5f, n, d, both, ldx);
                check_same_bits("in place", both, out, n, d, ldo);
            }
        }
        free_arrays();
    }
}

static void dot_and_add_agree_with_the_reference(void **state) {
    uint64_t seed = 6;
    for (size_t n = 0; n < 300; n++) {
        const tw_kernels *tables[TW_KERNELS_MAX];
        int n_tables = tables_under_test(tables);
        float *a = array(n), *b = array(n), *y = array(n);
        fill_random(a, n, &seed);
        fill_random(b, n, &seed);
        for (int i = 0; i < n_tables; i++) {
            CASE("%s: n=%zu", tables[i]->name, n);
            double got = (double)tables[i]->dot_f32(a, b, n);
            double expected = (double)tables[0]->dot_f32(a, b, n);
            /* n products below 1 in at least 16 strands: n/16 + 8 roundings of at most n */
            if (!(fabs(got - expected) <= 2 * unit * ((double)n / 16 + 8) * (double)n))
                fail_case("dot is %.9g, expected %.9g", got, expected);
            memcpy(y, a, n * sizeof *y);
            tables[i]->add_f32(y, b, n);
            for (size_t j = 0; j < n; j++)
                if (y[j] != a[j] + b[j]) fail_case("sum %zu is %.9g", j, (double)y[j]);
        }
        free_arrays();
    }
}

static void pooling_agrees_with_the_reference(void **state) {
    uint64_t seed = 7;
    for (int c = 0; c < 80; c++) {
        const tw_kernels *tables[TW_KERNELS_MAX];
        int n_tables = tables_under_test(tables);
        size_t s = between(&seed, 1, 4), h = between(&seed, s, 12), w = between(&seed, s, 12);
        size_t channels = between(&seed, 1, 70), n = (h / s) * (w / s) * channels;
        float *x = array(h * w * channels), *expected = array(n), *out = array(n);
        fill_random(x, h * w * channels, &seed);
        tables[0]->avg_pool_f32(x, h, w, channels, s, 0, h / s, expected);
        for (int i = 0; i < n_tables; i++) {
            CASE("%s: h=%zu w=%zu c=%zu s=%zu", tables[i]->name, h, w, channels, s);
            size_t cut = between(&seed, 0, h / s), row = (w / s) * channels;
            fill_guard(out, n);
            tables[i]->avg_pool_f32(x, h, w, channels, s, cut, h / s, out);
            for (size_t j = 0; j < cut * row; j++)
                if (!is_guard(out[j])) fail_case("wrote outside its rows, at %zu", j);
            tables[i]->avg_pool_f32(x, h, w, channels, s, 0, cut, out);
            for (size_t j = 0; j < n; j++) /* s * s additions and a product of values below 1 */
                if (!(fabs((double)out[j] - (double)expected[j]) <= (double)(s * s + 2) * unit))
                    fail_case("element %zu is %.9g, expected %.9g", j, (double)out[j],
                              (double)expected[j]);
        }
        free_arrays();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_agrees_with_the_reference),
        cmocka_unit_test(exponential_is_within_two_ulp),
        cmocka_unit_test(attention_survives_huge_scores),
        cmocka_unit_test(layer_norm_agrees_with_the_reference),
        cmocka_unit_test(dot_and_add_agree_with_the_reference),
        cmocka_unit_test(pooling_agrees_with_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
