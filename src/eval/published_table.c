/* Figures of READMEs and manuals. Sources: Chinese-CLIP README.md and deployment.md; the page of
 * Hugging Face's OFA-Sys/chinese-clip-vit-base-patch16; OpenAI CLIP README.md; SOPHON's
 * sophon-demo sample/CLIP. Tolerances are of probabilities. The four Chinese-CLIP sources lie up to
 * 1.8e-3 apart: 1.3e-4 between PyTorch's weights (rounded through f16 when they are loaded by name)
 * and Hugging Face's (not rounded), the rest between f32 and f16 computing. Rounded as PyTorch's, a
 * model does the same sums in another order: a cosine off by 1e-6 moves a logit by 1e-4, and a
 * probability p by p (1 - p) of that, here 5e-6; ten times that is allowed, the figures having been
 * printed on a GPU. */
#include "eval/published.h"

#define F16_WEIGHTS "weights rounded through f16 when loaded, computed in f32"
#define F32_WEIGHTS "weights in f32, five digits printed"
#define F16_COMPUTED "computed in f16, logits times exactly 100"

const tw_published_example tw_published_examples[] = {
    {
        .name = "chinese-clip-vit-b-16",
        .model = "Chinese-CLIP ViT-B-16",
        .embed_dim = 512,
        .image_size = 224,
        .patch_size = 16,
        .width = 768,
        .n_layers = 12,
        .text_width = 768,
        .text_layers = 12,
        .text_kind = TW_TEXT_BERT,
        .picture = "pokemon.jpeg",
        .where = "github.com/OFA-Sys/Chinese-CLIP, examples/pokemon.jpeg",
        .sha256 = "0ad09b846ccfcee616c03fa8da9c55caa0613b9fd33b7711629846403ae21bb0",
        .recipe = "chinese-clip",
        .pixels_sha256 = "1c9bd029c31b58f8d1b5c2b79449eee82c1c9bbf80f83b064b7754c74156ac0f",
        .texts = {"杰尼龟", "妙蛙种子", "小火龙", "皮卡丘"},
        .sources =
            {
                {"PyTorch, README",
                 {1.268734e-03, 5.436878e-02, 6.795761e-04, 9.436829e-01},
                 3e-4,
                 F16_WEIGHTS,
                 5e-5},
                {"Hugging Face",
                 {1.2686e-03, 5.4499e-02, 6.7968e-04, 9.4355e-01},
                 3e-4,
                 F32_WEIGHTS},
                {"ONNX fp16", {1.2252e-03, 5.2874e-02, 6.7116e-04, 9.4523e-01}, 3e-3, F16_COMPUTED},
                {"TensorRT fp16",
                 {1.2475e-03, 5.3037e-02, 6.7583e-04, 9.4504e-01},
                 3e-3,
                 F16_COMPUTED},
            },
    },
    {
        .name = "openai-vit-b-32",
        .model = "OpenAI CLIP ViT-B/32",
        .embed_dim = 512,
        .image_size = 224,
        .patch_size = 32,
        .width = 768,
        .n_layers = 12,
        .text_width = 512,
        .text_layers = 12,
        .text_kind = TW_TEXT_CLIP,
        .picture = "CLIP.png",
        .where = "github.com/openai/CLIP, CLIP.png",
        .sha256 = "308a3ca4503f1c7a07803916c369d78c4ef501e5ab7fc727da9b5e1d2f9ec85b",
        .recipe = "openai",
        .pixels_sha256 = "c96d5fbf8273c7bea132e34850cece46b2b4a3f976fe50c1e9855f55495eddce",
        .texts = {"a diagram", "a dog", "a cat"},
        .sources =
            {
                {"PyTorch, README",
                 {0.9927937, 0.00421068, 0.00299572},
                 2e-3,
                 "f16 weights; it is not said whether computed in f16 or f32"},
                {"SOPHON BM1684X",
                 {0.99867, 0.00049822, 0.00083347},
                 1e-2,
                 "computed in f16, picture resized in another way"},
            },
    },
};
const size_t tw_n_published_examples = sizeof tw_published_examples / sizeof *tw_published_examples;
