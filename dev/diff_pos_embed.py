#!/usr/bin/env python3
"""Compares `tuwen convert --resolution` with torch's F.interpolate as Chinese-CLIP, open_clip and
transformers call it, on random position tables of many sizes. Prints the largest difference of
each convention and the pair of grids it occurred at; tables are standard normal numbers.

usage: python3 dev/diff_pos_embed.py TUWEN        (needs torch, gguf)
"""
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
import torch.nn.functional as F

WIDTH, PATCH = 16, 2
FROM = [1, 2, 3, 4, 7, 10, 14, 16, 24, 32]
TO = [1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 16, 18, 24, 32, 37, 64]
ORIGINALS = {
    "chinese-clip": {"align_corners": True},
    "open-clip": {"align_corners": False, "antialias": True},
    "hugging-face": {"align_corners": False},
}


def checkpoint(grid, generator):
    def t(*shape):
        return torch.randn(*shape, generator=generator)

    block = "visual.transformer.resblocks.0."
    s = {"logit_scale": torch.tensor(1.0), "visual.class_embedding": t(WIDTH),
         "visual.positional_embedding": t(grid * grid + 1, WIDTH), "visual.conv1.weight": t(WIDTH, 3, PATCH, PATCH),
         block + "attn.in_proj_weight": t(3 * WIDTH, WIDTH), block + "attn.in_proj_bias": t(3 * WIDTH),
         block + "attn.out_proj.weight": t(WIDTH, WIDTH), block + "attn.out_proj.bias": t(WIDTH),
         block + "mlp.c_fc.weight": t(4 * WIDTH, WIDTH), block + "mlp.c_fc.bias": t(4 * WIDTH),
         block + "mlp.c_proj.weight": t(WIDTH, 4 * WIDTH), block + "mlp.c_proj.bias": t(WIDTH),
         "visual.proj": t(WIDTH, WIDTH)}
    for name in ("visual.ln_pre", "visual.ln_post", block + "ln_1", block + "ln_2"):
        s |= {name + ".weight": t(WIDTH), name + ".bias": t(WIDTH)}
    return s


def expected(table, to, how):
    grid = int((len(table) - 1) ** 0.5)
    cells = table[1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    cells = F.interpolate(cells, size=(to, to), mode="bicubic", **ORIGINALS[how])
    return torch.cat([table[:1], cells.permute(0, 2, 3, 1).reshape(to * to, -1)]).numpy()


def converted(tuwen, source, to, how, target):
    subprocess.run([tuwen, "convert", source, "-o", target, "--vision-only", "--head-width", "4", "--no-hash",
                    "--resolution", str(to * PATCH), "--pos-embed", how], check=True, capture_output=True)
    reader = gguf.GGUFReader(target)
    return next(np.array(t.data) for t in reader.tensors if t.name == "v.position_embd.weight")


def main():
    generator = torch.Generator().manual_seed(7)
    worst = {how: (-1.0, (0, 0)) for how in ORIGINALS}
    pairs = 0
    with tempfile.TemporaryDirectory() as folder:
        source, target = str(pathlib.Path(folder) / "m.pt"), str(pathlib.Path(folder) / "m.gguf")
        for grid in FROM:
            state = checkpoint(grid, generator)
            torch.save(state, source)
            for to in TO:
                if to == grid:
                    continue
                pairs += 1
                for how in ORIGINALS:
                    want = expected(state["visual.positional_embedding"], to, how)
                    got = converted(sys.argv[1], source, to, how, target)
                    assert got.shape == want.shape, (got.shape, want.shape)
                    worst[how] = max(worst[how], (float(np.abs(got - want).max()), (grid, to)))
    print(f"torch {torch.__version__}, {pairs} pairs of grids")
    for how, (difference, pair) in worst.items():
        print(f"{how:14s} largest difference {difference:.3g} ({pair[0]} x {pair[0]} to {pair[1]} x {pair[1]})")
    sys.exit(max(d for d, _ in worst.values()) > 1e-5)


main()
