/* Rounding through f16 as the originals' loaders do. What is not rounded is listed here by name. */
#include "tiny_model.h"

#include "base/bytes.h"
#include "format/gguf/gguf.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

static const char *const vit_kept[] = {"v.class_embd",
                                       "v.position_embd.weight",
                                       "v.pre_ln.weight",
                                       "v.pre_ln.bias",
                                       "v.blk.0.ln1.weight",
                                       "v.blk.0.ln1.bias",
                                       "v.blk.0.ln2.weight",
                                       "v.blk.0.ln2.bias",
                                       "v.post_ln.weight",
                                       "v.post_ln.bias",
                                       NULL};
static const char *const clip_kept[] = {
    "t.token_embd.weight", "t.position_embd.weight", "t.blk.0.ln1.weight",
    "t.blk.0.ln1.bias",    "t.blk.0.ln2.weight",     "t.blk.0.ln2.bias",
    "t.post_ln.weight",    "t.post_ln.bias",         NULL};
/* and every tensor of a batch norm */
static const char *const resnet_kept[] = {"v.pool.position_embd.weight", NULL};
static const char *const nothing[] = {NULL};

static const struct {
    tw_vision_kind vision;
    tw_text_kind text;
    const char *const *vision_kept, *const *text_kept;
} cases[] = {{TW_VISION_VIT, TW_TEXT_BERT, vit_kept, nothing},
             {TW_VISION_VIT, TW_TEXT_CLIP, vit_kept, clip_kept},
             {TW_VISION_RESNET, TW_TEXT_BERT, resnet_kept, nothing},
             {TW_VISION_RESNET, TW_TEXT_CLIP, resnet_kept, clip_kept},
             {TW_VISION_VIT, TW_TEXT_NONE, vit_kept, nothing},
             {TW_VISION_NONE, TW_TEXT_BERT, nothing, nothing}};

static bool listed(const char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static tw_model *rounded(const char *from, int precision) {
    const char *path = test_temporary(".gguf");
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    tw_model *m;
    o.round_f16 = true;
    o.precision = precision;
    assert_ok(tw_convert(from, path, &o, &err), &err);
    assert_ok(tw_model_open(path, &m, &err), &err);
    return m;
}

static void assert_rounded(const tw_tensor *before, const tw_tensor *after, bool expected) {
    size_t n = tw_tensor_elements(before), n_changed = 0;
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    tw_tensor_to_f32(before, x);
    tw_tensor_to_f32(after, y);
    for (size_t i = 0; i < n; i++) {
        float want = expected ? tw_f16_to_f32(tw_f32_to_f16(x[i])) : x[i];
        if (want != y[i]) fail_msg("%s: number %zu", after->name, i);
        n_changed += x[i] != y[i];
    }
    if (expected) assert_true(n_changed > 0); /* random numbers of f32: the check means something */
    free(x);
    free(y);
}

static void what_convert_weights_makes_f16_is_rounded(void **state) {
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool wide = i % 2;
        const char *from = test_temporary(".gguf");
        tw_arch arch;
        tw_model *a, *b;
        tiny_arch(&arch, cases[i / 2].vision, cases[i / 2].text);
        tiny_model_write(from, &arch, TW_F32);
        assert_ok(tw_model_open(from, &a, &err), &err);
        b = rounded(from, wide ? TW_F32 : -1);
        assert_int_equal(tw_gguf_n_tensors(a->gguf), tw_gguf_n_tensors(b->gguf));
        for (size_t k = 0; k < tw_gguf_n_tensors(a->gguf); k++) {
            const tw_tensor *x = &tw_gguf_tensor_at(a->gguf, k)->view,
                            *y = &tw_gguf_tensor_at(b->gguf, k)->view;
            bool kept = listed(cases[i / 2].vision_kept, x->name) ||
                        listed(cases[i / 2].text_kept, x->name) || strstr(x->name, ".bn.");
            assert_rounded(x, y, !kept);
            assert_int_equal(y->dtype, wide || kept ? TW_F32 : TW_F16);
        }
        tw_provenance p = TW_PROVENANCE_INIT;
        tw_model_provenance(b, &p);
        assert_true(p.round_f16);
        tw_model_free(a);
        tw_model_free(b);
    }
}

static void a_model_file_keeps_that_it_was_rounded(void **state) {
    (void)state;
    const char *from = test_temporary(".gguf"), *once = test_temporary(".gguf"),
               *twice = test_temporary(".gguf");
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    tw_arch arch;
    tw_model *m;
    tiny_arch(&arch, TW_VISION_VIT, TW_TEXT_BERT);
    tiny_model_write(from, &arch, TW_F32);
    assert_ok(tw_model_open(from, &m, &err), &err);
    tw_provenance p = TW_PROVENANCE_INIT;
    tw_model_provenance(m, &p);
    assert_false(p.round_f16);
    tw_model_free(m);
    o.round_f16 = true;
    assert_ok(tw_convert(from, once, &o, &err), &err);
    assert_ok(tw_convert(once, twice, NULL, &err), &err);
    assert_ok(tw_model_open(twice, &m, &err), &err);
    tw_model_provenance(m, &p);
    assert_true(p.round_f16);
    tw_model_free(m);
}

static void a_value_beyond_f16_is_refused_by_name(void **state) {
    (void)state;
    tw_arch arch;
    const char *from = test_temporary(".gguf"), *to = test_temporary(".gguf");
    tiny_arch(&arch, TW_VISION_VIT, TW_TEXT_BERT);
    tiny_model_write(from, &arch, TW_F32);
    tw_model *m;
    assert_ok(tw_model_open(from, &m, &err), &err);
    const uint8_t *bias = m->vision.blocks[0].fc1.bias.data, *begin = m->file.data;
    size_t at = (size_t)(bias - begin);
    tw_model_free(m);
    FILE *f = fopen(from, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    static const uint8_t number[4] = {0x00, 0x00, 0x80, 0x47}; /* 65536 */
    assert_int_equal(fwrite(number, 1, 4, f), 4);
    assert_int_equal(fclose(f), 0);
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    assert_ok(tw_convert(from, to, &o, &err), &err);
    o.round_f16 = true;
    for (int wide = 0; wide < 2; wide++) {
        o.precision = wide ? TW_F32 : -1;
        assert_fails(tw_convert(from, to, &o, &err), TW_ERR_LIMIT, &err);
        assert_non_null(strstr(err.message, "'v.blk.0.ffn_down.bias' has the value 65536, which "
                                            "does not fit f16"));
    }
    o.precision = TW_BF16;
    assert_fails(tw_convert(from, to, &o, &err), TW_ERR_ARGUMENT, &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_convert_weights_makes_f16_is_rounded),
        cmocka_unit_test(a_model_file_keeps_that_it_was_rounded),
        cmocka_unit_test(a_value_beyond_f16_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
