#include "convert/json_fields.h"

tw_status tw_json_get_channels(const tw_json *object, const char *key, float out[3],
                               tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    if (!v || v->type == TW_JSON_NULL) return TW_OK;
    const tw_json *item = v->type == TW_JSON_ARRAY ? v->first : v;
    bool ok = v->type == TW_JSON_NUMBER || (v->type == TW_JSON_ARRAY && v->n_items == 3);
    for (int i = 0; ok && i < 3; i++) {
        ok = item->type == TW_JSON_NUMBER && item->number >= -1e3 && item->number <= 1e3;
        out[i] = (float)item->number;
        if (v->type == TW_JSON_ARRAY) item = item->next;
    }
    return ok ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "key '%s': expected three numbers", key);
}

tw_status tw_json_get_side(const tw_json *object, const char *key, int64_t max, int64_t fallback,
                           int64_t *out, tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    if (!v || v->type != TW_JSON_ARRAY)
        return tw_json_get_int(object, key, 1, max, fallback, out, err);
    bool ok = v->n_items == 2;
    for (const tw_json *item = v->first; ok && item; item = item->next)
        ok = item->is_integer && item->integer >= 1 && item->integer <= max;
    if (!ok)
        return tw_fail(err, TW_ERR_FORMAT,
                       "key '%s': expected an integer in [1, %lld] or two, height and width", key,
                       (long long)max);
    *out = v->first->integer;
    if (v->first->next->integer == *out) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED, "%s is %lld x %lld, only squares are supported", key,
                   (long long)*out, (long long)v->first->next->integer);
}
