/* ggml's first generation of packed types: blocks of 32 numbers that share a scale (and, in the _1
 * types, an offset) of f16. Source: ggml-common.h (layouts), ggml-quants.c (dequantize_row_…).
 *
 *     q4_0  d, 16 bytes              d (q - 8)       q: low nibbles are the first 16 numbers,
 *     q4_1  d, m, 16 bytes           d q + m         high ones the last 16
 *     q5_0  d, 32 bits, 16 bytes     d (q - 16)      bit i is the fifth bit of number i
 *     q5_1  d, m, 32 bits, 16 bytes  d q + m
 *     q8_0  d, 32 signed bytes       d q
 *
 * An f16 times an integer of 8 bits is exact in f32, so there is one way to round each. */
#include "base/bytes.h"
#include "format/gguf/types.h"
#include "tensor/tensor.h"

#define BLOCK 32

static float f16_at(const uint8_t *p) {
    return tw_f16_to_f32(tw_load_u16le(p));
}

static int nibble(const uint8_t *q, size_t i) {
    return i < BLOCK / 2 ? q[i] & 15 : q[i - BLOCK / 2] >> 4;
}

static int fifth_bit(const uint8_t *bits, size_t i) {
    return (int)(tw_load_u32le(bits) >> i & 1) << 4;
}

/* Number i of the block at p. */
static float q4_0(const uint8_t *p, size_t i) {
    return f16_at(p) * (float)(nibble(p + 2, i) - 8);
}
static float q4_1(const uint8_t *p, size_t i) {
    return f16_at(p) * (float)nibble(p + 4, i) + f16_at(p + 2);
}
static float q5_0(const uint8_t *p, size_t i) {
    return f16_at(p) * (float)((nibble(p + 6, i) | fifth_bit(p + 2, i)) - 16);
}
static float q5_1(const uint8_t *p, size_t i) {
    return f16_at(p) * (float)(nibble(p + 8, i) | fifth_bit(p + 4, i)) + f16_at(p + 2);
}
static float q8_0(const uint8_t *p, size_t i) {
    return f16_at(p) * (float)(int8_t)p[2 + i];
}

#define UNPACK(type, block_bytes)                                                                  \
    void tw_unpack_##type(const uint8_t *blocks, size_t begin, size_t n, float *out) {             \
        for (size_t i = begin; i < begin + n; i++)                                                 \
            *out++ = type(blocks + i / BLOCK * (block_bytes), i % BLOCK);                          \
    }

UNPACK(q4_0, 18)
UNPACK(q4_1, 20)
UNPACK(q5_0, 22)
UNPACK(q5_1, 24)
UNPACK(q8_0, 34)
