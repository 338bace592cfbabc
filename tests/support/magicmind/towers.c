/* The stand-in's arithmetic: tuwen's own engine. */
#include "standin.h"

#include "base/size.h"
#include "model/model.h"
#include "tensor/tensor.h"
#include "tuwen/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct standin_towers {
    tw_model *model;
    tw_pool *pool;
    tw_encoder *encoder;
};

standin_towers *standin_towers_open(const char *model, char *why, size_t n_why) {
    tw_error err = TW_ERROR_INIT;
    standin_towers *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    if (tw_model_open(model, &t->model, &err) == TW_OK &&
        tw_pool_create(1, &t->pool, &err) == TW_OK &&
        tw_encoder_create(t->model, t->pool, NULL, &t->encoder, &err) == TW_OK)
        return t;
    snprintf(why, n_why, "%s", err.message);
    standin_towers_close(t);
    return NULL;
}

void standin_towers_close(standin_towers *t) {
    tw_encoder_free(t->encoder);
    tw_pool_free(t->pool);
    tw_model_free(t->model);
    free(t);
}

static void put_features(const float *features, size_t n, void *out, bool half) {
    uint16_t *h = out;
    if (!half) memcpy(out, features, n * sizeof *features);
    for (size_t i = 0; half && i < n; i++)
        h[i] = tw_f32_to_f16(features[i]);
}

bool standin_run_image(standin_towers *t, const void *pixels, bool half, size_t n, void *out,
                       bool half_out) {
    size_t r = (size_t)t->model->arch.vision.image_size, count = n * 3 * r * r;
    size_t dim = (size_t)t->model->arch.embed_dim;
    float *wide = malloc(count * sizeof *wide), *features = malloc(n * dim * sizeof *features);
    for (size_t i = 0; wide && i < count; i++)
        wide[i] = half ? tw_f16_to_f32(((const uint16_t *)pixels)[i]) : ((const float *)pixels)[i];
    bool done = wide && features && tw_encode_pixels(t->encoder, wide, n, features, NULL) == TW_OK;
    if (done) put_features(features, n * dim, out, half_out);
    free(wide);
    free(features);
    return done;
}

bool standin_run_text(standin_towers *t, const void *ids, bool wide, size_t n, size_t length,
                      void *out, bool half_out) {
    size_t dim = (size_t)t->model->arch.embed_dim;
    int32_t *rows = malloc(n * length * sizeof *rows);
    float *features = calloc(n * dim, sizeof *features);
    bool done = rows && features;
    for (size_t i = 0; done && i < n * length; i++)
        rows[i] = wide ? (int32_t)((const int64_t *)ids)[i] : ((const int32_t *)ids)[i];
    for (size_t i = 0; done && i < n; i++) { /* a row of padding has no text; 1 is its feature */
        bool any = false;
        for (size_t k = 0; k < length; k++)
            any = any || rows[i * length + k];
        for (size_t k = 0; !any && k < dim; k++)
            features[i * dim + k] = 1;
        done = !any || tw_encode_ids(t->encoder, rows + i * length, 1, (int32_t)length,
                                     features + i * dim, NULL) == TW_OK;
    }
    if (done) put_features(features, n * dim, out, half_out);
    free(rows);
    free(features);
    return done;
}
