/* How a table is chosen; apart from kernels.h so that tests can try every cap in one process. */
#ifndef KERNELS_DISPATCH_H
#define KERNELS_DISPATCH_H

#include "kernels/kernels.h"

/* The best table this processor runs at or below `cap` (NULL, "" or an unknown word: no cap). The
 * ladder is ref < avx2 < avxvnni < avx512 < avx512vnni < avx512bf16 on x86 and ref < neon < neondot
 * < neoni8mm on 64-bit Arm; a rung of the other architecture caps to ref. Never NULL. */
const tw_kernels *tw_kernels_pick(const char *cap);

/* Whether `cap` is NULL, "" or the name of a rung on any architecture. */
int tw_kernels_cap_known(const char *cap);

#endif
