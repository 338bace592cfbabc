/* Recognition works on names and shapes alone. */
#include "manifest.h"
#include "support.h"

#include "model/arch.h"
#include "model/recognize.h"
#include "model/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_error err;

/* ------------------------------------------------------------------------------- made-up files */

static manifest list;

static tw_tensor *add(const char *name, const char *shape) {
    return manifest_add(&list, name, shape);
}

static void load(const char *name, const char *prefix) {
    char path[128];
    snprintf(path, sizeof path, "manifests/%s.tsv", name);
    manifest_load(&list, test_data(path), prefix);
}

static tw_tensor *get(const char *name) {
    for (size_t i = 0; i < list.n; i++)
        if (strcmp(list.names[i], name) == 0) return &list.tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void drop(const char *name) {
    tw_tensor *t = get(name);
    for (size_t i = 0; i < list.n; i++)
        if (list.pointers[i] == t) {
            memmove(&list.pointers[i], &list.pointers[i + 1],
                    (list.n - i - 1) * sizeof *list.pointers);
            list.n--;
            return;
        }
}

/* Replaces an extent wherever it occurs in a tower. */
static void resize(const char *prefix, int64_t from, int64_t to) {
    for (size_t i = 0; i < list.n; i++)
        for (int d = 0; d < list.tensors[i].n_dims; d++)
            if (strncmp(list.names[i], prefix, strlen(prefix)) == 0 &&
                list.tensors[i].shape[d] == from)
                list.tensors[i].shape[d] = to;
}

static tw_status recognize(const tw_expectation *e, tw_arch *arch) {
    static const tw_expectation nothing;
    tw_origin *origin;
    tw_status status = tw_origin_create(list.pointers, list.n, &origin, &err);
    if (status == TW_OK) status = tw_recognize(origin, e ? e : &nothing, arch, &err);
    tw_origin_free(origin);
    return status;
}

#define refuse(e, expected, part)                                                                  \
    do {                                                                                           \
        tw_arch arch_;                                                                             \
        assert_fails(recognize(e, &arch_), expected, &err);                                        \
        if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);            \
    } while (0)

/* ------------------------------------------------------------------------------- views, towers */

static void stacked_and_transposed_tensors_are_views(void **state) {
    tw_origin *origin;
    tw_tensor t;
    float dummy = 0;
    load("chinese_clip_ViT-B-16.pt", "");
    get("visual.transformer.resblocks.3.attn.in_proj_weight")->data = &dummy;
    assert_ok(tw_origin_create(list.pointers, list.n, &origin, &err), &err);
    assert_true(tw_origin_find(origin, "v.blk.3.attn_v.weight", &t));
    assert_string_equal(t.name, "visual.transformer.resblocks.3.attn.in_proj_weight");
    assert_int_equal(t.shape[0], 768);
    assert_int_equal((uintptr_t)t.data - (uintptr_t)&dummy, 2 * 768 * 768 * 4);
    assert_true(tw_origin_find(origin, "visual_projection.weight", &t));
    assert_int_equal(t.shape[0], 512);
    assert_int_equal(t.stride[0], 1);
    assert_int_equal(t.stride[1], 512);
    assert_false(tw_origin_find(origin, "v.blk.12.attn_v.weight", &t));
    assert_false(tw_origin_find(origin, "v.blk.x.attn_v.weight", &t));
    tw_origin_free(origin);
}

static void a_text_or_image_tower_can_be_taken_alone(void **state) {
    tw_arch arch;
    load("chinese_clip_ViT-B-16.pt", "");
    assert_ok(recognize(&(tw_expectation){.vision_only = true}, &arch), &err);
    assert_string_equal(arch.name, "ViT-B-16");
    assert_int_equal(arch.text.kind, TW_TEXT_NONE);
    assert_ok(recognize(&(tw_expectation){.text_only = true}, &arch), &err);
    assert_string_equal(arch.name, "RoBERTa-wwm-ext-base-chinese");
    assert_int_equal(arch.embed_dim, 512);
    refuse((&(tw_expectation){.text_only = true, .vision_only = true}), TW_ERR_ARGUMENT, "tower");
}

static void without_projection_features_are_as_wide_as_the_tower(void **state) {
    tw_arch arch;
    load("chinese_clip_ViT-B-16.pt", "");
    drop("visual.proj");
    get("text_projection")->shape[1] = 768;
    assert_ok(recognize(NULL, &arch), &err);
    assert_int_equal(arch.embed_dim, 768);
}

/* --------------------------------------------------------------------------------- ambiguous */

static void a_width_off_the_table_needs_the_head_width(void **state) {
    tw_arch arch;
    load("chinese_clip_ViT-B-16.pt", "");
    resize("visual.", 768, 704);
    resize("visual.", 2304, 2112);
    refuse(NULL, TW_ERR_AMBIGUOUS, "image tower of width 704");
    assert_non_null(strstr(err.message, "--head-width or --vision-config"));
    assert_ok(recognize(&(tw_expectation){.vision_head_width = 88}, &arch), &err);
    assert_int_equal(arch.vision.n_heads, 8);
    refuse((&(tw_expectation){.vision_head_width = 80}), TW_ERR_MISMATCH,
           "head width 80 does not divide the width 704");
}

static void a_text_width_off_the_table_needs_the_head_width(void **state) {
    tw_arch arch;
    load("chinese_clip_ViT-B-16.pt", "");
    resize("bert.", 768, 320);
    get("text_projection")->shape[0] = 320;
    refuse(NULL, TW_ERR_AMBIGUOUS, "text tower of width 320");
    assert_non_null(strstr(err.message, "--text-head-width or --text-config"));
    assert_ok(recognize(&(tw_expectation){.text_head_width = 40}, &arch), &err);
    assert_int_equal(arch.text.n_heads, 8);
}

static void a_configuration_settles_and_is_checked(void **state) {
    tw_arch arch;
    tw_vision_config vision;
    tw_text_config text;
    tw_expectation e = {.vision = &vision, .embed_dim = 512, .text = &text};
    load("chinese_clip_ViT-B-16.pt", "");
    assert_ok(recognize(NULL, &arch), &err);
    vision = arch.vision;
    text = arch.text;
    vision.head_width = 96;
    text.n_heads = 6;
    assert_ok(recognize(&e, &arch), &err);
    assert_int_equal(arch.vision.n_heads, 8);
    assert_int_equal(arch.text.n_heads, 6);
    e.vision_head_width = 64;
    refuse(&e, TW_ERR_MISMATCH, "head width 64 is asked for, the configuration says 96");
    e.vision_head_width = 0;
    vision.n_layers = 24;
    refuse(&e, TW_ERR_MISMATCH, "vision_layers: the configuration says 24, the checkpoint has 12");
    vision.n_layers = 12;
    vision.image_size = 336;
    refuse(&e, TW_ERR_MISMATCH,
           "image_resolution: the configuration says 336, the checkpoint has 224");
    vision.image_size = 224;
    e.embed_dim = 768;
    refuse(&e, TW_ERR_MISMATCH, "embed_dim");
    e.embed_dim = 512;
    text.vocab_size = 30522;
    refuse(&e, TW_ERR_MISMATCH,
           "vocab_size: the configuration says 30522, the checkpoint has 21128");
    text.vocab_size = 21128;
    vision.kind = TW_VISION_RESNET;
    refuse(&e, TW_ERR_MISMATCH, "configuration is of a ModifiedResNet, the checkpoint has a ViT");
}

static void the_activation_can_be_chosen(void **state) {
    tw_arch arch;
    load("chinese_clip_ViT-B-16.pt", "");
    assert_ok(recognize(&(tw_expectation){.activation = TW_GELU_ERF}, &arch), &err);
    assert_int_equal(arch.vision.activation, TW_GELU_ERF);
    assert_int_equal(arch.text.activation, TW_GELU_ERF);
    refuse((&(tw_expectation){.activation = TW_RELU}), TW_ERR_ARGUMENT, "relu");
    load("chinese_clip_RN50.pt", "");
    refuse((&(tw_expectation){.activation = TW_QUICK_GELU}), TW_ERR_ARGUMENT, "quick_gelu");
}

static void the_context_length_stays_within_the_positions(void **state) {
    tw_arch arch;
    load("chinese_clip_RN50.pt", "");
    assert_ok(recognize(NULL, &arch), &err);
    assert_int_equal(arch.text.context_length, 52);
    assert_ok(recognize(&(tw_expectation){.context_length = 512}, &arch), &err);
    refuse((&(tw_expectation){.context_length = 513}), TW_ERR_ARGUMENT, "2..512");
}

/* ---------------------------------------------------------------------- OpenAI's and open_clip's
 */

/* Only OpenAI's files have the scalars, and all their models have QuickGELU and heads of 64. */
static void scalars_tell_an_openai_file(void **state) {
    tw_arch arch;
    load("openai_open_clip_ViT-B-32.pt", "");
    refuse(NULL, TW_ERR_AMBIGUOUS, "--activation");
    assert_ok(recognize(&(tw_expectation){.openai = true}, &arch), &err);
    assert_int_equal(arch.text.activation, TW_QUICK_GELU);
    add("input_resolution", "");
    add("context_length", "");
    add("vocab_size", "");
    assert_ok(recognize(NULL, &arch), &err);
    assert_int_equal(arch.vision.activation, TW_QUICK_GELU);
    assert_int_equal(arch.text.activation, TW_QUICK_GELU);
    load("openai_open_clip_RN101.pt", "");
    refuse(NULL, TW_ERR_AMBIGUOUS, "--activation");
    assert_ok(recognize(&(tw_expectation){.text_activation = TW_QUICK_GELU}, &arch), &err);
    assert_int_equal(arch.vision.activation, TW_RELU);
    assert_int_equal(arch.text.activation, TW_QUICK_GELU);
}

/* CustomTextCLIP's prefix; a buffer of old files is ignored, other strangers are not. */
static void the_text_prefix_of_open_clip_is_known(void **state) {
    tw_arch arch;
    load("openai_open_clip_ViT-B-32.pt", "");
    for (size_t i = 0; i < list.n; i++) {
        char name[100];
        if (strncmp(list.names[i], "visual.", 7) == 0 || strcmp(list.names[i], "logit_scale") == 0)
            continue;
        snprintf(name, sizeof name, "%.90s", list.names[i]);
        snprintf(list.names[i], sizeof list.names[i], "text.%s", name);
    }
    add("text.attn_mask", "77x77");
    assert_ok(recognize(&(tw_expectation){.activation = TW_GELU_ERF}, &arch), &err);
    assert_string_equal(arch.name, "ViT-B-32@CLIP-w512-l12");
    get("text.transformer.resblocks.3.mlp.c_fc.weight")->shape[1] = 511;
    tw_text_config text = arch.text;
    text.n_layers = 11;
    refuse((&(tw_expectation){.activation = TW_GELU_ERF, .text = &text}), TW_ERR_MISMATCH,
           "text_cfg.layers: the configuration says 11, the checkpoint has 12");
    text.kind = TW_TEXT_BERT;
    refuse((&(tw_expectation){.activation = TW_GELU_ERF, .text = &text}), TW_ERR_MISMATCH,
           "of a BERT, the checkpoint has a CLIP transformer");
    assert_ok(
        recognize(&(tw_expectation){.activation = TW_GELU_ERF, .text = &text, .text_implied = true},
                  &arch),
        &err);
}

/* --------------------------------------------------------------------------------- misfits */

static void foreign_checkpoints_are_called_by_name(void **state) {
    static const struct {
        const char *tensor, *title;
    } foreign[] = {
        {"text_decoder.ln_final.weight", "this is a CoCa checkpoint; only Chinese-CLIP, OpenAI"},
        {"visual.trunk.norm.weight", "this is an open_clip with an image tower of timm"},
        {"text.transformer.encoder.layer.0.output.dense.weight", "a text tower of Hugging Face"},
        {"logit_bias", "SigLIP"},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        list.n = 0;
        add("visual.conv1.weight", "768x3x16x16");
        add(foreign[i].tensor, "49408x512");
        refuse(NULL, TW_ERR_UNSUPPORTED, foreign[i].title);
    }
    list.n = 0;
    add("model.layers.0.weight", "4x4");
    refuse(NULL, TW_ERR_UNSUPPORTED, "the first is 'model.layers.0.weight'");
    list.n = 0;
    refuse(NULL, TW_ERR_FORMAT, "no tensors");
}

static void a_missing_tower_names_the_option_that_does_without(void **state) {
    load("chinese_clip_ViT-B-16.pt", "");
    drop("bert.embeddings.word_embeddings.weight");
    refuse(NULL, TW_ERR_MISMATCH, "--vision-only");
    list.n = 0;
    add("bert.embeddings.word_embeddings.weight", "21128x768");
    refuse(NULL, TW_ERR_MISMATCH, "--text-only");
}

static void impossible_shapes_are_named(void **state) {
    load("chinese_clip_ViT-B-16.pt", "module.");
    get("module.visual.positional_embedding")->shape[0] = 199;
    refuse(NULL, TW_ERR_MISMATCH, "'module.visual.positional_embedding' has 199 rows");
    load("chinese_clip_ViT-B-16.pt", "");
    get("visual.conv1.weight")->n_dims = 3;
    refuse(NULL, TW_ERR_MISMATCH, "expected 4 extents");
    load("chinese_clip_ViT-B-16.pt", "");
    get("visual.proj")->shape[1] = 768;
    refuse(NULL, TW_ERR_MISMATCH, "image features of length 768, text features of length 512");
    load("chinese_clip_ViT-B-16.pt", "");
    get("visual.proj")->n_dims = 1;
    tw_arch arch;
    tw_origin *origin;
    tw_tensor t;
    assert_ok(tw_origin_create(list.pointers, list.n, &origin, &err), &err);
    assert_false(tw_origin_find(origin, "visual_projection.weight", &t));
    assert_fails(tw_origin_missing(origin, "visual_projection.weight", &err), TW_ERR_MISMATCH,
                 &err);
    assert_non_null(strstr(err.message, "'visual.proj' has shape [768], from which"));
    tw_origin_free(origin);
    load("chinese_clip_ViT-B-16.pt", "");
    get("bert.embeddings.position_embeddings.weight")->shape[0] = 100000;
    refuse(NULL, TW_ERR_LIMIT, "positions is 100000");
    load("chinese_clip_RN50.pt", "");
    drop("visual.layer3.0.conv1.weight");
    assert_fails(recognize(NULL, &arch), TW_ERR_LIMIT, &err);
}

static int n_warnings;
static char last_warning[256];

static void count_warning(void *user, tw_log_level level, const char *message) {
    n_warnings += level == TW_LOG_WARNING;
    snprintf(last_warning, sizeof last_warning, "%s", message);
}

static tw_status use_all(bool vision, bool text) {
    static const tw_expectation nothing;
    const tw_hooks hooks = {sizeof hooks, count_warning, NULL, NULL};
    tw_origin *origin;
    tw_arch arch;
    tw_schema schema;
    tw_tensor t;
    n_warnings = 0;
    assert_ok(tw_origin_create(list.pointers, list.n, &origin, &err), &err);
    assert_ok(tw_recognize(origin, &nothing, &arch, &err), &err);
    if (!text) arch.text.kind = TW_TEXT_NONE;
    assert_ok(tw_schema_build(&arch, &schema, &err), &err);
    for (size_t k = 0; k < schema.n_entries; k++)
        tw_origin_find(origin, schema.entries[k].name, &t);
    tw_origin_find(origin, "logit_scale", &t);
    tw_status status = tw_origin_check_unused(origin, vision, text, &hooks, &err);
    tw_schema_free(&schema);
    tw_origin_free(origin);
    return status;
}

static void harmless_extras_are_ignored_or_named(void **state) {
    load("chinese_clip_ViT-B-16.pt", "module.");
    add("module.bert.pooler.dense.weight", "768x768");
    add("module.bert.pooler.dense.bias", "768");
    assert_ok(use_all(true, true), &err);
    assert_int_equal(n_warnings, 0);
    add("ema_decay", "scalar");
    add("head.weight", "1000x768");
    assert_ok(use_all(true, true), &err);
    assert_int_equal(n_warnings, 2);
    assert_string_equal(last_warning, "tensor 'head.weight' [1000, 768] is not used");
}

static void an_unknown_weight_in_a_tower_is_an_error(void **state) {
    load("chinese_clip_ViT-B-16.pt", "module.");
    add("module.visual.adapter.weight", "64x768");
    assert_fails(use_all(true, true), TW_ERR_MISMATCH, &err);
    assert_non_null(strstr(err.message, "'module.visual.adapter.weight' [64, 768]"));
    load("chinese_clip_ViT-B-16.pt", "");
    add("bert.encoder.layer.14.output.dense.weight", "768x3072"); /* after a gap */
    assert_fails(use_all(true, true), TW_ERR_MISMATCH, &err);
    assert_ok(use_all(true, false), &err); /* nobody wants the text tower */
}

static void a_name_twice_is_an_error(void **state) {
    tw_origin *origin;
    load("chinese_clip_ViT-B-16.pt", "module.");
    add("logit_scale", "scalar");
    assert_fails(tw_origin_create(list.pointers, list.n, &origin, &err), TW_ERR_FORMAT, &err);
    assert_null(origin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacked_and_transposed_tensors_are_views),
        cmocka_unit_test(a_text_or_image_tower_can_be_taken_alone),
        cmocka_unit_test(without_projection_features_are_as_wide_as_the_tower),
        cmocka_unit_test(a_width_off_the_table_needs_the_head_width),
        cmocka_unit_test(a_text_width_off_the_table_needs_the_head_width),
        cmocka_unit_test(a_configuration_settles_and_is_checked),
        cmocka_unit_test(the_activation_can_be_chosen),
        cmocka_unit_test(the_context_length_stays_within_the_positions),
        cmocka_unit_test(scalars_tell_an_openai_file),
        cmocka_unit_test(the_text_prefix_of_open_clip_is_known),
        cmocka_unit_test(foreign_checkpoints_are_called_by_name),
        cmocka_unit_test(a_missing_tower_names_the_option_that_does_without),
        cmocka_unit_test(impossible_shapes_are_named),
        cmocka_unit_test(harmless_extras_are_ignored_or_named),
        cmocka_unit_test(an_unknown_weight_in_a_tower_is_an_error),
        cmocka_unit_test(a_name_twice_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
