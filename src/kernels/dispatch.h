/* How a table is chosen; apart from kernels.h so that tests can try every cap in one process. */
#ifndef KERNELS_DISPATCH_H
#define KERNELS_DISPATCH_H

#include "kernels/kernels.h"

/* The best table this processor runs at or below `cap` (NULL, "" or an unknown word: no cap). The
 * ladder is ref < avx2 < avxvnni < avx512 < avx512vnni < avx512bf16 < amx on x86 and ref < neon <
 * neondot < neoni8mm on 64-bit Arm; a rung of the other architecture caps to ref. Never NULL. */
const tw_kernels *tw_kernels_pick(const char *cap);

/* Whether `cap` is NULL, "" or the name of a rung on any architecture. */
int tw_kernels_cap_known(const char *cap);

/* The processor has no tiles; it has, but the system does not save them; or it refuses them to this
 * process; or they may be used. */
typedef enum tw_amx { TW_AMX_NONE, TW_AMX_OFF, TW_AMX_REFUSED, TW_AMX_READY } tw_amx;

/* Asks, for the whole process, for leave to use them: from then on its signal frames are larger. On
 * x86 only (x86/amx_probe.c, a file of its own: tests link another in its place). */
tw_amx tw_amx_probe(void);

#endif
