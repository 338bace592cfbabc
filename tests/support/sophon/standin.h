/* What the stand-in for SOPHON's libraries computes, and how a test's .bmodel file tells it: a
 * standin_model at the beginning of the binary data. */
#ifndef TESTS_SOPHON_STANDIN_H
#define TESTS_SOPHON_STANDIN_H

#include <stddef.h>
#include <string.h>

enum { STANDIN_STAGES = 4 };
enum { STANDIN_F32 = 0, STANDIN_F16 = 1, STANDIN_I8 = 2, STANDIN_I32 = 6 };

typedef struct standin_shape {
    int n_dims, dims[4];
} standin_shape;

typedef struct standin_model {
    char net[64];
    int in_type, out_type;
    float in_scale, out_scale;
    int n_stages;
    standin_shape in[STANDIN_STAGES], out[STANDIN_STAGES];
    int computes_nothing; /* the library's fault with combined files: zeros and no error */
} standin_model;

/* Value j of a row's output [n_out] or, of rows of tokens, of row t, from the row's input [n_in].
 */
static inline float standin_value(const float *in, size_t n_in, size_t j) {
    float sum = 0.25f;
    for (size_t i = 0; i < n_in; i++)
        sum += in[i] * (float)((int)((i * 7 + j * 3) % 5) - 2) / 8;
    return sum;
}
static inline float standin_token_value(const float *in, size_t t, size_t j) {
    return (in[t] + 1) * (float)((t + 2 * j) % 7 + 1) / 16;
}

#endif
