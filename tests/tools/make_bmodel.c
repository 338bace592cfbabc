/* Writes a .bmodel file for the stand-in of SOPHON's libraries: make_bmodel FILE KIND [FAULT].
 * Kinds, of the tiny test model: "img" (batches 4 and 1), "txt" (2), "rows" (texts end in rows of
 * tokens), "zeros". */
#include "bmodel_builder.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const int four_and_one[] = {4, 1, 0}, two[] = {2, 0}, one_and_four[] = {1, 4, 0};
static const int pictures[] = {3, 32, 32, 0}, tokens[] = {52, 0}, features[] = {32, 0},
                 rows[] = {52, 32, 0};

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *kind = argv[2], *fault = argc > 3 ? argv[3] : "";
    const int *batches = strcmp(fault, "order") == 0 ? one_and_four : four_and_one;
    standin_model m = bmodel_tower("img", STANDIN_F32, pictures, STANDIN_F32, features, batches);
    if (strcmp(kind, "txt") == 0)
        m = bmodel_tower("txt", STANDIN_I32, tokens, STANDIN_F32, features, two);
    if (strcmp(kind, "rows") == 0)
        m = bmodel_tower("txt", STANDIN_I32, tokens, STANDIN_F32, rows, two);
    m.computes_nothing = strcmp(kind, "zeros") == 0;
    const bmodel_faults faults = {.chip = strcmp(fault, "chip") == 0 ? "BM1688" : NULL,
                                  .is_dynamic = strcmp(fault, "dynamic") == 0,
                                  .n_nets = strcmp(fault, "nets") == 0 ? 2 : 0};
    size_t n_bytes = 0;
    uint8_t *data = bmodel_build(&m, &faults, &n_bytes);
    FILE *f = fopen(argv[1], "wb");
    bool written = f && fwrite(data, 1, n_bytes, f) == n_bytes;
    if (f && fclose(f) != 0) written = false;
    free(data);
    return written ? 0 : 1;
}
