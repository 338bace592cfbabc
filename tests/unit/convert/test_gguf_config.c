/* GGUF files as checkpoints: clip.cpp's, and tuwen's own model files converted again. */
#include "tiny_model.h"

#include "base/bytes.h"
#include "convert/gguf_config.h"
#include "format/checkpoint.h"
#include "model/arch.h"
#include "model/metadata.h"
#include "model/model.h"
#include "model/schema.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

/* --------------------------------------------------------------------------- a file of clip.cpp */

typedef struct clip_cpp {
    bool vision, text, gelu;
    int heads; /* of both towers, of width 8 */
    float eps;
    const tw_tokenizer *tokens; /* NULL: made-up ones */
    const char *other_token;    /* in place of the first */
    const char *extra_key;      /* a string */
} clip_cpp;

static const clip_cpp whole = {true, true, false, 2, 1e-5f, NULL, NULL, NULL};

static void put_tower(tw_gguf_writer *w, const char *tower, const clip_cpp *f) {
    char key[64];
    const struct {
        const char *what;
        uint32_t v;
    } sizes[] = {{"embedding_length", 8},
                 {"feed_forward_length", 16},
                 {"block_count", 1},
                 {"projection_dim", 4},
                 {"attention.head_count", (uint32_t)f->heads}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(key, sizeof key, "clip.%s.%s", tower, sizes[i].what);
        tw_gguf_put_u32(w, key, sizes[i].v);
    }
    snprintf(key, sizeof key, "clip.%s.attention.layer_norm_epsilon", tower);
    tw_gguf_put_f32(w, key, f->eps);
}

static void put_tokens(tw_gguf_writer *w, const clip_cpp *f, int32_t n) {
    char made_up[32];
    tw_gguf_put_string_array(w, "tokenizer.ggml.tokens", (size_t)n);
    for (int32_t i = 0; i < n; i++) {
        snprintf(made_up, sizeof made_up, "tok%d</w>", (int)i);
        tw_gguf_put_element(w, i == 0 && f->other_token ? f->other_token
                               : f->tokens              ? tw_tokenizer_token(f->tokens, i)
                                                        : made_up);
    }
}

static void put_keys(tw_gguf_writer *w, const clip_cpp *f, const tw_arch *arch) {
    static const float mean[] = {0.5f, 0.25f, 0.125f}, std[] = {0.5f, 0.75f, 1.0f};
    tw_gguf_put_string(w, "general.architecture", "clip");
    tw_gguf_put_bool(w, "clip.has_text_encoder", f->text);
    tw_gguf_put_bool(w, "clip.has_vision_encoder", f->vision);
    tw_gguf_put_bool(w, "clip.use_gelu", f->gelu);
    if (f->extra_key) tw_gguf_put_string(w, f->extra_key, "x");
    if (f->text) {
        put_tower(w, "text", f);
        tw_gguf_put_u32(w, "clip.text.context_length", 8);
        put_tokens(w, f, arch->text.vocab_size);
    }
    if (f->vision) {
        put_tower(w, "vision", f);
        tw_gguf_put_u32(w, "clip.vision.image_size", 8);
        tw_gguf_put_u32(w, "clip.vision.patch_size", 4);
        tw_gguf_put_f32_array(w, "clip.vision.image_mean", mean, 3);
        tw_gguf_put_f32_array(w, "clip.vision.image_std", std, 3);
    }
}

/* Every tensor holds its number in the file. */
static const char *write_file(const clip_cpp *f) {
    const char *path = test_temporary(".gguf");
    tw_gguf_writer *w;
    tw_output output;
    tw_schema schema;
    tw_arch arch;
    tiny_arch(&arch, f->vision ? TW_VISION_VIT : TW_VISION_NONE,
              f->text ? TW_TEXT_CLIP : TW_TEXT_NONE);
    if (f->tokens) arch.text.vocab_size = tw_tokenizer_vocab_size(f->tokens);
    assert_ok(tw_gguf_writer_create(&w, &err), &err);
    put_keys(w, f, &arch);
    assert_ok(tw_schema_build(&arch, &schema, &err), &err);
    for (size_t i = 0; i < schema.n_entries; i++) {
        const tw_schema_entry *e = &schema.entries[i];
        assert_ok(tw_gguf_declare(w, e->name, TW_F32, e->n_dims, e->shape, &err), &err);
    }
    assert_ok(tw_output_open(path, &output, &err), &err);
    assert_ok(tw_gguf_writer_begin(w, &output, &err), &err);
    for (size_t i = 0; i < schema.n_entries; i++) {
        tw_tensor t = {.n_dims = schema.entries[i].n_dims};
        memcpy(t.shape, schema.entries[i].shape, sizeof schema.entries[i].shape);
        float number = (float)i;
        uint32_t bits;
        uint8_t bytes[4];
        memcpy(&bits, &number, sizeof bits);
        tw_store_u32le(bytes, bits);
        for (size_t n = tw_tensor_elements(&t); n > 0; n--)
            assert_ok(tw_gguf_write(w, bytes, sizeof bytes, &err), &err);
    }
    assert_ok(tw_gguf_writer_end(w, &err), &err);
    assert_ok(tw_output_commit(&output, &err), &err);
    tw_schema_free(&schema);
    tw_gguf_writer_free(w);
    return path;
}

static char warnings[2048];

static void remember(void *user, tw_log_level level, const char *message) {
    (void)user;
    (void)level;
    size_t n = strlen(warnings);
    snprintf(warnings + n, sizeof warnings - n, "%s\n", message);
}

static tw_status convert_with(const char *from, const char *to, tw_convert_options *o) {
    tw_hooks hooks = TW_HOOKS_INIT;
    hooks.log = remember;
    warnings[0] = '\0';
    o->hooks = &hooks;
    return tw_convert(from, to, o, &err);
}

static tw_model *converted(const clip_cpp *f) {
    const char *path = test_temporary(".gguf");
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    tw_model *m;
    assert_ok(convert_with(write_file(f), path, &o), &err);
    assert_ok(tw_model_open(path, &m, &err), &err);
    return m;
}

static void refused(const char *file, tw_convert_options *o, tw_status status, const char *part) {
    tw_convert_options none = TW_CONVERT_OPTIONS_INIT;
    assert_fails(convert_with(file, test_temporary(".gguf"), o ? o : &none), status, &err);
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
}

/* -------------------------------------------------------------------------------------- clip.cpp
 */

static void metadata_of_clip_cpp_tell_what_shapes_do_not(void **state) {
    (void)state;
    clip_cpp f = whole;
    f.heads = 4;
    f.eps = 1e-6f;
    f.gelu = true;
    tw_model *m = converted(&f);
    const tw_arch *a = tw_model_arch(m);
    const tw_recipe *r = tw_model_recipe(m);
    assert_int_equal(a->vision.n_heads, 4);
    assert_int_equal(a->vision.head_width, 2);
    assert_int_equal(a->text.n_heads, 4);
    assert_true(a->vision.norm_eps == 1e-6f && a->text.norm_eps == 1e-6f);
    assert_int_equal(a->vision.activation, TW_GELU_ERF);
    assert_int_equal(a->text.activation, TW_GELU_ERF);
    assert_int_equal(a->text.context_length, 8);
    assert_int_equal(r->resize_mode, TW_RESIZE_SHORTEST);
    assert_int_equal(r->rgb_order, TW_RGB_FIRST);
    assert_int_equal(r->crop_rounding, TW_CROP_FLOOR);
    assert_true(r->mean[1] == 0.25f && r->std[1] == 0.75f);
    assert_true(tw_model_logit_scale(m) == 4.6051702f);
    assert_non_null(strstr(warnings, "ln(100)"));
    tw_model_free(m);
    m = converted(&whole);
    assert_int_equal(tw_model_arch(m)->vision.activation, TW_QUICK_GELU);
    assert_int_equal(tw_model_arch(m)->vision.head_width, 4);
    tw_model_free(m);
}

/* The first linear of the MLP is called ffn_down there, as here. */
static void tensors_of_clip_cpp_keep_their_names(void **state) {
    (void)state;
    tw_model *m = converted(&whole);
    assert_int_equal(m->vision.blocks[0].fc1.weight.shape[0], 16);
    assert_int_equal(m->vision.blocks[0].fc2.weight.shape[0], 8);
    for (size_t i = 0; i < tw_gguf_n_tensors(m->gguf); i++) {
        float v;
        tw_tensor_to_f32_range(&tw_gguf_tensor_at(m->gguf, i)->view, 0, 1, &v);
        assert_true(v == (float)i);
    }
    tw_model_free(m);
}

static void one_tower_of_clip_cpp_is_enough(void **state) {
    (void)state;
    clip_cpp text = whole, vision = whole;
    text.vision = false;
    vision.text = false;
    tw_model *m = converted(&text);
    assert_int_equal(tw_model_arch(m)->vision.kind, TW_VISION_NONE);
    tw_model_free(m);
    m = converted(&vision);
    assert_int_equal(tw_model_arch(m)->text.kind, TW_TEXT_NONE);
    tw_model_free(m);
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.vision_only = true;
    refused(write_file(&text), &o, TW_ERR_MISMATCH, "no image tower");
    o.vision_only = false;
    o.text_only = true;
    refused(write_file(&vision), &o, TW_ERR_MISMATCH, "no text tower");
}

static void the_tokens_must_be_those_of_the_byte_pairs(void **state) {
    (void)state;
    tw_tokenizer *openai, *open_clip;
    assert_ok(tw_tokenizer_bpe(NULL, 0, TW_BPE_OPENAI, &openai, &err), &err);
    assert_ok(tw_tokenizer_bpe(NULL, 0, TW_BPE_OPEN_CLIP, &open_clip, &err), &err);
    clip_cpp f = whole;
    const struct {
        const tw_tokenizer *tokens;
        const char *other, *last;
    } cases[] = {{openai, NULL, "<|endoftext|>"},
                 {open_clip, NULL, "<end_of_text>"},
                 {openai, "?", NULL},
                 {NULL, NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f.tokens = cases[i].tokens;
        f.other_token = cases[i].other;
        tw_model *m = converted(&f);
        const tw_tokenizer *t = tw_model_tokenizer(m);
        if (cases[i].last)
            assert_string_equal(tw_tokenizer_token(t, tw_tokenizer_vocab_size(t) - 1),
                                cases[i].last);
        else
            assert_null(t);
        assert_int_equal(strstr(warnings, "token ids alone") == NULL, t != NULL);
        tw_model_free(m);
    }
    tw_tokenizer_free(openai);
    tw_tokenizer_free(open_clip);
}

static void what_clip_cpp_cannot_mean_is_refused(void **state) {
    (void)state;
    clip_cpp f = whole;
    f.heads = 3;
    refused(write_file(&f), NULL, TW_ERR_MISMATCH, "3 heads do not divide the width 8");
    f = whole;
    f.extra_key = "clip.projector_type";
    refused(write_file(&f), NULL, TW_ERR_UNSUPPORTED, "a projector for a language model");
    f = whole;
    f.eps = -1;
    refused(write_file(&f), NULL, TW_ERR_LIMIT, "norm epsilon");
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.arch = "ViT-B-32";
    refused(write_file(&whole), &o, TW_ERR_ARGUMENT, "says itself");
    o = (tw_convert_options)TW_CONVERT_OPTIONS_INIT;
    o.vision_head_width = 2;
    refused(write_file(&whole), &o, TW_ERR_MISMATCH, "head width 2");
}

/* ------------------------------------------------------------------- files made by a script, dev/
 */

#define CORPUS TEST_SOURCE_DIR "/tests/fuzz/gguf/corpus/clip_cpp_"

static void packed_types_are_read_as_f32(void **state) {
    (void)state;
    static const char *const files[] = {CORPUS "q4_0.gguf", CORPUS "q4_1.gguf",
                                        CORPUS "q5_0.gguf", CORPUS "q5_1.gguf",
                                        CORPUS "q8_0.gguf", CORPUS "small_alignment.gguf"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tw_checkpoint *c;
        const char *path = test_temporary(".gguf");
        tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
        tw_model *m;
        assert_ok(convert_with(files[i], path, &o), &err);
        assert_ok(tw_model_open(path, &m, &err), &err);
        assert_ok(tw_checkpoint_open(files[i], &c, &err), &err);
        const tw_tensor *from = tw_checkpoint_find(c, "v.blk.0.ffn_up.weight");
        const tw_tensor *to = &m->vision.blocks[0].fc2.weight;
        float x[32 * 64], y[32 * 64];
        assert_non_null(from->unpack);
        assert_int_equal(to->dtype, TW_F32);
        tw_tensor_to_f32(from, x);
        tw_tensor_to_f32(to, y);
        assert_memory_equal(x, y, sizeof x);
        tw_model_free(m);
        tw_checkpoint_free(c);
    }
}

static void other_gguf_files_are_refused_by_name(void **state) {
    (void)state;
    refused(CORPUS "unread_type.gguf", NULL, TW_ERR_UNSUPPORTED,
            "'v.x.weight' is quantised as q6_k, which is not read; give the unquantised file");
    refused(CORPUS "llama.gguf", NULL, TW_ERR_UNSUPPORTED, "architecture 'llama'");
    refused(CORPUS "mmproj.gguf", NULL, TW_ERR_UNSUPPORTED, "mmproj");
    refused(CORPUS "overlap.gguf", NULL, TW_ERR_FORMAT, "'a' and 'b' overlap");
    refused(CORPUS "outside.gguf", NULL, TW_ERR_FORMAT, "outside the file");
    refused(CORPUS "no_alignment.gguf", NULL, TW_ERR_FORMAT, "general.alignment");
    refused(CORPUS "odd_alignment.gguf", NULL, TW_ERR_FORMAT, "not a power of two");
    refused(CORPUS "many_strings.gguf", NULL, TW_ERR_LIMIT, "1152921504606846976 elements");
    refused(CORPUS "nested.gguf", NULL, TW_ERR_UNSUPPORTED, "array of arrays");
    refused(CORPUS "no_heads.gguf", NULL, TW_ERR_FORMAT, "clip.vision.attention.head_count");
}

static void ggml_files_from_before_gguf_are_named(void **state) {
    (void)state;
    static const char *const magics[] = {"lmgg", "fmgg", "tjgg"};
    for (size_t i = 0; i < 3; i++) {
        tw_checkpoint *c;
        char file[64] = {0};
        memcpy(file, magics[i], 4);
        assert_fails(tw_checkpoint_parse(file, sizeof file, &c, &err), TW_ERR_UNSUPPORTED, &err);
        assert_non_null(strstr(err.message, "a ggml file from before GGUF"));
    }
}

/* ------------------------------------------------------------------------------- model files */

static void assert_same_weights(const tw_model *a, const tw_model *b) {
    assert_int_equal(tw_gguf_n_tensors(a->gguf), tw_gguf_n_tensors(b->gguf));
    for (size_t i = 0; i < tw_gguf_n_tensors(a->gguf); i++) {
        const tw_gguf_tensor *x = tw_gguf_tensor_at(a->gguf, i), *y = tw_gguf_tensor_at(b->gguf, i);
        assert_string_equal(x->view.name, y->view.name);
        assert_int_equal(x->n_bytes, y->n_bytes);
        assert_memory_equal(x->data, y->data, x->n_bytes);
    }
}

static void a_model_file_converted_again_is_the_same_model(void **state) {
    (void)state;
    static const struct {
        tw_vision_kind vision;
        tw_text_kind text;
    } kinds[] = {{TW_VISION_VIT, TW_TEXT_BERT},    {TW_VISION_VIT, TW_TEXT_CLIP},
                 {TW_VISION_RESNET, TW_TEXT_BERT}, {TW_VISION_RESNET, TW_TEXT_NONE},
                 {TW_VISION_RESNET, TW_TEXT_CLIP}, {TW_VISION_VIT, TW_TEXT_NONE},
                 {TW_VISION_NONE, TW_TEXT_BERT},   {TW_VISION_NONE, TW_TEXT_CLIP}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *from = test_temporary(".gguf"), *to = test_temporary(".gguf");
        tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
        tw_arch arch;
        tw_model *a, *b;
        tiny_arch(&arch, kinds[i].vision, kinds[i].text);
        tiny_model_write(from, &arch, TW_F16);
        assert_ok(convert_with(from, to, &o), &err);
        assert_ok(tw_model_open(from, &a, &err), &err);
        assert_ok(tw_model_open(to, &b, &err), &err);
        assert_memory_equal(tw_model_arch(a), tw_model_arch(b), sizeof arch);
        assert_recipe_equal(tw_model_recipe(a), tw_model_recipe(b));
        assert_true(tw_model_logit_scale(a) == tw_model_logit_scale(b));
        const tw_tokenizer *x = tw_model_tokenizer(a), *y = tw_model_tokenizer(b);
        assert_int_equal(x == NULL, y == NULL);
        if (x) assert_string_equal(tw_tokenizer_token(x, 11), tw_tokenizer_token(y, 11));
        assert_same_weights(a, b);
        tw_model_free(a);
        tw_model_free(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_of_clip_cpp_tell_what_shapes_do_not),
        cmocka_unit_test(tensors_of_clip_cpp_keep_their_names),
        cmocka_unit_test(one_tower_of_clip_cpp_is_enough),
        cmocka_unit_test(the_tokens_must_be_those_of_the_byte_pairs),
        cmocka_unit_test(what_clip_cpp_cannot_mean_is_refused),
        cmocka_unit_test(packed_types_are_read_as_f32),
        cmocka_unit_test(other_gguf_files_are_refused_by_name),
        cmocka_unit_test(ggml_files_from_before_gguf_are_named),
        cmocka_unit_test(a_model_file_converted_again_is_the_same_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
