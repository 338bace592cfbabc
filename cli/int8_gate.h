/* The gate of `tuwen convert --precision int8`: what int8 costs is measured against the
 * checkpoint's own weights in f32, blocks that lose most stay f16, and a model that is too far off
 * is not written. */
#ifndef CLI_INT8_GATE_H
#define CLI_INT8_GATE_H

#include "base/file.h"
#include "calibration.h"
#include "eval/compare.h"

typedef struct cli_gate {
    const char *calibrate; /* a set of one's own; NULL: what is built in */
    cli_labels labels;     /* `file` not NULL: the set is class folders, and these their labels */
    bool force;            /* write it all the same */
} cli_gate;

/* Converts through the gate. `options` ask for int8. Returns CLI_CONTINUE, or a status after an
 * error message and with nothing written. */
int cli_gate_convert(cli_gate *gate, const char *checkpoint, const char *output,
                     const tw_convert_options *options);

#endif
