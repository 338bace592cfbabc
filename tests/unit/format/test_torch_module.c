/* TorchScript archives: trees of modules become dotted names. */
#include "support.h"
#include "torch_builder.h"

#include "format/checkpoint.h"

#include <stdio.h>
#include <string.h>

static tw_error err;

static const test_view plain = {.type = "FloatStorage",
                                .key = "0",
                                .count = 16,
                                .n_dims = 2,
                                .shape = {4, 4},
                                .stride = {4, 1}};

/* An object of a TorchScript class, open for attributes. */
static void begin_module(tw_buffer *b, const char *module) {
    pickle_global(b, module, "Class");
    pickle_bytes(b, ")\x81}(");
}

static void end_module(tw_buffer *b) {
    pickle_op(b, "ub");
}

static void add_tensor(tw_buffer *b, const char *name) {
    pickle_string(b, name);
    pickle_tensor(b, &plain);
}

static tw_status parse(tw_buffer *pickle, test_zip *zip, tw_checkpoint **c) {
    pickle_op(pickle, ".");
    test_zip_checkpoint(zip, pickle, 16);
    tw_buffer_free(pickle);
    return tw_checkpoint_parse(zip->bytes.data, zip->bytes.n_bytes, c, &err);
}

static void refused(tw_buffer *pickle, tw_status expected, const char *part) {
    test_zip zip;
    tw_checkpoint *c;
    assert_fails(parse(pickle, &zip, &c), expected, &err);
    if (!strstr(err.message, part)) fail_msg("message \"%s\" lacks \"%s\"", err.message, part);
    test_zip_free(&zip);
}

static void names_are_paths_of_attributes(void **state) {
    (void)state;
    tw_buffer b = {0};
    begin_module(&b, "__torch__.clip.model.___torch_mangle_3");
    pickle_string(&b, "training");
    pickle_bytes(&b, "\x88");
    pickle_string(&b, "hook");
    pickle_op(&b, "N");
    pickle_string(&b, "input_resolution");
    pickle_int(&b, 224);
    add_tensor(&b, "logit_scale");
    pickle_string(&b, "sizes");
    pickle_global(&b, "torch.jit._pickle", "build_intlist");
    pickle_bytes(&b, "]\x85R");
    pickle_string(&b, "visual");
    begin_module(&b, "__torch__.clip.model");
    add_tensor(&b, "proj");
    pickle_string(&b, "conv1");
    begin_module(&b, "__torch__.torch.nn.modules.conv");
    add_tensor(&b, "weight");
    pickle_string(&b, "depth");
    pickle_int(&b, 2);
    end_module(&b);
    end_module(&b);
    add_tensor(&b, "positional_embedding");
    end_module(&b);
    test_zip zip;
    tw_checkpoint *c;
    assert_ok(parse(&b, &zip, &c), &err);
    assert_string_equal(tw_checkpoint_format(c), "torchscript");
    static const char *const names[] = {"logit_scale", "visual.proj", "visual.conv1.weight",
                                        "positional_embedding"};
    assert_int_equal(tw_checkpoint_n_tensors(c), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(tw_checkpoint_tensor(c, i)->name, names[i]);
    int64_t v;
    assert_true(tw_checkpoint_int(c, "input_resolution", &v));
    assert_int_equal(v, 224);
    assert_false(tw_checkpoint_int(c, "depth", &v));
    tw_checkpoint_free(c);
    test_zip_free(&zip);
}

static void modules_that_hold_themselves_are_refused(void **state) {
    (void)state;
    tw_buffer b = {0};
    pickle_global(&b, "__torch__", "Class");
    pickle_bytes(&b, ")\x81q\1}(");
    pickle_string(&b, "self");
    pickle_bytes(&b, "h\1");
    pickle_op(&b, "ub");
    refused(&b, TW_ERR_LIMIT, "modules 32 deep at \"self.self.");
}

/* Twelve levels of ten references to the level below: ten to the twelfth tensors. */
static void a_small_file_makes_no_huge_tree(void **state) {
    (void)state;
    tw_buffer b = {0};
    char name[2] = "0";
    begin_module(&b, "__torch__");
    add_tensor(&b, "w");
    end_module(&b);
    pickle_bytes(&b, "q\1");
    for (int level = 0; level < 12; level++) {
        pickle_op(&b, "0");
        begin_module(&b, "__torch__");
        for (*name = '0'; *name <= '9'; ++*name) {
            pickle_string(&b, name);
            pickle_bytes(&b, "h\1");
        }
        end_module(&b);
        pickle_bytes(&b, "q\1");
    }
    refused(&b, TW_ERR_LIMIT, "more than");
}

static void objects_of_other_classes_are_refused(void **state) {
    (void)state;
    tw_buffer b = {0};
    begin_module(&b, "__torch__x");
    add_tensor(&b, "w");
    end_module(&b);
    refused(&b, TW_ERR_UNSUPPORTED, "save model.state_dict() instead");
    begin_module(&b, "clip.model");
    add_tensor(&b, "w");
    end_module(&b);
    refused(&b, TW_ERR_UNSUPPORTED, "save model.state_dict() instead");
    begin_module(&b, "__torch__");
    end_module(&b);
    refused(&b, TW_ERR_FORMAT, "no tensor in the TorchScript module");
    pickle_global(&b, "__torch__", "Class");
    pickle_bytes(&b, ")\x81");
    refused(&b, TW_ERR_FORMAT, "no tensor in the TorchScript module");
}

static void a_path_that_is_too_long_is_refused(void **state) {
    (void)state;
    static char name[1001];
    memset(name, 'a', 1000);
    tw_buffer b = {0};
    begin_module(&b, "__torch__");
    pickle_string(&b, name);
    begin_module(&b, "__torch__");
    add_tensor(&b, "a_name_of_twenty_five_byte");
    end_module(&b);
    end_module(&b);
    refused(&b, TW_ERR_LIMIT, "path of attributes of 1027 bytes");
}

/* Written by torch 1.13 with torch.jit.save: deflated code, constants, version 4. */
static void reads_what_torch_wrote(void **state) {
    (void)state;
    tw_checkpoint *c;
    const char *path = test_data("checkpoints/tiny_openai_vit/torch113/torchscript.pt");
    assert_ok(tw_checkpoint_open(path, &c, &err), &err);
    assert_string_equal(tw_checkpoint_format(c), "torchscript");
    const tw_tensor *t =
        tw_checkpoint_find(c, "visual.transformer.resblocks.1.attn.in_proj_weight");
    assert_non_null(t);
    assert_int_equal(t->dtype, TW_F16);
    assert_int_equal(t->shape[0], 3 * 128);
    t = tw_checkpoint_find(c, "input_resolution");
    assert_non_null(t);
    assert_int_equal(t->dtype, TW_I64);
    assert_non_null(tw_checkpoint_find(c, "ln_final.weight"));
    tw_checkpoint_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_paths_of_attributes),
        cmocka_unit_test(modules_that_hold_themselves_are_refused),
        cmocka_unit_test(a_small_file_makes_no_huge_tree),
        cmocka_unit_test(objects_of_other_classes_are_refused),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
        cmocka_unit_test(reads_what_torch_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
