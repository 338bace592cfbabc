/* Model files of int8 weights: written from f16, run as f16 quantised when it is loaded, and
 * refused when damaged. */
#include "support.h"
#include "tiny_model.h"

#include "base/bytes.h"
#include "format/gguf/gguf.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 3 * 8 * 8, DIM = 4 };

static tw_error err;
static const char *source, *made;

static int write_source(void **state) {
    tw_arch arch;
    tiny_arch(&arch, TW_VISION_VIT, TW_TEXT_BERT);
    source = test_temporary(".gguf");
    made = test_temporary(".gguf");
    tiny_model_write(source, &arch, TW_F16);
    return 0;
}

static tw_status quantize(const char *kept, bool plain, const tw_int8_quality *quality) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.precision = TW_I8;
    o.keep_f16 = kept;
    o.no_smoothing = plain;
    o.quality = quality;
    return tw_convert(source, made, &o, &err);
}

/* Features of a picture and a text, and what computed them. */
static void encode(const char *path, int precision, float *features, tw_used *used) {
    tw_model *model;
    tw_encoder *encoder;
    tw_encoder_options o = TW_ENCODER_OPTIONS_INIT;
    float pixels[PIXELS];
    uint64_t seed = 3;
    static const int32_t ids[8] = {2, 7, 8, 9, 5, 3};
    for (int i = 0; i < PIXELS; i++)
        pixels[i] = test_random_float(&seed);
    o.precision = precision;
    assert_ok(tw_model_open(path, &model, &err), &err);
    assert_ok(tw_encoder_create(model, NULL, &o, &encoder, &err), &err);
    assert_ok(tw_encode_pixels(encoder, pixels, 1, features, &err), &err);
    assert_ok(tw_encode_ids(encoder, ids, 1, 8, features + DIM, &err), &err);
    tw_encoder_used(encoder, used);
    tw_encoder_free(encoder);
    tw_model_free(model);
}

static double largest_difference(const float *a, const float *b) {
    double most = 0;
    for (int i = 0; i < 2 * DIM; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void the_file_runs_as_what_is_quantised_when_loaded_to_the_bit(void **state) {
    float stored[2 * DIM], loaded[2 * DIM], asked[2 * DIM], plain[2 * DIM];
    tw_used used = TW_USED_INIT;
    assert_ok(quantize("t.token_embd", false, NULL), &err);
    encode(source, TW_I8, loaded, &used);
    encode(made, -1, stored, &used);
    assert_string_equal(used.precision, "int8");
    assert_memory_equal(stored, loaded, sizeof stored);
    encode(made, TW_I8, asked, &used);
    assert_memory_equal(stored, asked, sizeof stored);
    encode(source, TW_F32, plain, &used);
    assert_string_equal(used.precision, "f32");
    assert_true(largest_difference(stored, plain) > 0);
    assert_true(largest_difference(stored, plain) < 0.05);
}

/* A weight is at most half a step from what it was: largest of its row / 254. */
static void f32_computes_with_the_int8_weights_and_says_so(void **state) {
    float widened[2 * DIM], plain[2 * DIM];
    tw_used used = TW_USED_INIT;
    assert_ok(quantize(NULL, false, NULL), &err);
    encode(made, TW_F32, widened, &used);
    assert_string_equal(used.precision, "f32");
    assert_non_null(strstr(used.detail, "int8 weights widened"));
    encode(source, -1, plain, &used);
    assert_null(strstr(used.detail, "widened"));
    assert_true(largest_difference(widened, plain) > 0);
    assert_true(largest_difference(widened, plain) < 0.05);
}

static void every_weight_is_within_half_a_step(const tw_tensor *of, const tw_tensor *from) {
    size_t n = (size_t)from->shape[0], k = (size_t)from->shape[1];
    float *a = calloc(n * k, sizeof *a), *b = calloc(n * k, sizeof *b);
    assert_int_equal(of->dtype, TW_I8);
    tw_tensor_to_f32(of, a);
    tw_tensor_to_f32(from, b);
    for (size_t i = 0; i < n; i++) {
        float scale;
        memcpy(&scale, (const uint8_t *)of->row_scale + i * sizeof scale, sizeof scale);
        for (size_t p = 0; p < k; p++) {
            float m = 1;
            if (of->column_scale)
                memcpy(&m, (const uint8_t *)of->column_scale + p * sizeof m, sizeof m);
            assert_true(fabsf(a[i * k + p] - b[i * k + p]) <= 0.5001f * scale * m);
        }
    }
    free(a);
    free(b);
}

static void weights_read_back_within_half_a_step(void **state) {
    tw_model *f16, *int8;
    assert_ok(quantize(NULL, false, NULL), &err);
    assert_ok(tw_model_open(source, &f16, &err), &err);
    assert_ok(tw_model_open(made, &int8, &err), &err);
    const tw_block_weights *a = &int8->vision.blocks[0], *b = &f16->vision.blocks[0];
    every_weight_is_within_half_a_step(&a->q.weight, &b->q.weight);
    every_weight_is_within_half_a_step(&a->out.weight, &b->out.weight);
    every_weight_is_within_half_a_step(&a->fc2.weight, &b->fc2.weight);
    every_weight_is_within_half_a_step(&int8->text.token, &f16->text.token);
    tw_model_size before = TW_MODEL_SIZE_INIT, after = TW_MODEL_SIZE_INIT;
    tw_model_get_size(f16, &before);
    tw_model_get_size(int8, &after);
    assert_int_equal(after.n_parameters, before.n_parameters);
    assert_int_equal(after.n_vision_parameters, before.n_vision_parameters);
    assert_int_equal(after.n_tensors_i8, 13);
    tw_model_free(f16);
    tw_model_free(int8);
}

/* Also of a transposed view and of rows: what exporters read. */
static void views_of_int8_weights_keep_their_scales(void **state) {
    tw_model *m;
    float plain[16 * 8], turned[8 * 16], rows[4 * 8];
    assert_ok(quantize(NULL, false, NULL), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    tw_tensor w = m->vision.blocks[0].fc1.weight, t = tw_tensor_transpose(&w);
    tw_tensor part = tw_tensor_rows(&w, 5, 4);
    tw_tensor_to_f32(&w, plain);
    tw_tensor_to_f32(&t, turned);
    tw_tensor_to_f32(&part, rows);
    assert_false(tw_tensor_is_c_order(&w));
    for (size_t i = 0; i < 16; i++)
        for (size_t p = 0; p < 8; p++)
            assert_true(plain[i * 8 + p] == turned[p * 16 + i]);
    assert_memory_equal(rows, plain + 5 * 8, sizeof rows);
    tw_model_free(m);
}

static void blocks_that_are_kept_stay_f16(void **state) {
    tw_model *m;
    tw_used used = TW_USED_INIT;
    float features[2 * DIM];
    assert_ok(quantize("v.blk.0", false, NULL), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    assert_int_equal(m->vision.blocks[0].q.weight.dtype, TW_F16);
    assert_int_equal(m->text.blocks[0].q.weight.dtype, TW_I8);
    tw_model_free(m);
    encode(made, TW_I8, features, &used);
    assert_string_equal(used.precision, "int8");
    assert_non_null(strstr(used.detail, "4 of 8 products"));
    static const char *const no_parts[] = {"v.blk.1",         "v.blk",          "v",      "x.blk.0",
                                           "v.blk.0,t.blk.9", "v.blk.0.attn_q", "v.blk.", ",",
                                           "t.position_embd"};
    for (size_t i = 0; i < sizeof no_parts / sizeof *no_parts; i++)
        assert_fails(quantize(no_parts[i], false, NULL), TW_ERR_ARGUMENT, &err);
}

static void what_was_measured_is_recorded(void **state) {
    tw_int8_quality q = TW_INT8_QUALITY_INIT, got = TW_INT8_QUALITY_INIT;
    tw_model *m;
    q.calibration = "built-in";
    q.kept = "v.blk.0";
    q.n_images = 8;
    q.image_cosine[0] = 0.999f;
    q.image_cosine[1] = 0.99f;
    q.text_cosine[0] = q.text_cosine[1] = NAN;
    q.recall_t2i[0] = 50;
    q.forced = true;
    q.top1[0] = 75;
    q.top1[1] = 74.5f;
    q.n_labels = 100;
    assert_ok(quantize("v.blk.0", false, &q), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    assert_true(tw_model_int8_quality(m, &got));
    assert_string_equal(got.calibration, "built-in");
    assert_string_equal(got.kept, "v.blk.0");
    assert_int_equal(got.n_images, 8);
    assert_true(got.image_cosine[0] == 0.999f && got.image_cosine[1] == 0.99f && got.forced);
    assert_true(isnan(got.text_cosine[0]) && got.recall_t2i[0] == 50);
    assert_true(got.top1[0] == 75 && got.top1[1] == 74.5f && got.n_labels == 100);
    tw_model_free(m);
    /* A caller built against the header before there was top-1. */
    q.struct_size = offsetof(tw_int8_quality, top1);
    assert_ok(quantize("v.blk.0", false, &q), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    assert_true(tw_model_int8_quality(m, &got));
    assert_true(isnan(got.top1[0]) && got.n_labels == 0 && got.recall_t2i[0] == 50);
    tw_model_free(m);
    assert_ok(quantize(NULL, false, NULL), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    assert_false(tw_model_int8_quality(m, &got));
    tw_model_free(m);
}

/* -------------------------------------------------------------------------------------- damage */

/* The bytes of a tensor of the file in memory. */
static uint8_t *bytes_of(uint8_t *data, size_t n, const char *name) {
    tw_gguf *g;
    assert_ok(tw_gguf_parse(data, n, &g, &err), &err);
    const tw_gguf_tensor *t = tw_gguf_find_tensor(g, name);
    if (!t) fail_msg("no tensor '%s'", name);
    uint8_t *p = data + (t->data - data);
    tw_gguf_free(g);
    return p;
}

/* Where the bytes after a name begin: number of extents, extents, type. */
static uint8_t *after(uint8_t *data, size_t n, const char *name) {
    size_t m = strlen(name);
    for (size_t i = 8; i + m < n; i++)
        if (memcmp(data + i, name, m) == 0 && tw_load_u64le(data + i - 8) == m) return data + i + m;
    fail_msg("no '%s' in the file", name);
    return NULL;
}

static void set_float(uint8_t *p, float v) {
    memcpy(p, &v, sizeof v);
}

#define refuse(change, expected, part)                                                             \
    do {                                                                                           \
        size_t n;                                                                                  \
        uint8_t *data = test_read(made, &n);                                                       \
        tw_model *parsed;                                                                          \
        change;                                                                                    \
        assert_fails(tw_model_parse(data, n, &parsed, &err), expected, &err);                      \
        if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);            \
        free(data);                                                                                \
    } while (0)

#define SCALE "v.blk.0.attn_out.scale"

static void damaged_scales_are_refused(void **state) {
    assert_ok(quantize(NULL, false, NULL), &err);
    static const float bad[] = {0, -1, NAN, INFINITY, -0.0f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuse(set_float(bytes_of(data, n, SCALE) + 12, bad[i]), TW_ERR_FORMAT, "finite, positive");
        refuse(set_float(bytes_of(data, n, "t.token_embd.scale") + 4, bad[i]), TW_ERR_FORMAT,
               "t.token_embd.scale");
    }
    refuse(after(data, n, SCALE)[-1] ^= 1, TW_ERR_FORMAT, "is missing");
    refuse(tw_store_u64le(after(data, n, SCALE) + 4, 7), TW_ERR_MISMATCH, "expected f32 [8]");
    refuse(tw_store_u32le(after(data, n, SCALE) + 12, 26), TW_ERR_MISMATCH, "expected f32 [8]");
    refuse(tw_store_u32le(after(data, n, "v.blk.0.ffn_up.weight") + 20, 8), TW_ERR_FORMAT, "");
    refuse(tw_store_u32le(after(data, n, "v.blk.0.ln1.weight") + 12, 24), TW_ERR_UNSUPPORTED,
           "f32, f16 or bf16");
}

/* A file with smoothing in each of its three places. */
static void smoothed_source(void) {
    size_t n;
    uint8_t *data = test_read(source, &n);
    static const char *const norms[] = {"v.blk.0.ln1.weight", "v.blk.0.ln2.weight"};
    for (size_t i = 0; i < 2; i++)
        set_float(bytes_of(data, n, norms[i]) + 8, 64);
    test_write(source, data, n);
    free(data);
}

static void smoothing_is_stored_shared_and_checked(void **state) {
    float stored[2 * DIM], loaded[2 * DIM], plain[2 * DIM];
    tw_used used = TW_USED_INIT;
    tw_model *m;
    smoothed_source();
    assert_ok(quantize("t.token_embd", false, NULL), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    const tw_block_weights *b = &m->vision.blocks[0];
    assert_non_null(b->q.weight.column_scale);
    assert_ptr_equal(b->q.weight.column_scale, b->k.weight.column_scale);
    assert_ptr_equal(b->q.weight.column_scale, b->v.weight.column_scale);
    assert_non_null(b->fc1.weight.column_scale);
    assert_null(b->fc2.weight.column_scale);
    tw_model_free(m);
    encode(made, -1, stored, &used);
    encode(source, TW_I8, loaded, &used);
    assert_memory_equal(stored, loaded, sizeof stored);
    static const float bad[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse(set_float(bytes_of(data, n, "v.blk.0.attn_qkv.smooth"), bad[i]), TW_ERR_FORMAT,
               "not negative");
    refuse(tw_store_u64le(after(data, n, "v.blk.0.ffn_down.smooth") + 4, 4), TW_ERR_MISMATCH,
           "expected f32 [8]");
    assert_ok(quantize("t.token_embd", true, NULL), &err);
    assert_ok(tw_model_open(made, &m, &err), &err);
    assert_null(m->vision.blocks[0].q.weight.column_scale);
    tw_model_free(m);
    encode(made, -1, plain, &used);
    assert_true(largest_difference(plain, stored) > 0);
}

static void options_that_exclude_each_other_are_refused(void **state) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.precision = TW_I8;
    o.round_f16 = true;
    assert_fails(tw_convert(source, made, &o, &err), TW_ERR_ARGUMENT, &err);
    o = (tw_convert_options)TW_CONVERT_OPTIONS_INIT;
    o.keep_f16 = "v.blk.0";
    assert_fails(tw_convert(source, made, &o, &err), TW_ERR_ARGUMENT, &err);
}

static void int8_files_and_nan_are_no_source(void **state) {
    const char *again = test_temporary(".gguf");
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    assert_ok(quantize(NULL, false, NULL), &err);
    assert_fails(tw_convert(made, again, &o, &err), TW_ERR_UNSUPPORTED, &err);
    size_t n;
    uint8_t *data = test_read(source, &n);
    bytes_of(data, n, "t.blk.0.ffn_up.weight")[3] = 0x7E; /* an f16 NaN */
    test_write(source, data, n);
    free(data);
    assert_fails(quantize(NULL, false, NULL), TW_ERR_FORMAT, &err);
    assert_non_null(strstr(err.message, "t.blk.0.ffn_up.weight"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_file_runs_as_what_is_quantised_when_loaded_to_the_bit,
                               write_source),
        cmocka_unit_test_setup(f32_computes_with_the_int8_weights_and_says_so, write_source),
        cmocka_unit_test_setup(weights_read_back_within_half_a_step, write_source),
        cmocka_unit_test_setup(views_of_int8_weights_keep_their_scales, write_source),
        cmocka_unit_test_setup(blocks_that_are_kept_stay_f16, write_source),
        cmocka_unit_test_setup(what_was_measured_is_recorded, write_source),
        cmocka_unit_test_setup(damaged_scales_are_refused, write_source),
        cmocka_unit_test_setup(smoothing_is_stored_shared_and_checked, write_source),
        cmocka_unit_test_setup(options_that_exclude_each_other_are_refused, write_source),
        cmocka_unit_test_setup(int8_files_and_nan_are_no_source, write_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
