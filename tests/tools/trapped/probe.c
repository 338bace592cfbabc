/* In place of x86/amx_probe.c in the command build/tests/tuwen_trapped: where the processor has no
 * tiles they are executed by the trap. TEST_AMX=refused answers as a system that refuses them. */
#define _GNU_SOURCE
#define tw_amx_probe processor_amx
#include "kernels/x86/amx_probe.c"
#undef tw_amx_probe

#include "amx_trap.h"

#include <stdlib.h>
#include <string.h>

tw_amx tw_amx_probe(void);

tw_amx tw_amx_probe(void) {
    const char *answer = getenv("TEST_AMX");
    tw_amx real = processor_amx();
    if (answer && strcmp(answer, "refused") == 0) return TW_AMX_REFUSED;
    return real == TW_AMX_READY || amx_trap_install() ? real : TW_AMX_READY;
}
