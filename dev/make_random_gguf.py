#!/usr/bin/env python3
"""A Chinese-CLIP ViT-B/16 with RoBERTa-base at full size and random weights, by `tuwen convert`: what dev/bench_peers.py
times when no model is given. Needs numpy and nothing else.

    dev/make_random_gguf.py OUT.gguf [--tuwen build/tuwen] [--seed 1]

Weights are spread as the model's own classes initialise them, norms near 1 and biases near 0 but none exactly."""
import argparse
import json
import pathlib
import struct
import subprocess
import tempfile

import numpy as np

WIDTH, MLP, LAYERS, EMBED, VOCAB = 768, 3072, 12, 512, 21128


def shapes():
    """(name, shape, mean, standard deviation)"""
    def norm(name):
        return [(name + ".weight", [WIDTH], 1, 0.1), (name + ".bias", [WIDTH], 0, 0.1)]

    def linear(name, rows, columns, std):
        return [(name + ".weight", [rows, columns], 0, std), (name + ".bias", [rows], 0, 0.05)]

    v, scale = "visual.", WIDTH**-0.5
    yield v + "conv1.weight", [WIDTH, 3, 16, 16], 0, 0.02
    yield v + "class_embedding", [WIDTH], 0, scale
    yield v + "positional_embedding", [197, WIDTH], 0, scale
    yield from norm(v + "ln_pre") + norm(v + "ln_post")
    yield v + "proj", [WIDTH, EMBED], 0, scale
    for i in range(LAYERS):
        b = f"{v}transformer.resblocks.{i}."
        yield b + "attn.in_proj_weight", [3 * WIDTH, WIDTH], 0, scale
        yield b + "attn.in_proj_bias", [3 * WIDTH], 0, 0.05
        yield from linear(b + "attn.out_proj", WIDTH, WIDTH, scale * (2 * LAYERS)**-0.5)
        yield from norm(b + "ln_1") + norm(b + "ln_2") + linear(b + "mlp.c_fc", MLP, WIDTH, (2 * WIDTH)**-0.5)
        yield from linear(b + "mlp.c_proj", WIDTH, MLP, scale * (2 * LAYERS)**-0.5)
    e = "bert.embeddings."
    yield e + "word_embeddings.weight", [VOCAB, WIDTH], 0, 0.02
    yield e + "position_embeddings.weight", [512, WIDTH], 0, 0.02
    yield e + "token_type_embeddings.weight", [2, WIDTH], 0, 0.02
    yield from norm(e + "LayerNorm")
    for i in range(LAYERS):
        b = f"bert.encoder.layer.{i}."
        for name in "query", "key", "value":
            yield from linear(f"{b}attention.self.{name}", WIDTH, WIDTH, 0.02)
        yield from linear(b + "attention.output.dense", WIDTH, WIDTH, 0.02) + norm(b + "attention.output.LayerNorm")
        yield from linear(b + "intermediate.dense", MLP, WIDTH, 0.02)
        yield from linear(b + "output.dense", WIDTH, MLP, 0.02) + norm(b + "output.LayerNorm")
    yield "text_projection", [WIDTH, EMBED], 0, scale
    yield "logit_scale", [], float(np.log(100)), 0


def write_safetensors(path, tensors, rng):
    header, offset = {}, 0
    for name, shape, _, _ in tensors:
        n_bytes = 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, mean, std in tensors:
            file.write((rng.standard_normal(shape, np.float32) * np.float32(std) + np.float32(mean)).astype("<f4").tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tuwen", default="build/tuwen")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        checkpoint = pathlib.Path(folder) / "random-vit-b-16.safetensors"
        write_safetensors(checkpoint, list(shapes()), np.random.default_rng(args.seed))
        subprocess.run([args.tuwen, "convert", checkpoint, "-o", args.out, "--arch", "ViT-B-16"], check=True)


if __name__ == "__main__":
    main()
