#!/usr/bin/env python3
"""Makes a checkpoint of Chinese-CLIP that computes the same and is harder to quantise.

    dev/rescale_channels.py CHECKPOINT.pt OUT.pt [--share 0.03] [--seed 1]

In every block of the ViT a few channels behind each LayerNorm, and in every block of both towers a few
values of the attention, are made 32 or 64 times larger, and the matrix that reads them as much
smaller in these columns: powers of two, exact in f16. See docs/SPEED.md, "int8"."""
import argparse
import re

import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--share", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    weights = checkpoint["state_dict"]

    def factors(n):
        s = torch.ones(n)
        chosen = torch.randperm(n, generator=generator)[: max(1, int(n * options.share))]
        s[chosen] = 2.0 ** torch.randint(5, 7, (len(chosen),), generator=generator)
        return s

    def rows(name, s, first=0):
        part = weights[name][first : first + len(s)]
        part.copy_(part.float() * s.reshape(-1, *[1] * (part.dim() - 1)))

    def columns(name, s):
        weights[name].copy_(weights[name].float() / s)

    n = 0
    for name in sorted(weights):
        block = re.match(r"(.*visual\.transformer\.resblocks\.\d+\.)ln_1\.weight$", name)
        if block:
            p, w, n = block[1], len(weights[name]), n + 1
            for norm, reader in (("ln_1", "attn.in_proj_weight"), ("ln_2", "mlp.c_fc.weight")):
                s = factors(w)
                rows(f"{p}{norm}.weight", s), rows(f"{p}{norm}.bias", s), columns(p + reader, s)
            s = factors(w)
            rows(p + "attn.in_proj_weight", s, 2 * w), rows(p + "attn.in_proj_bias", s, 2 * w)
            columns(p + "attn.out_proj.weight", s)
        layer = re.match(r"(.*encoder\.layer\.\d+\.attention\.)self\.value\.weight$", name)
        if layer:
            s, n = factors(len(weights[name])), n + 1
            rows(name, s), rows(layer[1] + "self.value.bias", s)
            columns(layer[1] + "output.dense.weight", s)
    torch.save(checkpoint, options.out)
    print(f"{n} blocks rescaled")


if __name__ == "__main__":
    main()
