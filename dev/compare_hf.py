#!/usr/bin/env python3
"""Compares tuwen with transformers on small random folders: features, token ids and pixels.

    dev/compare_hf.py [--tuwen build/tuwen] [--pictures FOLDER]    (dev/requirements-hf.txt)

Writes folders of ChineseCLIPModel and CLIPModel with varied settings (activations, epsilons, sizes,
keys left to the defaults, *_config_dict, image processors, shards), converts each with no option, and
prints for each the largest difference of a feature over the largest magnitude, and whether all
pixels and ids are equal. Pixels are asked of the installed Pillow's resampler; pictures are converted
to RGB by Pillow before, as transformers 4 did (5 puts transparent ones on white).
Exit status 0 when all features are within 1e-5 and all else is equal.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import PIL
import torch
import transformers
from PIL import Image

LIMIT = 1e-5
ROOT = pathlib.Path(__file__).parent.parent
VISION = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
          "num_attention_heads": 4, "image_size": 48, "patch_size": 16, "projection_dim": 24}
BERT = {"vocab_size": 21128, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2}
CLIP = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "projection_dim": 24}
SQUASH = {"size": {"height": 48, "width": 48}, "do_center_crop": False}
SHORTEST = {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}}

# name, Chinese?, text, vision, processor (None = no file), changes to config.json, shard size
CASES = [
    ("cn", True, {}, {}, SQUASH, {}, None),
    ("cn-gelu-image", True, {}, {"hidden_act": "gelu"}, SQUASH, {}, None),
    ("cn-quick-text", True, {"hidden_act": "quick_gelu"}, {}, SQUASH, {}, None),
    ("cn-eps", True, {"layer_norm_eps": 1e-5}, {"layer_norm_eps": 1e-3}, SQUASH, {}, None),
    ("cn-shortest", True, {}, {}, SHORTEST, {}, None),
    ("cn-bilinear", True, {}, {}, {**SQUASH, "resample": 2, "image_mean": [.5, .4, .3]}, {}, None),
    ("cn-heads", True, {"num_attention_heads": 8}, {"num_attention_heads": 2}, SQUASH, {}, None),
    ("cn-dict", True, {}, {}, SQUASH, {"dict": True}, None),
    ("cn-sharded", True, {}, {}, SQUASH, {}, "500KB"),
    ("clip", False, {}, {}, SHORTEST, {}, None),
    ("clip-gelu-text", False, {"hidden_act": "gelu"}, {}, SHORTEST, {}, None),
    ("clip-gelu-image", False, {}, {"hidden_act": "gelu"}, SHORTEST, {}, None),
    ("clip-eps", False, {"layer_norm_eps": 1e-6}, {"layer_norm_eps": 1e-4}, SHORTEST, {}, None),
    ("clip-squash", False, {}, {}, {"size": {"height": 48, "width": 48}, "crop_size": 48}, {}, None),
    ("clip-old", False, {}, {}, {"size": 48, "crop_size": 48, "resample": 2}, {}, None),
    ("clip-plain", False, {}, {}, {**SHORTEST, "do_normalize": False}, {}, None),
    ("clip-default-size", False, {}, {"image_size": 224, "patch_size": 32}, {}, {}, None),
    ("clip-dict", False, {}, {}, SHORTEST, {"dict": True}, None),
    ("clip-sharded", False, {}, {}, SHORTEST, {}, "1MB"),
]
TEXTS = ["a photo of a cat", "杰尼龟和皮卡丘", "iPhone 13 Pro Max 手机壳", "Two DOGS, one ball!"]


def drop_defaults(config, classes):
    """config.json as the hub has it: only what differs from the class's default."""
    for part, cls in classes.items():
        default = cls().to_dict()
        config[part] = {k: v for k, v in config[part].items()
                        if default.get(k) != v or k == "model_type"}


def write(folder, case):
    _, chinese, text, vision, processor, changes, shard = case
    name = "ChineseCLIP" if chinese else "CLIP"
    get = lambda suffix: getattr(transformers, name + suffix)
    torch.manual_seed(0)
    config = get("Config")(text_config={**(BERT if chinese else CLIP), **text},
                           vision_config={**VISION, **vision}, projection_dim=24)
    model = get("Model")(config).eval()
    with torch.no_grad():  # the classes' initial values are near 0: nothing would be seen
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.08)
        model.logit_scale.fill_(2.5)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    path = folder / "config.json"
    c = json.loads(path.read_text())
    drop_defaults(c, {"text_config": get("TextConfig"), "vision_config": get("VisionConfig")})
    if changes.get("dict"):  # must win over what stands in *_config
        for part in ("text_config", "vision_config"):
            c[part + "_dict"] = c[part]
            c[part] = {**c[part], "num_attention_heads": 1, "hidden_act": "gelu"}
    path.write_text(json.dumps(c))
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if chinese:
        vocab = (ROOT / "data/chinese_clip/vocab.txt").read_bytes()
        (folder / "vocab.txt").write_bytes(vocab)
    return get("Model").from_pretrained(folder).eval(), get("ImageProcessorPil").from_pretrained(folder)


def run(tuwen, *args):
    done = subprocess.run([tuwen, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


def features(out):
    out = getattr(out, "pooler_output", out)
    return out.detach().numpy()


def compare(tuwen, folder, case, pictures, resampler):
    model, processor = write(folder, case)
    gguf = folder / "m.gguf"
    run(tuwen, "convert", folder, "-o", gguf, "--no-hash")
    run(tuwen, "preprocess", "-m", gguf, "--resampler", resampler, "-o", folder / "p.npy", *pictures)
    ours = np.load(folder / "p.npy")
    theirs = np.stack([processor(Image.open(p).convert("RGB"))["pixel_values"][0] for p in pictures])
    same_pixels = np.array_equal(ours, theirs.astype(np.float32))
    chinese = case[1]
    if chinese:
        tok = transformers.BertTokenizer.from_pretrained(folder)
        ids = [tok(t)["input_ids"] for t in TEXTS]
        lines = run(tuwen, "tokenize", "-m", gguf, "--json", *sum((["--text", t] for t in TEXTS), []))
        same_ids = [json.loads(line)["ids"] for line in lines.splitlines()] == ids
    else:
        rng = np.random.default_rng(1)
        ids, same_ids = [[49406, *rng.integers(0, 49000, n), 49407] for n in (3, 9, 20, 75)], True
    width = 52 if chinese else 77
    rows = np.array([[*i, *[0] * (width - len(i))] for i in ids], dtype=np.int64)
    np.save(folder / "ids.npy", rows)
    run(tuwen, "embed", "-m", gguf, "--no-normalize", "--pixels", folder / "p.npy", "-o", folder / "i.npy")
    run(tuwen, "embed", "-m", gguf, "--no-normalize", "--ids", folder / "ids.npy", "-o", folder / "t.npy")
    mask = torch.tensor(rows != 0)
    with torch.no_grad():
        image = features(model.get_image_features(pixel_values=torch.tensor(ours)))
        text = features(model.get_text_features(input_ids=torch.tensor(rows), attention_mask=mask))
    differ = [float(np.abs(np.load(folder / f) - t).max() / np.abs(t).max())
              for f, t in (("i.npy", image), ("t.npy", text))]
    print(f"{case[0]:18} image {differ[0]:.1e}  text {differ[1]:.1e}  "
          f"pixels {'equal' if same_pixels else 'DIFFER'}  "
          f"ids {('equal' if same_ids else 'DIFFER') if chinese else '-'}", flush=True)
    return max(differ) <= LIMIT and same_pixels and same_ids


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tuwen", default=ROOT / "build/tuwen")
    parser.add_argument("--pictures", default=ROOT / "tests/data/preprocess/pictures")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    pictures = [pathlib.Path(args.pictures) / n for n in (
        "red_apple.jpg", "rgb_131x97.png", "rgb_300x500.png", "rgba_210x150.png", "p_210x150.png",
        "l_160x120.png", "jpg_cmyk_240x180.jpg", "rgb_227x225.png")]
    version = tuple(int(v) for v in PIL.__version__.split(".")[:2])
    resampler = ("13" if version >= (13, 0) else "12.2" if version >= (12, 2) else
                 "12.1" if version >= (10, 4) else "classic")
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, Pillow {PIL.__version__}")
    good = True
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            good &= compare(args.tuwen, pathlib.Path(folder), case, pictures, resampler)
    sys.exit(0 if good else 1)


main()
