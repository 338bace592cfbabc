/* The backend "sophon": towers compiled for SOPHON's chips, in SOPHON's runtime, opened at run
 * time. Compiled towers take fixed numbers of rows, a stage each. */
#include "backend/backend.h"
#include "backend/rows.h"
#include "backend/sophon/rows.h"
#include "backend/sophon/tower.h"

#include "base/size.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One for a state and its clones: calls take turns. */
struct tw_backend_state {
    atomic_int n_users;
    const tw_model *model;
    tw_bm_devices devices;
    tw_bm_tower image, text;
    tw_bm_projection projection;
};

/* -------------------------------------------------------------------------------------- files */

static const char suffix[] = ".bmodel";

/* The length of `graphs` without its .bmodel; 0 when it is a prefix. */
static size_t stem_of_file(const char *graphs) {
    size_t n = strlen(graphs), n_suffix = sizeof suffix - 1;
    return n > n_suffix && strcmp(graphs + n - n_suffix, suffix) == 0 ? n - n_suffix : 0;
}

/* The file of a tower ("img", "txt"), or with `word` NULL that of the text projection. */
static tw_status file_name(const char *graphs, const char *word, char *out, size_t n,
                           tw_error *err) {
    size_t stem = stem_of_file(graphs);
    int length;
    if (!word) {
        size_t prefix = stem ? stem : strlen(graphs);
        if (stem > 4 && memcmp(graphs + stem - 4, ".txt", 4) == 0) prefix = stem - 4;
        length = snprintf(out, n, "%.*s.text_projection.npy", (int)prefix, graphs);
    } else if (stem) {
        length = snprintf(out, n, "%s", graphs);
    } else {
        length = snprintf(out, n, "%s.%s%s", graphs, word, suffix);
    }
    if ((size_t)length < n) return TW_OK;
    return tw_fail(err, TW_ERR_ARGUMENT, "%.64s…: the path is too long", graphs);
}

static tw_status check_options(const tw_backend_options *o, bool image, bool text, tw_error *err) {
    if (o->provider || o->n_settings)
        return tw_fail(err, TW_ERR_ARGUMENT, "backend sophon has no provider or provider options");
    if (o->precision != -1)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend sophon computes in the precision its files were compiled for");
    if (!o->graphs)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend sophon needs --graphs PREFIX, of PREFIX.img.bmodel and "
                       "PREFIX.txt.bmodel, or one .bmodel file");
    if (image && text && stem_of_file(o->graphs))
        return tw_fail(err, TW_ERR_ARGUMENT, "%s: one tower; give the prefix of both files",
                       o->graphs);
    return TW_OK;
}

/* ------------------------------------------------------------------------------------- towers */

static tw_status wrong_end(const char *path, const tw_bmodel_end *end, const tw_bmodel_shape *s,
                           const char *expected, tw_error *err) {
    int64_t dims[4];
    char shape[64];
    for (int i = 0; i < s->n_dims; i++)
        dims[i] = s->dims[i];
    return tw_fail(err, TW_ERR_MISMATCH, "%s: '%s' is %s %s, expected %s", path, end->name,
                   tw_bmodel_type_name(end->type), tw_shape_text(s->n_dims, dims, shape, 64),
                   expected);
}

static tw_status check_image(const char *path, const tw_bmodel *m, const tw_arch *a,
                             tw_error *err) {
    const tw_bmodel_shape *in = &m->in_shape[0], *out = &m->out_shape[0];
    char text[64];
    int r = a->vision.image_size;
    snprintf(text, sizeof text, "f32, f16 or i8 [n, 3, %d, %d]", r, r);
    if (m->in.type == BM_I32 || in->n_dims != 4 || in->dims[1] != 3 || in->dims[2] != r ||
        in->dims[3] != r)
        return wrong_end(path, &m->in, in, text, err);
    snprintf(text, sizeof text, "f32, f16 or i8 [n, %d]", a->embed_dim);
    if (m->out.type == BM_I32 || out->n_dims != 2 || out->dims[1] != a->embed_dim)
        return wrong_end(path, &m->out, out, text, err);
    return TW_OK;
}

static tw_status check_text(const char *path, const tw_bmodel *m, const tw_arch *a, tw_error *err) {
    const tw_bmodel_shape *in = &m->in_shape[0], *out = &m->out_shape[0];
    char text[96];
    snprintf(text, sizeof text, "i32 [n, up to %d]", a->text.n_positions);
    if (m->in.type != BM_I32 || in->n_dims != 2 || in->dims[1] > a->text.n_positions)
        return wrong_end(path, &m->in, in, text, err);
    snprintf(text, sizeof text, "f32, f16 or i8 [n, %d] or [n, %d, %d]", a->embed_dim, in->dims[1],
             a->text.width);
    bool projected = out->n_dims == 2 && out->dims[1] == a->embed_dim;
    bool rows = out->n_dims == 3 && out->dims[1] == in->dims[1] && out->dims[2] == a->text.width;
    if (m->out.type == BM_I32 || (!projected && !rows))
        return wrong_end(path, &m->out, out, text, err);
    return TW_OK;
}

static tw_status open_image(tw_backend_state *s, const char *graphs, tw_error *err) {
    char path[4096];
    TW_TRY(file_name(graphs, "img", path, sizeof path, err));
    TW_TRY(tw_bm_tower_open(path, &s->devices, &s->image, err));
    return check_image(path, &s->image.model, &s->model->arch, err);
}

static tw_status open_text(tw_backend_state *s, const char *graphs, tw_error *err) {
    char path[4096];
    TW_TRY(file_name(graphs, "txt", path, sizeof path, err));
    TW_TRY(tw_bm_tower_open(path, &s->devices, &s->text, err));
    TW_TRY(check_text(path, &s->text.model, &s->model->arch, err));
    if (s->text.model.out_shape[0].n_dims == 2) return TW_OK;
    TW_TRY(file_name(graphs, NULL, path, sizeof path, err));
    return tw_bm_projection_open(path, s->model, (size_t)s->model->arch.text.width, &s->projection,
                                 err);
}

/* "pictures of 4 1, texts of 2", of the towers there are. */
static void describe_batches(const tw_bm_tower *t, const char *what, char *out, size_t n) {
    size_t at = strlen(out);
    if (!t->on) return;
    at += (size_t)snprintf(out + at, n - at, "%s%s of", at ? ", " : "", what);
    for (int s = 0; s < t->model.n_stages && at < n; s++)
        at += (size_t)snprintf(out + at, n - at, " %d", t->model.in_shape[s].dims[0]);
}

static void describe(const tw_backend_state *s, tw_used *u) {
    const tw_bmodel *m = s->image.on ? &s->image.model : &s->text.model;
    snprintf(u->runtime, sizeof u->runtime, "%s", tw_bm_library());
    size_t at = (size_t)snprintf(u->device, sizeof u->device, "%s", m->chip);
    for (size_t i = 0; i < s->devices.n && at < sizeof u->device; i++)
        at += (size_t)snprintf(u->device + at, sizeof u->device - at, "%s%d", i ? "," : " ",
                               s->devices.ids[i]);
    snprintf(u->precision, sizeof u->precision, "as compiled");
    describe_batches(&s->image, "pictures", u->detail, sizeof u->detail);
    describe_batches(&s->text, "texts", u->detail, sizeof u->detail);
    at = strlen(u->detail);
    if (s->projection.matrix)
        snprintf(u->detail + at, sizeof u->detail - at, ", projected by the %s",
                 s->projection.from_file ? "array" : "model");
}

static void take_sizes(const tw_bm_tower *t, tw_batch_sizes *out) {
    out->present = t->on != NULL;
    if (!out->present) return;
    out->n_sizes = TW_MIN(t->model.n_stages, (int)TW_COUNT(out->sizes));
    for (int s = 0; s < out->n_sizes; s++)
        out->sizes[s] = t->model.in_shape[s].dims[0];
}

static void capabilities(const tw_backend_state *s, tw_capabilities *can) {
    take_sizes(&s->image, &can->images);
    take_sizes(&s->text, &can->texts);
    if (can->texts.present) can->longest_text = s->text.model.in_shape[0].dims[1];
    can->n_devices = (int32_t)s->devices.n;
    can->pads_texts = can->beside = true;
}

static tw_status open_towers(tw_backend_state *s, const tw_backend_options *o, tw_error *err) {
    const tw_arch *arch = &s->model->arch;
    bool image = arch->vision.kind != TW_VISION_NONE && !o->text_only;
    bool text = arch->text.kind != TW_TEXT_NONE && !o->vision_only;
    TW_TRY(check_options(o, image, text, err));
    TW_TRY(tw_bm_open(o->library, err));
    TW_TRY(tw_bm_devices_open(o->device, &s->devices, err));
    if (image) TW_TRY(open_image(s, o->graphs, err));
    return text ? open_text(s, o->graphs, err) : TW_OK;
}

static void close_state(tw_backend_state *s) {
    if (!s || atomic_fetch_sub(&s->n_users, 1) > 1) return;
    tw_bm_tower_close(&s->image);
    tw_bm_tower_close(&s->text);
    tw_bm_projection_close(&s->projection);
    tw_bm_devices_close(&s->devices);
    free(s);
}

static tw_status open_state(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                            tw_backend_state **out, tw_error *err) {
    *out = calloc(1, sizeof **out);
    if (!*out) return tw_fail_no_memory(err, sizeof **out);
    (*out)->model = model;
    atomic_init(&(*out)->n_users, 1);
    tw_status status = open_towers(*out, options, err);
    if (status == TW_OK) return TW_OK;
    close_state(*out);
    *out = NULL;
    return status;
}

static tw_status clone_state(const tw_backend_state *from, tw_backend_state **out, tw_error *err) {
    *out = (tw_backend_state *)from;
    atomic_fetch_add(&(*out)->n_users, 1);
    return TW_OK;
}

/* ---------------------------------------------------------------------------------------- run */

/* What the rows of a call come from; one of the two. */
typedef struct source {
    const float *pixels;
    const tw_token_rows *tokens;
} source;

/* One batch: rows [begin, begin + n) in `rows` of a stage. */
typedef struct batch {
    size_t begin, n;
    tw_bm_job job;
} batch;

/* The largest batch that `n` rows fill, or the smallest there is. */
static int choose_stage(const tw_bmodel *m, size_t n) {
    int s = 0;
    while (s + 1 < m->n_stages && (size_t)m->in_shape[s].dims[0] > n)
        s++;
    return s;
}

static size_t row_values(const tw_bmodel_shape *shape) {
    size_t n = 1;
    for (int i = 1; i < shape->n_dims; i++)
        n *= (size_t)shape->dims[i];
    return n;
}

static tw_status put_tokens(const tw_token_rows *t, size_t row, size_t length, int32_t *out,
                            tw_error *err) {
    size_t n = t->offset[row + 1] - t->offset[row];
    if (n > length)
        return tw_fail(err, TW_ERR_LIMIT, "a text of %zu tokens, the compiled tower takes %zu", n,
                       length);
    memcpy(out, t->ids + t->offset[row], n * sizeof *out);
    return TW_OK;
}

/* Rows of the batch, zeros after them. */
static tw_status fill(const tw_bmodel *m, const source *from, batch *b, tw_error *err) {
    int s = b->job.stage;
    size_t columns = row_values(&m->in_shape[s]);
    size_t n_in = tw_bmodel_tensor_bytes(m->in.type, &m->in_shape[s]);
    size_t n_out = tw_bmodel_tensor_bytes(m->out.type, &m->out_shape[s]);
    b->job.in = calloc(1, n_in);
    b->job.out = malloc(n_out);
    if (!b->job.in || !b->job.out) return tw_fail_no_memory(err, n_in + n_out);
    if (from->pixels) {
        tw_bm_put_values(&m->in, from->pixels + b->begin * columns, b->n * columns, b->job.in);
        return TW_OK;
    }
    for (size_t i = 0; i < b->n; i++)
        TW_TRY(put_tokens(from->tokens, b->begin + i, columns, (int32_t *)b->job.in + i * columns,
                          err));
    return TW_OK;
}

/* The feature of row i: the row itself, or of rows of tokens the one that the tower's feature is
 * taken from (the first of BERT, the last of CLIP, where the largest id is), projected. */
static void take_feature(const tw_backend_state *s, const tw_bmodel *m, const source *from,
                         const batch *b, size_t i, float *row, float *feature, bool first_row) {
    size_t values = row_values(&m->out_shape[b->job.stage]), at = i * values, n = values;
    if (m->out_shape[0].n_dims == 3) {
        const size_t *offset = from->tokens->offset + b->begin + i;
        n = s->projection.width;
        if (!first_row) at += (offset[1] - offset[0] - 1) * n;
    }
    const uint8_t *out = b->job.out;
    tw_bm_get_values(&m->out, out + at * tw_bmodel_type_bytes(m->out.type), n, row);
    if (m->out_shape[0].n_dims == 3)
        tw_bm_project(&s->projection, row, feature);
    else
        memcpy(feature, row, n * sizeof *row);
}

static tw_status take_features(const tw_backend_state *s, const tw_bmodel *m, const source *from,
                               const batch *b, float *features, tw_error *err) {
    size_t dim = (size_t)s->model->arch.embed_dim, width = s->projection.width;
    bool first_row = s->model->arch.text.kind == TW_TEXT_BERT;
    float *row = malloc(TW_MAX(dim, width) * sizeof *row);
    if (!row) return tw_fail_no_memory(err, TW_MAX(dim, width) * sizeof *row);
    tw_status status = TW_OK;
    for (size_t i = 0; status == TW_OK && i < b->n; i++) {
        float *feature = features + (b->begin + i) * dim;
        take_feature(s, m, from, b, i, row, feature, first_row);
        status = tw_graph_check_features(m->net, feature, 1, dim, err);
    }
    free(row);
    return status;
}

/* Batches for as many devices as there are, from row *begin on. */
static tw_status run_round(const tw_backend_state *s, tw_bm_tower *tower, const source *from,
                           size_t *begin, size_t end, float *features, tw_error *err) {
    const tw_bmodel *m = &tower->model;
    batch batches[TW_BM_DEVICES] = {0};
    tw_bm_job jobs[TW_BM_DEVICES] = {0};
    tw_status status = TW_OK;
    size_t n = 0;
    for (; n < tower->devices->n && *begin < end; n++) {
        batch *b = &batches[n];
        b->job.stage = choose_stage(m, end - *begin);
        b->begin = *begin;
        b->n = TW_MIN((size_t)m->in_shape[b->job.stage].dims[0], end - *begin);
        TW_CHECK(fill(m, from, b, err));
        jobs[n] = b->job;
        *begin += b->n;
    }
    TW_CHECK(tw_bm_tower_run(tower, jobs, n, err));
    for (size_t i = 0; i < n; i++)
        TW_CHECK(take_features(s, m, from, &batches[i], features, err));
done:
    for (size_t i = 0; i < TW_COUNT(batches); i++) {
        free(batches[i].job.in);
        free(batches[i].job.out);
    }
    return status;
}

static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    if (!s->image.on) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no image tower");
    const source from = {.pixels = pixels};
    for (size_t i = 0; i < n;)
        TW_TRY(run_round(s, &s->image, &from, &i, n, features, err));
    return TW_OK;
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *rows, float *features,
                               tw_error *err) {
    if (!s->text.on) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no text tower");
    const source from = {.tokens = rows};
    for (size_t i = 0; i < rows->n;)
        TW_TRY(run_round(s, &s->text, &from, &i, rows->n, features, err));
    return TW_OK;
}

static tw_status probe(const char *library, char *buf, size_t n_bytes, tw_error *err) {
    TW_TRY(tw_bm_open(library, err));
    snprintf(buf, n_bytes, "%s", tw_bm_library());
    return TW_OK;
}

const tw_backend tw_backend_sophon = {
    .abi = TW_BACKEND_ABI,
    .name = "sophon",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .capabilities = capabilities,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
    .probe = probe,
};
