/* The backend sophon on a stand-in for its libraries that ends the process at every mistake. */
#include "backend/sophon/bmodel.h"
#include "base/size.h"
#include "bmodel_builder.h"
#include "tensor/npy.h"
#include "towers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { W = 8 };

static const int pictures[] = {3, R, R, 0}, features[] = {E, 0}, tokens[] = {L, 0};
static const int rows[] = {L, W, 0};
static const int four_and_one[] = {4, 1, 0}, four[] = {4, 0}, two[] = {2, 0};

static void write_tower(const towers *f, const char *word, const standin_model *m,
                        const bmodel_faults *faults) {
    char file[32];
    size_t n_bytes = 0;
    uint8_t *data = bmodel_build(m, faults, &n_bytes);
    snprintf(file, sizeof file, "%s.bmodel", word);
    towers_write(f, file, data, n_bytes);
}

static void set_up(towers *f, tw_text_kind text) {
    towers_set_up(f, text);
    standin_model image =
        bmodel_tower("image", STANDIN_F32, pictures, STANDIN_F32, features, four_and_one);
    standin_model words = bmodel_tower("text", STANDIN_I32, tokens, STANDIN_F32, features, two);
    write_tower(f, "img", &image, NULL);
    write_tower(f, "txt", &words, NULL);
}

static tw_status open_encoder(towers *f, const char *device, const char *graphs) {
    return towers_open(f, "sophon", TEST_SOPHON_DIR, device, graphs, 0);
}

/* ------------------------------------------------------------------------------------ pictures */

/* Every number of pictures through whatever batches there are, on so many devices. */
static void check_pixels(const int *batches, const char *device, int in_type, int out_type,
                         float limit) {
    towers f;
    set_up(&f, TW_TEXT_BERT);
    standin_model m = bmodel_tower("image", in_type, pictures, out_type, features, batches);
    if (in_type == STANDIN_I8) m.in_scale = 100;
    if (out_type == STANDIN_I8) m.out_scale = 0.25f;
    write_tower(&f, "img", &m, NULL);
    assert_ok(open_encoder(&f, device, NULL), &f.err);
    float *pixels = towers_pixels(11), got[11 * E];
    for (size_t n = 1; n <= 11; n++) {
        assert_ok(tw_encode_pixels(f.encoder, pixels, n, got, &f.err), &f.err);
        for (size_t i = 0; i < n * E; i++) {
            float expected = standin_value(pixels + i / E * PICTURE, PICTURE, i % E);
            assert_true(fabsf(got[i] - expected) <= limit);
        }
    }
    free(pixels);
    towers_tear_down(&f);
}

static void any_number_of_pictures_fills_batches(void **state) {
    (void)state;
    check_pixels(four_and_one, NULL, STANDIN_F32, STANDIN_F32, 0);
    check_pixels(four, NULL, STANDIN_F32, STANDIN_F32, 0);
}

static void two_devices_share_the_batches(void **state) {
    (void)state;
    check_pixels(four_and_one, "0,1", STANDIN_F32, STANDIN_F32, 0);
    check_pixels(four, "1,0", STANDIN_F32, STANDIN_F32, 0);
}

/* Limits: 192 products of up to 1/4 with inputs off by 2^-12 or 1/200, and half an output's step.
 */
static void other_types_are_converted(void **state) {
    (void)state;
    check_pixels(four, NULL, STANDIN_F16, STANDIN_F32, 192 * 0.25f / 4096);
    check_pixels(four, NULL, STANDIN_F32, STANDIN_F16, 16.0f / 2048);
    check_pixels(four, NULL, STANDIN_I8, STANDIN_I8, 192 * 0.25f / 200 + 0.126f);
}

static void a_clone_shares_the_towers(void **state) {
    (void)state;
    towers f;
    tw_encoder *clone = NULL;
    float got[2][E], *pixels = towers_pixels(1);
    set_up(&f, TW_TEXT_BERT);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_ok(tw_encoder_clone(f.encoder, &clone, &f.err), &f.err);
    assert_ok(tw_encode_pixels(f.encoder, pixels, 1, got[0], &f.err), &f.err);
    tw_encoder_free(f.encoder);
    f.encoder = NULL;
    assert_ok(tw_encode_pixels(clone, pixels, 1, got[1], &f.err), &f.err);
    assert_memory_equal(got[0], got[1], sizeof got[0]);
    tw_encoder_free(clone);
    free(pixels);
    towers_tear_down(&f);
}

static void what_is_used_is_described(void **state) {
    (void)state;
    towers f;
    tw_used used = TW_USED_INIT;
    set_up(&f, TW_TEXT_BERT);
    assert_ok(open_encoder(&f, "0,1", NULL), &f.err);
    tw_encoder_used(f.encoder, &used);
    assert_string_equal(used.backend, "sophon");
    assert_string_equal(used.runtime, "libbmrt.so.1.0");
    assert_string_equal(used.device, "BM1684X 0,1");
    assert_string_equal(used.detail, "pictures of 4 1, texts of 2");
    assert_int_equal(used.batch, 8); /* 4 on each of 2 */
    tw_capabilities can = TW_CAPABILITIES_INIT;
    tw_encoder_capabilities(f.encoder, &can);
    assert_true(can.images.present && can.texts.present && can.beside && can.pads_texts);
    assert_int_equal(can.images.n_sizes, 2);
    assert_int_equal(can.images.sizes[0], 4);
    assert_int_equal(can.images.sizes[1], 1);
    assert_int_equal(can.texts.n_sizes, 1);
    assert_int_equal(can.longest_text, L);
    assert_int_equal(can.precisions, 0);
    assert_int_equal(can.n_devices, 2);
    towers_tear_down(&f);
}

/* --------------------------------------------------------------------------------------- texts */

/* A row as the tower is given it: to the end of text, zeros after. */
static void expected_input(const int32_t *row, bool clip, float out[L], size_t *last) {
    size_t n = L;
    while (n > 0 && row[n - 1] == 0)
        n--;
    if (clip) {
        size_t at = 0;
        for (size_t i = 1; i < n; i++)
            if (row[i] > row[at]) at = i;
        n = at + 1;
    }
    for (size_t i = 0; i < L; i++)
        out[i] = i < n ? (float)row[i] : 0;
    *last = n - 1;
}

static void projected_texts(void **state) {
    (void)state;
    towers f;
    float got[3 * E], row[L];
    size_t last;
    set_up(&f, TW_TEXT_BERT);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_ok(tw_encode_ids(f.encoder, towers_ids, 3, L, got, &f.err), &f.err);
    for (size_t i = 0; i < 3 * E; i++) {
        expected_input(towers_ids + i / E * L, false, row, &last);
        assert_true(fabsf(got[i] - standin_value(row, L, i % E)) <= 0);
    }
    towers_tear_down(&f);
}

/* Rows of tokens, projected by `matrix` [W, E]: the first row of BERT, the largest id's of CLIP.
 * Limit: f32 sums of 8 products of up to 10 and 1. */
static void check_rows(towers *f, bool clip, const float *matrix) {
    float got[3 * E], row[L];
    assert_ok(open_encoder(f, NULL, NULL), &f->err);
    assert_ok(tw_encode_ids(f->encoder, towers_ids, 3, L, got, &f->err), &f->err);
    for (size_t i = 0; i < 3 * E; i++) {
        size_t last = 0;
        double expected = 0;
        expected_input(towers_ids + i / E * L, clip, row, &last);
        for (size_t w = 0; w < W; w++)
            expected += (double)standin_token_value(row, clip ? last : 0, w) *
                        (double)matrix[w * E + i % E];
        assert_true(fabs((double)got[i] - expected) <= 1e-5);
    }
    tw_encoder_free(f->encoder);
    f->encoder = NULL;
}

static void rows_of_tokens_are_projected_here(void **state) {
    (void)state;
    for (int clip = 0; clip < 2; clip++) {
        towers f;
        char path[600];
        float matrix[W * E];
        uint64_t seed = 3;
        set_up(&f, clip ? TW_TEXT_CLIP : TW_TEXT_BERT);
        standin_model m = bmodel_tower("text", STANDIN_I32, tokens, STANDIN_F32, rows, two);
        write_tower(&f, "txt", &m, NULL);
        snprintf(path, sizeof path, "%s.text_projection.npy", f.prefix);
        assert_ok(tw_export_text_projection(f.model, path, &f.err), &f.err);
        size_t n_bytes;
        uint8_t *array = test_read(path, &n_bytes);
        memcpy(matrix, array + n_bytes - sizeof matrix, sizeof matrix);
        free(array);
        unlink(path);
        check_rows(&f, clip, matrix); /* the model's own */
        for (size_t i = 0; i < W * E; i++)
            matrix[i] = test_random_float(&seed);
        assert_ok(tw_npy_save(path, TW_F32, 2, (const int64_t[]){W, E}, matrix, &f.err), &f.err);
        check_rows(&f, clip, matrix);
        assert_ok(tw_npy_save(path, TW_F32, 2, (const int64_t[]){E, W}, matrix, &f.err), &f.err);
        assert_fails(open_encoder(&f, NULL, NULL), TW_ERR_MISMATCH, &f.err);
        towers_tear_down(&f);
    }
}

static void a_text_longer_than_the_tower_is_refused(void **state) {
    (void)state;
    towers f;
    static const int short_tokens[] = {4, 0};
    float got[3 * E];
    set_up(&f, TW_TEXT_BERT);
    standin_model m = bmodel_tower("text", STANDIN_I32, short_tokens, STANDIN_F32, features, two);
    write_tower(&f, "txt", &m, NULL);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_fails(tw_encode_ids(f.encoder, towers_ids, 3, L, got, &f.err), TW_ERR_LIMIT, &f.err);
    assert_ok(tw_encode_ids(f.encoder, towers_ids, 2, L, got, &f.err), &f.err);
    towers_tear_down(&f);
}

/* ------------------------------------------------------------------------------------ refusals */

static void devices_that_are_not_there_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "x", "0,", ",0", "0,0", "-1", "0x", "99999999999"};
    towers f;
    set_up(&f, TW_TEXT_BERT);
    for (size_t i = 0; i < TW_COUNT(wrong); i++)
        assert_fails(open_encoder(&f, wrong[i], NULL), TW_ERR_ARGUMENT, &f.err);
    assert_fails(open_encoder(&f, "2", NULL), TW_ERR_UNSUPPORTED, &f.err);
    setenv("STANDIN_CHIP", "0x1684", 1);
    assert_fails(open_encoder(&f, NULL, NULL), TW_ERR_UNSUPPORTED, &f.err);
    unsetenv("STANDIN_CHIP");
    towers_tear_down(&f);
}

static void files_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const struct {
        bmodel_faults faults;
        tw_status status;
    } cases[] = {
        {{.chip = "BM1688"}, TW_ERR_UNSUPPORTED}, {{.chip = "no chip"}, TW_ERR_UNSUPPORTED},
        {{.n_nets = 2}, TW_ERR_UNSUPPORTED},      {{.n_inputs = 2}, TW_ERR_UNSUPPORTED},
        {{.is_dynamic = 1}, TW_ERR_UNSUPPORTED},  {{.zero_point = 3}, TW_ERR_UNSUPPORTED},
        {{.cascade = 1}, TW_ERR_UNSUPPORTED},     {{.host_layer = 1}, TW_ERR_UNSUPPORTED},
        {{.other_shape = 1}, TW_ERR_MISMATCH}};
    static const int one_and_four[] = {1, 4, 0}, wide[] = {E + 1, 0}, large[] = {3, R, R + 1, 0};
    towers f;
    set_up(&f, TW_TEXT_BERT);
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        standin_model m =
            bmodel_tower("image", STANDIN_F32, pictures, STANDIN_F32, features, four_and_one);
        write_tower(&f, "img", &m, &cases[i].faults);
        assert_fails(open_encoder(&f, NULL, NULL), cases[i].status, &f.err);
    }
    const standin_model wrong[] = {
        bmodel_tower("image", STANDIN_F32, pictures, STANDIN_F32, features, one_and_four),
        bmodel_tower("image", STANDIN_F32, pictures, STANDIN_F32, wide, four),
        bmodel_tower("image", STANDIN_F32, large, STANDIN_F32, features, four),
        bmodel_tower("image", STANDIN_I32, pictures, STANDIN_F32, features, four),
        bmodel_tower("image", 8, pictures, STANDIN_F32, features, four)};
    static const tw_status expected[] = {TW_ERR_UNSUPPORTED, TW_ERR_MISMATCH, TW_ERR_MISMATCH,
                                         TW_ERR_MISMATCH, TW_ERR_UNSUPPORTED};
    for (size_t i = 0; i < TW_COUNT(wrong); i++) {
        write_tower(&f, "img", &wrong[i], NULL);
        assert_fails(open_encoder(&f, NULL, NULL), expected[i], &f.err);
    }
    assert_fails(open_encoder(&f, NULL, "nowhere"), TW_ERR_IO, &f.err);
    assert_fails(open_encoder(&f, NULL, "one.img.bmodel"), TW_ERR_ARGUMENT, &f.err);
    towers_tear_down(&f);
}

static void wrong_numbers_of_the_library_are_noticed(void **state) {
    (void)state;
    towers f;
    float got[E], *pixels = towers_pixels(1);
    set_up(&f, TW_TEXT_BERT);
    standin_model m = bmodel_tower("image", STANDIN_F32, pictures, STANDIN_F32, features, four);
    m.computes_nothing = 1;
    write_tower(&f, "img", &m, NULL);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_fails(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), TW_ERR_UNSUPPORTED, &f.err);
    assert_non_null(strstr(f.err.message, "zeros"));
    setenv("STANDIN_FAIL", "launch", 1);
    assert_fails(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), TW_ERR_UNSUPPORTED, &f.err);
    assert_non_null(strstr(f.err.message, "it was asked to refuse"));
    unsetenv("STANDIN_FAIL");
    free(pixels);
    towers_tear_down(&f);
}

/* Every byte of the description changed, and every length: an error, or a file that states
 * something else; reads stay inside (the exact copy shows it to a sanitizer). */
static void damaged_files_are_read_safely(void **state) {
    (void)state;
    standin_model m =
        bmodel_tower("image", STANDIN_F32, pictures, STANDIN_F32, features, four_and_one);
    size_t n_bytes, n_good = 0;
    tw_error err = TW_ERROR_INIT;
    tw_bmodel out;
    uint8_t *data = bmodel_build(&m, NULL, &n_bytes);
    size_t n_head = n_bytes - sizeof m;
    assert_ok(tw_bmodel_parse(data, n_head, n_bytes, &out, &err), &err);
    for (size_t n = 0; n < n_head; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, data, n);
        assert_fails(tw_bmodel_parse(cut, n, n_bytes, &out, &err), TW_ERR_FORMAT, &err);
        free(cut);
    }
    assert_fails(tw_bmodel_parse(data, n_head, n_bytes - 1, &out, &err), TW_ERR_FORMAT, &err);
    for (size_t i = 0; i < n_head * 8; i++) {
        uint8_t *changed = malloc(n_head);
        memcpy(changed, data, n_head);
        changed[i / 8] ^= (uint8_t)(1u << i % 8);
        n_good += tw_bmodel_parse(changed, n_head, n_bytes, &out, &err) == TW_OK;
        free(changed);
    }
    assert_true(n_good < n_head * 8);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_pictures_fills_batches),
                                       cmocka_unit_test(two_devices_share_the_batches),
                                       cmocka_unit_test(other_types_are_converted),
                                       cmocka_unit_test(a_clone_shares_the_towers),
                                       cmocka_unit_test(what_is_used_is_described),
                                       cmocka_unit_test(projected_texts),
                                       cmocka_unit_test(rows_of_tokens_are_projected_here),
                                       cmocka_unit_test(a_text_longer_than_the_tower_is_refused),
                                       cmocka_unit_test(devices_that_are_not_there_are_refused),
                                       cmocka_unit_test(files_that_do_not_fit_are_refused),
                                       cmocka_unit_test(wrong_numbers_of_the_library_are_noticed),
                                       cmocka_unit_test(damaged_files_are_read_safely)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
