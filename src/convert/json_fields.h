/* Settings that several kinds of configuration spell alike. */
#ifndef CONVERT_JSON_FIELDS_H
#define CONVERT_JSON_FIELDS_H

#include "base/json.h"

/* A channel each, or one number for all; nothing when the key is missing. */
tw_status tw_json_get_channels(const tw_json *object, const char *key, float out[3], tw_error *err);

/* The side of a square: a number, or [height, width] that are equal, from 1 to `max`; `fallback`
 * when the key is missing. Other rectangles are TW_ERR_UNSUPPORTED. */
tw_status tw_json_get_side(const tw_json *object, const char *key, int64_t max, int64_t fallback,
                           int64_t *out, tw_error *err);

#endif
