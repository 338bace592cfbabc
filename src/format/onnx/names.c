/* Source: how torch.onnx names what it folds (initializers "onnx::MatMul_325"; plain numbers before
 * torch 1.12), and Chinese-CLIP cn_clip/clip/model.py for what the places in the network are
 * called. */
#include "format/onnx/names.h"

#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a tensor is; its family's name follows from it. */
typedef enum label_kind {
    AS_NAMED = 0,
    MATRIX,     /* `stem` + "weight", transposed */
    CONV,       /* of a ModifiedResNet, at `place` */
    CONV_BIAS,  /* likewise */
    NAMED_BIAS, /* of the convolution `stem` + "weight" of our own exports */
} label_kind;

/* stage 0 is the stem; conv 4 is the shortcut's. */
typedef struct place {
    int stage, block, conv;
} place;

typedef struct label {
    label_kind kind;
    tw_onnx_string stem; /* with its dot */
    place at;
} label;

typedef struct naming {
    const tw_onnx_graph *g;
    label *labels; /* [g->n_tensors] */
    tw_error *err;
} naming;

/* ----------------------------------------------------------------------------------------- labels
 */

static bool is_anonymous(tw_onnx_string s) {
    size_t digits = 0;
    while (digits < s.n && s.data[digits] >= '0' && s.data[digits] <= '9')
        digits++;
    return digits == s.n || tw_onnx_starts(s, "onnx::");
}

static tw_status set_label(naming *n, const tw_onnx_tensor *t, label new_label) {
    label *l = &n->labels[t - n->g->tensors];
    bool same = l->kind == new_label.kind && tw_onnx_compare(l->stem, new_label.stem) == 0 &&
                memcmp(&l->at, &new_label.at, sizeof l->at) == 0;
    if (l->kind != AS_NAMED && !same)
        return tw_fail(n->err, TW_ERR_UNSUPPORTED, "tensor '%.*s' is used in two places",
                       TW_ONNX_SHOWN(t->name));
    *l = new_label;
    return TW_OK;
}

static const tw_onnx_node *made_by(const naming *n, tw_onnx_string value, const char *op) {
    const tw_onnx_node *node = tw_onnx_producer(n->g, value);
    return node && tw_onnx_is(node->op, op) ? node : NULL;
}

/* ---------------------------------------------------------------------------------------- matrices
 */

/* Add(X.bias, MatMul(x, w)), either way round: w is X.weight. */
static tw_status name_matrix(naming *n, const tw_onnx_node *add) {
    static const char *const passed[] = {"Cast", NULL};
    for (size_t i = 0; i < 2; i++) {
        const tw_onnx_tensor *bias = tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, add, i));
        tw_onnx_string product = tw_onnx_source(n->g, tw_onnx_input_of(n->g, add, 1 - i), passed);
        const tw_onnx_node *matmul = made_by(n, product, "MatMul");
        if (!bias || !matmul || !tw_onnx_ends(bias->name, ".bias")) continue;
        const tw_onnx_tensor *w = tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, matmul, 1));
        if (!w || !is_anonymous(w->name)) continue;
        tw_onnx_string stem = {bias->name.data, bias->name.n - strlen("bias")};
        return set_label(n, w, (label){.kind = MATRIX, .stem = stem});
    }
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ convolutions
 */

static const char *const between[] = {"Cast", "Identity", "Pad", "AveragePool", NULL};

static const tw_onnx_node *conv_before(const naming *n, tw_onnx_string value) {
    return made_by(n, tw_onnx_source(n->g, value, between), "Conv");
}

/* Conv of `side` x `side` whose relu `value` is. */
static const tw_onnx_node *conv_behind_relu(const naming *n, tw_onnx_string value, int64_t side) {
    const tw_onnx_node *relu = made_by(n, tw_onnx_source(n->g, value, between), "Relu");
    const tw_onnx_node *conv = relu ? conv_before(n, tw_onnx_input_of(n->g, relu, 0)) : NULL;
    const tw_onnx_tensor *w =
        conv ? tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, conv, 1)) : NULL;
    return w && w->view.n_dims == 4 && w->view.shape[3] == side ? conv : NULL;
}

/* A bottleneck: Add(conv3(relu(conv2(relu(conv1(x))))), x or down(x)). */
typedef struct bottleneck {
    const tw_onnx_node *convs[4]; /* conv1, conv2, conv3, down or NULL */
    const tw_onnx_node *add;
    const tw_onnx_node *before; /* the Add or Conv whose relu is x */
} bottleneck;

static bool read_bottleneck(const naming *n, const tw_onnx_node *add, size_t main, bottleneck *b) {
    const tw_onnx_graph *g = n->g;
    *b = (bottleneck){.add = add};
    b->convs[2] = conv_before(n, tw_onnx_input_of(g, add, main));
    if (!b->convs[2]) return false;
    b->convs[1] = conv_behind_relu(n, tw_onnx_input_of(g, b->convs[2], 0), 3);
    if (!b->convs[1]) return false;
    b->convs[0] = conv_behind_relu(n, tw_onnx_input_of(g, b->convs[1], 0), 1);
    if (!b->convs[0]) return false;
    tw_onnx_string x = tw_onnx_source(g, tw_onnx_input_of(g, b->convs[0], 0), between);
    tw_onnx_string other = tw_onnx_source(g, tw_onnx_input_of(g, add, 1 - main), between);
    b->convs[3] = made_by(n, other, "Conv");
    if (b->convs[3]) other = tw_onnx_source(g, tw_onnx_input_of(g, b->convs[3], 0), between);
    if (tw_onnx_compare(x, other) != 0) return false;
    const tw_onnx_node *relu = made_by(n, x, "Relu");
    if (relu)
        b->before = tw_onnx_producer(g, tw_onnx_source(g, tw_onnx_input_of(g, relu, 0), between));
    return b->before != NULL;
}

static tw_status name_conv(naming *n, const tw_onnx_node *conv, place at) {
    const tw_onnx_tensor *w = tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, conv, 1));
    const tw_onnx_tensor *b = tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, conv, 2));
    if (!w || !is_anonymous(w->name)) return TW_OK;
    if (!b || b->view.n_dims != 1 || w->view.n_dims != 4 || w->view.shape[0] != b->view.shape[0])
        return tw_fail(n->err, TW_ERR_FORMAT, "convolution '%.*s' has no bias that fits",
                       TW_ONNX_SHOWN(w->name));
    TW_TRY(set_label(n, w, (label){.kind = CONV, .at = at}));
    return set_label(n, b, (label){.kind = CONV_BIAS, .at = at});
}

/* The three convolutions before the first bottleneck, backwards. */
static tw_status name_stem(naming *n, const tw_onnx_node *third) {
    const tw_onnx_node *second = conv_behind_relu(n, tw_onnx_input_of(n->g, third, 0), 3);
    const tw_onnx_node *first =
        second ? conv_behind_relu(n, tw_onnx_input_of(n->g, second, 0), 3) : NULL;
    if (!first) return TW_OK; /* no ModifiedResNet: its weights stay unnamed, and are refused */
    TW_TRY(name_conv(n, first, (place){0, 0, 1}));
    TW_TRY(name_conv(n, second, (place){0, 0, 2}));
    return name_conv(n, third, (place){0, 0, 3});
}

/* From the stem on. The first bottleneck of a stage, and no other, has a shortcut of its own. */
static tw_status name_bottlenecks(naming *n, const bottleneck *blocks, size_t n_blocks) {
    const tw_onnx_node *at = NULL;
    for (size_t i = 0; i < n_blocks && !at; i++)
        if (tw_onnx_is(blocks[i].before->op, "Conv")) at = blocks[i].before;
    if (!at) return TW_OK;
    TW_TRY(name_stem(n, at));
    place p = {0, 0, 0};
    for (size_t done = 0, i; done < n_blocks; done++, at = blocks[i].add) {
        for (i = 0; i < n_blocks && blocks[i].before != at; i++) {
        }
        if (i == n_blocks) break;
        p.block = blocks[i].convs[3] ? 0 : p.block + 1;
        p.stage += blocks[i].convs[3] != NULL;
        for (p.conv = 1; p.conv <= 4; p.conv++)
            if (blocks[i].convs[p.conv - 1]) TW_TRY(name_conv(n, blocks[i].convs[p.conv - 1], p));
    }
    return TW_OK;
}

static tw_status name_resnet(naming *n) {
    enum { MOST_BLOCKS = 256 };
    bottleneck blocks[MOST_BLOCKS];
    size_t n_blocks = 0;
    for (size_t i = 0; i < n->g->n_nodes; i++) {
        const tw_onnx_node *node = &n->g->nodes[i];
        bottleneck b;
        if (!tw_onnx_is(node->op, "Add")) continue;
        if (!read_bottleneck(n, node, 0, &b) && !read_bottleneck(n, node, 1, &b)) continue;
        if (n_blocks == MOST_BLOCKS)
            return tw_fail(n->err, TW_ERR_LIMIT, "more than %d bottlenecks", MOST_BLOCKS);
        blocks[n_blocks++] = b;
    }
    return name_bottlenecks(n, blocks, n_blocks);
}

/* Our own exports: the bias beside "v.stem.1.weight". */
static tw_status name_own_bias(naming *n, const tw_onnx_node *conv) {
    const tw_onnx_tensor *w = tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, conv, 1));
    const tw_onnx_tensor *b = tw_onnx_tensor_find(n->g, tw_onnx_input_of(n->g, conv, 2));
    if (!w || !b || b->view.n_dims != 1) return TW_OK;
    if (!tw_onnx_starts(w->name, "v.") || !tw_onnx_ends(w->name, ".weight")) return TW_OK;
    tw_onnx_string stem = {w->name.data, w->name.n - strlen("weight")};
    return set_label(n, b, (label){.kind = NAMED_BIAS, .stem = stem});
}

/* ----------------------------------------------------------------------------------------- adding
 */

/* "visual.layer1.0.conv2." of a place; the shortcut's are numbered. */
static void conv_name(place at, bool norm, char buf[96]) {
    if (at.stage == 0)
        snprintf(buf, 96, "visual.%s%d.", norm ? "bn" : "conv", at.conv);
    else if (at.conv == 4)
        snprintf(buf, 96, "visual.layer%d.%d.downsample.%d.", at.stage, at.block, norm);
    else
        snprintf(buf, 96, "visual.layer%d.%d.%s%d.", at.stage, at.block, norm ? "bn" : "conv",
                 at.conv);
}

static tw_status add(naming *n, tw_tensor_list *out, tw_onnx_string stem, const char *rest,
                     const tw_tensor *view) {
    char name[TW_MAX_TENSOR_NAME + 64];
    if (stem.n > TW_MAX_TENSOR_NAME)
        return tw_fail(n->err, TW_ERR_LIMIT, "tensor name of %zu bytes, more than the limit of %d",
                       stem.n, TW_MAX_TENSOR_NAME);
    size_t n_rest = strlen(rest);
    memcpy(name, stem.data, stem.n);
    memcpy(name + stem.n, rest, n_rest);
    return tw_tensor_list_add(out, name, stem.n + n_rest, view, n->err);
}

/* Batch norm that adds `bias` and changes nothing else. 1e-5 is added to the variance where it is
 * folded in: the nearest f32 to 1 - 1e-5 leaves a scale within 2^-26 of 1, less than half the last
 * place of any f32, so each folded weight is the stored one to the bit (docs/FORMAT.md). */
static const float one = 1.0f, zero = 0.0f, variance = 1.0f - 1e-5f;

static tw_status add_batch_norm(naming *n, tw_tensor_list *out, tw_onnx_string stem, bool own,
                                const tw_tensor *bias) {
    const struct {
        const char *original, *ours;
        const float *value;
    } parts[] = {{"weight", "bn.weight", &one},
                 {"bias", "bn.bias", NULL},
                 {"running_mean", "bn.mean", &zero},
                 {"running_var", "bn.var", &variance}};
    for (size_t i = 0; i < TW_COUNT(parts); i++) {
        tw_tensor t = *bias;
        if (parts[i].value) {
            t.dtype = TW_F32;
            t.data = parts[i].value;
            t.stride[0] = 0;
        }
        TW_TRY(add(n, out, stem, own ? parts[i].ours : parts[i].original, &t));
    }
    return TW_OK;
}

/* Not weights of a model: what the graph needs to compute. */
static bool is_constant(const tw_onnx_tensor *t) {
    bool real = t->view.dtype == TW_F32 || t->view.dtype == TW_F16 || t->view.dtype == TW_BF16 ||
                t->view.dtype == TW_F64;
    return t->is_constant || !real || t->view.n_dims == 0 || tw_onnx_is(t->name, "t.mask");
}

static tw_status add_named(naming *n, tw_tensor_list *out, const tw_onnx_tensor *t) {
    tw_tensor view = t->view;
    tw_onnx_string name = t->name;
    char shape[96];
    if (is_constant(t)) return TW_OK;
    if (is_anonymous(name))
        return tw_fail(n->err, TW_ERR_UNSUPPORTED,
                       "tensor '%.*s' %s has no name, and its place in the graph is none of "
                       "Chinese-CLIP's",
                       TW_ONNX_SHOWN(name),
                       tw_shape_text(view.n_dims, view.shape, shape, sizeof shape));
    if (tw_onnx_ends(name, ".T") && view.n_dims == 2) {
        name.n -= 2;
        view = tw_tensor_transpose(&view);
    }
    /* [1, 1, W] in our exports. */
    if (tw_onnx_is(name, "v.class_embd") && view.n_dims == 3) {
        view.n_dims = 1;
        view.shape[0] = (int64_t)tw_tensor_elements(&t->view);
        tw_tensor_set_c_order(&view);
    }
    return add(n, out, name, "", &view);
}

static tw_status add_tensor(naming *n, tw_tensor_list *out, size_t i) {
    const tw_onnx_tensor *t = &n->g->tensors[i];
    const label *l = &n->labels[i];
    tw_tensor view = t->view;
    char name[96];
    switch (l->kind) {
    case MATRIX:
        if (view.n_dims != 2)
            return tw_fail(n->err, TW_ERR_FORMAT, "tensor '%.*s' has %d extents, expected 2",
                           TW_ONNX_SHOWN(t->name), view.n_dims);
        view = tw_tensor_transpose(&view);
        return add(n, out, l->stem, "weight", &view);
    case CONV:
        conv_name(l->at, false, name);
        return add(n, out, (tw_onnx_string){name, strlen(name)}, "weight", &view);
    case CONV_BIAS:
        conv_name(l->at, true, name);
        return add_batch_norm(n, out, (tw_onnx_string){name, strlen(name)}, false, &view);
    case NAMED_BIAS:
        return add_batch_norm(n, out, l->stem, true, &view);
    case AS_NAMED:
        break;
    }
    return add_named(n, out, t);
}

tw_status tw_onnx_name_weights(const tw_onnx_graph *g, tw_tensor_list *out, tw_error *err) {
    naming n = {g, calloc(g->n_tensors + 1, sizeof(label)), err};
    if (!n.labels) return tw_fail_no_memory(err, g->n_tensors * sizeof(label));
    tw_status status;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (tw_onnx_is(g->nodes[i].op, "Add")) TW_CHECK(name_matrix(&n, &g->nodes[i]));
        if (tw_onnx_is(g->nodes[i].op, "Conv")) TW_CHECK(name_own_bias(&n, &g->nodes[i]));
    }
    TW_CHECK(name_resnet(&n));
    for (size_t i = 0; i < g->n_tensors; i++)
        TW_CHECK(add_tensor(&n, out, i));
done:
    free(n.labels);
    return status;
}
