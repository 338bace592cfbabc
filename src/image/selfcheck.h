/* Whether the decoder and the resampler of this build on this machine give Pillow's bytes. */
#ifndef IMAGE_SELFCHECK_H
#define IMAGE_SELFCHECK_H

#include "base/status.h"

/* Preprocesses an embedded JPEG at 32 x 32 and compares with Pillow's result. Writes one line of
 * findings to `line` (NUL-terminated, cut at n_bytes). Errors: TW_ERR_MISMATCH. */
tw_status tw_image_self_check(char *line, size_t n_bytes, tw_error *err);

#endif
