/* Every released architecture by its manifest of names and shapes: what it is recognised as, and
 * that each tensor has its place. Parameters are counted as the authors do. */
#include "manifest.h"
#include "support.h"

#include "model/arch.h"
#include "model/recognize.h"
#include "model/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tw_error err;

typedef struct released {
    const char *manifest, *name;
    uint64_t n_parameters;
    int32_t vision_heads, text_heads;
} released;

static released rows[] = {
    {"chinese_clip_RN50.pt", "RN50@RBT3-chinese", 76989537, 32, 12},
    {"chinese_clip_ViT-B-16.pt", "ViT-B-16@RoBERTa-wwm-ext-base-chinese", 188262913, 12, 12},
    {"chinese_clip_ViT-B-16.hf", "ViT-B-16@RoBERTa-wwm-ext-base-chinese", 188262913, 12, 12},
    {"chinese_clip_ViT-B-32.pt", "ViT-B-32@RoBERTa-wwm-ext-base-chinese", 189919489, 12, 12},
    {"chinese_clip_ViT-L-14.pt", "ViT-L-14@RoBERTa-wwm-ext-base-chinese", 406233089, 16, 12},
    {"chinese_clip_ViT-L-14.hf", "ViT-L-14@RoBERTa-wwm-ext-base-chinese", 406233089, 16, 12},
    {"chinese_clip_ViT-L-14-336.pt", "ViT-L-14-336@RoBERTa-wwm-ext-base-chinese", 406560769, 16,
     12},
    {"chinese_clip_ViT-L-14-336.hf", "ViT-L-14-336@RoBERTa-wwm-ext-base-chinese", 406560769, 16,
     12},
    {"chinese_clip_ViT-H-14.pt", "ViT-H-14@RoBERTa-wwm-ext-large-chinese", 957598209, 16, 16},
    {"chinese_clip_ViT-H-14.hf", "ViT-H-14@RoBERTa-wwm-ext-large-chinese", 957598209, 16, 16},
    {"openai_open_clip_RN50.pt", "RN50@CLIP-w512-l12", 102007137, 32, 8},
    {"openai_open_clip_RN101.pt", "RN101@CLIP-w512-l12", 119688033, 32, 8},
    {"openai_open_clip_RN50x4.pt", "RN50x4@CLIP-w640-l12", 178300601, 40, 10},
    {"openai_open_clip_RN50x16.pt", "RN50x16@CLIP-w768-l12", 290979217, 48, 12},
    {"openai_open_clip_RN50x64.pt", "RN50x64@CLIP-w1024-l12", 623258305, 64, 16},
    {"openai_open_clip_ViT-B-32.pt", "ViT-B-32@CLIP-w512-l12", 151277313, 12, 8},
    {"openai_open_clip_ViT-B-32.hf", "ViT-B-32@CLIP-w512-l12", 151277313, 12, 8},
    {"openai_open_clip_ViT-B-16.pt", "ViT-B-16@CLIP-w512-l12", 149620737, 12, 8},
    {"openai_open_clip_ViT-B-16.hf", "ViT-B-16@CLIP-w512-l12", 149620737, 12, 8},
    {"openai_open_clip_ViT-L-14.pt", "ViT-L-14@CLIP-w768-l12", 427616513, 16, 12},
    {"openai_open_clip_ViT-L-14.hf", "ViT-L-14@CLIP-w768-l12", 427616513, 16, 12},
    {"openai_open_clip_ViT-L-14-336.pt", "ViT-L-14-336@CLIP-w768-l12", 427944193, 16, 12},
    {"openai_open_clip_ViT-L-14-336.hf", "ViT-L-14-336@CLIP-w768-l12", 427944193, 16, 12},
    {"openai_open_clip_ViT-B-32-256.pt", "ViT-B-32-256@CLIP-w512-l12", 151288833, 12, 8},
    {"openai_open_clip_ViT-B-32-256.hf", "ViT-B-32-256@CLIP-w512-l12", 151288833, 12, 8},
    {"openai_open_clip_ViT-B-16-plus-240.pt", "ViT-B-16-plus-240@CLIP-w640-l12", 208377345, 14, 10},
    {"openai_open_clip_ViT-B-16-plus-240.hf", "ViT-B-16-plus-240@CLIP-w640-l12", 208377345, 14, 10},
    {"openai_open_clip_ViT-L-14-280.pt", "ViT-L-14-280@CLIP-w768-l12", 427763969, 16, 12},
    {"openai_open_clip_ViT-L-14-280.hf", "ViT-L-14-280@CLIP-w768-l12", 427763969, 16, 12},
    {"openai_open_clip_ViT-H-14.pt", "ViT-H-14@CLIP-w1024-l24", 986109441, 16, 16},
    {"openai_open_clip_ViT-H-14.hf", "ViT-H-14@CLIP-w1024-l24", 986109441, 16, 16},
    {"openai_open_clip_ViT-H-14-378.pt", "ViT-H-14-378@CLIP-w1024-l24", 986714881, 16, 16},
    {"openai_open_clip_ViT-H-14-378.hf", "ViT-H-14-378@CLIP-w1024-l24", 986714881, 16, 16},
    {"openai_open_clip_ViT-g-14.pt", "ViT-g-14@CLIP-w1024-l24", 1366678273, 16, 16},
    {"openai_open_clip_ViT-g-14.hf", "ViT-g-14@CLIP-w1024-l24", 1366678273, 16, 16},
    {"openai_open_clip_ViT-bigG-14.pt", "ViT-bigG-14@CLIP-w1280-l32", 2539567105, 16, 20},
    {"openai_open_clip_ViT-bigG-14.hf", "ViT-bigG-14@CLIP-w1280-l32", 2539567105, 16, 20},
    {"openai_open_clip_ViT-e-14.pt", "ViT-e-14@CLIP-w1280-l36", 4581086465, 16, 20},
    {"openai_open_clip_ViT-e-14.hf", "ViT-e-14@CLIP-w1280-l36", 4581086465, 16, 20},
};
#define N_ROWS (sizeof rows / sizeof *rows)

/* Loads a row's manifest from the test data or the shared folder; skips the test when it is in
 * neither. */
static void load(const released *r, const char *prefix, manifest *list) {
    char path[1024];
    snprintf(path, sizeof path, "%s/manifests/%s.tsv", TEST_DATA_DIR, r->manifest);
    if (access(path, R_OK) != 0) {
        const char *shared = getenv("TUWEN_SHARED");
        snprintf(path, sizeof path, "%s/data/manifests/%s.tsv",
                 shared ? shared : TEST_SOURCE_DIR "/../shared", r->manifest);
    }
    if (access(path, R_OK) != 0) {
        print_message("data not present: manifests/%s.tsv\n", r->manifest);
        skip();
    }
    manifest_load(list, path, prefix);
}

/* Elements of a tensor of the checkpoint, which must have the shape the model file wants. */
static uint64_t place(tw_origin *origin, const tw_schema_entry *e) {
    tw_tensor t;
    if (!tw_origin_find(origin, e->name, &t)) fail_msg("%s not found", e->name);
    assert_int_equal(t.n_dims, e->n_dims);
    assert_memory_equal(t.shape, e->shape, (size_t)e->n_dims * sizeof *e->shape);
    bool statistic = strstr(e->name, ".bn.mean") || strstr(e->name, ".bn.var");
    return statistic ? 0 : tw_tensor_elements(&t);
}

static void check(const released *r, const char *prefix) {
    static manifest list;
    tw_origin *origin;
    tw_arch arch;
    tw_schema schema;
    tw_tensor t;
    bool clip = strncmp(r->manifest, "openai", 6) == 0;
    uint64_t n = 1; /* logit_scale */
    load(r, prefix, &list);
    assert_ok(tw_origin_create(list.pointers, list.n, &origin, &err), &err);
    tw_expectation e = {.preset_activation = clip ? TW_GELU_ERF : TW_ACT_NONE};
    assert_ok(tw_recognize(origin, &e, &arch, &err), &err);
    assert_string_equal(arch.name, r->name);
    assert_int_equal(arch.vision.n_heads, r->vision_heads);
    assert_int_equal(arch.text.n_heads, r->text_heads);
    assert_int_equal(arch.text.kind, clip ? TW_TEXT_CLIP : TW_TEXT_BERT);
    assert_int_equal(arch.text.vocab_size, clip ? 49408 : 21128);
    assert_int_equal(arch.text.context_length, clip ? 77 : 52);
    bool vit = arch.vision.kind == TW_VISION_VIT;
    assert_int_equal(arch.vision.activation, !vit ? TW_RELU : clip ? TW_GELU_ERF : TW_QUICK_GELU);
    assert_int_equal(arch.text.activation, TW_GELU_ERF);
    assert_ok(tw_schema_build(&arch, &schema, &err), &err);
    for (size_t i = 0; i < schema.n_entries; i++)
        n += place(origin, &schema.entries[i]);
    assert_true(tw_origin_find(origin, "logit_scale", &t));
    assert_ok(tw_origin_check_unused(origin, true, true, NULL, &err), &err);
    assert_int_equal(n, r->n_parameters);
    tw_schema_free(&schema);
    tw_origin_free(origin);
}

static void is_recognised_and_complete(void **state) {
    check(*state, "");
    check(*state, "module.");
}

int main(void) {
    struct CMUnitTest tests[N_ROWS];
    for (size_t i = 0; i < N_ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].manifest,
                                       .test_func = is_recognised_and_complete,
                                       .initial_state = &rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
