/* The backend "magicmind": towers compiled for Cambricon's MLU (.mm files), in MagicMind, through
 * libtuwen_magicmind.so. */
#include "backend/backend.h"
#include "backend/graphs.h"
#include "backend/magicmind/library.h"
#include "backend/rows.h"

#include "base/file.h"
#include "base/size.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FIXED_ROWS = 65536 };

typedef struct tower {
    tw_mm_model *on; /* NULL: there is no tower */
    const tw_mm_shim *shim;
    tw_mm_info info;
    tw_graph_input input;
    size_t max_batch;
    char path[4096];
} tower;

/* One for an encoder and its clones: calls take turns. */
struct tw_backend_state {
    atomic_int n_users;
    pthread_mutex_t turn;
    const tw_model *model;
    const tw_mm_shim *shim;
    int device;
    tower image, text;
};

static const char suffix[] = ".mm";

/* ------------------------------------------------------------------------------------- opening */

static tw_status check_options(const tw_backend_options *o, tw_error *err) {
    if (o->provider || o->n_settings)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend magicmind has no provider or provider options");
    if (o->precision != -1)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend magicmind computes in the precision its files were compiled for");
    if (!o->graphs)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend magicmind needs --graphs PREFIX, of PREFIX.img.mm and "
                       "PREFIX.txt.mm, or one .mm file");
    return TW_OK;
}

static tw_status choose_device(tw_backend_state *s, const char *text, tw_error *err) {
    char why[256] = "", *end = NULL;
    unsigned n_there = 0;
    if (!text) text = "0";
    long id = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    if (id < 0 || id > 1023 || *end)
        return tw_fail(err, TW_ERR_ARGUMENT, "device %s: expected one number, as 0", text);
    if (s->shim->count_devices(&n_there, why, sizeof why) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "device %ld: %s", id, why);
    if ((unsigned long)id >= n_there)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "device %ld: Cambricon's runtime tells of %u here",
                       id, n_there);
    s->device = (int)id;
    return TW_OK;
}

static tw_status wrong_end(const tower *t, const tw_mm_tensor *end, const char *expected,
                           tw_error *err) {
    char shape[128];
    int n = TW_MIN(end->n_dims, TW_MM_DIMS);
    return tw_fail(err, TW_ERR_MISMATCH, "%s: '%s' is %s %s, expected %s", t->path, end->name,
                   end->type_name, tw_shape_text(n, end->dims, shape, sizeof shape), expected);
}

static tw_dtype type_of(const tw_mm_tensor *t) {
    static const tw_dtype table[] = {
        [TW_MM_F32] = TW_F32, [TW_MM_F16] = TW_F16, [TW_MM_I32] = TW_I32, [TW_MM_I64] = TW_I64};
    return table[t->type];
}

/* An extent as it must be, or any (-1). */
static bool fits(int64_t extent, int64_t wanted) {
    return extent == wanted || extent == -1;
}

static tw_status check_input(tower *t, bool image, const tw_arch *a, tw_error *err) {
    const tw_mm_tensor *in = &t->info.in;
    char expected[96];
    int64_t r = a->vision.image_size, rows = in->dims[0];
    bool right = rows == -1 || (rows > 0 && rows <= MAX_FIXED_ROWS);
    if (image) {
        snprintf(expected, sizeof expected, "f32 or f16 [n, 3, %lld, %lld]", (long long)r,
                 (long long)r);
        right = right && in->n_dims == 4 && (in->type == TW_MM_F32 || in->type == TW_MM_F16) &&
                fits(in->dims[1], 3) && fits(in->dims[2], r) && fits(in->dims[3], r);
    } else {
        int64_t most = a->text.n_positions, length = in->dims[1];
        snprintf(expected, sizeof expected, "i32 or i64 [n, up to %lld]", (long long)most);
        right = right && in->n_dims == 2 && (in->type == TW_MM_I32 || in->type == TW_MM_I64) &&
                (length == -1 || (length > 0 && length <= most));
    }
    if (!right) return wrong_end(t, in, expected, err);
    t->input = (tw_graph_input){.type = type_of(in), .n_dims = in->n_dims};
    memcpy(t->input.dims, in->dims, sizeof t->input.dims);
    return TW_OK;
}

static tw_status check_output(const tower *t, const tw_mm_tensor *out, int64_t rows, int64_t dim,
                              tw_error *err) {
    char expected[64];
    bool known = out->type == TW_MM_F32 || out->type == TW_MM_F16;
    if (known && out->n_dims == 2 && (rows < 0 || fits(out->dims[0], rows)) &&
        fits(out->dims[1], dim))
        return TW_OK;
    if (rows < 0)
        snprintf(expected, sizeof expected, "f32 or f16 [n, %lld]", (long long)dim);
    else
        snprintf(expected, sizeof expected, "f32 or f16 [%lld, %lld]", (long long)rows,
                 (long long)dim);
    return wrong_end(t, out, expected, err);
}

static tw_status check_tower(tower *t, bool image, const tw_arch *a, tw_error *err) {
    if (t->info.n_in == 2)
        return tw_fail(err, TW_ERR_UNSUPPORTED,
                       "%s: 2 inputs and %d outputs: one graph of both towers gives logits, not "
                       "features; compile each tower by itself",
                       t->path, (int)t->info.n_out);
    if (t->info.n_in != 1 || t->info.n_out != 1)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %d inputs and %d outputs, expected one tower",
                       t->path, (int)t->info.n_in, (int)t->info.n_out);
    TW_TRY(check_input(t, image, a, err));
    return check_output(t, &t->info.out, t->input.dims[0], a->embed_dim, err);
}

/* What can be known of a file without MagicMind, whose format is not published. */
static tw_status check_file(const char *path, tw_error *err) {
    tw_mapped_file file;
    TW_TRY(tw_map_file(path, &file, err));
    size_t n_bytes = file.n_bytes;
    tw_unmap_file(&file);
    return n_bytes ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "%s: the file is empty", path);
}

static tw_status open_tower(tw_backend_state *s, bool image, const tw_backend_options *o,
                            tw_error *err) {
    tower *t = image ? &s->image : &s->text;
    char why[256] = "";
    t->shim = s->shim;
    t->max_batch = (size_t)o->max_batch;
    TW_TRY(tw_compiled_file(o, suffix, image, t->path, sizeof t->path, err));
    TW_TRY(check_file(t->path, err));
    if (s->shim->open(t->path, s->device, &t->on, &t->info, why, sizeof why) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: MagicMind refuses: %s", t->path, why);
    return check_tower(t, image, &s->model->arch, err);
}

static tw_status open_towers(tw_backend_state *s, const tw_backend_options *o, tw_error *err) {
    const tw_arch *arch = &s->model->arch;
    TW_TRY(check_options(o, err));
    TW_TRY(tw_mm_open(o->library, &s->shim, err));
    TW_TRY(choose_device(s, o->device, err));
    if (arch->vision.kind != TW_VISION_NONE && !o->text_only) TW_TRY(open_tower(s, true, o, err));
    if (arch->text.kind != TW_TEXT_NONE && !o->vision_only) TW_TRY(open_tower(s, false, o, err));
    return TW_OK;
}

static void close_state(tw_backend_state *s) {
    if (!s || atomic_fetch_sub(&s->n_users, 1) > 1) return;
    if (s->image.on) s->shim->close(s->image.on);
    if (s->text.on) s->shim->close(s->text.on);
    pthread_mutex_destroy(&s->turn);
    free(s);
}

static tw_status open_state(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                            tw_backend_state **out, tw_error *err) {
    *out = calloc(1, sizeof **out);
    if (!*out) return tw_fail_no_memory(err, sizeof **out);
    (*out)->model = model;
    atomic_init(&(*out)->n_users, 1);
    pthread_mutex_init(&(*out)->turn, NULL);
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

/* "pictures of 4, texts of any number", of the towers there are. */
static void describe_rows(const tower *t, const char *what, char *out, size_t n) {
    size_t at = strlen(out);
    if (!t->on) return;
    at += (size_t)snprintf(out + at, n - at, "%s%s of ", at ? ", " : "", what);
    if (t->input.dims[0] > 0)
        snprintf(out + at, n - at, "%lld", (long long)t->input.dims[0]);
    else
        snprintf(out + at, n - at, "any number");
}

static void describe(const tw_backend_state *s, tw_used *u) {
    snprintf(u->runtime, sizeof u->runtime, "%.31s", tw_mm_library());
    snprintf(u->device, sizeof u->device, "MLU %d", s->device);
    snprintf(u->precision, sizeof u->precision, "as compiled");
    describe_rows(&s->image, "pictures", u->detail, sizeof u->detail);
    describe_rows(&s->text, "texts", u->detail, sizeof u->detail);
}

static void capabilities(const tw_backend_state *s, tw_capabilities *can) {
    tw_graph_capabilities(s->image.on ? &s->image.input : NULL, s->text.on ? &s->text.input : NULL,
                          s->model, can);
}

/* ---------------------------------------------------------------------------------------- run */

/* Of one run: what it is given, and what it gives. */
static tw_status compute(const tower *t, const void *data, const int64_t *dims, size_t n,
                         const tw_mm_tensor *out, size_t dim, float *features, tw_error *err) {
    char why[256] = "";
    size_t n_in = tw_dtype_bytes(t->input.type), count = (size_t)dims[0] * dim;
    size_t n_out = count * tw_dtype_bytes(type_of(out));
    for (int i = 0; i < t->input.n_dims; i++)
        n_in *= (size_t)dims[i];
    void *rows = malloc(n_out);
    if (!rows) return tw_fail_no_memory(err, n_out);
    tw_status status = TW_OK;
    if (t->shim->run(t->on, data, n_in, rows, n_out, why, sizeof why) != 0)
        status = tw_fail(err, TW_ERR_UNSUPPORTED, "%s: MagicMind refuses: %s", t->path, why);
    if (status == TW_OK)
        status = tw_graph_take_features(type_of(out), rows, count, (size_t)dims[0], n, dim,
                                        features, err);
    free(rows);
    return status == TW_OK ? tw_graph_check_features(t->path, features, n, dim, err) : status;
}

static tw_status run(void *session, void *data, const int64_t *dims, size_t n, size_t dim,
                     float *features, tw_error *err) {
    const tower *t = session;
    tw_mm_tensor out;
    char why[256] = "", shape[128];
    if (t->shim->set_shape(t->on, dims, &out, why, sizeof why) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: MagicMind refuses the shape %s: %s", t->path,
                       tw_shape_text(t->input.n_dims, dims, shape, sizeof shape), why);
    TW_TRY(check_output(t, &out, dims[0], (int64_t)dim, err));
    if (out.dims[0] != dims[0] || out.dims[1] != (int64_t)dim)
        return wrong_end(t, &out, "a shape of numbers", err);
    return compute(t, data, dims, n, &out, dim, features, err);
}

static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    if (!s->image.on) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no image tower");
    pthread_mutex_lock(&s->turn);
    tw_status status =
        tw_graph_encode_pixels(&s->image.input, run, &s->image, s->model, pixels, n, features, err);
    pthread_mutex_unlock(&s->turn);
    return status;
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *rows, float *features,
                               tw_error *err) {
    if (!s->text.on) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no text tower");
    pthread_mutex_lock(&s->turn);
    tw_status status = tw_graph_encode_tokens(&s->text.input, run, &s->text, s->model,
                                              s->text.max_batch, rows, features, err);
    pthread_mutex_unlock(&s->turn);
    return status;
}

static tw_status probe(const char *library, char *buf, size_t n_bytes, tw_error *err) {
    const tw_mm_shim *shim;
    char why[256] = "";
    unsigned n = 0;
    TW_TRY(tw_mm_open(library, &shim, err));
    if (shim->count_devices(&n, why, sizeof why) != 0)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "%s: %s", tw_mm_library(), why);
    snprintf(buf, n_bytes, "%s, devices: %u", tw_mm_library(), n);
    return TW_OK;
}

const tw_backend tw_backend_magicmind = {
    .abi = TW_BACKEND_ABI,
    .name = "magicmind",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .capabilities = capabilities,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
    .probe = probe,
};
