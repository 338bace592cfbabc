#define _GNU_SOURCE
#include "verify_side.h"

#include "base/size.h"
#include "dataset/pair.h"
#include "dataset/walk.h"
#include "verify_inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* --------------------------------------------------------------------------------- opening */

static bool is_npy(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, ".npy") == 0;
}

static tw_status note_file(void *user, const char *path, tw_error *err) {
    *(bool *)user = true;
    return TW_OK;
}

/* Features, or a checkpoint as tw_convert() takes it. */
static tw_status open_folder(verify_side *side, tw_error *err) {
    tw_error why = TW_ERROR_INIT;
    TW_TRY(tw_walk_files(side->path, is_npy, &side->files, err));
    tw_status status = tw_convert_sources(side->path, note_file, &side->is_checkpoint, &why);
    side->kind = side->is_checkpoint ? SIDE_MODEL : SIDE_FOLDER;
    if (side->files.n && side->is_checkpoint)
        return tw_fail(err, TW_ERR_AMBIGUOUS,
                       "%s: a checkpoint and .npy files in one folder; give the checkpoint's file, "
                       "or a folder of .npy files alone",
                       side->path);
    if (status != TW_OK && (status != TW_ERR_FORMAT || side->files.n == 0)) {
        if (status == TW_ERR_FORMAT) tw_error_context(&why, "no .npy file in it");
        *err = why;
        return status;
    }
    for (size_t i = 0; i < side->files.n; i++)
        TW_TRY(tw_add_stem(&side->stems, tw_strings_get(&side->files, i), err));
    return TW_OK;
}

/* Features [n, E], or one feature [E]. */
static tw_status check_features(cli_array *array, tw_error *err) {
    tw_tensor *t = &array->tensor;
    char got[128];
    bool is_float = t->dtype == TW_F32 || t->dtype == TW_F16 || t->dtype == TW_F64;
    if (is_float && t->n_dims == 1) {
        *t = (tw_tensor){.dtype = t->dtype,
                         .n_dims = 2,
                         .shape = {1, t->shape[0]},
                         .stride = {0, t->stride[0]},
                         .data = t->data};
    }
    if (!is_float || t->n_dims != 2 || t->shape[1] < 1)
        return tw_fail(err, TW_ERR_MISMATCH, "%s: expected features, f32 [n, E], got %s %s",
                       array->path, tw_dtype_name(t->dtype),
                       tw_shape_text(t->n_dims, t->shape, got, sizeof got));
    array->n_rows = (size_t)t->shape[0];
    array->row = (size_t)t->shape[1];
    return TW_OK;
}

static tw_status open_array(const char *path, cli_array *array, tw_error *err) {
    TW_TRY(cli_array_open(path, array, err));
    tw_status status = check_features(array, err);
    if (status != TW_OK) cli_array_close(array);
    return status;
}

static tw_status identify(verify_side *side, tw_error *err) {
    if (tw_is_folder(side->path)) return open_folder(side, err);
    tw_mapped_file file;
    TW_TRY(tw_map_file(side->path, &file, err));
    bool array = file.n_bytes >= 6 && memcmp(file.data, "\x93NUMPY", 6) == 0;
    bool gguf = file.n_bytes >= 4 && memcmp(file.data, "GGUF", 4) == 0;
    tw_unmap_file(&file);
    if (gguf) {
        /* A GGUF file of another kind (clip.cpp's) is a checkpoint. */
        tw_model *model = NULL;
        tw_status opened = tw_model_open(side->path, &model, err);
        tw_model_free(model);
        if (opened != TW_OK && opened != TW_ERR_UNSUPPORTED) return opened;
        gguf = opened == TW_OK;
    }
    side->is_checkpoint = !gguf && !array;
    if (!array && is_npy(side->path))
        return tw_fail(err, TW_ERR_FORMAT, "%s: not a .npy file: no \\x93NUMPY at byte 0",
                       side->path);
    side->kind = array ? SIDE_ARRAY : SIDE_MODEL;
    return array ? open_array(side->path, &side->array, err) : TW_OK;
}

int side_open(verify_side *side) {
    tw_error err = TW_ERROR_INIT;
    if (identify(side, &err) != TW_OK) return cli_fail(&err);
    if (side->kind == SIDE_ARRAY) side->dim = side->array.row;
    if (side->arch && (side->kind != SIDE_MODEL || !side->is_checkpoint)) {
        cli_error("%s is no checkpoint: an architecture is not wanted", side->path);
        return CLI_USAGE;
    }
    return CLI_CONTINUE;
}

/* The temporary name is that of an output that is never put in place: whatever ends the command
 * removes it, and it holds what tw_convert() renames onto it. */
static tw_status convert(verify_side *side, tw_error *err) {
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/tuwen-verify-%ld.gguf",
                     folder && folder[0] ? folder : "/tmp", (long)getpid());
    if (n < 0 || (size_t)n >= sizeof path)
        return tw_fail(err, TW_ERR_LIMIT, "TMPDIR: a name of %d bytes", n);
    TW_TRY(tw_output_open(path, &side->temporary, err));
    if (!side->temporary.temporary)
        return tw_fail(err, TW_ERR_IO, "%s: is there and is not a regular file", path);
    tw_convert_options o = TW_CONVERT_OPTIONS_INIT;
    o.arch = side->arch;
    o.precision = -1;
    o.hooks = cli_hooks();
    cli_work_begin("convert", 0);
    tw_status status = tw_convert(side->path, side->temporary.temporary, &o, err);
    cli_work_end();
    if (status == TW_ERR_AMBIGUOUS)
        tw_error_context(err, "a checkpoint that needs more options than an architecture is first "
                              "converted with tuwen convert");
    return status;
}

int side_open_model(verify_side *side, const verify_side *other, const cli_compute *compute,
                    cli_towers towers) {
    tw_error err = TW_ERROR_INIT;
    cli_compute own = *compute;
    own.model = side->path;
    if (side->precision) own.precision = side->precision;
    if (side->is_checkpoint) {
        if (convert(side, &err) != TW_OK) return cli_fail(&err);
        own.model = side->temporary.temporary;
    }
    const cli_session *lender = other && other->session.pool ? &other->session : NULL;
    int status = cli_session_open_beside(&side->session, lender, &own, NULL, towers);
    /* The model is mapped: it needs its name no longer. */
    tw_output_abort(&side->temporary);
    if (status == CLI_CONTINUE) side->dim = (size_t)tw_model_arch(side->session.model)->embed_dim;
    return status;
}

void side_close(verify_side *side) {
    if (side->kind == SIDE_MODEL) cli_session_close(&side->session);
    if (side->kind == SIDE_ARRAY) cli_array_close(&side->array);
    tw_output_abort(&side->temporary);
    tw_strings_free(&side->files);
    tw_strings_free(&side->stems);
    free(side->order);
    free(side->input_of);
    side->order = side->input_of = NULL;
}

/* ---------------------------------------------------------------------- rows of other tools */

tw_status side_dim(verify_side *side, size_t *dim, tw_error *err) {
    for (size_t i = 0; i < side->files.n && side->dim == 0; i++) {
        cli_array array;
        if (open_array(tw_strings_get(&side->files, i), &array, err) != TW_OK) continue;
        side->dim = array.row;
        cli_array_close(&array);
    }
    *dim = side->dim;
    if (side->dim == 0)
        return tw_fail(err, TW_ERR_FORMAT, "%s: no file in it holds a feature, f32 [E] or [1, E]",
                       side->path);
    return TW_OK;
}

static tw_status array_rows(verify_side *side, cli_rows_fn rows, void *user, tw_error *err) {
    enum { STEP = 256 };
    const cli_array *a = &side->array;
    float *values = calloc(STEP * a->row, sizeof *values);
    if (!values) return tw_fail_no_memory(err, STEP * a->row * sizeof *values);
    tw_status status = TW_OK;
    for (size_t i = 0; i < a->n_rows && status == TW_OK; i += STEP) {
        size_t n = TW_MIN(a->n_rows - i, (size_t)STEP);
        tw_tensor_to_f32_range(&a->tensor, i * a->row, n * a->row, values);
        status = rows(user, i, values, n, err);
    }
    free(values);
    return status;
}

static tw_status read_feature(const char *path, size_t dim, float *row, tw_error *err) {
    cli_array array;
    TW_TRY(open_array(path, &array, err));
    tw_status status = TW_OK;
    if (array.n_rows != 1 || array.row != dim)
        status = tw_fail(err, TW_ERR_MISMATCH, "%s: %zu x %zu values, expected one feature of %zu",
                         path, array.n_rows, array.row, dim);
    else
        tw_tensor_to_f32_range(&array.tensor, 0, dim, row);
    cli_array_close(&array);
    return status;
}

static tw_status folder_rows(verify_side *side, const side_inputs *inputs, cli_skips *skips,
                             cli_rows_fn rows, void *user, tw_error *err) {
    float *row = calloc(side->dim, sizeof *row);
    if (!row) return tw_fail_no_memory(err, side->dim * sizeof *row);
    tw_status status = TW_OK;
    for (size_t i = 0; i < inputs->n && status == TW_OK; i++) {
        tw_error why = TW_ERROR_INIT;
        char name[64];
        if (side->order[i] == TW_NO_PARTNER)
            tw_fail(&why, TW_ERR_MISMATCH, "no file of this name in %s", side->path);
        else
            read_feature(tw_strings_get(&side->files, side->order[i]), side->dim, row, &why);
        if (why.status != TW_OK)
            status =
                cli_skips_add(skips, i, side_input_name(inputs, i, name, sizeof name), &why, err);
        if (status == TW_OK) status = rows(user, i, row, 1, err);
    }
    free(row);
    return status;
}

/* ------------------------------------------------------------------------- rows of a model */

static tw_status built_in_rows(verify_side *side, const side_inputs *inputs, size_t first, size_t n,
                               cli_rows_fn rows, void *user, tw_error *err) {
    float *features = calloc(n * side->dim, sizeof *features);
    if (!features) return tw_fail_no_memory(err, n * side->dim * sizeof *features);
    cli_work_begin("images", n);
    tw_status status = tw_encode_images(side->session.encoder, inputs->built_in + first, n,
                                        &side->session.recipe, NULL, features, NULL, err);
    cli_work_end();
    if (status == TW_OK) status = rows(user, first, features, n, err);
    free(features);
    return status;
}

static tw_status model_rows(verify_side *side, const side_inputs *inputs, cli_skips *skips,
                            cli_rows_fn rows, void *user, tw_error *err) {
    cli_session *s = &side->session;
    if (inputs->pictures)
        return cli_encode_pictures(s, inputs->pictures, &inputs->limits, false, skips, rows, user,
                                   err);
    if (inputs->built_in) return built_in_rows(side, inputs, 0, inputs->n, rows, user, err);
    if (inputs->texts)
        return cli_encode_texts(s, inputs->texts, inputs->text_options, false, rows, user, err);
    const cli_array *array = inputs->pixels ? inputs->pixels : inputs->ids;
    return cli_encode_array(s, array, inputs->pixels != NULL, false, rows, user, err);
}

tw_status side_rows(verify_side *side, const side_inputs *inputs, cli_skips *skips,
                    cli_rows_fn rows, void *user, tw_error *err) {
    switch (side->kind) {
    case SIDE_MODEL:
        return model_rows(side, inputs, skips, rows, user, err);
    case SIDE_FOLDER:
        return folder_rows(side, inputs, skips, rows, user, err);
    case SIDE_ARRAY:
        break;
    }
    return array_rows(side, rows, user, err);
}

/* ------------------------------------------------------------------------- one row of a model */

typedef struct kept_row {
    float *feature;
    size_t dim;
} kept_row;

static tw_status keep_row(void *user, size_t first, const float *features, size_t n,
                          tw_error *err) {
    const kept_row *k = user;
    memcpy(k->feature, features, k->dim * sizeof *features);
    return TW_OK;
}

static tw_status encode_picture(verify_side *side, const side_inputs *inputs, size_t index,
                                float *feature, tw_error *err) {
    tw_picture_bytes picture;
    TW_TRY(tw_pictures_read(inputs->pictures, index, (size_t)256 << 20, &picture, err));
    tw_bytes bytes = {picture.data, picture.n_bytes};
    tw_status status = tw_encode_images(side->session.encoder, &bytes, 1, &side->session.recipe,
                                        &inputs->limits, feature, NULL, err);
    free(picture.owned);
    return status;
}

tw_status side_row(verify_side *side, const side_inputs *inputs, size_t index, float *feature,
                   tw_error *err) {
    kept_row kept = {feature, side->dim};
    if (inputs->pictures) return encode_picture(side, inputs, index, feature, err);
    if (inputs->built_in) return built_in_rows(side, inputs, index, 1, keep_row, &kept, err);
    if (inputs->texts) {
        const char *text = tw_strings_get(inputs->texts, index);
        tw_text_options how = cli_tokenize_options(inputs->text_options);
        return tw_encode_texts(side->session.encoder, &text, 1, &how, feature, NULL, err);
    }
    cli_array one = *(inputs->pixels ? inputs->pixels : inputs->ids);
    one.tensor = tw_tensor_rows(&one.tensor, (int64_t)index, 1);
    one.n_rows = 1;
    return cli_encode_array(&side->session, &one, inputs->pixels != NULL, false, keep_row, &kept,
                            err);
}

const char *side_input_name(const side_inputs *inputs, size_t index, char *buf, size_t n_bytes) {
    if (inputs->pictures) return tw_pictures_name(inputs->pictures, index);
    if (inputs->built_in) return verify_picture_name(index);
    if (inputs->texts) return tw_strings_get(inputs->texts, index);
    if (inputs->files) return tw_strings_get(inputs->files, index);
    snprintf(buf, n_bytes, "row %zu", index);
    return buf;
}
