/* Whether Intel's tiles may be used. They are 8 KB of registers that Linux saves for a process only
 * once it has asked for that, and may refuse it: an alternate signal stack can be too small for
 * them, a sandbox can know no such call. Source: Linux, Documentation/arch/x86/xstate.rst. */
#define _GNU_SOURCE
#include "kernels/dispatch.h"

#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* ARCH_REQ_XCOMP_PERM of asm/prctl.h and the tiles' number, which older headers lack. */
static int system_allows(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#else
static int system_allows(void) {
    return 0;
}
#endif

/* AMX-BF16, AMX-TILE and AMX-INT8. */
static int processor_has(void) {
    const unsigned wanted = 1u << 22 | 1u << 24 | 1u << 25;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted;
}

/* XCR0's bits of the tiles' configuration and data, which the system sets at start. */
static int system_saves(void) {
    const unsigned wanted = 1u << 17 | 1u << 18;
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & wanted) == wanted;
}

tw_amx tw_amx_probe(void) {
    if (!processor_has()) return TW_AMX_NONE;
    if (!system_saves()) return TW_AMX_OFF;
    return system_allows() ? TW_AMX_READY : TW_AMX_REFUSED;
}
