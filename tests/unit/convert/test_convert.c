/* The tiny Chinese-CLIP checkpoints, in every container, become model files. */
#include "converted.h"

#include "base/file.h"
#include "format/checkpoint.h"
#include "format/gguf/gguf.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tw_error err;

#define VIT "checkpoints/tiny_cn_vit/"
#define RN "checkpoints/tiny_cn_rn/"

static tw_convert_options vit_options(void) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.vision_head_width = 16;
    o.text_head_width = 8;
    return o;
}

static tw_model *converted(const char *checkpoint, const tw_convert_options *o) {
    return test_converted(test_data(checkpoint), o);
}

/* ------------------------------------------------------------------------------------ contents */

static void the_architecture_comes_from_the_shapes(void **state) {
    tw_convert_options o = vit_options();
    tw_model *m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    const tw_arch *a = tw_model_arch(m);
    assert_string_equal(a->name, "ViT-w64-l2-p8-r32@BERT-w32-l2");
    assert_int_equal(a->embed_dim, 32);
    assert_int_equal(a->vision.kind, TW_VISION_VIT);
    assert_int_equal(a->vision.image_size, 32);
    assert_int_equal(a->vision.n_heads, 4);
    assert_int_equal(a->vision.mlp_width, 256);
    assert_int_equal(a->vision.activation, TW_QUICK_GELU);
    assert_int_equal(a->text.n_heads, 4);
    assert_int_equal(a->text.n_positions, 64);
    assert_int_equal(a->text.context_length, 52);
    assert_true(tw_model_logit_scale(m) == 2.25f);
    assert_int_equal(tw_model_recipe(m)->size, 32);
    assert_int_equal(tw_model_recipe(m)->resize_mode, TW_RESIZE_SQUASH);
    assert_int_equal(tw_tokenizer_vocab_size(tw_model_tokenizer(m)), 21128);
    assert_string_equal(tw_tokenizer_token(tw_model_tokenizer(m), 101), "[CLS]");
    tw_provenance p = {.struct_size = sizeof p};
    tw_model_provenance(m, &p);
    assert_string_equal(p.name, "clip_cn_tiny-vit");
    assert_string_equal(p.source_file, "clip_cn_tiny-vit.pt");
    assert_string_equal(p.source_format, "torch-zip");
    assert_string_equal(p.converter, "tuwen " TUWEN_VERSION);
    tw_model_free(m);
}

/* Values picked by hand from the original's layout, without the name tables. */
static void tensors_are_split_and_transposed(void **state) {
    tw_convert_options o = vit_options();
    tw_model *m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    tw_checkpoint *c;
    assert_ok(tw_checkpoint_open(test_data(VIT "clip_cn_tiny-vit.pt"), &c, &err), &err);
    const tw_tensor *t = tw_checkpoint_tensor(c, 0);
    bool prefix = strncmp(t->name, "module.", 7) == 0;
#define SOURCE(name) tw_checkpoint_find(c, prefix ? "module." name : name)
    float *stacked = test_values(SOURCE("visual.transformer.resblocks.1.attn.in_proj_weight"));
    float *k = test_values(&m->vision.blocks[1].k.weight),
          *v = test_values(&m->vision.blocks[1].v.weight);
    assert_memory_equal(k, stacked + 64 * 64, 64 * 64 * sizeof *k);
    assert_memory_equal(v, stacked + 2 * 64 * 64, 64 * 64 * sizeof *v);
    float *proj = test_values(SOURCE("visual.proj")),
          *projection = test_values(&m->vision.projection);
    for (int e = 0; e < 32; e++)
        for (int w = 0; w < 64; w++)
            assert_true(projection[e * 64 + w] == proj[w * 32 + e]);
    float *text = test_values(SOURCE("text_projection")),
          *text_projection = test_values(&m->text.projection);
    for (int e = 0; e < 32; e++)
        for (int h = 0; h < 32; h++)
            assert_true(text_projection[e * 32 + h] == text[h * 32 + e]);
    test_same_values(&m->vision.patch, SOURCE("visual.conv1.weight"));
    test_same_values(&m->vision.blocks[0].fc1.weight,
                     SOURCE("visual.transformer.resblocks.0.mlp.c_fc.weight"));
    test_same_values(&m->text.token, SOURCE("bert.embeddings.word_embeddings.weight"));
    test_same_values(&m->text.blocks[1].ln1.gamma,
                     SOURCE("bert.encoder.layer.1.attention.output.LayerNorm.weight"));
    test_same_values(&m->text.blocks[1].ln2.beta,
                     SOURCE("bert.encoder.layer.1.output.LayerNorm.bias"));
    assert_int_equal(m->vision.patch.dtype, SOURCE("visual.conv1.weight")->dtype);
    assert_int_equal(m->vision.pre.gamma.dtype, SOURCE("visual.ln_pre.weight")->dtype);
    free(stacked);
    free(k);
    free(v);
    free(proj);
    free(projection);
    free(text);
    free(text_projection);
    tw_checkpoint_free(c);
    tw_model_free(m);
}

static void assert_same_model(const char *a, const char *b) {
    tw_convert_options o = vit_options();
    tw_model *x = converted(a, &o), *y = converted(b, &o);
    assert_memory_equal(tw_model_arch(x), tw_model_arch(y), sizeof(tw_arch));
    test_same_weights(x, y);
    tw_model_free(x);
    tw_model_free(y);
}

static void every_container_and_layout_gives_the_same_model(void **state) {
    assert_same_model(VIT "clip_cn_tiny-vit.pt", VIT "stress.pt");
    assert_same_model(VIT "clip_cn_tiny-vit.pt", VIT "flash_wqkv.pt");
    assert_same_model(VIT "clip_cn_tiny-vit.pt", VIT "hf/pytorch_model.bin");
    assert_same_model(VIT "clip_cn_tiny-vit.pt", VIT "hf/model.safetensors");
    assert_same_model(VIT "clip_cn_tiny-vit.pt", VIT "torch113/clip_cn_tiny-vit.pt");
    assert_same_model(VIT "clip_cn_tiny-vit.pt", VIT "torch113/legacy.pt");
}

static void a_resnet_needs_no_option_for_its_image_tower(void **state) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.text_config = test_data(RN "tiny-rbt.json");
    tw_model *m = converted(RN "clip_cn_tiny-rn.pt", &o);
    const tw_arch *a = tw_model_arch(m);
    assert_int_equal(a->vision.kind, TW_VISION_RESNET);
    assert_int_equal(a->vision.width, 8);
    assert_int_equal(a->vision.stages[2], 2);
    assert_int_equal(a->vision.n_heads, 4);
    assert_int_equal(a->vision.activation, TW_RELU);
    assert_int_equal(a->text.n_heads, 4);
    assert_int_equal(m->vision.bottlenecks[1].stride, 1);
    assert_int_equal(m->vision.bottlenecks[2].stride, 2);
    assert_non_null(m->vision.bottlenecks[2].down.weight.data);
    tw_model_free(m);
}

/* ------------------------------------------------------------------------------------- options */

static void configuration_files_settle_the_heads(void **state) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    char both[2048];
    snprintf(both, sizeof both, "%s,%s", test_data(VIT "tiny-vit.json"),
             test_data(VIT "tiny-bert.json"));
    o.arch = both;
    tw_model *m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    assert_int_equal(tw_model_arch(m)->vision.head_width, 16);
    assert_int_equal(tw_model_arch(m)->text.n_heads, 4);
    tw_model_free(m);
    o.arch = NULL;
    o.vision_config = test_data(VIT "tiny-vit.json");
    o.text_config = test_data(VIT "tiny-bert.json");
    m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    assert_int_equal(tw_model_arch(m)->vision.n_heads, 4);
    tw_model_free(m);
}

#define refuse(checkpoint, options, expected, part)                                                \
    do {                                                                                           \
        const char *path_ = test_temporary(".gguf");                                               \
        assert_fails(tw_convert(test_data(checkpoint), path_, options, &err), expected, &err);     \
        if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);            \
        assert_int_equal(access(path_, F_OK), -1);                                                 \
    } while (0)

static void what_shapes_cannot_tell_is_an_error_that_names_the_option(void **state) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    refuse(VIT "clip_cn_tiny-vit.pt", NULL, TW_ERR_AMBIGUOUS, "--head-width or --vision-config");
    o.vision_head_width = 16;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_AMBIGUOUS, "--text-head-width or --text-config");
    refuse(RN "clip_cn_tiny-rn.pt", &o, TW_ERR_AMBIGUOUS, "--text-head-width");
    o.vision_head_width = 24;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_MISMATCH, "does not divide");
}

static void a_wrong_configuration_is_told_field_by_field(void **state) {
    tw_convert_options o = vit_options();
    o.vision_config = test_data(RN "tiny-rn.json");
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_MISMATCH, "vision_layers");
    o = vit_options();
    o.arch = "ViT-B-16";
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_MISMATCH,
           "embed_dim: the configuration says 512, the checkpoint has 32");
    o.arch = "ViT-XXL";
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_ARGUMENT, "ViT-L-14-336");
    o.arch = NULL;
    o.text_config = test_data(RN "tiny-rbt.json");
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_MISMATCH,
           "text_num_hidden_layers: the configuration says 1, the checkpoint has 2");
    o.text_config = test_data(VIT "tiny-vit.json");
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_FORMAT, "'text_hidden_size' is missing");
    o.text_config = test_data(VIT "hf/config.json");
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_FORMAT, "Hugging Face");
    o.text_config = test_data("nothing.json");
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_IO, "nothing.json");
}

static void precision_changes_matrices_alone(void **state) {
    static const struct {
        int precision;
        tw_dtype matrix, vector;
    } cases[] = {{TW_F32, TW_F32, TW_F32}, {TW_F16, TW_F16, TW_F32}, {TW_BF16, TW_BF16, TW_F32}};
    for (size_t i = 0; i < 3; i++) {
        tw_convert_options o = vit_options();
        o.precision = cases[i].precision;
        tw_model *m = converted(VIT "torch113/clip_cn_tiny-vit.pt", &o);
        assert_int_equal(m->vision.patch.dtype, cases[i].matrix);
        assert_int_equal(m->vision.projection.dtype, cases[i].matrix);
        assert_int_equal(m->text.token.dtype, cases[i].matrix);
        assert_int_equal(m->text.blocks[0].q.weight.dtype, cases[i].matrix);
        assert_int_equal(m->text.blocks[0].q.bias.dtype, cases[i].vector);
        assert_int_equal(m->vision.position.dtype, cases[i].vector);
        assert_int_equal(m->text.position.dtype, cases[i].vector);
        assert_int_equal(m->vision.class_row.dtype, cases[i].vector);
        int64_t type;
        assert_ok(tw_gguf_get_int(m->gguf, "general.file_type", 0, 99, &type, &err), &err);
        assert_int_equal(type, i == 0 ? 0 : i == 1 ? 1 : 32);
        tw_model_free(m);
    }
    tw_convert_options o = vit_options();
    o.precision = TW_F32;
    tw_model *m = converted(VIT "torch113/half_with_optimizer.pt", &o);
    assert_int_equal(m->vision.pre.gamma.dtype, TW_F32);
    tw_model_free(m);
    o.precision = TW_U8;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_ARGUMENT, "precision");
}

static void a_tower_can_be_converted_alone(void **state) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.vision_only = true;
    o.vision_head_width = 16;
    tw_model *m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    assert_int_equal(tw_model_arch(m)->text.kind, TW_TEXT_NONE);
    assert_null(tw_model_tokenizer(m));
    tw_model_free(m);
    o.vision_only = false;
    o.text_only = true;
    o.text_head_width = 8;
    m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    assert_int_equal(tw_model_arch(m)->vision.kind, TW_VISION_NONE);
    assert_non_null(tw_model_tokenizer(m));
    tw_model_free(m);
}

/* Flags tell which fields are the caller's; the rest is the family's. */
static void fields_of_a_recipe_change_the_checkpoint_s_own(void **state) {
    const char *checkpoint = "checkpoints/tiny_openai_vit/torch113/torchscript.pt";
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    tw_model *own = converted(checkpoint, &o);
    tw_recipe recipe = TW_RECIPE_INIT, expected = *tw_model_recipe(own);
    assert_int_equal(expected.resize_mode, TW_RESIZE_SHORTEST);
    recipe.mean[1] = expected.mean[1] = 0.5f;
    recipe.interpolation = expected.interpolation = TW_BILINEAR;
    o.recipe = &recipe;
    o.recipe_fields = TW_RECIPE_MEAN | TW_RECIPE_INTERPOLATION;
    tw_model *m = converted(checkpoint, &o);
    assert_memory_equal(tw_model_recipe(m), &expected, sizeof expected);
    tw_model_free(m);
    o.recipe_fields = TW_RECIPE_SIZE;
    refuse(checkpoint, &o, TW_ERR_MISMATCH, "pictures of 224, the image tower takes 32");
    o.recipe_fields = 256;
    refuse(checkpoint, &o, TW_ERR_ARGUMENT, "recipe_fields 0x100");
    o.recipe_fields = TW_RECIPE_MEAN;
    o.recipe = NULL;
    refuse(checkpoint, &o, TW_ERR_ARGUMENT, "which is not there");
    tw_model_free(own);
}

static void recipe_context_and_digest_are_stored(void **state) {
    tw_convert_options o = vit_options();
    tw_recipe recipe = TW_RECIPE_INIT;
    char digest[65];
    memset(digest, 'a', 64);
    digest[64] = '\0';
    recipe.size = 32;
    recipe.resize_mode = TW_RESIZE_LONGEST;
    recipe.interpolation = TW_BILINEAR;
    recipe.resampler = TW_RESAMPLER_12_2;
    recipe.rgb_order = TW_RGB_FIRST;
    recipe.crop_rounding = TW_CROP_FLOOR;
    recipe.mean[1] = 0.5f;
    recipe.std[2] = 0.25f;
    o.recipe = &recipe;
    o.source_sha256 = digest;
    o.context_length = 24;
    o.activation = TW_GELU_ERF;
    tw_model *m = converted(VIT "clip_cn_tiny-vit.pt", &o);
    assert_recipe_equal(tw_model_recipe(m), &recipe);
    assert_int_equal(tw_model_arch(m)->text.context_length, 24);
    assert_int_equal(tw_model_arch(m)->vision.activation, TW_GELU_ERF);
    tw_provenance p = {.struct_size = sizeof p};
    tw_model_provenance(m, &p);
    assert_string_equal(p.source_sha256, digest);
    tw_model_free(m);
    recipe.size = 224;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_MISMATCH,
           "pictures of 224, the image tower takes 32");
    recipe.size = 32;
    digest[3] = 'g';
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_ARGUMENT, "sha256");
    digest[3] = 'a';
    o.context_length = 65;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_ARGUMENT, "2..64");
}

static void a_vocabulary_of_another_size_is_refused(void **state) {
    const char *vocab = test_temporary(".txt");
    FILE *f = fopen(vocab, "wb");
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", f);
    fclose(f);
    tw_convert_options o = vit_options();
    o.vocab = vocab;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_MISMATCH,
           "has 4 entries, the text tower has 21128");
    assert_non_null(strstr(err.message, "--vocab"));
    o.vocab = test_data("nothing.txt");
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_IO, "nothing.txt");
}

/* -------------------------------------------------------------------------------------- running */

static int calls, stop_at;

static bool progress(void *user, const char *stage, uint64_t done, uint64_t total) {
    assert_string_equal(stage, "convert");
    assert_true(done <= total);
    calls++;
    return calls != stop_at;
}

static void cancelling_leaves_nothing(void **state) {
    tw_hooks hooks = {sizeof hooks, NULL, progress, NULL};
    tw_convert_options o = vit_options();
    o.hooks = &hooks;
    calls = 0;
    stop_at = 20;
    refuse(VIT "clip_cn_tiny-vit.pt", &o, TW_ERR_CANCELLED, "cancelled");
    calls = 0;
    stop_at = 0;
    tw_model_free(converted(VIT "clip_cn_tiny-vit.pt", &o));
    assert_int_equal(calls, 78 + 1);
}

#define OPEN_CLIP "checkpoints/tiny_openclip_gelu/"

/* open_clip_config.json beside the checkpoint tells heads, activation and recipe. */
static void open_clip_s_configuration_is_found_beside_the_file(void **state) {
    static const char *const files[] = {OPEN_CLIP "open_clip_model.safetensors",
                                        OPEN_CLIP "custom_text_bf16.pt"};
    for (size_t i = 0; i < 2; i++) {
        tw_model *m = converted(files[i], NULL);
        const tw_arch *a = tw_model_arch(m);
        assert_string_equal(a->name, "ViT-w80-l2-p16-r32@CLIP-w64-l2");
        assert_int_equal(a->vision.head_width, 40);
        assert_int_equal(a->vision.mlp_width, 349);
        assert_int_equal(a->vision.activation, TW_GELU_ERF);
        assert_int_equal(a->text.kind, TW_TEXT_CLIP);
        assert_int_equal(a->text.activation, TW_GELU_ERF);
        assert_int_equal(a->text.n_heads, 4);
        assert_int_equal(a->text.context_length, 20);
        assert_int_equal(tw_model_recipe(m)->resize_mode, TW_RESIZE_SHORTEST);
        assert_int_equal(tw_model_recipe(m)->size, 32);
        tw_model_free(m);
    }
}

static void openai_s_archive_needs_no_option(void **state) {
    tw_model *m = converted("checkpoints/tiny_openai_vit/torch113/torchscript.pt", NULL);
    const tw_arch *a = tw_model_arch(m);
    assert_int_equal(a->vision.n_heads, 2);
    assert_int_equal(a->text.n_heads, 2);
    assert_int_equal(a->vision.activation, TW_QUICK_GELU);
    assert_int_equal(a->text.activation, TW_QUICK_GELU);
    assert_true(tw_model_logit_scale(m) == 3.0f);
    assert_int_equal(tw_model_recipe(m)->resize_mode, TW_RESIZE_SHORTEST);
    tw_model_free(m);
}

/* A file of merges: "ab" as a word, then pairs that make up the number. */
static const char *write_merges(int n) {
    const char *path = test_temporary(".txt");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#version: 0.2\na b</w>\n");
    for (int i = 1; i < n; i++)
        fprintf(f, "%c %c\n", 'a' + i / 26, 'a' + i % 26);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void byte_pairs_are_stored_in_the_model(void **state) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    const char *checkpoint = "checkpoints/tiny_openai_vit/torch113/torchscript.pt";
    tw_model *m = converted(checkpoint, &o);
    assert_null(tw_model_tokenizer(m)); /* 600 tokens are not OpenAI's */
    tw_model_free(m);
    o.vocab = write_merges(600 - 512 - 2);
    m = converted(checkpoint, &o);
    const tw_tokenizer *t = tw_model_tokenizer(m);
    assert_non_null(t);
    assert_string_equal(tw_tokenizer_kind(t), "bpe");
    assert_int_equal(tw_tokenizer_vocab_size(t), 600);
    assert_string_equal(tw_tokenizer_token(t, 512), "ab</w>");
    assert_string_equal(tw_tokenizer_token(t, 599), "<|endoftext|>");
    tw_text_options how = TW_TEXT_OPTIONS_INIT;
    how.context_length = 20;
    int32_t ids[20], n;
    assert_ok(tw_tokenize(t, "AB  ab", 6, &how, ids, &n, NULL, &err), &err);
    assert_int_equal(n, 4);
    assert_int_equal(ids[0], 598);
    assert_int_equal(ids[1], 512);
    assert_int_equal(ids[2], 512);
    assert_int_equal(ids[3], 599);
    tw_model_free(m);
    o.vocab = write_merges(50);
    refuse(checkpoint, &o, TW_ERR_MISMATCH, "makes 564 tokens, the text tower has 600");
}

static void foreign_and_damaged_files_are_refused(void **state) {
    refuse("nothing.pt", NULL, TW_ERR_IO, "nothing.pt");
    refuse("checkpoints", NULL, TW_ERR_FORMAT, "no checkpoint in this folder: looked for model.s");
    tw_convert_options o = vit_options();
    assert_fails(tw_convert(test_data(VIT "clip_cn_tiny-vit.pt"), "/nowhere/x.gguf", &o, &err),
                 TW_ERR_IO, &err);
    assert_fails(tw_convert(test_data(VIT "clip_cn_tiny-vit.pt"), "/dev/full", &o, &err), TW_ERR_IO,
                 &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_architecture_comes_from_the_shapes),
        cmocka_unit_test(open_clip_s_configuration_is_found_beside_the_file),
        cmocka_unit_test(openai_s_archive_needs_no_option),
        cmocka_unit_test(byte_pairs_are_stored_in_the_model),
        cmocka_unit_test(tensors_are_split_and_transposed),
        cmocka_unit_test(every_container_and_layout_gives_the_same_model),
        cmocka_unit_test(a_resnet_needs_no_option_for_its_image_tower),
        cmocka_unit_test(configuration_files_settle_the_heads),
        cmocka_unit_test(what_shapes_cannot_tell_is_an_error_that_names_the_option),
        cmocka_unit_test(a_wrong_configuration_is_told_field_by_field),
        cmocka_unit_test(precision_changes_matrices_alone),
        cmocka_unit_test(a_tower_can_be_converted_alone),
        cmocka_unit_test(fields_of_a_recipe_change_the_checkpoint_s_own),
        cmocka_unit_test(recipe_context_and_digest_are_stored),
        cmocka_unit_test(a_vocabulary_of_another_size_is_refused),
        cmocka_unit_test(cancelling_leaves_nothing),
        cmocka_unit_test(foreign_and_damaged_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
