/* A GGUF file of any bytes, as a model file: refused with a message, or opened with every weight
 * readable; and as a checkpoint: refused, or described and recognised with every tensor readable.
 */
#include "convert/gguf_config.h"
#include "format/checkpoint.h"
#include "model/model.h"
#include "model/recognize.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Reads the ends of a tensor through the conversion everybody uses. */
static void touch(const tw_tensor *t) {
    float v;
    size_t n = t->data ? tw_tensor_elements(t) : 0;
    if (n == 0) return;
    tw_tensor_to_f32_range(t, 0, 1, &v);
    tw_tensor_to_f32_range(t, n - 1, 1, &v);
}

static void touch_block(const tw_block_weights *b) {
    touch(&b->ln1.gamma);
    touch(&b->q.weight);
    touch(&b->v.weight);
    touch(&b->out.bias);
    touch(&b->fc1.weight);
    touch(&b->fc2.weight);
}

static void touch_weights(const tw_model *m) {
    int n_bottlenecks = 0;
    for (int i = 0; i < 4; i++)
        n_bottlenecks += m->arch.vision.stages[i];
    touch(&m->vision.patch);
    touch(&m->vision.position);
    touch(&m->vision.projection);
    touch(&m->text.token);
    touch(&m->text.type);
    for (int i = 0; i < m->arch.vision.n_layers; i++)
        touch_block(&m->vision.blocks[i]);
    for (int i = 0; i < m->arch.text.n_layers; i++)
        touch_block(&m->text.blocks[i]);
    for (int i = 0; i < n_bottlenecks; i++) {
        touch(&m->vision.bottlenecks[i].conv2.weight);
        touch(&m->vision.bottlenecks[i].down.var);
    }
}

static void ask(const tw_model *m) {
    tw_provenance provenance = {.struct_size = sizeof provenance};
    tw_model_size size = {.struct_size = sizeof size};
    const char *name;
    tw_dtype dtype;
    int n_dims;
    int64_t shape[4];
    tw_model_provenance(m, &provenance);
    tw_model_get_size(m, &size);
    tw_int8_quality quality = TW_INT8_QUALITY_INIT;
    if (tw_model_int8_quality(m, &quality) && !quality.kept) abort();
    for (uint64_t i = 0; tw_model_tensor(m, i, &name, &dtype, &n_dims, shape); i++)
        if (!name) abort();
    if (tw_model_tokenizer(m)) {
        int32_t ids[64];
        tw_text_options options = TW_TEXT_OPTIONS_INIT;
        options.context_length = 64;
        if (tw_tokenize(tw_model_tokenizer(m), "皮卡丘 ab", 12, &options, ids, NULL, NULL, NULL))
            abort();
    }
}

static void open_model(const uint8_t *data, size_t n_bytes) {
    tw_model *m;
    tw_error err = TW_ERROR_INIT;
    tw_status status = tw_model_parse(data, n_bytes, &m, &err);
    if (status != err.status || (status == TW_OK) != (m != NULL)) abort();
    if (m) {
        touch_weights(m);
        ask(m);
    }
    tw_model_free(m);
}

/* What the converter asks before it writes anything. */
static void describe(const tw_checkpoint *c) {
    const tw_gguf *g = tw_checkpoint_gguf(c);
    size_t n = tw_checkpoint_n_tensors(c);
    tw_error err = TW_ERROR_INIT;
    tw_clip_config config;
    tw_arch arch;
    tw_origin *origin = NULL;
    const tw_tensor **tensors = calloc(n, sizeof *tensors);
    if (!tensors) abort();
    for (size_t i = 0; i < n; i++)
        touch(tensors[i] = tw_checkpoint_tensor(c, i));
    (void)tw_gguf_bpe_variant(g);
    if (tw_gguf_config_read(g, &config, &err) == TW_OK &&
        tw_origin_create(tensors, n, &origin, &err) == TW_OK) {
        bool vision = config.vision.kind != TW_VISION_NONE, text = config.text.kind != TW_TEXT_NONE;
        tw_expectation e = {.vision = vision ? &config.vision : NULL,
                            .embed_dim = config.embed_dim,
                            .text = text ? &config.text : NULL,
                            .vision_activation = config.vision.activation,
                            .text_activation = config.text.activation,
                            .vision_only = !text,
                            .text_only = !vision};
        (void)tw_recognize(origin, &e, &arch, &err);
    }
    tw_origin_free(origin);
    free(tensors);
}

static void open_checkpoint(const uint8_t *data, size_t n_bytes) {
    tw_checkpoint *c;
    tw_error err = TW_ERROR_INIT;
    if (n_bytes < 4 || memcmp(data, "GGUF", 4) != 0) return;
    tw_status status = tw_checkpoint_parse(data, n_bytes, &c, &err);
    if (status != err.status || (status == TW_OK) != (c != NULL)) abort();
    if (c) describe(c);
    tw_checkpoint_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    open_model(data, n_bytes);
    open_checkpoint(data, n_bytes);
    return 0;
}
