#include "session.h"

#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- options */

#define AT(field) offsetof(cli_compute, field)
const cli_option cli_compute_options[] = {
    {"model", 'm', CLI_TEXT, "FILE", "model file (default $TUWEN_MODEL)", AT(model), 0, 0},
    {"backend", 0, CLI_TEXT, "NAME", "cpu, onnxruntime, openvino, sophon, ascend, magicmind",
     AT(backend), 0, 0},
    {"device", 0, CLI_TEXT, "NAME", "of the backend", AT(device), 0, 0},
    {"precision", 0, CLI_CHOICE, "f32|f16|bf16|int8", "of the computation", AT(precision), 0, 0},
    {"threads", 't', CLI_INT, "N", "threads (all processors)", AT(threads), 0, 1024},
    {"batch", 'b', CLI_INT, "N", "most items computed at once (8, or as compiled)", AT(batch), 1,
     4096},
    {"batch-size", 0, CLI_INT, "N", NULL, AT(batch), 1, 4096},
    /* Of other runtimes; docs/BACKENDS.md has them, --help would not fit a screen. */
    {"provider", 0, CLI_TEXT, "NAME", NULL, AT(provider), 0, 0},
    {"provider-option", 0, CLI_TEXTS, "K=V", NULL, AT(settings), 0, 0},
    {"library", 0, CLI_TEXT, "PATH", NULL, AT(library), 0, 0},
    {"graphs", 0, CLI_TEXT, "PREFIX", NULL, AT(graphs), 0, 0},
    {"allow-fallback", 0, CLI_FLAG, NULL, NULL, AT(allow_fallback), 0, 0},
    {"openvino-device", 0, CLI_TEXT, "NAME", NULL, AT(device), 0, 0},
    {0}};
/* Words for the model and the device in the tools of Chinese-CLIP and of vendors. */
#define GRAPHS "give -m M.gguf; a graph runs with --backend NAME --graphs FILE (docs/BACKENDS.md)"
const cli_option cli_guide_options[] = {
    {"dev-id", 0, CLI_TEXT, "N", NULL, AT(device), 0, 0},
    {"devices", 0, CLI_TEXT, "N", NULL, AT(device), 0, 0},
    {"num-workers", 0, CLI_INT, "N", NULL, AT(threads), 0, 1024},
    {"batchsize", 0, CLI_INT, "N", NULL, AT(batch), 1, 4096},
    {"model-arch", 0, CLI_REPLACED, "the model file knows; give -m M.gguf", NULL, 0, 0, 0},
    {"pytorch-ckpt", 0, CLI_REPLACED,
     "convert the checkpoint once (tuwen convert) and give -m M.gguf", NULL, 0, 0, 0},
    {"pytorch-precision", 0, CLI_REPLACED, "use --precision", NULL, 0, 0, 0},
    {"model-path", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {"onnx-image-model", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {"onnx-text-model", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {"image-model", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {"text-model", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {"bmodel", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {"tensorrt-image-model", 0, CLI_REPLACED,
     ".trt engines are not read; --backend onnxruntime --provider tensorrt builds its own", NULL, 0,
     0, 0},
    {"tensorrt-text-model", 0, CLI_REPLACED,
     ".trt engines are not read; --backend onnxruntime --provider tensorrt builds its own", NULL, 0,
     0, 0},
    {"magicmind-model", 0, CLI_REPLACED, GRAPHS, NULL, 0, 0, 0},
    {0}};
#undef GRAPHS
const cli_option cli_thread_options[] = {
    {"threads", 't', CLI_INT, "N", "threads (all processors)", AT(threads), 0, 1024}, {0}};
#undef AT

#define AT(field) offsetof(cli_report, field)
const cli_option cli_report_options[] = {
    {"json", 0, CLI_FLAG, NULL, "JSON on standard output", AT(json), 0, 0},
    {"progress", 0, CLI_CHOICE, CLI_PROGRESS_WORDS, "on standard error", AT(progress), 0, 0},
    {0}};
#undef AT

#define RESIZE_WORDS "squash|shortest|longest"
#define INTERPOLATION_WORDS "bicubic|bilinear"
#define RESAMPLER_WORDS "classic|12.1|12.2|13"
#define ROUNDING_WORDS "half-even|floor"
#define RECIPE_NAMES "chinese-clip|openai|open-clip|hf|imagefolder"

#define AT(field) offsetof(cli_recipe, field)
const cli_option cli_recipe_options[] = {
    {"recipe", 0, CLI_TEXT, "NAME", "start from " RECIPE_NAMES, AT(name), 0, 0},
    {"resize-mode", 0, CLI_CHOICE, RESIZE_WORDS, "how R x R is reached", AT(resize_mode), 0, 0},
    {"interpolation", 0, CLI_CHOICE, INTERPOLATION_WORDS, "", AT(interpolation), 0, 0},
    {"resampler", 0, CLI_CHOICE, RESAMPLER_WORDS, "the Pillow to agree with", AT(resampler), 0, 0},
    {"rgb-first", 0, CLI_FLAG, NULL, "convert to RGB before the resize", AT(rgb_first), 0, 0},
    {"rgb-after", 0, CLI_FLAG, NULL, "convert to RGB after the resize", AT(rgb_after), 0, 0},
    {"crop-rounding", 0, CLI_CHOICE, ROUNDING_WORDS, "of the centre crop", AT(crop_rounding), 0, 0},
    {"mean", 0, CLI_TRIPLE, "a,b,c", "subtracted from RGB values in 0..1", AT(mean), 0, 0},
    {"std", 0, CLI_TRIPLE, "a,b,c", "then divided by", AT(std), 0, 0},
    {"fast-decode", 0, CLI_FLAG, NULL, "JPEG at a fraction of its size: other pixels",
     AT(fast_decode), 0, 0},
    {0}};
#undef AT

#define AT(field) offsetof(cli_limits, field)
const cli_option cli_limit_options[] = {
    {"max-pixels", 0, CLI_SIZE, "N", "refuse larger pictures (178956970)", AT(max_pixels), 1,
     INT64_MAX},
    {"max-bytes", 0, CLI_SIZE, "N", "refuse larger files (268435456)", AT(max_bytes), 1, INT64_MAX},
    {"exif-rotate", 0, CLI_FLAG, NULL, "turn pictures as their EXIF tag says", AT(exif_rotate), 0,
     0},
    {0}};
#undef AT

#define AT(field) offsetof(cli_text, field)
const cli_option cli_text_options[] = {
    {"context-length", 0, CLI_INT, "N", "tokens a text may have (the model's own)",
     AT(context_length), 2, 512},
    {"truncation", 0, CLI_CHOICE, "silent|flag|error", "of longer texts", AT(truncation), 0, 0},
    {"truncate", 0, CLI_FLAG, NULL, NULL, AT(truncate), 0, 0},
    {"eval-quotes", 0, CLI_FLAG, NULL, "lower case, quotes made straight first", AT(eval_quotes), 0,
     0},
    {0}};
#undef AT

uint32_t cli_recipe_fields(const cli_recipe *o) {
    uint32_t fields = o->name ? TW_RECIPE_ALL : 0;
    if (o->size) fields |= TW_RECIPE_SIZE;
    if (o->resize_mode) fields |= TW_RECIPE_RESIZE_MODE;
    if (o->interpolation) fields |= TW_RECIPE_INTERPOLATION;
    if (o->resampler) fields |= TW_RECIPE_RESAMPLER;
    if (o->rgb_first || o->rgb_after) fields |= TW_RECIPE_RGB_ORDER;
    if (o->crop_rounding) fields |= TW_RECIPE_CROP_ROUNDING;
    if (o->mean.given) fields |= TW_RECIPE_MEAN;
    if (o->std.given) fields |= TW_RECIPE_STD;
    return fields;
}

tw_status cli_apply_recipe(const cli_recipe *o, int32_t fixed_size, tw_recipe *recipe,
                           tw_error *err) {
    int32_t size = o->size ? o->size : recipe->size;
    if (o->name) TW_TRY(tw_recipe_by_name(o->name, size ? size : 224, recipe, err));
    recipe->size = size;
    if (fixed_size && size != fixed_size)
        return tw_fail(err, TW_ERR_ARGUMENT, "--size: %d, the model takes %d", (int)size,
                       (int)fixed_size);
    if (o->rgb_first && o->rgb_after)
        return tw_fail(err, TW_ERR_ARGUMENT, "--rgb-first and --rgb-after exclude each other");
    if (o->resize_mode) recipe->resize_mode = (tw_resize_mode)(o->resize_mode - 1);
    if (o->interpolation) recipe->interpolation = (tw_interpolation)(o->interpolation - 1);
    if (o->resampler) recipe->resampler = (tw_resampler)(o->resampler - 1);
    if (o->crop_rounding) recipe->crop_rounding = (tw_crop_rounding)(o->crop_rounding - 1);
    if (o->rgb_first) recipe->rgb_order = TW_RGB_FIRST;
    if (o->rgb_after) recipe->rgb_order = TW_RGB_AFTER;
    recipe->fast_decode = o->fast_decode;
    if (o->mean.given) memcpy(recipe->mean, o->mean.v, sizeof recipe->mean);
    if (o->std.given) memcpy(recipe->std, o->std.v, sizeof recipe->std);
    for (int c = 0; c < 3; c++)
        if (!(recipe->std[c] > 0))
            return tw_fail(err, TW_ERR_ARGUMENT, "--std: expected positive numbers");
    return TW_OK;
}

tw_image_options cli_image_options(const cli_limits *limits) {
    tw_image_options o = TW_IMAGE_OPTIONS_INIT;
    o.max_pixels = limits->max_pixels;
    o.max_bytes = limits->max_bytes;
    o.exif_rotate = limits->exif_rotate;
    return o;
}

tw_text_options cli_tokenize_options(const cli_text *options) {
    tw_text_options o = TW_TEXT_OPTIONS_INIT;
    o.context_length = options->context_length;
    o.eval_quotes = options->eval_quotes;
    if (options->truncation == CLI_TRUNCATE_ERROR && !options->truncate)
        o.truncation = TW_TRUNCATE_ERROR;
    return o;
}

/* --------------------------------------------------------------------------------- session */

#define NO_MODEL "no model: give -m FILE or set TUWEN_MODEL"

static const char *find_model(const cli_compute *options) {
    const char *path = options->model ? options->model : getenv("TUWEN_MODEL");
    return path && path[0] ? path : NULL;
}

const char *cli_model_path(const cli_compute *options) {
    const char *path = find_model(options);
    if (!path) cli_error(NO_MODEL);
    return path;
}

int cli_open_model(const cli_compute *options, tw_model **out) {
    const char *path = cli_model_path(options);
    if (!path) return CLI_USAGE;
    tw_error err = TW_ERROR_INIT;
    return tw_model_open(path, out, &err) == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

int cli_open_pool(const cli_compute *options, tw_pool **out) {
    tw_error err = TW_ERROR_INIT;
    return tw_pool_create(options->threads, out, &err) == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

enum { INT8 = 4 }; /* its place among the words of --precision */

/* Wrong words are wrong usage; what is not on this machine fails later. */
static tw_status check_compute(const cli_compute *o, tw_error *err) {
    bool known = !o->backend;
    for (const char *const *name = tw_backend_names(); *name && !known; name++)
        known = strcmp(o->backend, *name) == 0;
    if (!known)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "--backend %s: not part of this version; there are cpu, onnxruntime, "
                       "openvino, sophon, ascend and magicmind",
                       o->backend);
    if (o->precision == INT8 && o->backend && strcmp(o->backend, "cpu") != 0)
        return tw_fail(err, TW_ERR_ARGUMENT, "--precision int8: backend %s has none, cpu has",
                       o->backend);
    return TW_OK;
}

/* Why a table that was asked for by name is not in use. */
static const char *why_lacking(const char *cap) {
    const char *note = tw_isa_note();
    size_t n = strlen(cap);
    return note && strncmp(note, cap, n) == 0 ? note + n + strlen(": ") : "this processor lacks it";
}

void cli_check_cpu_cap(void) {
    const char *cap = getenv("TUWEN_CPU");
    if (!tw_isa_cap_valid())
        cli_error("TUWEN_CPU=%s is none of " CLI_CPU_CAPS " and caps nothing", cap);
    else if (cap && cap[0] && strcmp(cap, tw_isa_name()) != 0)
        cli_error("TUWEN_CPU=%s: %s, %s is used", cap, why_lacking(cap), tw_isa_name());
}

/* Ends as the line does that says what is used. */
static void tell_threads(int n_threads) {
    if (n_threads > tw_cpu_count())
        cli_error("-t %d: this process may use %d processor%s, which take turns at %d threads",
                  n_threads, tw_cpu_count(), tw_cpu_count() == 1 ? "" : "s", n_threads);
}

void cli_describe_recipe(const tw_recipe *r, char *buf, size_t n) {
    snprintf(buf, n, "%s %d %s, resampler %s, RGB %s%s%s%s", tw_resize_mode_name(r->resize_mode),
             (int)r->size, tw_interpolation_name(r->interpolation), tw_resampler_name(r->resampler),
             tw_rgb_order_name(r->rgb_order), r->resize_mode == TW_RESIZE_SQUASH ? "" : ", crop ",
             r->resize_mode == TW_RESIZE_SQUASH ? "" : tw_crop_rounding_name(r->crop_rounding),
             r->fast_decode ? ", JPEG at a fraction" : "");
}

bool cli_is_int8(const tw_model *model) {
    tw_model_size size = TW_MODEL_SIZE_INIT;
    tw_model_get_size(model, &size);
    return size.n_tensors_i8 > 0;
}

/* The cpu backend says itself when it does not compute with int8 weights. */
static void tell_widened(const cli_session *s) {
    tw_used used = TW_USED_INIT;
    tw_encoder_used(s->encoder, &used);
    if (strcmp(used.backend, "cpu") != 0 && cli_is_int8(s->model))
        cli_error("%s: its int8 weights are widened for backend %s", tw_model_path(s->model),
                  used.backend);
}

static void print_used(const cli_session *s) {
    char recipe[160] = "";
    if (s->recipe.size) cli_describe_recipe(&s->recipe, recipe, sizeof recipe);
    cli_error("%s, batch %d; %s%s%s", tw_encoder_description(s->encoder), s->batch,
              tw_model_arch(s->model)->name, recipe[0] ? "; " : "", recipe);
    tell_widened(s);
}

static void take_backend(const cli_compute *compute, tw_encoder_options *o) {
    static const int precisions[] = {-1, TW_F32, TW_F16, TW_BF16, TW_I8};
    o->backend = compute->backend;
    o->device = compute->device;
    o->provider = compute->provider;
    o->library = compute->library;
    o->graphs = compute->graphs;
    o->precision = precisions[compute->precision];
    o->settings = compute->settings.items;
    o->n_settings = compute->settings.n;
    o->allow_fallback = compute->allow_fallback;
}

static tw_status open_encoder(cli_session *s, const cli_compute *compute, const cli_recipe *recipe,
                              cli_towers towers, tw_error *err) {
    const tw_arch *arch = tw_model_arch(s->model);
    if (towers == CLI_ANY) {
        towers = arch->vision.kind == TW_VISION_NONE ? CLI_TEXT_TOWER
                 : arch->text.kind == TW_TEXT_NONE   ? CLI_VISION
                                                     : CLI_BOTH;
    }
    if (towers != CLI_TEXT_TOWER && arch->vision.kind == TW_VISION_NONE)
        return tw_fail(err, TW_ERR_MISMATCH, "%s: the model has no image tower",
                       tw_model_path(s->model));
    if (towers != CLI_VISION && arch->text.kind == TW_TEXT_NONE)
        return tw_fail(err, TW_ERR_MISMATCH, "%s: the model has no text tower",
                       tw_model_path(s->model));
    if (towers != CLI_TEXT_TOWER) {
        s->recipe = *tw_model_recipe(s->model);
        if (recipe) TW_TRY(cli_apply_recipe(recipe, s->recipe.size, &s->recipe, err));
    }
    tw_encoder_options options = TW_ENCODER_OPTIONS_INIT;
    options.batch = compute->batch;
    options.vision_only = towers == CLI_VISION;
    options.text_only = towers == CLI_TEXT_TOWER;
    options.hooks = cli_hooks();
    take_backend(compute, &options);
    cli_work_begin("pack", 0);
    tw_status status = tw_encoder_create(s->model, s->pool, &options, &s->encoder, err);
    cli_work_end();
    TW_TRY(status);
    tw_used used = TW_USED_INIT;
    tw_encoder_used(s->encoder, &used);
    s->batch = used.batch;
    return TW_OK;
}

static tw_status open_all(cli_session *s, const cli_compute *compute, const cli_recipe *recipe,
                          cli_towers towers, tw_error *err) {
    TW_TRY(check_compute(compute, err));
    const char *path = find_model(compute);
    if (!path) return tw_fail(err, TW_ERR_ARGUMENT, NO_MODEL);
    TW_TRY(tw_model_open(path, &s->model, err));
    if (!s->pool) TW_TRY(tw_pool_create(compute->threads, &s->pool, err));
    return open_encoder(s, compute, recipe, towers, err);
}

tw_status cli_session_try(cli_session *s, const cli_session *other, const cli_compute *compute,
                          const cli_recipe *recipe, cli_towers towers, tw_error *err) {
    *s = (cli_session){0};
    s->pool_is_lent = other && other->pool;
    if (s->pool_is_lent) s->pool = other->pool;
    tw_status status = open_all(s, compute, recipe, towers, err);
    if (status == TW_OK)
        print_used(s);
    else
        cli_session_close(s);
    return status;
}

int cli_session_open(cli_session *s, const cli_compute *compute, const cli_recipe *recipe,
                     cli_towers towers) {
    return cli_session_open_beside(s, NULL, compute, recipe, towers);
}

int cli_session_open_beside(cli_session *s, const cli_session *other, const cli_compute *compute,
                            const cli_recipe *recipe, cli_towers towers) {
    tw_error err = TW_ERROR_INIT;
    cli_check_cpu_cap();
    if (!other) tell_threads(compute->threads);
    tw_status status = cli_session_try(s, other, compute, recipe, towers, &err);
    return status == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}

void cli_session_close(cli_session *s) {
    tw_encoder_free(s->encoder);
    if (!s->pool_is_lent) tw_pool_free(s->pool);
    tw_model_free(s->model);
    *s = (cli_session){0};
}

void cli_json_recipe(tw_buffer *b, const tw_recipe *r) {
    tw_buffer_printf(
        b,
        "{\"size\": %d, \"resize_mode\": \"%s\", \"interpolation\": \"%s\", "
        "\"resampler\": \"%s\", \"rgb\": \"%s\", \"crop_rounding\": \"%s\", \"mean\": ",
        (int)r->size, tw_resize_mode_name(r->resize_mode), tw_interpolation_name(r->interpolation),
        tw_resampler_name(r->resampler), tw_rgb_order_name(r->rgb_order),
        tw_crop_rounding_name(r->crop_rounding));
    cli_json_floats(b, r->mean, 3);
    tw_buffer_puts(b, ", \"std\": ");
    cli_json_floats(b, r->std, 3);
    if (r->fast_decode) tw_buffer_puts(b, ", \"fast_decode\": true");
    tw_buffer_puts(b, "}");
}

/* The batch used, and the sizes that a backend of fixed batches has. */
static void json_batches(tw_buffer *b, const cli_session *s) {
    tw_capabilities can = TW_CAPABILITIES_INIT;
    tw_encoder_capabilities(s->encoder, &can);
    const struct {
        const char *name;
        const tw_batch_sizes *sizes;
    } towers[] = {{"image_batches", &can.images}, {"text_batches", &can.texts}};
    tw_buffer_printf(b, ", \"batch\": %d", s->batch);
    for (size_t i = 0; i < sizeof towers / sizeof *towers; i++) {
        const tw_batch_sizes *t = towers[i].sizes;
        for (int k = 0; k < t->n_sizes; k++)
            k == 0 ? tw_buffer_printf(b, ", \"%s\": [%d", towers[i].name, t->sizes[k])
                   : tw_buffer_printf(b, ", %d", t->sizes[k]);
        if (t->n_sizes) tw_buffer_puts(b, "]");
    }
}

void cli_json_used(tw_buffer *b, const cli_session *s, bool pictures) {
    tw_used used = {sizeof used, "cpu", "", "cpu", "f32", "", 0};
    if (s->encoder) tw_encoder_used(s->encoder, &used);
    bool cpu = strcmp(used.backend, "cpu") == 0;
    tw_buffer_puts(b, "\"used\": {");
    tw_buffer_printf(b,
                     "\"version\": \"%s\", \"backend\": \"%s\", \"device\": \"%s\", "
                     "\"isa\": \"%s\", \"precision\": \"%s\"",
                     tw_version(), used.backend, cpu ? "cpu" : used.device, tw_isa_name(),
                     used.precision);
    if (!cpu) cli_json_member(b, "runtime", used.runtime);
    if (!cpu || strcmp(used.precision, "f32") != 0 || (s->model && cli_is_int8(s->model)))
        cli_json_member(b, "detail", used.detail);
    if (s->pool) tw_buffer_printf(b, ", \"threads\": %d", tw_pool_threads(s->pool));
    if (s->encoder) json_batches(b, s);
    if (s->model) {
        cli_json_member(b, "model", tw_model_path(s->model));
        cli_json_member(b, "arch", tw_model_arch(s->model)->name);
    }
    if (pictures) {
        char decoders[128];
        tw_image_versions(decoders, sizeof decoders);
        cli_json_member(b, "decoders", decoders);
        tw_buffer_puts(b, ", \"recipe\": ");
        cli_json_recipe(b, &s->recipe);
    }
    tw_buffer_puts(b, "}");
}
