/* Compilers of other runtimes, as data: what `tuwen build` runs. */
#ifndef CLI_BUILD_TARGETS_H
#define CLI_BUILD_TARGETS_H

#include "args.h"

enum { BUILD_STEPS = 2, BUILD_F32 = 0, BUILD_F16, BUILD_BF16, BUILD_PRECISIONS };

/* Command lines are split at blanks first, then {…} is filled in:
 *   {graph} the ONNX file, {out} the result, {stem} the same without its extension, {name} of the
 *   network, {input} "image" or "text", {format} "NCHW" or "ND", {shape,} the input's extents
 *   "1,3,224,224", {chip}, {precision} its word; the word {shape*} is a word for each extent */
typedef struct build_target {
    const char *name;      /* "sophon" */
    const char *extension; /* of the result */
    const char *steps[BUILD_STEPS];
    const char *version; /* prints the compiler's version; NULL: it has no such words */
    const char *precisions[BUILD_PRECISIONS]; /* words for f32, f16, bf16; NULL: refused */
    int precision;                            /* the default, an index of those */
    const char *chip;        /* the default; "" = must be given; NULL = there is none */
    const char *chip_prefix; /* that the command line has before {chip}; may be NULL */
    const char *package;     /* how to get the compiler */
    const char *note;        /* what to know about the result; may be NULL */
    const char *by_hand;     /* there is no compiler to run: what to run instead; may be NULL */
    int opset;               /* of printed exports; 0 = export's own */
    bool fixed; /* extents must be numbers: batch 1 and the model's length unless given */
} build_target;

extern const build_target build_targets[];        /* ended by a NULL name */
extern const cli_option build_replaced_options[]; /* of the compilers and scripts themselves */
#define BUILD_TARGET_WORDS "openvino|sophon|ascend|tensorrt|magicmind"

#endif
