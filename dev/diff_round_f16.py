#!/usr/bin/env python3
"""Compares `tuwen convert --round-f16` with Chinese-CLIP's own loading: a random f32 model is saved;
cn_clip's create_model (convert_weights, then load_state_dict) and .float() make what load_from_name
gives on a processor. The checkpoint converted with --round-f16 and that model's own state dict
converted without must be the same to the bit, tensor by tensor.

usage: python3 dev/diff_round_f16.py TUWEN        (needs torch, cn_clip, gguf)
"""
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
from cn_clip.clip.model import CLIP, convert_weights

TEXT = {"vocab_size": 21128, "text_attention_probs_dropout_prob": 0.1, "text_hidden_act": "gelu",
        "text_hidden_dropout_prob": 0.1, "text_hidden_size": 64, "text_initializer_range": 0.02,
        "text_intermediate_size": 128, "text_max_position_embeddings": 64, "text_num_attention_heads": 1,
        "text_num_hidden_layers": 2, "text_type_vocab_size": 2}
MODELS = {
    "ViT": {"embed_dim": 48, "image_resolution": 32, "vision_layers": 2, "vision_width": 128,
            "vision_patch_size": 8, "vision_head_width": 64},
    "RN": {"embed_dim": 48, "image_resolution": 64, "vision_layers": [1, 2, 1, 1], "vision_width": 64,
           "vision_patch_size": None},
}


def random_state(model, generator):
    """Numbers of many magnitudes, subnormal ones of f16 included."""
    state = {}
    for name, t in model.state_dict().items():
        if t.is_floating_point():
            scale = torch.randint(-28, 6, t.shape, generator=generator)
            t = torch.ldexp(torch.randn(t.shape, generator=generator), scale)
        state[name] = t.float().abs() if "running_var" in name else t
    return state


def tensors(path):
    return {t.name: (t.tensor_type.name, np.array(t.data).view(np.uint8).tobytes(), t.data.size)
            for t in gguf.GGUFReader(path).tensors}


def convert(tuwen, source, target, *options):
    subprocess.run([tuwen, "convert", source, "-o", target, "--no-hash", "--head-width", "64",
                    "--text-head-width", "64",
                    *options], check=True, stdout=subprocess.DEVNULL)
    return tensors(target)


def main():
    generator = torch.Generator().manual_seed(7)
    with tempfile.TemporaryDirectory() as folder:
        source, loaded, target = (str(pathlib.Path(folder) / n) for n in ("source.pt", "loaded.pt", "m.gguf"))
        for name, sizes in MODELS.items():
            state = random_state(CLIP(**sizes, **TEXT), generator)
            torch.save({"state_dict": state}, source)
            original = CLIP(**sizes, **TEXT)
            convert_weights(original)
            original.load_state_dict(state)
            halves = {n for n, t in original.state_dict().items() if t.dtype == torch.half}
            torch.save({"state_dict": original.float().state_dict()}, loaded)
            want = convert(sys.argv[1], loaded, target)
            got = convert(sys.argv[1], source, target, "--round-f16", "--precision", "f32")
            plain = convert(sys.argv[1], source, target)
            small = convert(sys.argv[1], source, target, "--round-f16")
            assert got.keys() == want.keys() == plain.keys()
            wrong = [n for n in want if got[n] != want[n]]
            changed = sum(plain[n] != want[n] for n in want)
            sixteen = sum(t == "F16" for t, _, _ in small.values())
            print(f"{name}: {len(want)} tensors, {changed} changed by rounding, {len(wrong)} differ from the "
                  f"original; {len(halves)} of its own are f16; without --precision {sixteen} are stored as f16")
            assert not wrong and changed == sixteen, wrong


main()
