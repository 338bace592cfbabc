/* tuwen preprocess: pictures as the image tower gets them. */
#include "base/clock.h"
#include "base/pool.h"
#include "base/size.h"
#include "folder.h"
#include "inputs.h"
#include "output.h"
#include "tensor/npy.h"
#include "verbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DTYPE_U8 = 1, DTYPE_F32 };

typedef struct preprocess {
    cli_compute compute;
    cli_report report;
    cli_recipe recipe;
    cli_limits limits;
    const char *images, *output, *folder, *errors;
    int dtype;
    cli_texts operands;
    /* at work */
    cli_session session; /* its pool and recipe; the model is not kept */
    cli_skips skips;
    tw_pictures *pictures;
    uint64_t begin_ns;
} preprocess;

#define AT(field) offsetof(preprocess, field)
static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, "FILE", "take its recipe (default $TUWEN_MODEL)", AT(compute.model), 0,
     0},
    {"images", 0, CLI_TEXT, "LIST", "pictures: a file with one path a line", AT(images), 0, 0},
    {"output", 'o', CLI_TEXT, "OUT.npy", "where to", AT(output), 0, 0},
    {"npy-path", 0, CLI_TEXT, "DIR", "instead: one DIR/NAME.npy a picture, [1, 3, R, R]",
     AT(folder), 0, 0},
    {"dtype", 0, CLI_CHOICE, "u8|f32", "resized and cropped, or (default) normalised", AT(dtype), 0,
     0},
    {"size", 0, CLI_INT, "R", "side of the result (the model's, else 224)", AT(recipe.size), 1,
     4096},
    {"errors", 0, CLI_TEXT, "FILE", "skipped pictures and reasons, JSONL", AT(errors), 0, 0},
    {"src-path", 0, CLI_TEXTS, "DIR", NULL, AT(operands), 0, 0},
    {"model-arch", 0, CLI_REPLACED, "give -m M.gguf, or --recipe chinese-clip --size R", NULL, 0, 0,
     0},
    {0}};
#undef AT

/* A picture on its way through a thread. */
typedef struct slot {
    tw_picture_bytes bytes;
    tw_error error;
    uint8_t *out;
} slot;

typedef struct job {
    const preprocess *verb;
    tw_image_options limits;
    slot *slots;
} job;

static void prepare(void *arg, int index) {
    const job *j = arg;
    slot *s = &j->slots[index];
    const tw_recipe *recipe = &j->verb->session.recipe;
    if (s->error.status != TW_OK) return;
    if (j->verb->dtype == DTYPE_U8)
        tw_preprocess_u8(recipe, s->bytes.data, s->bytes.n_bytes, &j->limits, s->out, &s->error);
    else
        tw_preprocess_f32(recipe, s->bytes.data, s->bytes.n_bytes, &j->limits,
                          (float *)(void *)s->out, &s->error);
}

/* A row for a picture that could not be read: NaN, or black where there is none. */
static void blank(const preprocess *p, uint8_t *out, size_t n_bytes) {
    memset(out, 0, n_bytes);
    if (p->dtype == DTYPE_U8) return;
    for (size_t i = 0; i < n_bytes / sizeof(float); i++)
        ((float *)(void *)out)[i] = NAN;
}

static tw_status write_file(const preprocess *p, size_t i, const uint8_t *data, tw_error *err) {
    int64_t r = p->session.recipe.size;
    bool u8 = p->dtype == DTYPE_U8;
    int64_t shape[4] = {1, u8 ? r : 3, r, u8 ? 3 : r};
    return cli_folder_save(p->folder, tw_pictures_name(p->pictures, i), u8 ? TW_U8 : TW_F32, 4,
                           shape, data, err);
}

/* One array of all, or with --npy-path (out is NULL) a file each of those that could be read. */
static tw_status write_slots(preprocess *p, tw_output *out, job *j, size_t first, size_t n,
                             size_t picture_bytes, tw_error *err) {
    for (size_t i = 0; i < n; i++) {
        slot *s = &j->slots[i];
        if (s->error.status != TW_OK) {
            const char *name = tw_pictures_name(p->pictures, first + i);
            TW_TRY(cli_skips_add(&p->skips, first + i, name, &s->error, err));
            if (!out) continue;
            blank(p, s->out, picture_bytes);
        }
        TW_TRY(out ? tw_output_write(out, s->out, picture_bytes, err)
                   : write_file(p, first + i, s->out, err));
    }
    return TW_OK;
}

static void read_slots(preprocess *p, job *j, size_t first, size_t n) {
    size_t max_bytes = j->limits.max_bytes ? (size_t)j->limits.max_bytes : (size_t)256 << 20;
    for (size_t i = 0; i < n; i++) {
        slot *s = &j->slots[i];
        s->error = (tw_error)TW_ERROR_INIT;
        tw_pictures_read(p->pictures, first + i, max_bytes, &s->bytes, &s->error);
    }
}

static void free_slots(job *j, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(j->slots[i].bytes.owned);
        j->slots[i].bytes.owned = NULL;
    }
}

static tw_status write_header(const preprocess *p, tw_output *out, tw_error *err) {
    int64_t n = (int64_t)tw_pictures_count(p->pictures), r = p->session.recipe.size;
    bool u8 = p->dtype == DTYPE_U8;
    int64_t shape[4] = {n, u8 ? r : 3, r, u8 ? 3 : r};
    int skip = n == 1; /* one picture has no leading axis */
    return tw_npy_write_header(out, u8 ? TW_U8 : TW_F32, 4 - skip, shape + skip, err);
}

static tw_status write_all(preprocess *p, tw_output *out, tw_error *err) {
    size_t r = (size_t)p->session.recipe.size, n_all = tw_pictures_count(p->pictures);
    size_t picture_bytes = 3 * r * r * (p->dtype == DTYPE_U8 ? 1 : sizeof(float));
    size_t capacity = (size_t)tw_pool_threads(p->session.pool);
    job j = {.verb = p, .limits = cli_image_options(&p->limits)};
    j.slots = calloc(capacity, sizeof *j.slots);
    uint8_t *pixels = malloc(capacity * picture_bytes);
    tw_status status = TW_OK;
    cli_work_begin("images", n_all);
    if (!j.slots || !pixels) TW_CHECK(tw_fail_no_memory(err, capacity * picture_bytes));
    for (size_t i = 0; i < capacity; i++)
        j.slots[i].out = pixels + i * picture_bytes;
    TW_CHECK(out ? write_header(p, out, err) : cli_folder_prepare(p->folder, p->pictures, err));
    for (size_t first = 0; first < n_all; first += capacity) {
        size_t n = TW_MIN(capacity, n_all - first);
        read_slots(p, &j, first, n);
        tw_pool_run(p->session.pool, prepare, &j, (int)n);
        status = write_slots(p, out, &j, first, n, picture_bytes, err);
        free_slots(&j, n);
        if (status != TW_OK) goto done;
        cli_work_at(first + n);
        TW_CHECK(tw_progress(cli_hooks(), "images", 0, n_all, err));
    }
done:
    cli_work_end();
    free(pixels);
    free(j.slots);
    return status;
}

/* The model's recipe when there is a model, else Chinese-CLIP's, with the options on top. */
static int set_recipe(preprocess *p) {
    tw_error err = TW_ERROR_INIT;
    p->session.recipe = (tw_recipe)TW_RECIPE_INIT;
    const char *environment = getenv("TUWEN_MODEL");
    if (p->compute.model || (!p->recipe.name && environment && environment[0])) {
        tw_model *model = NULL;
        int status = cli_open_model(&p->compute, &model);
        if (status != CLI_CONTINUE) return status;
        p->session.recipe = *tw_model_recipe(model);
        tw_model_free(model);
    }
    if (cli_apply_recipe(&p->recipe, 0, &p->session.recipe, &err) != TW_OK) return cli_fail(&err);
    return CLI_CONTINUE;
}

static void print_used(const preprocess *p) {
    char recipe[160], decoders[128];
    cli_describe_recipe(&p->session.recipe, recipe, sizeof recipe);
    tw_image_versions(decoders, sizeof decoders);
    cli_error("%s; %s; %d threads", recipe, decoders, tw_pool_threads(p->session.pool));
}

static int work(preprocess *p) {
    tw_error err = TW_ERROR_INIT;
    int status = cli_gather_pictures(p->images, &p->operands, &p->pictures);
    if (status == CLI_CONTINUE) status = set_recipe(p);
    if (status == CLI_CONTINUE) status = cli_open_pool(&p->compute, &p->session.pool);
    if (status == CLI_CONTINUE)
        status = cli_skips_open(&p->skips, p->errors, tw_pictures_count(p->pictures));
    if (status != CLI_CONTINUE) return status;
    print_used(p);
    p->begin_ns = tw_now_ns();
    tw_output out;
    tw_status result = p->folder ? write_all(p, NULL, &err) : tw_output_open(p->output, &out, &err);
    if (!p->folder && result == TW_OK) {
        result = write_all(p, &out, &err);
        if (result == TW_OK && !cli_all_skipped(&p->skips)) result = tw_output_commit(&out, &err);
        tw_output_abort(&out);
    }
    return cli_skips_close(&p->skips, result == TW_OK ? CLI_DONE : cli_fail(&err));
}

static int print_summary(const preprocess *p) {
    tw_buffer b = {0};
    tw_buffer_puts(&b, "{");
    cli_json_member(&b, "output", p->folder ? p->folder : p->output);
    cli_json_number(&b, "pictures", (double)tw_pictures_count(p->pictures));
    cli_json_number(&b, "skipped", (double)p->skips.n);
    cli_json_member(&b, "dtype", p->dtype == DTYPE_U8 ? "u8" : "f32");
    cli_json_number(&b, "seconds", (double)(tw_now_ns() - p->begin_ns) / 1e9);
    tw_buffer_puts(&b, ", ");
    cli_json_used(&b, &p->session, true);
    tw_buffer_puts(&b, "}\n");
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status;
}

static int run(const cli_verb *verb, int argc, char **argv) {
    preprocess p = {.dtype = DTYPE_F32};
    const cli_group groups[] = {{options, &p},
                                {cli_recipe_options, &p.recipe},
                                {cli_limit_options, &p.limits},
                                {cli_thread_options, &p.compute},
                                {cli_report_options, &p.report},
                                {0}};
    int status = cli_parse(verb, groups, argc, argv, &p.operands);
    cli_console_set_progress(p.report.progress);
    if (status == CLI_CONTINUE && !p.output == !p.folder) {
        cli_error(p.output ? "-o and --npy-path exclude each other"
                           : "no output: give -o OUT.npy or --npy-path DIR");
        status = CLI_USAGE;
    }
    if (status == CLI_CONTINUE && p.report.json && p.output && strcmp(p.output, "-") == 0) {
        cli_error("--json and -o - both want standard output");
        status = CLI_USAGE;
    }
    if (status == CLI_CONTINUE) status = work(&p);
    if (p.report.json && (status == CLI_DONE || status == CLI_SKIPPED)) {
        int printed = print_summary(&p);
        if (printed != CLI_CONTINUE) status = printed;
    }
    tw_pool_free(p.session.pool);
    tw_pictures_free(p.pictures);
    free(p.operands.items);
    return status;
}

const cli_verb cli_preprocess = {
    .name = "preprocess",
    .summary = "pictures as the image tower gets them, into .npy",
    .usage = "[-m MODEL|--recipe NAME] [options] -o OUT.npy PICTURE…",
    .about = "u8: [n,] R x R x 3; f32: [n,] 3 x R x R; one picture has no leading axis.",
    .example = "tuwen preprocess --recipe chinese-clip --dtype u8 -o cat.npy cat.jpg",
    .run = run,
};
