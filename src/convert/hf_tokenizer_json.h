/* tokenizer.json of Hugging Face's tokenizers library, which has the vocabulary when neither
 * vocab.txt nor merges.txt is there. Source: tokenizers, models/{bpe,wordpiece}/serialization.rs,
 * normalizers/bert.rs. */
#ifndef CONVERT_HF_TOKENIZER_JSON_H
#define CONVERT_HF_TOKENIZER_JSON_H

#include "base/buffer.h"

/* Appends what merges.txt (`byte_pairs`), else vocab.txt, would hold: model.merges under a header
 * line, or the tokens of model.vocab in the order of their ids, from 0 without a gap. A tokenizer
 * of another kind, or a BERT's that keeps case or accents, is TW_ERR_UNSUPPORTED naming the
 * setting; also TW_ERR_FORMAT. */
tw_status tw_hf_tokenizer_json(const void *json, size_t n_bytes, bool byte_pairs, tw_buffer *out,
                               tw_error *err);

#endif
