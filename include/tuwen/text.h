/* tuwen/text.h – words into token ids. */
#ifndef TUWEN_TEXT_H
#define TUWEN_TEXT_H

#include "tuwen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable once made; any number of threads may use one at the same time. */
typedef struct tw_tokenizer tw_tokenizer;

typedef enum tw_truncation {
    TW_TRUNCATE_SILENT = 0, /* cut, as Chinese-CLIP does; `truncated` still tells */
    TW_TRUNCATE_ERROR = 1   /* TW_ERR_LIMIT when the text does not fit */
} tw_truncation;

typedef struct tw_text_options {
    size_t struct_size;
    int32_t context_length; /* 0 = the tokenizer's own (52 for Chinese-CLIP); 2..512 otherwise */
    tw_truncation truncation;
    bool eval_quotes; /* lower-case and make “ ” straight first, as Chinese-CLIP's evaluation and
                         zero-shot scripts do and its clip.tokenize() does not */
} tw_text_options;

#define TW_TEXT_OPTIONS_INIT {sizeof(tw_text_options), 0, TW_TRUNCATE_SILENT, false}

/* Chinese-CLIP's WordPiece from the bytes of a BERT vocab.txt (one entry a line, split at LF only;
 * id = 0-based line); `vocab` NULL = Chinese-CLIP's own, built in. Errors: TW_ERR_FORMAT (invalid
 * UTF-8, too many or too long entries), TW_ERR_MISMATCH ([PAD], [UNK], [CLS] or [SEP]
 * missing, or [PAD] not entry 0).
 * Source: Chinese-CLIP cn_clip/clip/bert_tokenizer.py. */
TW_API tw_status tw_tokenizer_wordpiece(const void *vocab, size_t n_bytes, tw_tokenizer **out,
                                        tw_error *err);
TW_API void tw_tokenizer_free(tw_tokenizer *tokenizer);

/* "wordpiece"; static storage. */
TW_API const char *tw_tokenizer_kind(const tw_tokenizer *tokenizer);
TW_API int32_t tw_tokenizer_vocab_size(const tw_tokenizer *tokenizer);

/* Entry `id` (borrowed from the tokenizer, NUL-terminated); NULL when out of range. */
TW_API const char *tw_tokenizer_token(const tw_tokenizer *tokenizer, int32_t id);

/* Text (n_bytes of UTF-8; invalid bytes are dropped) into ids: [CLS] … [SEP], then zeros.
 *   ids        out, i32 [context_length]
 *   n_ids      out, how many are not padding (2..context_length); may be NULL
 *   truncated  out, whether the text was cut; may be NULL
 * Errors: TW_ERR_ARGUMENT, TW_ERR_LIMIT (truncation asked to be an error; text over 64 MiB). */
TW_API tw_status tw_tokenize(const tw_tokenizer *tokenizer, const char *text, size_t n_bytes,
                             const tw_text_options *options, int32_t *ids, int32_t *n_ids,
                             bool *truncated, tw_error *err);

#ifdef __cplusplus
}
#endif
#endif
