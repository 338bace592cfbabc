/* Attention in bf16 of every table that has it, against the same operands, rounded, in f64. */
#define _GNU_SOURCE
#include "attention_support.h"
#include "tensor/tensor.h"

#include <time.h>

/* What scratch memory held before must not matter. */
static void attend(const tw_kernels *t, const head *h, size_t begin, size_t end, float *out) {
    size_t n = t->attention_scratch(end - begin, h->n_kv, h->d);
    float *scratch = scratch_array(n);
    fill_guard(scratch, n);
    t->attention_bf16(h->q + begin * h->ldq, h->ldq, h->k, h->ldkv, h->v, h->ldkv, end - begin,
                      h->n_kv, h->d, h->scale, out + begin * h->ldo, h->ldo, scratch);
    n_walls--;
    munmap(walls[n_walls].at, walls[n_walls].n_bytes);
}

/* The tables that have it; none is no failure: those with the instruction are tested elsewhere. */
static int narrow_tables(const tw_kernels *tables[TW_KERNELS_MAX]) {
    int n_tables = tables_under_test(tables), n = 0;
    for (int i = 0; i < n_tables; i++)
        if (tables[i]->attention_bf16) tables[n++] = tables[i];
    if (n == 0) {
        printf("# no table here has attention in bf16\n");
        skip();
    }
    return n;
}

/* ----------------------------------------------------------------------------------- judge */

static double rounded(float x) {
    return (double)tw_bf16_to_f32(tw_f32_to_bf16(x));
}

static double rounded_q(const head *h, size_t r, size_t i) {
    return rounded(h->q[r * h->ldq + i] * (h->scale * 1.44269504f));
}

/* Of one row: weights p[j] = 2^(score - top) of rounded operands, exact; each is good to the factor
 * 1 +- off[j] in what a table makes of it, before and after it is rounded to bf16:
 *   a score is a chain of d sums, so is the top: d + 1 roundings of the magnitudes of their
 *   products (twice that where the multiply-add is emulated), and their difference one more;
 *   2^x has an error of 7.5e-5 and some roundings; a bf16 has 8 digits. */
typedef struct judged_row {
    double *p, *off, sum;
} judged_row;

static void judge_row(const head *h, size_t r, judged_row *row) {
    const double chain = 2 * unit * (double)(h->d + 1);
    double top = -INFINITY, top_error = 0;
    for (size_t j = 0; j < h->n_kv; j++) {
        double s = 0, magnitude = 0;
        for (size_t i = 0; i < h->d; i++) {
            double product = rounded_q(h, r, i) * rounded(h->k[j * h->ldkv + i]);
            s += product;
            magnitude += fabs(product);
        }
        row->p[j] = s;
        row->off[j] = chain * magnitude;
        top = fmax(top, s);
        top_error = fmax(top_error, chain * magnitude);
    }
    row->sum = 0;
    for (size_t j = 0; j < h->n_kv; j++) {
        double x = row->p[j] - top, error = row->off[j] + top_error + unit * fabs(x);
        row->p[j] = exp2(x);
        row->off[j] = exp2(error) * (1 + 7.5e-5 + 8 * unit) * (1 + 0x1p-8) - 1;
        row->sum += row->p[j];
    }
}

/* Column c of the row, and how far a table may be from it: weights off by a factor each move a mean
 * by the mean of what they are off times the values' distance from it; both sums are chains of n_kv
 * roundings, and what is below 2^-126 is 0. */
static double judge(const head *h, const judged_row *row, size_t c, double *limit) {
    const double chain = 2 * unit * (double)(h->n_kv + 4);
    double mean = 0, moved = 0, magnitude = 0, least = 1;
    for (size_t j = 0; j < h->n_kv; j++)
        mean += row->p[j] * rounded(h->v[j * h->ldkv + c]) / row->sum;
    for (size_t j = 0; j < h->n_kv; j++) {
        double v = rounded(h->v[j * h->ldkv + c]), w = row->p[j] / row->sum;
        moved += w * row->off[j] * fabs(v - mean) + 0x1p-125 * fabs(v);
        magnitude += w * fabs(v);
        least = fmin(least, 1 - row->off[j]);
    }
    *limit = moved / least + 2.01 * chain * magnitude;
    return mean;
}

static void compare(const head *h, const float *out) {
    judged_row row = {calloc(h->n_kv, sizeof(double)), calloc(h->n_kv, sizeof(double)), 0};
    assert_non_null(row.p);
    assert_non_null(row.off);
    for (size_t r = 0; r < h->n_q; r++) {
        judge_row(h, r, &row);
        for (size_t c = 0; c < h->d; c++) {
            double limit, y = judge(h, &row, c, &limit), x = (double)out[r * h->ldo + c];
            if (!(fabs(x - y) <= limit))
                fail_case("element (%zu, %zu) is %.9g, expected %.9g +- %.3g", r, c, x, y, limit);
        }
    }
    free(row.p);
    free(row.off);
}

/* ----------------------------------------------------------------------------------- cases */

static void check_head(const head *h, uint64_t *seed) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = narrow_tables(tables);
    size_t n = (h->n_q - 1) * h->ldo + h->d;
    float *out = array(n), *split = array(n);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        CASE("%s: n_q=%zu n_kv=%zu d=%zu ldq=%zu seed=%llu", t->name, h->n_q, h->n_kv, h->d, h->ldq,
             (unsigned long long)*seed);
        fill_guard(out, n);
        attend(t, h, 0, h->n_q, out);
        check_gaps(out, h->n_q, h->d, h->ldo);
        compare(h, out);
        for (size_t r = 0; r < h->n_q;) {
            size_t end = r + between(seed, 1, h->n_q - r);
            attend(t, h, r, end, split);
            r = end;
        }
        check_same_bits("in ranges of queries", split, out, h->n_q, h->d, h->ldo);
        attend(t, h, h->n_q - 1, h->n_q, split);
        check_same_bits("the last query alone", split, out, h->n_q, h->d, h->ldo);
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
        size_t j = between(&seed, 1, 67), l = between(&seed, 1, 67), pad = i % 5;
        head queries = make_head(i, j, l, pad, 8, &seed);
        check_head(&queries, &seed);
        head keys = make_head(j, i, l, pad, 8, &seed);
        check_head(&keys, &seed);
        head depth = make_head(l, j, i, pad, 8, &seed);
        check_head(&depth, &seed);
    }
}

static void real_shapes_agree(void **state) {
    static const size_t shapes[][3] = {{197, 197, 64}, {1, 197, 64}, {65, 65, 64}, {1, 77, 64},
                                       {257, 257, 80}, {12, 12, 64}, {3, 577, 64}, {5, 1025, 16},
                                       {1, 82, 128},   {60, 300, 1}, {2, 7, 600},  {50, 50, 64}};
    uint64_t seed = chosen_seed();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        head h =
            make_head(shapes[i][0], shapes[i][1], shapes[i][2], i % 2 * 5, i % 3 ? 8 : 1, &seed);
        check_head(&h, &seed);
    }
}

static void no_queries_write_nothing(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = narrow_tables(tables);
    for (int i = 0; i < n_tables; i++) {
        float x[4] = {1, 2, 3, 4}, out[4];
        float *scratch = scratch_array(tables[i]->attention_scratch(0, 2, 2));
        fill_guard(out, 4);
        tables[i]->attention_bf16(x, 2, x, 2, x, 2, 0, 2, 2, 1, out, 2, scratch);
        CASE("%s: no queries", tables[i]->name);
        for (int j = 0; j < 4; j++)
            if (!is_guard(out[j])) fail_case("element %d is written", j);
        free_arrays();
    }
}

/* out [1] of one query 1, keys k and values v [n], d = 1. */
static float weighed(const tw_kernels *t, const float *k, const float *v, size_t n) {
    float one = 1, out = 0;
    float *scratch = scratch_array(t->attention_scratch(1, n, 1));
    t->attention_bf16(&one, 1, k, 1, v, 1, 1, n, 1, 1.0f, &out, 1, scratch);
    free_arrays();
    return out;
}

/* Whatever the rounded probabilities are, their sum is what divides: a mean of equals is their
 * value. The exact sum would miss it by 2^-9 or so. */
static void equal_values_come_out_as_they_are(void **state) {
    enum { N = 211 };
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = narrow_tables(tables);
    uint64_t seed = chosen_seed();
    for (int i = 0; i < n_tables; i++) {
        float k[N], v[N];
        fill_random(k, N, &seed);
        for (int j = 0; j < N; j++)
            v[j] = 0.71875f, k[j] = j < 2 ? k[j] : k[j] - 4;
        for (size_t n = 1; n <= N; n += 21) {
            CASE("%s: %zu equal values, seed=%llu", tables[i]->name, n, (unsigned long long)seed);
            double x = (double)weighed(tables[i], k, v, n);
            if (!(fabs(x - 0.71875) <= 2 * unit * (double)(2 * n + 4))) fail_case("became %.9g", x);
        }
    }
}

/* One key scores 0, the other x < 0: out = p / (1 + p), p being 2^x to 7.5e-5 and then to the
 * nearest bf16, from which it is half a step away at most. Scores are exact: products of two bf16.
 */
static void powers_of_2_are_good_to_bf16(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = narrow_tables(tables);
    for (int i = 0; i < n_tables; i++) {
        double worst = 0;
        for (int e = -8; e < 6; e++)
            for (int m = 128; m < 256; m++) {
                float k[2] = {0, -ldexpf((float)m, e - 7)}, v[2] = {0, 1};
                double out = (double)weighed(tables[i], k, v, 2), p = out / (1 - out);
                double x = exp2((double)k[1] * rounded(1.44269504f)), half = ldexp(1, ilogb(x) - 8);
                CASE("%s: e^%g", tables[i]->name, (double)k[1]);
                if (!(fabs(p - x) <= half + (7.5e-5 + 8 * unit) * x))
                    fail_case("is %.9g, 2^x is %.9g, half a step %.3g", p, x, half);
                worst = fmax(worst, (fabs(p - x) - half) / x);
            }
        printf("%s: 2^x before rounding: error up to %.2e\n", tables[i]->name, worst);
    }
}

static void what_is_extreme_is_taken(void **state) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = narrow_tables(tables);
    for (int i = 0; i < n_tables; i++) {
        const tw_kernels *t = tables[i];
        CASE("%s", t->name);
        const float huge[3] = {-2e38f, 1e30f, 9e29f}, v[3] = {1, 2, 4};
        float x = weighed(t, huge, v, 3);
        if (x != 2.0f)
            fail_case("scores of 1e30 give %.9g, not the value of the largest", (double)x);
        const float far[3] = {0, -87, -200}, mixed[3] = {1, 3e38f, 3e38f};
        double y = 1 + exp2(-87 * rounded(1.44269504f)) * 3e38,
               z = (double)weighed(t, far, mixed, 3);
        if (!(fabs(z - y) <= 0.02 * y)) fail_case("scores of -87 and -200 give %.9g", z);
        for (size_t at = 0; at < 3; at++) {
            float k[3] = {1, 2, 3}, w[3] = {1, 2, 4};
            k[at] = NAN;
            if (!isnan(weighed(t, k, w, 3))) fail_case("a key NaN at %zu was lost", at);
            k[at] = INFINITY;
            if (!isnan(weighed(t, k, w, 3))) fail_case("infinite less infinite at %zu", at);
            k[at] = -INFINITY;
            if (isnan(weighed(t, k, w, 3))) fail_case("a score of -infinity at %zu", at);
            k[at] = 1;
            w[at] = NAN;
            if (!isnan(weighed(t, k, w, 3))) fail_case("a value NaN at %zu was lost", at);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_up_to_67_agree),
        cmocka_unit_test(real_shapes_agree),
        cmocka_unit_test(no_queries_write_nothing),
        cmocka_unit_test(equal_values_come_out_as_they_are),
        cmocka_unit_test(powers_of_2_are_good_to_bf16),
        cmocka_unit_test(what_is_extreme_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
