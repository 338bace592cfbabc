/* Convolutions, linear layers, attention's in_proj_*, proj and text_projection; with a BERT the
 * whole of it, norms and embeddings included. Not: the other norms, batch norms, the class and
 * position embeddings of an image tower, CLIP's token and position tables, the logit scale.
 *
 * Source: Chinese-CLIP cn_clip/clip/model.py and OpenAI CLIP clip/model.py, convert_weights(). */
#include "convert/round_f16.h"

#include "base/size.h"

#include <string.h>

static bool starts_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool tw_is_rounded(const tw_arch *arch, const char *name) {
    static const char *const layers[] = {".attn_", ".ffn_", "v.patch_embd.", "_projection."};
    if (arch->text.kind == TW_TEXT_BERT && starts_with(name, "t.")) return true;
    for (size_t i = 0; i < TW_COUNT(layers); i++)
        if (strstr(name, layers[i])) return true;
    bool convolution = starts_with(name, "v.stem.") || starts_with(name, "v.stage.");
    return convolution && !strstr(name, ".bn.");
}
