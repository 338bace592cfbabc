/* The table of published examples is sound, and nothing but its figures agrees with it. The sources
 * belong to the command and are taken in. */
#include "eval/published.c"
#include "eval/published_table.c"

#include "support.h"

static bool is_sha256(const char *text) {
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static void every_example_is_whole(void **state) {
    assert_true(tw_n_published_examples >= 2);
    for (size_t i = 0; i < tw_n_published_examples; i++) {
        const tw_published_example *e = &tw_published_examples[i];
        assert_ptr_equal(tw_find_published(e->name), e);
        assert_true(is_sha256(e->sha256) && is_sha256(e->pixels_sha256));
        tw_recipe recipe = TW_RECIPE_INIT;
        tw_error err = TW_ERROR_INIT;
        assert_ok(tw_recipe_by_name(e->recipe, e->image_size, &recipe, &err), &err);
        assert_true(tw_published_n_texts(e) >= 2 && tw_published_n_sources(e) >= 1);
    }
    assert_null(tw_find_published("list"));
    assert_null(tw_find_published(""));
}

static void probabilities_sum_to_one(void **state) {
    for (size_t i = 0; i < tw_n_published_examples; i++) {
        const tw_published_example *e = &tw_published_examples[i];
        for (size_t k = 0; k < tw_published_n_sources(e); k++) {
            double sum = 0;
            for (size_t j = 0; j < tw_published_n_texts(e); j++)
                sum += e->sources[k].probs[j];
            if (!(fabs(sum - 1) < 5e-5)) fail_msg("%s, source %zu: sum %.7f", e->name, k, sum);
        }
    }
}

/* A source's figures as ours. */
static void take(const tw_published_example *e, size_t source, float *probs) {
    for (size_t j = 0; j < tw_published_n_texts(e); j++)
        probs[j] = (float)e->sources[source].probs[j];
}

static void a_source_agrees_with_itself_and_with_no_more_than_its_tolerance(void **state) {
    for (size_t i = 0; i < tw_n_published_examples; i++) {
        const tw_published_example *e = &tw_published_examples[i];
        for (size_t k = 0; k < tw_published_n_sources(e); k++) {
            float probs[TW_PUBLISHED_TEXTS];
            take(e, k, probs);
            assert_true(tw_published_difference(e, k, probs) < 1e-7);
            probs[1] += (float)(0.9 * e->sources[k].tolerance);
            assert_true(tw_published_agrees(e, k, false, probs));
            probs[1] += (float)(0.2 * e->sources[k].tolerance);
            assert_false(tw_published_agrees(e, k, false, probs));
            assert_false(tw_published_all_agree(e, false, probs));
            probs[1] = NAN;
            assert_true(isnan(tw_published_difference(e, k, probs)));
            assert_false(tw_published_agrees(e, k, false, probs));
        }
    }
}

/* What the table's head says of the distances, and that either of the f32 sources, computed
 * exactly, would agree with all. */
static void the_chinese_sources_lie_as_far_apart_as_is_said(void **state) {
    const tw_published_example *e = tw_find_published("chinese-clip-vit-b-16");
    float probs[TW_PUBLISHED_TEXTS];
    take(e, 0, probs);
    assert_true(fabs(tw_published_difference(e, 1, probs) - 1.33e-4) < 1e-6);
    assert_true(tw_published_all_agree(e, false, probs));
    take(e, 1, probs);
    assert_true(tw_published_all_agree(e, false, probs));
    for (size_t a = 0; a < tw_published_n_sources(e); a++) {
        take(e, a, probs);
        for (size_t b = 0; b < tw_published_n_sources(e); b++)
            assert_true(tw_published_difference(e, b, probs) < 1.8e-3);
    }
    take(e, 2, probs);
    assert_false(tw_published_all_agree(e, false, probs));
}

/* A model rounded as PyTorch's is held to more by PyTorch's figures alone, which one that was not
 * rounded cannot meet: Hugging Face's figures are of such a one. */
static void rounded_weights_are_held_to_more(void **state) {
    const tw_published_example *e = tw_find_published("chinese-clip-vit-b-16");
    float probs[TW_PUBLISHED_TEXTS];
    take(e, 0, probs);
    assert_true(tw_published_all_agree(e, true, probs));
    take(e, 1, probs);
    assert_true(tw_published_all_agree(e, false, probs));
    assert_false(tw_published_agrees(e, 0, true, probs));
    assert_false(tw_published_all_agree(e, true, probs));
    for (size_t k = 1; k < tw_published_n_sources(e); k++)
        assert_true(tw_published_tolerance(e, k, true) == e->sources[k].tolerance);
    assert_non_null(strstr(tw_published_weights(e, false), "--round-f16"));
    assert_non_null(strstr(tw_published_weights(e, true), "rounded through f16"));
    assert_null(tw_published_weights(tw_find_published("openai-vit-b-32"), false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_is_whole),
        cmocka_unit_test(probabilities_sum_to_one),
        cmocka_unit_test(a_source_agrees_with_itself_and_with_no_more_than_its_tolerance),
        cmocka_unit_test(the_chinese_sources_lie_as_far_apart_as_is_said),
        cmocka_unit_test(rounded_weights_are_held_to_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
