/* embed_text MODEL TEXT… – prints the first values of each text's normalised feature. */
#include <stdio.h>
#include <stdlib.h>
#include <tuwen/tuwen.h>

int main(int argc, char **argv) {
    tw_error err = TW_ERROR_INIT;
    tw_pool *pool = NULL;
    tw_model *model = NULL;
    tw_encoder *encoder = NULL;
    if (argc < 3) return fprintf(stderr, "usage: embed_text MODEL TEXT...\n"), 2;
    const char *const *texts = (const char *const *)argv + 2;
    size_t n = (size_t)argc - 2;
    if (tw_pool_create(0, &pool, &err) || tw_model_open(argv[1], &model, &err) ||
        tw_encoder_create(model, pool, NULL, &encoder, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    size_t dim = (size_t)tw_model_arch(model)->embed_dim;
    float *features = malloc(n * dim * sizeof *features);
    if (!features || tw_encode_texts(encoder, texts, n, NULL, features, NULL, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    tw_normalize(features, n, dim);
    for (size_t i = 0; i < n; i++)
        printf("%s: %zu values, %.4f %.4f %.4f ...\n", texts[i], dim, features[i * dim],
               features[i * dim + 1], features[i * dim + 2]);
    free(features);
    tw_encoder_free(encoder);
    tw_model_free(model);
    tw_pool_free(pool);
    return 0;
}
