/* The tokenizer that goes into a model file. */
#include "base/file.h"
#include "convert/conversion.h"
#include "convert/gguf_config.h"

#include <stdlib.h>

static tw_bpe_variant bpe_variant(const tw_conversion *c) {
    int64_t resolution; /* of OpenAI's own files */
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g) return tw_gguf_bpe_variant(g);
    bool openai = tw_checkpoint_int(c->checkpoint, "input_resolution", &resolution);
    return openai ? TW_BPE_OPENAI : tw_origin_family(c->origin)->bpe_variant;
}

/* From the file of --vocab. */
static tw_status load_vocab(tw_conversion *c, tw_error *err) {
    uint8_t *data;
    size_t n_bytes;
    TW_TRY(tw_read_file(c->options.vocab, (size_t)64 << 20, &data, &n_bytes, err));
    tw_status status = c->metadata.arch.text.kind == TW_TEXT_CLIP
                           ? tw_tokenizer_bpe(data, n_bytes, bpe_variant(c), &c->tokenizer, err)
                           : tw_tokenizer_wordpiece(data, n_bytes, &c->tokenizer, err);
    free(data);
    if (status != TW_OK) tw_error_context(err, "%s", c->options.vocab);
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

/* The byte pairs of OpenAI's CLIP belong to vocabularies of their size; for another one --vocab can
 * give the merges, and without them a model still takes token ids. */
static tw_status load_bpe(tw_conversion *c, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    if (c->options.vocab)
        TW_TRY(load_vocab(c, err));
    else
        TW_TRY(tw_tokenizer_bpe(NULL, 0, bpe_variant(c), &c->tokenizer, err));
    int32_t n = tw_tokenizer_vocab_size(c->tokenizer);
    if (n == expected) return check_tokens(c, err);
    if (c->options.vocab)
        return tw_fail(err, TW_ERR_MISMATCH, "%s makes %d tokens, the text tower has %d",
                       c->options.vocab, n, expected);
    tw_tokenizer_free(c->tokenizer);
    c->tokenizer = NULL;
    tw_log(c->options.hooks, TW_LOG_WARNING,
           "a vocabulary of %d, the built-in byte pairs make %d: the model takes token ids alone, "
           "the largest of which ends a text; --vocab with its merges.txt gives it texts",
           expected, n);
    return TW_OK;
}

tw_status tw_load_vocabulary(tw_conversion *c, tw_error *err) {
    int32_t expected = c->metadata.arch.text.vocab_size;
    const tw_gguf *g = tw_checkpoint_gguf(c->checkpoint);
    if (g && tw_gguf_is_model(g) && !c->options.vocab)
        return tw_gguf_find(g, "tokenizer.ggml.model")
                   ? tw_metadata_read_tokenizer(g, expected, &c->tokenizer, err)
                   : TW_OK;
    if (c->metadata.arch.text.kind == TW_TEXT_CLIP) return load_bpe(c, err);
    if (c->options.vocab)
        TW_TRY(load_vocab(c, err));
    else
        TW_TRY(tw_tokenizer_wordpiece(NULL, 0, &c->tokenizer, err));
    if (tw_tokenizer_vocab_size(c->tokenizer) == expected) return TW_OK;
    return tw_fail(err, TW_ERR_MISMATCH,
                   "%s has %d entries, the text tower has %d; give its vocab.txt with --vocab",
                   c->options.vocab ? c->options.vocab : "the built-in vocabulary",
                   tw_tokenizer_vocab_size(c->tokenizer), expected);
}
