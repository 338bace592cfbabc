#include "format/gguf/container.h"

#include "base/size.h"
#include "format/gguf/gguf.h"
#include "format/gguf/types.h"

#include <string.h>

/* llama.cpp keeps the image halves of language models under the same architecture. */
static tw_status check_kind(const tw_gguf *g, tw_error *err) {
    static const char *const projector[] = {"clip.has_llava_projector", "clip.projector_type",
                                            "clip.vision.projector_type", "clip.has_audio_encoder"};
    tw_gguf_string s;
    if (!tw_gguf_find(g, "general.architecture"))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "gguf: key 'general.architecture' is missing");
    TW_TRY(tw_gguf_get_string(g, "general.architecture", &s, err));
    if (!tw_gguf_string_is(s, "clip"))
        return tw_fail(err, TW_ERR_UNSUPPORTED, "gguf: architecture '%.*s', expected 'clip'",
                       (int)TW_MIN(s.n_bytes, 64), s.data);
    for (size_t i = 0; i < TW_COUNT(projector); i++)
        if (tw_gguf_find(g, projector[i]))
            return tw_fail(err, TW_ERR_UNSUPPORTED,
                           "gguf: key '%s': a projector for a language model (mmproj), not a CLIP "
                           "model",
                           projector[i]);
    return TW_OK;
}

static tw_status add(tw_tensor_list *out, const tw_gguf_tensor *t, tw_error *err) {
    tw_tensor view = t->view;
    if (!view.data) {
        const tw_ggml_type *type = tw_ggml_type_find(t->ggml_type);
        if (!type->unpack)
            return tw_fail(err, TW_ERR_UNSUPPORTED,
                           "gguf: tensor '%s' is quantised as %s, which is not read; give the "
                           "unquantised file",
                           view.name, type->name);
        view.dtype = TW_F32;
        view.data = t->data;
        view.unpack = type->unpack;
    }
    return tw_tensor_list_add(out, view.name, strlen(view.name), &view, err);
}

tw_status tw_gguf_read(const uint8_t *data, size_t n_bytes, tw_tensor_list *out, tw_error *err) {
    TW_TRY(tw_gguf_parse(data, n_bytes, &out->gguf, err));
    TW_TRY(check_kind(out->gguf, err));
    for (size_t i = 0; i < tw_gguf_n_tensors(out->gguf); i++)
        TW_TRY(add(out, tw_gguf_tensor_at(out->gguf, i), err));
    return TW_OK;
}
