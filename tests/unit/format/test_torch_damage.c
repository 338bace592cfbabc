/* Truncated and bit-flipped checkpoints: an error or tensors that can be read, never a crash. */
#include "support.h"

#include "format/checkpoint.h"

#include <stdlib.h>
#include <string.h>

static const char *const files[] = {
    "checkpoints/tiny_cn_vit/clip_cn_tiny-vit.pt",
    "checkpoints/tiny_cn_vit/stress.pt",
    "checkpoints/tiny_cn_vit/torch113/legacy.pt",
};
#define N_FILES (sizeof files / sizeof *files)

/* Parses the bytes and reads the first and last element of each tensor. */
static bool survives(const uint8_t *data, size_t n_bytes) {
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    tw_status status = tw_checkpoint_parse(data, n_bytes, &c, &err);
    if (status != TW_OK) {
        assert_null(c);
        assert_true(err.message[0] != '\0' && err.status == status);
        return false;
    }
    for (size_t i = 0; i < tw_checkpoint_n_tensors(c); i++) {
        const tw_tensor *t = tw_checkpoint_tensor(c, i);
        size_t n = tw_tensor_elements(t);
        float values[2];
        if (n == 0) continue;
        tw_tensor_to_f32_range(t, 0, 1, &values[0]);
        tw_tensor_to_f32_range(t, n - 1, 1, &values[1]);
    }
    tw_checkpoint_free(c);
    return true;
}

/* A copy of the exact size, so that a sanitizer sees a read past the end. */
static bool survives_exact(const uint8_t *data, size_t n_bytes) {
    uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
    memcpy(exact, data, n_bytes);
    bool parsed = survives(exact, n_bytes);
    free(exact);
    return parsed;
}

static void refuses_truncated_files(void **state) {
    (void)state;
    for (size_t f = 0; f < N_FILES; f++) {
        size_t n;
        uint8_t *data = test_read(test_data(files[f]), &n);
        assert_true(survives_exact(data, n));
        for (size_t i = 0; i < 16; i++)
            assert_false(survives_exact(data, n * i / 16));
        for (size_t i = 1; i < 40; i++)
            assert_false(survives_exact(data, n - i));
        free(data);
    }
}

/* Damage to weights goes unnoticed by design (nothing reads them at open), so most flips aim at
 * the pickle, the headers and the directory, near both ends of the file. */
static void survives_flipped_bits(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (size_t f = 0; f < N_FILES; f++) {
        size_t n, near = 16384;
        uint8_t *data = test_read(test_data(files[f]), &n);
        for (int i = 0; i < 1500; i++) {
            size_t at[3];
            uint8_t bit[3];
            int n_flips = 1 + (int)(test_random(&seed) % 3);
            for (int k = 0; k < n_flips; k++) {
                size_t r = test_random(&seed) % near;
                at[k] = i % 8 == 0 ? test_random(&seed) % n : i % 2 ? r : n - 1 - r;
                bit[k] = (uint8_t)(1 << test_random(&seed) % 8);
                data[at[k]] ^= bit[k];
            }
            (void)survives(data, n);
            for (int k = 0; k < n_flips; k++)
                data[at[k]] ^= bit[k];
        }
        free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_truncated_files),
        cmocka_unit_test(survives_flipped_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
