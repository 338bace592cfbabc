/* The tokenizer that goes into a model file. */
#include "base/file.h"
#include "convert/conversion.h"
#include "convert/folder.h"
#include "convert/gguf_config.h"
#include "convert/hf_tokenizer.h"
#include "convert/hf_tokenizer_json.h"
#include "convert/onnx_config.h"

#include <stdlib.h>

static tw_bpe_variant bpe_variant(const tw_conversion *c) {
    int64_t resolution; /* of OpenAI's own files */
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g) return tw_gguf_bpe_variant(g);
    if (tw_checkpoint_onnx(c->checkpoint))
        return tw_onnx_bpe_variant(tw_checkpoint_onnx(c->other ? c->other : c->checkpoint));
    bool openai = tw_checkpoint_int(c->checkpoint, "input_resolution", &resolution);
    return openai ? TW_BPE_OPENAI : tw_origin_family(c->origin)->bpe_variant;
}

static tw_status build(tw_conversion *c, const void *text, size_t n_bytes, tw_error *err) {
    if (c->metadata.arch.text.kind == TW_TEXT_CLIP)
        return tw_tokenizer_bpe(text, n_bytes, bpe_variant(c), &c->tokenizer, err);
    return tw_tokenizer_wordpiece(text, n_bytes, &c->tokenizer, err);
}

/* A vocab.txt, or merges, or a tokenizer.json that has either. */
static tw_status load_file(tw_conversion *c, const char *path, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(path, (size_t)64 << 20, &data, &n_bytes, err));
    tw_buffer lines = {0};
    tw_status status;
    if (n_bytes == 0 || data[0] != '{') {
        status = build(c, data, n_bytes, err);
    } else {
        bool byte_pairs = c->metadata.arch.text.kind == TW_TEXT_CLIP;
        status = tw_hf_tokenizer_json(data, n_bytes, byte_pairs, &lines, err);
        if (status == TW_OK) status = build(c, lines.data, lines.n_bytes, err);
    }
    tw_buffer_free(&lines);
    free(data);
    if (status != TW_OK) tw_error_context(err, "%s", path);
    return status;
}

/* A clip.cpp file lists its tokens, which must be those that the byte pairs make. */
static tw_status check_tokens(tw_conversion *c, tw_error *err) {
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (!g || tw_gguf_is_model(g) || tw_gguf_tokens_agree(g, c->tokenizer)) return TW_OK;
    if (c->options.vocab)
        return tw_fail(err, TW_ERR_MISMATCH, "%s makes other tokens than the checkpoint lists",
                       c->options.vocab);
    tw_tokenizer_free(c->tokenizer);
    c->tokenizer = NULL;
    tw_log(c->options.hooks, TW_LOG_WARNING,
           "the built-in byte pairs make other tokens than the checkpoint lists: the model takes "
           "token ids alone; --vocab with its merges.txt gives it texts");
    return TW_OK;
}

static tw_status load_merges(tw_conversion *c, const char *path, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    TW_TRY(load_file(c, path, err));
    int32_t n = tw_tokenizer_vocab_size(c->tokenizer);
    if (n == expected) return check_tokens(c, err);
    return tw_fail(err, TW_ERR_MISMATCH, "%s makes %d tokens, the text tower has %d", path, n,
                   expected);
}

/* `name` in the checkpoint's folder, else tokenizer.json; *path is NULL when neither is there. */
static tw_status find_beside(tw_conversion *c, const char *name, char **path, tw_error *err) {
    TW_TRY(tw_folder_neighbour(c->file, name, path, err));
    return *path ? TW_OK : tw_folder_neighbour(c->file, "tokenizer.json", path, err);
}

/* The merges in the checkpoint's folder, if the vocabulary there has the same ids. */
static tw_status load_merges_beside(tw_conversion *c, bool *found, tw_error *err) {
    char *merges, *vocab = NULL;
    *found = false;
    if (tw_checkpoint_gguf(c->checkpoint)) return TW_OK;
    TW_TRY(find_beside(c, "merges.txt", &merges, err));
    if (!merges) return TW_OK;
    tw_status status;
    *found = true;
    TW_CHECK(find_beside(c, "vocab.json", &vocab, err));
    TW_CHECK(load_merges(c, merges, err));
    if (vocab) status = tw_hf_vocabulary_agrees_file(vocab, c->tokenizer, err);
done:
    free(merges);
    free(vocab);
    return status;
}

/* The byte pairs of OpenAI's CLIP belong to vocabularies of their size. For another one --vocab can
 * give the merges, or the checkpoint's folder; without them a model still takes token ids. */
static tw_status load_bpe(tw_conversion *c, tw_error *err) {
    int32_t n, expected = c->metadata.arch.text.vocab_size;
    bool found;
    if (c->options.vocab) return load_merges(c, c->options.vocab, err);
    TW_TRY(tw_tokenizer_bpe(NULL, 0, bpe_variant(c), &c->tokenizer, err));
    n = tw_tokenizer_vocab_size(c->tokenizer);
    if (n == expected) return check_tokens(c, err);
    tw_tokenizer_free(c->tokenizer);
    c->tokenizer = NULL;
    TW_TRY(load_merges_beside(c, &found, err));
    if (found) return TW_OK;
    tw_log(c->options.hooks, TW_LOG_WARNING,
           "a vocabulary of %d, the built-in byte pairs make %d: the model takes token ids alone, "
           "the largest of which ends a text; --vocab with its merges.txt gives it texts",
           expected, n);
    return TW_OK;
}

/* The vocabulary of a folder of Hugging Face's, and whether its tokenizer is ours; *path is NULL
 * when there is none. free() it. */
static tw_status find_vocab(tw_conversion *c, char **path, tw_error *err) {
    char *config;
    *path = NULL;
    if (!tw_origin_family(c->origin)->image_processor) return TW_OK;
    TW_TRY(tw_folder_neighbour(c->file, "tokenizer_config.json", &config, err));
    if (config) {
        tw_status status = tw_hf_tokenizer_check_file(config, err);
        free(config);
        if (status != TW_OK) return status;
    }
    return find_beside(c, "vocab.txt", path, err);
}

static tw_status load_wordpiece(tw_conversion *c, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    char *beside = NULL;
    if (!c->options.vocab) TW_TRY(find_vocab(c, &beside, err));
    const char *path = c->options.vocab ? c->options.vocab : beside;
    tw_status status =
        path ? load_file(c, path, err) : tw_tokenizer_wordpiece(NULL, 0, &c->tokenizer, err);
    if (status == TW_OK && tw_tokenizer_vocab_size(c->tokenizer) != expected)
        status = tw_fail(err, TW_ERR_MISMATCH,
                         "%s has %d entries, the text tower has %d; give its vocab.txt with "
                         "--vocab",
                         path ? path : "the built-in vocabulary",
                         tw_tokenizer_vocab_size(c->tokenizer), expected);
    free(beside);
    return status;
}

tw_status tw_load_vocabulary(tw_conversion *c, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g && tw_gguf_is_model(g) && !c->options.vocab)
        return tw_gguf_find(g, "tokenizer.ggml.model")
                   ? tw_metadata_read_tokenizer(g, expected, &c->tokenizer, err)
                   : TW_OK;
    return c->metadata.arch.text.kind == TW_TEXT_CLIP ? load_bpe(c, err) : load_wordpiece(c, err);
}
