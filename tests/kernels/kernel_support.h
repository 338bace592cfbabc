/* Shared by the kernel tests: the tables under test, arrays with a wall behind them, and one line
 * that says which case failed. Needs _GNU_SOURCE (MAP_ANONYMOUS). */
#ifndef TESTS_KERNEL_SUPPORT_H
#define TESTS_KERNEL_SUPPORT_H

#include "amx_trap.h"
#include "emulated_avx512.h"
#include "kernels/kernels.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const double unit = 1.0 / (1 << 24); /* the largest relative error of one f32 rounding */

/* Every table of this architecture, as they ascend. */
#if defined(__x86_64__)
static const char *const ladder[] = {"ref",
                                     "avx2",
                                     "avxvnni",
                                     "avx512",
                                     "avx512vnni",
                                     "avx512bf16",
                                     "amx",
                                     "avx512-emulated",
                                     "avx512bf16-emulated"};
#elif defined(__aarch64__)
static const char *const ladder[] = {"ref", "neon", "neondot", "neoni8mm"};
#else
static const char *const ladder[] = {"ref"};
#endif
enum { LADDER = sizeof ladder / sizeof *ladder };

static inline void print_tables(const tw_kernels *const *tables, int n) {
    const char *how = "", *no_tiles = amx_for_tests(&how);
    for (int missing = 0; missing <= 1; missing++) {
        printf(missing ? "; not run here:" : "# instruction sets run:");
        for (int i = 0, any = 0; i < LADDER; i++) {
            int has = 0, is_amx = strcmp(ladder[i], "amx") == 0;
            for (int j = 0; j < n; j++)
                has |= strcmp(tables[j]->name, ladder[i]) == 0;
            if (has != missing) any = 1, printf(" %s%s", ladder[i], is_amx && has ? how : "");
            if (has != missing && is_amx && missing) printf(" (%s)", no_tiles);
            if (missing && i == LADDER - 1 && !any) printf(" none");
        }
    }
    printf("\n");
    fflush(stdout);
}

/* Says once a program which they are. */
static inline int tables_under_test(const tw_kernels *tables[TW_KERNELS_MAX]) {
    static int said;
    int n = tw_kernels_all(tables);
#if defined(__x86_64__)
    const char *how;
    if (!amx_for_tests(&how) && *how) tables[n++] = &tw_kernels_amx;
#endif
#ifdef HAVE_EMULATED_AVX512
    tables[n++] = &tw_kernels_avx512_emulated;
    tables[n++] = &tw_kernels_avx512bf16_emulated;
#endif
    if (!said++) print_tables(tables, n);
    return n;
}

/* An array of n floats that ends where a page without access begins: a kernel that reads or writes
 * one float too far dies. Freed all together at the end of a case. */
typedef struct walled {
    void *at;
    size_t n_bytes;
} walled;
static walled walls[128];
static size_t n_walls;

static inline float *array(size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t n_bytes = (n * sizeof(float) + page - 1) / page * page;
    assert_true(n_walls < 128);
    char *at =
        mmap(NULL, n_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at + n_bytes, page, PROT_NONE), 0);
    walls[n_walls++] = (walled){at, n_bytes + page};
    return (float *)(void *)(at + n_bytes) - n;
}

/* All but the first n. */
static inline void free_arrays_from(size_t n) {
    while (n_walls > n) {
        n_walls--;
        munmap(walls[n_walls].at, walls[n_walls].n_bytes);
    }
}

static inline void free_arrays(void) {
    free_arrays_from(0);
}

/* 64-byte aligned scratch memory of n floats and its wall, as near as the alignment allows. */
static inline float *scratch_array(size_t n) {
    return array((n + 15) / 16 * 16);
}

static inline void fill_random(float *x, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++)
        x[i] = test_random_float(seed);
}

/* Memory a kernel must not touch holds this number, a NaN with a payload. */
static const uint32_t guard_bits = 0x7FC0BEEFu;

static inline void fill_guard(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        memcpy(x + i, &guard_bits, 4);
}

static inline int is_guard(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits == guard_bits;
}

/* The case under test, printed by fail(). */
static char case_text[512];
#define CASE(...) snprintf(case_text, sizeof case_text, __VA_ARGS__)
#define fail_case(...)                                                                             \
    do {                                                                                           \
        char what_[256];                                                                           \
        snprintf(what_, sizeof what_, __VA_ARGS__);                                                \
        fail_msg("%s: %s", case_text, what_);                                                      \
    } while (0)

/* Rows of n floats, ld apart: the gaps between them must still be guards. */
static inline void check_gaps(const float *x, size_t rows, size_t n, size_t ld) {
    for (size_t i = 0; i + 1 < rows; i++)
        for (size_t j = n; j < ld; j++)
            if (!is_guard(x[i * ld + j])) fail_case("wrote beyond row %zu, at %zu", i, j);
}

static inline void check_same_bits(const char *what, const float *got, const float *expected,
                                   size_t rows, size_t n, size_t ld) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            if (memcmp(got + i * ld + j, expected + i * ld + j, 4) != 0)
                fail_case("%s: element (%zu, %zu) is %.9g, was %.9g", what, i, j,
                          (double)got[i * ld + j], (double)expected[i * ld + j]);
}

static inline size_t between(uint64_t *seed, size_t low, size_t high) {
    return low + (size_t)(test_random(seed) % (high - low + 1));
}

#endif
