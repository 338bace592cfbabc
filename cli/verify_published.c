/* verify --published: a released model on the example its authors published. */
#include "verify.h"

#include "base/size.h"
#include "dataset/walk.h"
#include "eval/published.h"
#include "output.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct trial {
    const tw_published_example *example;
    size_t n_texts;
    bool same_file; /* else only the pixels are the same */
    bool rounded;   /* the model's weights, through f16 */
    float probs[TW_PUBLISHED_TEXTS];
} trial;

static bool agrees(const trial *t, size_t k) {
    return tw_published_agrees(t->example, k, t->rounded, t->probs);
}

static bool all_agree(const trial *t) {
    return tw_published_all_agree(t->example, t->rounded, t->probs);
}

/* ------------------------------------------------------------------------------------ table */

static void list_text(tw_buffer *b, const tw_published_example *e) {
    tw_buffer_printf(b, "%s\n", e->name);
    cli_put_field(b, "  model", "%s", e->model);
    cli_put_field(b, "  picture", "%s (%s)", e->picture, e->where);
    cli_put_field(b, "  SHA-256", "%s", e->sha256);
    for (size_t k = 0; k < tw_published_n_sources(e); k++)
        cli_put_field(b, k ? "" : "  sources", "%s: %s", e->sources[k].name, e->sources[k].why);
}

static void put_texts_json(tw_buffer *b, const tw_published_example *e) {
    tw_buffer_puts(b, ", \"texts\": [");
    for (size_t i = 0; i < tw_published_n_texts(e); i++) {
        if (i) tw_buffer_puts(b, ", ");
        tw_buffer_json_string(b, e->texts[i], strlen(e->texts[i]));
    }
    tw_buffer_puts(b, "]");
}

/* A source as it was published; the trial (may be NULL) is ours. */
static void put_source_json(tw_buffer *b, const tw_published_example *e, size_t k, const trial *t) {
    const tw_published_source *s = &e->sources[k];
    tw_buffer_puts(b, k ? ", {" : "{");
    cli_json_member(b, "source", s->name);
    cli_json_member(b, "how", s->why);
    tw_buffer_puts(b, ", \"probs\": [");
    for (size_t i = 0; i < tw_published_n_texts(e); i++)
        tw_buffer_printf(b, "%s%.9g", i ? ", " : "", s->probs[i]);
    tw_buffer_puts(b, "]");
    cli_json_number(b, "tolerance", tw_published_tolerance(e, k, t && t->rounded));
    if (t) {
        cli_json_number(b, "largest_difference", tw_published_difference(e, k, t->probs));
        tw_buffer_printf(b, ", \"agree\": %s", agrees(t, k) ? "true" : "false");
    }
    tw_buffer_puts(b, "}");
}

static void put_sources_json(tw_buffer *b, const tw_published_example *e, const trial *t) {
    tw_buffer_puts(b, ", \"sources\": [");
    for (size_t k = 0; k < tw_published_n_sources(e); k++)
        put_source_json(b, e, k, t);
    tw_buffer_puts(b, "]");
}

static void list_json(tw_buffer *b, const tw_published_example *e) {
    tw_buffer_puts(b, "{");
    cli_json_member(b, "published", e->name);
    cli_json_member(b, "model", e->model);
    cli_json_member(b, "picture", e->picture);
    cli_json_member(b, "where", e->where);
    cli_json_member(b, "sha256", e->sha256);
    put_texts_json(b, e);
    put_sources_json(b, e, NULL);
    tw_buffer_puts(b, "}\n");
}

static int list_examples(bool json) {
    tw_buffer b = {0};
    for (size_t i = 0; i < tw_n_published_examples; i++)
        (json ? list_json : list_text)(&b, &tw_published_examples[i]);
    int status = cli_print(&b);
    tw_buffer_free(&b);
    return status == CLI_CONTINUE ? CLI_DONE : status;
}

/* ---------------------------------------------------------------------------------- picture */

/* The file is the published one, or another of the same pixels. */
static tw_status check_picture(const char *path, const tw_bytes *picture, trial *t, tw_error *err) {
    const tw_published_example *e = t->example;
    char hex[CLI_SHA256_HEX];
    TW_TRY(cli_sha256_bytes(picture->data, picture->n_bytes, hex, err));
    t->same_file = strcmp(hex, e->sha256) == 0;
    if (t->same_file) return TW_OK;
    tw_recipe recipe = TW_RECIPE_INIT;
    TW_TRY(tw_recipe_by_name(e->recipe, e->image_size, &recipe, err));
    size_t n = (size_t)e->image_size * (size_t)e->image_size * 3;
    uint8_t *pixels = malloc(n);
    if (!pixels) return tw_fail_no_memory(err, n);
    tw_status status =
        tw_preprocess_u8(&recipe, picture->data, picture->n_bytes, NULL, pixels, err);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    if (status == TW_OK) status = cli_sha256_bytes(pixels, n, hex, err);
    free(pixels);
    if (status == TW_OK && strcmp(hex, e->pixels_sha256) != 0)
        status = tw_fail(err, TW_ERR_MISMATCH,
                         "%s: not the published %s (%s): neither its SHA-256 nor its pixels", path,
                         e->picture, e->where);
    return status;
}

/* ------------------------------------------------------------------------------------- model */

static tw_status check_model(const verify *v, const tw_published_example *e, tw_error *err) {
    const tw_arch *a = tw_model_arch(v->a.session.model);
    const tw_vision_config *i = &a->vision;
    const tw_text_config *t = &a->text;
    bool same = a->embed_dim == e->embed_dim && i->kind == TW_VISION_VIT &&
                i->image_size == e->image_size && i->patch_size == e->patch_size &&
                i->width == e->width && i->n_layers == e->n_layers && t->kind == e->text_kind &&
                t->width == e->text_width && t->n_layers == e->text_layers;
    if (same && tw_model_tokenizer(v->a.session.model)) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH, "%s: %s%s, the example %s is of %s", v->a.path, a->name,
                   same ? " without vocabulary" : "", e->name, e->model);
}

static tw_status compute(verify *v, const tw_bytes *picture, trial *t, tw_error *err) {
    cli_session *s = &v->a.session;
    size_t dim = v->a.dim;
    float *rows = calloc((1 + t->n_texts) * dim, sizeof *rows);
    if (!rows) return tw_fail_no_memory(err, (1 + t->n_texts) * dim * sizeof *rows);
    tw_text_options how = cli_tokenize_options(&v->text);
    tw_image_options limits = cli_image_options(&v->limits);
    tw_provenance provenance = TW_PROVENANCE_INIT;
    tw_model_provenance(s->model, &provenance);
    t->rounded = provenance.round_f16;
    tw_status status = TW_OK;
    TW_CHECK(tw_encode_images(s->encoder, picture, 1, &s->recipe, &limits, rows, NULL, err));
    TW_CHECK(
        tw_encode_texts(s->encoder, t->example->texts, t->n_texts, &how, rows + dim, NULL, err));
    TW_CHECK(tw_similarity(rows, 1, rows + dim, t->n_texts, dim, tw_model_logit_scale(s->model),
                           NULL, NULL, t->probs, err));
done:
    free(rows);
    return status;
}

/* ------------------------------------------------------------------------------------ report */

static void put_probability(tw_buffer *b, double p) {
    char cell[32];
    snprintf(cell, sizeof cell, "%.4e", p);
    cli_put_cell(b, cell, 12, true, false);
}

static void put_source(tw_buffer *b, const trial *t, size_t k) {
    const tw_published_source *s = &t->example->sources[k];
    cli_put_cell(b, s->name, 16, false, false);
    for (size_t i = 0; i < t->n_texts; i++)
        put_probability(b, s->probs[i]);
    tw_buffer_printf(b, "%12.1e%12.1e  %s\n", tw_published_difference(t->example, k, t->probs),
                     tw_published_tolerance(t->example, k, t->rounded),
                     agrees(t, k) ? "agrees" : "differs");
}

static void put_text(tw_buffer *b, const trial *t) {
    const tw_published_example *e = t->example;
    cli_put_cell(b, "probability", 16, false, false);
    for (size_t i = 0; i < t->n_texts; i++)
        cli_put_cell(b, e->texts[i], 12, true, false);
    tw_buffer_puts(b, "     differs      within\n");
    cli_put_cell(b, "this model", 16, false, false);
    for (size_t i = 0; i < t->n_texts; i++)
        put_probability(b, (double)t->probs[i]);
    tw_buffer_puts(b, "\n");
    for (size_t k = 0; k < tw_published_n_sources(e); k++)
        put_source(b, t, k);
    for (size_t k = 0; k < tw_published_n_sources(e); k++)
        tw_buffer_printf(b, "%s: %s\n", e->sources[k].name, e->sources[k].why);
    const char *weights = tw_published_weights(e, t->rounded);
    if (weights) tw_buffer_printf(b, "this model's weights: %s\n", weights);
    tw_buffer_puts(b, all_agree(t) ? "agree: within the tolerance of every source\n"
                                   : "disagree: not within the tolerance of every source\n");
}

static void put_json(tw_buffer *b, const verify *v, const trial *t) {
    const tw_published_example *e = t->example;
    tw_buffer_puts(b, "{");
    cli_json_member(b, "published", e->name);
    cli_json_member(b, "picture", e->picture);
    cli_json_member(b, "same", t->same_file ? "file" : "pixels");
    put_texts_json(b, e);
    tw_buffer_puts(b, ", \"probs\": ");
    cli_json_floats(b, t->probs, t->n_texts);
    tw_buffer_printf(b, ", \"round_f16\": %s", t->rounded ? "true" : "false");
    put_sources_json(b, e, t);
    tw_buffer_printf(b, ", \"agree\": %s, ", all_agree(t) ? "true" : "false");
    cli_json_used(b, &v->a.session, true);
    tw_buffer_puts(b, "}\n");
}

static int report(const verify *v, const trial *t) {
    tw_buffer b = {0};
    if (v->report.json)
        put_json(&b, v, t);
    else
        put_text(&b, t);
    int status = cli_print(&b);
    tw_buffer_free(&b);
    if (status != CLI_CONTINUE) return status;
    return all_agree(t) ? CLI_DONE : CLI_FAILED;
}

/* --------------------------------------------------------------------------------------- run */

/* The picture of the operand: a file, or a folder that holds it. The caller frees *path. */
static int picture_path(const verify *v, const tw_published_example *e, char **path) {
    tw_error err = TW_ERROR_INIT;
    if (v->operands.n != 1) {
        cli_error("--published %s: give the picture %s (%s) or the folder it is in", e->name,
                  e->picture, e->where);
        return CLI_USAGE;
    }
    const char *given = v->operands.items[0];
    if (tw_is_folder(given))
        return tw_join_path(given, e->picture, path, &err) == TW_OK ? CLI_CONTINUE : cli_fail(&err);
    *path = strdup(given);
    if (*path) return CLI_CONTINUE;
    cli_error("out of memory");
    return CLI_FAILED;
}

static int try_example(verify *v, const char *path, trial *t) {
    tw_error err = TW_ERROR_INIT;
    uint8_t *data = NULL;
    tw_bytes picture = {0};
    tw_status status = tw_read_file(path, (size_t)64 << 20, &data, &picture.n_bytes, &err);
    picture.data = data;
    if (status == TW_OK) status = check_picture(path, &picture, t, &err);
    int code = status == TW_OK ? side_open(&v->a) : cli_fail(&err);
    if (code == CLI_CONTINUE && v->a.kind != SIDE_MODEL) {
        cli_error("%s: not a model", v->a.path);
        code = CLI_FAILED;
    }
    if (code == CLI_CONTINUE) code = side_open_model(&v->a, NULL, &v->compute, CLI_ANY);
    if (code == CLI_CONTINUE) {
        status = check_model(v, t->example, &err);
        if (status == TW_OK) status = compute(v, &picture, t, &err);
        code = status == TW_OK ? report(v, t) : cli_fail(&err);
    }
    free(data);
    return code;
}

int verify_published(verify *v) {
    if (strcmp(v->published, "list") == 0) return list_examples(v->report.json);
    trial t = {.example = tw_find_published(v->published)};
    if (!t.example) {
        cli_error("--published: no example '%s' (see tuwen verify --published list)", v->published);
        return CLI_USAGE;
    }
    t.n_texts = tw_published_n_texts(t.example);
    char *path = NULL;
    int status = picture_path(v, t.example, &path);
    v->a.path = status == CLI_CONTINUE ? cli_model_path(&v->compute) : NULL;
    v->a.arch = v->a_arch;
    if (status == CLI_CONTINUE) status = v->a.path ? try_example(v, path, &t) : CLI_USAGE;
    free(path);
    return status;
}
