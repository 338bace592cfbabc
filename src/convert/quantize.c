/* b = round(w / s), s = the largest of a row over 127: what the cpu backend does with float weights
 * when it is asked for int8, to the bit. */
#include "convert/quantize.h"

#include "base/bytes.h"
#include "base/size.h"
#include "model/int8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- what is int8 */

/* "v.blk.12", "t.blk.0" or "t.token_embd": what keep_f16 may name. */
static bool is_part(const char *word, size_t n) {
    static const char token[] = "t.token_embd", blocks[] = ".blk.";
    if (n == sizeof token - 1 && memcmp(word, token, n) == 0) return true;
    return n > 6 && n < 16 && (word[0] == 'v' || word[0] == 't') &&
           memcmp(word + 1, blocks, 5) == 0 && strspn(word + 6, "0123456789") == n - 6;
}

/* Whether the tensor `name` belongs to the part `word`. */
static bool belongs(const char *name, const char *word, size_t n) {
    return strncmp(name, word, n) == 0 && name[n] == '.';
}

static bool is_kept(const char *kept, const char *name) {
    for (const char *word = kept; word && *word;) {
        size_t n = strcspn(word, ",");
        if (belongs(name, word, n)) return true;
        word += n + (word[n] == ',');
    }
    return false;
}

static tw_status check_kept(const tw_conversion *c, tw_error *err) {
    for (const char *word = c->options.keep_f16; word && *word;) {
        size_t n = strcspn(word, ","), i = 0;
        while (i < c->schema.n_entries && !belongs(c->schema.entries[i].name, word, n))
            i++;
        if (!is_part(word, n) || i == c->schema.n_entries)
            return tw_fail(err, TW_ERR_ARGUMENT,
                           "keep_f16: '%.*s' is no block of the model, nor t.token_embd",
                           (int)TW_MIN(n, 32), word);
        word += n + (word[n] == ',');
    }
    return TW_OK;
}

static tw_status choose(tw_conversion *c, tw_error *err) {
    size_t n = 0;
    TW_TRY(check_kept(c, err));
    for (size_t i = 0; i < c->schema.n_entries; i++) {
        const tw_schema_entry *e = &c->schema.entries[i];
        if (!e->int8 || !c->items[i].view.data || e->shape[1] > TW_INT8_MAX_COLUMNS) continue;
        n++;
        if (!is_kept(c->options.keep_f16, e->name)) c->items[i].dtype = TW_I8;
    }
    if (n > 0) return TW_OK;
    return tw_fail(err, TW_ERR_UNSUPPORTED,
                   "precision int8: a ResNet image tower has no int8 products");
}

/* ---------------------------------------------------------------------------------- smoothing */

static tw_status smooth_blocks(const tw_block_weights *blocks, int32_t n,
                               const tw_norm_weights *before, tw_block_smooth *out, tw_error *err) {
    for (int32_t i = 0; i < n; i++) {
        const tw_norm_weights *attention, *mlp;
        tw_block_norms(blocks, i, before, &attention, &mlp);
        TW_TRY(tw_block_smooth_find(NULL, &blocks[i], attention, mlp, &out[i], err));
    }
    return TW_OK;
}

static tw_status smooth(tw_conversion *c, tw_error *err) {
    const tw_arch *arch = &c->metadata.arch;
    tw_vision_weights vision = {0};
    tw_text_weights text = {0};
    tw_status status;
    c->vision_smooth = calloc((size_t)arch->vision.n_layers + 1, sizeof *c->vision_smooth);
    c->text_smooth = calloc((size_t)arch->text.n_layers + 1, sizeof *c->text_smooth);
    if (!c->vision_smooth || !c->text_smooth)
        return tw_fail_no_memory(err, sizeof(tw_block_smooth));
    if (c->options.no_smoothing) return TW_OK;
    TW_CHECK(tw_weights_allocate(arch, &vision, &text, err));
    for (size_t i = 0; i < c->schema.n_entries; i++)
        *tw_schema_slot(&c->schema.entries[i], &vision, &text) = c->items[i].view;
    TW_CHECK(smooth_blocks(vision.blocks, arch->vision.n_layers, NULL, c->vision_smooth, err));
    TW_CHECK(smooth_blocks(text.blocks, arch->text.n_layers,
                           arch->text.kind == TW_TEXT_BERT ? &text.embed_norm : NULL,
                           c->text_smooth, err));
done:
    tw_weights_free(&vision, &text);
    return status;
}

tw_status tw_quantize_plan(tw_conversion *c, tw_error *err) {
    if (c->options.precision != TW_I8) return TW_OK;
    TW_TRY(choose(c, err));
    return smooth(c, err);
}

static void free_blocks(tw_block_smooth *blocks, int32_t n) {
    for (int32_t i = 0; blocks && i < n; i++)
        tw_block_smooth_free(&blocks[i]);
    free(blocks);
}

void tw_quantize_free(tw_conversion *c) {
    free_blocks(c->vision_smooth, c->metadata.arch.vision.n_layers);
    free_blocks(c->text_smooth, c->metadata.arch.text.n_layers);
}

/* The factors [columns] of an entry and their tensor's name; NULL: none. */
static const float *factors_of(const tw_conversion *c, const tw_schema_entry *e,
                               char name[TW_NAME_BYTES]) {
    tw_smooth_group group;
    if (!tw_int8_smooth_name(e, name, &group)) return NULL;
    const tw_block_smooth *blocks =
        e->group == TW_SLOT_VISION_BLOCK ? c->vision_smooth : c->text_smooth;
    return blocks[e->index].m[group];
}

/* The three that read the same A share a tensor, which stands behind the first. */
static bool stands_first(const tw_schema_entry *e) {
    return !strstr(e->name, ".attn_k.") && !strstr(e->name, ".attn_v.");
}

/* ------------------------------------------------------------------------------------ writing */

tw_status tw_quantize_declare(tw_conversion *c, size_t i, tw_error *err) {
    const tw_schema_entry *e = &c->schema.entries[i];
    char name[TW_NAME_BYTES];
    TW_TRY(tw_gguf_declare(c->writer, e->name, TW_I8, 2, e->shape, err));
    tw_int8_scale_name(e, name);
    TW_TRY(tw_gguf_declare(c->writer, name, TW_F32, 1, e->shape, err));
    if (!factors_of(c, e, name) || !stands_first(e)) return TW_OK;
    return tw_gguf_declare(c->writer, name, TW_F32, 1, e->shape + 1, err);
}

/* A row into bytes; one of zeros, or as good as, has the scale 1. */
static tw_status quantize_row(const char *name, const float *w, size_t k, int8_t *out, float *scale,
                              tw_error *err) {
    float most = 0;
    for (size_t p = 0; p < k; p++) {
        if (!isfinite(w[p]))
            return tw_fail(err, TW_ERR_FORMAT,
                           "tensor '%s' has the value %g, which int8 does not hold", name,
                           (double)w[p]);
        if (fabsf(w[p]) > most) most = fabsf(w[p]);
    }
    bool zero = !(most > 1e-30f);
    float by = zero ? 0 : 127.0f / most;
    for (size_t p = 0; p < k; p++)
        out[p] = (int8_t)rintf(w[p] * by);
    *scale = zero ? 1 : most / 127.0f;
    return TW_OK;
}

static tw_status write_floats(tw_gguf_writer *w, const float *values, size_t n, tw_error *err) {
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4];
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        tw_store_u32le(bytes, bits);
        TW_TRY(tw_gguf_write(w, bytes, sizeof bytes, err));
    }
    return TW_OK;
}

static tw_status stream_rows(tw_conversion *c, const tw_schema_entry *e, const tw_tensor *view,
                             const float *m, float *row, float *scales, int8_t *bytes,
                             tw_error *err) {
    size_t n = (size_t)e->shape[0], k = (size_t)e->shape[1];
    for (size_t i = 0; i < n; i++) {
        tw_tensor_to_f32_range(view, i * k, k, row);
        if (m) tw_smooth_divide(m, 1, k, row);
        TW_TRY(quantize_row(e->name, row, k, bytes, &scales[i], err));
        TW_TRY(tw_gguf_write(c->writer, bytes, k, err));
    }
    if (tw_tensor_is_c_order(view)) tw_drop_pages(view->data, n * k * tw_dtype_bytes(view->dtype));
    return write_floats(c->writer, scales, n, err);
}

tw_status tw_quantize_stream(tw_conversion *c, size_t i, tw_error *err) {
    const tw_schema_entry *e = &c->schema.entries[i];
    size_t n = (size_t)e->shape[0], k = (size_t)e->shape[1];
    char name[TW_NAME_BYTES];
    const float *m = factors_of(c, e, name);
    float *row = malloc(k * sizeof *row), *scales = malloc(n * sizeof *scales);
    int8_t *bytes = malloc(k);
    tw_status status;
    if (!row || !scales || !bytes) {
        status = tw_fail_no_memory(err, (n + k) * sizeof *row);
        goto done;
    }
    TW_CHECK(stream_rows(c, e, &c->items[i].view, m, row, scales, bytes, err));
    if (m && stands_first(e)) status = write_floats(c->writer, m, k, err);
done:
    free(row);
    free(scales);
    free(bytes);
    return status;
}
