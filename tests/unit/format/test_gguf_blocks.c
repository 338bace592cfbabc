/* ggml's packed types. Expected numbers: PyPI gguf 0.19, quants.dequantize(), of blocks whose
 * header is given and whose other bytes are (37 i + 11) mod 256. */
#include "support.h"

#include "format/gguf/types.h"

#include <string.h>

typedef struct packed {
    const char *name;
    const char *header;
    size_t n_header;
    float unit; /* of the expected numbers */
    float expected[32];
} packed;

static const packed cases[] = {
    {"q4_0", "\x00\x38", 2, 1, {1.5, -4,   -1.5, 1,    3.5,  -2, 0.5,  3,    -2.5, 0,   2.5,
                                -3,  -0.5, 2,    -3.5, -1,   -4, -2.5, -1.5, -0.5, 0.5, 2,
                                3,   -4,   -2.5, -1.5, -0.5, 1,  2,    3,    -3.5, -2.5}},
    {"q4_1", "\x00\x34\x00\xbe", 4, 1, {1.25,  -1.5,  -0.25, 1,    2.25, -0.5, 0.75,  2,
                                        -0.75, 0.5,   1.75,  -1,   0.25, 1.5,  -1.25, 0,
                                        -1.5,  -0.75, -0.25, 0.25, 0.75, 1.5,  2,     -1.5,
                                        -0.75, -0.25, 0.25,  1,    1.5,  2,    -1.25, -0.75}},
    {"q5_0", "\x00\xb0", 2, 1, {-1.875, -0.5,  0.875, -1.75,  1.625,  1,     0.375,  1.75,
                                1.125,  0.5,   1.875, 1.25,   -1.375, 0,     1.375,  0.75,
                                -1.125, 0.5,   -1.75, 2,      -0.375, 1.375, -0.875, 0.75,
                                0.5,    -1.75, 1.875, -0.375, -0.625, -1,    -1.25,  0.5}},
    {"q5_1", "\x00\x2c\x00\x42", 4, 1, {4.9375, 4.25,   3.5625, 4.875,  3.1875, 3.5,    3.8125,
                                        3.125,  3.4375, 3.75,   3.0625, 3.375,  4.6875, 4,
                                        3.3125, 3.625,  4.5625, 3.75,   4.875,  3,      4.1875,
                                        3.3125, 4.4375, 3.625,  3.75,   4.875,  3.0625, 4.1875,
                                        4.3125, 4.5,    4.625,  3.75}},
    {"q8_0", "\x00\x14", 2, 1.0f / 1024, {11,  48,  85,   122, -97, -60, -23,  14,  51,  88,  125,
                                          -94, -57, -20,  17,  54,  91,  -128, -91, -54, -17, 20,
                                          57,  94,  -125, -88, -51, -14, 23,   60,  97,  -122}},
};

static const tw_ggml_type *type_named(const char *name) {
    for (uint32_t id = 0; id < 64; id++) {
        const tw_ggml_type *t = tw_ggml_type_find(id);
        if (t && strcmp(t->name, name) == 0) return t;
    }
    fail_msg("no type %s", name);
    return NULL;
}

static void fill(const packed *c, const tw_ggml_type *type, uint8_t *block) {
    memcpy(block, c->header, c->n_header);
    for (size_t i = 0; i + c->n_header < type->block_bytes; i++)
        block[c->n_header + i] = (uint8_t)(37 * i + 11);
}

static void blocks_read_as_ggml_reads_them(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const packed *c = &cases[k];
        const tw_ggml_type *type = type_named(c->name);
        uint8_t block[64];
        float got[32];
        fill(c, type, block);
        type->unpack(block, 0, 32, got);
        for (int i = 0; i < 32; i++)
            if (got[i] != c->expected[i] * c->unit)
                fail_msg("%s: number %d is %g, expected %g", c->name, i, (double)got[i],
                         (double)(c->expected[i] * c->unit));
    }
}

static void any_range_of_any_block_is_read(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const tw_ggml_type *type = type_named(cases[k].name);
        uint8_t blocks[3 * 64];
        uint64_t seed = k;
        float all[96], some[96];
        for (size_t i = 0; i < 3 * type->block_bytes; i++)
            blocks[i] = (uint8_t)(test_random(&seed) % 60); /* no infinity among the scales */
        type->unpack(blocks, 0, 96, all);
        for (size_t begin = 0; begin < 96; begin += 5)
            for (size_t n = 0; begin + n <= 96; n += 7) {
                type->unpack(blocks, begin, n, some);
                assert_memory_equal(some, all + begin, n * sizeof *some);
            }
    }
}

static void types_of_later_generations_are_known_but_not_read(void **state) {
    (void)state;
    static const char *const names[] = {"q8_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q8_k"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_null(type_named(names[i])->unpack);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_read_as_ggml_reads_them),
        cmocka_unit_test(any_range_of_any_block_is_read),
        cmocka_unit_test(types_of_later_generations_are_known_but_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
