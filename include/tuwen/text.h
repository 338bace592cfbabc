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

/* What the byte-pair tokenizer does to a text after repairing it: OpenAI's, and open_clip's `clean`
 * of the same names. White space is collapsed and stripped in all. */
typedef enum tw_text_clean {
    TW_CLEAN_LOWER = 0,       /* lower case */
    TW_CLEAN_WHITESPACE = 1,  /* nothing more */
    TW_CLEAN_CANONICALIZE = 2 /* `_` is a space, ASCII punctuation goes, lower case */
} tw_text_clean;

typedef struct tw_text_options {
    size_t struct_size;
    int32_t context_length; /* 0 = the tokenizer's own (52 for Chinese-CLIP, 77 for OpenAI's and
                               open_clip's byte pairs); 2..512 otherwise */
    tw_truncation truncation;
    bool eval_quotes; /* lower-case and make “ ” straight first, as Chinese-CLIP's evaluation and
                         zero-shot scripts do and its clip.tokenize() does not; WordPiece only */
    uint8_t unused[7];   /* not read */
    tw_text_clean clean; /* byte pairs only */
    bool skip_repair; /* byte pairs only: leave out ftfy's repairs (mojibake, widths, quotes, …) */
} tw_text_options;

#define TW_TEXT_OPTIONS_INIT                                                                       \
    { sizeof(tw_text_options), 0, TW_TRUNCATE_SILENT, false, {0}, TW_CLEAN_LOWER, false }

/* Chinese-CLIP's WordPiece from the bytes of a BERT vocab.txt (one entry a line, split at LF only;
 * id = 0-based line); `vocab` NULL = Chinese-CLIP's own, built in. Errors: TW_ERR_FORMAT (invalid
 * UTF-8, too many or too long entries), TW_ERR_MISMATCH ([PAD], [UNK], [CLS] or [SEP]
 * missing, or [PAD] not entry 0).
 * Source: Chinese-CLIP cn_clip/clip/bert_tokenizer.py. */
TW_API tw_status tw_tokenizer_wordpiece(const void *vocab, size_t n_bytes, tw_tokenizer **out,
                                        tw_error *err);

typedef enum tw_bpe_variant {
    TW_BPE_OPENAI = 0,   /* specials are written <|startoftext|> and <|endoftext|> */
    TW_BPE_OPEN_CLIP = 1 /* <start_of_text> and <end_of_text> */
} tw_bpe_variant;

/* The byte-pair tokenizer of OpenAI's CLIP and of open_clip, from the (decompressed) bytes of
 * bpe_simple_vocab_16e6.txt or of a merges.txt: a header line, then one pair a line, of which the
 * first 48894 count; `merges` NULL = those, built in. Ids: 256 bytes, 256 bytes at the end of a
 * word, the merges, start (49406) and end (49407). A text that spells a special gets its id, as in
 * the originals. A text that is too long keeps its first ids and ends with the end's (OpenAI's
 * truncate=True, open_clip always); OpenAI's own default is TW_TRUNCATE_ERROR.
 * Errors: TW_ERR_ARGUMENT, TW_ERR_FORMAT (no pair on a line, a symbol that nothing makes),
 * TW_ERR_LIMIT (merges made to collide).
 * Source: OpenAI CLIP clip/simple_tokenizer.py, open_clip tokenizer.py, ftfy 6.3.1; what differs:
 * docs/TOKENIZERS.md. */
TW_API tw_status tw_tokenizer_bpe(const void *merges, size_t n_bytes, tw_bpe_variant variant,
                                  tw_tokenizer **out, tw_error *err);
TW_API void tw_tokenizer_free(tw_tokenizer *tokenizer);

/* "wordpiece" or "bpe"; static storage. */
TW_API const char *tw_tokenizer_kind(const tw_tokenizer *tokenizer);
TW_API int32_t tw_tokenizer_vocab_size(const tw_tokenizer *tokenizer);

/* Entry `id` (borrowed from the tokenizer, NUL-terminated); NULL when out of range. */
TW_API const char *tw_tokenizer_token(const tw_tokenizer *tokenizer, int32_t id);

/* Text (n_bytes of UTF-8; invalid bytes are dropped) into ids: [CLS] … [SEP] (byte pairs: start …
 * end), then zeros.
 *   ids        out, i32 [context_length]
 *   n_ids      out, how many are not padding (2..context_length); may be NULL
 *   truncated  out, whether the text was cut; may be NULL
 * Errors: TW_ERR_ARGUMENT, TW_ERR_LIMIT (truncation asked to be an error; text over 64 MiB, with
 * byte pairs over 4 MiB; damage upon damage, which no text has by accident), TW_ERR_NO_MEMORY. */
TW_API tw_status tw_tokenize(const tw_tokenizer *tokenizer, const char *text, size_t n_bytes,
                             const tw_text_options *options, int32_t *ids, int32_t *n_ids,
                             bool *truncated, tw_error *err);

#ifdef __cplusplus
}
#endif
#endif
