/* Chinese-CLIP's BasicTokenizer and WordpieceTokenizer in one pass over the text. */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include "text/tokenizer.h"

/* Writes at most `capacity` ids of the text, without [CLS] and [SEP]; returns how many.
 * `overflow` tells whether there would be more: the rest of the text is then left unread. */
int32_t tw_wordpiece(const tw_tokenizer *tokenizer, const char *text, size_t n_bytes,
                     bool eval_quotes, int32_t *ids, int32_t capacity, bool *overflow);

#endif
