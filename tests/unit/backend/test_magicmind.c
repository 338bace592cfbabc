/* The backend magicmind, through the layer over MagicMind, on a stand-in for Cambricon's libraries
 * that computes with tuwen's own engine and ends the process at mistakes. Hence features are those
 * of the cpu backend to the bit. */
#include "base/size.h"
#include "tensor/tensor.h"
#include "towers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TEST_MAGICMIND_DIR
#define TEST_MAGICMIND_DIR ""
#endif

enum { N = 11 };

static const char image_ends[] = "in image FLOAT32 -1 3 8 8\nout features FLOAT32 -1 4\n";
static const char text_ends[] = "in text INT32 -1 -1\nout features FLOAT32 -1 4\n";

static void write_tower(const towers *f, const char *word, const char *ends, bool whole) {
    char path[600], text[1024];
    snprintf(path, sizeof path, "%s.%s.mm", f->prefix, word);
    int n = snprintf(text, sizeof text, "standin-mm\nmodel %s\n%s%s", f->model_path, ends,
                     whole ? "end\n" : "");
    test_write(path, text, (size_t)n);
}

static void set_up(towers *f, tw_text_kind text) {
    if (!TEST_MAGICMIND_DIR[0]) skip(); /* no C++ compiler */
    towers_set_up(f, text);
    write_tower(f, "img", image_ends, true);
    write_tower(f, "txt", text_ends, true);
}

static tw_status open_encoder(towers *f, const char *device, const char *graphs) {
    return towers_open(f, "magicmind", TEST_MAGICMIND_DIR, device, graphs, 0);
}

/* ---------------------------------------------------------------------------------------- runs */

/* Every number of pictures through what a file takes; `in` and `out`: whether they are f16. */
static void check_pixels(const char *ends, bool in, bool out) {
    towers f;
    float rounded[N * PICTURE], got[N * E], expected[N * E], *pixels = towers_pixels(N);
    for (size_t i = 0; i < N * PICTURE; i++)
        rounded[i] = in ? tw_f16_to_f32(tw_f32_to_f16(pixels[i])) : pixels[i];
    set_up(&f, TW_TEXT_BERT);
    write_tower(&f, "img", ends, true);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_ok(tw_encode_pixels(f.cpu, rounded, N, expected, &f.err), &f.err);
    for (size_t i = 0; out && i < N * E; i++)
        expected[i] = tw_f16_to_f32(tw_f32_to_f16(expected[i]));
    for (size_t n = 1; n <= N; n++) {
        assert_ok(tw_encode_pixels(f.encoder, pixels, n, got, &f.err), &f.err);
        assert_memory_equal(got, expected, n * E * sizeof *got);
    }
    free(pixels);
    towers_tear_down(&f);
}

static void any_number_of_pictures(void **state) {
    (void)state;
    check_pixels(image_ends, false, false);
    check_pixels("in image FLOAT32 4 3 8 8\nout features FLOAT32 4 4\n", false, false);
    check_pixels("in image FLOAT32 1 3 8 8\nout features FLOAT32 1 4\n", false, false);
    check_pixels("in image FLOAT32 -1 -1 -1 -1\nout features FLOAT32 -1 4\n", false, false);
}

static void other_types_are_converted(void **state) {
    (void)state;
    check_pixels("in image FLOAT16 4 3 8 8\nout features FLOAT32 4 4\n", true, false);
    check_pixels("in image FLOAT32 -1 3 8 8\nout features FLOAT16 -1 4\n", false, true);
}

static void check_texts(tw_text_kind kind, const char *ends) {
    towers f;
    float got[3 * E], expected[3 * E];
    set_up(&f, kind);
    write_tower(&f, "txt", ends, true);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_ok(tw_encode_ids(f.encoder, towers_ids, 3, L, got, &f.err), &f.err);
    assert_ok(tw_encode_ids(f.cpu, towers_ids, 3, L, expected, &f.err), &f.err);
    assert_memory_equal(got, expected, sizeof got);
    towers_tear_down(&f);
}

static void texts_are_padded_to_what_a_file_takes(void **state) {
    (void)state;
    static const tw_text_kind kinds[] = {TW_TEXT_BERT, TW_TEXT_CLIP};
    for (size_t i = 0; i < TW_COUNT(kinds); i++) {
        check_texts(kinds[i], text_ends);
        check_texts(kinds[i], "in text INT64 2 8\nout features FLOAT32 2 4\n");
        check_texts(kinds[i], "in text INT32 -1 8\nout features FLOAT32 -1 4\n");
    }
}

static void a_text_longer_than_the_tower_is_refused(void **state) {
    (void)state;
    towers f;
    float got[3 * E];
    set_up(&f, TW_TEXT_BERT);
    write_tower(&f, "txt", "in text INT32 2 4\nout features FLOAT32 2 4\n", true);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    assert_fails(tw_encode_ids(f.encoder, towers_ids, 3, L, got, &f.err), TW_ERR_LIMIT, &f.err);
    assert_ok(tw_encode_ids(f.encoder, towers_ids, 2, L, got, &f.err), &f.err);
    towers_tear_down(&f);
}

static void what_it_can_do_is_told(void **state) {
    (void)state;
    towers f;
    set_up(&f, TW_TEXT_BERT);
    write_tower(&f, "txt", "in text INT32 2 4\nout features FLOAT32 2 4\n", true);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    tw_capabilities can = TW_CAPABILITIES_INIT;
    tw_encoder_capabilities(f.encoder, &can);
    assert_true(can.images.present && can.texts.present && can.beside && can.pads_texts);
    assert_int_equal(can.images.n_sizes, 0); /* any number */
    assert_int_equal(can.texts.n_sizes, 1);
    assert_int_equal(can.texts.sizes[0], 2);
    assert_int_equal(can.longest_text, 4);
    assert_int_equal(can.precisions, 0);
    assert_int_equal(can.n_devices, 1);
    towers_tear_down(&f);
}

static void a_clone_shares_the_towers(void **state) {
    (void)state;
    towers f;
    tw_encoder *clone = NULL;
    tw_used used = TW_USED_INIT;
    float *pixels = towers_pixels(1), got[2][E];
    set_up(&f, TW_TEXT_BERT);
    assert_ok(open_encoder(&f, "1", NULL), &f.err);
    tw_encoder_used(f.encoder, &used);
    assert_string_equal(used.backend, "magicmind");
    assert_string_equal(used.runtime, "libtuwen_magicmind.so");
    assert_string_equal(used.device, "MLU 1");
    assert_string_equal(used.detail, "pictures of any number, texts of any number");
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

/* ------------------------------------------------------------------------------------ refusals */

static void devices_that_are_not_there_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "x", "0,", "0,1", "-1", "0x", "99999999999"};
    towers f;
    set_up(&f, TW_TEXT_BERT);
    for (size_t i = 0; i < TW_COUNT(wrong); i++)
        assert_fails(open_encoder(&f, wrong[i], NULL), TW_ERR_ARGUMENT, &f.err);
    assert_fails(open_encoder(&f, "2", NULL), TW_ERR_UNSUPPORTED, &f.err);
    setenv("STANDIN_DEVICES", "0", 1);
    assert_fails(open_encoder(&f, NULL, NULL), TW_ERR_UNSUPPORTED, &f.err);
    assert_non_null(strstr(f.err.message, "cnrtGetDeviceCount: no device"));
    unsetenv("STANDIN_DEVICES");
    towers_tear_down(&f);
}

static void files_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *word, *ends;
        tw_status status;
    } cases[] = {
        {"img", "in image UINT8 4 3 8 8\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 4 8 8 3\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 4 3 8\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 1 1 1 1 1 1 1 1 1 1\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 0 3 8 8\nout f FLOAT32 0 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 9223372036854775807 3 8 8\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 4 3 8 8\nout f FLOAT32 4 5\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 4 3 8 8\nout f FLOAT32 2 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 4 3 8 8\nout f INT32 4 4\n", TW_ERR_MISMATCH},
        {"img", "in image FLOAT32 4 3 8 8\n", TW_ERR_UNSUPPORTED},
        {"img", "", TW_ERR_UNSUPPORTED},
        {"img",
         "in image FLOAT32 4 3 8 8\nin text INT32 4 8\nout a FLOAT32 4 4\nout b FLOAT32 4 4\n",
         TW_ERR_UNSUPPORTED},
        {"txt", "in text FLOAT32 4 8\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"txt", "in text INT32 4 9\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"txt", "in text INT32 4 0\nout f FLOAT32 4 4\n", TW_ERR_MISMATCH},
        {"txt", "in text INT32 4 8\nout f FLOAT32 4 8 8\n", TW_ERR_MISMATCH}};
    towers f;
    set_up(&f, TW_TEXT_BERT);
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        write_tower(&f, "img", image_ends, true);
        write_tower(&f, cases[i].word, cases[i].ends, true);
        assert_fails(open_encoder(&f, NULL, NULL), cases[i].status, &f.err);
    }
    write_tower(&f, "img", image_ends, false);
    assert_fails(open_encoder(&f, NULL, NULL), TW_ERR_UNSUPPORTED, &f.err);
    assert_non_null(strstr(f.err.message, "t.img.mm: MagicMind refuses: DeserializeFromFile: the "
                                          "file is cut off"));
    char path[600];
    snprintf(path, sizeof path, "%s.img.mm", f.prefix);
    test_write(path, "", 0);
    assert_fails(open_encoder(&f, NULL, NULL), TW_ERR_FORMAT, &f.err);
    assert_fails(open_encoder(&f, NULL, "nowhere"), TW_ERR_IO, &f.err);
    write_tower(&f, "img", image_ends, true);
    assert_fails(open_encoder(&f, NULL, path), TW_ERR_ARGUMENT, &f.err); /* no text tower */
    towers_tear_down(&f);
}

static void what_goes_wrong_in_a_run_is_told(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"shape", "refuses the shape [1, 3, 8, 8]: InferOutputShape: it was asked to refuse"},
        {"throw", "it was asked to throw"}, /* an exception, of two lines */
        {"enqueue", "Enqueue: it was asked to refuse"},
        {"host", "not in the device's memory"},
        {"zeros", "nothing but zeros"}};
    towers f;
    float *pixels = towers_pixels(1), got[E];
    set_up(&f, TW_TEXT_BERT);
    assert_ok(open_encoder(&f, NULL, NULL), &f.err);
    for (size_t i = 0; i < TW_COUNT(cases); i++) {
        setenv("STANDIN_FAIL", cases[i][0], 1);
        assert_fails(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), TW_ERR_UNSUPPORTED,
                     &f.err);
        assert_non_null(strstr(f.err.message, cases[i][1]));
    }
    unsetenv("STANDIN_FAIL");
    assert_ok(tw_encode_pixels(f.encoder, pixels, 1, got, &f.err), &f.err);
    free(pixels);
    towers_tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_pictures),
                                       cmocka_unit_test(other_types_are_converted),
                                       cmocka_unit_test(texts_are_padded_to_what_a_file_takes),
                                       cmocka_unit_test(a_text_longer_than_the_tower_is_refused),
                                       cmocka_unit_test(what_it_can_do_is_told),
                                       cmocka_unit_test(a_clone_shares_the_towers),
                                       cmocka_unit_test(devices_that_are_not_there_are_refused),
                                       cmocka_unit_test(files_that_do_not_fit_are_refused),
                                       cmocka_unit_test(what_goes_wrong_in_a_run_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
