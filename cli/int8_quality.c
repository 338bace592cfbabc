#include "int8_quality.h"

#include "output.h"
#include "session.h"

#include <math.h>
#include <stdio.h>

static void put_cosines(tw_buffer *b, const char *what, const float v[2], int n) {
    if (!isnan(v[0]))
        cli_put_field(b, "", "cosine of %d %s: mean %.6f, least %.6f", n, what, (double)v[0],
                      (double)v[1]);
}

static void put_percent(tw_buffer *b, const char *what, const float v[2]) {
    if (!isnan(v[0]))
        cli_put_field(b, "", "%s: f32 %.2f, int8 %.2f", what, (double)v[0], (double)v[1]);
}

static void put_top1(tw_buffer *b, const tw_int8_quality *q) {
    char what[64];
    snprintf(what, sizeof what, "zero-shot top-1 of %d labels", (int)q->n_labels);
    put_percent(b, what, q->top1);
}

void cli_put_quality(tw_buffer *b, const tw_model *model) {
    tw_int8_quality q = TW_INT8_QUALITY_INIT;
    if (!cli_is_int8(model)) return;
    if (!tw_model_int8_quality(model, &q)) {
        cli_put_field(b, "int8", "against f32: not measured");
        return;
    }
    cli_put_field(b, "int8", "against f32 on %s inputs, required mean %g, least %g: %s",
                  q.calibration, (double)q.required[0], (double)q.required[1],
                  q.forced ? "NOT reached" : "reached");
    put_cosines(b, "pictures", q.image_cosine, q.n_images);
    put_cosines(b, "texts", q.text_cosine, q.n_texts);
    put_percent(b, "text-to-image R@1", q.recall_t2i);
    put_percent(b, "image-to-text R@1", q.recall_i2t);
    put_top1(b, &q);
    if (q.kept[0]) cli_put_field(b, "", "kept f16: %s", q.kept);
}

static void json_pair(tw_buffer *b, const char *key, const char *first, const char *second,
                      const float v[2]) {
    if (isnan(v[0])) {
        tw_buffer_printf(b, ", \"%s\": null", key);
        return;
    }
    tw_buffer_printf(b, ", \"%s\": {", key);
    cli_json_float(b, first, v[0]);
    cli_json_float(b, second, v[1]);
    tw_buffer_puts(b, "}");
}

void cli_json_quality(tw_buffer *b, const tw_model *model) {
    tw_int8_quality q = TW_INT8_QUALITY_INIT;
    if (!cli_is_int8(model)) return;
    if (!tw_model_int8_quality(model, &q)) {
        tw_buffer_puts(b, ", \"int8\": null");
        return;
    }
    tw_buffer_puts(b, ", \"int8\": {");
    cli_json_member(b, "calibration", q.calibration);
    cli_json_number(b, "images", q.n_images);
    cli_json_number(b, "texts", q.n_texts);
    json_pair(b, "required", "mean", "min", q.required);
    json_pair(b, "image_cosine", "mean", "min", q.image_cosine);
    json_pair(b, "text_cosine", "mean", "min", q.text_cosine);
    json_pair(b, "text_to_image_r1", "f32", "int8", q.recall_t2i);
    json_pair(b, "image_to_text_r1", "f32", "int8", q.recall_i2t);
    json_pair(b, "top1", "f32", "int8", q.top1);
    cli_json_number(b, "labels", q.n_labels);
    cli_json_member(b, "kept", q.kept);
    tw_buffer_printf(b, ", \"forced\": %s}", q.forced ? "true" : "false");
}
