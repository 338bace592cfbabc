/* AMX on a processor without it: a handler of SIGILL executes the tile instructions of compiled
 * code, one by one, as Intel's manual describes them, on tiles of each thread's own, and passes
 * over them. Where the processor would fault (#UD, #GP) the process says why and aborts. Any other
 * instruction that is none dies of SIGILL as ever.
 *
 * Knows LDTILECFG, STTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILELOADDT1, TILESTORED, the four
 * TDPB?[SU]D and TDPBF16PS. */
#ifndef TESTS_AMX_TRAP_H
#define TESTS_AMX_TRAP_H

#include "kernels/dispatch.h"

/* NULL when the handler is in place, or why it cannot be: it needs x86-64, Linux, AVX-512. */
const char *amx_trap_install(void);

/* Tile instructions executed so by this thread. */
unsigned long amx_trap_count(void);

/* The processor's own tiles if it has them and the system allows them, else the trap's; to be
 * called in each test, for cmocka brings a handler of its own. *how, if not NULL, becomes "" or "
 * (trapped)". NULL when there are tiles, or why not. */
const char *amx_for_tests(const char **how);

#endif
