/* Matrices that a model file holds as int8: which they are, their smoothing, and their bytes. */
#ifndef CONVERT_QUANTIZE_H
#define CONVERT_QUANTIZE_H

#include "convert/conversion.h"

/* With precision int8, after all items are gathered: their types and the factors that smooth them.
 * Errors: TW_ERR_ARGUMENT (keep_f16 names no part), TW_ERR_UNSUPPORTED (nothing to quantise). */
tw_status tw_quantize_plan(tw_conversion *c, tw_error *err);
void tw_quantize_free(tw_conversion *c);

/* Declares item i, which is int8, and what stands beside it; writes both in the same order. */
tw_status tw_quantize_declare(tw_conversion *c, size_t i, tw_error *err);
/* Errors: TW_ERR_FORMAT (a weight that is not finite), those of writing. */
tw_status tw_quantize_stream(tw_conversion *c, size_t i, tw_error *err);

#endif
