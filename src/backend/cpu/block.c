/* Transformer blocks, pre-norm (ViT, CLIP's text tower) and post-norm (BERT), over sequences of any
 * lengths. */
#include "backend/cpu/cpu.h"

#include "base/pool.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------ attention */

typedef struct attention_job {
    tw_attention_kernel *attend;
    const tw_attention *a;
    size_t scratch_room; /* floats a task may use */
    size_t n_slots;
    size_t n_units; /* sequences x heads */
} attention_job;

/* Unit u = sequence u / n_heads, head u % n_heads. */
static void attention_unit(const attention_job *job, size_t u, float *scratch) {
    const tw_attention *a = job->a;
    size_t i = u / a->n_heads, column = u % a->n_heads * a->head_width;
    size_t begin = a->seq->offset[i], n_kv = a->seq->offset[i + 1] - begin;
    size_t q_row = a->one_query ? i : begin, n_q = a->one_query ? 1 : n_kv;
    /* A causal query is a call of its own with as many keys as it sees: exact without a mask. */
    size_t rows = a->causal ? 1 : n_q;
    for (size_t r = 0; r < n_q; r += rows)
        job->attend(a->q + (q_row + r) * a->ldq + column, a->ldq, a->k + begin * a->ldk + column,
                    a->ldk, a->v + begin * a->ldv + column, a->ldv, rows, a->causal ? r + 1 : n_kv,
                    a->head_width, 1.0f / sqrtf((float)a->head_width),
                    a->out + (q_row + r) * a->ldo + column, a->ldo, scratch);
}

/* A task owns one slot of scratch and takes every n_slots-th unit. */
static void attention_task(void *arg, int index) {
    const attention_job *job = arg;
    float *scratch = job->a->scratch + (size_t)index * job->scratch_room;
    for (size_t u = (size_t)index; u < job->n_units; u += job->n_slots)
        attention_unit(job, u, scratch);
}

static size_t attention_slots(const tw_backend_state *s, size_t n_units) {
    size_t slots = (size_t)tw_pool_threads(s->pool);
    slots = slots == 1 ? 1 : slots * 4;
    return TW_MIN(slots, n_units);
}

static size_t attention_room(const tw_backend_state *s, const tw_sequences *seq,
                             size_t head_width) {
    return tw_scratch_room(s->kernels->attention_scratch(seq->longest, seq->longest, head_width));
}

size_t tw_attention_scratch(const tw_backend_state *s, const tw_sequences *seq, size_t n_heads,
                            size_t head_width) {
    return attention_room(s, seq, head_width) * attention_slots(s, seq->n * n_heads);
}

void tw_run_attention(tw_backend_state *s, const tw_attention *a) {
    const tw_kernels *kernels = s->kernels;
    attention_job job = {
        .attend =
            a->narrow && kernels->attention_bf16 ? kernels->attention_bf16 : kernels->attention_f32,
        .a = a,
        .scratch_room = attention_room(s, a->seq, a->head_width),
        .n_units = a->seq->n * a->n_heads,
    };
    job.n_slots = attention_slots(s, job.n_units);
    tw_pool_run(s->pool, attention_task, &job, (int)job.n_slots);
}

/* --------------------------------------------------------------------------------- blocks */

/* Buffers of one run; W width, M MLP width, T rows. */
typedef struct buffers {
    float *normed; /* [T, W] */
    float *qkv;    /* [T, 3W] */
    float *mixed;  /* [T, W] heads' output */
    float *hidden; /* [T, M] */
    float *attention;
    float *quantized; /* rows of a product's A as int8 */
    float *wanted;    /* [n, W] rows the queries of the last block come from */
} buffers;

/* The longest row of any product's A. */
static size_t widest(const tw_transformer *t) {
    return TW_MAX(t->width, t->mlp_width);
}

size_t tw_transformer_scratch(const tw_backend_state *s, const tw_transformer *t,
                              const tw_sequences *seq) {
    size_t rows = seq->n_rows, w = t->width;
    return 2 * tw_scratch_room(rows * w) + tw_scratch_room(rows * 3 * w) +
           tw_scratch_room(rows * t->mlp_width) + tw_scratch_room(seq->n * w) +
           tw_attention_scratch(s, seq, t->n_heads, w / t->n_heads) +
           tw_quantized_room(s, rows, widest(t));
}

static void run(tw_backend_state *s, const buffers *f, const float *a, size_t m, const tw_matrix *w,
                float *c, size_t ldc) {
    tw_product p = {
        .a = a, .lda = w->k, .m = m, .w = w, .c = c, .ldc = ldc, .quantized = f->quantized};
    tw_run_product(s, &p);
}

/* A matrix and those packed right behind it, n rows in all. */
static tw_matrix joined(const tw_matrix *first, size_t n) {
    tw_matrix all = *first;
    all.n = n;
    return all;
}

/* q, k and v of all rows, into qkv [T, 3W]. */
static void project_qkv(tw_backend_state *s, const buffers *f, const tw_block *b, const float *x,
                        size_t n_rows, size_t w) {
    if (w % s->kernels->nr == 0) {
        tw_matrix all = joined(&b->q, 3 * w);
        run(s, f, x, n_rows, &all, f->qkv, 3 * w);
        return;
    }
    run(s, f, x, n_rows, &b->q, f->qkv, 3 * w);
    run(s, f, x, n_rows, &b->k, f->qkv + w, 3 * w);
    run(s, f, x, n_rows, &b->v, f->qkv + 2 * w, 3 * w);
}

/* Only keys and values of all rows; queries come from the wanted rows. */
static void project_kv(tw_backend_state *s, const buffers *f, const tw_block *b, const float *x,
                       size_t n_rows, size_t w) {
    if (w % s->kernels->nr == 0) {
        tw_matrix both = joined(&b->k, 2 * w);
        run(s, f, x, n_rows, &both, f->qkv + w, 3 * w);
        return;
    }
    run(s, f, x, n_rows, &b->k, f->qkv + w, 3 * w);
    run(s, f, x, n_rows, &b->v, f->qkv + 2 * w, 3 * w);
}

static void gather_wanted(const tw_sequences *seq, const float *x, size_t w, float *out) {
    for (size_t i = 0; i < seq->n; i++) {
        size_t row = seq->last_wanted ? seq->offset[i + 1] - 1 : seq->offset[i];
        memcpy(out + i * w, x + row * w, w * sizeof *out);
    }
}

/* Attention of one block. `x` is the block's input, `normed` what the projections read (LN of x
 * in a pre-norm block, x itself otherwise). With `last`, x becomes [n, W] rows in x_out. */
static void attend(tw_backend_state *s, const tw_transformer *t, const tw_block *b,
                   const tw_sequences *seq, const float *normed, bool last, const buffers *f) {
    size_t w = t->width;
    tw_attention a = {
        .q = f->qkv,
        .k = f->qkv + w,
        .v = f->qkv + 2 * w,
        .ldq = 3 * w,
        .ldk = 3 * w,
        .ldv = 3 * w,
        .out = f->mixed,
        .ldo = w,
        .n_heads = t->n_heads,
        .head_width = w / t->n_heads,
        .narrow = b->q.narrow != NULL,
        .seq = seq,
        .scratch = f->attention,
    };
    if (last) {
        project_kv(s, f, b, normed, seq->n_rows, w);
        gather_wanted(seq, normed, w, f->wanted);
        /* The q columns of qkv are free: queries of the wanted rows go to its first n rows. The
         * last row sees all others, so a causal tower needs nothing special here. */
        run(s, f, f->wanted, seq->n, &b->q, f->qkv, 3 * w);
        a.one_query = true;
    } else {
        project_qkv(s, f, b, normed, seq->n_rows, w);
        a.causal = t->causal;
    }
    tw_run_attention(s, &a);
}

/* out = y + W_out(heads' output) */
static void add_attention(tw_backend_state *s, const tw_transformer *t, const tw_block *b,
                          size_t rows, const float *y, float *out, const buffers *f) {
    size_t w = t->width;
    tw_product p = {.a = f->mixed,
                    .lda = w,
                    .m = rows,
                    .w = &b->out,
                    .residual = y,
                    .ldr = w,
                    .c = out,
                    .ldc = w,
                    .quantized = f->quantized};
    tw_run_product(s, &p);
}

/* out = y + fc2(act(fc1(x))) */
static void add_mlp(tw_backend_state *s, const tw_transformer *t, const tw_block *b, size_t rows,
                    const float *x, const float *y, float *out, const buffers *f) {
    size_t w = t->width, m = t->mlp_width;
    tw_product fc1 = {.a = x,
                      .lda = w,
                      .m = rows,
                      .w = &b->fc1,
                      .act = t->act,
                      .c = f->hidden,
                      .ldc = m,
                      .quantized = f->quantized};
    tw_product fc2 = {.a = f->hidden,
                      .lda = m,
                      .m = rows,
                      .w = &b->fc2,
                      .residual = y,
                      .ldr = w,
                      .c = out,
                      .ldc = w,
                      .quantized = f->quantized};
    tw_run_product(s, &fc1);
    tw_run_product(s, &fc2);
}

/* The rows a block goes on with after attention: all of x, or the wanted ones in the last. */
static float *rows_to_go_on(const tw_sequences *seq, float *x, size_t w, bool last,
                            float *wanted_rows) {
    if (!last) return x;
    gather_wanted(seq, x, w, wanted_rows);
    return wanted_rows;
}

/* x = x + out(attn(ln1(x))); x = x + fc2(act(fc1(ln2(x)))). */
static void pre_norm_block(tw_backend_state *s, const tw_transformer *t, const tw_block *b,
                           const tw_sequences *seq, float *x, bool last, float *wanted_rows,
                           const buffers *f) {
    size_t w = t->width, rows = last ? seq->n : seq->n_rows;
    tw_run_layer_norm(s, x, w, &b->ln1, t->eps, seq->n_rows, w, f->normed, w);
    attend(s, t, b, seq, f->normed, last, f);
    float *y = rows_to_go_on(seq, x, w, last, wanted_rows);
    add_attention(s, t, b, rows, y, y, f);
    tw_run_layer_norm(s, y, w, &b->ln2, t->eps, rows, w, f->normed, w);
    add_mlp(s, t, b, rows, f->normed, y, y, f);
}

/* x = ln1(x + out(attn(x))); x = ln2(x + fc2(act(fc1(x)))). */
static void post_norm_block(tw_backend_state *s, const tw_transformer *t, const tw_block *b,
                            const tw_sequences *seq, float *x, bool last, float *wanted_rows,
                            const buffers *f) {
    size_t w = t->width, rows = last ? seq->n : seq->n_rows;
    attend(s, t, b, seq, x, last, f);
    float *y = rows_to_go_on(seq, x, w, last, wanted_rows);
    add_attention(s, t, b, rows, y, f->normed, f);
    tw_run_layer_norm(s, f->normed, w, &b->ln1, t->eps, rows, w, y, w);
    add_mlp(s, t, b, rows, y, y, f->normed, f);
    tw_run_layer_norm(s, f->normed, w, &b->ln2, t->eps, rows, w, y, w);
}

void tw_run_transformer(tw_backend_state *s, const tw_transformer *t, const tw_sequences *seq,
                        float *x, float *wanted_rows) {
    size_t rows = seq->n_rows, w = t->width;
    buffers f = {
        .normed = tw_scratch_take(s, rows * w),
        .mixed = tw_scratch_take(s, rows * w),
        .qkv = tw_scratch_take(s, rows * 3 * w),
        .hidden = tw_scratch_take(s, rows * t->mlp_width),
        .wanted = tw_scratch_take(s, seq->n * w),
    };
    f.attention = tw_scratch_take(s, tw_attention_scratch(s, seq, t->n_heads, w / t->n_heads));
    f.quantized = tw_scratch_take(s, tw_quantized_room(s, rows, widest(t)));
    for (int i = 0; i < t->n_layers; i++) {
        /* An observer wants whole stages; the shortcut of the last block would hide rows. */
        bool last = i + 1 == t->n_layers && !tw_observed(s);
        (t->post_norm ? post_norm_block : pre_norm_block)(s, t, &t->blocks[i], seq, x, last,
                                                          wanted_rows, &f);
        if (tw_observed(s)) {
            char stage[64];
            snprintf(stage, sizeof stage, "%s.%d", t->stage, i);
            tw_observe(s, stage, x, rows, w, w);
        }
    }
    if (tw_observed(s) || t->n_layers == 0) gather_wanted(seq, x, w, wanted_rows);
}
