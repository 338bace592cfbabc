/* The metadata of a model file: every key, written and read in one place. docs/FORMAT.md is the
 * description for people. */
#ifndef MODEL_METADATA_H
#define MODEL_METADATA_H

#include "base/buffer.h"
#include "format/gguf/gguf.h"
#include "tuwen/model.h"

#define TW_FILE_VERSION 2 /* the newest that is read; written where int8 asks for it, else 1 */

/* What a model file says beside its weights. Strings are borrowed. */
typedef struct tw_metadata {
    tw_arch arch;
    tw_recipe recipe;
    float logit_scale;
    tw_dtype file_type;            /* of most matrices: f32, f16, bf16 or i8 */
    const tw_tokenizer *tokenizer; /* NULL without a text tower, or without its vocabulary */
    tw_provenance provenance;
    const tw_int8_quality *quality; /* NULL: none */
} tw_metadata;

/* Errors: TW_ERR_NO_MEMORY. */
tw_status tw_metadata_put(tw_gguf_writer *w, const tw_metadata *m, tw_error *err);

/* Reads and checks everything but tokenizer and provenance. Errors: TW_ERR_FORMAT,
 * TW_ERR_UNSUPPORTED (another kind of file, or one of a newer version), TW_ERR_MISMATCH,
 * TW_ERR_LIMIT. */
tw_status tw_metadata_read(const tw_gguf *g, tw_metadata *out, tw_error *err);

/* *out is NULL for a CLIP text tower whose file has no vocabulary. */
tw_status tw_metadata_read_tokenizer(const tw_gguf *g, int32_t vocab_size, tw_tokenizer **out,
                                     tw_error *err);

/* What was done to the weights on the way into the file: the last members of tw_provenance. */
tw_status tw_metadata_read_changes(const tw_gguf *g, tw_provenance *out, tw_error *err);

/* struct_size 0: nothing is recorded. Numbers are finite, or NaN where absent. The strings are
 * NUL-terminated copies in *storage, which the caller frees. */
tw_status tw_metadata_read_quality(const tw_gguf *g, tw_int8_quality *out, char **storage,
                                   tw_error *err);
void tw_metadata_put_quality(tw_gguf_writer *w, const tw_int8_quality *q);

/* The string of an optional key into `b` with its NUL, "" when absent, and where it begins there.
 */
tw_status tw_metadata_optional(const tw_gguf *g, const char *key, tw_buffer *b, size_t *offset,
                               tw_error *err);

/* The strings are NUL-terminated copies in *storage, which the caller frees. */
tw_status tw_metadata_read_provenance(const tw_gguf *g, tw_provenance *out, char **storage,
                                      tw_error *err);

#endif
