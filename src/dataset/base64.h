/* Base64 as Python's urlsafe_b64decode takes it, which Chinese-CLIP's data sets are read with:
 * either alphabet, foreign characters passed over, the end at the padding. */
#ifndef DATASET_BASE64_H
#define DATASET_BASE64_H

#include "base/status.h"

/* Decodes into out [n / 4 * 3 + 3]. Errors: TW_ERR_FORMAT (characters left over). */
tw_status tw_base64_decode(const void *text, size_t n, uint8_t *out, size_t *n_out, tw_error *err);

#endif
