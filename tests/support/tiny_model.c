#include "tiny_model.h"

#include "base/bytes.h"
#include "format/gguf/gguf.h"
#include "model/arch.h"
#include "model/metadata.h"
#include "model/schema.h"

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n一\n二\n皮\n卡\n丘\na\n##b\n";

void tiny_arch(tw_arch *out, tw_vision_kind vision, tw_text_kind text) {
    *out = (tw_arch){.struct_size = sizeof *out, .embed_dim = 4};
    if (vision == TW_VISION_VIT)
        out->vision = (tw_vision_config){.kind = vision,
                                         .image_size = 8,
                                         .patch_size = 4,
                                         .width = 8,
                                         .n_layers = 1,
                                         .head_width = 4,
                                         .n_heads = 2,
                                         .mlp_width = 16,
                                         .activation = TW_QUICK_GELU,
                                         .norm_eps = TW_VISION_EPS};
    if (vision == TW_VISION_RESNET)
        out->vision = (tw_vision_config){.kind = vision,
                                         .image_size = 32,
                                         .width = 2,
                                         .stages = {1, 2, 1, 1},
                                         .head_width = 32,
                                         .n_heads = 2,
                                         .activation = TW_RELU,
                                         .norm_eps = TW_VISION_EPS};
    if (text == TW_TEXT_BERT)
        out->text = (tw_text_config){.kind = text,
                                     .vocab_size = 12,
                                     .width = 8,
                                     .n_layers = 1,
                                     .n_heads = 2,
                                     .mlp_width = 16,
                                     .n_positions = 8,
                                     .n_token_types = 2,
                                     .context_length = 8,
                                     .activation = TW_GELU_ERF,
                                     .norm_eps = TW_BERT_EPS};
    if (text == TW_TEXT_CLIP)
        out->text = (tw_text_config){.kind = text,
                                     .vocab_size = 12,
                                     .width = 8,
                                     .n_layers = 1,
                                     .n_heads = 2,
                                     .mlp_width = 16,
                                     .n_positions = 8,
                                     .context_length = 8,
                                     .activation = TW_QUICK_GELU,
                                     .norm_eps = TW_VISION_EPS};
    tw_arch_set_name(out);
}

static void write_random(tw_gguf_writer *w, const tw_schema_entry *e, tw_dtype dtype,
                         uint64_t *seed) {
    tw_error err = TW_ERROR_INIT;
    tw_tensor t = {.n_dims = e->n_dims};
    memcpy(t.shape, e->shape, sizeof e->shape);
    bool variance = strstr(e->name, ".bn.var") != NULL;
    for (size_t i = 0, n = tw_tensor_elements(&t); i < n; i++) {
        float v = test_random_float(seed) * 0.25f + (variance ? 1.0f : 0.0f);
        uint16_t h = dtype == TW_F16 ? tw_f32_to_f16(v) : tw_f32_to_bf16(v);
        uint32_t bits;
        uint8_t bytes[4] = {(uint8_t)h, (uint8_t)(h >> 8)};
        memcpy(&bits, &v, sizeof bits);
        if (dtype == TW_F32) tw_store_u32le(bytes, bits);
        assert_ok(tw_gguf_write(w, bytes, tw_dtype_bytes(dtype), &err), &err);
    }
}

void tiny_model_write(const char *path, const tw_arch *arch, tw_dtype dtype) {
    tw_error err = TW_ERROR_INIT;
    tw_gguf_writer *w;
    tw_schema schema;
    tw_output output;
    tw_tokenizer *tokenizer;
    uint64_t seed = 7;
    assert_ok(tw_tokenizer_wordpiece(vocabulary, sizeof vocabulary - 1, &tokenizer, &err), &err);
    tw_metadata m = {
        .arch = *arch,
        .recipe = TW_RECIPE_INIT,
        .logit_scale = 2.5f,
        .file_type = dtype,
        .tokenizer = arch->text.kind == TW_TEXT_CLIP ? NULL : tokenizer,
        .provenance = {sizeof(tw_provenance), "tiny", "tiny.pt", "", "torch-zip", "tuwen test"}};
    m.recipe.size = arch->vision.image_size;
    assert_ok(tw_schema_build(arch, &schema, &err), &err);
    assert_ok(tw_gguf_writer_create(&w, &err), &err);
    assert_ok(tw_metadata_put(w, &m, &err), &err);
    for (size_t i = 0; i < schema.n_entries; i++) {
        const tw_schema_entry *e = &schema.entries[i];
        assert_ok(
            tw_gguf_declare(w, e->name, e->matrix ? dtype : TW_F32, e->n_dims, e->shape, &err),
            &err);
    }
    assert_ok(tw_output_open(path, &output, &err), &err);
    assert_ok(tw_gguf_writer_begin(w, &output, &err), &err);
    for (size_t i = 0; i < schema.n_entries; i++)
        write_random(w, &schema.entries[i], schema.entries[i].matrix ? dtype : TW_F32, &seed);
    assert_ok(tw_gguf_writer_end(w, &err), &err);
    assert_ok(tw_output_commit(&output, &err), &err);
    tw_schema_free(&schema);
    tw_gguf_writer_free(w);
    tw_tokenizer_free(tokenizer);
}
