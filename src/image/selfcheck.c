#include "image/selfcheck.h"

#include <stdio.h>

#include "image/selfcheck_picture.h"
#include "tuwen/image.h"

static uint64_t fnv1a(const uint8_t *p, size_t n) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001B3u;
    return h;
}

tw_status tw_image_self_check(char *line, size_t n_bytes, tw_error *err) {
    snprintf(line, n_bytes, "FAILED embedded JPEG");
    uint8_t out[32 * 32 * 3];
    tw_recipe recipe;
    TW_TRY(tw_recipe_by_name("chinese-clip", 32, &recipe, err));
    TW_TRY(tw_preprocess_u8(&recipe, self_check_jpeg, sizeof self_check_jpeg, NULL, out, err));
    uint64_t hash = fnv1a(out, sizeof out);
    if (hash != self_check_hash)
        return tw_fail(
            err, TW_ERR_MISMATCH,
            "self-check: embedded JPEG gives pixels of hash %016llx, expected %016llx as "
            "Pillow",
            (unsigned long long)hash, (unsigned long long)self_check_hash);
    snprintf(line, n_bytes, "ok embedded JPEG at 32 x 32: hash %016llx, as Pillow",
             (unsigned long long)hash);
    return TW_OK;
}
