/* Folders as they are published: shards, and what stands beside the weights. */
#include "converted.h"
#include "shard_builder.h"

#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tw_error err;

#define HF "checkpoints/tiny_cn_vit/hf/"
#define OPEN_CLIP "checkpoints/tiny_openclip_gelu/"

static void copy(const char *name, const char *folder) {
    size_t n;
    uint8_t *bytes = test_read(test_data(name), &n);
    test_write(test_in(folder, strrchr(name, '/') + 1), bytes, n);
    free(bytes);
}

static void refuse(const char *folder, tw_status expected, const char *part) {
    const char *path = test_temporary(".gguf");
    assert_fails(tw_convert(folder, path, NULL, &err), expected, &err);
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
    assert_int_equal(access(path, F_OK), -1);
}

static void write_text(const char *folder, const char *name, const char *text) {
    test_write(test_in(folder, name), text, strlen(text));
}

/* -------------------------------------------------------------------------------------- shards */

static void shards_of_either_container_give_the_model_of_one_file(void **state) {
    (void)state;
    static void (*const splits[])(const char *, const char *) = {test_split, test_split_torch};
    tw_model *whole = test_converted(test_data(HF "model.safetensors"), NULL);
    for (int i = 0; i < 2; i++) {
        const char *folder = test_folder();
        splits[i](test_data(HF "model.safetensors"), folder);
        copy(HF "config.json", folder);
        copy(HF "preprocessor_config.json", folder);
        tw_model *m = test_converted(folder, NULL);
        assert_memory_equal(tw_model_arch(m), tw_model_arch(whole), sizeof(tw_arch));
        assert_recipe_equal(tw_model_recipe(m), tw_model_recipe(whole));
        test_same_weights(m, whole);
        tw_model_free(m);
    }
    tw_model_free(whole);
}

static void a_torch_shard_that_is_missing_or_cut_is_named(void **state) {
    (void)state;
    const char *folder = test_folder(), *second = "pytorch_model-00002-of-00002.bin";
    test_split_torch(test_data(HF "model.safetensors"), folder);
    copy(HF "config.json", folder);
    size_t n;
    uint8_t *bytes = test_read(test_in(folder, second), &n);
    test_write(test_in(folder, second), bytes, n / 2);
    free(bytes);
    refuse(folder, TW_ERR_FORMAT, second);
    unlink(test_in(folder, second));
    refuse(folder, TW_ERR_IO, second);
}

static void a_mismatch_is_told_in_the_words_of_config_json(void **state) {
    (void)state;
    const char *folder = test_folder();
    copy(HF "model.safetensors", folder);
    write_text(folder, "config.json",
               "{\"model_type\":\"chinese_clip\",\"projection_dim\":32,"
               "\"vision_config\":{\"hidden_size\":96}}");
    refuse(folder, TW_ERR_MISMATCH,
           "vision_config.hidden_size: the configuration says 96, the checkpoint has 64");
}

/* --------------------------------------------------------------------------------- byte pairs */

enum { N_MERGES = 600 - 512 - 2 };

/* The merges of a tokenizer of 600: "ab" as a word, then pairs of letters. */
static const char *merge(int i, char out[16]) {
    snprintf(out, 16, i ? "%c %c" : "a b</w>", 'a' + i / 26, 'a' + i % 26);
    return out;
}

static const char *open_clip_folder(void) {
    const char *folder = test_folder();
    copy(OPEN_CLIP "open_clip_model.safetensors", folder);
    copy(OPEN_CLIP "open_clip_config.json", folder);
    return folder;
}

static void write_merges(const char *folder, int n) {
    tw_buffer b = {0};
    char pair[16];
    tw_buffer_puts(&b, "#version: 0.2\n");
    for (int i = 0; i < n; i++)
        tw_buffer_printf(&b, "%s\n", merge(i, pair));
    test_write(test_in(folder, "merges.txt"), b.data, b.n_bytes);
    tw_buffer_free(&b);
}

/* As the library writes it: pairs as lists, the vocabulary beside them. */
static void write_tokenizer_json(const char *folder, int id_of_ab) {
    tw_buffer b = {0};
    char pair[16];
    tw_buffer_printf(&b,
                     "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":"
                     "{\"ab</w>\":%d},\"merges\":[",
                     id_of_ab);
    for (int i = 0; i < N_MERGES; i++) {
        char *space = strchr(merge(i, pair), ' ');
        *space = '\0';
        tw_buffer_printf(&b, "%s[\"%s\",\"%s\"]", i ? "," : "", pair, space + 1);
    }
    tw_buffer_puts(&b, "]}}");
    test_write(test_in(folder, "tokenizer.json"), b.data, b.n_bytes);
    tw_buffer_free(&b);
}

static void check_byte_pairs(const char *folder) {
    tw_model *m = test_converted(folder, NULL);
    const tw_tokenizer *t = tw_model_tokenizer(m);
    assert_non_null(t);
    assert_int_equal(tw_tokenizer_vocab_size(t), 600);
    tw_text_options how = TW_TEXT_OPTIONS_INIT;
    int32_t ids[20], n;
    how.context_length = 20;
    assert_ok(tw_tokenize(t, "AB  ac", 6, &how, ids, &n, NULL, &err), &err);
    assert_int_equal(n, 5); /* start, ab, a, c at a word's end, end */
    assert_int_equal(ids[1], 512);
    assert_string_equal(tw_tokenizer_token(t, ids[3]), "c</w>");
    tw_model_free(m);
}

static void merges_beside_the_weights_make_the_tokenizer(void **state) {
    (void)state;
    const char *folder = open_clip_folder();
    write_merges(folder, N_MERGES);
    check_byte_pairs(folder);
    write_text(folder, "vocab.json", "{\"ab</w>\":512}");
    check_byte_pairs(folder);
    write_text(folder, "vocab.json", "{\"ab</w>\":513}");
    refuse(folder, TW_ERR_MISMATCH, "vocab.json: id 513 is 'ab</w>', by the merges it is");
    unlink(test_in(folder, "vocab.json"));
    write_merges(folder, N_MERGES - 1);
    refuse(folder, TW_ERR_MISMATCH, "merges.txt makes 599 tokens, the text tower has 600");
}

static void a_tokenizer_json_does_where_there_are_no_merges(void **state) {
    (void)state;
    const char *folder = open_clip_folder();
    write_tokenizer_json(folder, 512);
    check_byte_pairs(folder);
    write_tokenizer_json(folder, 513);
    refuse(folder, TW_ERR_MISMATCH, "tokenizer.json: id 513 is 'ab</w>', by the merges it is");
    write_merges(folder, N_MERGES);
    write_tokenizer_json(folder, 512);
    check_byte_pairs(folder);
    write_text(folder, "tokenizer.json", "{\"model\":1}");
    unlink(test_in(folder, "merges.txt"));
    refuse(folder, TW_ERR_FORMAT, "tokenizer.json: expected a tokenizer.json: no object 'model'");
}

/* ----------------------------------------------------------------------------------- WordPiece */

/* Chinese-CLIP's vocabulary with two entries changed, as tokenizer.json, in reverse. */
static void write_wordpiece(const char *folder, int n_left_out) {
    static const char head[] = "{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true,"
                               "\"strip_accents\":null},\"model\":{\"type\":\"WordPiece\","
                               "\"vocab\":{";
    enum { N = 21128 };
    size_t n_bytes;
    char *text = (char *)test_read(TEST_SOURCE_DIR "/data/chinese_clip/vocab.txt", &n_bytes);
    static char *lines[N];
    for (int i = 0; i < N; i++, text = NULL)
        lines[i] = i ? lines[i - 1] + strlen(lines[i - 1]) + 1 : text, *strchr(lines[i], '\n') = 0;
    tw_buffer b = {0};
    tw_buffer_puts(&b, head);
    for (int i = N - 1 - n_left_out; i >= 0; i--) {
        const char *token = i == 1 ? "picture" : i == 21000 ? "[unused1]" : lines[i];
        tw_buffer_json_string(&b, token, strlen(token));
        tw_buffer_printf(&b, ":%d%s", i, i ? "," : "}}}");
    }
    assert_false(b.failed);
    test_write(test_in(folder, "tokenizer.json"), b.data, b.n_bytes);
    tw_buffer_free(&b);
    free(lines[0]);
}

static void a_tokenizer_json_does_where_there_is_no_vocab_txt(void **state) {
    (void)state;
    const char *folder = test_folder();
    copy(HF "model.safetensors", folder);
    copy(HF "config.json", folder);
    copy(HF "preprocessor_config.json", folder);
    write_wordpiece(folder, 0);
    tw_model *m = test_converted(folder, NULL);
    const tw_tokenizer *t = tw_model_tokenizer(m);
    tw_text_options how = TW_TEXT_OPTIONS_INIT;
    int32_t ids[52], n;
    assert_ok(tw_tokenize(t, "Picture 皮卡丘", 17, &how, ids, &n, NULL, &err), &err);
    assert_int_equal(n, 6);
    assert_int_equal(ids[1], 1); /* not the built-in vocabulary's */
    assert_int_equal(ids[2], 4649);
    tw_model_free(m);
    write_wordpiece(folder, 1);
    refuse(folder, TW_ERR_MISMATCH, "tokenizer.json has 21127 entries, the text tower has 21128");
    copy(HF "config.json", folder);
    write_text(folder, "tokenizer.json",
               "{\"normalizer\":{\"type\":\"Lowercase\"},\"model\":{\"type\":\"WordPiece\"}}");
    refuse(folder, TW_ERR_UNSUPPORTED,
           "tokenizer.json: type is 'Lowercase', expected 'BertNormalizer'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_of_either_container_give_the_model_of_one_file),
        cmocka_unit_test(a_torch_shard_that_is_missing_or_cut_is_named),
        cmocka_unit_test(a_mismatch_is_told_in_the_words_of_config_json),
        cmocka_unit_test(merges_beside_the_weights_make_the_tokenizer),
        cmocka_unit_test(a_tokenizer_json_does_where_there_are_no_merges),
        cmocka_unit_test(a_tokenizer_json_does_where_there_is_no_vocab_txt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
