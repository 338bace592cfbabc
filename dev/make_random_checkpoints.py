#!/usr/bin/env python3
"""Makes architectures at full size with random weights, and what the original code computes with
them.

    dev/make_random_checkpoints.py --out FOLDER [ARCH ...] [--seed 1] [--double]

ARCH is RN50, ViT-B-16, ViT-L-14, ViT-L-14-336 or ViT-H-14 (Chinese-CLIP, the default is these
five), or fine-tuned-, openai-, openai-state-, open_clip-, hf- or hf-chinese- before a name of theirs
(dev/random_models.py). For each it writes to OUT/ARCH/:

    checkpoint.pt …      as the source of such weights stores them, with its configuration
    case.json            the checkpoint's file name, the tokenizer's and the texts
    pixels.npy           f32 [3, 3, R, R], three pictures of noise, normalised
    picture.png          one of them, 480 x 360, and picture.npy, what the original makes of it
    ids.npy              i64 [5, L], five texts
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
from PIL import Image
from torch import nn

from random_models import CHINESE, MEAN, STD, build, half_names


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


def features(original, images, ids):
    """One at a time, which takes less memory; the rows of a batch do not depend on each other."""
    image = torch.cat([original.image(images[i:i + 1]) for i in range(len(images))])
    text = torch.cat([original.text(ids[i:i + 1]) for i in range(len(ids))])
    return {"image_features": image.numpy(), "text_features": text.numpy()}


def picture(original, generator, out):
    """Wider than high, where all versions of Pillow resize alike."""
    transform = original.transform()
    if not transform:
        return {}
    grains = torch.randint(0, 256, (60, 80, 3), generator=generator, dtype=torch.uint8).numpy()
    whole = Image.fromarray(grains.repeat(6, 0).repeat(6, 1))
    whole.save(out / "picture.png")
    return {"picture": transform(whole).numpy()}


def report(arch, model, arrays, seconds):
    n_parameters = sum(p.numel() for p in model.parameters())
    scales = ", ".join(f"{k[:-9]} max {np.abs(arrays[k]).max():.3f} std {arrays[k].std():.3f}"
                       for k in ("image_features", "text_features"))
    print(f"{arch}: {n_parameters} parameters, {scales}, {seconds:.0f} s", flush=True)
    for k in ("image_features", "text_features"):
        if f"{k}_f64" in arrays:
            error = np.abs(arrays[k] - arrays[f"{k}_f64"]).max() / np.abs(arrays[f"{k}_f64"]).max()
            print(f"{arch}: {k} f32 against f64: {error:.2e} of the largest", flush=True)


@torch.no_grad()
def make(arch, out, seed, double):
    start = time.monotonic()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    original = build(arch)
    model, resolution = original.model, original.resolution
    randomise(model, generator)
    if original.half:
        for name in half_names(model):
            parameter = model.get_parameter(name)
            parameter.copy_(parameter.half())
    set_running_statistics(model, resolution, generator)
    model.eval()

    images = pixels(3, resolution, generator)
    out.mkdir(parents=True, exist_ok=True)
    arrays = {"pixels": images.numpy(), "ids": original.ids.numpy(),
              **picture(original, generator, out), **features(original, images, original.ids)}
    case = {"checkpoint": original.save(out), "tokenizer": original.tokenizer,
            "texts": original.texts, "options": list(original.options)}
    (out / "case.json").write_text(json.dumps(case, ensure_ascii=False, indent=1))
    if double:
        if original.module:  # its own LayerNorm rounds to f32
            original.module.LayerNorm.forward = nn.LayerNorm.forward
        model.double()
        arrays.update({f"{name}_f64": value for name, value
                       in features(original, images.double(), original.ids).items()})
    for name, array in arrays.items():
        np.save(out / f"{name}.npy", array)
    report(arch, model, arrays, time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arch", nargs="*", help="default: Chinese-CLIP's five")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--double", action="store_true", help="also f64 features")
    options = parser.parse_args()
    for arch in options.arch or CHINESE:
        make(arch, options.out / arch, options.seed, options.double)
        gc.collect()


if __name__ == "__main__":
    main()
