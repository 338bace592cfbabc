/* Recipes: names, validation, and the geometry they ask for. */
#include "support.h"

#include "image/recipe.h"

#include <math.h>
#include <string.h>

static void named_recipes_differ_as_their_libraries_do(void **state) {
    static const struct {
        const char *name, *resize, *order, *rounding;
    } expected[] = {
        {"chinese-clip", "squash", "after", "half-even"},
        {"openai", "shortest", "after", "half-even"},
        {"open-clip", "shortest", "after", "half-even"},
        {"hf", "shortest", "first", "floor"},
        {"imagefolder", "squash", "first", "half-even"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        tw_error err = TW_ERROR_INIT;
        tw_recipe r;
        assert_ok(tw_recipe_by_name(expected[i].name, 336, &r, &err), &err);
        assert_int_equal(r.size, 336);
        assert_string_equal(tw_resize_mode_name(r.resize_mode), expected[i].resize);
        assert_string_equal(tw_rgb_order_name(r.rgb_order), expected[i].order);
        assert_string_equal(tw_crop_rounding_name(r.crop_rounding), expected[i].rounding);
        assert_string_equal(tw_interpolation_name(r.interpolation), "bicubic");
        assert_string_equal(tw_resampler_name(r.resampler), "classic");
        assert_true(r.mean[0] == 0.48145466f && r.std[2] == 0.27577711f);
    }
}

static void an_unknown_name_or_size_is_an_argument_error(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe r;
    assert_fails(tw_recipe_by_name("clip", 224, &r, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_recipe_by_name(NULL, 224, &r, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_recipe_by_name("openai", 0, &r, &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_recipe_by_name("openai", 4097, &r, &err), TW_ERR_ARGUMENT, &err);
}

static void values_out_of_range_are_refused(void **state) {
    const tw_recipe good = TW_RECIPE_INIT;
    tw_recipe bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].struct_size = 4;
    bad[1].resize_mode = (tw_resize_mode)3;
    bad[2].interpolation = (tw_interpolation)-1;
    bad[3].resampler = (tw_resampler)4;
    bad[4].rgb_order = (tw_rgb_order)2;
    bad[5].crop_rounding = (tw_crop_rounding)9;
    bad[6].mean[1] = NAN;
    bad[7].std[2] = 0;
    tw_error err = TW_ERROR_INIT;
    assert_ok(tw_recipe_check(&good, &err), &err);
    for (int i = 0; i < 8; i++)
        assert_fails(tw_recipe_check(&bad[i], &err), TW_ERR_ARGUMENT, &err);
    assert_fails(tw_recipe_check(NULL, &err), TW_ERR_ARGUMENT, &err);
    assert_string_equal(tw_resampler_name((tw_resampler)4), "?");
}

static tw_geometry plan(tw_resize_mode mode, tw_crop_rounding rounding, uint32_t w, uint32_t h) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe r = TW_RECIPE_INIT;
    tw_geometry g;
    r.size = 100;
    r.resize_mode = mode;
    r.crop_rounding = rounding;
    assert_ok(tw_geometry_plan(&r, w, h, &g, &err), &err);
    return g;
}

static void squash_takes_the_size_as_it_is(void **state) {
    tw_geometry g = plan(TW_RESIZE_SQUASH, TW_CROP_HALF_EVEN, 300, 20);
    assert_int_equal(g.resized_width, 100);
    assert_int_equal(g.resized_height, 100);
    assert_int_equal(g.window_width, 100);
    assert_int_equal(g.window_x + g.window_y + g.pad_x + g.pad_y, 0);
}

static void crops_round_half_to_even_or_down(void **state) {
    /* Longer side 101, 103, 105, 107: one half, and then to even. */
    static const uint32_t offsets[4][2] = {{0, 0}, {2, 1}, {2, 2}, {4, 3}};
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t longer = 101 + 2 * i;
        tw_geometry even = plan(TW_RESIZE_SHORTEST, TW_CROP_HALF_EVEN, longer, 100);
        tw_geometry down = plan(TW_RESIZE_SHORTEST, TW_CROP_FLOOR, 100, longer);
        assert_int_equal(even.window_x, offsets[i][0]);
        assert_int_equal(down.window_y, offsets[i][1]);
        assert_int_equal(even.window_y + down.window_x, 0);
    }
}

static void the_longer_side_is_truncated(void **state) {
    tw_geometry g = plan(TW_RESIZE_SHORTEST, TW_CROP_HALF_EVEN, 300, 500);
    assert_int_equal(g.resized_width, 100);
    assert_int_equal(g.resized_height, 166);
    assert_int_equal(g.window_y, 33);
}

static void longest_is_centred_on_the_canvas(void **state) {
    tw_geometry g = plan(TW_RESIZE_LONGEST, TW_CROP_HALF_EVEN, 300, 181);
    assert_int_equal(g.resized_width, 100);
    assert_int_equal(g.resized_height, 60);
    assert_int_equal(g.pad_y, 20);
    g = plan(TW_RESIZE_LONGEST, TW_CROP_HALF_EVEN, 20, 40);
    assert_int_equal(g.resized_height, 100);
    assert_int_equal(g.resized_width, 50);
    assert_int_equal(g.pad_x, 25);
}

static void impossible_shapes_are_refused(void **state) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe r = TW_RECIPE_INIT;
    tw_geometry g;
    r.resize_mode = TW_RESIZE_SHORTEST;
    assert_fails(tw_geometry_plan(&r, 1, 1000000, &g, &err), TW_ERR_LIMIT, &err);
    r.resize_mode = TW_RESIZE_LONGEST;
    assert_fails(tw_geometry_plan(&r, 1, 1000, &g, &err), TW_ERR_UNSUPPORTED, &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_recipes_differ_as_their_libraries_do),
        cmocka_unit_test(an_unknown_name_or_size_is_an_argument_error),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(squash_takes_the_size_as_it_is),
        cmocka_unit_test(crops_round_half_to_even_or_down),
        cmocka_unit_test(the_longer_side_is_truncated),
        cmocka_unit_test(longest_is_centred_on_the_canvas),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
