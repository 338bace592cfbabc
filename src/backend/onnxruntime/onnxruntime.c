/* The backend "onnxruntime": a model's towers as ONNX graphs in ONNX Runtime, opened at run time.
 */
#include "backend/graphs.h"
#include "backend/onnxruntime/session.h"

#include "base/pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Shared by a state and its clones: sessions may be run by many threads. */
typedef struct towers {
    atomic_int n_users;
    tw_ort_session image, text;
    tw_used used;
} towers;

struct tw_backend_state {
    const tw_model *model;
    towers *towers;
    int32_t max_batch;
};

static void release(towers *t) {
    if (atomic_fetch_sub(&t->n_users, 1) > 1) return;
    tw_ort_session_close(&t->image);
    tw_ort_session_close(&t->text);
    free(t);
}

static tw_status open_tower(const tw_model *model, bool image, const tw_backend_options *o,
                            int threads, tw_ort_session *out, tw_error *err) {
    tw_graph_file file;
    TW_TRY(tw_graph_file_open(model, image, o, &file, err));
    const tw_ort_graph graph = {file.path, model, image, threads};
    tw_status status = tw_ort_session_open(&graph, o, out, err);
    tw_graph_file_close(&file);
    return status == TW_OK ? tw_graph_input_check(&out->takes, out->input, model, err) : status;
}

/* What the runtime is known to compute in, by the settings that are defaults here; else what it was
 * given. */
static const char *precision_word(const tw_backend_options *o, const char *provider) {
    bool half = o->precision == TW_F16, on_cpu = !o->device || strcmp(o->device, "CPU") == 0;
    bool known = strcasecmp(provider, "cpu") == 0 ||
                 (o->n_settings == 0 &&
                  (strcmp(provider, "cuda") == 0 || (strcmp(provider, "openvino") == 0 && on_cpu)));
    if (o->graphs) return "as the graphs";
    if (known) return half ? "f16" : "f32";
    return half ? "f16 graphs" : "f32 graphs";
}

static void describe_towers(towers *t, const tw_backend_options *o, int threads) {
    size_t n = t->image.n_nodes + t->text.n_nodes;
    size_t taken = t->image.n_provider_nodes + t->text.n_provider_nodes;
    char nodes[64] = "nodes not told";
    if (t->image.knows_nodes || t->text.knows_nodes)
        snprintf(nodes, sizeof nodes, "%zu of %zu nodes there", taken, n);
    snprintf(t->used.runtime, sizeof t->used.runtime, "%s", tw_ort.version);
    tw_ort_provider_word(o, t->used.device, sizeof t->used.device);
    snprintf(t->used.precision, sizeof t->used.precision, "%s", precision_word(o, t->used.device));
    snprintf(t->used.detail, sizeof t->used.detail, "%s, %d thread%s", nodes, threads,
             threads == 1 ? "" : "s");
}

static tw_status open_towers(const tw_model *model, const tw_backend_options *o, int threads,
                             towers *t, tw_error *err) {
    if (o->precision != -1 && o->precision != TW_F32 && o->precision != TW_F16)
        return tw_fail(err, TW_ERR_UNSUPPORTED, "backend onnxruntime computes in f32 or f16");
    TW_TRY(tw_ort_open(o->library, err));
    if (model->arch.vision.kind != TW_VISION_NONE && !o->text_only)
        TW_TRY(open_tower(model, true, o, threads, &t->image, err));
    if (model->arch.text.kind != TW_TEXT_NONE && !o->vision_only)
        TW_TRY(open_tower(model, false, o, threads, &t->text, err));
    describe_towers(t, o, threads);
    return TW_OK;
}

static tw_status open_state(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                            tw_backend_state **out, tw_error *err) {
    *out = NULL;
    tw_backend_state *s = calloc(1, sizeof *s);
    towers *t = calloc(1, sizeof *t);
    if (!s || !t) {
        free(s);
        free(t);
        return tw_fail_no_memory(err, sizeof *t);
    }
    *s = (tw_backend_state){model, t, options->max_batch};
    atomic_init(&t->n_users, 1);
    tw_status status = open_towers(model, options, tw_pool_threads(pool), t, err);
    if (status != TW_OK) {
        release(t);
        free(s);
        return status;
    }
    *out = s;
    return TW_OK;
}

static tw_status clone_state(const tw_backend_state *from, tw_backend_state **out, tw_error *err) {
    *out = malloc(sizeof **out);
    if (!*out) return tw_fail_no_memory(err, sizeof **out);
    **out = *from;
    atomic_fetch_add(&from->towers->n_users, 1);
    return TW_OK;
}

static void close_state(tw_backend_state *s) {
    if (!s) return;
    release(s->towers);
    free(s);
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
    tw_graph_capabilities(t->image.handle ? &t->image.takes : NULL,
                          t->text.handle ? &t->text.takes : NULL, s->model, can);
    can->precisions = 1u << TW_F32 | 1u << TW_F16;
}

static tw_status encode_pixels(tw_backend_state *s, const float *pixels, size_t n, float *features,
                               tw_error *err) {
    tw_ort_session *t = &s->towers->image;
    if (!t->handle) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no image tower");
    return tw_graph_encode_pixels(&t->takes, tw_ort_session_run, t, s->model, pixels, n, features,
                                  err);
}

static tw_status encode_tokens(tw_backend_state *s, const tw_token_rows *rows, float *features,
                               tw_error *err) {
    tw_ort_session *t = &s->towers->text;
    if (!t->handle) return tw_fail(err, TW_ERR_UNSUPPORTED, "this encoder has no text tower");
    return tw_graph_encode_tokens(&t->takes, tw_ort_session_run, t, s->model, (size_t)s->max_batch,
                                  rows, features, err);
}

static tw_status probe(const char *library, char *buf, size_t n_bytes, tw_error *err) {
    char **names = NULL;
    int n = 0;
    TW_TRY(tw_ort_open(library, err));
    TW_TRY(tw_ort_check(ORT(ORT_AVAILABLE_PROVIDERS, char ***, int *)(&names, &n), "onnxruntime",
                        err));
    size_t at = (size_t)snprintf(buf, n_bytes, "%s, providers", tw_ort.version);
    for (int i = 0; i < n && at < n_bytes; i++) {
        const char *end = strstr(names[i], "ExecutionProvider");
        at += (size_t)snprintf(buf + at, n_bytes - at, " %.*s",
                               (int)(end ? end - names[i] : (ptrdiff_t)strlen(names[i])), names[i]);
    }
    return tw_ort_check(ORT(ORT_RELEASE_AVAILABLE_PROVIDERS, char **, int)(names, n), "onnxruntime",
                        err);
}

const tw_backend tw_backend_onnxruntime = {
    .abi = TW_BACKEND_ABI,
    .name = "onnxruntime",
    .open = open_state,
    .clone = clone_state,
    .close = close_state,
    .describe = describe,
    .capabilities = capabilities,
    .encode_pixels = encode_pixels,
    .encode_tokens = encode_tokens,
    .probe = probe,
};
