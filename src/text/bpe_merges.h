/* The merges built into the library: those that OpenAI's CLIP uses, 48894 lines after a header. */
#ifndef TEXT_BPE_MERGES_H
#define TEXT_BPE_MERGES_H

#include <stddef.h>

/* The bytes of the file, for tw_tokenizer_bpe(). Static storage. */
const void *tw_builtin_bpe_merges(size_t *n_bytes);

#endif
