/* Every case of the published preprocessing results: one test a picture and setting,
 * in which the u8 and f32 results of the classic resampler and the u8 result of every later one
 * must have the expected hash. */
#include "support.h"

#include "base/json.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct golden {
    const tw_json *picture, *setting;
    char name[160];
} golden;

static const char *text_of(const tw_json *object, const char *key) {
    const tw_json *v = tw_json_get(object, key);
    return v && v->type == TW_JSON_STRING ? v->string : NULL;
}

static int64_t integer_of(const tw_json *object, const char *key) {
    const tw_json *v = tw_json_get(object, key);
    assert_true(v && v->is_integer);
    return v->integer;
}

/* The picture among the test data or in the shared folder; skips the test when it is nowhere. */
static uint8_t *read_picture(const char *file, size_t *n_bytes) {
    char path[1024];
    snprintf(path, sizeof path, "%s/preprocess/pictures/%s", TEST_DATA_DIR, file);
    if (access(path, R_OK) != 0) {
        const char *shared = getenv("TUWEN_SHARED");
        snprintf(path, sizeof path, "%s/data/images/%s",
                 shared ? shared : TEST_SOURCE_DIR "/../shared", file);
    }
    if (access(path, R_OK) != 0) {
        print_message("data not present: %s\n", file);
        skip();
    }
    return test_read(path, n_bytes);
}

static void check_hash(const void *data, size_t n_bytes, const char *expected, const char *what) {
    char hex[65];
    test_sha256(data, n_bytes, hex);
    if (strcmp(hex, expected) != 0) fail_msg("%s: sha256 %s, expected %s", what, hex, expected);
}

static void check_case(const tw_json *setting, const uint8_t *bytes, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    tw_recipe recipe;
    assert_ok(tw_recipe_by_name(text_of(setting, "recipe"), (int32_t)integer_of(setting, "size"),
                                &recipe, &err),
              &err);
    size_t n = 3 * (size_t)recipe.size * (size_t)recipe.size;
    uint8_t *u8 = malloc(n);
    float *f32 = malloc(n * sizeof *f32);
    for (int v = TW_RESAMPLER_CLASSIC; v <= TW_RESAMPLER_13; v++) {
        recipe.resampler = (tw_resampler)v;
        const char *name = tw_resampler_name(recipe.resampler);
        const char *expected = text_of(setting, name);
        assert_ok(tw_preprocess_u8(&recipe, bytes, n_bytes, NULL, u8, &err), &err);
        check_hash(u8, n, expected ? expected : text_of(setting, "u8"), name);
    }
    recipe.resampler = TW_RESAMPLER_CLASSIC;
    assert_ok(tw_preprocess_f32(&recipe, bytes, n_bytes, NULL, f32, &err), &err);
    check_hash(f32, n * sizeof *f32, text_of(setting, "f32"), "f32");
    free(u8);
    free(f32);
}

static void check_probe(const tw_json *picture, const uint8_t *bytes, size_t n_bytes) {
    tw_error err = TW_ERROR_INIT;
    tw_image_info info;
    assert_ok(tw_image_probe(bytes, n_bytes, NULL, &info, &err), &err);
    assert_int_equal(info.width, integer_of(picture, "width"));
    assert_int_equal(info.height, integer_of(picture, "height"));
    assert_string_equal(info.format, text_of(picture, "format"));
    /* Pillow has no LA with 16 bits: it opens such a file as RGBA, and so do we. */
    assert_string_equal(info.mode, text_of(picture, "mode"));
}

static void equals_the_published_result(void **state) {
    const golden *g = *state;
    size_t n_bytes;
    uint8_t *bytes = read_picture(text_of(g->picture, "file"), &n_bytes);
    check_probe(g->picture, bytes, n_bytes);
    check_case(g->setting, bytes, n_bytes);
    free(bytes);
}

int main(void) {
    enum { MAX_CASES = 512 };
    static golden goldens[MAX_CASES];
    static struct CMUnitTest tests[MAX_CASES];
    tw_error err = TW_ERROR_INIT;
    tw_json_doc *doc;
    size_t n_bytes, n = 0;
    uint8_t *json = test_read(test_data("preprocess/expected.json"), &n_bytes);
    if (tw_json_parse(json, n_bytes, &doc, &err) != TW_OK) {
        fprintf(stderr, "expected.json: %s\n", err.message);
        return 1;
    }
    const tw_json *pictures = tw_json_get(tw_json_root(doc), "pictures");
    for (const tw_json *p = pictures->first; p; p = p->next)
        for (const tw_json *s = tw_json_get(p, "cases")->first; s && n < MAX_CASES; s = s->next) {
            golden *g = &goldens[n];
            *g = (golden){.picture = p, .setting = s};
            snprintf(g->name, sizeof g->name, "%s by %s at %d", text_of(p, "file"),
                     text_of(s, "recipe"), (int)integer_of(s, "size"));
            tests[n++] = (struct CMUnitTest){
                .name = g->name, .test_func = equals_the_published_result, .initial_state = g};
        }
    int failed = _cmocka_run_group_tests("preprocess", tests, n, NULL, NULL);
    tw_json_free(doc);
    free(json);
    return failed;
}
