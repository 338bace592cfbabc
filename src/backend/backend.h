/* The one interface every backend offers: what it can do, and rows in, feature rows out. A backend
 * knows nothing of pictures, words, batching policy or normalisation: encode/ does those. Its calls
 * block; submit.h is how they are submitted and waited for. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "model/model.h"
#include "tuwen/encode.h" /* tw_capabilities, tw_observer, tw_used */

#define TW_BACKEND_ABI 3u

typedef struct tw_backend_state tw_backend_state; /* each backend's own */

/* Token rows of any lengths, back to back: row i is ids[offset[i] .. offset[i+1]). */
typedef struct tw_token_rows {
    const int32_t *ids;
    const size_t *offset; /* [n + 1], offset[0] = 0 */
    size_t n;
} tw_token_rows;

typedef struct tw_backend_options {
    int32_t max_batch;           /* pictures, or texts of full context length, at once */
    bool vision_only, text_only; /* the other tower is not loaded */
    const tw_hooks *hooks;       /* may be NULL */
    /* What a backend does not know, or cannot do, it refuses by name; NULL, -1 and false: its own
     * default. As in tw_encoder_options. */
    const char *device, *provider, *library, *graphs;
    int precision;
    const char *const *settings; /* [n_settings] "key=value" for the runtime */
    size_t n_settings;
    bool allow_fallback;
} tw_backend_options;

typedef struct tw_backend {
    uint32_t abi;
    const char *name; /* "cpu" */

    /* Binds a model. `pool` and `model` outlive the state. */
    tw_status (*open)(const tw_model *model, tw_pool *pool, const tw_backend_options *options,
                      tw_backend_state **out, tw_error *err);
    /* A further state for another thread, sharing weights. */
    tw_status (*clone)(const tw_backend_state *state, tw_backend_state **out, tw_error *err);
    void (*close)(tw_backend_state *state);

    /* What is really used: all of `used` but struct_size, backend and batch. */
    void (*describe)(const tw_backend_state *state, tw_used *used);
    /* All of `can` but struct_size; it is TW_CAPABILITIES_INIT before. */
    void (*capabilities)(const tw_backend_state *state, tw_capabilities *can);

    /* pixels f32 [n, 3, R, R], n <= max_batch -> features f32 [n, E] */
    tw_status (*encode_pixels)(tw_backend_state *state, const float *pixels, size_t n,
                               float *features, tw_error *err);
    /* at most max_batch * context_length tokens, each row 1..n_positions -> features f32 [n, E];
     * ids are inside the vocabulary (the caller has checked); a row of a CLIP text tower ends with
     * the token that its feature is taken from */
    tw_status (*encode_tokens)(tw_backend_state *state, const tw_token_rows *rows, float *features,
                               tw_error *err);

    /* What of its runtime is on this machine: "1.31.1, providers CPU". NULL: it needs none.
     * Errors: TW_ERR_UNSUPPORTED, as open() would give. */
    tw_status (*probe)(const char *library, char *buf, size_t n_bytes, tw_error *err);

    /* Shows the named stages (docs/MODEL.md) of later calls to `observer`; NULL ends it. NULL here:
     * this backend has none to show. */
    void (*observe)(tw_backend_state *state, tw_observer observer, void *user);
} tw_backend;

extern const tw_backend tw_backend_cpu, tw_backend_onnxruntime, tw_backend_openvino,
    tw_backend_sophon, tw_backend_ascend, tw_backend_magicmind;

#endif
