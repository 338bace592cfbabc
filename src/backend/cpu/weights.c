/* From the mapped model file to packed matrices, once; shared by clones. */
#include "backend/cpu/packing.h"

#include "base/size.h"
#include "model/smooth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static tw_status load_plain(tw_loader *l, const tw_narrow *narrow, const tw_tensor *weight,
                            tw_matrix *to) {
    tw_linear_weights linear = {.weight = *weight};
    return tw_load_linear(l, narrow, &linear, to);
}

static tw_status load_norm(tw_loader *l, const tw_norm_weights *from, tw_norm *to) {
    TW_TRY(tw_load_floats(l, &from->gamma, &to->gamma));
    return tw_load_floats(l, &from->beta, &to->beta);
}

/* ---------------------------------------------------------------------------- transformer */

static void divide_columns(const void *m, size_t begin, size_t n, size_t k, float *rows) {
    tw_smooth_divide(m, n, k, rows);
}

/* Matrices [n, k] that read the same A, packed one behind the other. */
typedef struct group {
    const tw_linear_weights *parts[3];
    tw_matrix *to[3];
    int n_parts;
    const float
        *smooth; /* [k] what columns of A are multiplied by, or NULL; where quantised here */
} group;

/* Memory for a group, its biases filled in. */
static tw_status own_group(tw_loader *l, const group *g, const tw_narrow *narrow, size_t n,
                           size_t k) {
    size_t panels = (n + l->kernels->nr - 1) / l->kernels->nr;
    size_t room = tw_packed_floats(l->kernels, narrow, n, k);
    tw_matrix all = {.narrow = narrow, .n = (size_t)g->n_parts * panels * l->kernels->nr, .k = k};
    TW_TRY(tw_own_packed(l, &all));
    TW_TRY(tw_own(l, (size_t)g->n_parts * n, &all.bias));
    for (int i = 0; i < g->n_parts; i++) {
        size_t at = (size_t)i;
        *g->to[i] = (tw_matrix){.narrow = narrow, .n = n, .k = k, .bias = all.bias + at * n};
        g->to[i]->packed = (float *)all.packed + at * room;
        tw_tensor_to_f32(&g->parts[i]->bias, g->to[i]->bias);
    }
    return TW_OK;
}

/* Factors [k] into memory of the weights; NULL for none. */
static tw_status own_factors(tw_loader *l, const void *factors, size_t k, float **out) {
    *out = NULL;
    if (!factors) return TW_OK;
    TW_TRY(tw_own(l, k, out));
    memcpy(*out, factors, k * sizeof **out);
    return TW_OK;
}

/* Packed for `blocks` of the loader, or, when the file has them as int8, for `stored`. */
static tw_status load_group(tw_loader *l, const group *g) {
    const tw_tensor *first = &g->parts[0]->weight;
    size_t n = (size_t)first->shape[0], k = (size_t)first->shape[1];
    bool stored = first->dtype == TW_I8;
    const tw_narrow *narrow = stored ? l->stored : l->blocks;
    bool i8 = narrow == &l->kernels->i8;
    if (i8 && k >= TW_I8_MAX_K)
        return tw_fail(l->err, TW_ERR_UNSUPPORTED,
                       "precision int8: a matrix of %zu columns, at most %d", k, TW_I8_MAX_K - 1);
    float *smooth = NULL;
    TW_TRY(own_group(l, g, narrow, n, k));
    if (i8) TW_TRY(own_factors(l, stored ? first->column_scale : g->smooth, k, &smooth));
    for (int i = 0; i < g->n_parts; i++) {
        const tw_tensor *weight = &g->parts[i]->weight;
        g->to[i]->smooth = smooth;
        TW_TRY(i8 && stored ? tw_pack_int8(l, weight, g->to[i])
                            : tw_pack(l, weight, smooth ? divide_columns : NULL, smooth, g->to[i]));
    }
    l->weights->n_products++;
    l->weights->n_narrow += narrow != NULL;
    l->weights->n_widened += stored && !i8;
    return TW_OK;
}

/* The matrices of one block, whose attention and MLP read what these norms made. */
static tw_status load_products(tw_loader *l, const tw_block_weights *from,
                               const tw_norm_weights *attention, const tw_norm_weights *mlp,
                               tw_block *to) {
    tw_block_smooth s = {0};
    if (l->blocks == &l->kernels->i8)
        TW_TRY(tw_block_smooth_find(l->pool, from, attention, mlp, &s, l->err));
    const group groups[] = {
        {{&from->q, &from->k, &from->v}, {&to->q, &to->k, &to->v}, 3, s.m[TW_SMOOTH_QKV]},
        {{&from->out}, {&to->out}, 1, s.m[TW_SMOOTH_OUT]},
        {{&from->fc1}, {&to->fc1}, 1, s.m[TW_SMOOTH_FC1]},
        {{&from->fc2}, {&to->fc2}, 1, NULL},
    };
    tw_status status = TW_OK;
    for (size_t i = 0; i < TW_COUNT(groups) && status == TW_OK; i++)
        status = load_group(l, &groups[i]);
    tw_block_smooth_free(&s);
    return status;
}

/* `before` is the LayerNorm in front of post-norm blocks; NULL: these are pre-norm. */
static tw_status load_blocks(tw_loader *l, const tw_block_weights *from, int32_t n,
                             const tw_norm_weights *before, tw_block **out) {
    float *memory;
    TW_TRY(tw_own(l, (size_t)n * sizeof(tw_block) / sizeof(float) + 1, &memory));
    tw_block *blocks = (tw_block *)(void *)memory;
    memset(blocks, 0, (size_t)n * sizeof *blocks);
    for (int32_t i = 0; i < n; i++) {
        TW_TRY(load_norm(l, &from[i].ln1, &blocks[i].ln1));
        TW_TRY(load_norm(l, &from[i].ln2, &blocks[i].ln2));
        const tw_norm_weights *attention, *mlp;
        tw_block_norms(from, i, before, &attention, &mlp);
        TW_TRY(load_products(l, &from[i], attention, mlp, &blocks[i]));
    }
    *out = blocks;
    return TW_OK;
}

static tw_status load_vit(tw_loader *l, const tw_model *model, tw_vit *vit) {
    const tw_vision_weights *v = &model->vision;
    size_t w = (size_t)model->arch.vision.width;
    /* Viewed as [W, 3*p*p]: the file's tensor is in C order. */
    tw_tensor patch = v->patch;
    patch.n_dims = 2;
    patch.shape[1] = v->patch.shape[1] * v->patch.shape[2] * v->patch.shape[3];
    tw_tensor_set_c_order(&patch);
    TW_TRY(load_plain(l, NULL, &patch, &vit->patch));
    float *position;
    TW_TRY(tw_load_floats(l, &v->class_row, &vit->class_row));
    TW_TRY(tw_load_floats(l, &v->position, &position));
    for (size_t i = 0; i < w; i++)
        vit->class_row[i] += position[i];
    vit->position = position + w;
    TW_TRY(load_norm(l, &v->pre, &vit->pre));
    TW_TRY(load_norm(l, &v->post, &vit->post));
    TW_TRY(load_blocks(l, v->blocks, model->arch.vision.n_layers, NULL, &vit->blocks));
    return v->projection.data ? load_plain(l, NULL, &v->projection, &vit->projection) : TW_OK;
}

static tw_status load_bert(tw_loader *l, const tw_model *model, tw_bert *bert) {
    const tw_text_weights *t = &model->text;
    TW_TRY(tw_load_floats(l, &t->position, &bert->position));
    tw_tensor type = tw_tensor_rows(&t->type, 0, 1);
    TW_TRY(tw_load_floats(l, &type, &bert->type));
    TW_TRY(load_norm(l, &t->embed_norm, &bert->embed_norm));
    TW_TRY(load_blocks(l, t->blocks, model->arch.text.n_layers, &t->embed_norm, &bert->blocks));
    return load_plain(l, NULL, &t->projection, &bert->projection);
}

static tw_status load_clip_text(tw_loader *l, const tw_model *model, tw_clip_text *text) {
    const tw_text_weights *t = &model->text;
    TW_TRY(tw_load_floats(l, &t->position, &text->position));
    TW_TRY(load_norm(l, &t->final_norm, &text->final));
    TW_TRY(load_blocks(l, t->blocks, model->arch.text.n_layers, NULL, &text->blocks));
    return load_plain(l, NULL, &t->projection, &text->projection);
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

/* The batch norm as a scale [O] and the bias of the convolution. */
static tw_status fold_norm(tw_loader *l, const tw_conv_bn_weights *from, float eps, double *scale,
                           float *bias) {
    size_t o = (size_t)from->weight.shape[0];
    float *bn = malloc(4 * o * sizeof *bn);
    if (!bn) return tw_fail_no_memory(l->err, 4 * o * sizeof *bn);
    const tw_tensor *parts[4] = {&from->gamma, &from->beta, &from->mean, &from->var};
    for (size_t i = 0; i < 4; i++)
        tw_tensor_to_f32(parts[i], bn + i * o);
    for (size_t i = 0; i < o; i++) {
        scale[i] = (double)bn[i] / sqrt((double)bn[3 * o + i] + (double)eps);
        bias[i] = (float)((double)bn[o + i] - (double)bn[2 * o + i] * scale[i]);
    }
    free(bn);
    return TW_OK;
}

/* For F(2x2, 3x3), through all of the filters in `rows`. */
static tw_status load_points(tw_loader *l, const tw_tensor *weight, const fold_context *fold,
                             tw_conv *to) {
    size_t n = to->matrix.n * to->matrix.k;
    float *rows = malloc(n * sizeof *rows);
    if (!rows) return tw_fail_no_memory(l->err, n * sizeof *rows);
    tw_tensor_to_f32(weight, rows);
    fold_rows(fold, 0, to->matrix.n, to->matrix.k, rows);
    tw_status status = tw_conv3_points(l, rows, to);
    free(rows);
    tw_drop_pages(weight->data, n * tw_dtype_bytes(weight->dtype));
    return status;
}

/* bn(conv(x)) = conv'(x) + bias with w' = w * s, bias = beta - mean * s, s = gamma / sqrt(var +
 * eps). The map is `side` pixels wide and high. */
static tw_status load_conv(tw_loader *l, const tw_narrow *narrow, const tw_conv_bn_weights *from,
                           float eps, size_t side, tw_conv *to) {
    size_t o = (size_t)from->weight.shape[0], channels = (size_t)from->weight.shape[1];
    size_t area = (size_t)(from->weight.shape[2] * from->weight.shape[3]), k = channels * area;
    to->kernel = (int)from->weight.shape[2];
    /* Of an odd number of channels, pixels are no whole rows in bf16. */
    if (channels % 2 != 0) narrow = NULL;
    to->matrix = (tw_matrix){.narrow = narrow, .n = o, .k = k};
    bool points = to->kernel == 3 && side % 2 == 0 && !narrow && l->kernels->winograd_in;
    if (!points) TW_TRY(tw_own_packed(l, &to->matrix));
    TW_TRY(tw_own(l, o, &to->matrix.bias));
    float *copy = malloc(o * k * sizeof *copy);
    double *scale = malloc(o * sizeof *scale);
    tw_status status = TW_OK;
    if (!scale || !copy) {
        status = tw_fail_no_memory(l->err, o * k * sizeof *copy);
        goto done;
    }
    TW_CHECK(fold_norm(l, from, eps, scale, to->matrix.bias));
    fold_context context = {scale, channels, area, copy};
    status = points ? load_points(l, &from->weight, &context, to)
                    : tw_pack(l, &from->weight, fold_rows, &context, &to->matrix);
done:
    free(copy);
    free(scale);
    return status;
}

/* `side` is that of the maps behind its stride. */
static tw_status load_bottleneck(tw_loader *l, const tw_bottleneck_weights *from, float eps,
                                 size_t side, tw_bottleneck *to) {
    to->stride = from->stride;
    to->has_down = from->down.weight.data != NULL;
    size_t before = side * (size_t)from->stride;
    TW_TRY(load_conv(l, l->resnet, &from->conv1, eps, before, &to->conv1));
    TW_TRY(load_conv(l, l->resnet, &from->conv2, eps, before, &to->conv2));
    TW_TRY(load_conv(l, l->resnet, &from->conv3, eps, side, &to->conv3));
    return to->has_down ? load_conv(l, l->resnet, &from->down, eps, side, &to->down) : TW_OK;
}

static tw_status load_resnet(tw_loader *l, const tw_model *model, tw_resnet *net) {
    const tw_vision_weights *v = &model->vision;
    const tw_vision_config *c = &model->arch.vision;
    /* The first convolution has a stride, so nothing of it is even. */
    size_t side = (size_t)c->image_size / 2;
    for (int i = 0; i < 3; i++)
        TW_TRY(load_conv(l, NULL, &v->stem[i], c->norm_eps, i == 0 ? 1 : side, &net->stem[i]));
    for (int i = 0; i < 4; i++)
        net->n_blocks += (size_t)c->stages[i];
    float *memory;
    TW_TRY(tw_own(l, net->n_blocks * sizeof(tw_bottleneck) / sizeof(float) + 1, &memory));
    net->blocks = (tw_bottleneck *)(void *)memory;
    memset(net->blocks, 0, net->n_blocks * sizeof *net->blocks);
    side /= 2;
    for (size_t i = 0; i < net->n_blocks; i++) {
        side /= (size_t)v->bottlenecks[i].stride;
        TW_TRY(load_bottleneck(l, &v->bottlenecks[i], c->norm_eps, side, &net->blocks[i]));
    }
    TW_TRY(tw_load_floats(l, &v->position, &net->position));
    TW_TRY(tw_load_linear(l, l->resnet, &v->pool_q, &net->q));
    size_t heads = (size_t)c->n_heads;
    TW_TRY(tw_load_heads(l, l->resnet, &v->pool_k.weight, heads, true, &net->k));
    TW_TRY(tw_load_heads(l, l->resnet, &v->pool_v.weight, heads, false, &net->v));
    float *bias;
    TW_TRY(tw_load_floats(l, &v->pool_v.bias, &bias));
    for (size_t i = 0; bias && i < heads; i++)
        net->v[i].bias = bias + i * net->v[i].n;
    return tw_load_linear(l, NULL, &v->pool_out, &net->out);
}

/* ----------------------------------------------------------------------------------- whole */

tw_status tw_weights_load(const tw_model *model, tw_pool *pool, const tw_kernels *kernels,
                          const tw_backend_options *options, tw_weights **out, tw_error *err) {
    tw_weights *w = calloc(1, sizeof *w);
    if (!w) return tw_fail_no_memory(err, sizeof *w);
    atomic_init(&w->n_users, 1);
    tw_loader l = {.weights = w, .pool = pool, .kernels = kernels, .err = err};
    /* What a file of int8 keeps in 16 bits, it keeps for a reason. */
    if (options->precision == TW_I8 && !model->int8) l.blocks = &kernels->i8;
    if (options->precision == TW_I8 || options->precision == -1) l.stored = &kernels->i8;
    if (options->precision == TW_BF16) l.blocks = l.stored = l.resnet = &kernels->bf16;
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
