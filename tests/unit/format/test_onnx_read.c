/* ONNX models as checkpoints: where weights get their names and bytes from, and how each lie of a
 * file is called. The files are those of dev/make_onnx_corpus.py. */
#include "support.h"

#include "format/checkpoint.h"
#include "format/onnx/container.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static tw_error err;
static char folder[] = "/tmp/tuwen-test-onnx-XXXXXX", path[64], side[64];

/* The corpus file, beside a side file whose byte i is i & 0x3F. */
static const char *place(const char *name) {
    char source[512];
    size_t n;
    snprintf(source, sizeof source, "%s/tests/fuzz/onnx/corpus/%s.onnx", TEST_SOURCE_DIR, name);
    uint8_t *bytes = test_read(source, &n);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    free(bytes);
    return path;
}

static tw_checkpoint *open_corpus(const char *name) {
    tw_checkpoint *c;
    assert_ok(tw_checkpoint_open(place(name), &c, &err), &err);
    assert_string_equal(tw_checkpoint_format(c), "onnx");
    return c;
}

static void values_are(const tw_checkpoint *c, const char *name, int n, const float *expected) {
    const tw_tensor *t = tw_checkpoint_find(c, name);
    float got[64];
    assert_non_null(t);
    assert_int_equal(tw_tensor_elements(t), n);
    tw_tensor_to_f32(t, got);
    assert_memory_equal(got, expected, (size_t)n * sizeof *got);
}

static void shape_is(const tw_checkpoint *c, const char *name, int64_t rows, int64_t columns) {
    const tw_tensor *t = tw_checkpoint_find(c, name);
    if (!t) fail_msg("'%s' is missing", name);
    assert_int_equal(t->n_dims, columns ? 2 : 1);
    assert_int_equal(t->shape[0], rows);
    if (columns) assert_int_equal(t->shape[1], columns);
}

static void typed_numbers_are_read(void **state) {
    (void)state;
    tw_checkpoint *c = open_corpus("typed_floats_loose");
    values_are(c, "visual.a", 2, (const float[]){1, 2});
    tw_checkpoint_free(c);
    c = open_corpus("typed_floats");
    values_are(c, "visual.a", 2, (const float[]){0.25f, 0.25f});
    tw_checkpoint_free(c);
    c = open_corpus("typed_half"); /* two packed, one alone */
    values_are(c, "visual.a", 3, (const float[]){1, 1, 2});
    tw_checkpoint_free(c);
    c = open_corpus("packed_dims");
    shape_is(c, "visual.a", 2, 2);
    tw_checkpoint_free(c);
}

/* Offsets 1 and 17: no alignment, and a byte of something else first. */
static void bytes_aside_may_begin_anywhere(void **state) {
    (void)state;
    tw_checkpoint *c = open_corpus("aside");
    const uint8_t *a = tw_checkpoint_find(c, "visual.a")->data;
    for (int i = 0; i < 16; i++)
        assert_int_equal(a[i], 1 + i);
    const uint8_t *b = tw_checkpoint_find(c, "visual.b")->data;
    assert_int_equal(b[0], 17);
    assert_int_equal(tw_checkpoint_find(c, "visual.b")->dtype, TW_F16);
    tw_checkpoint_free(c);
}

static void matrices_are_named_by_the_bias_that_follows(void **state) {
    (void)state;
    tw_checkpoint *c = open_corpus("bert");
    shape_is(c, "bert.encoder.layer.0.intermediate.dense.weight", 8, 4); /* [4, 8] in the file */
    shape_is(c, "bert.encoder.layer.0.output.dense.weight", 4, 8);
    shape_is(c, "bert.encoder.layer.0.attention.self.query.weight", 4, 4);
    assert_null(tw_checkpoint_find(c, "onnx::MatMul_0"));
    const tw_onnx_facts *f = tw_checkpoint_onnx(c);
    assert_true(f->text.present && !f->image.present);
    assert_int_equal(f->text.length, 6);
    tw_checkpoint_free(c);
}

static void convolutions_are_named_by_their_place(void **state) {
    (void)state;
    static const char *const weights[] = {"visual.conv1",          "visual.conv3",
                                          "visual.layer1.0.conv1", "visual.layer2.0.conv2",
                                          "visual.layer4.0.conv3", "visual.layer4.0.downsample.0"};
    char name[96];
    tw_checkpoint *c = open_corpus("resnet"); /* nodes from last to first */
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        snprintf(name, sizeof name, "%s.weight", weights[i]);
        if (!tw_checkpoint_find(c, name)) fail_msg("'%s' is missing", name);
    }
    assert_int_equal(tw_checkpoint_find(c, "visual.layer3.0.conv2.weight")->shape[0], 8);
    values_are(c, "visual.bn3.bias", 2, (const float[]){0.25f, 0.25f});
    values_are(c, "visual.bn3.weight", 2, (const float[]){1, 1});
    values_are(c, "visual.bn3.running_mean", 2, (const float[]){0, 0});
    tw_checkpoint_free(c);
}

/* What the backend makes of the batch norm: its scale must leave every weight as it is. Largest
 * mantissas, and powers of two, whose lower neighbour is nearest, decide. */
static void batch_norm_that_was_folded_changes_no_bit(void **state) {
    (void)state;
    tw_checkpoint *c = open_corpus("resnet");
    float variance[2];
    tw_tensor_to_f32(tw_checkpoint_find(c, "visual.layer1.0.bn1.running_var"), variance);
    tw_checkpoint_free(c);
    double scale = 1 / sqrt((double)variance[0] + (double)1e-5f);
    uint64_t seed = 1;
    for (uint32_t i = 0; i < 1000000; i++) {
        uint32_t mantissa = i < 2 ? i * 0x7FFFFF : (uint32_t)test_random(&seed) & 0x7FFFFF;
        uint32_t bits = mantissa | (uint32_t)(i % 254 + 1) << 23;
        float w, folded;
        memcpy(&w, &bits, sizeof w);
        folded = (float)((double)w * scale);
        assert_memory_equal(&w, &folded, sizeof w);
    }
    for (uint32_t exponent = 1; exponent < 255; exponent++) {
        float w = ldexpf(1, (int)exponent - 127), folded = (float)((double)w * scale);
        assert_memory_equal(&w, &folded, sizeof w);
    }
}

static void equal_weights_keep_their_names(void **state) {
    (void)state;
    tw_checkpoint *c = open_corpus("alias");
    assert_ptr_equal(tw_checkpoint_find(c, "visual.a")->data,
                     tw_checkpoint_find(c, "visual.b")->data);
    tw_checkpoint_free(c);
}

static void graphs_show_heads_activation_and_epsilon(void **state) {
    (void)state;
    tw_checkpoint *c = open_corpus("vit");
    const tw_onnx_facts *f = tw_checkpoint_onnx(c);
    assert_true(f->image.present && !f->text.present);
    assert_int_equal(f->image.head_width, 4);
    assert_int_equal(f->image.activation, TW_QUICK_GELU);
    assert_true(f->image.norm_eps == 1e-5f);
    tw_checkpoint_free(c);
    c = open_corpus("own");
    f = tw_checkpoint_onnx(c);
    assert_true(f->image.present && f->text.present);
    assert_int_equal(f->image.activation, TW_QUICK_GELU);
    assert_int_equal(f->text.activation, TW_GELU_ERF);
    assert_true(f->image.norm_eps == 1e-6f);
    shape_is(c, "visual_projection.weight", 4, 8); /* "….T" in the file */
    shape_is(c, "v.class_embd", 8, 0);
    assert_non_null(tw_checkpoint_find(c, "v.stem.1.bn.bias"));
    assert_null(tw_checkpoint_find(c, "t.mask"));
    assert_null(tw_checkpoint_find(c, "logit_scale.exp"));
    const tw_onnx_line *line = tw_onnx_fact(f, "tuwen.logit_scale");
    assert_non_null(line);
    assert_int_equal(line->n_value, 3);
    assert_memory_equal(line->value, "4.5", 3);
    tw_checkpoint_free(c);
    c = open_corpus("initializer_as_input");
    assert_true(tw_checkpoint_onnx(c)->image.present);
    tw_checkpoint_free(c);
}

typedef struct refusal {
    const char *file;
    tw_status status;
    const char *part;
} refusal;

static const refusal refusals[] = {
    {"aside_overlap", TW_ERR_FORMAT, "'visual.a' and 'visual.b' share bytes aside"},
    {"aside_outside", TW_ERR_FORMAT, "4096 bytes from byte 4 of 'side', which has 4096"},
    {"aside_huge_offset", TW_ERR_FORMAT, "16 bytes from byte 18446744073709551608"},
    {"aside_length", TW_ERR_FORMAT, "length 8, expected 16"},
    {"aside_parent", TW_ERR_FORMAT, "'../side', expected the name of a file"},
    {"aside_absolute", TW_ERR_FORMAT, "'/etc/passwd', expected the name of a file"},
    {"aside_dots", TW_ERR_FORMAT, "'..', expected the name of a file"},
    {"aside_folder", TW_ERR_FORMAT, "'.', expected the name of a file"},
    {"aside_missing", TW_ERR_IO, "nowhere: No such file"},
    {"aside_number", TW_ERR_FORMAT, "offset '-4', expected a decimal number"},
    {"typed_half_short", TW_ERR_FORMAT, "2 numbers, expected 9"},
    {"typed_half_long", TW_ERR_FORMAT, "more than 1"},
    {"negative_extent", TW_ERR_FORMAT, "'visual.a': an extent of -2"},
    {"product", TW_ERR_FORMAT, "[4294967296, 4294967296, 4] is too large"},
    {"many_dims", TW_ERR_UNSUPPORTED, "more than 8 dimensions"},
    {"float8", TW_ERR_UNSUPPORTED, "element type 17"},
    {"short_raw", TW_ERR_FORMAT, "16 bytes for [8], which needs 32"},
    {"twice", TW_ERR_FORMAT, "'visual.a' occurs twice"},
    {"two_makers", TW_ERR_FORMAT, "'x' is made by two nodes"},
    {"unnamed", TW_ERR_UNSUPPORTED, "'onnx::MatMul_7' [4, 4] has no name"},
    {"used_twice", TW_ERR_UNSUPPORTED, "'onnx::MatMul_7' is used in two places"},
    {"tanh", TW_ERR_UNSUPPORTED, "Tanh"},
    {"silu", TW_ERR_UNSUPPORTED, "no QuickGELU"},
    {"heads_differ", TW_ERR_UNSUPPORTED, "heads of width 4 and of 16"},
    {"subgraph", TW_ERR_UNSUPPORTED, "a graph inside a node"},
    {"hugging_face", TW_ERR_UNSUPPORTED,
     "Hugging Face's exporter, of inputs (input_ids, pixel_values, attention_mask)"},
    {"no_input", TW_ERR_UNSUPPORTED, "of inputs ()"},
    {"no_graph", TW_ERR_FORMAT, "no graph"},
    {"two_graphs", TW_ERR_FORMAT, "two graphs"},
    {"graph_as_number", TW_ERR_FORMAT, "of wire type 0, expected 2"},
    {"group", TW_ERR_FORMAT, "a field of an unknown kind"},
    {"field_0", TW_ERR_FORMAT, "an impossible field number"},
    {"long_varint", TW_ERR_FORMAT, "a damaged number"},
    {"beyond", TW_ERR_FORMAT, "a field beyond its message"},
    {"cut", TW_ERR_FORMAT, "a field beyond its message"},
};

static void lies_are_called_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        tw_checkpoint *c;
        tw_status status = tw_checkpoint_open(place(r->file), &c, &err);
        if (status != r->status || !strstr(err.message, r->part) || c)
            fail_msg("%s: status %s, '%s', expected %s and '%s'", r->file, tw_status_name(status),
                     err.message, tw_status_name(r->status), r->part);
    }
}

/* Walks in circles end. */
static void cycles_are_harmless(void **state) {
    (void)state;
    tw_checkpoint_free(open_corpus("self"));
    tw_checkpoint_free(open_corpus("resnet_cycle"));
}

/* Every prefix of a real graph is refused or, cut between fields of the model, has no graph. */
static void truncated_files_are_refused(void **state) {
    (void)state;
    size_t n;
    uint8_t *all = test_read(test_data("checkpoints/onnx/tiny-vit.txt.fp16.onnx"), &n);
    for (size_t cut = 0; cut < n; cut += cut < 400 ? 1 : 997) {
        tw_checkpoint *c;
        uint8_t *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, all, cut);
        if (tw_checkpoint_parse(part, cut, &c, &err) == TW_OK) fail_msg("%zu bytes are read", cut);
        assert_true(err.message[0] != '\0');
        free(part);
    }
    free(all);
}

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    snprintf(side, sizeof side, "%s/side", folder);
    FILE *f = fopen(side, "wb");
    if (!f) return -1;
    for (int i = 0; i < 4096; i++)
        putc(i & 0x3F, f);
    return fclose(f);
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    unlink(side);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_numbers_are_read),
        cmocka_unit_test(bytes_aside_may_begin_anywhere),
        cmocka_unit_test(matrices_are_named_by_the_bias_that_follows),
        cmocka_unit_test(convolutions_are_named_by_their_place),
        cmocka_unit_test(batch_norm_that_was_folded_changes_no_bit),
        cmocka_unit_test(equal_weights_keep_their_names),
        cmocka_unit_test(graphs_show_heads_activation_and_epsilon),
        cmocka_unit_test(lies_are_called_by_name),
        cmocka_unit_test(cycles_are_harmless),
        cmocka_unit_test(truncated_files_are_refused),
    };
    return cmocka_run_group_tests_name("onnx_read", tests, make_folder, remove_folder);
}
