#!/usr/bin/env python3
"""Makes the five released Chinese-CLIP architectures at full size with random weights, and what
the original code computes with them.

    dev/make_random_checkpoints.py --out FOLDER [ARCH ...] [--seed 1] [--double]

For each of RN50, ViT-B-16, ViT-L-14, ViT-L-14-336 and ViT-H-14 it writes to OUT/ARCH/:

    checkpoint.pt        {"epoch", "step", "name", "state_dict"}, f32, names with "module."
    pixels.npy           f32 [3, 3, R, R], three pictures of noise, normalised
    ids.npy              i64 [5, 52], five texts
    image_features.npy   f32 [3, E], original f32 features on the CPU, not normalised
    text_features.npy    f32 [5, E]
    *_features_f64.npy   with --double: the same computed in f64 from the same weights

Matrices and convolutions are as the model's own class initialises them. Norms and biases, which
that leaves at 1 and 0 (and the last norm of each bottleneck at 0), are random, so that a forgotten
one cannot hide; running statistics are those of random pictures, disturbed.
"""
import argparse
import gc
import json
import pathlib
import time

import numpy as np
import torch
from torch import nn

import cn_clip.clip as clip
from cn_clip.clip import model as clip_model

# The pairs of configuration files of cn_clip/clip/utils.py, _MODEL_INFO.
ARCHITECTURES = {
    "RN50": ("RN50", "RBT3-chinese"),
    "ViT-B-16": ("ViT-B-16", "RoBERTa-wwm-ext-base-chinese"),
    "ViT-L-14": ("ViT-L-14", "RoBERTa-wwm-ext-base-chinese"),
    "ViT-L-14-336": ("ViT-L-14-336", "RoBERTa-wwm-ext-base-chinese"),
    "ViT-H-14": ("ViT-H-14", "RoBERTa-wwm-ext-large-chinese"),
}
TEXTS = ["杰尼龟", "一只皮卡丘的照片", "iPhone 13 Pro Max 手机壳", "the quick brown fox, 2023!",
         "在一个阳光明媚的早晨，孩子们在公园的草地上放风筝，老人们坐在长椅上聊天，远处的湖面波光粼粼，"
         "几只白鹭飞过。"]
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def build(arch):
    folder = pathlib.Path(clip.__file__).parent / "model_configs"
    config = {}
    for name in ARCHITECTURES[arch]:
        config.update(json.loads((folder / f"{name}.json").read_text()))
    if isinstance(config["vision_layers"], str):
        config["vision_layers"] = json.loads(config["vision_layers"])
    return clip_model.CLIP(**config), config["image_resolution"]


def randomise(model, generator):
    """Norms near 1, biases near 0, none exactly."""
    def normal(tensor, mean, std):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * std + mean)

    for name, module in model.named_modules():
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            # The residual branch of a bottleneck is kept smaller than its trunk.
            normal(module.weight, 0.4 if name.endswith("bn3") and ".layer" in name else 1.0, 0.1)
            normal(module.bias, 0.0, 0.1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias") and not any(n in name for n in ("ln_", "LayerNorm", "bn")):
            normal(parameter, 0.0, 0.05)
    model.logit_scale.fill_(float(np.log(100.0)))  # what the released files have: 4.6052


def set_running_statistics(model, resolution, generator):
    """Those of a random batch, moved by a tenth, so that no activation dies or explodes."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return
    model.train()
    for norm in norms:
        norm.momentum = 1.0
    model.encode_image(pixels(8, resolution, generator))
    for norm in norms:
        norm.momentum = 0.1
        spread = norm.running_var.sqrt()
        norm.running_mean += 0.1 * spread * torch.randn(spread.shape, generator=generator)
        norm.running_var *= 0.8 + 0.4 * torch.rand(spread.shape, generator=generator)


def pixels(n, resolution, generator):
    """Noise of a coarser grain in each picture, so that they do not all look alike to a network."""
    pictures = []
    for i in range(n):
        grain = (1, 8, 32)[i % 3]
        side = -(-resolution // grain)
        noise = torch.randint(0, 256, (1, 3, side, side), generator=generator).float() / 255
        pictures.append(noise.repeat_interleave(grain, 2).repeat_interleave(grain, 3)
                        [:, :, :resolution, :resolution])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return ((torch.cat(pictures) - mean) / std).contiguous()


def features(model, images, ids):
    """One at a time, which takes less memory; the rows of a batch do not depend on each other."""
    image = torch.cat([model.encode_image(images[i:i + 1]) for i in range(len(images))])
    text = torch.cat([model.encode_text(ids[i:i + 1]) for i in range(len(ids))])
    return {"image_features": image.numpy(), "text_features": text.numpy()}


@torch.no_grad()
def make(arch, out, seed, double):
    start = time.monotonic()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model, resolution = build(arch)
    randomise(model, generator)
    set_running_statistics(model, resolution, generator)
    model.eval()

    images = pixels(3, resolution, generator)
    ids = clip.tokenize(TEXTS)
    out.mkdir(parents=True, exist_ok=True)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "step": 1000, "name": f"random-{arch}", "state_dict": state},
               out / "checkpoint.pt")
    arrays = {"pixels": images.numpy(), "ids": ids.numpy(), **features(model, images, ids)}
    if double:
        clip_model.LayerNorm.forward = nn.LayerNorm.forward  # its own rounds to f32
        model.double()
        arrays.update({f"{name}_f64": value
                       for name, value in features(model, images.double(), ids).items()})
    for name, array in arrays.items():
        np.save(out / f"{name}.npy", array)

    n_parameters = sum(p.numel() for p in model.parameters())
    scales = ", ".join(f"{k[:-9]} max {np.abs(arrays[k]).max():.3f} std {arrays[k].std():.3f}"
                       for k in ("image_features", "text_features"))
    seconds = time.monotonic() - start
    print(f"{arch}: {n_parameters} parameters, {scales}, {seconds:.0f} s", flush=True)
    if double:
        for k in ("image_features", "text_features"):
            error = np.abs(arrays[k] - arrays[f"{k}_f64"]).max() / np.abs(arrays[f"{k}_f64"]).max()
            print(f"{arch}: {k} f32 against f64: {error:.2e} of the largest", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arch", nargs="*", choices=[*ARCHITECTURES, []], help="default: all five")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--double", action="store_true", help="also f64 features")
    options = parser.parse_args()
    for arch in options.arch or ARCHITECTURES:
        make(arch, options.out / arch, options.seed, options.double)
        gc.collect()


if __name__ == "__main__":
    main()
