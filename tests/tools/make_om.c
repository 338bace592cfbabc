/* Writes an .om file for the stand-in of AscendCL: make_om FILE KIND MODEL [FAULT]. Kinds, of the
 * tiny test model: "img" (batches 1, 8 and 2), "img4" (4 alone), "half" (f16 in and out), "txt"
 * (2), "nan". */
#include "om_builder.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t several[] = {1, 8, 2, 0}, four[] = {4, 0}, two[] = {2, 0};
static const int64_t pictures[] = {3, 32, 32, 0}, tokens[] = {52, 0};

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    const char *kind = argv[2], *fault = argc > 4 ? argv[4] : "";
    bool fixed = strcmp(kind, "img4") == 0, half = strcmp(kind, "half") == 0;
    standin_om om = om_tower(argv[3], 1, pictures, 32, fixed || half ? four : several);
    if (strcmp(kind, "txt") == 0) om = om_tower(argv[3], 0, tokens, 32, two);
    if (half) om.in.type = om.out.type = STANDIN_F16;
    if (strcmp(kind, "nan") == 0) om.result = STANDIN_NAN;
    if (strcmp(fault, "aipp") == 0) om.in.type = STANDIN_U8;
    if (strcmp(fault, "inputs") == 0) om.n_inputs = 3;
    const om_faults faults = {.is_old = strcmp(fault, "old") == 0,
                              .dynamic = strcmp(fault, "dynamic") == 0,
                              .encrypted = strcmp(fault, "encrypted") == 0};
    size_t n_bytes = 0;
    uint8_t *data = om_build(&om, &faults, &n_bytes);
    FILE *f = fopen(argv[1], "wb");
    bool written = f && fwrite(data, 1, n_bytes, f) == n_bytes;
    if (f && fclose(f) != 0) written = false;
    free(data);
    return written ? 0 : 1;
}
