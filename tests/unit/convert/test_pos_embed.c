/* Another resolution. Expected tables: torch's F.interpolate as Chinese-CLIP, open_clip and
 * transformers call it; those of the tiny model come from torch 1.13 in f32, whose own rounding of
 * coordinates and weights is up to 4e-6 on numbers around 1. */
#include "support.h"

#include "base/json.h"
#include "convert/pos_embed.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIT "checkpoints/tiny_cn_vit/"
#define RN "checkpoints/tiny_cn_rn/"

static tw_error err;

static const tw_pos_embed all[] = {TW_POS_EMBED_CHINESE_CLIP, TW_POS_EMBED_OPEN_CLIP,
                                   TW_POS_EMBED_HUGGING_FACE};

/* ------------------------------------------------------------------------------------ the table */

/* A row for the class token, then 5 x 5 cells of one number; f64 results of torch. */
static const float table5[26] = {7, -5, 5, -4, 1,  -2, -2, 1, -4, 5,  -5, -1, -5,
                                 5, -4, 1, -2, -2, 1,  -4, 5, -5, -1, -5, 5,  -4};

typedef struct reduction {
    tw_pos_embed how;
    int32_t to;
    float expected[9];
} reduction;

static const reduction reductions[] = {
    {TW_POS_EMBED_CHINESE_CLIP, 1, {-5}},
    {TW_POS_EMBED_CHINESE_CLIP, 2, {-5, -2, -5, -4}},
    {TW_POS_EMBED_CHINESE_CLIP, 3, {-5, -4, -2, -1, 5, 1, -5, -5, -4}},
    {TW_POS_EMBED_OPEN_CLIP, 1, {-0.9086052f}},
    {TW_POS_EMBED_OPEN_CLIP, 2, {-0.8484659f, -0.5763085f, -2.056376f, -0.04208907f}},
    {TW_POS_EMBED_OPEN_CLIP,
     3,
     {-0.7543195f, -0.5730233f, -0.8721893f, -2.101324f, 0.08776636f, -0.4551699f, -2.897515f,
      -1.359499f, 0.5126627f}},
    {TW_POS_EMBED_HUGGING_FACE, 1, {5}},
    {TW_POS_EMBED_HUGGING_FACE, 2, {2.122574f, 3.832092f, -1.829208f, -0.8746643f}},
    {TW_POS_EMBED_HUGGING_FACE,
     3,
     {-1.057956f, -4.5f, -0.9739369f, -2.814815f, 5, -1.074074f, -3.056927f, -3.333333f,
      0.340535f}},
};

static void tables_become_smaller_as_in_the_originals(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++) {
        const reduction *r = &reductions[i];
        tw_tensor t = {"t", TW_F32, 2, {26, 1}, {1, 1}, table5, NULL, NULL, NULL};
        float *out;
        assert_ok(tw_pos_embed_resize(&t, 5, r->to, r->how, &out, &err), &err);
        assert_int_equal(t.shape[0], r->to * r->to + 1);
        assert_ptr_equal(t.data, out);
        assert_true(out[0] == 7);
        for (int k = 0; k < r->to * r->to; k++)
            if (!(fabsf(out[1 + k] - r->expected[k]) <= 1e-5f))
                fail_msg("%s to %d: number %d is %.7g, expected %.7g", tw_pos_embed_name(r->how),
                         (int)r->to, k, (double)out[1 + k], (double)r->expected[k]);
        free(out);
    }
}

/* A constant stays one, in any convention and at any size; the transpose of a table becomes the
 * transpose of its result; f16 and strides are read like any tensor's. */
static void resizing_is_symmetric_and_keeps_constants(void **state) {
    (void)state;
    enum { FROM = 4, WIDTH = 3, ROWS = FROM * FROM + 1 };
    for (size_t i = 0; i < 3; i++)
        for (int32_t to = 1; to <= 9; to++) {
            float in[ROWS][WIDTH], turned[ROWS][WIDTH], *out, *out_turned;
            uint64_t seed = 3;
            for (int k = 0; k < ROWS; k++)
                for (int w = 0; w < WIDTH; w++)
                    in[k][w] = w == 0 ? 0.75f : test_random_float(&seed);
            memcpy(turned[0], in[0], sizeof *in);
            for (int k = 0; k < ROWS - 1; k++)
                memcpy(turned[1 + k], in[1 + k % FROM * FROM + k / FROM], sizeof *in);
            tw_tensor t = {"t", TW_F32, 2, {ROWS, WIDTH}, {WIDTH, 1}, in, NULL, NULL, NULL}, u = t;
            u.data = turned;
            assert_ok(tw_pos_embed_resize(&t, FROM, to, all[i], &out, &err), &err);
            assert_ok(tw_pos_embed_resize(&u, FROM, to, all[i], &out_turned, &err), &err);
            for (int y = 0; y < to; y++)
                for (int x = 0; x < to; x++)
                    for (int w = 0; w < WIDTH; w++) {
                        float v = out[(1 + y * to + x) * WIDTH + w];
                        if (w == 0) assert_true(fabsf(v - 0.75f) < 1e-6f);
                        assert_true(fabsf(v - out_turned[(1 + x * to + y) * WIDTH + w]) < 1e-6f);
                    }
            free(out);
            free(out_turned);
        }
}

/* ------------------------------------------------------------------------------- whole models */

static tw_convert_options vit_options(int32_t resolution, tw_pos_embed how) {
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.vision_head_width = 16;
    o.text_head_width = 8;
    o.resolution = resolution;
    o.pos_embed = how;
    return o;
}

static tw_model *open_model(const char *path) {
    tw_model *m;
    assert_ok(tw_model_open(path, &m, &err), &err);
    return m;
}

static void a_model_is_enlarged_in_each_convention(void **state) {
    (void)state;
    static const char *const keys[] = {"chinese_clip", "open_clip", "hf"};
    size_t n_bytes;
    uint8_t *bytes = test_read(test_data(VIT "pos_embed_resize.json"), &n_bytes);
    tw_json_doc *doc;
    assert_ok(tw_json_parse(bytes, n_bytes, &doc, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        const char *path = test_temporary(".gguf");
        tw_convert_options o = vit_options(48, all[i]);
        assert_ok(tw_convert(test_data(VIT "clip_cn_tiny-vit.pt"), path, &o, &err), &err);
        tw_model *m = open_model(path);
        assert_int_equal(tw_model_arch(m)->vision.image_size, 48);
        assert_int_equal(tw_model_recipe(m)->size, 48);
        tw_provenance p = TW_PROVENANCE_INIT;
        tw_model_provenance(m, &p);
        assert_int_equal(p.trained_size, 32);
        assert_int_equal(p.pos_embed, all[i]);
        float table[37 * 64];
        int k = 0;
        assert_int_equal(m->vision.position.shape[0], 37);
        tw_tensor_to_f32(&m->vision.position, table);
        for (const tw_json *row = tw_json_get(tw_json_root(doc), keys[i])->first; row;
             row = row->next)
            for (const tw_json *v = row->first; v; v = v->next, k++)
                if (!(fabs((double)table[k] - v->number) <= 4e-6))
                    fail_msg("%s: number %d is %.8g, expected %.8g", keys[i], k, (double)table[k],
                             v->number);
        assert_int_equal(k, 37 * 64);
        tw_model_free(m);
    }
    tw_json_free(doc);
    free(bytes);
}

static void the_checkpoints_own_resolution_changes_nothing(void **state) {
    (void)state;
    const char *plain = test_temporary(".gguf"), *same = test_temporary(".gguf");
    tw_convert_options o = vit_options(0, TW_POS_EMBED_NONE);
    assert_ok(tw_convert(test_data(VIT "clip_cn_tiny-vit.pt"), plain, &o, &err), &err);
    o = vit_options(32, TW_POS_EMBED_CHINESE_CLIP);
    assert_ok(tw_convert(test_data(VIT "clip_cn_tiny-vit.pt"), same, &o, &err), &err);
    size_t n, n_same;
    uint8_t *a = test_read(plain, &n), *b = test_read(same, &n_same);
    assert_int_equal(n, n_same);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

static void refused(const char *from, tw_convert_options o, tw_status status, const char *part) {
    const char *to = test_temporary(".gguf");
    assert_fails(tw_convert(from, to, &o, &err), status, &err);
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
}

static void a_resolution_is_never_guessed(void **state) {
    (void)state;
    const char *vit = test_data(VIT "clip_cn_tiny-vit.pt"), *resized = test_temporary(".gguf");
    refused(vit, vit_options(48, TW_POS_EMBED_NONE), TW_ERR_AMBIGUOUS,
            "--pos-embed chinese-clip, open-clip or hugging-face");
    refused(vit, vit_options(50, TW_POS_EMBED_OPEN_CLIP), TW_ERR_MISMATCH,
            "resolution 50 is no multiple of the patch size 8");
    refused(vit, vit_options(4, TW_POS_EMBED_OPEN_CLIP), TW_ERR_MISMATCH, "no multiple");
    refused(vit, vit_options(-8, TW_POS_EMBED_OPEN_CLIP), TW_ERR_ARGUMENT, "resolution -8");
    refused(vit, vit_options(4000, TW_POS_EMBED_OPEN_CLIP), TW_ERR_LIMIT, "patches a side");
    refused(vit, vit_options(48, (tw_pos_embed)9), TW_ERR_ARGUMENT, "pos_embed 9");
    tw_convert_options text = vit_options(48, TW_POS_EMBED_OPEN_CLIP);
    text.text_only = true;
    refused(vit, text, TW_ERR_ARGUMENT, "no image tower");
    refused(test_data(RN "clip_cn_tiny-rn.pt"), vit_options(96, TW_POS_EMBED_CHINESE_CLIP),
            TW_ERR_UNSUPPORTED, "attention pool");
    tw_convert_options o = vit_options(48, TW_POS_EMBED_OPEN_CLIP);
    assert_ok(tw_convert(vit, resized, &o, &err), &err);
    o = (tw_convert_options)TW_CONVERT_OPTIONS_INIT;
    o.resolution = 64;
    o.pos_embed = TW_POS_EMBED_OPEN_CLIP;
    refused(resized, o, TW_ERR_UNSUPPORTED, "already resized, from 32 pixels to 48");
}

static void a_model_file_keeps_how_it_was_resized(void **state) {
    (void)state;
    const char *resized = test_temporary(".gguf"), *again = test_temporary(".gguf");
    tw_convert_options o = vit_options(16, TW_POS_EMBED_HUGGING_FACE);
    assert_ok(tw_convert(test_data(VIT "clip_cn_tiny-vit.pt"), resized, &o, &err), &err);
    assert_ok(tw_convert(resized, again, NULL, &err), &err);
    tw_model *m = open_model(again);
    tw_provenance p = TW_PROVENANCE_INIT;
    tw_model_provenance(m, &p);
    assert_int_equal(p.trained_size, 32);
    assert_int_equal(p.pos_embed, TW_POS_EMBED_HUGGING_FACE);
    assert_int_equal(tw_model_arch(m)->vision.image_size, 16);
    tw_model_free(m);
}

/* A configuration for another size points at the option, and goes with it. */
static void a_configuration_may_say_the_new_resolution(void **state) {
    (void)state;
    const char *json = test_temporary(".json");
    FILE *f = fopen(json, "w");
    assert_non_null(f);
    fputs(
        "{\"embed_dim\": 32, \"image_resolution\": 48, \"vision_layers\": 2, \"vision_width\": 64, "
        "\"vision_patch_size\": 8, \"vision_head_width\": 16}",
        f);
    fclose(f);
    const char *vit = test_data(VIT "clip_cn_tiny-vit.pt"), *to = test_temporary(".gguf");
    tw_convert_options o = vit_options(0, TW_POS_EMBED_NONE);
    o.vision_config = json;
    refused(vit, o, TW_ERR_MISMATCH,
            "the configuration says 48, the checkpoint has 32; --resolution resizes");
    o.resolution = 48;
    o.pos_embed = TW_POS_EMBED_CHINESE_CLIP;
    assert_ok(tw_convert(vit, to, &o, &err), &err);
    o.resolution = 64;
    refused(vit, o, TW_ERR_MISMATCH, "the configuration says 48");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_become_smaller_as_in_the_originals),
        cmocka_unit_test(resizing_is_symmetric_and_keeps_constants),
        cmocka_unit_test(a_model_is_enlarged_in_each_convention),
        cmocka_unit_test(the_checkpoints_own_resolution_changes_nothing),
        cmocka_unit_test(a_resolution_is_never_guessed),
        cmocka_unit_test(a_model_file_keeps_how_it_was_resized),
        cmocka_unit_test(a_configuration_may_say_the_new_resolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
