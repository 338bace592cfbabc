/* Shared by the tests of attention: the operands of one head. */
#ifndef TESTS_ATTENTION_SUPPORT_H
#define TESTS_ATTENTION_SUPPORT_H

#include "kernel_support.h"

typedef struct head {
    size_t n_q, n_kv, d, ldq, ldkv, ldo;
    float scale, *q, *k, *v;
} head;

/* `sharpness` 8: the softmax is far from flat. */
static inline head make_head(size_t n_q, size_t n_kv, size_t d, size_t pad, float sharpness,
                             uint64_t *seed) {
    head h = {n_q, n_kv, d, d + pad, d + 2 * pad, d + pad, 1 / sqrtf((float)d), 0, 0, 0};
    h.q = array((n_q - 1) * h.ldq + d);
    h.k = array((n_kv - 1) * h.ldkv + d);
    h.v = array((n_kv - 1) * h.ldkv + d);
    fill_random(h.q, (n_q - 1) * h.ldq + d, seed);
    fill_random(h.k, (n_kv - 1) * h.ldkv + d, seed);
    fill_random(h.v, (n_kv - 1) * h.ldkv + d, seed);
    for (size_t i = 0; i < (n_q - 1) * h.ldq + d; i++)
        h.q[i] *= sharpness;
    return h;
}

#endif
