#include "kernels/dispatch.h"

#include "tuwen/encode.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Rungs of the ladder from below; NEON's, of another architecture, is above ref alone. */
static const char *const isa_names[] = {"ref",    "neon",       "avx2",      "avxvnni",
                                        "avx512", "avx512vnni", "avx512bf16"};

static int rung(const char *name) {
    for (int i = 0; i < (int)(sizeof isa_names / sizeof *isa_names); i++)
        if (strcmp(name, isa_names[i]) == 0) return i;
    return -1;
}

/* __builtin_cpu_supports also asks whether the operating system saves the wider registers. */
#if defined(__x86_64__)
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
/* Asked of the processor itself: Clang 14 does not know the word. Its registers are AVX2's. */
static int has_avxvnni(void) {
    unsigned a, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
static int has_avx512_vnni(void) {
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

int tw_kernels_all(const tw_kernels *tables[8]) {
    int n = 0;
    tables[n++] = &tw_kernels_ref;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_avx2()) tables[n++] = &tw_kernels_avx2;
    if (has_avxvnni()) tables[n++] = &tw_kernels_avxvnni;
    if (has_avx512()) tables[n++] = &tw_kernels_avx512;
    if (has_avx512_vnni()) tables[n++] = &tw_kernels_avx512vnni;
    if (has_avx512_vnni() && __builtin_cpu_supports("avx512bf16"))
        tables[n++] = &tw_kernels_avx512bf16;
#elif defined(__aarch64__)
    tables[n++] = &tw_kernels_neon; /* every 64-bit Arm processor has it */
#endif
    return n;
}

int tw_kernels_cap_known(const char *cap) {
    return !cap || !*cap || rung(cap) >= 0;
}

const tw_kernels *tw_kernels_pick(const char *cap) {
    const tw_kernels *tables[8];
    int n = tw_kernels_all(tables);
    if (!cap || !*cap || !tw_kernels_cap_known(cap)) return tables[n - 1];
#if !defined(__x86_64__)
    if (strcmp(cap, "neon") != 0) return &tw_kernels_ref;
#endif
    for (int i = n - 1; i > 0; i--)
        if (rung(tables[i]->name) <= rung(cap)) return tables[i];
    return &tw_kernels_ref;
}

const tw_kernels *tw_kernels_get(void) {
    static _Atomic(const tw_kernels *) chosen;
    const tw_kernels *table = atomic_load_explicit(&chosen, memory_order_acquire);
    if (table) return table;
    /* Threads may race to here; the first to publish wins and all use its choice. */
    const tw_kernels *none = NULL;
    table = tw_kernels_pick(getenv("TUWEN_CPU"));
    return atomic_compare_exchange_strong(&chosen, &none, table) ? table : none;
}

int tw_isa_cap_valid(void) {
    return tw_kernels_cap_known(getenv("TUWEN_CPU"));
}

const char *tw_isa_name(void) {
    return tw_kernels_get()->name;
}
const char *tw_isa_best(void) {
    return tw_kernels_pick(NULL)->name;
}
