/* The BERT text tower. Source: Chinese-CLIP cn_clip/clip/modeling_bert.py, model.py encode_text.
 * Only real tokens are here: padding gets probability 0 in the original and never reaches [CLS]. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"
#include "base/size.h"

/* Tokens a task embeds. */
enum { EMBED_TOKENS = 64 };

typedef struct embed_job {
    const tw_backend_state *s;
    const tw_token_rows *rows;
    const size_t *position; /* of each token in its row */
    float *x;
} embed_job;

/* x[i] = (word[id] + position[i]) + type[0], in the original's order of sums. */
static void embed_task(void *arg, int index) {
    const embed_job *job = arg;
    const tw_backend_state *s = job->s;
    const tw_bert *bert = &s->weights->bert;
    size_t w = (size_t)s->model->arch.text.width, n = job->rows->offset[job->rows->n];
    size_t end = TW_MIN(n, ((size_t)index + 1) * EMBED_TOKENS);
    for (size_t i = (size_t)index * EMBED_TOKENS; i < end; i++) {
        float *row = job->x + i * w;
        const float *position = bert->position + job->position[i] * w;
        tw_tensor_to_f32_range(&s->model->text.token, (size_t)job->rows->ids[i] * w, w, row);
        for (size_t c = 0; c < w; c++)
            row[c] = (row[c] + position[c]) + bert->type[c];
    }
}

tw_status tw_bert_encode(tw_backend_state *s, const tw_token_rows *rows, float *features,
                         tw_error *err) {
    const tw_text_config *c = &s->model->arch.text;
    const tw_bert *bert = &s->weights->bert;
    size_t w = (size_t)c->width, n = rows->n, n_tokens = rows->offset[n], longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = TW_MAX(longest, rows->offset[i + 1] - rows->offset[i]);
    tw_sequences seq = {rows->offset, n, n_tokens, longest, false};
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
    size_t position_floats = tw_scratch_room(n_tokens * (sizeof(size_t) / sizeof(float)));
    TW_TRY(tw_scratch_reset(s,
                            position_floats + tw_scratch_room(n_tokens * w) +
                                tw_scratch_room(n * w) + tw_transformer_scratch(s, &t, &seq),
                            err));
    size_t *position = (size_t *)(void *)tw_scratch_take(s, position_floats);
    float *x = tw_scratch_take(s, n_tokens * w), *first = tw_scratch_take(s, n * w);
    for (size_t i = 0; i < n; i++)
        for (size_t j = rows->offset[i]; j < rows->offset[i + 1]; j++)
            position[j] = j - rows->offset[i];
    embed_job job = {s, rows, position, x};
    tw_pool_run(s->pool, embed_task, &job, (int)((n_tokens + EMBED_TOKENS - 1) / EMBED_TOKENS));
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
