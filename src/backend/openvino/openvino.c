/* The backend "openvino": a model's towers as ONNX graphs in OpenVINO, opened at run time. */
#include "backend/graphs.h"
#include "backend/openvino/api.h"
#include "backend/rows.h"
#include "backend/settings.h"

#include "base/pool.h"
#include "base/size.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROPERTIES = 16 };

/* A compiled graph, which many threads share. */
typedef struct tower {
    tw_ov_handle compiled; /* NULL: there is none */
    tw_graph_input takes;
    int element_type; /* OpenVINO's number of the input's type */
} tower;

typedef struct towers {
    atomic_int n_users;
    tower image, text;
    tw_used used;
} towers;

/* A tower and this state's own request, which one thread at a time may use. */
typedef struct session {
    const tower *tower;
    tw_ov_handle request;
} session;

struct tw_backend_state {
    const tw_model *model;
    towers *towers;
    session image, text;
    int32_t max_batch;
};

/* ---------------------------------------------------------------------------------- properties */

static const char *device_word(const tw_backend_options *o) {
    return o->device ? o->device : "CPU";
}

static const char *precision_word(int precision) {
    return precision == TW_F16 ? "f16" : precision == TW_BF16 ? "bf16" : "f32";
}

/* Precision is always said: on processors with bf16 OpenVINO's own default is that. */
static tw_status take_properties(const tw_backend_options *o, int threads, tw_settings *p,
                                 tw_error *err) {
    if (o->precision == TW_I8)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend openvino computes in f32, f16 or bf16, not int8");
    char number[16];
    snprintf(number, sizeof number, "%d", threads);
    TW_TRY(tw_settings_add_all(p, o->settings, o->n_settings, err));
    TW_TRY(tw_settings_default(p, "INFERENCE_PRECISION_HINT", precision_word(o->precision), err));
    if (strcmp(device_word(o), "CPU") == 0)
        TW_TRY(tw_settings_default(p, "INFERENCE_NUM_THREADS", number, err));
    if (p->n <= MAX_PROPERTIES) return TW_OK;
    return tw_fail(err, TW_ERR_LIMIT, "more than %d options", MAX_PROPERTIES);
}

static tw_status compile(tw_ov_handle model, const tw_backend_options *o, int threads,
                         tw_ov_handle *out, tw_error *err) {
    tw_settings p = {0};
    const char *w[2 * MAX_PROPERTIES] = {NULL};
    char what[80];
    tw_status status;
    snprintf(what, sizeof what, "openvino, device %s", device_word(o));
    TW_CHECK(take_properties(o, threads, &p, err));
    for (size_t i = 0; i < p.n; i++) {
        w[2 * i] = p.keys[i];
        w[2 * i + 1] = p.values[i];
    }
    /* The interface takes its properties as variable arguments; those beyond the count are not
     * looked at. */
    TW_CHECK(tw_ov_check(tw_ov.core_compile_model(
                             tw_ov.core, model, device_word(o), 2 * p.n, out, w[0], w[1], w[2],
                             w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13],
                             w[14], w[15], w[16], w[17], w[18], w[19], w[20], w[21], w[22], w[23],
                             w[24], w[25], w[26], w[27], w[28], w[29], w[30], w[31]),
                         what, err));
done:
    tw_settings_free(&p);
    return status;
}

/* -------------------------------------------------------------------------------------- towers */

/* Bytes of an element of OpenVINO's type `type`; 0: there is none. */
static size_t bytes_of_type(int type) {
    static const int64_t one[] = {1};
    tw_ov_shape shape;
    tw_ov_handle tensor = NULL;
    size_t n = 0;
    if (tw_ov.shape_create(1, one, &shape) != 0) return 0;
    if (tw_ov.tensor_create(type, shape, &tensor) != 0) tensor = NULL;
    tw_ov.shape_free(&shape);
    if (!tensor) return 0;
    if (tw_ov.tensor_get_byte_size(tensor, &n) != 0) n = 0;
    tw_ov.tensor_free(tensor);
    return n;
}

/* The numbers of types differ between releases, but not their order: bf16 f16 f32 f64 … i16 i32
 * i64 …; so a type is known by its size and how many of that size are before it. */
static tw_dtype dtype_of(int type) {
    enum { MOST_TYPES = 64 };
    static const struct {
        size_t n_bytes, n_before;
        tw_dtype dtype;
    } types[] = {{2, 1, TW_F16}, {4, 0, TW_F32}, {4, 1, TW_I32}, {8, 1, TW_I64}};
    size_t n_before = 0, n_bytes = type < MOST_TYPES ? bytes_of_type(type) : 0;
    for (int other = 0; other < type && n_bytes; other++)
        n_before += bytes_of_type(other) == n_bytes;
    for (size_t i = 0; i < TW_COUNT(types); i++)
        if (types[i].n_bytes == n_bytes && types[i].n_before == n_before) return types[i].dtype;
    return (tw_dtype)-1;
}

static tw_status take_shape(tw_ov_handle port, const char *name, int n_dims, tower *t,
                            tw_error *err) {
    tw_ov_partial_shape shape;
    TW_TRY(tw_ov_check(tw_ov.port_get_partial_shape(port, &shape), "openvino", err));
    tw_status status = TW_OK;
    if (shape.rank.max != n_dims || shape.rank.min != n_dims)
        status = tw_fail(err, TW_ERR_MISMATCH, "input '%s' has %lld extents, expected %d", name,
                         (long long)shape.rank.max, n_dims);
    for (int i = 0; i < n_dims && status == TW_OK; i++)
        t->takes.dims[i] = shape.dims[i].min == shape.dims[i].max ? shape.dims[i].max : -1;
    tw_ov.partial_shape_free(&shape);
    t->takes.n_dims = n_dims;
    return status;
}

static tw_status describe_input(tw_ov_handle graph, int n_dims, const tw_model *model, tower *t,
                                tw_error *err) {
    size_t n = 0;
    tw_ov_handle port = NULL;
    char *name = NULL;
    tw_status status;
    TW_TRY(tw_ov_check(tw_ov.model_inputs_size(graph, &n), "openvino", err));
    if (n != 1)
        return tw_fail(err, TW_ERR_MISMATCH, "the graph has %zu inputs, expected one tower: one",
                       n);
    TW_TRY(tw_ov_check(tw_ov.model_const_input_by_index(graph, 0, &port), "openvino", err));
    TW_CHECK(tw_ov_check(tw_ov.port_get_any_name(port, &name), "openvino", err));
    TW_CHECK(tw_ov_check(tw_ov.port_get_element_type(port, &t->element_type), "openvino", err));
    TW_CHECK(take_shape(port, name, n_dims, t, err));
    t->takes.type = dtype_of(t->element_type);
    TW_CHECK(tw_graph_input_check(&t->takes, name, model, err));
done:
    tw_ov.free(name);
    tw_ov.output_const_port_free(port);
    return status;
}

static tw_status load_graph(const char *path, const tw_model *model, bool image,
                            const tw_backend_options *o, int threads, tower *t, tw_error *err) {
    tw_ov_handle graph = NULL;
    tw_status status;
    TW_TRY(tw_ov_check(tw_ov.core_read_model(tw_ov.core, path, NULL, &graph), path, err));
    TW_CHECK(describe_input(graph, image ? 4 : 2, model, t, err));
    TW_CHECK(compile(graph, o, threads, &t->compiled, err));
done:
    tw_ov.model_free(graph);
    return status;
}

static tw_status open_tower(const tw_model *model, bool image, const tw_backend_options *o,
                            int threads, tower *t, tw_error *err) {
    tw_graph_file file;
    tw_backend_options f32 = *o;
    /* A graph written for the run is f32: precision is a property of what is compiled from it. */
    if (!o->graphs) f32.precision = TW_F32;
    TW_TRY(tw_graph_file_open(model, image, &f32, &file, err));
    tw_status status = load_graph(file.path, model, image, o, threads, t, err);
    tw_graph_file_close(&file);
    return status;
}

/* What was compiled says what it does; what was asked for is no evidence. */
static void read_back(const tower *t, const char *key, char *out, size_t n) {
    char *text = NULL;
    snprintf(out, n, "?");
    if (tw_ov.compiled_model_get_property(t->compiled, key, &text) == 0)
        snprintf(out, n, "%s", text);
    tw_ov.free(text);
}

/* A processor without f16 arithmetic gets another precision than it was asked for. */
static tw_status check_precision(const towers *t, const tw_backend_options *o, tw_error *err) {
    const char *used = t->used.precision, *asked = precision_word(o->precision);
    if (o->precision == -1 || o->allow_fallback || strncmp(used, asked, strlen(asked)) == 0)
        return TW_OK;
    return tw_fail(
        err, TW_ERR_UNSUPPORTED,
        "openvino computes in %s on %s, %s was asked for (--allow-fallback permits that)", used,
        t->used.device, asked);
}

static void describe_towers(towers *t, const tw_backend_options *o) {
    char streams[16], threads[16], hint[32];
    const tower *any = t->image.compiled ? &t->image : &t->text;
    read_back(any, "EXECUTION_DEVICES", t->used.device, sizeof t->used.device);
    if (t->used.device[0] == '?')
        snprintf(t->used.device, sizeof t->used.device, "%s", device_word(o));
    read_back(any, "INFERENCE_PRECISION_HINT", t->used.precision, sizeof t->used.precision);
    /* AUTO and HETERO take the hint for their devices and do not tell. */
    if (t->used.precision[0] == '?')
        snprintf(t->used.precision, sizeof t->used.precision, "%s asked",
                 precision_word(o->precision));
    read_back(any, "NUM_STREAMS", streams, sizeof streams);
    read_back(any, "INFERENCE_NUM_THREADS", threads, sizeof threads);
    read_back(any, "PERFORMANCE_HINT", hint, sizeof hint);
    snprintf(t->used.runtime, sizeof t->used.runtime, "%s", tw_ov.version);
    snprintf(t->used.detail, sizeof t->used.detail, "%s, %s threads, %s streams", hint, threads,
             streams);
}

static void release(towers *t) {
    if (atomic_fetch_sub(&t->n_users, 1) > 1) return;
    if (t->image.compiled) tw_ov.compiled_model_free(t->image.compiled);
    if (t->text.compiled) tw_ov.compiled_model_free(t->text.compiled);
    free(t);
}

static tw_status open_towers(const tw_model *model, const tw_backend_options *o, int threads,
                             towers *t, tw_error *err) {
    if (o->provider)
        return tw_fail(err, TW_ERR_ARGUMENT,
                       "backend openvino has no provider; --device says where");
    TW_TRY(tw_ov_open(o->library, err));
    if (model->arch.vision.kind != TW_VISION_NONE && !o->text_only)
        TW_TRY(open_tower(model, true, o, threads, &t->image, err));
    if (model->arch.text.kind != TW_TEXT_NONE && !o->vision_only)
        TW_TRY(open_tower(model, false, o, threads, &t->text, err));
    describe_towers(t, o);
    return check_precision(t, o, err);
}

/* --------------------------------------------------------------------------------------- state */

static tw_status open_sessions(tw_backend_state *s, tw_error *err) {
    session *sessions[] = {&s->image, &s->text};
    const tower *from[] = {&s->towers->image, &s->towers->text};
    for (size_t i = 0; i < TW_COUNT(sessions); i++) {
        *sessions[i] = (session){.tower = from[i]};
        if (from[i]->compiled)
            TW_TRY(tw_ov_check(
                tw_ov.compiled_model_create_infer_request(from[i]->compiled, &sessions[i]->request),
                "openvino", err));
    }
    return TW_OK;
}

static void close_state(tw_backend_state *s) {
    if (!s) return;
    if (s->image.request) tw_ov.infer_request_free(s->image.request);
    if (s->text.request) tw_ov.infer_request_free(s->text.request);
    if (s->towers) release(s->towers);
    free(s);
}

static tw_status open_state(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                            tw_backend_state **out, tw_error *err) {
    *out = NULL;
    tw_backend_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    s->model = model;
    s->max_batch = options->max_batch;
    s->towers = calloc(1, sizeof *s->towers);
    tw_status status;
    if (!s->towers) {
        status = tw_fail_no_memory(err, sizeof *s->towers);
        goto done;
    }
    atomic_init(&s->towers->n_users, 1);
    TW_CHECK(open_towers(model, options, tw_pool_threads(pool), s->towers, err));
    TW_CHECK(open_sessions(s, err));
    *out = s;
    return TW_OK;
done:
    close_state(s);
    return status;
}

static tw_status clone_state(const tw_backend_state *from, tw_backend_state **out, tw_error *err) {
    *out = NULL;
    tw_backend_state *s = calloc(1, sizeof *s);
    if (!s) return tw_fail_no_memory(err, sizeof *s);
    s->model = from->model;
    s->max_batch = from->max_batch;
    s->towers = from->towers;
    atomic_fetch_add(&s->towers->n_users, 1);
    tw_status status = open_sessions(s, err);
    if (status != TW_OK) {
        close_state(s);
        return status;
    }
    *out = s;
    return TW_OK;
}

static void describe(const tw_backend_state *s, tw_used *used) {
    const tw_used *u = &s->towers->used;
    memcpy(used->runtime, u->runtime, sizeof used->runtime);
    memcpy(used->device, u->device, sizeof used->device);
    memcpy(used->precision, u->precision, sizeof used->precision);
    memcpy(used->detail, u->detail, sizeof used->detail);
}

static void capabilities(const tw_backend_state *s, tw_capabilities *can) {
    const towers *t = s->towers;
    tw_graph_capabilities(t->image.compiled ? &t->image.takes : NULL,
                          t->text.compiled ? &t->text.takes : NULL, s->model, can);
    can->precisions = 1u << TW_F32 | 1u << TW_F16 | 1u << TW_BF16;
}

static tw_status take_output(tw_ov_handle request, size_t rows, size_t n, size_t dim,
                             float *features, tw_error *err) {
    tw_ov_handle out = NULL;
    size_t count = 0, n_bytes = 0;
    void *data = NULL;
    tw_status status;
    TW_TRY(tw_ov_check(tw_ov.infer_request_get_output_tensor_by_index(request, 0, &out), "openvino",
                       err));
    TW_CHECK(tw_ov_check(tw_ov.tensor_get_size(out, &count), "openvino", err));
    TW_CHECK(tw_ov_check(tw_ov.tensor_get_byte_size(out, &n_bytes), "openvino", err));
    TW_CHECK(tw_ov_check(tw_ov.tensor_data(out, &data), "openvino", err));
    tw_dtype type = n_bytes == 4 * count ? TW_F32 : n_bytes == 2 * count ? TW_F16 : (tw_dtype)-1;
    TW_CHECK(tw_graph_take_features(type, data, count, rows, n, dim, features, err));
done:
    tw_ov.tensor_free(out);
    return status;
}

static tw_status run(void *arg, void *data, const int64_t *dims, size_t n, size_t dim,
                     float *features, tw_error *err) {
    const session *s = arg;
    tw_ov_shape shape = {0};
    tw_ov_handle in = NULL;
    tw_status status;
    TW_TRY(tw_ov_check(tw_ov.shape_create(s->tower->takes.n_dims, dims, &shape), "openvino", err));
    TW_CHECK(
        tw_ov_check(tw_ov.tensor_create_from_host_ptr(s->tower->element_type, shape, data, &in),
                    "openvino", err));
    TW_CHECK(tw_ov_check(tw_ov.infer_request_set_input_tensor_by_index(s->request, 0, in),
                         "openvino", err));
    TW_CHECK(tw_ov_check(tw_ov.infer_request_infer(s->request), "openvino", err));
    TW_CHECK(take_output(s->request, (size_t)dims[0], n, dim, features, err));
done:
    if (in) tw_ov.tensor_free(in);
    tw_ov.shape_free(&shape);
    return status;
}

static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    if (!s->image.request)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no image tower");
    return tw_graph_encode_pixels(&s->towers->image.takes, run, &s->image, s->model, pixels, n,
                                  features, err);
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *rows, float *features,
                               tw_error *err) {
    if (!s->text.request) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no text tower");
    return tw_graph_encode_tokens(&s->towers->text.takes, run, &s->text, s->model,
                                  (size_t)s->max_batch, rows, features, err);
}

static tw_status probe(const char *library, char *buf, size_t n_bytes, tw_error *err) {
    tw_ov_devices devices = {0};
    TW_TRY(tw_ov_open(library, err));
    TW_TRY(tw_ov_check(tw_ov.core_get_available_devices(tw_ov.core, &devices), "openvino", err));
    size_t at = (size_t)snprintf(buf, n_bytes, "%s, devices", tw_ov.version);
    for (size_t i = 0; i < devices.n && at < n_bytes; i++)
        at += (size_t)snprintf(buf + at, n_bytes - at, " %s", devices.names[i]);
    tw_ov.available_devices_free(&devices);
    return TW_OK;
}

const tw_backend tw_backend_openvino = {
    .abi = TW_BACKEND_ABI,
    .name = "openvino",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .capabilities = capabilities,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
    .probe = probe,
};
