#include "support.h"
#include "tiny_model.h"

#include "base/bytes.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

typedef struct file {
    uint8_t *data;
    size_t n;
} file;

static file tiny(tw_vision_kind vision, tw_text_kind text, tw_dtype dtype) {
    const char *path = test_temporary(".gguf");
    tw_arch arch;
    tiny_arch(&arch, vision, text);
    tiny_model_write(path, &arch, dtype);
    file f;
    f.data = test_read(path, &f.n);
    return f;
}

/* Where the bytes after a key (its type and value) or a tensor name begin. */
static uint8_t *after(file f, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 8; i + n < f.n; i++)
        if (memcmp(f.data + i, name, n) == 0 && tw_load_u64le(f.data + i - 8) == n)
            return f.data + i + n;
    fail_msg("no '%s' in the file", name);
    return NULL;
}

static void set_u32(file f, const char *key, uint32_t v) {
    tw_store_u32le(after(f, key) + 4, v);
}

/* Another string of the same length. */
static void set_string(file f, const char *key, const char *v) {
    assert_int_equal(tw_load_u64le(after(f, key) + 4), strlen(v));
    memcpy(after(f, key) + 12, v, strlen(v));
}

static void rename_key(file f, const char *key) {
    after(f, key)[-1] ^= 1;
}

static tw_status open_bytes(file f) {
    tw_model *m;
    tw_status status = tw_model_parse(f.data, f.n, &m, &err);
    tw_model_free(m);
    return status;
}

#define refuse(change, expected, part)                                                             \
    do {                                                                                           \
        file f = tiny(TW_VISION_VIT, TW_TEXT_BERT, TW_F32);                                        \
        change;                                                                                    \
        assert_fails(open_bytes(f), expected, &err);                                               \
        if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);            \
        free(f.data);                                                                              \
    } while (0)

/* ------------------------------------------------------------------------------------ reading */

static void a_model_knows_itself(void **state) {
    const char *path = test_temporary(".gguf");
    tw_arch arch;
    tw_model *m;
    tw_provenance p = {.struct_size = sizeof p};
    tw_model_size size = {.struct_size = sizeof size};
    tiny_arch(&arch, TW_VISION_VIT, TW_TEXT_BERT);
    tiny_model_write(path, &arch, TW_F16);
    assert_ok(tw_model_open(path, &m, &err), &err);
    assert_memory_equal(tw_model_arch(m), &arch, sizeof arch);
    assert_string_equal(tw_model_path(m), path);
    assert_true(tw_model_logit_scale(m) == 2.5f);
    tw_recipe recipe = TW_RECIPE_INIT;
    recipe.size = 8;
    assert_recipe_equal(tw_model_recipe(m), &recipe);
    assert_int_equal(tw_tokenizer_vocab_size(tw_model_tokenizer(m)), 12);
    assert_string_equal(tw_tokenizer_token(tw_model_tokenizer(m), 7), "皮");
    tw_model_provenance(m, &p);
    assert_string_equal(p.name, "tiny");
    assert_string_equal(p.source_file, "tiny.pt");
    assert_string_equal(p.source_sha256, "");
    assert_string_equal(p.converter, "tuwen test");
    tw_model_get_size(m, &size);
    assert_int_equal(size.n_tensors, 46);
    assert_int_equal(size.n_tensors_f32 + size.n_tensors_f16, 46);
    /* patch, 6 matrices a block and tower, projections, token and type tables */
    assert_int_equal(size.n_tensors_f16, 1 + 2 * 6 + 2 + 2);
    assert_int_equal(size.n_parameters, size.n_vision_parameters + size.n_text_parameters + 1);
    tw_model_free(m);
    tw_model_free(NULL);
}

static void every_weight_is_bound_with_its_shape(void **state) {
    file f = tiny(TW_VISION_VIT, TW_TEXT_BERT, TW_BF16);
    tw_model *m;
    assert_ok(tw_model_parse(f.data, f.n, &m, &err), &err);
    assert_int_equal(m->vision.patch.n_dims, 4);
    assert_int_equal(m->vision.patch.dtype, TW_BF16);
    assert_int_equal(m->vision.position.shape[0], 5);
    assert_int_equal(m->vision.position.dtype, TW_F32);
    assert_int_equal(m->vision.blocks[0].fc1.weight.shape[0], 16);
    assert_string_equal(m->vision.blocks[0].fc1.weight.name, "v.blk.0.ffn_down.weight");
    assert_string_equal(m->vision.blocks[0].fc2.weight.name, "v.blk.0.ffn_up.weight");
    assert_string_equal(m->text.blocks[0].ln2.beta.name, "t.blk.0.ln2.bias");
    assert_int_equal(m->text.projection.shape[0], 4);
    assert_int_equal(m->text.projection.shape[1], 8);
    assert_non_null(m->text.embed_norm.gamma.data);
    tw_model_free(m);
    free(f.data);
}

static void a_clip_text_tower_needs_no_vocabulary(void **state) {
    file f = tiny(TW_VISION_NONE, TW_TEXT_CLIP, TW_F16);
    tw_model *m;
    assert_ok(tw_model_parse(f.data, f.n, &m, &err), &err);
    assert_int_equal(m->arch.text.kind, TW_TEXT_CLIP);
    assert_int_equal(m->arch.text.activation, TW_QUICK_GELU);
    assert_int_equal(m->arch.text.n_token_types, 0);
    assert_non_null(m->text.final_norm.gamma.data);
    assert_null(m->text.type.data);
    assert_null(m->text.embed_norm.gamma.data);
    assert_null(tw_model_tokenizer(m));
    tw_model_free(m);
    set_string(f, "tuwen.text.kind", "bert");
    assert_fails(open_bytes(f), TW_ERR_FORMAT, &err);
    assert_non_null(strstr(err.message, "tuwen.text.token_type_count"));
    free(f.data);
}

static void a_resnet_has_strides_and_downsample_branches(void **state) {
    file f = tiny(TW_VISION_RESNET, TW_TEXT_NONE, TW_F32);
    tw_model *m;
    assert_ok(tw_model_parse(f.data, f.n, &m, &err), &err);
    static const int strides[] = {1, 2, 1, 2, 2};
    static const bool down[] = {true, true, false, true, true};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(m->vision.bottlenecks[i].stride, strides[i]);
        assert_int_equal(m->vision.bottlenecks[i].down.weight.data != NULL, down[i]);
    }
    assert_string_equal(m->vision.bottlenecks[2].conv2.var.name, "v.stage.2.1.conv2.bn.var");
    assert_int_equal(m->vision.bottlenecks[4].conv3.weight.shape[0], 64);
    assert_string_equal(m->vision.stem[2].weight.name, "v.stem.3.weight");
    assert_int_equal(m->vision.pool_out.weight.shape[0], 4);
    assert_null(tw_model_tokenizer(m));
    tw_model_size size = {.struct_size = sizeof size};
    tw_model_get_size(m, &size);
    assert_int_equal(size.n_text_parameters, 0);
    tw_model_free(m);
    free(f.data);
}

static void a_vit_may_do_without_projection(void **state) {
    const char *path = test_temporary(".gguf");
    tw_arch arch;
    file f;
    tw_model *m;
    tiny_arch(&arch, TW_VISION_VIT, TW_TEXT_BERT);
    arch.embed_dim = arch.vision.width;
    tiny_model_write(path, &arch, TW_F32);
    f.data = test_read(path, &f.n);
    rename_key(f, "visual_projection.weight");
    assert_ok(tw_model_parse(f.data, f.n, &m, &err), &err);
    assert_null(m->vision.projection.data);
    tw_model_free(m);
    free(f.data);
}

static void tensors_can_be_listed(void **state) {
    file f = tiny(TW_VISION_VIT, TW_TEXT_NONE, TW_F32);
    tw_model *m;
    const char *name;
    tw_dtype dtype;
    int n_dims;
    int64_t shape[4];
    assert_ok(tw_model_parse(f.data, f.n, &m, &err), &err);
    assert_true(tw_model_tensor(m, 0, &name, &dtype, &n_dims, shape));
    assert_string_equal(name, "v.patch_embd.weight");
    assert_int_equal(n_dims, 4);
    assert_int_equal(shape[1], 3);
    assert_false(tw_model_tensor(m, 24, &name, &dtype, &n_dims, shape));
    tw_model_free(m);
    free(f.data);
}

static void a_caller_with_an_older_header_gets_what_its_struct_holds(void **state) {
    file f = tiny(TW_VISION_VIT, TW_TEXT_NONE, TW_F32);
    tw_model *m;
    assert_ok(tw_model_parse(f.data, f.n, &m, &err), &err);
    tw_model_size size = {.struct_size = offsetof(tw_model_size, n_parameters), .n_parameters = 77};
    tw_model_get_size(m, &size);
    assert_int_equal(size.n_tensors, 24);
    assert_int_equal(size.n_parameters, 77);
    tw_model_free(m);
    free(f.data);
}

/* ----------------------------------------------------------------------------------- refusing */

static void other_files_are_refused_in_words(void **state) {
    refuse(set_string(f, "general.architecture", "llam"), TW_ERR_UNSUPPORTED,
           "architecture 'llam', expected 'clip'");
    refuse(rename_key(f, "tuwen.file_version"), TW_ERR_UNSUPPORTED, "a clip.cpp file, not a model file");
    refuse(set_u32(f, "tuwen.file_version", 3), TW_ERR_UNSUPPORTED, "version 3");
    refuse(set_string(f, "tuwen.vision.kind", "vit2" + 1), TW_ERR_UNSUPPORTED, "'it2'");
    refuse(set_string(f, "tuwen.recipe.resampler", "classiX"), TW_ERR_UNSUPPORTED, "classiX");
    refuse(set_string(f, "tokenizer.ggml.model", "sentence!"), TW_ERR_UNSUPPORTED, "sentence!");
    tw_model *m;
    assert_fails(tw_model_open(test_data("nothing.gguf"), &m, &err), TW_ERR_IO, &err);
    assert_null(m);
    assert_fails(tw_model_open(test_data(""), &m, &err), TW_ERR_IO, &err);
    assert_fails(tw_model_open(test_data("manifests/chinese_clip_RN50.pt.tsv"), &m, &err),
                 TW_ERR_UNSUPPORTED, &err);
    assert_non_null(strstr(err.message, "chinese_clip_RN50.pt.tsv: not a gguf file"));
}

static void sizes_are_checked(void **state) {
    refuse(rename_key(f, "clip.vision.image_size"), TW_ERR_FORMAT, "'clip.vision.image_size'");
    refuse(set_u32(f, "clip.vision.image_size", 16), TW_ERR_MISMATCH, "recipe makes pictures of 8");
    refuse(set_u32(f, "clip.vision.embedding_length", 16), TW_ERR_MISMATCH, "heads");
    refuse(set_u32(f, "clip.vision.block_count", 100000), TW_ERR_LIMIT, "layers is 100000");
    refuse(set_u32(f, "clip.vision.block_count", 0xFFFFFFFF), TW_ERR_FORMAT, "block_count");
    refuse(set_u32(f, "clip.vision.block_count", 2), TW_ERR_FORMAT,
           "tensor 'v.blk.1.attn_q.weight' is missing");
    refuse(set_u32(f, "clip.text.projection_dim", 5), TW_ERR_MISMATCH, "text features of 5");
    refuse(set_u32(f, "clip.text.context_length", 9), TW_ERR_LIMIT, "context length is 9");
    refuse(set_u32(f, "tuwen.text.vocab_size", 13), TW_ERR_MISMATCH,
           "tensor 't.token_embd.weight' has shape [12, 8], expected [13, 8]");
    refuse(set_u32(f, "clip.text.feed_forward_length", 17), TW_ERR_MISMATCH,
           "tensor 't.blk.0.ffn_down.weight' has shape [16, 8], expected [17, 8]");
    refuse(set_u32(f, "tuwen.logit_scale", 0x7F800000), TW_ERR_FORMAT, "not finite");
    refuse(set_u32(f, "clip.text.attention.layer_norm_epsilon", 0x7FC00000), TW_ERR_LIMIT,
           "norm epsilon");
    refuse(tw_store_u32le(after(f, "clip.vision.image_std") + 16, 0), TW_ERR_FORMAT, "std 0");
}

static void weights_are_checked(void **state) {
    refuse(rename_key(f, "v.blk.0.ln1.weight"), TW_ERR_FORMAT,
           "tensor 'v.blk.0.ln1.weight' is missing");
    refuse(rename_key(f, "visual_projection.weight"), TW_ERR_FORMAT,
           "tensor 'visual_projection.weight' is missing");
    /* one extent: the type stands after it */
    refuse(tw_store_u32le(after(f, "v.class_embd") + 12, 26), TW_ERR_UNSUPPORTED,
           "tensor 'v.class_embd' has the ggml type 26");
}

static void the_tokens_must_make_a_tokenizer(void **state) {
    refuse(memcpy(after(f, "tokenizer.ggml.tokens") + 16 + 8, "[PAX]", 5), TW_ERR_MISMATCH,
           "[PAD]");
    refuse(after(f, "tuwen.arch")[12] = 0xFF, TW_ERR_FORMAT, "tuwen.arch");
}

static void every_truncation_and_many_flips_are_survived(void **state) {
    file f = tiny(TW_VISION_VIT, TW_TEXT_BERT, TW_F16);
    uint8_t *whole = f.data;
    size_t n = f.n;
    for (f.n = 0; f.n < n - 32; f.n += f.n < 6000 ? 1 : 97) {
        f.data = malloc(f.n + 1);
        memcpy(f.data, whole, f.n);
        assert_int_not_equal(open_bytes(f), TW_OK);
        free(f.data);
    }
    f = (file){whole, n};
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        size_t at = test_random(&seed) % (n < 6000 ? n : 6000);
        uint8_t flip = (uint8_t)(1 << test_random(&seed) % 8);
        whole[at] ^= flip;
        open_bytes(f);
        whole[at] ^= flip;
    }
    assert_ok(open_bytes(f), &err);
    free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_knows_itself),
        cmocka_unit_test(every_weight_is_bound_with_its_shape),
        cmocka_unit_test(a_clip_text_tower_needs_no_vocabulary),
        cmocka_unit_test(a_resnet_has_strides_and_downsample_branches),
        cmocka_unit_test(a_vit_may_do_without_projection),
        cmocka_unit_test(tensors_can_be_listed),
        cmocka_unit_test(a_caller_with_an_older_header_gets_what_its_struct_holds),
        cmocka_unit_test(other_files_are_refused_in_words),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(weights_are_checked),
        cmocka_unit_test(the_tokens_must_make_a_tokenizer),
        cmocka_unit_test(every_truncation_and_many_flips_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
