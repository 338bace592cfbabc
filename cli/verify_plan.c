/* What is compared on what: the parts of a comparison and their inputs. */
#include "verify.h"

#include "dataset/pair.h"

#include <stdlib.h>
#include <string.h>

static verify_part *add_part(verify *v, const char *what) {
    verify_part *p = &v->parts[v->n_parts++];
    *p = (verify_part){.what = what, .agreement = TW_AGREEMENT_INIT};
    p->inputs.text_options = &v->text;
    p->inputs.limits = cli_image_options(&v->limits);
    return p;
}

static bool all_models(const verify *v) {
    return v->a.kind == SIDE_MODEL && v->b.kind == SIDE_MODEL;
}

/* The model, if just one side is one; the other then holds features. */
static verify_side *only_model(verify *v) {
    return all_models(v)             ? NULL
           : v->a.kind == SIDE_MODEL ? &v->a
           : v->b.kind == SIDE_MODEL ? &v->b
                                     : NULL;
}

/* ------------------------------------------------------------------------------- usage */

static int check_inputs(verify *v) {
    const verify_side *model = only_model(v), *other = model == &v->a ? &v->b : &v->a;
    int n_given = (v->images != NULL) + (v->texts != NULL) + (v->pixels != NULL) + (v->ids != NULL);
    bool no_model = !model && !all_models(v);
    if (no_model && n_given)
        cli_error("inputs are for models: %s and %s hold features", v->a.path, v->b.path);
    else if (no_model && v->a.kind != v->b.kind)
        cli_error("%s: rows of one file have no names to pair with those of a folder",
                  v->a.kind == SIDE_ARRAY ? v->a.path : v->b.path);
    else if (model && other->kind == SIDE_FOLDER && (n_given != 1 || !v->images))
        cli_error("%s: give --images LIST, whose names tell which file is whose", other->path);
    else if (model && other->kind == SIDE_ARRAY && n_given != 1)
        cli_error("%s: give the inputs of its rows: --images, --texts, --pixels or --ids",
                  other->path);
    else
        return CLI_CONTINUE;
    return CLI_USAGE;
}

/* -------------------------------------------------------------------------------- inputs */

static int add_pictures(verify *v) {
    const cli_texts none = {0};
    int status = cli_gather_pictures(v->images, &none, &v->picture_list);
    if (status != CLI_CONTINUE) return status;
    verify_part *p = add_part(v, "image");
    p->inputs.pictures = v->picture_list;
    p->inputs.n = tw_pictures_count(v->picture_list);
    return CLI_CONTINUE;
}

static int add_texts(verify *v) {
    int status = cli_gather_texts(v->texts, NULL, &v->text_list);
    if (status != CLI_CONTINUE) return status;
    verify_part *p = add_part(v, "text");
    p->inputs.texts = &v->text_list;
    p->inputs.n = v->text_list.n;
    return CLI_CONTINUE;
}

/* The checks against the models come when these are open. */
static int add_array(verify *v, const char *path, bool is_pixels) {
    tw_error err = TW_ERROR_INIT;
    cli_array *array = is_pixels ? &v->pixel_array : &v->id_array;
    if (cli_array_open(path, array, &err) != TW_OK) return cli_fail(&err);
    verify_part *p = add_part(v, is_pixels ? "image" : "text");
    *(is_pixels ? &p->inputs.pixels : &p->inputs.ids) = array;
    return CLI_CONTINUE;
}

static int add_given(verify *v) {
    int status = CLI_CONTINUE;
    if (v->images) status = add_pictures(v);
    if (v->pixels && status == CLI_CONTINUE) status = add_array(v, v->pixels, true);
    if (v->texts && status == CLI_CONTINUE) status = add_texts(v);
    if (v->ids && status == CLI_CONTINUE) status = add_array(v, v->ids, false);
    return status;
}

static tw_status add_built_in(verify *v, tw_error *err) {
    const tw_arch *a = tw_model_arch(v->a.session.model), *b = tw_model_arch(v->b.session.model);
    if (a->vision.kind != TW_VISION_NONE && b->vision.kind != TW_VISION_NONE) {
        TW_TRY(verify_draw_pictures(v->drawn, v->drawn_bytes, err));
        verify_part *p = add_part(v, "image");
        p->inputs.built_in = v->drawn_bytes;
        p->inputs.n = VERIFY_PICTURES;
    } else {
        cli_error("image features are not compared: not both models have an image tower");
    }
    if (tw_model_tokenizer(v->a.session.model) && tw_model_tokenizer(v->b.session.model)) {
        TW_TRY(verify_add_texts(&v->text_list, err));
        verify_part *p = add_part(v, "text");
        p->inputs.texts = &v->text_list;
        p->inputs.n = v->text_list.n;
    } else {
        cli_error("text features are not compared: not both models have a text tower with a "
                  "vocabulary (--ids compares towers alone)");
    }
    return v->n_parts ? TW_OK
                      : tw_fail(err, TW_ERR_MISMATCH, "%s and %s have nothing to compare",
                                v->a.path, v->b.path);
}

/* -------------------------------------------------------------------------------- models */

/* Another runtime computes B; A is what the engine computes. */
static bool on_backend(const verify *v) {
    return v->compute.backend && strcmp(v->compute.backend, "cpu") != 0;
}

static int open_models(verify *v, cli_towers towers) {
    int status = CLI_CONTINUE;
    const cli_compute engine = {.threads = v->compute.threads, .batch = v->compute.batch};
    if (v->a.kind == SIDE_MODEL)
        status = side_open_model(&v->a, NULL, on_backend(v) ? &engine : &v->compute, towers);
    if (v->b.kind == SIDE_MODEL && status == CLI_CONTINUE)
        status = side_open_model(&v->b, &v->a, &v->compute, towers);
    return status;
}

static tw_status check_arrays(verify *v, tw_error *err) {
    for (size_t i = 0; i < v->n_parts; i++) {
        side_inputs *in = &v->parts[i].inputs;
        for (int b = 0; b < 2; b++) {
            const tw_model *model = (b ? &v->b : &v->a)->session.model;
            if (model && in->pixels) TW_TRY(cli_array_check_pixels(&v->pixel_array, model, err));
        }
        if (in->ids) TW_TRY(cli_array_check_ids(&v->id_array, err));
        if (in->pixels) in->n = v->pixel_array.n_rows;
        if (in->ids) in->n = v->id_array.n_rows;
    }
    return TW_OK;
}

/* --------------------------------------------------------------------------- files and rows */

/* Which file of the folder belongs to which input. */
static tw_status pair_folder(verify_side *folder, const side_inputs *inputs, tw_error *err) {
    tw_strings stems = {0};
    tw_pairs pairs = {0};
    tw_status status = TW_OK;
    char name[64];
    for (size_t i = 0; i < inputs->n; i++)
        TW_CHECK(tw_add_stem(&stems, side_input_name(inputs, i, name, sizeof name), err));
    TW_CHECK(tw_pair_stems(&stems, &folder->stems, &pairs, err));
    folder->order = pairs.of_a;
    folder->input_of = pairs.of_b;
done:
    if (status != TW_OK) tw_error_context(err, "%s", folder->path);
    tw_strings_free(&stems);
    return status;
}

static tw_status plan_features(verify *v, tw_error *err) {
    verify_side *sides[2] = {&v->a, &v->b};
    if (v->n_parts == 0) {
        verify_part *p = add_part(v, "feature");
        p->inputs.files = v->a.kind == SIDE_FOLDER ? &v->a.files : NULL;
        p->inputs.n = v->a.kind == SIDE_FOLDER ? v->a.files.n : v->a.array.n_rows;
    }
    const side_inputs *inputs = &v->parts[0].inputs;
    for (int i = 0; i < 2; i++) {
        verify_side *s = sides[i];
        if (s->kind == SIDE_FOLDER) TW_TRY(pair_folder(s, inputs, err));
        if (s->kind == SIDE_ARRAY && s->array.n_rows != inputs->n)
            return tw_fail(err, TW_ERR_MISMATCH, "%s: %zu rows, %s: %zu", s->path, s->array.n_rows,
                           only_model(v) ? "inputs" : v->a.path, inputs->n);
    }
    return TW_OK;
}

static tw_status check_dims(verify *v, tw_error *err) {
    size_t a, b;
    TW_TRY(side_dim(&v->a, &a, err));
    TW_TRY(side_dim(&v->b, &b, err));
    if (a == b) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s: features of %zu values, %s: of %zu: they cannot be compared", v->a.path, a,
                   v->b.path, b);
}

int verify_plan(verify *v) {
    tw_error err = TW_ERROR_INIT;
    int status = check_inputs(v);
    if (status == CLI_CONTINUE) status = add_given(v);
    bool image = v->images || v->pixels, text = v->texts || v->ids;
    cli_towers towers = image && text ? CLI_BOTH
                        : image       ? CLI_VISION
                        : text        ? CLI_TEXT_TOWER
                                      : CLI_ANY;
    if (status == CLI_CONTINUE) status = open_models(v, towers);
    if (status != CLI_CONTINUE) return status;
    tw_status planned = check_dims(v, &err);
    if (planned == TW_OK && all_models(v) && v->n_parts == 0) planned = add_built_in(v, &err);
    if (planned == TW_OK) planned = check_arrays(v, &err);
    if (planned == TW_OK && !all_models(v)) planned = plan_features(v, &err);
    return planned == TW_OK ? CLI_CONTINUE : cli_fail(&err);
}
