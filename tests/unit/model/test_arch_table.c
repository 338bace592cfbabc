#include "support.h"

#include "model/arch.h"

#include <string.h>

static tw_error err;

static tw_arch arch_of(const char *name) {
    const tw_vision_preset *vision;
    const tw_text_preset *text;
    tw_arch arch = {.struct_size = sizeof arch};
    assert_ok(tw_preset_find(name, &vision, &text, &err), &err);
    arch.embed_dim = vision->embed_dim;
    arch.vision = vision->config;
    arch.text = text->config;
    return arch;
}

static void a_released_image_tower_brings_its_text_tower(void **state) {
    static const char *const names[][2] = {
        {"RN50", "RN50@RBT3-chinese"},
        {"ViT-B-16", "ViT-B-16@RoBERTa-wwm-ext-base-chinese"},
        {"ViT-L-14", "ViT-L-14@RoBERTa-wwm-ext-base-chinese"},
        {"ViT-L-14-336", "ViT-L-14-336@RoBERTa-wwm-ext-base-chinese"},
        {"ViT-H-14", "ViT-H-14@RoBERTa-wwm-ext-large-chinese"},
        {"ViT-B-16@RBT3-chinese", "ViT-B-16@RBT3-chinese"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tw_arch arch = arch_of(names[i][0]);
        assert_ok(tw_arch_check(&arch, &err), &err);
        tw_arch_set_name(&arch);
        assert_string_equal(arch.name, names[i][1]);
    }
}

static void vit_h_has_16_heads_of_80(void **state) {
    tw_arch arch = arch_of("ViT-H-14");
    assert_int_equal(arch.vision.head_width, 80);
    assert_int_equal(arch.vision.n_heads, 16);
    assert_int_equal(arch.vision.activation, TW_QUICK_GELU);
    assert_int_equal(arch.text.n_heads, 16);
}

static void an_unknown_name_is_answered_with_the_known_ones(void **state) {
    const tw_vision_preset *vision;
    const tw_text_preset *text;
    assert_fails(tw_preset_find("ViT-B/16", &vision, &text, &err), TW_ERR_ARGUMENT, &err);
    assert_non_null(strstr(err.message, "ViT-L-14-336"));
    assert_fails(tw_preset_find("ViT-B-16@GPT", &vision, &text, &err), TW_ERR_ARGUMENT, &err);
    assert_non_null(strstr(err.message, "RBT3-chinese"));
    assert_fails(tw_preset_find("", &vision, &text, &err), TW_ERR_ARGUMENT, &err);
}

static void a_size_off_the_released_ones_gets_a_made_up_name(void **state) {
    tw_arch arch = arch_of("ViT-B-16");
    arch.vision.n_layers = 11;
    arch.text.width = 512;
    tw_arch_set_name(&arch);
    assert_string_equal(arch.name, "ViT-w768-l11-p16-r224@BERT-w512-l12");
    arch.text.kind = TW_TEXT_NONE;
    tw_arch_set_name(&arch);
    assert_string_equal(arch.name, "ViT-w768-l11-p16-r224");
    arch = arch_of("RN50");
    arch.vision.stages[3] = 4;
    arch.text.kind = TW_TEXT_NONE;
    tw_arch_set_name(&arch);
    assert_string_equal(arch.name, "RN-3.4.6.4-w64-r224");
}

static void head_widths_come_from_a_table(void **state) {
    assert_int_equal(tw_vision_head_width(768), 64);
    assert_int_equal(tw_vision_head_width(1280), 80);
    assert_int_equal(tw_vision_head_width(1408), 88);
    assert_int_equal(tw_vision_head_width(1664), 104);
    assert_int_equal(tw_vision_head_width(1792), 112);
    assert_int_equal(tw_vision_head_width(704), 0);
    assert_int_equal(tw_text_head_width(1024), 64);
    assert_int_equal(tw_text_head_width(32), 0);
}

#define breaks(name, change, status)                                                               \
    do {                                                                                           \
        tw_arch arch = arch_of(name);                                                              \
        arch.change;                                                                               \
        assert_fails(tw_arch_check(&arch, &err), status, &err);                                    \
    } while (0)

static void sizes_that_cannot_be_are_refused(void **state) {
    breaks("ViT-B-16", vision.width = 0, TW_ERR_LIMIT);
    breaks("ViT-B-16", vision.width = 1 << 20, TW_ERR_LIMIT);
    breaks("ViT-B-16", vision.n_layers = 257, TW_ERR_LIMIT);
    breaks("ViT-B-16", vision.mlp_width = -1, TW_ERR_LIMIT);
    breaks("ViT-B-16", vision.patch_size = 0, TW_ERR_LIMIT);
    breaks("ViT-B-16", vision.patch_size = 15, TW_ERR_MISMATCH);
    breaks("ViT-B-16", vision.patch_size = 1, TW_ERR_LIMIT); /* 50,176 patches */
    breaks("ViT-B-16", vision.image_size = 8192, TW_ERR_LIMIT);
    breaks("ViT-B-16", vision.n_heads = 11, TW_ERR_MISMATCH);
    breaks("ViT-B-16", vision.head_width = 0, TW_ERR_MISMATCH);
    breaks("ViT-B-16", vision.activation = TW_RELU, TW_ERR_MISMATCH);
    breaks("ViT-B-16", vision.norm_eps = 0, TW_ERR_LIMIT);
    breaks("ViT-B-16", embed_dim = 0, TW_ERR_LIMIT);
    breaks("RN50", vision.width = 63, TW_ERR_MISMATCH);
    breaks("RN50", vision.image_size = 225, TW_ERR_MISMATCH);
    breaks("RN50", vision.stages[2] = 0, TW_ERR_LIMIT);
    breaks("RN50", vision.stages[2] = 250, TW_ERR_LIMIT);
    breaks("RN50", vision.n_heads = 12, TW_ERR_MISMATCH);
    breaks("RN50", vision.activation = TW_GELU_ERF, TW_ERR_MISMATCH);
    breaks("RN50", text.n_heads = 0, TW_ERR_MISMATCH);
    breaks("RN50", text.n_heads = 7, TW_ERR_MISMATCH);
    breaks("RN50", text.vocab_size = 2000000, TW_ERR_LIMIT);
    breaks("RN50", text.n_positions = 1, TW_ERR_LIMIT);
    breaks("RN50", text.context_length = 513, TW_ERR_LIMIT);
    breaks("RN50", text.activation = TW_RELU, TW_ERR_MISMATCH);
    tw_arch none = {.struct_size = sizeof none, .embed_dim = 512};
    assert_fails(tw_arch_check(&none, &err), TW_ERR_ARGUMENT, &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_released_image_tower_brings_its_text_tower),
        cmocka_unit_test(vit_h_has_16_heads_of_80),
        cmocka_unit_test(an_unknown_name_is_answered_with_the_known_ones),
        cmocka_unit_test(a_size_off_the_released_ones_gets_a_made_up_name),
        cmocka_unit_test(head_widths_come_from_a_table),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
