#include "support.h"

#include "convert/config.h"

#include <stdio.h>
#include <string.h>

static tw_error err;

static tw_status vision(const char *json, tw_vision_config *v, int32_t *embed_dim) {
    return tw_vision_config_parse(json, strlen(json), v, embed_dim, &err);
}

static tw_status text(const char *json, tw_text_config *t) {
    return tw_text_config_parse(json, strlen(json), t, &err);
}

static void a_vit_configuration_is_read(void **state) {
    tw_vision_config v;
    int32_t embed_dim;
    assert_ok(
        vision("{\"embed_dim\": 1024, \"image_resolution\": 224, \"vision_layers\": 32,"
               " \"vision_width\": 1280, \"vision_head_width\": 80, \"vision_patch_size\": 14}",
               &v, &embed_dim),
        &err);
    assert_int_equal(embed_dim, 1024);
    assert_int_equal(v.kind, TW_VISION_VIT);
    assert_int_equal(v.n_layers, 32);
    assert_int_equal(v.n_heads, 16);
    assert_int_equal(v.mlp_width, 5120);
    assert_int_equal(v.activation, TW_QUICK_GELU);
    assert_ok(vision("{\"embed_dim\": 512, \"image_resolution\": 224, \"vision_layers\": 12,"
                     " \"vision_width\": 768, \"vision_patch_size\": 16}",
                     &v, &embed_dim),
              &err);
    assert_int_equal(v.head_width, 64);
}

static void resnet_stages_may_be_a_string_or_an_array(void **state) {
    static const char *const layers[] = {"\"[3,4,6,3]\"", "[3, 4, 6, 3]", "\" [3, 4,6, 3] \""};
    for (int i = 0; i < 3; i++) {
        char json[256];
        tw_vision_config v;
        int32_t embed_dim;
        snprintf(json, sizeof json,
                 "{\"embed_dim\": 1024, \"image_resolution\": 224, \"vision_layers\": %s,"
                 " \"vision_width\": 64, \"vision_patch_size\": null}",
                 layers[i]);
        assert_ok(vision(json, &v, &embed_dim), &err);
        assert_int_equal(v.kind, TW_VISION_RESNET);
        assert_int_equal(v.stages[2], 6);
        assert_int_equal(v.n_heads, 32);
        assert_int_equal(v.activation, TW_RELU);
    }
}

static void wrong_vision_configurations_name_the_key(void **state) {
    static const struct {
        const char *json, *part;
        tw_status status;
    } cases[] = {
        {"[]", "vision_width", TW_ERR_FORMAT},
        {"{\"model_type\": \"chinese_clip\"}", "Hugging Face", TW_ERR_FORMAT},
        {"{\"vision_width\": 64}", "'embed_dim' is missing", TW_ERR_FORMAT},
        {"{\"vision_width\": 64, \"embed_dim\": 0}", "embed_dim", TW_ERR_FORMAT},
        {"{\"vision_width\": 64, \"embed_dim\": \"x\"}", "embed_dim", TW_ERR_FORMAT},
        {"{\"vision_width\": 64, \"embed_dim\": 1, \"image_resolution\": 8,"
         " \"vision_layers\": \"exit()\"}",
         "vision_layers", TW_ERR_FORMAT},
        {"{\"vision_width\": 64, \"embed_dim\": 1, \"image_resolution\": 8,"
         " \"vision_layers\": [1, 2, 3]}",
         "four integers", TW_ERR_FORMAT},
        {"{\"vision_width\": 64, \"embed_dim\": 1, \"image_resolution\": 8,"
         " \"vision_layers\": [1, 2, 3, -4]}",
         "four integers", TW_ERR_FORMAT},
        {"{\"vision_width\": 64, \"embed_dim\": 1, \"image_resolution\": 8,"
         " \"vision_layers\": 1, \"vision_patch_size\": null}",
         "vision_patch_size", TW_ERR_FORMAT},
        {"{\"vision_width\": 100, \"embed_dim\": 1, \"image_resolution\": 8,"
         " \"vision_layers\": 1, \"vision_patch_size\": 4}",
         "64 does not divide", TW_ERR_MISMATCH},
    };
    tw_vision_config v;
    int32_t embed_dim;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(vision(cases[i].json, &v, &embed_dim), cases[i].status, &err);
        if (!strstr(err.message, cases[i].part)) fail_msg("'%s': %s", err.message, cases[i].part);
    }
}

#define BERT                                                                                       \
    "\"vocab_size\": 21128, \"text_hidden_size\": 768, \"text_num_hidden_layers\": 3,"             \
    "\"text_intermediate_size\": 3072, \"text_max_position_embeddings\": 512,"                     \
    "\"text_type_vocab_size\": 2"

static void a_text_configuration_is_read(void **state) {
    tw_text_config t;
    assert_ok(
        text("{" BERT ", \"text_num_attention_heads\": 12, \"text_hidden_act\": \"gelu\"}", &t),
        &err);
    assert_int_equal(t.width, 768);
    assert_int_equal(t.n_heads, 12);
    assert_int_equal(t.n_positions, 512);
    assert_int_equal(t.activation, TW_GELU_ERF);
    assert_fails(text("{" BERT ", \"text_num_attention_heads\": 7}", &t), TW_ERR_MISMATCH, &err);
    assert_fails(text("{" BERT "}", &t), TW_ERR_FORMAT, &err);
    assert_fails(
        text("{" BERT ", \"text_num_attention_heads\": 12, \"text_hidden_act\": \"relu\"}", &t),
        TW_ERR_UNSUPPORTED, &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vit_configuration_is_read),
        cmocka_unit_test(resnet_stages_may_be_a_string_or_an_array),
        cmocka_unit_test(wrong_vision_configurations_name_the_key),
        cmocka_unit_test(a_text_configuration_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
