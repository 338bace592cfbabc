#include "model/int8.h"

#include "base/bytes.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WEIGHT ".weight"

/* The name with another ending in place of `ending`, which it has. */
static void replace_ending(const char *name, const char *ending, const char *with,
                           char out[TW_NAME_BYTES]) {
    int stem = (int)(strlen(name) - strlen(ending));
    snprintf(out, TW_NAME_BYTES, "%.*s%s", stem, name, with);
}

static bool ends_with(const char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

void tw_int8_scale_name(const tw_schema_entry *entry, char out[TW_NAME_BYTES]) {
    replace_ending(entry->name, WEIGHT, ".scale", out);
}

bool tw_int8_smooth_name(const tw_schema_entry *entry, char out[TW_NAME_BYTES],
                         tw_smooth_group *group) {
    static const struct {
        const char *weight, *smooth;
        tw_smooth_group group;
    } names[] = {
        {".attn_q.weight", ".attn_qkv.smooth", TW_SMOOTH_QKV},
        {".attn_k.weight", ".attn_qkv.smooth", TW_SMOOTH_QKV},
        {".attn_v.weight", ".attn_qkv.smooth", TW_SMOOTH_QKV},
        {".attn_out.weight", ".attn_out.smooth", TW_SMOOTH_OUT},
        {".ffn_down.weight", ".ffn_down.smooth", TW_SMOOTH_FC1},
    };
    for (size_t i = 0; i < TW_COUNT(names); i++) {
        if (!ends_with(entry->name, names[i].weight)) continue;
        replace_ending(entry->name, names[i].weight, names[i].smooth, out);
        *group = names[i].group;
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------- binding */

static tw_status check_factors(const tw_gguf_tensor *t, int64_t n, bool zero_allowed,
                               tw_error *err) {
    char got[96];
    if (t->view.dtype != TW_F32 || !t->view.data || t->view.n_dims != 1 || t->view.shape[0] != n)
        return tw_fail(err, TW_ERR_MISMATCH, "tensor '%s' is %s %s, expected f32 [%lld]",
                       t->view.name, tw_dtype_name(t->view.dtype),
                       tw_shape_text(t->view.n_dims, t->view.shape, got, sizeof got), (long long)n);
    for (int64_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, t->data + (size_t)i * sizeof v, sizeof v);
        if (isfinite(v) && (v > 0 || (zero_allowed && v == 0))) continue;
        return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' has the value %g at %lld, expected %s",
                       t->view.name, (double)v, (long long)i,
                       zero_allowed ? "a finite number, not negative" : "a finite, positive one");
    }
    return TW_OK;
}

tw_status tw_int8_bind(const tw_gguf *g, const tw_schema_entry *entry, tw_tensor *slot,
                       tw_error *err) {
    char name[TW_NAME_BYTES];
    tw_smooth_group group;
    if (entry->shape[1] > TW_INT8_MAX_COLUMNS)
        return tw_fail(err, TW_ERR_LIMIT, "tensor '%s' is int8 with %lld columns, at most %d",
                       entry->name, (long long)entry->shape[1], TW_INT8_MAX_COLUMNS);
    tw_int8_scale_name(entry, name);
    const tw_gguf_tensor *t = tw_gguf_find_tensor(g, name);
    if (!t)
        return tw_fail(err, TW_ERR_FORMAT, "tensor '%s' is int8 and '%s' is missing", entry->name,
                       name);
    TW_TRY(check_factors(t, entry->shape[0], false, err));
    slot->row_scale = t->data;
    t = tw_int8_smooth_name(entry, name, &group) ? tw_gguf_find_tensor(g, name) : NULL;
    if (!t) return TW_OK;
    TW_TRY(check_factors(t, entry->shape[1], true, err));
    slot->column_scale = t->data;
    return TW_OK;
}

static tw_status check_blocks(tw_model *model, const tw_block_weights *blocks, int32_t n,
                              const char *tower, tw_error *err) {
    for (int32_t i = 0; i < n; i++) {
        const tw_block_weights *b = &blocks[i];
        const tw_linear_weights *all[] = {&b->q, &b->k, &b->v, &b->out, &b->fc1, &b->fc2};
        bool q = b->q.weight.dtype == TW_I8;
        for (size_t j = 0; j < TW_COUNT(all); j++)
            model->int8 |= all[j]->weight.dtype == TW_I8;
        if (q == (b->k.weight.dtype == TW_I8) && q == (b->v.weight.dtype == TW_I8)) continue;
        return tw_fail(err, TW_ERR_FORMAT,
                       "block %s.blk.%d: of q, k and v some are int8 and some are not", tower, i);
    }
    return TW_OK;
}

tw_status tw_int8_check(tw_model *model, tw_error *err) {
    TW_TRY(check_blocks(model, model->vision.blocks, model->arch.vision.n_layers, "v", err));
    return check_blocks(model, model->text.blocks, model->arch.text.n_layers, "t", err);
}
