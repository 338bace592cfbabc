/* The backend "ascend": towers compiled for Huawei's Ascend by atc, in AscendCL, opened at run
 * time. Compiled towers take fixed numbers of rows. */
#include "backend/ascend/tower.h"
#include "backend/backend.h"
#include "backend/graphs.h"
#include "backend/rows.h"

#include "backend/ascend/api.h"
#include "base/size.h"
#include "tensor/tensor.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One for a state and its clones: calls take turns. */
struct tw_backend_state {
    atomic_int n_users;
    const tw_model *model;
    bool started;
    tw_acl_devices devices;
    tw_acl_tower image, text;
};

/* ------------------------------------------------------------------------------------- towers */

static const char suffix[] = ".om";

/* As `tuwen build` and the deployment guide name them; atc adds the host to some. */
#if defined(__aarch64__)
#define HOST "_linux_aarch64"
#else
#define HOST "_linux_x86_64"
#endif
static const char *const endings[] = {".om",      ".fp16.om",         ".fp32.om",
                                      HOST ".om", ".fp16" HOST ".om", ".fp32" HOST ".om"};

static bool is_file(const char *graphs) {
    size_t n = strlen(graphs);
    return n >= sizeof suffix && strcmp(graphs + n + 1 - sizeof suffix, suffix) == 0;
}

static tw_status check_options(const tw_backend_options *o, bool image, bool text, tw_error *err) {
    if (o->provider || o->n_settings)
        return tw_fail(err, TW_ERR_ARGUMENT, "backend ascend has no provider or provider options");
    if (o->precision != -1)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend ascend computes in the precision its files were compiled for");
    if (!o->graphs)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend ascend needs --graphs PREFIX, of PREFIX.img.om and PREFIX.txt.om "
                       "(tuwen build --target ascend makes them), or one .om file");
    if (image && text && is_file(o->graphs))
        return tw_fail(err, TW_ERR_ARGUMENT, "%s: one tower; give the prefix of both files",
                       o->graphs);
    return TW_OK;
}

static tw_status wrong_end(const char *path, const tw_acl_end *end, const char *expected,
                           tw_error *err) {
    char shape[64];
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s: '%s' is %s %s, expected %s; tuwen build --target ascend compiles it so",
                   path, end->name, tw_acl_type_name(end->type),
                   tw_shape_text(end->n_dims, end->dims, shape, sizeof shape), expected);
}

static bool is_float(const tw_acl_end *end) {
    return end->type == TW_ACL_F32 || end->type == TW_ACL_F16;
}

static tw_status check_features(const char *path, const tw_acl_tower *t, const tw_arch *a,
                                tw_error *err) {
    char text[64];
    snprintf(text, sizeof text, "f32 or f16 [n, %d]", a->embed_dim);
    if (is_float(&t->out) && t->out.n_dims == 2 && t->out.dims[1] == a->embed_dim) return TW_OK;
    return wrong_end(path, &t->out, text, err);
}

static tw_status check_image(const char *path, const tw_acl_tower *t, const tw_arch *a,
                             tw_error *err) {
    const tw_acl_end *in = &t->in;
    char text[64];
    int r = a->vision.image_size;
    snprintf(text, sizeof text, "f32 or f16 [n, 3, %d, %d]", r, r);
    if (!is_float(in) || in->n_dims != 4 || in->dims[1] != 3 || in->dims[2] != r ||
        in->dims[3] != r)
        return wrong_end(path, in, text, err);
    return check_features(path, t, a, err);
}

static tw_status check_text(const char *path, const tw_acl_tower *t, const tw_arch *a,
                            tw_error *err) {
    const tw_acl_end *in = &t->in;
    char text[64];
    snprintf(text, sizeof text, "i64 or i32 [n, up to %d]", a->text.n_positions);
    if ((in->type != TW_ACL_I64 && in->type != TW_ACL_I32) || in->n_dims != 2 ||
        in->dims[1] > a->text.n_positions)
        return wrong_end(path, in, text, err);
    return check_features(path, t, a, err);
}

/* A file that the name says, or the first of PREFIX.img with one of the endings. */
static tw_status find_file(const tw_backend_options *o, bool image, char *path, size_t n,
                           tw_error *err) {
    if (is_file(o->graphs)) return tw_compiled_file(o, suffix, image, path, n, err);
    for (size_t i = 0; i < TW_COUNT(endings); i++) {
        TW_TRY(tw_compiled_file(o, endings[i], image, path, n, err));
        if (access(path, F_OK) == 0) return TW_OK;
    }
    const char *part = image ? "img" : "txt";
    return tw_fail(err, TW_ERR_IO, "%s.%s.om: there is no such file, nor one named %s.%s.fp16.om",
                   o->graphs, part, o->graphs, part);
}

static tw_status open_tower(tw_backend_state *s, bool image, const tw_backend_options *o,
                            tw_error *err) {
    char path[4096];
    tw_acl_tower *t = image ? &s->image : &s->text;
    TW_TRY(find_file(o, image, path, sizeof path, err));
    TW_TRY(tw_acl_tower_open(path, &s->devices, t, err));
    return image ? check_image(path, t, &s->model->arch, err)
                 : check_text(path, t, &s->model->arch, err);
}

/* "pictures of 32 8 1, texts of 1", of the towers there are. */
static void describe_batches(const tw_acl_tower *t, const char *what, char *out, size_t n) {
    size_t at = strlen(out);
    if (!t->on) return;
    at += (size_t)snprintf(out + at, n - at, "%s%s of", at ? ", " : "", what);
    for (size_t i = 0; i < t->n_batches && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, " %zu", t->batches[i]);
}

static void describe(const tw_backend_state *s, tw_used *u) {
    snprintf(u->runtime, sizeof u->runtime, "%s", tw_acl_version());
    size_t at = (size_t)snprintf(u->device, sizeof u->device, "%s", s->devices.soc);
    for (size_t i = 0; i < s->devices.n && at < sizeof u->device; i++)
        at += (size_t)snprintf(u->device + at, sizeof u->device - at, "%s%d", i ? "," : " ",
                               s->devices.ids[i]);
    snprintf(u->precision, sizeof u->precision, "as compiled");
    describe_batches(&s->image, "pictures", u->detail, sizeof u->detail);
    if (strlen(u->detail) + 1 < sizeof u->detail)
        describe_batches(&s->text, "texts", u->detail, sizeof u->detail);
}

static void take_sizes(const tw_acl_tower *t, tw_batch_sizes *out) {
    out->present = t->on != NULL;
    if (!out->present) return;
    out->n_sizes = (int32_t)TW_MIN(t->n_batches, TW_COUNT(out->sizes));
    for (int i = 0; i < out->n_sizes; i++)
        out->sizes[i] = (int32_t)t->batches[i];
}

static void capabilities(const tw_backend_state *s, tw_capabilities *can) {
    take_sizes(&s->image, &can->images);
    take_sizes(&s->text, &can->texts);
    if (can->texts.present) can->longest_text = (int32_t)s->text.in.dims[1];
    can->n_devices = (int32_t)s->devices.n;
    can->pads_texts = can->beside = true;
}

/* --------------------------------------------------------------------------------------- state */

static tw_status open_towers(tw_backend_state *s, const tw_backend_options *o, tw_error *err) {
    const tw_arch *arch = &s->model->arch;
    bool image = arch->vision.kind != TW_VISION_NONE && !o->text_only;
    bool text = arch->text.kind != TW_TEXT_NONE && !o->vision_only;
    TW_TRY(check_options(o, image, text, err));
    TW_TRY(tw_acl_start(o->library, err));
    s->started = true;
    TW_TRY(tw_acl_devices_open(o->device, &s->devices, err));
    if (image) TW_TRY(open_tower(s, true, o, err));
    return text ? open_tower(s, false, o, err) : TW_OK;
}

static void close_state(tw_backend_state *s) {
    if (!s || atomic_fetch_sub(&s->n_users, 1) > 1) return;
    tw_acl_tower_close(&s->image);
    tw_acl_tower_close(&s->text);
    tw_acl_devices_close(&s->devices);
    if (s->started) tw_acl_stop();
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

static tw_status probe(const char *library, char *buf, size_t n_bytes, tw_error *err) {
    uint32_t n = 0;
    TW_TRY(tw_acl_start(library, err));
    tw_status status = tw_acl_check(tw_acl.rtGetDeviceCount(&n), "backend ascend", err);
    if (status == TW_OK)
        snprintf(buf, n_bytes, "%s, %u device%s", tw_acl_version(), n, n == 1 ? "" : "s");
    tw_acl_stop();
    return status;
}

/* ---------------------------------------------------------------------------------------- run */

/* What the rows of a call come from; one of the two. */
typedef struct source {
    const float *pixels;
    const tw_token_rows *tokens;
} source;

/* The largest batch that `n` rows fill, or the smallest there is. */
static size_t choose_batch(const tw_acl_tower *t, size_t n) {
    size_t i = 0;
    while (i + 1 < t->n_batches && t->batches[i] > n)
        i++;
    return t->batches[i];
}

/* Rows [begin, begin + n), zeros after them. */
static tw_status fill(const tw_acl_tower *t, const source *from, size_t begin, size_t n,
                      tw_acl_job *job, tw_error *err) {
    tw_dtype type = tw_acl_dtype(t->in.type);
    size_t columns = t->in_row / tw_dtype_bytes(type);
    job->in = calloc(job->batch, t->in_row);
    job->out = malloc(job->batch * t->out_row);
    if (!job->in || !job->out) return tw_fail_no_memory(err, job->batch * (t->in_row + t->out_row));
    if (from->tokens) return tw_graph_put_ids(type, from->tokens, begin, n, columns, job->in, err);
    tw_graph_put_pixels(type, from->pixels + begin * columns, n * columns, job->in);
    return TW_OK;
}

static tw_status take(const tw_acl_tower *t, const tw_acl_job *job, size_t n, size_t dim,
                      float *features, tw_error *err) {
    TW_TRY(tw_graph_take_features(tw_acl_dtype(t->out.type), job->out, job->batch * dim, job->batch,
                                  n, dim, features, err));
    return tw_graph_check_features(t->out.name, features, n, dim, err);
}

/* Batches for as many devices as there are, from row *begin on. */
static tw_status run_round(const tw_backend_state *s, tw_acl_tower *t, const source *from,
                           size_t *begin, size_t end, float *features, tw_error *err) {
    size_t dim = (size_t)s->model->arch.embed_dim, n = 0, first[TW_ACL_DEVICES], rows;
    tw_acl_job jobs[TW_ACL_DEVICES] = {0};
    tw_status status = TW_OK;
    for (; n < s->devices.n && *begin < end; n++) {
        jobs[n].batch = choose_batch(t, end - *begin);
        first[n] = *begin;
        rows = TW_MIN(jobs[n].batch, end - *begin);
        TW_CHECK(fill(t, from, *begin, rows, &jobs[n], err));
        *begin += rows;
    }
    TW_CHECK(tw_acl_tower_run(t, jobs, n, err));
    for (size_t i = 0; i < n; i++) {
        rows = (i + 1 < n ? first[i + 1] : *begin) - first[i];
        TW_CHECK(take(t, &jobs[i], rows, dim, features + first[i] * dim, err));
    }
done:
    for (size_t i = 0; i < TW_COUNT(jobs); i++) {
        free(jobs[i].in);
        free(jobs[i].out);
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

const tw_backend tw_backend_ascend = {
    .abi = TW_BACKEND_ABI,
    .name = "ascend",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .capabilities = capabilities,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
    .probe = probe,
};
