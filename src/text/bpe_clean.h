/* The clean-up before byte pairs: UTF-8 in, the code points that are split into words out. */
#ifndef TEXT_BPE_CLEAN_H
#define TEXT_BPE_CLEAN_H

#include "base/status.h"
#include "text/codepoints.h"
#include "tuwen/text.h"

/* Appends to `out`, which must be empty; bytes that are not UTF-8 are dropped.
 * Errors: TW_ERR_LIMIT, TW_ERR_NO_MEMORY. */
tw_status tw_bpe_clean(const char *text, size_t n_bytes, tw_bpe_variant variant,
                       tw_text_clean clean, bool skip_repair, tw_codepoints *out, tw_error *err);

#endif
