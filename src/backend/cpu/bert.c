/* The BERT text tower. Source: Chinese-CLIP cn_clip/clip/modeling_bert.py, model.py encode_text.
 * Only real tokens are here: padding gets probability 0 in the original and never reaches [CLS]. */
#include "backend/cpu/cpu.h"

tw_status tw_bert_encode(tw_backend_state *s, const tw_token_rows *rows, float *features,
                         tw_error *err) {
    const tw_text_config *c = &s->model->arch.text;
    const tw_bert *bert = &s->weights->bert;
    size_t w = (size_t)c->width, n = rows->n, n_tokens = rows->offset[n];
    tw_sequences seq = {rows->offset, n, n_tokens, tw_longest_row(rows), false};
    tw_transformer t = {
        .stage = "bert.encoder.layer",
        .blocks = bert->blocks,
        .n_layers = c->n_layers,
        .width = w,
        .mlp_width = (size_t)c->mlp_width,
        .n_heads = (size_t)c->n_heads,
        .act = c->activation == TW_QUICK_GELU ? TW_ACT_QUICK : TW_ACT_GELU,
        .eps = c->norm_eps,
        .post_norm = true,
    };
    TW_TRY(tw_scratch_reset(s,
                            tw_scratch_room(n_tokens * w) + tw_scratch_room(n * w) +
                                tw_transformer_scratch(s, &t, &seq),
                            err));
    float *x = tw_scratch_take(s, n_tokens * w), *first = tw_scratch_take(s, n * w);
    tw_embed_tokens(s, rows, bert->position, bert->type, x);
    tw_run_layer_norm(s, x, w, &bert->embed_norm, c->norm_eps, n_tokens, w, x, w);
    tw_observe(s, "bert.embeddings", x, n_tokens, w, w);
    tw_run_transformer(s, &t, &seq, x, first);
    tw_product projection = {.a = first,
                             .lda = w,
                             .m = n,
                             .w = &bert->projection,
                             .c = features,
                             .ldc = (size_t)s->model->arch.embed_dim};
    tw_run_product(s, &projection);
    return TW_OK;
}
