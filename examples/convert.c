/* convert CHECKPOINT MODEL [VISION.json,TEXT.json] – a Chinese-CLIP checkpoint into a model file.
 */
#include <stdio.h>
#include <tuwen/tuwen.h>

static void show(void *user, tw_log_level level, const char *message) {
    if (level == TW_LOG_WARNING) fprintf(stderr, "warning: %s\n", message);
}

static bool progress(void *user, const char *stage, uint64_t done, uint64_t total) {
    fprintf(stderr, "\r%s %llu/%llu ", stage, (unsigned long long)done, (unsigned long long)total);
    return true; /* false would cancel and leave nothing behind */
}

int main(int argc, char **argv) {
    tw_error err = TW_ERROR_INIT;
    tw_hooks hooks = {sizeof hooks, show, progress, NULL};
    tw_convert_options options = TW_CONVERT_OPTIONS_INIT;
    tw_model *model = NULL;
    if (argc < 3) return fprintf(stderr, "usage: convert CHECKPOINT MODEL [ARCH]\n"), 2;
    options.arch = argc > 3 ? argv[3] : NULL; /* NULL: recognised from names and shapes */
    options.hooks = &hooks;
    if (tw_convert(argv[1], argv[2], &options, &err) || tw_model_open(argv[2], &model, &err))
        return fprintf(stderr, "\n%s (%s)\n", err.message, tw_status_name(err.status)), 1;
    tw_model_size size = TW_MODEL_SIZE_INIT;
    tw_model_get_size(model, &size);
    printf("%s: %llu parameters, features of %d values\n", tw_model_arch(model)->name,
           (unsigned long long)size.n_parameters, (int)tw_model_arch(model)->embed_dim);
    tw_model_free(model);
    return 0;
}
