/* The tokenizer behind tw_tokenizer, and a way to make one from entries kept elsewhere (a model
 * file) instead of a vocab.txt. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/bpe.h"
#include "text/vocabulary.h"
#include "tuwen/text.h"

struct tw_tokenizer {
    tw_vocabulary vocabulary;
    tw_bpe *bpe;                  /* NULL: WordPiece */
    int32_t unknown, first, last; /* [UNK] (-1 with byte pairs), [CLS], [SEP]; start and end */
};

/* The entries exactly as given, nothing stripped, so that what tw_tokenizer_token() returned makes
 * an equal tokenizer again. They are copied. Errors: as tw_tokenizer_wordpiece(). */
tw_status tw_tokenizer_wordpiece_tokens(const char *const *tokens, const size_t *n_bytes,
                                        size_t n_tokens, tw_tokenizer **out, tw_error *err);

#endif
