#include "int8_gate.h"

#include "base/size.h"
#include "eval/recall.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Trained models reach 0.9995 and 0.998 on pictures (docs/SPEED.md, int8); one whose outliers spoil
 * its 8 bits falls to 0.96 and 0.85. */
static const float REQUIRED_MEAN = 0.99f, REQUIRED_LEAST = 0.97f;

/* Half a point of what is right may be lost, or two inputs where half a point is less. */
static const double LOST_SHARE = 0.005, LOST_INPUTS = 2;

/* Something that is right or wrong of each input, counted for both. */
typedef struct gate_task {
    const char *name;
    double n, right[2]; /* of f32 and int8 */
} gate_task;

enum { N_TASKS = 3 };

typedef struct gate {
    cli_gate *options;
    const char *checkpoint;
    tw_convert_options convert;
    cli_calibration inputs;
    tw_output f32_file, int8_file; /* temporary models: names that any end removes */
    cli_session f32, int8;
    cli_features expected;
    tw_agreement pictures, texts;
    gate_task tasks[N_TASKS];
    size_t n_tasks; /* measured */
    tw_int8_quality quality;
    tw_buffer kept; /* "v.blk.3,t.blk.0" */
    int n_kept[2];  /* of the image and the text tower */
    tw_hooks quiet; /* without the log: the first conversion has said it all */
} gate;

/* ------------------------------------------------------------------------------ the two models */

/* A model file that stands beside the output under a temporary name. */
static tw_status make(gate *g, const char *output, const tw_convert_options *options,
                      tw_output *file, tw_error *err) {
    if (!file->temporary) TW_TRY(tw_output_open(output, file, err));
    if (!file->temporary)
        return tw_fail(err, TW_ERR_IO, "%s: is there and is not a regular file", output);
    cli_work_begin("convert", 0);
    tw_status status = tw_convert(g->checkpoint, file->temporary, options, err);
    cli_work_end();
    return status;
}

enum { F32_WORD = 1, INT8_WORD = 4 }; /* of --precision, as cli_compute has it */

static tw_status open_session(gate *g, const tw_output *file, int precision, cli_session *s,
                              tw_error *err) {
    cli_compute compute = {.model = file->temporary, .backend = "cpu", .precision = precision};
    cli_recipe recipe = {.rgb_first = g->inputs.labels != NULL}; /* as eval zeroshot */
    compute.allow_fallback = true; /* a ResNet beside a text tower, or alone: measured as it is */
    return cli_session_try(s, s == &g->int8 ? &g->f32 : NULL, &compute, &recipe, CLI_ANY, err);
}

static tw_status open_f32(gate *g, const char *output, tw_error *err) {
    tw_convert_options plain = g->convert;
    plain.precision = -1;
    TW_TRY(make(g, output, &plain, &g->f32_file, err));
    g->quiet = *cli_hooks();
    g->quiet.log = NULL;
    g->convert.hooks = &g->quiet;
    TW_TRY(open_session(g, &g->f32_file, F32_WORD, &g->f32, err));
    return cli_calibration_encode(&g->inputs, &g->f32, &g->expected, err);
}

/* ---------------------------------------------------------------------------------- measuring */

static void compare(const gate *g, const float *a, const float *b, size_t n, bool pictures,
                    tw_agreement *out) {
    size_t dim = g->expected.dim;
    *out = (tw_agreement)TW_AGREEMENT_INIT;
    for (size_t i = 0; a && i < n; i++)
        if (!pictures || !cli_calibration_left_out(&g->inputs, i))
            tw_agreement_add(out, i, a + i * dim, b + i * dim, dim);
}

/* A row that is no vector counts as the worst. */
static void put_cosines(const tw_agreement *a, float out[2], int32_t *n) {
    *n = (int32_t)a->n;
    out[0] = a->n ? a->n_no_cosine ? -1 : (float)tw_agreement_mean(a) : NAN;
    out[1] = a->n ? a->n_no_cosine ? -1 : (float)a->cosine_min : NAN;
}

/* Adds a task; its shares in percent go to `percent`. */
static void add_task(gate *g, const char *name, double n, double before, double after,
                     float percent[2]) {
    if (n == 0) return;
    g->tasks[g->n_tasks++] = (gate_task){name, n, {before, after}};
    percent[0] = (float)(before / n * 100);
    percent[1] = (float)(after / n * 100);
}

static tw_status measure_recall(gate *g, const cli_features *f, tw_error *err) {
    tw_recall before[2], after[2];
    if (!g->inputs.pairs || !f->pictures || !f->texts) return TW_OK;
    TW_TRY(cli_calibration_recall(&g->inputs, &g->f32, &g->expected, before, err));
    TW_TRY(cli_calibration_recall(&g->inputs, &g->int8, f, after, err));
    float *percent[] = {g->quality.recall_t2i, g->quality.recall_i2t};
    static const char *const names[] = {"text-to-image R@1", "image-to-text R@1"};
    for (int i = 0; i < 2; i++)
        add_task(g, names[i], (double)before[i].n_queries, (double)before[i].n_hits[0],
                 (double)after[i].n_hits[0], percent[i]);
    return TW_OK;
}

static tw_status measure_zeroshot(gate *g, const cli_features *f, tw_error *err) {
    tw_zeroshot_result before, after;
    if (!f->classes || !f->pictures) return TW_OK;
    TW_TRY(cli_calibration_zeroshot(&g->inputs, &g->expected, &g->expected, &before, err));
    TW_TRY(cli_calibration_zeroshot(&g->inputs, &g->expected, f, &after, err));
    double n = (double)before.n_images;
    add_task(g, "top-1", n, round(before.top1 * n), round(after.top1 * n), g->quality.top1);
    if (n > 0) g->quality.n_labels = (int32_t)g->inputs.labels->labels.n;
    return TW_OK;
}

static tw_status measure(gate *g, tw_error *err) {
    cli_features f = {0};
    tw_int8_quality *q = &g->quality;
    tw_status status = cli_calibration_encode(&g->inputs, &g->int8, &f, err);
    if (status == TW_OK) {
        compare(g, g->expected.pictures, f.pictures, g->inputs.n_pictures, true, &g->pictures);
        compare(g, g->expected.texts, f.texts, g->inputs.n_texts, false, &g->texts);
        put_cosines(&g->pictures, q->image_cosine, &q->n_images);
        put_cosines(&g->texts, q->text_cosine, &q->n_texts);
        g->n_tasks = 0;
        status = measure_recall(g, &f, err);
        if (status == TW_OK) status = measure_zeroshot(g, &f, err);
    }
    cli_features_free(&f);
    return status;
}

/* Whether a tower that is there was measured and is near enough. */
static bool holds(const gate *g, const float cosine[2]) {
    return cosine[0] >= g->quality.required[0] && cosine[1] >= g->quality.required[1];
}

static bool vision_holds(const gate *g) {
    return tw_model_arch(g->f32.model)->vision.kind == TW_VISION_NONE ||
           holds(g, g->quality.image_cosine);
}

static bool text_holds(const gate *g) {
    return tw_model_arch(g->f32.model)->text.kind == TW_TEXT_NONE ||
           holds(g, g->quality.text_cosine);
}

static bool loses(const gate_task *t) {
    return t->right[0] - t->right[1] > TW_MAX(t->n * LOST_SHARE, LOST_INPUTS);
}

/* Whether as much is right as of f32. */
static bool tasks_hold(const gate *g) {
    for (size_t i = 0; i < g->n_tasks; i++)
        if (loses(&g->tasks[i])) return false;
    return true;
}

/* ----------------------------------------------------------------------- which block stays f16 */

static tw_status take_stages(const gate *g, cli_session *s, bool picture, size_t worst,
                             tw_stages *out, tw_error *err) {
    TW_TRY(tw_encoder_observe(s->encoder, tw_stages_take, out, err));
    tw_status status = cli_calibration_show(&g->inputs, s, picture, worst, err);
    tw_encoder_observe(s->encoder, NULL, NULL, NULL);
    if (status == TW_OK && out->failed) status = tw_fail_no_memory(err, 0);
    return status;
}

/* The block number a stage's name ends in; -1: what stands before the blocks. */
static int block_of(const char *stage) {
    const char *dot = strrchr(stage, '.');
    bool number = dot && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1);
    return number ? atoi(dot + 1) : -1;
}

static bool is_kept(const gate *g, const char *part) {
    const char *at = g->kept.data ? strstr(g->kept.data, part) : NULL;
    return at && (at[strlen(part)] == ',' || at[strlen(part)] == '\0');
}

/* The part behind which the difference to f32 grows most, of the input that came out worst. */
static bool find_worst(const gate *g, const tw_stages *a, const tw_stages *b, bool picture,
                       char part[32]) {
    double before = 0, most = 0;
    if (!tw_stages_comparable(a, b)) return false;
    for (size_t i = 0; i < a->n; i++) {
        double now = tw_stages_compare(a, b, i).relative;
        int block = block_of(a->items[i].name);
        bool table = block < 0 && i == 0 && !picture; /* the embeddings of tokens */
        char name[32];
        snprintf(name, sizeof name, "%c.blk.%d", picture ? 'v' : 't', block);
        if (table) snprintf(name, sizeof name, "t.token_embd");
        if (now - before > most && !is_kept(g, name) && (block >= 0 || table)) {
            most = now - before;
            memcpy(part, name, sizeof name);
        }
        before = now;
    }
    return most > 0;
}

/* A quarter of a tower may stay f16, at least one part. */
static int most_kept(const gate *g, bool picture) {
    const tw_arch *arch = tw_model_arch(g->f32.model);
    return TW_MAX((picture ? arch->vision.n_layers : arch->text.n_layers) / 4, 1);
}

/* Adds a part of the tower to those kept; *found is false when no more may be. */
static tw_status keep_worst(gate *g, bool picture, bool *found, tw_error *err) {
    const tw_agreement *agreement = picture ? &g->pictures : &g->texts;
    bool blocks = !picture || tw_model_arch(g->f32.model)->vision.kind == TW_VISION_VIT;
    tw_stages a = {0}, b = {0};
    char part[32];
    tw_status status = TW_OK;
    if (!blocks || g->n_kept[!picture] == most_kept(g, picture) || agreement->n == 0) return TW_OK;
    TW_CHECK(take_stages(g, &g->f32, picture, agreement->worst, &a, err));
    TW_CHECK(take_stages(g, &g->int8, picture, agreement->worst, &b, err));
    if (!find_worst(g, &a, &b, picture, part)) goto done;
    tw_buffer_printf(&g->kept, "%s%s", g->kept.n_bytes ? "," : "", part);
    if (g->kept.failed) status = tw_fail_no_memory(err, g->kept.n_bytes);
    g->n_kept[!picture]++;
    *found = true;
    cli_error("int8: cosine of %s to f32 mean %.4f, least %.4f; %s loses most and stays f16",
              picture ? "pictures" : "texts", tw_agreement_mean(agreement), agreement->cosine_min,
              part);
done:
    tw_stages_free(&a);
    tw_stages_free(&b);
    return status;
}

/* ----------------------------------------------------------------------------------- the whole */

static tw_status try_int8(gate *g, const char *output, tw_error *err) {
    g->convert.keep_f16 = g->kept.n_bytes ? g->kept.data : NULL;
    TW_TRY(make(g, output, &g->convert, &g->int8_file, err));
    TW_TRY(open_session(g, &g->int8_file, INT8_WORD, &g->int8, err));
    return measure(g, err);
}

/* Until both towers are near enough, or no more may be kept. */
static tw_status search(gate *g, const char *output, tw_error *err) {
    TW_TRY(open_f32(g, output, err));
    for (;;) {
        bool found = false;
        TW_TRY(try_int8(g, output, err));
        bool all = !tasks_hold(g); /* either tower may be why */
        if (all || !vision_holds(g)) TW_TRY(keep_worst(g, true, &found, err));
        if (all || !text_holds(g)) TW_TRY(keep_worst(g, false, &found, err));
        if (!found) return TW_OK;
        cli_session_close(&g->int8);
    }
}

static void describe(const char *what, const float cosine[2], char *buf, size_t n_bytes) {
    if (isnan(cosine[0]))
        snprintf(buf, n_bytes, "%s: not measured", what);
    else
        snprintf(buf, n_bytes, "%s: mean %.6f, least %.6f", what, (double)cosine[0],
                 (double)cosine[1]);
}

/* What stands in the way, in one line. */
static tw_status refuse(const gate *g, tw_error *err) {
    char pictures[80], texts[80];
    tw_buffer more = {0};
    const tw_int8_quality *q = &g->quality;
    describe("pictures", q->image_cosine, pictures, sizeof pictures);
    describe("texts", q->text_cosine, texts, sizeof texts);
    for (size_t i = 0; i < g->n_tasks; i++) {
        const gate_task *t = &g->tasks[i];
        if (loses(t))
            tw_buffer_printf(&more, "; %s: right f32 %.0f, int8 %.0f of %.0f", t->name, t->right[0],
                             t->right[1], t->n);
    }
    tw_buffer_puts(&more, ")");
    if (g->kept.n_bytes) tw_buffer_printf(&more, " even with f16 in %s", g->kept.data);
    tw_status status =
        tw_fail(err, TW_ERR_MISMATCH,
                "int8 is too far from f32 on %s inputs (cosine of %s; of %s; required mean %g, "
                "least %g%s; nothing is written without --force",
                q->calibration, pictures, texts, (double)q->required[0], (double)q->required[1],
                more.data ? more.data : ")");
    tw_buffer_free(&more);
    return status;
}

static tw_status decide(gate *g, const char *output, tw_error *err) {
    tw_int8_quality *q = &g->quality;
    q->calibration = g->inputs.name;
    q->kept = g->kept.n_bytes ? g->kept.data : "";
    q->forced = !vision_holds(g) || !text_holds(g) || !tasks_hold(g);
    if (q->forced && !g->options->force) return refuse(g, err);
    if (q->forced) cli_error("int8: too far from f32, written by --force");
    g->convert.quality = q;
    cli_work_begin("convert", 0);
    tw_status status = tw_convert(g->checkpoint, output, &g->convert, err);
    cli_work_end();
    return status;
}

static void release(gate *g) {
    cli_session_close(&g->int8); /* on the pool of the other */
    cli_session_close(&g->f32);
    tw_output_abort(&g->int8_file);
    tw_output_abort(&g->f32_file);
    cli_features_free(&g->expected);
    cli_calibration_free(&g->inputs);
    tw_buffer_free(&g->kept);
}

int cli_gate_convert(cli_gate *options, const char *checkpoint, const char *output,
                     const tw_convert_options *convert) {
    gate g = {.options = options, .checkpoint = checkpoint, .convert = *convert};
    tw_error err = TW_ERROR_INIT;
    g.quality = (tw_int8_quality)TW_INT8_QUALITY_INIT;
    g.quality.required[0] = REQUIRED_MEAN;
    g.quality.required[1] = REQUIRED_LEAST;
    for (int i = 0; i < 2; i++)
        g.quality.recall_t2i[i] = g.quality.recall_i2t[i] = g.quality.top1[i] = NAN;
    cli_labels *labels = options->labels.file ? &options->labels : NULL;
    int status = cli_calibration_open(&g.inputs, options->calibrate, labels);
    if (status == CLI_CONTINUE &&
        (search(&g, output, &err) != TW_OK || decide(&g, output, &err) != TW_OK))
        status = cli_fail(&err);
    release(&g);
    return status;
}
