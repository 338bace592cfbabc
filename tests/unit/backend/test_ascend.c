/* The backend ascend on a stand-in for AscendCL that computes with tuwen's engine and ends the
 * process at every mistake: features are the cpu backend's. */
#include "backend/ascend/om.h"
#include "base/bytes.h"
#include "base/size.h"
#include "om_builder.h"
#include "towers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 11 };

static const int64_t pictures[] = {3, R, R, 0}, tokens[] = {L, 0};
static const uint64_t several[] = {1, 8, 4, 0}, four[] = {4, 0}, two[] = {2, 0};

static void write_om(const towers *f, const char *word, const standin_om *om,
                     const om_faults *faults) {
    size_t n_bytes = 0;
    uint8_t *data = om_build(om, faults, &n_bytes);
    towers_write(f, word, data, n_bytes);
}

static void set_up(towers *f, tw_text_kind text) {
    towers_set_up(f, text);
    standin_om image = om_tower(f->model_path, 1, pictures, E, several);
    standin_om words = om_tower(f->model_path, 0, tokens, E, two);
    write_om(f, "img.om", &image, NULL);
    write_om(f, "txt.om", &words, NULL);
}

static tw_status open_encoder(towers *f, const char *device, const char *graphs) {
    return towers_open(f, "ascend", TEST_ASCEND_DIR, device, graphs, 16);
}

static void close_encoder(towers *f) {
    tw_encoder_free(f->encoder);
    f->encoder = NULL;
}

static void assert_near(const float *got, const float *expected, size_t n, float limit) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - expected[i]) <= limit))
            fail_msg("value %zu is %.9g, expected %.9g", i, (double)got[i], (double)expected[i]);
}

/* ------------------------------------------------------------------------------------ pictures */

/* Every number of pictures through whatever batches there are, on so many devices. The engine
 * gives each row the same bits whatever its batch: the limit is of the types alone. */
static void check_pixels(const standin_om *tower, const char *device, float limit) {
    towers f;
    float got[N * E], expected[N * E], *pixels = towers_pixels(N);
    set_up(&f, TW_TEXT_BERT);
    standin_om om = *tower;
    snprintf(om.model, sizeof om.model, "%s", f.model_path);
    write_om(&f, "img.om", &om, NULL);
    assert_ok(tw_encode_pixels(f.cpu, pixels, N, expected, &f.err), &f.err);
    assert_ok(open_encoder(&f, device, NULL), &f.err);
    for (size_t n = 1; n <= N; n++) {
        assert_ok(tw_encode_pixels(f.encoder, pixels, n, got, &f.err), &f.err);
        assert_near(got, expected, n * E, limit);
    }
    free(pixels);
    towers_tear_down(&f);
}

static void any_number_of_pictures_fills_batches(void **state) {
    (void)state;
    standin_om om = om_tower("", 1, pictures, E, several);
    check_pixels(&om, NULL, 0);
    om.batch_input_is_first = 1;
    check_pixels(&om, NULL, 0);
    om = om_tower("", 1, pictures, E, four);
    check_pixels(&om, NULL, 0);
}

static void several_devices_share_the_batches(void **state) {
    (void)state;
    standin_om om = om_tower("", 1, pictures, E, several);
    check_pixels(&om, "0,1", 0);
    om = om_tower("", 1, pictures, E, four);
    check_pixels(&om, "1,0", 0);
}

/* Limits: the tiny tower's values are below 8; pixels off by 2^-11, features by 2^-11 of them. */
static void halves_are_converted(void **state) {
    (void)state;
    standin_om om = om_tower("", 1, pictures, E, four);
    om.out.type = STANDIN_F16;
    check_pixels(&om, NULL, 8.0f / 2048);
    om.in.type = STANDIN_F16;
    check_pixels(&om, NULL, 16.0f / 1024);
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
    close_encoder(&f);
    assert_ok(tw_encode_pixels(clone, pixels, 1, got[1], &f.err), &f.err);
    assert_memory_equal(got[0], got[1], sizeof got[0]);
    tw_encoder_free(clone);
    free(pixels);
    towers_tear_down(&f);
}

/* The stand-in refuses a second aclInit, a device set twice, and an end with anything left. */
static void encoders_come_and_go(void **state) {
    (void)state;
    towers f, g;
    float got[E], *pixels = towers_pixels(1);
    set_up(&f, TW_TEXT_BERT);
    set_up(&g, TW_TEXT_CLIP);
    assert_ok(open_encoder(&f, "0", NULL), &f.err);
    assert_ok(open_encoder(&g, "1,0", NULL), &g.err);
    close_encoder(&f);
    assert_ok(tw_encode_pixels(g.encoder, pixels, 1, got, &g.err), &g.err);
    close_encoder(&g);
    assert_ok(open_encoder(&f, "1", NULL), &f.err);
    assert_ok(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), &f.err);
    free(pixels);
    towers_tear_down(&f);
    towers_tear_down(&g);
}

static void what_is_used_is_described(void **state) {
    (void)state;
    towers f;
    char found[128];
    tw_used used = TW_USED_INIT;
    set_up(&f, TW_TEXT_BERT);
    assert_ok(open_encoder(&f, "0,1", NULL), &f.err);
    tw_encoder_used(f.encoder, &used);
    assert_string_equal(used.backend, "ascend");
    assert_string_equal(used.runtime, "AscendCL 1.13.0");
    assert_string_equal(used.device, "Ascend910B4 0,1");
    assert_string_equal(used.precision, "as compiled");
    assert_string_equal(used.detail, "pictures of 8 4 1, texts of 2");
    towers_tear_down(&f);
    assert_ok(tw_backend_probe("ascend", TEST_ASCEND_DIR, found, sizeof found, &f.err), &f.err);
    assert_string_equal(found, "AscendCL 1.13.0, 2 devices");
}

/* --------------------------------------------------------------------------------------- texts */

static void texts_of_both_kinds(void **state) {
    (void)state;
    static const tw_text_kind kinds[] = {TW_TEXT_BERT, TW_TEXT_CLIP};
    for (size_t i = 0; i < 4; i++) {
        towers f;
        float got[3 * E], expected[3 * E];
        set_up(&f, kinds[i / 2]);
        standin_om om = om_tower(f.model_path, 0, tokens, E, i % 2 ? several : two);
        om.in.type = i % 2 ? STANDIN_I32 : STANDIN_I64;
        write_om(&f, "txt.om", &om, NULL);
        assert_ok(tw_encode_ids(f.cpu, towers_ids, 3, L, expected, &f.err), &f.err);
        assert_ok(open_encoder(&f, NULL, NULL), &f.err);
        assert_ok(tw_encode_ids(f.encoder, towers_ids, 3, L, got, &f.err), &f.err);
        assert_near(got, expected, 3 * E, 0);
        towers_tear_down(&f);
    }
}

static void a_text_longer_than_the_tower_is_refused(void **state) {
    (void)state;
    towers f;
    static const int64_t short_tokens[] = {4, 0};
    float got[3 * E];
    set_up(&f, TW_TEXT_BERT);
    standin_om om = om_tower(f.model_path, 0, short_tokens, E, two);
    write_om(&f, "txt.om", &om, NULL);
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
    assert_fails(open_encoder(&f, "0,2", NULL), TW_ERR_UNSUPPORTED, &f.err);
    towers_tear_down(&f);
}

static void heads_that_are_wrong_are_refused(void **state) {
    (void)state;
    static const struct {
        om_faults faults;
        tw_status status;
    } cases[] = {{{.magic = 1}, TW_ERR_FORMAT},
                 {{.head_bytes = 4}, TW_ERR_FORMAT},
                 {{.length = 1}, TW_ERR_FORMAT},
                 {{.length = -1}, TW_ERR_FORMAT},
                 {{.length = 1, .is_old = 1}, TW_ERR_FORMAT},
                 {{.n_partitions = -1}, TW_ERR_FORMAT},
                 {{.n_partitions = 100000}, TW_ERR_FORMAT},
                 {{.n_partitions = 500}, TW_ERR_FORMAT},
                 {{.partition_bytes = 1}, TW_ERR_FORMAT},
                 {{.partition_bytes = 1, .is_old = 1}, TW_ERR_FORMAT},
                 {{.partition_bytes = -100000}, TW_ERR_FORMAT},
                 {{.encrypted = 1}, TW_ERR_UNSUPPORTED},
                 {{.model_type = 4}, TW_ERR_UNSUPPORTED},
                 {{.dynamic = 1}, TW_ERR_UNSUPPORTED}};
    towers f;
    set_up(&f, TW_TEXT_BERT);
    standin_om om = om_tower(f.model_path, 1, pictures, E, four);
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        write_om(&f, "img.om", &om, &cases[i].faults);
        assert_fails(open_encoder(&f, NULL, NULL), cases[i].status, &f.err);
    }
    write_om(&f, "img.om", &om, &(om_faults){.is_old = 1});
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    towers_tear_down(&f);
}

static void towers_that_do_not_fit_are_refused(void **state) {
    (void)state;
    towers f;
    static const uint64_t none[] = {0};
    static const int64_t large[] = {3, R, R + 1, 0}, any[] = {3, R, -1, 0}, flat[] = {PICTURE, 0};
    set_up(&f, TW_TEXT_BERT);
    const standin_om good = om_tower(f.model_path, 1, pictures, E, four);
    standin_om cases[12];
    tw_status expected[TW_COUNT(cases)];
    for (size_t i = 0; i < TW_COUNT(cases); i++)
        cases[i] = good, expected[i] = TW_ERR_MISMATCH;
    cases[0] = om_tower(f.model_path, 1, large, E, four);
    cases[1] = om_tower(f.model_path, 1, flat, E, four);
    cases[2] = om_tower(f.model_path, 1, pictures, E + 1, four);
    cases[3].in.type = STANDIN_U8;
    cases[4].in.type = 99;
    cases[5].out.type = STANDIN_I32;
    cases[6].n_inputs = 2;
    cases[7].n_outputs = 2;
    cases[8].out.dims[0] = 3;
    cases[9] = om_tower(f.model_path, 1, any, E, four), expected[9] = TW_ERR_UNSUPPORTED;
    cases[10] = om_tower(f.model_path, 1, pictures, E, none), expected[10] = TW_ERR_UNSUPPORTED;
    cases[11].n_weights = (uint64_t)1 << 40, expected[11] = TW_ERR_NO_MEMORY;
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        write_om(&f, "img.om", &cases[i], NULL);
        assert_fails(open_encoder(&f, NULL, NULL), expected[i], &f.err);
    }
    write_om(&f, "img.om", &good, NULL);
    standin_om rows = om_tower(f.model_path, 0, tokens, E, two);
    rows.out.n_dims = 3, rows.out.dims[1] = L, rows.out.dims[2] = 8;
    write_om(&f, "txt.om", &rows, NULL);
    assert_fails(open_encoder(&f, NULL, NULL), TW_ERR_MISMATCH, &f.err);
    assert_fails(open_encoder(&f, NULL, "nowhere"), TW_ERR_IO, &f.err);
    assert_fails(open_encoder(&f, NULL, "one.img.om"), TW_ERR_ARGUMENT, &f.err);
    towers_tear_down(&f);
}

/* Once the library refuses, nothing is left: the stand-in would end the process. */
static void what_the_library_refuses_is_said(void **state) {
    (void)state;
    static const char *const when_opened[] = {"init", "device", "load"};
    static const char *const when_run[] = {"execute", "wait"};
    static const int results[] = {STANDIN_ZEROS, STANDIN_NAN};
    towers f;
    float got[N * E], *pixels = towers_pixels(N);
    set_up(&f, TW_TEXT_BERT);
    for (size_t i = 0; i < TW_COUNT(when_opened); i++) {
        setenv("STANDIN_FAIL", when_opened[i], 1);
        assert_fails(open_encoder(&f, "0,1", NULL), TW_ERR_UNSUPPORTED, &f.err);
        assert_non_null(strstr(f.err.message, ": EE1001: "));
        assert_null(strstr(f.err.message, "Solution"));
    }
    unsetenv("STANDIN_FAIL");
    assert_ok(open_encoder(&f, "0,1", NULL), &f.err);
    for (size_t i = 0; i < TW_COUNT(when_run); i++) {
        setenv("STANDIN_FAIL", when_run[i], 1);
        assert_fails(tw_encode_pixels(f.encoder, pixels, N, got, &f.err), TW_ERR_UNSUPPORTED,
                     &f.err);
    }
    unsetenv("STANDIN_FAIL");
    assert_ok(tw_encode_pixels(f.encoder, pixels, N, got, &f.err), &f.err);
    close_encoder(&f);
    for (size_t i = 0; i < TW_COUNT(results); i++) {
        standin_om om = om_tower(f.model_path, 1, pictures, E, four);
        om.result = results[i];
        write_om(&f, "img.om", &om, NULL);
        assert_ok(open_encoder(&f, NULL, NULL), &f.err);
        assert_fails(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), TW_ERR_UNSUPPORTED,
                     &f.err);
        close_encoder(&f);
    }
    free(pixels);
    towers_tear_down(&f);
}

static void names_of_the_guide_are_found(void **state) {
    (void)state;
    static const char *const names[] = {"img.fp16.om", "img.fp32.om", "img.om"};
    towers f;
    char path[600];
    float got[E], *pixels = towers_pixels(1);
    set_up(&f, TW_TEXT_BERT);
    snprintf(path, sizeof path, "%s.img.om", f.prefix);
    for (size_t i = 0; i < TW_COUNT(names); i++) {
        assert_int_equal(remove(path), 0);
        standin_om om = om_tower(f.model_path, 1, pictures, E, four);
        write_om(&f, names[i], &om, NULL);
        snprintf(path, sizeof path, "%s.%s", f.prefix, names[i]);
        assert_ok(open_encoder(&f, NULL, NULL), &f.err);
        assert_ok(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), &f.err);
        close_encoder(&f);
    }
    free(pixels);
    towers_tear_down(&f);
}

/* Every byte of the head changed, and every length: an error, or a file that states something
 * else; reads stay inside (the exact copy shows it to a sanitizer). */
static void damaged_heads_are_read_safely(void **state) {
    (void)state;
    for (int is_old = 0; is_old < 2; is_old++) {
        size_t n_bytes, n_good = 0;
        tw_error err = TW_ERROR_INIT;
        standin_om om = om_tower("", 1, pictures, E, four);
        uint8_t *data = om_build(&om, &(om_faults){.is_old = is_old}, &n_bytes);
        assert_ok(tw_om_check(data, n_bytes, n_bytes, &err), &err);
        for (size_t n = 0; n < n_bytes; n++) {
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, data, n);
            assert_fails(tw_om_check(cut, n, n, &err), TW_ERR_FORMAT, &err);
            free(cut);
        }
        for (size_t i = 0; i < 300 * 8; i++) {
            data[i / 8] ^= (uint8_t)(1u << i % 8);
            n_good += tw_om_check(data, n_bytes, n_bytes, &err) == TW_OK;
            data[i / 8] ^= (uint8_t)(1u << i % 8);
        }
        assert_true(n_good < 300 * 8);
        free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_pictures_fills_batches),
                                       cmocka_unit_test(several_devices_share_the_batches),
                                       cmocka_unit_test(halves_are_converted),
                                       cmocka_unit_test(a_clone_shares_the_towers),
                                       cmocka_unit_test(encoders_come_and_go),
                                       cmocka_unit_test(what_is_used_is_described),
                                       cmocka_unit_test(texts_of_both_kinds),
                                       cmocka_unit_test(a_text_longer_than_the_tower_is_refused),
                                       cmocka_unit_test(devices_that_are_not_there_are_refused),
                                       cmocka_unit_test(heads_that_are_wrong_are_refused),
                                       cmocka_unit_test(towers_that_do_not_fit_are_refused),
                                       cmocka_unit_test(what_the_library_refuses_is_said),
                                       cmocka_unit_test(names_of_the_guide_are_found),
                                       cmocka_unit_test(damaged_heads_are_read_safely)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
