/* Speed of the kernels on one thread: GFLOP/s of each shape, and its share of the peak of fused
 * multiply-adds in f32, measured in the same run. See docs/SPEED.md.
 *   usage: bench_kernels [table [part of a case's name]] */
#include "kernels/dispatch.h"
#include "kernels/peak.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Time this thread has been running: what the neighbours took does not count. */
static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------------------------ peak */

static double peak_gflops(const char *isa) {
    tw_peak_loop loop;
    float sink[12 * 16];
    double best = 0;
    const long n = 2000000;
    if (!tw_peak_loop_f32(isa, &loop)) return 0;
    for (int i = 0; i < 12; i++) {
        uint64_t start = now_ns();
        loop.run(n, sink);
        double gflops = loop.operations * (double)n / (double)(now_ns() - start);
        if (gflops > best) best = gflops;
    }
    return best;
}

/* ----------------------------------------------------------------------------------- cases */

typedef struct bench_case {
    const char *name;
    enum {
        GEMM,
        GEMM_I8,
        GEMM_BF16,
        ATTENTION,
        ATTENTION_BF16,
        LAYER_NORM
    } what;         /* narrow: with quantising A */
    size_t m, n, k; /* attention: n_q, n_kv, d; layer_norm: rows, d */
    tw_act act;
    int residual, cold; /* cold: the weights come from memory, not from a cache */
} bench_case;

static const bench_case cases[] = {
    {"image b8 qkv", GEMM, 1576, 2304, 768, TW_ACT_ID, 0, 0},
    {"image b8 out", GEMM, 1576, 768, 768, TW_ACT_ID, 1, 0},
    {"image b8 fc1", GEMM, 1576, 3072, 768, TW_ACT_ID, 0, 0},
    {"image b8 fc1 quick", GEMM, 1576, 3072, 768, TW_ACT_QUICK, 0, 0},
    {"image b8 fc1 gelu", GEMM, 1576, 3072, 768, TW_ACT_GELU, 0, 0},
    {"image b8 fc2", GEMM, 1576, 768, 3072, TW_ACT_ID, 1, 0},
    {"image b1 fc1", GEMM, 197, 3072, 768, TW_ACT_QUICK, 0, 1},
    {"image b1 fc2", GEMM, 197, 768, 3072, TW_ACT_ID, 1, 1},
    {"ViT-H b1 fc1", GEMM, 257, 5120, 1280, TW_ACT_GELU, 0, 1},
    {"ViT-H b1 fc2", GEMM, 257, 1280, 5120, TW_ACT_ID, 1, 1},
    {"int8 b8 qkv", GEMM_I8, 1576, 2304, 768, TW_ACT_ID, 0, 0},
    {"int8 b8 out", GEMM_I8, 1576, 768, 768, TW_ACT_ID, 1, 0},
    {"int8 b8 fc1 quick", GEMM_I8, 1576, 3072, 768, TW_ACT_QUICK, 0, 0},
    {"int8 b8 fc2", GEMM_I8, 1576, 768, 3072, TW_ACT_ID, 1, 0},
    {"int8 text 12 fc1", GEMM_I8, 12, 3072, 768, TW_ACT_GELU, 0, 0},
    {"bf16 b8 qkv", GEMM_BF16, 1576, 2304, 768, TW_ACT_ID, 0, 0},
    {"bf16 b8 out", GEMM_BF16, 1576, 768, 768, TW_ACT_ID, 1, 0},
    {"bf16 b8 fc1 quick", GEMM_BF16, 1576, 3072, 768, TW_ACT_QUICK, 0, 0},
    {"bf16 b8 fc2", GEMM_BF16, 1576, 768, 3072, TW_ACT_ID, 1, 0},
    {"bf16 ViT-H b1 fc2", GEMM_BF16, 257, 1280, 5120, TW_ACT_ID, 1, 0},
    {"bf16 text 12 fc1", GEMM_BF16, 12, 3072, 768, TW_ACT_GELU, 0, 0},
    {"bf16 resnet 3x3 56", GEMM_BF16, 3136, 64, 576, TW_ACT_ID, 0, 0},
    {"bf16 resnet 1x1 56", GEMM_BF16, 3136, 256, 64, TW_ACT_ID, 1, 0},
    {"bf16 resnet 1x1 7", GEMM_BF16, 49, 2048, 512, TW_ACT_ID, 1, 0},
    {"resnet 3x3 56x56", GEMM, 3136, 64, 576, TW_ACT_ID, 0, 0},
    {"resnet 1x1 56x56", GEMM, 3136, 256, 64, TW_ACT_ID, 1, 0},
    {"resnet 1x1 7x7", GEMM, 49, 2048, 512, TW_ACT_ID, 1, 0},
    {"text 12 fc1", GEMM, 12, 3072, 768, TW_ACT_GELU, 0, 1},
    {"text 12 fc2", GEMM, 12, 768, 3072, TW_ACT_ID, 1, 1},
    {"text 12 fc1 warm", GEMM, 12, 3072, 768, TW_ACT_GELU, 0, 0},
    {"text 7 fc1 warm", GEMM, 7, 3072, 768, TW_ACT_GELU, 0, 0},
    {"projection", GEMM, 1, 512, 768, TW_ACT_ID, 0, 1},
    {"projection warm", GEMM, 1, 512, 768, TW_ACT_ID, 0, 0},
    {"attention 197", ATTENTION, 197, 197, 64, TW_ACT_ID, 0, 0},
    {"attention 577", ATTENTION, 577, 577, 64, TW_ACT_ID, 0, 0},
    {"attention 257 d=80", ATTENTION, 257, 257, 80, TW_ACT_ID, 0, 0},
    {"attention 50", ATTENTION, 50, 50, 64, TW_ACT_ID, 0, 0},
    {"attention 12", ATTENTION, 12, 12, 64, TW_ACT_ID, 0, 0},
    {"attention 1", ATTENTION, 1, 197, 64, TW_ACT_ID, 0, 0},
    {"attention pool", ATTENTION, 1, 50, 64, TW_ACT_ID, 0, 0},
    {"attention bf16 197", ATTENTION_BF16, 197, 197, 64, TW_ACT_ID, 0, 0},
    {"attention bf16 577", ATTENTION_BF16, 577, 577, 64, TW_ACT_ID, 0, 0},
    {"attention bf16 257", ATTENTION_BF16, 257, 257, 80, TW_ACT_ID, 0, 0},
    {"attention bf16 50", ATTENTION_BF16, 50, 50, 64, TW_ACT_ID, 0, 0},
    {"attention bf16 12", ATTENTION_BF16, 12, 12, 64, TW_ACT_ID, 0, 0},
    {"attention bf16 1", ATTENTION_BF16, 1, 197, 64, TW_ACT_ID, 0, 0},
    {"layer_norm", LAYER_NORM, 197, 768, 1, TW_ACT_ID, 0, 0},
};

static float *numbers(size_t n) {
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    if (!x) exit(1);
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state / 2147483648.0f;
    }
    return x;
}

typedef struct workload {
    const tw_kernels *t;
    const bench_case *c;
    float *a, *b, *v, *res, *out, *scratch; /* v: the bias, or the values */
    const tw_narrow *narrow;                /* NULL: f32 */
    unsigned char *a8, *b8;                 /* narrow operands */
    size_t copies, next;
    size_t row, rows; /* of A, computed by one call; a call moves on to the next rows */
    double flops;
} workload;

static void pack_narrow(workload *w) {
    const bench_case *c = w->c;
    size_t panels = (c->n + w->t->nr - 1) / w->t->nr;
    w->narrow = c->what == GEMM_I8 ? &w->t->i8 : &w->t->bf16;
    w->a8 = (unsigned char *)numbers(c->m * w->narrow->row(c->k) / 4 + 1);
    w->b8 = (unsigned char *)numbers(panels * w->narrow->panel(c->k) / 4 + 1);
    w->narrow->pack(w->b, c->k, c->n, c->k, 0, panels, w->b8);
}

static bool is_product(const bench_case *c) {
    return c->what <= GEMM_BF16;
}

static bool is_attention(const bench_case *c) {
    return c->what == ATTENTION || c->what == ATTENTION_BF16;
}

static tw_attention_kernel *attention_of(const tw_kernels *t, const bench_case *c) {
    return c->what == ATTENTION ? t->attention_f32 : t->attention_bf16;
}

static workload prepare(const tw_kernels *t, const bench_case *c) {
    workload w = {.t = t, .c = c, .copies = 1};
    if (is_product(c)) {
        size_t padded = (c->n + t->nr - 1) / t->nr * t->nr * c->k;
        if (c->cold) w.copies = 1 + ((size_t)64 << 20) / padded; /* 256 MB of weights */
        w.a = numbers(c->m * c->k);
        w.b = numbers(padded * w.copies);
        w.v = numbers(c->n);
        w.out = numbers(c->m * c->n);
        w.res = numbers(c->m * c->n);
        /* A long call never gets a quiet core on a busy machine; pieces of it do. */
        w.rows = c->m % 197 == 0 ? 197 : c->m;
        w.flops = 2.0 * (double)w.rows * (double)c->n * (double)c->k;
        if (c->what != GEMM) pack_narrow(&w);
    } else if (is_attention(c)) {
        w.a = numbers(c->m * c->k);
        w.b = numbers(c->n * c->k);
        w.v = numbers(c->n * c->k);
        w.out = numbers(c->m * c->k);
        w.scratch = numbers(t->attention_scratch(c->m, c->n, c->k));
        w.flops = 4.0 * (double)c->m * (double)c->n * (double)c->k;
    } else {
        w.a = numbers(c->m * c->n);
        w.b = numbers(c->n);
        w.v = numbers(c->n);
        w.out = numbers(c->m * c->n);
        w.flops = 8.0 * (double)c->m * (double)c->n;
    }
    return w;
}

static void release(workload *w) {
    free(w->a);
    free(w->b);
    free(w->v);
    free(w->res);
    free(w->out);
    free(w->scratch);
    free(w->a8);
    free(w->b8);
}

static void run(workload *w) {
    const bench_case *c = w->c;
    if (is_product(c)) {
        size_t panels = (c->n + w->t->nr - 1) / w->t->nr;
        tw_gemm g = {.a = w->a,
                     .b = w->b + w->next * panels * w->t->nr * c->k,
                     .bias = w->v,
                     .residual = c->residual ? w->res : NULL,
                     .c = w->out,
                     .lda = c->k,
                     .ld_residual = c->n,
                     .ldc = c->n,
                     .m = c->m,
                     .n = c->n,
                     .k = c->k,
                     .act = c->act};
        if (w->narrow) {
            tw_gemm_narrow narrow = {w->a8, w->b8, g};
            unsigned char *rows = w->a8 + w->row * w->narrow->row(c->k);
            w->narrow->quantize(w->a + w->row * c->k, c->k, NULL, w->rows, c->k, rows);
            w->narrow->gemm(&narrow, w->row, w->row + w->rows, 0, panels);
        } else {
            w->t->gemm_f32(&g, w->row, w->row + w->rows, 0, panels);
        }
        w->next = (w->next + 1) % w->copies;
        w->row = (w->row + w->rows) % c->m;
    } else if (is_attention(c)) {
        tw_attention_kernel *attend = attention_of(w->t, c);
        attend(w->a, c->k, w->b, c->k, w->v, c->k, c->m, c->n, c->k, 0.125f, w->out, c->k,
               w->scratch);
    } else {
        w->t->layer_norm_f32(w->a, c->n, w->b, w->v, 1e-5f, c->m, c->n, w->out, c->n);
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Best and median of samples of at least 2 ms each, over about a second. */
static void measure(workload *w, double *best_ns, double *median_ns) {
    enum { MOST = 200 };
    double samples[MOST];
    int n = 0;
    long calls = 1;
    run(w);
    for (uint64_t begin = now_ns(); n < MOST && (n < 5 || now_ns() - begin < 1000000000u);) {
        uint64_t start = now_ns();
        for (long i = 0; i < calls; i++)
            run(w);
        double ns = (double)(now_ns() - start);
        if (ns < 2e6) {
            calls *= 2;
            continue;
        }
        samples[n++] = ns / (double)calls;
    }
    qsort(samples, (size_t)n, sizeof *samples, ascending);
    *best_ns = samples[0];
    *median_ns = samples[n / 2];
}

static void bench_table(const tw_kernels *t, const char *part) {
    double peak = peak_gflops(t->name);
    printf("%s: FMA peak %.1f GFLOP/s\n", t->name, peak);
    printf("  %-20s %16s %10s %10s %9s %9s %6s\n", "case", "shape", "best us", "median us",
           "GFLOP/s", "median", "peak");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bench_case *c = &cases[i];
        if (part && !strstr(c->name, part)) continue;
        if (is_attention(c) && !attention_of(t, c)) continue; /* the table has none */
        workload w = prepare(t, c);
        double best, median;
        char shape[64];
        measure(&w, &best, &median);
        snprintf(shape, sizeof shape, "%zux%zux%zu", c->m, c->n, c->k);
        printf("  %-20s %16s %10.1f %10.1f %9.1f %9.1f", c->name, shape, best / 1e3, median / 1e3,
               w.flops / best, w.flops / median);
        if (peak > 0) printf(" %5.0f%%", 100 * w.flops / best / peak);
        printf("%s\n", c->cold ? "  weights from memory" : "");
        release(&w);
    }
    if (peak > 0) printf("%s: FMA peak %.1f GFLOP/s\n", t->name, peak_gflops(t->name));
}

int main(int argc, char **argv) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n = tw_kernels_all(tables);
    for (int i = n - 1; i >= 0; i--)
        if (argc > 1 ? strcmp(argv[1], tables[i]->name) == 0 : i == n - 1)
            bench_table(tables[i], argc > 2 ? argv[2] : NULL);
    return 0;
}
