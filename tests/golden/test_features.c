/* The tiny models, from every container they exist in: features, intermediate stages and
 * probabilities against float64 references made from the stored weights, and the promise that
 * neither batch nor threads change a bit.
 *
 * Limits: a float32 forward pass of these networks differs from the float64 one by up to 2e-6
 * (original code, torch); 1e-5 leaves room for another order of summation. Probabilities are a
 * softmax of logits around 1, whose error is below a tenth of the features'. */
#include "../kernels/emulated_avx512.h"
#include "shard_builder.h"
#include "support.h"

#include "backend/cpu/cpu.h"
#include "base/json.h"
#include "encode/encoder.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double feature_limit = 1e-5, probability_limit = 1e-6;

typedef struct golden_case {
    const char *name, *checkpoint, *dir;
    const char *vision_json, *text_json; /* NULL: the container tells all, or the options below */
    const char *image_features, *text_features;
    bool own_values; /* other weights than the model's goldens.json */
    bool shared;     /* `checkpoint` is in the folder of shared data: skipped where there is none */
    tw_activation activation;
    int32_t head_width;
    const char *values; /* JSON: own features and logits, in place of the .npy and goldens.json */
    const char *const *beside; /* the checkpoint in two shards, in a folder with these files */
    bool no_scale; /* the file has no logit scale: probabilities are taken with goldens.json's */
} golden_case;

#define VIT "checkpoints/tiny_cn_vit"
#define RN "checkpoints/tiny_cn_rn"
#define VIT_CASE(file)                                                                             \
    {                                                                                              \
        file, VIT "/" file, VIT, VIT "/tiny-vit.json", VIT "/tiny-bert.json",                      \
            VIT "/unnorm_image_features.npy", VIT "/unnorm_text_features.npy", false, false, 0, 0, \
            NULL, NULL, false                                                                      \
    }
#define OPENAI "checkpoints/tiny_openai_vit"
#define OPEN_CLIP "checkpoints/tiny_openclip_gelu"
#define CLIP_CASE(folder, path, ...)                                                               \
    {                                                                                              \
        .name = path, .checkpoint = path, .dir = folder,                                           \
        .image_features = folder "/unnorm_image_features.npy",                                     \
        .text_features = folder "/unnorm_text_features.npy", __VA_ARGS__                           \
    }
#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SPLIT_CASE(folder, path, files, ...)                                                       \
    {                                                                                              \
        .name = path " in two shards", .checkpoint = path, .dir = folder,                          \
        .image_features = folder "/unnorm_image_features.npy",                                     \
        .text_features = folder "/unnorm_text_features.npy", .beside = files, __VA_ARGS__          \
    }
#define SHARED_OPENAI "data/goldens/tiny_openai_vit/"

static const golden_case cases[] = {
    VIT_CASE("clip_cn_tiny-vit.pt"),
    VIT_CASE("stress.pt"),
    VIT_CASE("flash_wqkv.pt"),
    VIT_CASE("torch113/clip_cn_tiny-vit.pt"),
    VIT_CASE("torch113/legacy.pt"),
    VIT_CASE("hf/pytorch_model.bin"),
    VIT_CASE("hf/model.safetensors"),
    {"torch113/half_with_optimizer.pt", VIT "/torch113/half_with_optimizer.pt", VIT,
     VIT "/tiny-vit.json", VIT "/tiny-bert.json",
     VIT "/torch113/half_with_optimizer.unnorm_image_features.npy",
     VIT "/torch113/half_with_optimizer.unnorm_text_features.npy", true, false, 0, 0, NULL, NULL,
     false},
    CLIP_CASE(OPENAI, OPENAI "/torch113/torchscript.pt", .shared = false),
    CLIP_CASE(OPENAI, SHARED_OPENAI "torchscript.pt", .shared = true),
    CLIP_CASE(OPENAI, SHARED_OPENAI "torch113/state_dict_from_jit.pt", .shared = true),
    CLIP_CASE(OPENAI, SHARED_OPENAI "state_dict.pt", .shared = true, .activation = TW_QUICK_GELU,
              .head_width = 64),
    CLIP_CASE(OPENAI, SHARED_OPENAI "legacy.pt", .shared = true, .activation = TW_QUICK_GELU,
              .head_width = 64),
    CLIP_CASE(OPENAI, SHARED_OPENAI "legacy_wrapped.pt", .shared = true,
              .activation = TW_QUICK_GELU, .head_width = 64),
    CLIP_CASE(OPENAI, SHARED_OPENAI "hf/model.safetensors", .shared = true),
    {.name = "tiny_ggml-model-f16.gguf",
     .checkpoint = OPENAI "/tiny_ggml-model-f16.gguf",
     .dir = OPENAI,
     .values = OPENAI "/gguf_goldens_f16.json"},
    {.name = "tiny_ggml-model-f32.gguf",
     .checkpoint = SHARED_OPENAI "tiny_ggml-model-f32.gguf",
     .dir = OPENAI,
     .values = SHARED_OPENAI "gguf_goldens_f32.json",
     .shared = true},
    CLIP_CASE(OPENAI, SHARED_OPENAI "hf", .shared = true),
    SPLIT_CASE(OPENAI, "data/goldens/tiny_openai_vit/hf/model.safetensors",
               FILES(SHARED_OPENAI "hf/config.json"), .shared = true),
    CLIP_CASE(VIT, VIT "/hf", .shared = false),
    SPLIT_CASE(VIT, VIT "/hf/model.safetensors",
               FILES(VIT "/hf/config.json", VIT "/hf/preprocessor_config.json"), .shared = false),
    CLIP_CASE(OPEN_CLIP, OPEN_CLIP, .shared = false),
    CLIP_CASE(OPEN_CLIP, OPEN_CLIP "/open_clip_model.safetensors", .shared = false),
    CLIP_CASE(OPEN_CLIP, "data/goldens/tiny_openclip_gelu/open_clip_pytorch_model.bin",
              .shared = true),
    {"clip_cn_tiny-rn.pt", RN "/clip_cn_tiny-rn.pt", RN, RN "/tiny-rn.json", RN "/tiny-rbt.json",
     RN "/unnorm_image_features.npy", RN "/unnorm_text_features.npy", false, false, 0, 0, NULL,
     NULL, false},
    CLIP_CASE(VIT, "data/goldens/onnx_tiny_cn_vit/tiny-vit.img.fp32.onnx", .shared = true,
              .no_scale = true),
    CLIP_CASE(RN, "data/goldens/onnx_tiny_cn_rn/tiny-rn.img.fp32.onnx", .shared = true,
              .no_scale = true),
};

static tw_error err;

/* An array of a .npy file as f32; free() it. */
static float *load(const char *path, size_t *n) {
    size_t n_bytes;
    uint8_t *bytes = test_read(path, &n_bytes);
    tw_tensor t;
    assert_ok(tw_npy_parse(bytes, n_bytes, &t, &err), &err);
    *n = tw_tensor_elements(&t);
    float *out = malloc((*n + 1) * sizeof *out);
    assert_non_null(out);
    tw_tensor_to_f32(&t, out);
    free(bytes);
    return out;
}

static double largest_difference(const float *a, const float *b, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= largest)) largest = d; /* NaN counts as infinitely far */
    }
    return largest;
}

static void assert_close(const char *what, const float *got, const float *expected, size_t n,
                         double limit) {
    double d = largest_difference(got, expected, n);
    if (!(d <= limit)) fail_msg("%s: differs by %g, limit %g", what, d, limit);
}

/* Path of a file; the test is skipped when it is shared data that is not there. */
static const char *find_file(const char *name, bool is_shared) {
    static char path[1024];
    if (!is_shared) return test_data(name);
    const char *shared = getenv("TUWEN_SHARED");
    snprintf(path, sizeof path, "%s/%s", shared ? shared : TEST_SOURCE_DIR "/../shared", name);
    if (access(path, R_OK) != 0) {
        printf("data not present: %s\n", name);
        skip();
    }
    return path;
}

/* The folder that a case in two shards is made in. */
static const char *split_case(const golden_case *c) {
    const char *folder = test_folder();
    test_split(find_file(c->checkpoint, c->shared), folder);
    for (const char *const *name = c->beside; *name; name++) {
        size_t n;
        uint8_t *bytes = test_read(find_file(*name, c->shared), &n);
        test_write(test_in(folder, strrchr(*name, '/') + 1), bytes, n);
        free(bytes);
    }
    return folder;
}

/* Converts each case once. */
static tw_model *open_model(const golden_case *c) {
    static const char *converted[sizeof cases / sizeof *cases];
    const char **path = &converted[c - cases];
    if (!*path) {
        char arch[2048];
        tw_convert_options options = TW_CONVERT_OPTIONS_INIT;
        if (c->vision_json) {
            snprintf(arch, sizeof arch, "%s,%s", test_data(c->vision_json),
                     test_data(c->text_json));
            options.arch = arch;
        }
        options.activation = c->activation;
        options.vision_head_width = options.text_head_width = c->head_width;
        const char *checkpoint = c->beside ? split_case(c) : find_file(c->checkpoint, c->shared);
        *path = test_temporary(".gguf");
        assert_ok(tw_convert(checkpoint, *path, &options, &err), &err);
    }
    tw_model *model;
    assert_ok(tw_model_open(*path, &model, &err), &err);
    return model;
}

typedef struct bench {
    tw_model *model;
    tw_pool *pool;
    tw_encoder *encoder;
    size_t dim, picture;
    float *pixels; /* [1, 3, R, R] */
    int32_t *ids;  /* [n_texts, length] */
    size_t n_texts;
    int32_t length;
} bench;

static bench setup_model(const golden_case *c, tw_model *model, int n_threads, int batch) {
    bench b = {.model = model};
    assert_ok(tw_pool_create(n_threads, &b.pool, &err), &err);
    tw_encoder_options options = TW_ENCODER_OPTIONS_INIT;
    options.batch = batch;
    assert_ok(tw_encoder_create(b.model, b.pool, &options, &b.encoder, &err), &err);
    b.dim = (size_t)tw_model_arch(b.model)->embed_dim;
    char path[256];
    snprintf(path, sizeof path, "%s/image_input.npy", c->dir);
    b.pixels = load(test_data(path), &b.picture);
    snprintf(path, sizeof path, "%s/input_ids.npy", c->dir);
    size_t n;
    float *ids = load(test_data(path), &n);
    b.length = tw_model_arch(b.model)->text.context_length;
    b.n_texts = n / (size_t)b.length;
    b.ids = malloc(n * sizeof *b.ids);
    assert_non_null(b.ids);
    for (size_t i = 0; i < n; i++)
        b.ids[i] = (int32_t)ids[i];
    free(ids);
    return b;
}

static bench setup(const golden_case *c, int n_threads, int batch) {
    return setup_model(c, open_model(c), n_threads, batch);
}

static void teardown(bench *b) {
    free(b->pixels);
    free(b->ids);
    tw_encoder_free(b->encoder);
    tw_pool_free(b->pool);
    tw_model_free(b->model);
}

/* The numbers of an array, or of an array of arrays, of a JSON file; free() them. */
static float *load_json(const char *path, const char *key, size_t *n) {
    size_t n_bytes, capacity = 0;
    uint8_t *bytes = test_read(path, &n_bytes);
    tw_json_doc *doc;
    assert_ok(tw_json_parse(bytes, n_bytes, &doc, &err), &err);
    const tw_json *array = tw_json_get(tw_json_root(doc), key);
    assert_non_null(array);
    for (const tw_json *v = array->first; v; v = v->next)
        capacity += v->type == TW_JSON_ARRAY ? v->n_items : 1;
    float *out = malloc((capacity + 1) * sizeof *out);
    assert_non_null(out);
    *n = 0;
    for (const tw_json *v = array->first; v; v = v->next)
        for (const tw_json *x = v->type == TW_JSON_ARRAY ? v->first : v; x; x = x->next) {
            out[(*n)++] = (float)x->number;
            if (x == v) break;
        }
    tw_json_free(doc);
    free(bytes);
    return out;
}

static float load_number(const char *path, const char *key) {
    size_t n_bytes;
    uint8_t *bytes = test_read(path, &n_bytes);
    tw_json_doc *doc;
    assert_ok(tw_json_parse(bytes, n_bytes, &doc, &err), &err);
    const tw_json *v = tw_json_get(tw_json_root(doc), key);
    assert_non_null(v);
    float number = (float)v->number;
    tw_json_free(doc);
    free(bytes);
    return number;
}

/* Expected features of the picture or of the texts; free() them. */
static float *load_features(const golden_case *c, bool image, size_t *n) {
    if (!c->values) return load(test_data(image ? c->image_features : c->text_features), n);
    return load_json(find_file(c->values, c->shared),
                     image ? "unnorm_image_features" : "unnorm_text_features", n);
}

static void check_probabilities(const golden_case *c, const bench *b, const char *what,
                                const float *image, const float *texts) {
    char path[256];
    snprintf(path, sizeof path, "%s/goldens.json", c->dir);
    float probs[16];
    size_t n;
    float *expected = load_json(test_data(path), "probs", &n);
    assert_int_equal(n, b->n_texts);
    float scale = tw_model_logit_scale(b->model);
    if (c->no_scale) {
        assert_true(scale == 4.6051702f); /* ln(100), as Chinese-CLIP's deployment */
        scale = load_number(test_data(path), "logit_scale");
    }
    assert_ok(tw_similarity(image, 1, texts, n, b->dim, scale, NULL, NULL, probs, &err), &err);
    assert_close(what, probs, expected, n, probability_limit);
    free(expected);
}

/* Logits are 100 times a cosine, which is held to the limit of a probability. */
static void check_logits(const golden_case *c, const bench *b, const float *image,
                         const float *texts) {
    float logits[16];
    size_t n;
    float *expected = load_json(find_file(c->values, c->shared), "logits_times_100", &n);
    assert_int_equal(n, b->n_texts);
    assert_ok(tw_similarity(image, 1, texts, n, b->dim, tw_model_logit_scale(b->model), NULL,
                            logits, NULL, &err),
              &err);
    assert_close("logits", logits, expected, n, 100 * probability_limit);
    free(expected);
}

static void features_and_probabilities_equal_the_reference(void **state) {
    const golden_case *c = *state;
    bench b = setup(c, 2, 8);
    size_t n;
    float *expected_image = load_features(c, true, &n);
    assert_int_equal(n, b.dim);
    float *expected_text = load_features(c, false, &n);
    assert_int_equal(n, b.n_texts * b.dim);
    float *image = malloc(b.dim * sizeof *image), *texts = malloc(n * sizeof *texts);
    assert_non_null(image);
    assert_non_null(texts);
    assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, image, &err), &err);
    assert_ok(tw_encode_ids(b.encoder, b.ids, b.n_texts, b.length, texts, &err), &err);
    assert_close("image features", image, expected_image, b.dim, feature_limit);
    assert_close("text features", texts, expected_text, n, feature_limit);
    if (c->values)
        check_logits(c, &b, image, texts);
    else if (!c->own_values)
        check_probabilities(c, &b, "probabilities", image, texts);
    free(expected_image);
    free(expected_text);
    free(image);
    free(texts);
    teardown(&b);
}

/* Some go side by side, of these small ones twelve on a thread, or 48 where it is a ResNet. */
enum { N_PICTURES = 100 };

/* Features of all pictures (the golden one among noise) and all texts, in an order of its own. */
static void encode_all(bench *b, float *images, float *texts) {
    float *pixels = malloc(N_PICTURES * b->picture * sizeof *pixels);
    assert_non_null(pixels);
    uint64_t seed = 7;
    for (size_t i = 0; i < N_PICTURES * b->picture; i++)
        pixels[i] = 2 * test_random_float(&seed);
    memcpy(pixels + 3 * b->picture, b->pixels, b->picture * sizeof *pixels);
    assert_ok(tw_encode_pixels(b->encoder, pixels, N_PICTURES, images, &err), &err);
    assert_ok(tw_encode_ids(b->encoder, b->ids, b->n_texts, b->length, texts, &err), &err);
    free(pixels);
}

static void batch_and_threads_do_not_change_a_bit(void **state) {
    const golden_case *c = *state;
    static const struct {
        int threads, batch;
    } runs[] = {{1, 1}, {1, 100}, {2, 1}, {2, 3}, {2, 100}, {3, 2}, {3, 40}};
    float *first = NULL;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        bench b = setup(c, runs[i].threads, runs[i].batch);
        size_t n = (N_PICTURES + b.n_texts) * b.dim;
        float *all = calloc(n, sizeof *all), *alone = calloc(b.dim, sizeof *alone);
        assert_non_null(all);
        assert_non_null(alone);
        encode_all(&b, all, all + N_PICTURES * b.dim);
        assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, alone, &err), &err);
        assert_memory_equal(alone, all + 3 * b.dim, b.dim * sizeof *alone);
        size_t last = b.n_texts - 1;
        assert_ok(
            tw_encode_ids(b.encoder, b.ids + last * (size_t)b.length, 1, b.length, alone, &err),
            &err);
        assert_memory_equal(alone, all + (N_PICTURES + last) * b.dim, b.dim * sizeof *alone);
        if (first) assert_memory_equal(all, first, n * sizeof *all);
        if (!first)
            first = all;
        else
            free(all);
        free(alone);
        teardown(&b);
    }
    free(first);
}

static void texts_and_ids_agree(void **state) {
    const golden_case *c = *state;
    static const char *const texts[] = {"杰尼龟", "妙蛙种子", "小火龙", "皮卡丘",
                                        "iPhone 13 Pro Max 手机壳"};
    bench b = setup(c, 2, 8);
    float *from_ids = malloc(5 * b.dim * sizeof *from_ids);
    float *from_text = malloc(5 * b.dim * sizeof *from_text);
    bool truncated[5];
    assert_non_null(from_ids);
    assert_non_null(from_text);
    assert_ok(tw_encode_ids(b.encoder, b.ids, 5, b.length, from_ids, &err), &err);
    assert_ok(tw_encode_texts(b.encoder, texts, 5, NULL, from_text, truncated, &err), &err);
    assert_memory_equal(from_ids, from_text, 5 * b.dim * sizeof *from_ids);
    for (int i = 0; i < 5; i++)
        assert_false(truncated[i]);
    free(from_ids);
    free(from_text);
    teardown(&b);
}

/* ------------------------------------------------------------------ intermediate stages */

typedef struct stage {
    const char *name, *file;
    bool planes; /* the reference is [C, H, W], ours [H*W, C] */
    int seen;
} stage;

static stage vit_stages[] = {
    {"visual.ln_pre", VIT "/mid_vision_after_ln_pre.npy", false, 0},
    {"visual.transformer.resblocks.0", VIT "/mid_vision_after_block_0.npy", false, 0},
    {"visual.transformer.resblocks.1", VIT "/mid_vision_after_block_1.npy", false, 0},
    {"bert.embeddings", VIT "/mid_text_embeddings.npy", false, 0},
    {"bert.encoder.layer.0", VIT "/mid_text_after_layer_0.npy", false, 0},
    {"bert.encoder.layer.1", VIT "/mid_text_after_layer_1.npy", false, 0},
};
static stage rn_stages[] = {
    {"visual.stem", RN "/mid_vision_after_stem.npy", true, 0},
    {"visual.layer1", RN "/mid_vision_after_layer1.npy", true, 0},
    {"visual.layer2", RN "/mid_vision_after_layer2.npy", true, 0},
    {"visual.layer3", RN "/mid_vision_after_layer3.npy", true, 0},
    {"visual.layer4", RN "/mid_vision_after_layer4.npy", true, 0},
    {"bert.embeddings", RN "/mid_text_embeddings.npy", false, 0},
    {"bert.encoder.layer.0", RN "/mid_text_after_layer_0.npy", false, 0},
};

static stage openai_stages[] = {
    {"visual.ln_pre", OPENAI "/mid_vision_after_ln_pre.npy", false, 0},
    {"visual.transformer.resblocks.0", OPENAI "/mid_vision_after_block_0.npy", false, 0},
    {"visual.transformer.resblocks.1", OPENAI "/mid_vision_after_block_1.npy", false, 0},
    {"transformer.resblocks.0", OPENAI "/mid_text_after_block_0.npy", false, 0},
    {"transformer.resblocks.1", OPENAI "/mid_text_after_block_1.npy", false, 0},
};

typedef struct stage_list {
    stage *stages;
    size_t n;
} stage_list;

/* Rows of padding in the reference have no counterpart: only ours are compared. */
static void compare_stage(void *user, const char *name, const float *x, size_t n_rows,
                          size_t n_columns, size_t ld) {
    stage_list *list = user;
    for (size_t i = 0; i < list->n; i++) {
        stage *s = &list->stages[i];
        if (strcmp(name, s->name) != 0) continue;
        size_t n;
        float *expected = load(test_data(s->file), &n);
        assert_true(n >= n_rows * n_columns);
        float *got = malloc(n_rows * n_columns * sizeof *got);
        assert_non_null(got);
        for (size_t r = 0; r < n_rows; r++)
            for (size_t k = 0; k < n_columns; k++)
                got[s->planes ? k * n_rows + r : r * n_columns + k] = x[r * ld + k];
        assert_close(name, got, expected, n_rows * n_columns, feature_limit);
        free(expected);
        free(got);
        s->seen++;
    }
}

static void every_stage_equals_the_reference(void **state) {
    const golden_case *c = *state;
    stage_list list = {rn_stages, sizeof rn_stages / sizeof *rn_stages};
    if (strcmp(c->dir, VIT) == 0)
        list = (stage_list){vit_stages, sizeof vit_stages / sizeof *vit_stages};
    if (strcmp(c->dir, OPENAI) == 0)
        list = (stage_list){openai_stages, sizeof openai_stages / sizeof *openai_stages};
    bench b = setup(c, 2, 8);
    float *out = malloc(b.dim * sizeof *out);
    assert_non_null(out);
    assert_ok(tw_encoder_observe(b.encoder, compare_stage, &list, &err), &err);
    assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, out, &err), &err);
    assert_ok(tw_encode_ids(b.encoder, b.ids, 1, b.length, out, &err), &err);
    for (size_t i = 0; i < list.n; i++)
        if (list.stages[i].seen != 1)
            fail_msg("stage %s was seen %d times", list.stages[i].name, list.stages[i].seen);
    free(out);
    teardown(&b);
}

/* The whole forward pass on each instruction set, the emulated one of 16 lanes included. */
static void every_instruction_set_gives_the_reference(void **state) {
    const golden_case *c = *state;
    const tw_kernels *tables[TW_KERNELS_MAX];
    int n_tables = tw_kernels_all(tables);
#ifdef HAVE_EMULATED_AVX512
    tables[n_tables++] = &tw_kernels_avx512_emulated;
#endif
    bench b = setup(c, 2, 8);
    size_t n_image, n_text;
    float *image = load(test_data(c->image_features), &n_image);
    float *text = load(test_data(c->text_features), &n_text);
    float *got = malloc(n_text * sizeof *got), *got_image = malloc(n_image * sizeof *got_image);
    assert_non_null(got);
    assert_non_null(got_image);
    for (int i = 0; i < n_tables; i++) {
        tw_backend_options options = {.max_batch = 8};
        tw_backend_state *original = b.encoder->state;
        assert_ok(tw_cpu_open(b.model, b.pool, &options, tables[i], &b.encoder->state, &err), &err);
        assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, got_image, &err), &err);
        assert_close(tables[i]->name, got_image, image, n_image, feature_limit);
        assert_ok(tw_encode_ids(b.encoder, b.ids, b.n_texts, b.length, got, &err), &err);
        assert_close(tables[i]->name, got, text, n_text, feature_limit);
        check_probabilities(c, &b, tables[i]->name, got_image, got);
        tw_backend_cpu.close(b.encoder->state);
        b.encoder->state = original;
    }
    free(image);
    free(text);
    free(got);
    free(got_image);
    teardown(&b);
}

/* ------------------------------------------------------------------------- wrong calls */

static void wrong_ids_are_refused(void **state) {
    const golden_case *c = *state;
    bench b = setup(c, 1, 8);
    float out[64];
    int32_t row[52] = {0};
    assert_fails(tw_encode_ids(b.encoder, row, 1, 52, out, &err), TW_ERR_ARGUMENT, &err);
    row[0] = 101, row[1] = 21128;
    assert_fails(tw_encode_ids(b.encoder, row, 1, 52, out, &err), TW_ERR_ARGUMENT, &err);
    row[1] = -1;
    assert_fails(tw_encode_ids(b.encoder, row, 1, 52, out, &err), TW_ERR_ARGUMENT, &err);
    row[1] = 0, row[2] = 102;
    assert_fails(tw_encode_ids(b.encoder, row, 1, 52, out, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_encode_ids(b.encoder, row, 1, 513, out, &err), TW_ERR_ARGUMENT, &err);
    assert_ok(tw_encode_ids(b.encoder, row, 0, 52, out, &err), &err);
    assert_ok(tw_encode_pixels(b.encoder, NULL, 0, out, &err), &err);
    teardown(&b);
}

static void a_bad_picture_does_not_stop_the_others(void **state) {
    const golden_case *c = *state;
    bench b = setup(c, 2, 2);
    float *features = malloc(3 * b.dim * sizeof *features);
    assert_non_null(features);
    size_t n_bytes;
    uint8_t *good = test_read(test_data("preprocess/pictures/red_apple.jpg"), &n_bytes);
    tw_bytes pictures[3] = {{good, n_bytes}, {"not a picture", 13}, {good, n_bytes}};
    tw_error errors[3];
    assert_ok(tw_encode_images(b.encoder, pictures, 3, NULL, NULL, features, errors, &err), &err);
    assert_int_equal(errors[0].status, TW_OK);
    assert_int_not_equal(errors[1].status, TW_OK);
    assert_int_equal(errors[2].status, TW_OK);
    assert_memory_equal(features, features + 2 * b.dim, b.dim * sizeof *features);
    assert_true(isnan(features[b.dim]));
    float alone[64];
    assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, alone, &err), &err);
    assert_memory_equal(alone, features, b.dim * sizeof *alone);
    tw_status status = tw_encode_images(b.encoder, pictures, 3, NULL, NULL, features, NULL, &err);
    assert_int_not_equal(status, TW_OK);
    assert_non_null(strstr(err.message, "picture 1"));
    free(good);
    free(features);
    teardown(&b);
}

/* custom_text_bf16.pt: other weights than the model's, of whose image tower there are numbers. */
static void bf16_image_features_equal_the_reference(void **state) {
    static const golden_case c = {.checkpoint = OPEN_CLIP "/custom_text_bf16.pt", .dir = OPEN_CLIP};
    tw_convert_options options = TW_CONVERT_OPTIONS_INIT;
    const char *path = test_temporary(".gguf");
    (void)state;
    assert_ok(tw_convert(test_data(c.checkpoint), path, &options, &err), &err);
    tw_model *model;
    assert_ok(tw_model_open(path, &model, &err), &err);
    bench b = setup_model(&c, model, 2, 8);
    size_t n;
    float got[64], *expected = load_json(test_data(OPEN_CLIP "/goldens.json"),
                                         "bf16_unnorm_image_features", &n);
    assert_int_equal(n, b.dim);
    assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, got, &err), &err);
    assert_close("image features", got, expected, n, feature_limit);
    free(expected);
    teardown(&b);
}

static const golden_case *find_case(const char *name) {
    const golden_case *c = cases;
    while (strcmp(c->name, name) != 0)
        c++;
    return c;
}

/* The row's largest id comes twice: what stands behind the first is not looked at. */
static void what_follows_the_end_of_text_does_not_matter(void **state) {
    const golden_case *c = *state;
    bench b = setup(c, 1, 8);
    float x[64], y[64];
    int32_t row[20] = {598, 0, 7, 599, 3, 599, 5};
    assert_true(b.dim <= 64);
    assert_ok(tw_encode_ids(b.encoder, row, 1, 20, x, &err), &err);
    row[4] = row[5] = row[6] = 0;
    assert_ok(tw_encode_ids(b.encoder, row, 1, 20, y, &err), &err);
    assert_memory_equal(x, y, b.dim * sizeof *x);
    assert_ok(tw_encode_ids(b.encoder, row, 1, 4, y, &err), &err);
    assert_memory_equal(x, y, b.dim * sizeof *x);
    row[1] = 1;
    assert_ok(tw_encode_ids(b.encoder, row, 1, 20, y, &err), &err);
    assert_memory_not_equal(x, y, b.dim * sizeof *x);
    row[1] = 600;
    assert_fails(tw_encode_ids(b.encoder, row, 1, 20, y, &err), TW_ERR_ARGUMENT, &err);
    row[1] = -1;
    assert_fails(tw_encode_ids(b.encoder, row, 1, 20, y, &err), TW_ERR_ARGUMENT, &err);
    memset(row, 0, sizeof row);
    assert_fails(tw_encode_ids(b.encoder, row, 1, 20, y, &err), TW_ERR_ARGUMENT, &err);
    teardown(&b);
}

static void texts_need_a_vocabulary(void **state) {
    const golden_case *c = *state;
    bench b = setup(c, 1, 8);
    const char *text = "a cat";
    float x[64];
    assert_null(tw_model_tokenizer(b.model));
    assert_fails(tw_encode_texts(b.encoder, &text, 1, NULL, x, NULL, &err), TW_ERR_UNSUPPORTED,
                 &err);
    assert_non_null(strstr(err.message, "no vocabulary"));
    teardown(&b);
}

/* The picture at 48 x 48, the position table resized as Chinese-CLIP does it. */
static void a_resized_model_gives_the_reference(void **state) {
    (void)state;
    const char *path = test_temporary(".gguf");
    tw_convert_options options = TW_CONVERT_OPTIONS_INIT;
    options.vision_head_width = 16;
    options.text_head_width = 8;
    options.resolution = 48;
    options.pos_embed = TW_POS_EMBED_CHINESE_CLIP;
    assert_ok(tw_convert(test_data(VIT "/clip_cn_tiny-vit.pt"), path, &options, &err), &err);
    bench b = {0};
    assert_ok(tw_model_open(path, &b.model, &err), &err);
    assert_ok(tw_pool_create(2, &b.pool, &err), &err);
    assert_ok(tw_encoder_create(b.model, b.pool, NULL, &b.encoder, &err), &err);
    size_t n;
    float got[32];
    b.pixels = load(test_data(VIT "/image_input_48.npy"), &n);
    assert_int_equal(n, 3 * 48 * 48);
    float *expected =
        load_json(test_data(VIT "/pos_embed_resize.json"), "image_features_at_48_chinese_clip", &n);
    assert_int_equal(n, 32);
    assert_ok(tw_encode_pixels(b.encoder, b.pixels, 1, got, &err), &err);
    assert_close("image features", got, expected, n, feature_limit);
    free(expected);
    teardown(&b);
}

int main(void) {
    enum { N = sizeof cases / sizeof *cases };
    static char names[2 * N][160];
    struct CMUnitTest tests[2 * N + 16];
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        snprintf(names[2 * i], sizeof names[0],
                 "features_and_probabilities_equal_the_reference: %s", cases[i].name);
        tests[n++] =
            (struct CMUnitTest){names[2 * i], features_and_probabilities_equal_the_reference, NULL,
                                NULL, (void *)&cases[i]};
        snprintf(names[2 * i + 1], sizeof names[0], "batch_and_threads_do_not_change_a_bit: %s",
                 cases[i].name);
        tests[n++] = (struct CMUnitTest){names[2 * i + 1], batch_and_threads_do_not_change_a_bit,
                                         NULL, NULL, (void *)&cases[i]};
    }
    const golden_case *vit = find_case("clip_cn_tiny-vit.pt"),
                      *rn = find_case("clip_cn_tiny-rn.pt"),
                      *openai = find_case(OPENAI "/torch113/torchscript.pt");
    tests[n++] =
        (struct CMUnitTest){"every_instruction_set_gives_the_reference: OpenAI",
                            every_instruction_set_gives_the_reference, NULL, NULL, (void *)openai};
    tests[n++] = (struct CMUnitTest){"every_stage_equals_the_reference: OpenAI",
                                     every_stage_equals_the_reference, NULL, NULL, (void *)openai};
    tests[n++] = (struct CMUnitTest){"what_follows_the_end_of_text_does_not_matter",
                                     what_follows_the_end_of_text_does_not_matter, NULL, NULL,
                                     (void *)openai};
    tests[n++] = (struct CMUnitTest){"texts_need_a_vocabulary", texts_need_a_vocabulary, NULL, NULL,
                                     (void *)openai};
    tests[n++] =
        (struct CMUnitTest){"texts_and_ids_agree", texts_and_ids_agree, NULL, NULL, (void *)vit};
    tests[n++] = (struct CMUnitTest){"every_stage_equals_the_reference: ViT",
                                     every_stage_equals_the_reference, NULL, NULL, (void *)vit};
    tests[n++] = (struct CMUnitTest){"every_stage_equals_the_reference: ResNet",
                                     every_stage_equals_the_reference, NULL, NULL, (void *)rn};
    tests[n++] =
        (struct CMUnitTest){"every_instruction_set_gives_the_reference: ViT",
                            every_instruction_set_gives_the_reference, NULL, NULL, (void *)vit};
    tests[n++] =
        (struct CMUnitTest){"every_instruction_set_gives_the_reference: ResNet",
                            every_instruction_set_gives_the_reference, NULL, NULL, (void *)rn};
    tests[n++] = (struct CMUnitTest){"bf16_image_features_equal_the_reference",
                                     bf16_image_features_equal_the_reference, NULL, NULL, NULL};
    tests[n++] = (struct CMUnitTest){"a_resized_model_gives_the_reference",
                                     a_resized_model_gives_the_reference, NULL, NULL, NULL};
    tests[n++] = (struct CMUnitTest){"wrong_ids_are_refused", wrong_ids_are_refused, NULL, NULL,
                                     (void *)vit};
    tests[n++] =
        (struct CMUnitTest){"a_bad_picture_does_not_stop_the_others: ViT",
                            a_bad_picture_does_not_stop_the_others, NULL, NULL, (void *)vit};
    tests[n++] =
        (struct CMUnitTest){"a_bad_picture_does_not_stop_the_others: ResNet",
                            a_bad_picture_does_not_stop_the_others, NULL, NULL, (void *)rn};
    return _cmocka_run_group_tests("features", tests, n, NULL, NULL);
}
