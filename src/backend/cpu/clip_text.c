/* OpenAI's causal text transformer. Source: OpenAI CLIP clip/model.py CLIP.encode_text; open_clip
 * transformer.py TextTransformer. Each row ends with its end of text, whose feature is wanted; a
 * token sees only those before it, so that padding, and what else the original computes after the
 * end, has no counterpart here. */
#include "backend/cpu/cpu.h"

tw_status tw_clip_text_encode(tw_backend_state *s, const tw_token_rows *rows, float *features,
                              tw_error *err) {
    const tw_text_config *c = &s->model->arch.text;
    const tw_clip_text *text = &s->weights->clip_text;
    size_t w = (size_t)c->width, n = rows->n, n_tokens = rows->offset[n];
    tw_sequences seq = {rows->offset, n, n_tokens, tw_longest_row(rows), true};
    tw_transformer t = {
        .stage = "transformer.resblocks",
        .blocks = text->blocks,
        .n_layers = c->n_layers,
        .width = w,
        .mlp_width = (size_t)c->mlp_width,
        .n_heads = (size_t)c->n_heads,
        .act = c->activation == TW_QUICK_GELU ? TW_ACT_QUICK : TW_ACT_GELU,
        .eps = c->norm_eps,
        .causal = true,
    };
    TW_TRY(tw_scratch_reset(s,
                            tw_scratch_room(n_tokens * w) + tw_scratch_room(n * w) +
                                tw_transformer_scratch(s, &t, &seq),
                            err));
    float *x = tw_scratch_take(s, n_tokens * w), *ends = tw_scratch_take(s, n * w);
    tw_embed_tokens(s, rows, text->position, NULL, x);
    tw_run_transformer(s, &t, &seq, x, ends);
    tw_run_layer_norm(s, ends, w, &text->final, c->norm_eps, n, w, ends, w);
    tw_product projection = {.a = ends,
                             .lda = w,
                             .m = n,
                             .w = &text->projection,
                             .c = features,
                             .ldc = (size_t)s->model->arch.embed_dim};
    tw_run_product(s, &projection);
    return TW_OK;
}
