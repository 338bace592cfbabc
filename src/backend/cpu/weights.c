/* From the mapped model file to packed f32 matrices, once; shared by clones. */
#include "backend/cpu/cpu.h"

#include "base/file.h"
#include "base/pool.h"
#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct loader {
    tw_weights *weights;
    tw_pool *pool;
    const tw_kernels *kernels;
    tw_error *err;
} loader;

/* Memory that the weights own. */
static tw_status own(loader *l, size_t n_floats, float **out) {
    tw_weights *w = l->weights;
    if (w->n_owned == w->capacity_owned) {
        size_t grown = w->capacity_owned ? 2 * w->capacity_owned : 64;
        void **p = realloc(w->owned, grown * sizeof *p);
        if (!p) return tw_fail_no_memory(l->err, grown * sizeof *p);
        w->owned = p;
        w->capacity_owned = grown;
    }
    size_t bytes;
    void *memory = NULL;
    if (!tw_mul_size(n_floats, sizeof(float), &bytes) || posix_memalign(&memory, 64, bytes) != 0)
        return tw_fail_no_memory(l->err, n_floats * sizeof(float));
    w->owned[w->n_owned++] = memory;
    *out = memory;
    return TW_OK;
}

/* A small tensor as f32, or NULL for an absent one. */
static tw_status load_floats(loader *l, const tw_tensor *t, float **out) {
    *out = NULL;
    if (!t->data) return TW_OK;
    TW_TRY(own(l, tw_tensor_elements(t), out));
    tw_tensor_to_f32(t, *out);
    return TW_OK;
}

static size_t packed_floats(const tw_kernels *k, size_t rows, size_t columns) {
    return (rows + k->nr - 1) / k->nr * k->nr * columns;
}

/* ------------------------------------------------------------------------------- packing */

/* Rewrites [begin, begin + n) rows of a matrix before packing (batch norm, reordering). */
typedef void (*row_filter)(const void *context, size_t begin, size_t n, size_t k, float *rows);

typedef struct pack_job {
    const tw_kernels *kernels;
    const tw_tensor *weight;
    size_t n, k;
    row_filter filter;
    const void *context;
    float *packed;
    atomic_bool out_of_memory;
} pack_job;

/* Panels a task packs. */
enum { PACK_PANELS = 8 };

static void pack_task(void *arg, int index) {
    pack_job *job = arg;
    size_t nr = job->kernels->nr, p0 = (size_t)index * PACK_PANELS;
    size_t r0 = p0 * nr, rows = TW_MIN(PACK_PANELS * nr, job->n - r0);
    float *block = malloc(rows * job->k * sizeof *block);
    if (!block) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    tw_tensor_to_f32_range(job->weight, r0 * job->k, rows * job->k, block);
    if (job->filter) job->filter(job->context, r0, rows, job->k, block);
    job->kernels->pack_f32(block, job->k, rows, job->k, 0, (rows + nr - 1) / nr,
                           job->packed + p0 * job->k * nr);
    free(block);
}

/* Packs `weight`, viewed as [n, k], to `packed`, and gives its file pages back. */
static tw_status pack(loader *l, const tw_tensor *weight, size_t n, size_t k, row_filter filter,
                      const void *context, float *packed) {
    pack_job job = {l->kernels, weight, n, k, filter, context, packed, false};
    size_t panels = (n + l->kernels->nr - 1) / l->kernels->nr;
    tw_pool_run(l->pool, pack_task, &job, (int)((panels + PACK_PANELS - 1) / PACK_PANELS));
    if (atomic_load(&job.out_of_memory))
        return tw_fail_no_memory(l->err, PACK_PANELS * l->kernels->nr * k * sizeof(float));
    tw_drop_pages(weight->data, n * k * tw_dtype_bytes(weight->dtype));
    return TW_OK;
}

static tw_status load_linear(loader *l, const tw_linear_weights *from, tw_matrix *to) {
    size_t n = (size_t)from->weight.shape[0], k = (size_t)from->weight.shape[1];
    *to = (tw_matrix){NULL, NULL, n, k};
    TW_TRY(own(l, packed_floats(l->kernels, n, k), &to->packed));
    TW_TRY(pack(l, &from->weight, n, k, NULL, NULL, to->packed));
    return load_floats(l, &from->bias, &to->bias);
}

static tw_status load_plain(loader *l, const tw_tensor *weight, tw_matrix *to) {
    tw_linear_weights linear = {.weight = *weight};
    return load_linear(l, &linear, to);
}

static tw_status load_norm(loader *l, const tw_norm_weights *from, tw_norm *to) {
    TW_TRY(load_floats(l, &from->gamma, &to->gamma));
    return load_floats(l, &from->beta, &to->beta);
}

/* ---------------------------------------------------------------------------- transformer */

/* q, k and v back to back, see tw_block. */
static tw_status load_qkv(loader *l, const tw_block_weights *from, tw_block *to) {
    const tw_linear_weights *parts[3] = {&from->q, &from->k, &from->v};
    tw_matrix *matrices[3] = {&to->q, &to->k, &to->v};
    size_t w = (size_t)from->q.weight.shape[0], k = (size_t)from->q.weight.shape[1];
    size_t room = packed_floats(l->kernels, w, k);
    float *packed, *bias;
    TW_TRY(own(l, 3 * room, &packed));
    TW_TRY(own(l, 3 * w, &bias));
    for (int i = 0; i < 3; i++) {
        *matrices[i] = (tw_matrix){packed + (size_t)i * room, bias + (size_t)i * w, w, k};
        TW_TRY(pack(l, &parts[i]->weight, w, k, NULL, NULL, matrices[i]->packed));
        tw_tensor_to_f32(&parts[i]->bias, matrices[i]->bias);
    }
    return TW_OK;
}

static tw_status load_blocks(loader *l, const tw_block_weights *from, int32_t n, tw_block **out) {
    float *memory;
    TW_TRY(own(l, (size_t)n * sizeof(tw_block) / sizeof(float) + 1, &memory));
    tw_block *blocks = (tw_block *)(void *)memory;
    memset(blocks, 0, (size_t)n * sizeof *blocks);
    for (int32_t i = 0; i < n; i++) {
        TW_TRY(load_norm(l, &from[i].ln1, &blocks[i].ln1));
        TW_TRY(load_norm(l, &from[i].ln2, &blocks[i].ln2));
        TW_TRY(load_qkv(l, &from[i], &blocks[i]));
        TW_TRY(load_linear(l, &from[i].out, &blocks[i].out));
        TW_TRY(load_linear(l, &from[i].fc1, &blocks[i].fc1));
        TW_TRY(load_linear(l, &from[i].fc2, &blocks[i].fc2));
    }
    *out = blocks;
    return TW_OK;
}

static tw_status load_vit(loader *l, const tw_model *model, tw_vit *vit) {
    const tw_vision_weights *v = &model->vision;
    size_t w = (size_t)model->arch.vision.width;
    /* Viewed as [W, 3*p*p]: the file's tensor is in C order. */
    tw_tensor patch = v->patch;
    patch.n_dims = 2;
    patch.shape[1] = v->patch.shape[1] * v->patch.shape[2] * v->patch.shape[3];
    tw_tensor_set_c_order(&patch);
    TW_TRY(load_plain(l, &patch, &vit->patch));
    float *position;
    TW_TRY(load_floats(l, &v->class_row, &vit->class_row));
    TW_TRY(load_floats(l, &v->position, &position));
    for (size_t i = 0; i < w; i++)
        vit->class_row[i] += position[i];
    vit->position = position + w;
    TW_TRY(load_norm(l, &v->pre, &vit->pre));
    TW_TRY(load_norm(l, &v->post, &vit->post));
    TW_TRY(load_blocks(l, v->blocks, model->arch.vision.n_layers, &vit->blocks));
    return v->projection.data ? load_plain(l, &v->projection, &vit->projection) : TW_OK;
}

static tw_status load_bert(loader *l, const tw_model *model, tw_bert *bert) {
    const tw_text_weights *t = &model->text;
    TW_TRY(load_floats(l, &t->position, &bert->position));
    tw_tensor type = tw_tensor_rows(&t->type, 0, 1);
    TW_TRY(load_floats(l, &type, &bert->type));
    TW_TRY(load_norm(l, &t->embed_norm, &bert->embed_norm));
    TW_TRY(load_blocks(l, t->blocks, model->arch.text.n_layers, &bert->blocks));
    return load_plain(l, &t->projection, &bert->projection);
}

static tw_status load_clip_text(loader *l, const tw_model *model, tw_clip_text *text) {
    const tw_text_weights *t = &model->text;
    TW_TRY(load_floats(l, &t->position, &text->position));
    TW_TRY(load_norm(l, &t->final_norm, &text->final));
    TW_TRY(load_blocks(l, t->blocks, model->arch.text.n_layers, &text->blocks));
    return load_plain(l, &t->projection, &text->projection);
}

/* --------------------------------------------------------------------------------- ResNet */

typedef struct fold_context {
    const double *scale; /* [O], gamma / sqrt(var + eps) */
    size_t channels, area;
    float *row; /* not used by the filter's callers; rows are reordered through a local copy */
} fold_context;

/* Columns (channel, ky, kx) -> (ky, kx, channel), times the batch norm's scale. */
static void fold_rows(const void *p, size_t begin, size_t n, size_t k, float *rows) {
    const fold_context *c = p;
    float *copy = c->row + begin * k;
    memcpy(copy, rows, n * k * sizeof *rows);
    for (size_t i = 0; i < n; i++)
        for (size_t ch = 0; ch < c->channels; ch++)
            for (size_t a = 0; a < c->area; a++)
                rows[i * k + a * c->channels + ch] =
                    (float)((double)copy[i * k + ch * c->area + a] * c->scale[begin + i]);
}

/* bn(conv(x)) = conv'(x) + bias with w' = w * s, bias = beta - mean * s, s = gamma / sqrt(var +
 * eps). */
static tw_status load_conv(loader *l, const tw_conv_bn_weights *from, float eps, tw_conv *to) {
    size_t o = (size_t)from->weight.shape[0], channels = (size_t)from->weight.shape[1];
    size_t area = (size_t)(from->weight.shape[2] * from->weight.shape[3]), k = channels * area;
    to->kernel = (int)from->weight.shape[2];
    to->matrix = (tw_matrix){NULL, NULL, o, k};
    TW_TRY(own(l, packed_floats(l->kernels, o, k), &to->matrix.packed));
    TW_TRY(own(l, o, &to->matrix.bias));
    float *bn = malloc(4 * o * sizeof *bn), *copy = malloc(o * k * sizeof *copy);
    double *scale = malloc(o * sizeof *scale);
    tw_status status = TW_OK;
    if (!bn || !scale || !copy) {
        status = tw_fail_no_memory(l->err, o * k * sizeof *copy);
        goto done;
    }
    const tw_tensor *parts[4] = {&from->gamma, &from->beta, &from->mean, &from->var};
    for (size_t i = 0; i < 4; i++)
        tw_tensor_to_f32(parts[i], bn + i * o);
    for (size_t i = 0; i < o; i++) {
        scale[i] = (double)bn[i] / sqrt((double)bn[3 * o + i] + (double)eps);
        to->matrix.bias[i] = (float)((double)bn[o + i] - (double)bn[2 * o + i] * scale[i]);
    }
    fold_context context = {scale, channels, area, copy};
    status = pack(l, &from->weight, o, k, fold_rows, &context, to->matrix.packed);
done:
    free(bn);
    free(copy);
    free(scale);
    return status;
}

static tw_status load_bottleneck(loader *l, const tw_bottleneck_weights *from, float eps,
                                 tw_bottleneck *to) {
    to->stride = from->stride;
    to->has_down = from->down.weight.data != NULL;
    TW_TRY(load_conv(l, &from->conv1, eps, &to->conv1));
    TW_TRY(load_conv(l, &from->conv2, eps, &to->conv2));
    TW_TRY(load_conv(l, &from->conv3, eps, &to->conv3));
    return to->has_down ? load_conv(l, &from->down, eps, &to->down) : TW_OK;
}

static tw_status load_resnet(loader *l, const tw_model *model, tw_resnet *net) {
    const tw_vision_weights *v = &model->vision;
    const tw_vision_config *c = &model->arch.vision;
    for (int i = 0; i < 3; i++)
        TW_TRY(load_conv(l, &v->stem[i], c->norm_eps, &net->stem[i]));
    for (int i = 0; i < 4; i++)
        net->n_blocks += (size_t)c->stages[i];
    float *memory;
    TW_TRY(own(l, net->n_blocks * sizeof(tw_bottleneck) / sizeof(float) + 1, &memory));
    net->blocks = (tw_bottleneck *)(void *)memory;
    memset(net->blocks, 0, net->n_blocks * sizeof *net->blocks);
    for (size_t i = 0; i < net->n_blocks; i++)
        TW_TRY(load_bottleneck(l, &v->bottlenecks[i], c->norm_eps, &net->blocks[i]));
    TW_TRY(load_floats(l, &v->position, &net->position));
    TW_TRY(load_linear(l, &v->pool_q, &net->q));
    TW_TRY(load_linear(l, &v->pool_k, &net->k));
    TW_TRY(load_linear(l, &v->pool_v, &net->v));
    return load_linear(l, &v->pool_out, &net->out);
}

/* ----------------------------------------------------------------------------------- whole */

tw_status tw_weights_load(const tw_model *model, tw_pool *pool, const tw_kernels *kernels,
                          const tw_backend_options *options, tw_weights **out, tw_error *err) {
    tw_weights *w = calloc(1, sizeof *w);
    if (!w) return tw_fail_no_memory(err, sizeof *w);
    atomic_init(&w->n_users, 1);
    loader l = {w, pool, kernels, err};
    w->has_vision = model->arch.vision.kind != TW_VISION_NONE && !options->text_only;
    w->has_text = model->arch.text.kind != TW_TEXT_NONE && !options->vision_only;
    tw_status status = TW_OK;
    if (w->has_vision)
        TW_CHECK(model->arch.vision.kind == TW_VISION_VIT ? load_vit(&l, model, &w->vit)
                                                          : load_resnet(&l, model, &w->resnet));
    if (w->has_text)
        TW_CHECK(model->arch.text.kind == TW_TEXT_CLIP ? load_clip_text(&l, model, &w->clip_text)
                                                       : load_bert(&l, model, &w->bert));
done:
    if (status != TW_OK) {
        tw_weights_release(w);
        w = NULL;
    }
    *out = w;
    return status;
}

void tw_weights_release(tw_weights *w) {
    if (!w || atomic_fetch_sub(&w->n_users, 1) != 1) return;
    for (size_t i = 0; i < w->n_owned; i++)
        free(w->owned[i]);
    free(w->owned);
    free(w);
}
