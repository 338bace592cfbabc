#!/usr/bin/env python3
"""Compares libtuwen's preprocessing with the installed Pillow, bit for bit, on generated pictures.

    python dev/diff_preprocess.py [--library build/libtuwen.so] [-n 5000] [--seed 1] [--recipes 2]
                                  [--formats FORMAT ...] [--damage PERCENT] [--table] [--keep DIR]
                                  [--files PICTURE ...]

Every picture is made from the seed by dev/pictures/, in ordinary, tiny, extreme and large sizes, a
share of them damaged. It goes through some of the original pipelines (Chinese-CLIP, OpenAI,
open_clip in its three resize modes, Hugging Face, ImageFolder), here in Pillow's and numpy's calls,
at some size; uint8 and float32 must both be equal in every bit, and what one side refuses the other
must refuse. The resampler is set to that of the installed Pillow. What remains is looked up in
dev/pictures/causes.py and counted; exit status 1 if anything is left without a cause.

Prints what was covered and a line per format, mode and recipe family (--table; else per format).
--keep saves the pictures that differ. JPEG of the rarer samplings needs cjpeg of libjpeg-turbo.
"""
import argparse
import collections
import ctypes
import io
import os
import random
import sys
import warnings

import numpy as np
import PIL
from PIL import Image, ImageFile, ImageOps, features

from pictures import CJPEG, MAKERS, causes, damaged

SQUASH, SHORTEST, LONGEST = 0, 1, 2
BICUBIC, BILINEAR = 0, 1
AFTER, FIRST = 0, 1
HALF_EVEN, FLOOR = 0, 1
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "GIF", "TIFF", "HEIF", "AVIF")
READ_BLOCK = ImageFile.MAXBLOCK  # what a file is read by: it decides about some damaged GIF
VERDICTS = ("equal", "both refuse", "different", "only tuwen refuses", "only Pillow refuses")

FAMILIES = {
    "chinese-clip": (SQUASH, AFTER, HALF_EVEN),
    "openai": (SHORTEST, AFTER, HALF_EVEN),
    "open-clip squash": (SQUASH, AFTER, HALF_EVEN),
    "open-clip shortest": (SHORTEST, AFTER, HALF_EVEN),
    "open-clip longest": (LONGEST, AFTER, HALF_EVEN),
    "hf": (SHORTEST, FIRST, FLOOR),
    "imagefolder": (SQUASH, FIRST, HALF_EVEN),
}


class Recipe(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("size", ctypes.c_int32),
        ("resize_mode", ctypes.c_int),
        ("interpolation", ctypes.c_int),
        ("resampler", ctypes.c_int),
        ("rgb_order", ctypes.c_int),
        ("crop_rounding", ctypes.c_int),
        ("mean", ctypes.c_float * 3),
        ("std", ctypes.c_float * 3),
    ]

    def __str__(self):
        return f"size={self.size} {('bicubic', 'bilinear')[self.interpolation]}"


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("max_pixels", ctypes.c_uint64),
        ("max_bytes", ctypes.c_uint64),
        ("exif_rotate", ctypes.c_bool),
    ]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 508)]


def resampler_of_pillow():
    major, minor = (int(x) for x in PIL.__version__.split(".")[:2])
    if (major, minor) <= (10, 2):
        return 0
    if (major, minor) <= (12, 1):
        return 1
    return 2 if major == 12 else 3


# ------------------------------------------------------------------------------ the two sides


def ours(library, recipe, data, rotate):
    """uint8 and float32, or the message."""
    options = Options(ctypes.sizeof(Options), 0, 0, rotate)
    error = Error()
    R = recipe.size
    outputs = np.empty((R, R, 3), np.uint8), np.empty((3, R, R), np.float32)
    for out, function in zip(outputs, (library.tw_preprocess_u8, library.tw_preprocess_f32)):
        status = function(
            ctypes.byref(recipe),
            data,
            ctypes.c_size_t(len(data)),
            ctypes.byref(options),
            ctypes.c_void_p(out.ctypes.data),
            ctypes.byref(error),
        )
        if status != 0:
            return None, error.message.decode()
    return outputs, None


def resized(im, size, recipe):
    """torchvision's Resize: nothing happens to a picture of the right size."""
    if im.size == size:
        return im
    return im.resize(size, Image.BILINEAR if recipe.interpolation == BILINEAR else Image.BICUBIC)


def centred(n, size, recipe):
    return (n - size) // 2 if recipe.crop_rounding == FLOOR else int(round((n - size) / 2.0))


def transformed(im, recipe):
    R = recipe.size
    w, h = im.size
    if recipe.resize_mode == SQUASH:
        return resized(im, (R, R), recipe)
    if recipe.resize_mode == SHORTEST:
        size = (R, int(R * h / w)) if w <= h else (int(R * w / h), R)
        im = resized(im, size, recipe)
        left, top = centred(im.width, R, recipe), centred(im.height, R, recipe)
        return im.crop((left, top, left + R, top + R))
    ratio = max(h / R, w / R)
    im = resized(im, (round(w / ratio), round(h / ratio)), recipe)
    pad_x, pad_y = R - im.width, R - im.height
    border = (pad_x // 2, pad_y // 2, (pad_x + 1) // 2, (pad_y + 1) // 2)
    bands = len(im.getbands())
    return ImageOps.expand(im, border, 0 if bands == 1 else (0,) * bands)


def normalised(u8, family):
    """ToTensor and Normalize; Hugging Face's rescale is a product in float64."""
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    x = (u8.astype(np.float64) * (1 / 255)).astype(np.float32) if family == "hf" else u8.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(((x - mean) / std).transpose(2, 0, 1))


def pillows(recipe, family, data, rotate):
    """uint8 and float32, or the message; and the mode, when the header could be read."""
    mode = "-"
    try:
        im = Image.open(io.BytesIO(data), formats=[f for f in FORMATS if f in Image.OPEN])
        mode = im.mode
        if rotate:
            im = ImageOps.exif_transpose(im)
        if recipe.rgb_order == FIRST:
            im = im.convert("RGB")
        u8 = np.asarray(transformed(im, recipe).convert("RGB"))
        return (u8, normalised(u8, family)), None, mode
    except Exception as e:  # any refusal is a refusal
        return None, f"{type(e).__name__}: {e}", mode


def verdict_of(got, want):
    if got is None or want is None:
        return "both refuse" if got is want else "only tuwen refuses" if got is None else "only Pillow refuses"
    same = all(g.tobytes() == w.tobytes() for g, w in zip(got, want))
    return "equal" if same else "different"


# ------------------------------------------------------------------------------------- the run


def pick_recipe(rng, family, resampler):
    mode, order, crop = FAMILIES[family]
    return Recipe(
        ctypes.sizeof(Recipe),
        rng.choice((1, 7, 33, 225, 224, 224, 224, 336)),
        mode,
        rng.choice((BICUBIC, BILINEAR)) if family.startswith("open-clip") else BICUBIC,
        resampler,
        order,
        crop,
        MEAN,
        STD,
    )


class Tally:
    def __init__(self):
        self.rows = collections.defaultdict(collections.Counter)
        self.facts = collections.Counter()
        self.causes = collections.Counter()
        self.unexplained = 0

    def print(self, per_family):
        print("covered: " + ", ".join(f"{n} {fact}" for fact, n in sorted(self.facts.items())))
        titles = ("format", "mode", "recipe") if per_family else ("format",)
        rows = collections.defaultdict(collections.Counter)
        for key, counts in self.rows.items():
            rows[key[: len(titles)]].update(counts)
        rows[("all",) + ("",) * (len(titles) - 1)].update(sum(self.rows.values(), collections.Counter()))
        print("\n| " + " | ".join(titles) + " | cases | " + " | ".join(VERDICTS) + " |")
        print("|" + "---|" * len(titles) + "--:|" * (1 + len(VERDICTS)))
        for key, counts in sorted(rows.items(), key=lambda row: (row[0][0] == "all", row[0])):
            numbers = [sum(counts.values())] + [counts[v] for v in VERDICTS]
            print("| " + " | ".join(key) + " | " + " | ".join(map(str, numbers)) + " |")
        print()
        for cause, n in sorted(self.causes.items()):
            print(f"cause of {n}: {cause}")
        print(f"without a cause: {self.unexplained}")


def compare(args, library, tally, i, name, data, kind, facts):
    rng = random.Random(f"{args.seed}/{i}/recipes")
    n = len(FAMILIES) if name else args.recipes
    for family in rng.sample(list(FAMILIES), min(n, len(FAMILIES))):
        recipe = pick_recipe(rng, family, resampler_of_pillow())
        rotate = rng.random() < 0.3
        got, got_error = ours(library, recipe, data, rotate)
        want, want_error, mode = pillows(recipe, family, data, rotate)
        verdict = verdict_of(got, want)
        tally.rows[kind, mode, family][verdict] += 1
        if verdict in ("equal", "both refuse"):
            continue
        cause = causes.find(kind, data, verdict, got_error, want_error)
        if cause:
            tally.causes[cause] += 1
        tally.unexplained += cause is None
        if cause is None or args.keep:
            n = np.count_nonzero(got[0] != want[0]) if got and want else 0
            print(
                f"{cause or 'NO CAUSE'}: {name or i} {kind} {mode} {facts} ({len(data)} bytes, rotate={rotate}, "
                f"{family} {recipe}): {verdict}, {n} bytes; {got_error}; {want_error}",
                flush=True,
            )
        if args.keep:
            os.makedirs(args.keep, exist_ok=True)
            with open(os.path.join(args.keep, f"{args.seed}-{i}.{kind}"), "wb") as f:
                f.write(data)


def run(args, library, tally):
    for i, name in enumerate(args.files or [None] * args.n):
        rng = random.Random(f"{args.seed}/{i}")
        if name:
            with open(name, "rb") as f:
                compare(args, library, tally, i, name, f.read(), os.path.splitext(name)[1].lstrip(".").lower(), [])
            continue
        kind = rng.choice(args.formats)
        ImageFile.MAXBLOCK = 1 << 24  # or Pillow cannot write some optimised JPEGs
        data, facts = MAKERS[kind](rng)
        ImageFile.MAXBLOCK = READ_BLOCK
        if rng.random() * 100 < args.damage:
            data, facts = damaged(rng, data), ["damaged"]
        tally.facts.update(f"{kind} {fact}" for fact in facts or ["plain"])
        compare(args, library, tally, i, None, data, kind, facts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="build/libtuwen.so")
    parser.add_argument("-n", type=int, default=5000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--recipes", type=int, default=2)
    parser.add_argument("--formats", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--damage", type=float, default=20)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--files", nargs="*")
    parser.add_argument("--keep")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.init()
    library = ctypes.CDLL(os.path.abspath(args.library))
    versions = ctypes.create_string_buffer(256)
    library.tw_image_versions(versions, ctypes.c_size_t(256))
    decoders = ", ".join(f"{name} {features.version(name)}" for name in ("libjpeg_turbo", "webp", "libtiff"))
    print(f"seed {args.seed}; Pillow {PIL.__version__} ({decoders}); tuwen ({versions.value.decode()})")
    if not CJPEG:
        print("cjpeg not found: no JPEG of the rarer samplings, none of arithmetic codes")
    if "heif" not in MAKERS:
        print("pillow-heif or Pillow's AVIF not found: no HEIC, no AVIF")
    tally = Tally()
    try:
        run(args, library, tally)
    except KeyboardInterrupt:
        print("interrupted")
    tally.print(args.table)
    return 1 if tally.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
