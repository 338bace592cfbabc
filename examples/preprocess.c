/* preprocess PICTURE SIZE OUT.ppm – the exact pixels the image tower sees, as a PPM file. */
#include <stdio.h>
#include <stdlib.h>
#include <tuwen/image.h>

int main(int argc, char **argv) {
    static unsigned char bytes[32 << 20];
    tw_error err = TW_ERROR_INIT;
    tw_recipe recipe = TW_RECIPE_INIT; /* Chinese-CLIP's: squash, bicubic, RGB after the resize */
    tw_image_info info = {0};
    FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (!in) return fprintf(stderr, "usage: preprocess PICTURE SIZE OUT.ppm\n"), 2;
    size_t n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    recipe.size = atoi(argv[2]);
    unsigned char *rgb = recipe.size > 0 && recipe.size <= 4096
                             ? malloc((size_t)recipe.size * (size_t)recipe.size * 3)
                             : NULL;
    if (!rgb) return fprintf(stderr, "SIZE: expected 1 to 4096\n"), 2;
    if (tw_image_probe(bytes, n, NULL, &info, &err) ||
        tw_preprocess_u8(&recipe, bytes, n, NULL, rgb, &err))
        return fprintf(stderr, "%s: %s\n", argv[1], err.message), 1;
    printf("%s %s %ux%u -> %dx%d\n", info.format, info.mode, info.width, info.height,
           (int)recipe.size, (int)recipe.size);
    FILE *out = fopen(argv[3], "wb");
    if (!out) return perror(argv[3]), 1;
    fprintf(out, "P6\n%d %d\n255\n", (int)recipe.size, (int)recipe.size);
    fwrite(rgb, 3, (size_t)recipe.size * (size_t)recipe.size, out);
    free(rgb);
    return fclose(out) ? (perror(argv[3]), 1) : 0;
}
