/* The vocabulary built into the library: Chinese-CLIP's vocab.txt, 21128 lines. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include <stddef.h>

/* The bytes of the file, for tw_tokenizer_wordpiece(). Static storage. */
const void *tw_builtin_vocab(size_t *n_bytes);

#endif
