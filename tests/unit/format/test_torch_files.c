/* Every torch container among the test data, against values read independently of this reader
 * (Python's pickle and struct). */
#include "support.h"

#include "format/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_checkpoint *opened(const char *name) {
    char path[256];
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    snprintf(path, sizeof path, "checkpoints/%s", name);
    assert_ok(tw_checkpoint_open(test_data(path), &c, &err), &err);
    return c;
}

static float value(const tw_checkpoint *c, const char *name, size_t index) {
    const tw_tensor *t = tw_checkpoint_find(c, name);
    if (!t) fail_msg("no tensor %s", name);
    float f;
    tw_tensor_to_f32_range(t, index, 1, &f);
    return f;
}

static void has(const tw_checkpoint *c, const char *name, tw_dtype dtype, const char *shape) {
    const tw_tensor *t = tw_checkpoint_find(c, name);
    char text[128];
    if (!t) fail_msg("no tensor %s", name);
    assert_int_equal(t->dtype, dtype);
    assert_string_equal(tw_shape_text(t->n_dims, t->shape, text, sizeof text), shape);
}

/* Values are copies of stored ones, so they compare exactly. */
static void same_tensor(const tw_tensor *a, const tw_tensor *b, bool through_f16) {
    assert_int_equal(a->n_dims, b->n_dims);
    assert_memory_equal(a->shape, b->shape, (size_t)a->n_dims * sizeof *a->shape);
    size_t n = tw_tensor_elements(a);
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    tw_tensor_to_f32(a, x);
    tw_tensor_to_f32(b, y);
    for (size_t i = 0; i < n; i++) {
        float expected = through_f16 ? tw_f16_to_f32(tw_f32_to_f16(x[i])) : x[i];
        if (expected != y[i]) fail_msg("%s[%zu]: %g and %g", a->name, i, expected, y[i]);
    }
    free(x);
    free(y);
}

static void same_tensors(const char *name_a, const char *name_b, bool through_f16) {
    tw_checkpoint *a = opened(name_a), *b = opened(name_b);
    size_t n = tw_checkpoint_n_tensors(a);
    assert_int_equal(n, tw_checkpoint_n_tensors(b));
    for (size_t i = 0; i < n; i++) {
        const tw_tensor *t = tw_checkpoint_tensor(a, i);
        const tw_tensor *u = tw_checkpoint_find(b, t->name);
        if (!u) fail_msg("no tensor %s in %s", t->name, name_b);
        same_tensor(t, u, through_f16);
    }
    tw_checkpoint_free(a);
    tw_checkpoint_free(b);
}

static void reads_mixed_half_and_float(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/clip_cn_tiny-vit.pt");
    int64_t i;
    assert_string_equal(tw_checkpoint_format(c), "torch-zip");
    assert_int_equal(tw_checkpoint_n_tensors(c), 73);
    assert_string_equal(tw_checkpoint_tensor(c, 0)->name, "module.text_projection");
    assert_string_equal(tw_checkpoint_tensor(c, 72)->name, "module.bert.pooler.dense.bias");
    assert_null(tw_checkpoint_tensor(c, 73));
    assert_null(tw_checkpoint_find(c, "text_projection"));
    has(c, "module.text_projection", TW_F16, "[32, 32]");
    has(c, "module.logit_scale", TW_F32, "[]");
    has(c, "module.visual.positional_embedding", TW_F32, "[17, 64]");
    has(c, "module.visual.conv1.weight", TW_F16, "[64, 3, 8, 8]");
    assert_true(value(c, "module.logit_scale", 0) == 2.25f);
    assert_true(value(c, "module.text_projection", 0) == 0.287109375f);
    assert_true(value(c, "module.text_projection", 1023) == -0.0867919921875f);
    assert_true(value(c, "module.text_projection", 16 * 32 + 16) == 0.112548828125f);
    assert_true(value(c, "module.visual.class_embedding", 63) == 0.0036944919265806675f);
    assert_true(tw_checkpoint_int(c, "epoch", &i) && i == 3);
    assert_true(tw_checkpoint_int(c, "step", &i) && i == 120);
    assert_false(tw_checkpoint_int(c, "name", &i));
    tw_checkpoint_free(c);
}

static void reads_strides_offsets_shared_storages_and_wrappers(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/stress.pt");
    int64_t i;
    assert_int_equal(tw_checkpoint_n_tensors(c), 73);
    assert_true(tw_checkpoint_int(c, "step", &i) && i == 1099511627781);
    has(c, "module.visual.ln_post.bias", TW_F64, "[64]");
    has(c, "module.visual.class_embedding", TW_F32, "[64]"); /* a Parameter */
    const tw_tensor *proj = tw_checkpoint_find(c, "module.visual.proj");
    assert_int_equal(proj->stride[0], 1);
    assert_int_equal(proj->stride[1], 64);
    assert_true(value(c, "module.visual.proj", 0) == 0.09478759765625f);
    assert_true(value(c, "module.visual.proj", 2047) == 0.2083740234375f);
    assert_true(value(c, "module.visual.proj", 32 * 32 + 16) == -0.10919189453125f);
    const char *key = "module.bert.encoder.layer.0.attention.self.key.weight";
    assert_true(value(c, key, 0) == -0.248291015625f);
    assert_true(value(c, key, 1023) == 0.036712646484375f);
    tw_checkpoint_free(c);
    same_tensors("tiny_cn_vit/clip_cn_tiny-vit.pt", "tiny_cn_vit/stress.pt", false);
}

static void reads_flash_attention_names(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/flash_wqkv.pt");
    assert_int_equal(tw_checkpoint_n_tensors(c), 65);
    has(c, "module.visual.transformer.resblocks.0.attn.Wqkv.weight", TW_F16, "[192, 64]");
    has(c, "module.bert.encoder.layer.1.attention.self.Wqkv.bias", TW_F16, "[96]");
    tw_checkpoint_free(c);
}

static void reads_what_torch_1_13_wrote(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/torch113/clip_cn_tiny-vit.pt");
    assert_int_equal(tw_checkpoint_n_tensors(c), 71);
    for (size_t i = 0; i < 71; i++)
        assert_int_equal(tw_checkpoint_tensor(c, i)->dtype, TW_F32);
    assert_true(value(c, "module.visual.positional_embedding", 17 * 64 - 1) ==
                0.31260910630226135f);
    tw_checkpoint_free(c);
}

static void reads_the_legacy_layout_alike(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/torch113/legacy.pt");
    int64_t i;
    assert_string_equal(tw_checkpoint_format(c), "torch-legacy");
    assert_int_equal(tw_checkpoint_n_tensors(c), 71);
    assert_true(tw_checkpoint_int(c, "epoch", &i) && i == 3);
    tw_checkpoint_free(c);
    same_tensors("tiny_cn_vit/torch113/clip_cn_tiny-vit.pt", "tiny_cn_vit/torch113/legacy.pt",
                 false);
}

static void skips_the_optimizer(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/torch113/half_with_optimizer.pt");
    assert_int_equal(tw_checkpoint_n_tensors(c), 71);
    has(c, "module.logit_scale", TW_F16, "[]");
    assert_true(value(c, "module.visual.class_embedding", 0) == 0.339599609375f);
    tw_checkpoint_free(c);
    same_tensors("tiny_cn_vit/torch113/clip_cn_tiny-vit.pt",
                 "tiny_cn_vit/torch113/half_with_optimizer.pt", true);
}

static void reads_a_bare_state_dict(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_vit/hf/pytorch_model.bin");
    int64_t i;
    assert_int_equal(tw_checkpoint_n_tensors(c), 81);
    has(c, "vision_model.embeddings.patch_embedding.weight", TW_F32, "[64, 3, 8, 8]");
    has(c, "text_model.embeddings.position_ids", TW_I64, "[1, 64]");
    assert_true(value(c, "text_model.embeddings.position_ids", 63) == 63.0f);
    assert_false(tw_checkpoint_int(c, "epoch", &i));
    tw_checkpoint_free(c);
}

static void reads_the_residual_network(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_cn_rn/clip_cn_tiny-rn.pt");
    assert_int_equal(tw_checkpoint_n_tensors(c), 184);
    has(c, "module.visual.conv1.weight", TW_F32, "[4, 3, 3, 3]");
    has(c, "module.visual.bn1.num_batches_tracked", TW_I64, "[]");
    assert_true(value(c, "module.visual.conv1.weight", 0) == 0.2583182156085968f);
    assert_true(value(c, "module.visual.conv1.weight", 107) == 0.38106897473335266f);
    assert_true(value(c, "module.bert.pooler.dense.bias", 31) == -0.0030622424092143774f);
    tw_checkpoint_free(c);
}

static void reads_bf16(void **state) {
    (void)state;
    tw_checkpoint *c = opened("tiny_openclip_gelu/custom_text_bf16.pt");
    assert_int_equal(tw_checkpoint_n_tensors(c), 62);
    has(c, "module.text.text_projection", TW_BF16, "[64, 40]");
    assert_true(value(c, "module.logit_scale", 0) == tw_bf16_to_f32(16480));
    assert_true(value(c, "module.text.text_projection", 0) == tw_bf16_to_f32(48563));
    assert_true(value(c, "module.text.ln_final.bias", 63) == tw_bf16_to_f32(48597));
    tw_checkpoint_free(c);
}

static void opens_missing_files_and_folders_with_a_plain_message(void **state) {
    (void)state;
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    assert_fails(tw_checkpoint_open(test_data("checkpoints/absent.pt"), &c, &err), TW_ERR_IO, &err);
    assert_null(c);
    assert_fails(tw_checkpoint_open(test_data("checkpoints"), &c, &err), TW_ERR_IO, &err);
    assert_non_null(strstr(err.message, "is a directory"));
    assert_null(c);
    tw_checkpoint_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mixed_half_and_float),
        cmocka_unit_test(reads_strides_offsets_shared_storages_and_wrappers),
        cmocka_unit_test(reads_flash_attention_names),
        cmocka_unit_test(reads_what_torch_1_13_wrote),
        cmocka_unit_test(reads_the_legacy_layout_alike),
        cmocka_unit_test(skips_the_optimizer),
        cmocka_unit_test(reads_a_bare_state_dict),
        cmocka_unit_test(reads_the_residual_network),
        cmocka_unit_test(reads_bf16),
        cmocka_unit_test(opens_missing_files_and_folders_with_a_plain_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
