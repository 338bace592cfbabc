/* A ModifiedResNet's attention pool. Source: Chinese-CLIP cn_clip/clip/model.py AttentionPool2d.
 *
 * Only the mean token asks, so keys and values of all the others are never made. Of head h, with
 * its rows of the matrices and tokens t_i,
 *   q . (K t_i + b_k) = (K^T q) . t_i + q . b_k      the last term is the same for all i, and the
 *                                                     softmax does not see it
 *   sum p_i (V t_i + b_v) = V (sum p_i t_i) + b_v    the p_i add up to 1
 * which leaves two products of one row a head and an attention whose keys and values are the tokens
 * themselves: 4 % of the operations. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"
#include "base/size.h"

#include <math.h>
#include <string.h>

typedef struct pooling {
    tw_backend_state *s;
    size_t n, hw, c, n_heads; /* maps, their pixels and channels */
    const float *maps;
    float *tokens; /* [n, hw + 1, c] */
    float *q;      /* [n, c] */
    float *asked;  /* [n, n_heads, c]: K^T q */
    float *mixed;  /* [n, n_heads, c]: sum p_i t_i */
    float *values; /* [n, c] */
    float *attention, *quantized;
    size_t slots, attention_room, quantized_room; /* rooms: of a slot, of a head */
} pooling;

/* Sizes, and how much of what is carved; no more. */
static pooling plan(const tw_backend_state *s, size_t n) {
    const tw_vision_config *v = &s->model->arch.vision;
    size_t side = (size_t)v->image_size / 32;
    pooling p = {.n = n, .hw = side * side, .c = (size_t)v->width * 32};
    p.n_heads = (size_t)v->n_heads;
    p.slots = TW_MIN(n, (size_t)tw_pool_threads(s->pool));
    p.attention_room = tw_scratch_room(s->kernels->attention_scratch(p.n_heads, p.hw + 1, p.c));
    p.quantized_room = tw_quantized_room(s, n, p.c);
    return p;
}

size_t tw_attention_pool_scratch(const tw_backend_state *s, size_t n) {
    pooling p = plan(s, n);
    return tw_scratch_room(n * (p.hw + 1) * p.c) + 2 * tw_scratch_room(n * p.c) +
           2 * tw_scratch_room(n * p.n_heads * p.c) + p.slots * p.attention_room +
           p.n_heads * p.quantized_room;
}

static void carve(pooling *p) {
    p->tokens = tw_scratch_take(p->s, p->n * (p->hw + 1) * p->c);
    p->q = tw_scratch_take(p->s, p->n * p->c);
    p->asked = tw_scratch_take(p->s, p->n * p->n_heads * p->c);
    p->mixed = tw_scratch_take(p->s, p->n * p->n_heads * p->c);
    p->values = tw_scratch_take(p->s, p->n * p->c);
    p->attention = tw_scratch_take(p->s, p->slots * p->attention_room);
    p->quantized = tw_scratch_take(p->s, p->n_heads * p->quantized_room);
}

/* tokens[0] = mean + position[0]; tokens[i] = pixel i-1 + position[i]. */
static void make_tokens(const pooling *p, size_t i) {
    const float *x = p->maps + i * p->hw * p->c, *position = p->s->weights->resnet.position;
    size_t c = p->c;
    float *t = p->tokens + i * (p->hw + 1) * c;
    memset(t, 0, c * sizeof *t);
    for (size_t pixel = 0; pixel < p->hw; pixel++)
        for (size_t k = 0; k < c; k++) {
            t[k] += x[pixel * c + k];
            t[(pixel + 1) * c + k] = x[pixel * c + k] + position[(pixel + 1) * c + k];
        }
    for (size_t k = 0; k < c; k++)
        t[k] = t[k] / (float)p->hw + position[k];
}

static void tokens_task(void *arg, int index) {
    make_tokens(arg, (size_t)index);
}

/* The product of one head's rows of all pictures, by the thread that asks. */
static void head_product(const pooling *p, size_t head, const tw_matrix *w, const float *a,
                         size_t lda, float *c, size_t ldc) {
    tw_product product = {.a = a,
                          .lda = lda,
                          .m = p->n,
                          .w = w,
                          .c = c,
                          .ldc = ldc,
                          .quantized = p->quantized + head * p->quantized_room};
    tw_run_product(p->s, &product);
}

static void ask_task(void *arg, int index) {
    const pooling *p = arg;
    size_t head = (size_t)index;
    const tw_matrix *k = &p->s->weights->resnet.k[head];
    head_product(p, head, k, p->q + head * k->k, p->c, p->asked + head * p->c, p->n_heads * p->c);
}

/* The heads are the queries of one attention over a picture's tokens. */
static void mix_task(void *arg, int index) {
    const pooling *p = arg;
    size_t c = p->c, rows = p->n_heads * c, tokens = p->hw + 1;
    for (size_t i = (size_t)index; i < p->n; i += p->slots) {
        const float *t = p->tokens + i * tokens * c;
        p->s->kernels->attention_f32(p->asked + i * rows, c, t, c, t, c, p->n_heads, tokens, c,
                                     1.0f / sqrtf((float)(c / p->n_heads)), p->mixed + i * rows, c,
                                     p->attention + (size_t)index * p->attention_room);
    }
}

static void answer_task(void *arg, int index) {
    const pooling *p = arg;
    size_t head = (size_t)index;
    const tw_matrix *v = &p->s->weights->resnet.v[head];
    head_product(p, head, v, p->mixed + head * p->c, p->n_heads * p->c, p->values + head * v->n,
                 p->c);
}

void tw_attention_pool(tw_backend_state *s, const float *maps, size_t n, float *features) {
    const tw_resnet *net = &s->weights->resnet;
    pooling p = plan(s, n);
    p.s = s;
    p.maps = maps;
    carve(&p);
    tw_product q = {.a = p.tokens,
                    .lda = (p.hw + 1) * p.c,
                    .m = n,
                    .w = &net->q,
                    .c = p.q,
                    .ldc = p.c,
                    .quantized = p.quantized};
    tw_product out = {.a = p.values, .lda = p.c, .m = n, .w = &net->out, .c = features};
    out.ldc = (size_t)s->model->arch.embed_dim;
    tw_pool_run(s->pool, tokens_task, &p, (int)n);
    tw_run_product(s, &q);
    tw_pool_run(s->pool, ask_task, &p, (int)p.n_heads);
    tw_pool_run(s->pool, mix_task, &p, (int)p.slots);
    tw_pool_run(s->pool, answer_task, &p, (int)p.n_heads);
    tw_run_product(s, &out);
}
