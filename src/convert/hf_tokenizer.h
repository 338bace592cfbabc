/* tokenizer_config.json of Hugging Face's BertTokenizer, vocab.json of its CLIPTokenizer. Source:
 * transformers tokenization_bert.py (defaults), tokenization_clip.py. */
#ifndef CONVERT_HF_TOKENIZER_H
#define CONVERT_HF_TOKENIZER_H

#include "base/status.h"
#include "tuwen/text.h"

/* Whether it asks for what the WordPiece tokenizer does: lower case, accents taken off, Chinese
 * characters set apart. Another setting is TW_ERR_UNSUPPORTED naming it; also TW_ERR_FORMAT. */
tw_status tw_hf_tokenizer_check(const void *json, size_t n_bytes, tw_error *err);

/* The same on a file; messages begin with the path. */
tw_status tw_hf_tokenizer_check_file(const char *path, tw_error *err);

/* Whether {token: id} of vocab.json, or of tokenizer.json's model.vocab, gives every token but the two specials the id that the byte
 * pairs give it; else TW_ERR_MISMATCH naming one. */
tw_status tw_hf_vocabulary_agrees(const void *json, size_t n_bytes, const tw_tokenizer *tokenizer,
                                  tw_error *err);
tw_status tw_hf_vocabulary_agrees_file(const char *path, const tw_tokenizer *tokenizer,
                                       tw_error *err);

#endif
