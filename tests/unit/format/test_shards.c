/* Checkpoints of several files: the index, and what is refused in it and in its shards. */
#include "shard_builder.h"
#include "support.h"

#include "format/shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

static void refused(const char *json, tw_status expected, const char *part) {
    tw_shard_index index;
    assert_fails(tw_shard_index_parse(json, strlen(json), "self.json", &index, &err), expected,
                 &err);
    assert_null(index.doc);
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
}

static void an_index_lists_its_shards_once_and_in_order(void **state) {
    (void)state;
    const char *json = "{\"metadata\":{\"total_size\":9},\"weight_map\":{\"z\":\"b.bin\",\"a\":"
                       "\"c.bin\",\"m\":\"b.bin\"}}";
    tw_shard_index index;
    assert_true(tw_is_shard_index((const uint8_t *)json, strlen(json)));
    assert_ok(tw_shard_index_parse(json, strlen(json), NULL, &index, &err), &err);
    assert_int_equal(index.n_shards, 2);
    assert_string_equal(index.shards[0], "b.bin");
    assert_string_equal(index.shards[1], "c.bin");
    assert_int_equal(index.n_entries, 3);
    assert_string_equal(tw_shard_index_find(&index, "m")->shard, "b.bin");
    assert_null(tw_shard_index_find(&index, "n"));
    tw_shard_index_free(&index);
}

#define MAP(value) "{\"weight_map\":{\"t\":" value "}}"

static void a_shard_stays_in_the_folder_of_its_index(void **state) {
    (void)state;
    static const char *const names[] = {
        "\"..\"",      "\".\"",   "\"../x\"",           "\"/etc/passwd\"", "\"a/b\"",
        "\"C:\\\\x\"", "\"C:x\"", "\"\\\\\\\\h\\\\x\"", "\"a\\u002fb\"",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char json[128];
        snprintf(json, sizeof json, MAP("%s"), names[i]);
        refused(json, TW_ERR_FORMAT, "of tensor 't' is not a plain file name");
    }
    refused(MAP("\"a\\u0000b\""), TW_ERR_FORMAT, "control character");
    refused(MAP("\"a\\nb\""), TW_ERR_FORMAT, "control character");
    refused(MAP("\"a\\u007f\""), TW_ERR_FORMAT, "control character");
    refused(MAP("\"\""), TW_ERR_FORMAT, "is empty");
    refused(MAP("7"), TW_ERR_FORMAT, "is no string");
    refused(MAP("[\"x\"]"), TW_ERR_FORMAT, "is no string");
    refused(MAP("\"self.json\""), TW_ERR_FORMAT, "is the index itself");
    char json[400] = MAP("\"%0300d\"");
    char longer[700];
    snprintf(longer, sizeof longer, json, 0);
    refused(longer, TW_ERR_FORMAT, "is too long");
}

static void an_index_of_another_kind_is_refused(void **state) {
    (void)state;
    refused("{}", TW_ERR_FORMAT, "'weight_map' is missing");
    refused("{\"weight_map\":[]}", TW_ERR_FORMAT, "no object");
    refused("{\"weight_map\":{}}", TW_ERR_FORMAT, "weight_map is empty");
    refused("{\"weight_map\":{\"a\\u0000b\":\"x\"}}", TW_ERR_FORMAT, "has a NUL");
    refused("{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", TW_ERR_FORMAT, "json");
    refused("{\"weight_map\":{\"a\":\"x\"", TW_ERR_FORMAT, "json");
}

static void too_many_shards_are_refused(void **state) {
    (void)state;
    char *json = malloc(40 * (TW_MAX_SHARDS + 2)), *p = json;
    assert_non_null(json);
    p += sprintf(p, "{\"weight_map\":{");
    for (int i = 0; i <= TW_MAX_SHARDS; i++)
        p += sprintf(p, "%s\"t%d\":\"s%d\"", i ? "," : "", i, i);
    sprintf(p, "}}");
    refused(json, TW_ERR_LIMIT, "more than 1024 shards");
    free(json);
}

/* ---------------------------------------------------------------------------------------- files */

#define INDEX "model.safetensors.index.json"
#define VIT "checkpoints/tiny_cn_vit/hf/model.safetensors"

static void shards_hold_what_the_whole_holds(void **state) {
    (void)state;
    const char *folder = test_folder();
    tw_checkpoint *whole, *parts;
    test_split(test_data(VIT), folder);
    assert_ok(tw_checkpoint_open(test_data(VIT), &whole, &err), &err);
    assert_ok(tw_checkpoint_open(test_in(folder, INDEX), &parts, &err), &err);
    assert_string_equal(tw_checkpoint_format(parts), "safetensors, 2 shards");
    assert_int_equal(tw_checkpoint_n_tensors(parts), tw_checkpoint_n_tensors(whole));
    for (size_t i = 0; i < tw_checkpoint_n_tensors(whole); i++) {
        const tw_tensor *a = tw_checkpoint_tensor(whole, i),
                        *b = tw_checkpoint_find(parts, a->name);
        assert_non_null(b);
        assert_int_equal(a->dtype, b->dtype);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_memory_equal(a->data, b->data, tw_tensor_elements(a) * tw_dtype_bytes(a->dtype));
    }
    tw_checkpoint_free(whole);
    tw_checkpoint_free(parts);
}

static const float numbers[4] = {1, 2, 3, 4};

static void write_shard(const char *folder, const char *name, const char *a, const char *b) {
    tw_tensor tensors[2] = {
        {.name = a, .dtype = TW_F32, .data = numbers, .n_dims = 1, .shape = {2}},
        {.name = b, .dtype = TW_F32, .data = numbers, .n_dims = 1, .shape = {2}}};
    const tw_tensor *pointers[2] = {&tensors[0], &tensors[1]};
    for (int i = 0; i < 2; i++)
        tw_tensor_set_c_order(&tensors[i]);
    test_write_safetensors(test_in(folder, name), pointers, b ? 2 : 1);
}

static tw_status open_with(const char *folder, const char *map, tw_checkpoint **c) {
    char json[512];
    snprintf(json, sizeof json, "{\"weight_map\":%s}", map);
    test_write(test_in(folder, INDEX), json, strlen(json));
    return tw_checkpoint_open(test_in(folder, INDEX), c, &err);
}

static void fails_with(const char *folder, const char *map, tw_status expected, const char *part) {
    tw_checkpoint *c;
    assert_fails(open_with(folder, map, &c), expected, &err);
    assert_null(c);
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
    if (!strstr(err.message, INDEX)) fail_msg("'%s' does not name the index", err.message);
}

static void shards_and_index_must_agree(void **state) {
    (void)state;
    const char *folder = test_folder();
    tw_checkpoint *c;
    write_shard(folder, "1.safetensors", "a", "b");
    write_shard(folder, "2.safetensors", "c", NULL);
    assert_ok(open_with(folder, "{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}", &c), &err);
    assert_int_equal(tw_checkpoint_n_tensors(c), 3); /* "b" too, as transformers reads it */
    assert_non_null(tw_checkpoint_find(c, "b"));
    tw_checkpoint_free(c);
    fails_with(folder, "{\"a\":\"1.safetensors\",\"d\":\"2.safetensors\"}", TW_ERR_FORMAT,
               "tensor 'd' is not in its shard 2.safetensors");
    fails_with(folder, "{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}", TW_ERR_FORMAT,
               "1.safetensors: tensor 'b' is in it, the index puts it into 2.safetensors");
    fails_with(folder, "{\"a\":\"1.safetensors\",\"c\":\"3.safetensors\"}", TW_ERR_IO,
               "3.safetensors: No such file");
    fails_with(folder, "{\"a\":\"" INDEX "\"}", TW_ERR_FORMAT, "is the index itself");
    write_shard(folder, "2.safetensors", "c", "b");
    fails_with(folder, "{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}", TW_ERR_FORMAT,
               "\"b\" occurs twice");
    test_write(test_in(folder, "2.safetensors"), "{\"weight_map\":{\"c\":\"1.safetensors\"}}", 36);
    fails_with(folder, "{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}", TW_ERR_FORMAT,
               "2.safetensors: ");
    test_write(test_in(folder, "2.safetensors"), "", 0);
    fails_with(folder, "{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}", TW_ERR_FORMAT, "empty");
}

static tw_status remember(void *user, const char *path, tw_error *e) {
    char *seen = user;
    (void)e;
    strcat(strcat(seen, strrchr(path, '/') + 1), " ");
    return TW_OK;
}

static void the_files_of_a_checkpoint_are_listed(void **state) {
    (void)state;
    const char *folder = test_folder();
    char seen[256] = "";
    test_split(test_data(VIT), folder);
    assert_ok(tw_checkpoint_each_file(test_in(folder, INDEX), remember, seen, &err), &err);
    assert_string_equal(seen, "model-00001-of-00002.safetensors model-00002-of-00002.safetensors ");
    seen[0] = '\0';
    assert_ok(tw_convert_sources(test_data(VIT), remember, seen, &err), &err);
    assert_string_equal(seen, "model.safetensors ");
    seen[0] = '\0';
    assert_ok(tw_convert_sources(test_data("checkpoints/tiny_cn_vit/hf"), remember, seen, &err),
              &err);
    assert_string_equal(seen, "model.safetensors ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_lists_its_shards_once_and_in_order),
        cmocka_unit_test(a_shard_stays_in_the_folder_of_its_index),
        cmocka_unit_test(an_index_of_another_kind_is_refused),
        cmocka_unit_test(too_many_shards_are_refused),
        cmocka_unit_test(shards_hold_what_the_whole_holds),
        cmocka_unit_test(shards_and_index_must_agree),
        cmocka_unit_test(the_files_of_a_checkpoint_are_listed),
    };
    return cmocka_run_group_tests_name("shards", tests, NULL, NULL);
}
