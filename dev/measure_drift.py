#!/usr/bin/env python3
"""Measures how far features move, and what that does to a search, when pictures are prepared in
another way or weights and features are stored in fewer bits.

    dev/measure_drift.py --checkpoint demo/clip_cn_demo-vit-ti-16.pt --arch V.json,T.json
                         --pictures flickr8k-125.tar --captions flickr8k-125.captions.jsonl
                         [--tuwen build/tuwen]

The features of the pictures by the model's own recipe are the standing collection. Each variant
gives the same pictures again. Printed for each: the smallest and the mean cosine between the two
features of a picture; of the captions, how many have another best picture in a collection made of
the variant's features alone; the share of the ten best that both collections give; recall at 1, 5
and 10 in the standing collection, in the variant's, and in one where every second picture has the
variant's feature.
"""
import argparse
import io
import json
import pathlib
import subprocess
import tarfile
import tempfile

import numpy as np
from PIL import Image

RECIPES = {
    "resampler 13": ["--resampler", "13"],
    "bilinear": ["--interpolation", "bilinear"],
    "short side and crop (squash is right)": ["--resize-mode", "shortest"],
    "padded to a square": ["--resize-mode", "longest"],
    "mean and std 0.5": ["--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"],
}
WEIGHTS = {"weights f16 (they are f16 in the checkpoint)": "f16", "weights bf16": "bf16"}


class Bench:
    def __init__(self, options, work):
        self.o, self.work = options, work
        self.model = self.convert("f32")
        self.pictures = [m.name for m in tarfile.open(options.pictures) if m.isfile()]
        rows = [json.loads(line) for line in options.captions.read_text("utf-8").splitlines()]
        place = {pathlib.Path(name).name: i for i, name in enumerate(self.pictures)}
        self.truth = np.array([place[row["file"]] for row in rows])
        texts = work / "texts.jsonl"
        texts.write_text("".join(json.dumps({"text": row["text"]}, ensure_ascii=False) + "\n"
                                 for row in rows), encoding="utf-8")
        self.texts = self.embed(self.model, "--texts", texts, "--eval-quotes")
        self.standing = self.embed(self.model, options.pictures)

    def run(self, *arguments):
        subprocess.run([str(a) for a in (self.o.tuwen, *arguments)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def convert(self, precision):
        out = self.work / f"{precision}.gguf"
        arch = ["--arch", self.o.arch] if self.o.arch else []
        self.run("convert", self.o.checkpoint, *arch, "--precision", precision, "-o", out)
        return out

    def embed(self, model, *arguments):
        out = self.work / "features.npy"
        self.run("embed", "-m", model, *arguments, "-o", out)
        return np.load(out)

    def ranks(self, gallery):
        order = np.argsort(-(self.texts @ gallery.T), axis=1, kind="stable")
        return order, (order == self.truth[:, None]).argmax(1)

    def recall(self, gallery):
        _, rank = self.ranks(gallery)
        return " / ".join(f"{100 * (rank < k).mean():.1f}" for k in (1, 5, 10))

    def report(self, name, features):
        mixed = np.where((np.arange(len(features)) % 2 == 0)[:, None], self.standing, features)
        cosine = (self.standing * features).sum(1) / np.linalg.norm(features, axis=1)
        old, new = self.ranks(self.standing)[0], self.ranks(features)[0]
        overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(old[:, :10], new[:, :10])])
        changed = int((old[:, 0] != new[:, 0]).sum())
        print(f"| {name} | {cosine.min():.6f} | {cosine.mean():.6f} | {changed} of {len(old)} | "
              f"{100 * overlap:.1f} % | {self.recall(features)} | {self.recall(mixed)} |", flush=True)


def rewritten(bench, name, change):
    """A folder with every picture changed, in the order of the archive."""
    folder = bench.work / name
    folder.mkdir()
    with tarfile.open(bench.o.pictures) as tar:
        for i, member in enumerate(bench.pictures):
            change(Image.open(io.BytesIO(tar.extractfile(member).read())), folder / f"{i:06d}")
    return folder


def thumbnail(picture, path):
    picture.thumbnail((256, 256), Image.Resampling.BICUBIC)
    picture.save(path.with_suffix(".jpg"), quality=85)


def with_alpha(picture, path):
    """Opaque in the middle, transparent towards the edges."""
    y, x = np.mgrid[-1:1:picture.height * 1j, -1:1:picture.width * 1j]
    alpha = (255 * np.clip(1.5 - np.hypot(x, y) * 1.5, 0, 1)).astype(np.uint8)
    picture = picture.convert("RGB")
    picture.putalpha(Image.fromarray(alpha))
    picture.save(path.with_suffix(".png"))


def bf16(a):
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)


def int8(a):
    scale = np.abs(a).max(1, keepdims=True) / 127
    return np.round(a / scale) * scale


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--arch", help="as of tuwen convert")
    parser.add_argument("--pictures", type=pathlib.Path, required=True)
    parser.add_argument("--captions", type=pathlib.Path, required=True)
    parser.add_argument("--tuwen", default="build/tuwen")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(options, pathlib.Path(work))
        print(f"{len(bench.standing)} pictures, {len(bench.texts)} captions; standing collection: "
              f"recall {bench.recall(bench.standing)}")
        print("| variant | cosine, min | mean | best picture changes | ten best shared | "
              "recall at 1 / 5 / 10 | mixed |\n|---|---|---|---|---|---|---|")
        for name, arguments in RECIPES.items():
            bench.report(name, bench.embed(bench.model, options.pictures, *arguments))
        for name, precision in WEIGHTS.items():
            bench.report(name, bench.embed(bench.convert(precision), options.pictures))
        for name, change in [("features stored f16", lambda a: a.astype(np.float16)),
                             ("features stored bf16", bf16), ("features stored int8", int8)]:
            bench.report(name, change(bench.standing).astype(np.float32))
        bench.report("thumbnails of 256, JPEG 85",
                     bench.embed(bench.model, rewritten(bench, "thumbnails", thumbnail)))
        bench.standing = bench.embed(bench.model, rewritten(bench, "palette", lambda p, path: p
                                     .quantize(256).save(path.with_suffix(".png"))))
        bench.report("256 colours, RGB first (after is right)",
                     bench.embed(bench.model, bench.work / "palette", "--rgb-first"))
        bench.standing = bench.embed(bench.model, rewritten(bench, "alpha", with_alpha))
        bench.report("transparent edges, RGB first (after is right)",
                     bench.embed(bench.model, bench.work / "alpha", "--rgb-first"))


if __name__ == "__main__":
    main()
