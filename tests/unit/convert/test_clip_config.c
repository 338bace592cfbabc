/* open_clip's configuration files. */
#include "support.h"

#include "convert/clip_config.h"
#include "model/arch.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

static tw_clip_config parsed(const char *json) {
    tw_clip_config c;
    bool found;
    assert_ok(tw_clip_config_parse(json, strlen(json), &c, &found, &err), &err);
    assert_true(found);
    return c;
}

static void refused(const char *json, tw_status expected, const char *part) {
    tw_clip_config c;
    bool found;
    assert_fails(tw_clip_config_parse(json, strlen(json), &c, &found, &err), expected, &err);
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
}

static void reads_a_released_file(void **state) {
    (void)state;
    tw_clip_config c;
    bool found;
    const char *path = test_data("checkpoints/tiny_openclip_gelu/open_clip_config.json");
    assert_ok(tw_clip_config_load(path, &c, &found, &err), &err);
    assert_true(found && c.has_recipe);
    assert_int_equal(c.embed_dim, 40);
    assert_int_equal(c.vision.n_heads, 2);
    assert_int_equal(c.vision.mlp_width, 349);
    assert_int_equal(c.text.n_positions, 20);
    assert_int_equal(c.vision.activation, TW_GELU_ERF);
    assert_int_equal(c.text.activation, TW_GELU_ERF);
    assert_int_equal(c.recipe.resize_mode, TW_RESIZE_SHORTEST);
    assert_int_equal(c.recipe.size, 0);
}

static void missing_settings_have_open_clip_s_defaults(void **state) {
    (void)state;
    tw_clip_config c =
        parsed("{\"embed_dim\":512,\"quick_gelu\":true,\"vision_cfg\":{},\"text_cfg\":{}}");
    assert_false(c.has_recipe);
    assert_int_equal(c.vision.activation, TW_QUICK_GELU);
    assert_int_equal(c.vision.n_layers, 12);
    assert_int_equal(c.vision.width, 768);
    assert_int_equal(c.vision.patch_size, 16);
    assert_int_equal(c.vision.head_width, 64);
    assert_int_equal(c.vision.mlp_width, 3072);
    assert_int_equal(c.text.vocab_size, 49408);
    assert_int_equal(c.text.n_positions, 77);
    assert_int_equal(c.text.width, 512);
    assert_int_equal(c.text.n_heads, 8);
    assert_int_equal(c.text.activation, TW_QUICK_GELU);
}

static void mlp_widths_are_cut_like_python_s_int(void **state) {
    (void)state;
    tw_clip_config c =
        parsed("{\"embed_dim\":1024,\"vision_cfg\":{\"width\":1408,\"head_width\":88,"
               "\"mlp_ratio\":4.3637},\"text_cfg\":{}}");
    assert_int_equal(c.vision.mlp_width, 6144);
    c = parsed("{\"embed_dim\":1280,\"vision_cfg\":{\"width\":1664,\"head_width\":104,"
               "\"mlp_ratio\":4.9231},\"text_cfg\":{}}");
    assert_int_equal(c.vision.mlp_width, 8192);
}

static void a_resnet_has_four_stages(void **state) {
    (void)state;
    tw_clip_config c =
        parsed("{\"embed_dim\":512,\"vision_cfg\":{\"layers\":[3,4,23,3],\"width\":64,"
               "\"patch_size\":null},\"text_cfg\":{}}");
    assert_int_equal(c.vision.kind, TW_VISION_RESNET);
    assert_int_equal(c.vision.stages[2], 23);
    assert_int_equal(c.vision.n_heads, 32);
    assert_int_equal(c.vision.activation, TW_RELU);
    refused("{\"embed_dim\":512,\"vision_cfg\":{\"layers\":[3,4,23]},\"text_cfg\":{}}",
            TW_ERR_FORMAT, "four integers");
}

static void the_recipe_is_read(void **state) {
    (void)state;
    tw_clip_config c = parsed(
        "{\"model_cfg\":{\"embed_dim\":1,\"vision_cfg\":{},\"text_cfg\":{}},\"preprocess_cfg\":"
        "{\"mean\":[0.5,0.25,0.125],\"std\":0.5,\"resize_mode\":\"squash\",\"interpolation\":"
        "\"bilinear\"}}");
    assert_true(c.recipe.mean[1] == 0.25f && c.recipe.std[2] == 0.5f);
    assert_int_equal(c.recipe.resize_mode, TW_RESIZE_SQUASH);
    assert_int_equal(c.recipe.interpolation, TW_BILINEAR);
#define RECIPE(r)                                                                                  \
    "{\"model_cfg\":{\"embed_dim\":1,\"vision_cfg\":{},\"text_cfg\":{}},\"preprocess_cfg\":{" r "}}"
    refused(RECIPE("\"std\":[1,1]"), TW_ERR_FORMAT, "'std': expected three numbers");
    refused(RECIPE("\"std\":[1,1,0]"), TW_ERR_FORMAT, "three positive numbers");
    refused(RECIPE("\"mean\":\"x\""), TW_ERR_FORMAT, "'mean'");
    refused(RECIPE("\"resize_mode\":\"fit\""), TW_ERR_UNSUPPORTED, "resize_mode 'fit'");
}

static void settings_that_change_the_network_are_refused(void **state) {
    (void)state;
    refused("{\"embed_dim\":1,\"vision_cfg\":{\"pool_type\":\"avg\"},\"text_cfg\":{}}",
            TW_ERR_UNSUPPORTED, "vision_cfg.pool_type is a setting this version does not know");
    refused("{\"embed_dim\":1,\"vision_cfg\":{},\"text_cfg\":{\"no_causal_mask\":true}}",
            TW_ERR_UNSUPPORTED, "text_cfg.no_causal_mask");
    refused("{\"embed_dim\":1,\"output_dict\":true,\"vision_cfg\":{},\"text_cfg\":{}}",
            TW_ERR_UNSUPPORTED, "model_cfg.output_dict");
    parsed("{\"embed_dim\":1,\"vision_cfg\":{\"attentional_pool\":false},\"text_cfg\":{}}");
}

static void other_models_of_open_clip_are_called_by_name(void **state) {
    (void)state;
    refused("{\"embed_dim\":1,\"init_logit_bias\":-10,\"vision_cfg\":{\"timm_model_name\":\"v\"},"
            "\"text_cfg\":{}}",
            TW_ERR_UNSUPPORTED, "model_cfg.init_logit_bias: this is SigLIP, which is not read");
    refused("{\"embed_dim\":1,\"multimodal_cfg\":{},\"vision_cfg\":{},\"text_cfg\":{}}",
            TW_ERR_UNSUPPORTED, "CoCa");
    refused("{\"embed_dim\":1,\"vision_cfg\":{\"timm_model_name\":\"convnext\"},\"text_cfg\":{}}",
            TW_ERR_UNSUPPORTED,
            "vision_cfg.timm_model_name 'convnext': this is a model with an image tower of timm");
    refused("{\"embed_dim\":1,\"vision_cfg\":{},\"text_cfg\":{\"hf_model_name\":\"x\"}}",
            TW_ERR_UNSUPPORTED, "text_cfg.hf_model_name 'x': this is a model with a text tower");
}

/* Every configuration of open_clip is understood, or refused with the reason. */
static const struct refusal {
    const char *pattern, *reason;
} refusals[] = {
    {"*SigLIP*", "SigLIP"},
    {"*CLIPA*", "CLIPA"},
    {"*worldwide*", "another tokenizer than CLIP's"},
    {"*roberta-*", "text tower of Hugging Face"},
    {"ViT-M-16-alt.json", "layer scale"},
};

static void check_released(const char *folder, const char *file) {
    char path[1400];
    tw_clip_config c;
    bool found;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    tw_status status = tw_clip_config_load(path, &c, &found, &err);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (fnmatch(refusals[i].pattern, file, 0) == 0) {
            assert_int_equal(status, TW_ERR_UNSUPPORTED);
            if (!strstr(err.message, refusals[i].reason)) fail_msg("%s", err.message);
            return;
        }
    if (status != TW_OK) fail_msg("%s", err.message);
    bool quick = strstr(file, "quickgelu") != NULL, resnet = strncmp(file, "RN", 2) == 0;
    assert_int_equal(c.text.activation, quick ? TW_QUICK_GELU : TW_GELU_ERF);
    assert_int_equal(c.vision.kind, resnet ? TW_VISION_RESNET : TW_VISION_VIT);
    tw_arch arch = {.struct_size = sizeof arch, .embed_dim = c.embed_dim};
    arch.vision = c.vision;
    arch.text = c.text;
    assert_ok(tw_arch_check(&arch, &err), &err);
}

static void open_clip_s_own_files_are_read_or_refused_by_name(void **state) {
    (void)state;
    char folder[1024];
    int n = 0;
    const char *shared = getenv("TUWEN_SHARED");
    snprintf(folder, sizeof folder, "%s/data/open_clip/model_configs",
             shared ? shared : TEST_SOURCE_DIR "/../shared");
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("data not present: open_clip/model_configs\n");
        skip();
        return;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strstr(e->d_name, ".json")) {
            check_released(folder, e->d_name);
            n++;
        }
    closedir(dir);
    assert_true(n > 60);
}

static void hugging_face_s_defaults_are_those_of_its_classes(void **state) {
    (void)state;
    tw_clip_config c = parsed("{\"model_type\":\"clip\"}");
    assert_int_equal(c.embed_dim, 512);
    assert_int_equal(c.vision.patch_size, 32);
    assert_int_equal(c.vision.head_width, 64);
    assert_int_equal(c.text.vocab_size, 49408);
    assert_int_equal(c.text.n_heads, 8);
    assert_int_equal(c.vision.activation, TW_QUICK_GELU);
    assert_int_equal(c.text.activation, TW_QUICK_GELU);
    c = parsed(
        "{\"model_type\":\"clip\",\"projection_dim\":1024,\"vision_config\":{\"hidden_size\":"
        "1280,\"num_attention_heads\":16,\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-6}}");
    assert_int_equal(c.embed_dim, 1024);
    assert_int_equal(c.vision.head_width, 80);
    assert_int_equal(c.vision.activation, TW_GELU_ERF);
    assert_int_equal(c.text.activation, TW_QUICK_GELU);
    assert_true(c.vision.norm_eps == 1e-6f && c.text.norm_eps == 1e-5f);
    refused("{\"model_type\":\"clip\",\"text_config\":{\"eos_token_id\":7}}", TW_ERR_UNSUPPORTED,
            "eos_token_id 7");
    refused("{\"model_type\":\"clip\",\"vision_config\":{\"layer_norm_eps\":0}}", TW_ERR_FORMAT,
            "vision_config.layer_norm_eps");
    refused("{\"model_type\":\"clip\",\"text_config\":{\"hidden_act\":\"silu\"}}",
            TW_ERR_UNSUPPORTED, "text_config.hidden_act 'silu'");
    refused("{\"model_type\":\"clip\",\"vision_config\":[]}", TW_ERR_FORMAT, "vision_config");
}

static void an_image_size_may_be_two_equal_numbers(void **state) {
    (void)state;
    assert_int_equal(
        parsed("{\"model_type\":\"clip\",\"vision_config\":{\"image_size\":[336,336]}}")
            .vision.image_size,
        336);
    assert_int_equal(parsed("{\"embed_dim\":8,\"vision_cfg\":{\"image_size\":[240,240]},"
                            "\"text_cfg\":{}}")
                         .vision.image_size,
                     240);
    refused("{\"embed_dim\":8,\"vision_cfg\":{\"image_size\":[240,320]},\"text_cfg\":{}}",
            TW_ERR_UNSUPPORTED, "image_size is 240 x 320, only squares");
    refused("{\"model_type\":\"clip\",\"vision_config\":{\"image_size\":[]}}", TW_ERR_FORMAT,
            "key 'image_size'");
}

/* text_config_dict with the class's defaults for what it lacks replaces text_config. */
static void an_old_dictionary_replaces_the_settings(void **state) {
    (void)state;
    tw_clip_config c = parsed("{\"model_type\":\"clip\",\"text_config\":{\"hidden_size\":64,"
                              "\"hidden_act\":\"quick_gelu\"},\"text_config_dict\":{\"hidden_act\":"
                              "\"gelu\"}}");
    assert_int_equal(c.text.activation, TW_GELU_ERF);
    assert_int_equal(c.text.width, 512);
    c = parsed("{\"model_type\":\"chinese_clip\",\"vision_config\":{\"patch_size\":16},"
               "\"vision_config_dict\":null}");
    assert_int_equal(c.vision.patch_size, 16);
}

static void chinese_clip_has_defaults_of_its_own(void **state) {
    (void)state;
    /* What the released ViT-B-16 says. */
    tw_clip_config c = parsed("{\"model_type\":\"chinese_clip\",\"projection_dim\":512,"
                              "\"text_config\":{\"vocab_size\":21128,\"eos_token_id\":2},"
                              "\"vision_config\":{\"patch_size\":16,\"dropout\":0.0}}");
    assert_int_equal(c.embed_dim, 512);
    assert_int_equal(c.vision.kind, TW_VISION_VIT);
    assert_int_equal(c.vision.width, 768);
    assert_int_equal(c.vision.head_width, 64);
    assert_int_equal(c.vision.activation, TW_QUICK_GELU);
    assert_int_equal(c.text.kind, TW_TEXT_BERT);
    assert_int_equal(c.text.vocab_size, 21128);
    assert_int_equal(c.text.n_heads, 12);
    assert_int_equal(c.text.n_positions, 512);
    assert_int_equal(c.text.n_token_types, 2);
    assert_int_equal(c.text.activation, TW_GELU_ERF);
    assert_true(c.text.norm_eps == 1e-12f);
    c = parsed("{\"model_type\":\"chinese_clip\"}");
    assert_int_equal(c.text.vocab_size, 30522);
    assert_int_equal(c.vision.patch_size, 32);
    c = parsed("{\"model_type\":\"chinese_clip\",\"text_config\":{\"hidden_act\":\"quick_gelu\"}}");
    assert_int_equal(c.text.activation, TW_QUICK_GELU);
    refused("{\"model_type\":\"chinese_clip\",\"text_config\":{\"position_embedding_type\":"
            "\"relative_key\"}}",
            TW_ERR_UNSUPPORTED, "relative_key");
}

static void nonsense_is_refused(void **state) {
    (void)state;
    refused("{\"vision_cfg\":{},\"text_cfg\":{}}", TW_ERR_FORMAT, "'model_cfg.embed_dim'");
    refused("{\"embed_dim\":1,\"vision_cfg\":{}}", TW_ERR_FORMAT, "two objects");
    refused("{\"embed_dim\":1,\"vision_cfg\":{\"width\":-1},\"text_cfg\":{}}", TW_ERR_FORMAT,
            "width");
    refused("{\"embed_dim\":1,\"vision_cfg\":{\"mlp_ratio\":1e9},\"text_cfg\":{}}", TW_ERR_FORMAT,
            "mlp_ratio");
    refused("{\"embed_dim\":1,\"vision_cfg\":{\"head_width\":65},\"text_cfg\":{}}", TW_ERR_MISMATCH,
            "does not divide");
    refused("{\"embed_dim\":1,\"quick_gelu\":1,\"vision_cfg\":{},\"text_cfg\":{}}", TW_ERR_FORMAT,
            "quick_gelu");
    tw_clip_config c;
    bool found = true;
    assert_ok(tw_clip_config_parse("{\"vision_width\":1}", 18, &c, &found, &err), &err);
    assert_false(found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_released_file),
        cmocka_unit_test(missing_settings_have_open_clip_s_defaults),
        cmocka_unit_test(mlp_widths_are_cut_like_python_s_int),
        cmocka_unit_test(a_resnet_has_four_stages),
        cmocka_unit_test(the_recipe_is_read),
        cmocka_unit_test(settings_that_change_the_network_are_refused),
        cmocka_unit_test(other_models_of_open_clip_are_called_by_name),
        cmocka_unit_test(open_clip_s_own_files_are_read_or_refused_by_name),
        cmocka_unit_test(hugging_face_s_defaults_are_those_of_its_classes),
        cmocka_unit_test(an_image_size_may_be_two_equal_numbers),
        cmocka_unit_test(an_old_dictionary_replaces_the_settings),
        cmocka_unit_test(chinese_clip_has_defaults_of_its_own),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
