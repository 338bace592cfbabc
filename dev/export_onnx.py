#!/usr/bin/env python3
"""Exports a Chinese-CLIP checkpoint to two ONNX files with a dynamic batch, for dev/bench_peers.py.
usage: export_onnx.py CHECKPOINT VISION_MODEL TEXT_MODEL OUT_PREFIX   e.g. ViT-B-16 RoBERTa-wwm-ext-base-chinese"""
import json
import sys
from pathlib import Path

import cn_clip.clip as clip
import torch
from cn_clip.clip.model import CLIP


def load(checkpoint, vision, text):
    configs = Path(clip.__file__).parent / "model_configs"
    info = json.loads((configs / f"{vision}.json").read_text())
    info.update(json.loads((configs / f"{text}.json").read_text()))
    if isinstance(info["vision_layers"], str):
        info["vision_layers"] = json.loads(info["vision_layers"])
    model = CLIP(**info).float().eval()
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    model.load_state_dict({k.removeprefix("module."): v.float() if v.is_floating_point() else v
                           for k, v in state.items() if "bert.pooler" not in k})
    return model, info["image_resolution"]


class Tower(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def export(model, resolution, prefix):
    pixels, ids = torch.zeros(1, 3, resolution, resolution), torch.zeros(1, 52, dtype=torch.int64)
    ids[0, :2] = torch.tensor([101, 102])
    for kind, module, sample in (("img", model.visual, pixels), ("txt", model, ids)):
        tower = module if kind == "img" else Tower(model.encode_text)
        if kind == "txt":
            tower.add_module("model", model)
        torch.onnx.export(tower, (sample,), f"{prefix}.{kind}.fp32.onnx", opset_version=17, dynamo=False,
                          input_names=["image" if kind == "img" else "text"],
                          output_names=["features"],
                          dynamic_axes={"image" if kind == "img" else "text": {0: "batch", **({} if kind == "img" else {1: "length"})},
                                        "features": {0: "batch"}})
        print(f"{prefix}.{kind}.fp32.onnx")


if __name__ == "__main__":
    with torch.no_grad():
        export(*load(*sys.argv[1:4]), sys.argv[4])
