/* Work of a tower: multiply-adds of its matrix products, convolutions and attention, two operations
 * each. What else there is (norms, activations, softmax) is below a hundredth and not counted. */
#include "tuwen/model.h"

/* A transformer of `n_layers` blocks over n rows of width w. */
static double transformer(double n_layers, double n, double w, double mlp) {
    double projections = 4 * n * w * w, attention = 2 * n * n * w, mlps = 2 * n * w * mlp;
    return 2 * n_layers * (projections + attention + mlps);
}

static double vit(const tw_vision_config *v, double embed_dim) {
    double w = v->width, p = v->patch_size, grid = v->image_size / v->patch_size;
    double patches = grid * grid, patch_embedding = 2 * patches * 3 * p * p * w;
    return patch_embedding + transformer(v->n_layers, patches + 1, w, v->mlp_width) +
           2 * w * embed_dim;
}

/* A convolution of k x k that gives h x h x out. */
static double convolution(double k, double in, double out, double h) {
    return 2 * k * k * in * out * h * h;
}

/* Source: OpenAI CLIP clip/model.py ModifiedResNet: a stem of three, strides by average pooling
 * after the 3 x 3 convolution, an attention pool whose query is the mean. */
static double resnet(const tw_vision_config *v, double embed_dim) {
    double w = v->width, side = v->image_size / 2.0, in = w, sum = 0;
    sum += convolution(3, 3, w / 2, side) + convolution(3, w / 2, w / 2, side) +
           convolution(3, w / 2, w, side);
    side /= 2;
    for (int stage = 0; stage < 4; stage++) {
        double planes = w * (1 << stage), out = 4 * planes;
        for (int i = 0; i < v->stages[stage]; i++) {
            double after = stage > 0 && i == 0 ? side / 2 : side;
            sum += convolution(1, in, planes, side) + convolution(3, planes, planes, side) +
                   convolution(1, planes, out, after);
            if (i == 0) sum += convolution(1, in, out, after);
            side = after;
            in = out;
        }
    }
    double rows = side * side + 1;
    return sum + 2 * (2 * rows * in * in + in * in + in * embed_dim + 2 * rows * in);
}

double tw_arch_image_flop(const tw_arch *arch) {
    return arch->vision.kind == TW_VISION_VIT      ? vit(&arch->vision, arch->embed_dim)
           : arch->vision.kind == TW_VISION_RESNET ? resnet(&arch->vision, arch->embed_dim)
                                                   : 0;
}

double tw_arch_text_flop(const tw_arch *arch, int32_t n_tokens) {
    const tw_text_config *t = &arch->text;
    if (t->kind == TW_TEXT_NONE) return 0;
    return transformer(t->n_layers, n_tokens, t->width, t->mlp_width) +
           2.0 * t->width * arch->embed_dim;
}
