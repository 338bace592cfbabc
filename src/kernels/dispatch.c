#include "kernels/dispatch.h"

#include "tuwen/encode.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* Rungs of the ladder from below. Those of the other architecture are above ref alone. */
static const struct {
    const char *name;
    int is_arm;
} rungs[] = {{"ref", 0},     {"neon", 1},   {"neondot", 1},    {"neoni8mm", 1},   {"avx2", 0},
             {"avxvnni", 0}, {"avx512", 0}, {"avx512vnni", 0}, {"avx512bf16", 0}, {"amx", 0}};
enum { N_RUNGS = sizeof rungs / sizeof *rungs };

#if defined(__aarch64__)
enum { HERE_IS_ARM = 1 };
#else
enum { HERE_IS_ARM = 0 };
#endif

static int rung(const char *name) {
    for (int i = 0; i < N_RUNGS; i++)
        if (strcmp(name, rungs[i].name) == 0) return i;
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
static int has_avx512_bf16(void) {
    return has_avx512_vnni() && __builtin_cpu_supports("avx512bf16");
}
#elif defined(__aarch64__) && defined(__linux__)
/* HWCAP_ASIMDDP and HWCAP2_I8MM of the kernel's interface, whose older headers lack the second. */
static int has_dot(void) {
    return getauxval(AT_HWCAP) >> 20 & 1;
}
static int has_i8mm(void) {
    return has_dot() && (getauxval(AT_HWCAP2) >> 13 & 1);
}
#elif defined(__aarch64__)
static int has_dot(void) {
    return 0;
}
static int has_i8mm(void) {
    return 0;
}
#endif

/* Those at or below rung `highest`: what is not wanted is not asked for. */
static int collect(const tw_kernels **tables, int highest) {
    int n = 0;
    tables[n++] = &tw_kernels_ref;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_avx2()) tables[n++] = &tw_kernels_avx2;
    if (has_avxvnni()) tables[n++] = &tw_kernels_avxvnni;
    if (has_avx512()) tables[n++] = &tw_kernels_avx512;
    if (has_avx512_vnni()) tables[n++] = &tw_kernels_avx512vnni;
    if (has_avx512_bf16()) tables[n++] = &tw_kernels_avx512bf16;
    if (highest >= rung("amx") && has_avx512_bf16() && tw_amx_probe() == TW_AMX_READY)
        tables[n++] = &tw_kernels_amx;
#elif defined(__aarch64__)
    tables[n++] = &tw_kernels_neon; /* every 64-bit Arm processor has it */
    if (has_dot()) tables[n++] = &tw_kernels_neondot;
    if (has_i8mm()) tables[n++] = &tw_kernels_neoni8mm;
#endif
    while (n > 1 && rung(tables[n - 1]->name) > highest)
        n--;
    return n;
}

int tw_kernels_all(const tw_kernels *tables[TW_KERNELS_MAX]) {
    return collect(tables, N_RUNGS - 1);
}

int tw_kernels_cap_known(const char *cap) {
    return !cap || !*cap || rung(cap) >= 0;
}

const tw_kernels *tw_kernels_pick(const char *cap) {
    const tw_kernels *tables[TW_KERNELS_MAX];
    if (!cap || !*cap || !tw_kernels_cap_known(cap)) return tables[tw_kernels_all(tables) - 1];
    if (rungs[rung(cap)].is_arm != HERE_IS_ARM) return &tw_kernels_ref;
    return tables[collect(tables, rung(cap)) - 1];
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

const char *tw_isa_note(void) {
#if defined(__x86_64__)
    static const char *const notes[] = {
        [TW_AMX_OFF] = "amx: the processor has it, the system does not switch it on",
        [TW_AMX_REFUSED] = "amx: the processor has it, the system refuses it to this process",
        [TW_AMX_READY] = NULL};
    return notes[tw_amx_probe()];
#else
    return NULL;
#endif
}
