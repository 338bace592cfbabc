/* What a GGUF file says about its model beside the tensors: a checkpoint of clip.cpp's, or a model
 * file of tuwen's that is converted again. */
#ifndef CONVERT_GGUF_CONFIG_H
#define CONVERT_GGUF_CONFIG_H

#include "convert/clip_config.h"
#include "format/gguf/gguf.h"
#include "text/bpe.h"

/* Whether tuwen wrote the file. */
bool tw_gguf_is_model(const tw_gguf *g);

/* The kind of a tower that is not in the file stays NONE. The recipe of a clip.cpp file is that of
 * the Hugging Face model it was made from; only mean and standard deviation are in the file.
 * Errors: TW_ERR_FORMAT naming the key, TW_ERR_MISMATCH, those of tw_metadata_read(). */
tw_status tw_gguf_config_read(const tw_gguf *g, tw_clip_config *out, tw_error *err);

/* How the list of tokens spells its two specials. */
tw_bpe_variant tw_gguf_bpe_variant(const tw_gguf *g);

/* Whether the list of tokens is that of `tokenizer`. */
bool tw_gguf_tokens_agree(const tw_gguf *g, const tw_tokenizer *tokenizer);

#endif
