/* Encodes the same four pictures or texts N times on one thread: encode_n MODEL image|text f32|int8
 * N. Two runs of different N differ by the work of a call alone. Only for tests. */
#include "tuwen/tuwen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, TOKENS = 14 };

static tw_error err;

static tw_status encode(tw_encoder *encoder, const tw_arch *arch, int is_text, long n) {
    size_t n_pixels = BATCH * 3 * (size_t)arch->vision.image_size * (size_t)arch->vision.image_size;
    float *pixels = malloc(n_pixels * sizeof *pixels);
    float *features = malloc(BATCH * (size_t)arch->embed_dim * sizeof *features);
    int32_t ids[BATCH * TOKENS];
    tw_status status = pixels && features ? TW_OK : TW_ERR_NO_MEMORY;
    for (size_t i = 0; pixels && i < n_pixels; i++)
        pixels[i] = (float)(i * 7 % 33) / 16 - 1;
    for (int i = 0; i < BATCH * TOKENS; i++)
        ids[i] = 1 + i * 5 % 99;
    for (; n > 0 && status == TW_OK; n--)
        status = is_text ? tw_encode_ids(encoder, ids, BATCH, TOKENS, features, &err)
                         : tw_encode_pixels(encoder, pixels, BATCH, features, &err);
    free(features);
    free(pixels);
    return status;
}

int main(int argc, char **argv) {
    tw_pool *pool = NULL;
    tw_model *model = NULL;
    tw_encoder *encoder = NULL;
    tw_encoder_options options = TW_ENCODER_OPTIONS_INIT;
    if (argc != 5) return fprintf(stderr, "usage: encode_n MODEL image|text f32|int8 N\n"), 2;
    options.precision = strcmp(argv[3], "int8") == 0 ? TW_I8 : TW_F32;
    int is_text = strcmp(argv[2], "text") == 0;
    int failed = tw_pool_create(1, &pool, &err) || tw_model_open(argv[1], &model, &err) ||
                 tw_encoder_create(model, pool, &options, &encoder, &err) ||
                 encode(encoder, tw_model_arch(model), is_text, strtol(argv[4], NULL, 10));
    if (failed) fprintf(stderr, "%s\n", err.message);
    tw_encoder_free(encoder);
    tw_model_free(model);
    tw_pool_free(pool);
    return failed;
}
