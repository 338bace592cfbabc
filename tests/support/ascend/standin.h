/* What a test's .om file tells the stand-in for AscendCL: a standin_om as its first partition. */
#ifndef TESTS_ASCEND_STANDIN_H
#define TESTS_ASCEND_STANDIN_H

#include <stddef.h>
#include <stdint.h>

enum { STANDIN_F32 = 0, STANDIN_F16 = 1, STANDIN_I32 = 3, STANDIN_U8 = 4, STANDIN_I64 = 9 };
enum { STANDIN_COMPUTES = 0, STANDIN_ZEROS = 1, STANDIN_NAN = 2 };

typedef struct standin_end {
    char name[32];
    int type, n_dims;
    int64_t dims[4]; /* the first -1 with several batches */
} standin_end;

typedef struct standin_om {
    char mark[8];    /* "STANDIN" */
    char model[512]; /* the model file it computes with */
    int is_image;
    standin_end in, out;
    int n_batches; /* 0: fixed */
    uint64_t batches[8];
    int n_inputs, n_outputs;  /* 0: as they should be */
    int batch_input_is_first; /* of the two inputs there are with several batches */
    int result;               /* STANDIN_COMPUTES, … */
    uint64_t n_weights;       /* bytes it says it needs */
} standin_om;

#endif
