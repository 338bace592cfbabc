/* Files of Hugging Face's folders beside the weights: image processors, tokenizers. */
#include "support.h"

#include "convert/hf_recipe.h"
#include "convert/hf_tokenizer.h"
#include "convert/hf_tokenizer_json.h"

#include <stdio.h>
#include <string.h>

static tw_error err;

static tw_recipe parsed(const char *json) {
    tw_recipe r;
    bool found;
    assert_ok(tw_hf_recipe_parse(json, strlen(json), &r, &found, &err), &err);
    assert_true(found);
    assert_int_equal(r.rgb_order, TW_RGB_FIRST);
    assert_int_equal(r.crop_rounding, TW_CROP_FLOOR);
    return r;
}

static void refused(const char *json, tw_status expected, const char *part) {
    tw_recipe r;
    bool found;
    assert_fails(tw_hf_recipe_parse(json, strlen(json), &r, &found, &err), expected, &err);
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
}

static void missing_settings_have_the_classes_defaults(void **state) {
    (void)state;
    tw_recipe r = parsed("{}"), openai;
    assert_ok(tw_recipe_by_name("hf", 224, &openai, &err), &err);
    assert_recipe_equal(&r, &openai);
}

static void a_released_file_is_read(void **state) {
    (void)state;
    tw_recipe r;
    bool found;
    const char *path = test_data("checkpoints/tiny_cn_vit/hf/preprocessor_config.json");
    assert_ok(tw_hf_recipe_load(path, &r, &found, &err), &err);
    assert_true(found);
    assert_int_equal(r.resize_mode, TW_RESIZE_SQUASH);
    assert_int_equal(r.size, 32);
    assert_int_equal(r.interpolation, TW_BICUBIC);
    assert_true(r.mean[0] == 0.48145466f && r.std[2] == 0.27577711f);
}

static void sizes_are_spelled_in_several_ways(void **state) {
    (void)state;
    static const struct spelling {
        const char *json;
        tw_resize_mode mode;
        int32_t size;
    } spellings[] = {
        {"{\"size\":336,\"crop_size\":336}", TW_RESIZE_SHORTEST, 336},
        {"{\"size\":{\"shortest_edge\":32},\"crop_size\":{\"height\":32,\"width\":32}}",
         TW_RESIZE_SHORTEST, 32},
        {"{\"size\":{\"height\":48,\"width\":48},\"do_center_crop\":false}", TW_RESIZE_SQUASH, 48},
        {"{\"size\":{\"height\":224,\"width\":224}}", TW_RESIZE_SQUASH, 224},
        {"{\"size\":[48,48],\"crop_size\":[48,48]}", TW_RESIZE_SQUASH, 48},
        {"{\"size\":{\"height\":48,\"width\":48},\"crop_size\":48}", TW_RESIZE_SQUASH, 48},
        {"{\"processor_class\":\"CLIPProcessor\",\"image_processor\":{\"size\":224}}",
         TW_RESIZE_SHORTEST, 224},
    };
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        tw_recipe r = parsed(spellings[i].json);
        assert_int_equal(r.resize_mode, spellings[i].mode);
        assert_int_equal(r.size, spellings[i].size);
    }
}

static void the_other_settings_are_read(void **state) {
    (void)state;
    tw_recipe r = parsed("{\"resample\":2,\"image_mean\":[0.5,0.25,0.125],\"image_std\":0.5,"
                         "\"rescale_factor\":0.00392156862745098,\"feature_extractor_type\":"
                         "\"CLIPFeatureExtractor\",\"image_processor_type\":"
                         "\"ChineseCLIPImageProcessorFast\",\"do_convert_rgb\":null}");
    assert_int_equal(r.interpolation, TW_BILINEAR);
    assert_true(r.mean[1] == 0.25f && r.std[0] == 0.5f);
    r = parsed("{\"do_normalize\":false,\"image_mean\":[0.5,0.25,0.125]}");
    assert_true(r.mean[0] == 0 && r.std[2] == 1);
}

static void what_a_recipe_cannot_say_is_refused_by_name(void **state) {
    (void)state;
    refused("{\"resample\":0}", TW_ERR_UNSUPPORTED, "resample 0 is nearest");
    refused("{\"resample\":1}", TW_ERR_UNSUPPORTED, "lanczos");
    refused("{\"resample\":5}", TW_ERR_UNSUPPORTED, "hamming");
    refused("{\"resample\":9}", TW_ERR_FORMAT, "resample");
    refused("{\"size\":256}", TW_ERR_UNSUPPORTED, "size 256, then crop_size 224");
    refused("{\"do_center_crop\":false}", TW_ERR_UNSUPPORTED, "do_center_crop is false");
    refused("{\"size\":{\"height\":224,\"width\":192}}", TW_ERR_UNSUPPORTED, "224 x 192");
    refused("{\"size\":[224,192]}", TW_ERR_UNSUPPORTED, "224 x 192, only squares");
    refused("{\"size\":[224]}", TW_ERR_FORMAT, "or two, height and width");
    refused("{\"crop_size\":[224,\"a\"]}", TW_ERR_FORMAT, "key 'crop_size'");
    refused("{\"size\":{\"height\":224}}", TW_ERR_FORMAT, "both height and width");
    refused("{\"size\":{\"shortest_edge\":224,\"longest_edge\":400}}", TW_ERR_UNSUPPORTED,
            "shortest_edge alone");
    refused("{\"size\":{}}", TW_ERR_UNSUPPORTED, "size");
    refused("{\"size\":\"big\"}", TW_ERR_FORMAT, "size");
    refused("{\"do_resize\":false}", TW_ERR_UNSUPPORTED, "do_resize is false");
    refused("{\"do_rescale\":false}", TW_ERR_UNSUPPORTED, "do_rescale is false");
    refused("{\"rescale_factor\":0.5}", TW_ERR_UNSUPPORTED, "rescale_factor");
    refused("{\"do_convert_rgb\":false}", TW_ERR_UNSUPPORTED, "do_convert_rgb is false");
    refused("{\"do_pad\":true}", TW_ERR_UNSUPPORTED, "do_pad is true");
    refused("{\"do_pad\":1}", TW_ERR_FORMAT, "do_pad");
    refused("{\"image_std\":[1,1,0]}", TW_ERR_FORMAT, "image_std");
    refused("{\"image_mean\":[1,1]}", TW_ERR_FORMAT, "image_mean");
    refused("{\"image_processor_type\":\"SiglipImageProcessor\"}", TW_ERR_UNSUPPORTED, "Siglip");
    refused("[]", TW_ERR_FORMAT, "object");
    refused("{\"image_processor\":7}", TW_ERR_FORMAT, "object");
}

static void a_processor_without_images_says_nothing(void **state) {
    (void)state;
    tw_recipe r;
    bool found = true;
    const char *json = "{\"processor_class\":\"CLIPProcessor\"}";
    assert_ok(tw_hf_recipe_parse(json, strlen(json), &r, &found, &err), &err);
    assert_false(found);
}

static void a_tokenizer_must_be_ours(void **state) {
    (void)state;
    static const char good[] = "{\"do_lower_case\":true,\"strip_accents\":null,\"never_split\":[],"
                               "\"tokenize_chinese_chars\":true,\"do_basic_tokenize\":true}";
    assert_ok(tw_hf_tokenizer_check(good, strlen(good), &err), &err);
    assert_ok(tw_hf_tokenizer_check("{}", 2, &err), &err);
    static const char *const bad[] = {"do_lower_case", "strip_accents", "tokenize_chinese_chars",
                                      "do_basic_tokenize"};
    for (int i = 0; i < 4; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"%s\":false}", bad[i]);
        assert_fails(tw_hf_tokenizer_check(json, strlen(json), &err), TW_ERR_UNSUPPORTED, &err);
        assert_non_null(strstr(err.message, bad[i]));
    }
    assert_fails(tw_hf_tokenizer_check("{\"never_split\":[\"a\"]}", 21, &err), TW_ERR_UNSUPPORTED,
                 &err);
}

static void ids_must_be_those_of_the_merges(void **state) {
    (void)state;
    tw_tokenizer *t;
    static const char good[] = "{\"ab</w>\":512,\"a\":64,\"<|startoftext|>\":513,\"<x>\":514}",
                      swapped[] = "{\"ab</w>\":511}", outside[] = "{\"ab</w>\":515}";
    assert_ok(tw_tokenizer_bpe("#\na b</w>\n", 10, TW_BPE_OPENAI, &t, &err), &err);
    assert_ok(tw_hf_vocabulary_agrees(good, strlen(good), t, &err), &err);
    assert_fails(tw_hf_vocabulary_agrees(swapped, strlen(swapped), t, &err), TW_ERR_MISMATCH, &err);
    assert_fails(tw_hf_vocabulary_agrees(outside, strlen(outside), t, &err), TW_ERR_MISMATCH, &err);
    tw_tokenizer_free(t);
}

/* What a vocab.txt or merges.txt would hold, or the part of a message. */
static void lines_of(const char *json, bool byte_pairs, const char *expected) {
    tw_buffer lines = {0};
    assert_ok(tw_hf_tokenizer_json(json, strlen(json), byte_pairs, &lines, &err), &err);
    assert_string_equal(lines.data, expected);
    tw_buffer_free(&lines);
}

static void no_lines_of(const char *json, bool byte_pairs, tw_status expected, const char *part) {
    tw_buffer lines = {0};
    assert_fails(tw_hf_tokenizer_json(json, strlen(json), byte_pairs, &lines, &err), expected,
                 &err);
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
    tw_buffer_free(&lines);
}

#define WORDPIECE(normalizer, vocab)                                                               \
    "{\"normalizer\":{\"type\":\"BertNormalizer\"" normalizer                                      \
    "},\"model\":{\"type\":\"WordPiece\",\"vocab\":" vocab "}}"
#define BPE(merges) "{\"model\":{\"type\":\"BPE\",\"merges\":" merges "}}"

static void a_tokenizer_json_has_the_lines_of_either_file(void **state) {
    (void)state;
    lines_of(BPE("[\"a b</w>\",[\"a\",\"b\"]]"), true, "#merges\na b</w>\na b\n");
    lines_of(WORDPIECE(",\"strip_accents\":null", "{\"b\":1,\"[PAD]\":0,\"##a\":2}"), false,
             "[PAD]\nb\n##a\n");
}

static void another_tokenizer_json_is_refused_by_the_setting(void **state) {
    (void)state;
    no_lines_of("{}", true, TW_ERR_FORMAT, "no object 'model'");
    no_lines_of(BPE("[]"), false, TW_ERR_UNSUPPORTED, "model.type is 'BPE', the text tower needs");
    no_lines_of("{\"model\":{\"type\":\"Unigram\"}}", true, TW_ERR_UNSUPPORTED, "'Unigram'");
    no_lines_of("{\"model\":{\"merges\":[],\"end_of_word_suffix\":\"\"}}", true, TW_ERR_UNSUPPORTED,
                "end_of_word_suffix is ''");
    no_lines_of(BPE("{}"), true, TW_ERR_FORMAT, "model.merges: expected a list");
    no_lines_of(BPE("[\"a b\",[\"a\"]]"), true, TW_ERR_FORMAT, "model.merges[1]");
    no_lines_of(BPE("[[\"a\",\"b c\"]]"), true, TW_ERR_FORMAT, "model.merges[0]");
    no_lines_of(BPE("[\"a\\nb\"]"), true, TW_ERR_FORMAT, "model.merges[0]");
    no_lines_of("{\"model\":{\"vocab\":{\"a\":0}}}", false, TW_ERR_UNSUPPORTED, "got none");
    no_lines_of(WORDPIECE(",\"lowercase\":false", "{\"a\":0}"), false, TW_ERR_UNSUPPORTED,
                "normalizer.lowercase");
    no_lines_of(WORDPIECE("", "{\"a\":0,\"b\":0}"), false, TW_ERR_FORMAT, "token 'b'");
    no_lines_of(WORDPIECE("", "{\"a\":0,\"b\":2}"), false, TW_ERR_FORMAT,
                "an id of its own below 2");
    no_lines_of(WORDPIECE("", "{\"a\\n\":0}"), false, TW_ERR_FORMAT, "token 0 has a line's end");
    no_lines_of(WORDPIECE("", "[]"), false, TW_ERR_FORMAT, "expected an object of tokens");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_settings_have_the_classes_defaults),
        cmocka_unit_test(a_released_file_is_read),
        cmocka_unit_test(sizes_are_spelled_in_several_ways),
        cmocka_unit_test(the_other_settings_are_read),
        cmocka_unit_test(what_a_recipe_cannot_say_is_refused_by_name),
        cmocka_unit_test(a_processor_without_images_says_nothing),
        cmocka_unit_test(a_tokenizer_must_be_ours),
        cmocka_unit_test(ids_must_be_those_of_the_merges),
        cmocka_unit_test(a_tokenizer_json_has_the_lines_of_either_file),
        cmocka_unit_test(another_tokenizer_json_is_refused_by_the_setting),
    };
    return cmocka_run_group_tests_name("hugging face files", tests, NULL, NULL);
}
