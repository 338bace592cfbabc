#include "towers.h"

#include "tiny_model.h"

#include <stdio.h>
#include <stdlib.h>

const int32_t towers_ids[3 * L] = {2,      5, 6, 3, 0, 0, 0,  0, /**/ 2, 7, 3, 0, 0, 0, 0, 0,
                                   /**/ 2, 5, 6, 7, 8, 9, 10, 3};

void towers_set_up(towers *t, tw_text_kind text) {
    tw_arch arch;
    *t = (towers){.err = TW_ERROR_INIT};
    const char *folder = test_folder();
    snprintf(t->model_path, sizeof t->model_path, "%s/model.gguf", folder);
    snprintf(t->prefix, sizeof t->prefix, "%s/t", folder);
    tiny_arch(&arch, TW_VISION_VIT, text);
    tiny_model_write(t->model_path, &arch, TW_F32);
    assert_ok(tw_model_open(t->model_path, &t->model, &t->err), &t->err);
    assert_ok(tw_pool_create(1, &t->pool, &t->err), &t->err);
    assert_ok(tw_encoder_create(t->model, t->pool, NULL, &t->cpu, &t->err), &t->err);
}

void towers_tear_down(towers *t) {
    tw_encoder_free(t->encoder);
    tw_encoder_free(t->cpu);
    tw_pool_free(t->pool);
    tw_model_free(t->model);
}

void towers_write(const towers *t, const char *word, void *data, size_t n_bytes) {
    char path[600];
    snprintf(path, sizeof path, "%s.%s", t->prefix, word);
    test_write(path, data, n_bytes);
    free(data);
}

tw_status towers_open(towers *t, const char *backend, const char *library, const char *device,
                      const char *graphs, int batch) {
    tw_encoder_options o = TW_ENCODER_OPTIONS_INIT;
    o.backend = backend;
    o.library = library;
    o.device = device;
    o.graphs = graphs ? graphs : t->prefix;
    o.batch = batch;
    return tw_encoder_create(t->model, t->pool, &o, &t->encoder, &t->err);
}

float *towers_pixels(size_t n) {
    float *pixels = malloc(n * PICTURE * sizeof *pixels);
    uint64_t seed = 7;
    assert_non_null(pixels);
    for (size_t i = 0; i < n * PICTURE; i++)
        pixels[i] = test_random_float(&seed);
    return pixels;
}
