/* OpenAI's causal text transformer. Source: OpenAI CLIP clip/model.py CLIP.encode_text; open_clip
 * transformer.py TextTransformer. Each row ends with its end of text, whose feature is wanted; a
 * token sees only those before it, so that padding, and what else the original computes after the
 * end, has no counterpart here. */
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

/* x[i] = token[id] + position[i] */
static void embed_task(void *arg, int index) {
    const embed_job *job = arg;
    const tw_backend_state *s = job->s;
    size_t w = (size_t)s->model->arch.text.width, n = job->rows->offset[job->rows->n];
    size_t end = TW_MIN(n, ((size_t)index + 1) * EMBED_TOKENS);
    for (size_t i = (size_t)index * EMBED_TOKENS; i < end; i++) {
        float *row = job->x + i * w;
        tw_tensor_to_f32_range(&s->model->text.token, (size_t)job->rows->ids[i] * w, w, row);
        s->kernels->add_f32(row, s->weights->clip_text.position + job->position[i] * w, w);
    }
}

static void embed(tw_backend_state *s, const tw_token_rows *rows, size_t *position, float *x) {
    size_t n_tokens = rows->offset[rows->n];
    for (size_t i = 0; i < rows->n; i++)
        for (size_t j = rows->offset[i]; j < rows->offset[i + 1]; j++)
            position[j] = j - rows->offset[i];
    embed_job job = {s, rows, position, x};
    tw_pool_run(s->pool, embed_task, &job, (int)((n_tokens + EMBED_TOKENS - 1) / EMBED_TOKENS));
}

tw_status tw_clip_text_encode(tw_backend_state *s, const tw_token_rows *rows, float *features,
                              tw_error *err) {
    const tw_text_config *c = &s->model->arch.text;
    const tw_clip_text *text = &s->weights->clip_text;
    size_t w = (size_t)c->width, n = rows->n, n_tokens = rows->offset[n], longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = TW_MAX(longest, rows->offset[i + 1] - rows->offset[i]);
    tw_sequences seq = {rows->offset, n, n_tokens, longest, true};
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
    size_t position_floats = tw_scratch_room(n_tokens * (sizeof(size_t) / sizeof(float)));
    TW_TRY(tw_scratch_reset(s,
                            position_floats + tw_scratch_room(n_tokens * w) +
                                tw_scratch_room(n * w) + tw_transformer_scratch(s, &t, &seq),
                            err));
    size_t *position = (size_t *)(void *)tw_scratch_take(s, position_floats);
    float *x = tw_scratch_take(s, n_tokens * w), *ends = tw_scratch_take(s, n * w);
    embed(s, rows, position, x);
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
