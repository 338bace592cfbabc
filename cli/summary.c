#include "summary.h"

#include "int8_quality.h"
#include "output.h"
#include "session.h"

static void put_json(tw_buffer *b, const char *path, const char *sha256, const tw_arch *arch,
                     const tw_model_size *size, const char *recipe) {
    cli_json_member(b, "output", path);
    cli_json_member(b, "architecture", arch->name);
    tw_buffer_printf(b, ", \"parameters\": %llu, \"file_bytes\": %llu",
                     (unsigned long long)size->n_parameters, (unsigned long long)size->file_bytes);
    tw_buffer_printf(
        b, ", \"tensors\": {\"f32\": %llu, \"f16\": %llu, \"bf16\": %llu, \"int8\": %llu}",
        (unsigned long long)size->n_tensors_f32, (unsigned long long)size->n_tensors_f16,
        (unsigned long long)size->n_tensors_bf16, (unsigned long long)size->n_tensors_i8);
    cli_json_member(b, "source_sha256", sha256);
    cli_json_member(b, "recipe", recipe);
}

static void put_text(tw_buffer *b, const char *path, const char *sha256, const tw_arch *arch,
                     const tw_model_size *size, const char *recipe) {
    cli_put_field(b, "wrote", "%s (%.1f MB)", path, (double)size->file_bytes / 1e6);
    cli_put_field(b, "architecture", "%s, %llu parameters", arch->name,
                  (unsigned long long)size->n_parameters);
    cli_put_field(b, "recipe", "%s", recipe);
    if (sha256[0]) cli_put_field(b, "source SHA-256", "%s", sha256);
}

int cli_put_model(tw_buffer *b, const char *path, const char *sha256, bool json) {
    tw_model *model = NULL;
    tw_error err = TW_ERROR_INIT;
    if (tw_model_open(path, &model, &err) != TW_OK) return cli_fail(&err);
    tw_model_size size = {.struct_size = sizeof size};
    tw_model_get_size(model, &size);
    const tw_arch *arch = tw_model_arch(model);
    char recipe[160] = "no pictures";
    if (arch->vision.kind != TW_VISION_NONE)
        cli_describe_recipe(tw_model_recipe(model), recipe, sizeof recipe);
    (json ? put_json : put_text)(b, path, sha256, arch, &size, recipe);
    (json ? cli_json_quality : cli_put_quality)(b, model);
    tw_model_free(model);
    return CLI_CONTINUE;
}
