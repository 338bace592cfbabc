/* similarity MODEL PICTURE TEXT… – how probable each text is for the picture. */
#include <stdio.h>
#include <tuwen/tuwen.h>

int main(int argc, char **argv) {
    static unsigned char bytes[32 << 20];
    static float image[4096], text[64 * 4096], probs[64];
    tw_error err = TW_ERROR_INIT;
    tw_pool *pool = NULL;
    tw_model *model = NULL;
    tw_encoder *encoder = NULL;
    FILE *f = argc > 3 && argc <= 64 ? fopen(argv[2], "rb") : NULL;
    if (!f) return fprintf(stderr, "usage: similarity MODEL PICTURE TEXT...\n"), 2;
    tw_bytes picture = {bytes, fread(bytes, 1, sizeof bytes, f)};
    fclose(f);
    const char *const *texts = (const char *const *)argv + 3;
    size_t n = (size_t)argc - 3;
    if (tw_pool_create(0, &pool, &err) || tw_model_open(argv[1], &model, &err) ||
        tw_encoder_create(model, pool, NULL, &encoder, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    size_t dim = (size_t)tw_model_arch(model)->embed_dim; /* at most 4096 in any known model */
    if (dim > 4096 || tw_encode_images(encoder, &picture, 1, NULL, NULL, image, NULL, &err) ||
        tw_encode_texts(encoder, texts, n, NULL, text, NULL, &err) ||
        tw_similarity(image, 1, text, n, dim, tw_model_logit_scale(model), NULL, NULL, probs, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    for (size_t i = 0; i < n; i++)
        printf("%6.2f %%  %s\n", 100 * probs[i], texts[i]);
    tw_encoder_free(encoder);
    tw_model_free(model);
    tw_pool_free(pool);
    return 0;
}
