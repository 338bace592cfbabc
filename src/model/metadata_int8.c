/* What a model file records of its int8 weights: written and read. */
#include "base/size.h"
#include "model/metadata.h"

#include <math.h>
#include <string.h>

typedef struct pair {
    const char *key;
    size_t offset;
} pair;

#define TOP1 "tuwen.int8.top1"
#define AT(field) offsetof(tw_int8_quality, field)
static const pair pairs[] = {
    {"tuwen.int8.required", AT(required)},
    {"tuwen.int8.image_cosine", AT(image_cosine)},
    {"tuwen.int8.text_cosine", AT(text_cosine)},
    {"tuwen.int8.text_to_image_r1", AT(recall_t2i)},
    {"tuwen.int8.image_to_text_r1", AT(recall_i2t)},
    {TOP1, AT(top1)},
};
#undef AT

static bool is_pair(const float *v) {
    return isfinite(v[0]) && isfinite(v[1]);
}

void tw_metadata_put_quality(tw_gguf_writer *w, const tw_int8_quality *q) {
    tw_gguf_put_string(w, "tuwen.int8.calibration", q->calibration ? q->calibration : "");
    tw_gguf_put_u32(w, "tuwen.int8.images", (uint32_t)q->n_images);
    tw_gguf_put_u32(w, "tuwen.int8.texts", (uint32_t)q->n_texts);
    for (size_t i = 0; i < TW_COUNT(pairs); i++) {
        const float *v = (const float *)(const void *)((const char *)q + pairs[i].offset);
        bool measured = is_pair(v) && (q->n_labels > 0 || strcmp(pairs[i].key, TOP1) != 0);
        if (measured) tw_gguf_put_f32_array(w, pairs[i].key, v, 2);
    }
    if (q->n_labels > 0) tw_gguf_put_u32(w, "tuwen.int8.labels", (uint32_t)q->n_labels);
    tw_gguf_put_string(w, "tuwen.int8.kept", q->kept ? q->kept : "");
    tw_gguf_put_bool(w, "tuwen.int8.forced", q->forced);
}

static tw_status get_pair(const tw_gguf *g, const pair *p, tw_int8_quality *q, tw_error *err) {
    float *v = (float *)(void *)((char *)q + p->offset);
    v[0] = v[1] = NAN;
    if (!tw_gguf_find(g, p->key)) return TW_OK;
    TW_TRY(tw_gguf_get_f32_array(g, p->key, 2, v, err));
    return is_pair(v) ? TW_OK : tw_fail(err, TW_ERR_FORMAT, "key '%s' is not finite", p->key);
}

static tw_status read_figures(const tw_gguf *g, tw_int8_quality *q, tw_error *err) {
    int64_t n_images, n_texts, n_labels = 0;
    TW_TRY(tw_gguf_get_int(g, "tuwen.int8.images", 0, INT32_MAX, &n_images, err));
    TW_TRY(tw_gguf_get_int(g, "tuwen.int8.texts", 0, INT32_MAX, &n_texts, err));
    q->n_images = (int32_t)n_images;
    q->n_texts = (int32_t)n_texts;
    if (tw_gguf_find(g, "tuwen.int8.labels"))
        TW_TRY(tw_gguf_get_int(g, "tuwen.int8.labels", 1, INT32_MAX, &n_labels, err));
    q->n_labels = (int32_t)n_labels;
    for (size_t i = 0; i < TW_COUNT(pairs); i++)
        TW_TRY(get_pair(g, &pairs[i], q, err));
    return tw_gguf_get_bool(g, "tuwen.int8.forced", &q->forced, err);
}

tw_status tw_metadata_read_quality(const tw_gguf *g, tw_int8_quality *out, char **storage,
                                   tw_error *err) {
    tw_buffer b = {0};
    size_t calibration, kept;
    tw_status status;
    *out = (tw_int8_quality){0};
    *storage = NULL;
    if (!tw_gguf_find(g, "tuwen.int8.calibration")) return TW_OK;
    TW_CHECK(tw_metadata_optional(g, "tuwen.int8.calibration", &b, &calibration, err));
    TW_CHECK(tw_metadata_optional(g, "tuwen.int8.kept", &b, &kept, err));
    if (b.failed) {
        status = tw_fail_no_memory(err, b.n_bytes);
        goto done;
    }
    TW_CHECK(read_figures(g, out, err));
    out->struct_size = sizeof *out;
    out->calibration = b.data + calibration;
    out->kept = b.data + kept;
    *storage = b.data;
    b = (tw_buffer){0};
done:
    tw_buffer_free(&b);
    return status;
}
