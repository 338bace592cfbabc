/* The tensors of a checkpoint under canonical names, whatever its family calls them. */
#ifndef MODEL_ORIGIN_H
#define MODEL_ORIGIN_H

#include "model/families.h"
#include "tensor/tensor.h"

typedef struct tw_origin tw_origin;

/* `tensors` (only names, types and shapes are looked at) must outlive the origin. When the first
 * name begins with "module." that prefix is taken off all names. Errors: TW_ERR_FORMAT (no tensor,
 * a name twice), TW_ERR_UNSUPPORTED (a family that is not read). */
tw_status tw_origin_create(const tw_tensor *const *tensors, size_t n_tensors, tw_origin **out,
                           tw_error *err);
void tw_origin_free(tw_origin *origin);

const tw_family *tw_origin_family(const tw_origin *origin);

/* The tensor that becomes `canonical`, as a view in the model file's layout; its name is the one
 * in the checkpoint. False when there is none, or one whose shape the rule cannot be applied to.
 * The tensor counts as used. */
bool tw_origin_find(tw_origin *origin, const char *canonical, tw_tensor *view);

/* What the checkpoint should have called `canonical`. */
const char *tw_origin_expected_name(const tw_origin *origin, const char *canonical, char *buf,
                                    size_t n_bytes);

/* TW_ERR_MISMATCH that says why tw_origin_find() found nothing for `canonical`. */
tw_status tw_origin_missing(const tw_origin *origin, const char *canonical, tw_error *err);

/* Looks at all tensors that were never found. An unknown one is named in a warning; unknown weights
 * inside a tower that is wanted are TW_ERR_MISMATCH. */
tw_status tw_origin_check_unused(const tw_origin *origin, bool vision, bool text,
                                 const tw_hooks *hooks, tw_error *err);

#endif
