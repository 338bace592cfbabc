#!/usr/bin/env python3
"""HEIC and AVIF pictures of every kind that is read, random ones for comparisons and small ones for
the tests.

    picture_variants_heif.py            writes tests/data/heif and the seeds of tests/fuzz/{heif,avif}
    picture_variants_heif.py compare TUWEN N [SEED]
                                        N random pictures through `TUWEN preprocess` and Pillow

Needs pillow (11.3 or newer), pillow-heif and numpy. What is compared is equal to the byte when the
command opens the very libraries that the Python packages bring (TUWEN_LIBHEIF, TUWEN_LIBAVIF)."""
import io
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def picture(rng, mode, width, height, noise):
    y, x = np.mgrid[0:height, 0:width]
    planes = np.stack([x * 255 // width, y * 255 // height, (x * 3 + y * 5) % 256, 255 - x * 200 // width], -1)
    if noise:
        planes = planes + np.random.default_rng(rng.getrandbits(32)).integers(-noise, noise, planes.shape)
    im = Image.fromarray(np.clip(planes, 0, 255).astype("u1"), "RGBA")
    return im if mode == "RGBA" else im.convert(mode)


def save(im, **options):
    out = io.BytesIO()
    im.save(out, **options)
    return out.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[274] = value
    return exif


def deep(rng, mode, width, height, bits, chroma):
    """10 or 12 bits a sample."""
    wide = {"RGB": "RGB;16", "RGBA": "RGBA;16", "L": "I;16"}[mode]
    values = np.asarray(picture(rng, mode, width, height, 9)).astype("<u2") * 257
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    out = io.BytesIO()
    pillow_heif.from_bytes(mode=wide, size=(width, height), data=values.tobytes()).save(out, quality=80, chroma=chroma)
    return out.getvalue()


def make_heif(rng, width, height):
    mode = rng.choice(("RGB", "RGB", "RGB", "RGBA", "L"))
    chroma = rng.choice(("420", "420", "422", "444"))
    if rng.random() < 0.25:
        return deep(rng, mode, width, height, rng.choice((10, 12)), chroma)
    options = {"quality": rng.choice((30, 60, 80, 95)), "chroma": chroma}
    if rng.random() < 0.4:
        options["exif"] = orientation(rng.randint(1, 8))
    if rng.random() < 0.2:
        options.update(save_all=True, append_images=[picture(rng, mode, 16, 16, 0)], primary_index=rng.randint(0, 1))
    return save(picture(rng, mode, width, height, rng.choice((0, 5, 30))), format="HEIF", **options)


def make_avif(rng, width, height):
    mode = rng.choice(("RGB", "RGB", "RGB", "RGBA", "L"))
    options = {"quality": rng.choice((30, 60, 80, 95)), "subsampling": rng.choice(("4:2:0", "4:2:0", "4:2:2", "4:4:4", "4:0:0")), "range": rng.choice(("full", "limited"))}
    if rng.random() < 0.4:
        options["exif"] = orientation(rng.randint(1, 8))
    if rng.random() < 0.2:
        options.update(save_all=True, append_images=[picture(rng, mode, width, height, 0)])
    return save(picture(rng, mode, width, height, rng.choice((0, 5, 30))), format="AVIF", **options)


MAKERS = {"heif": make_heif, "avif": make_avif}


def small_pictures():
    rng = random.Random(1)
    rgb, rgba, grey = (picture(rng, mode, 16, 16, 0) for mode in ("RGB", "RGBA", "L"))
    heif, avif = {"format": "HEIF", "quality": 90, "chroma": "444"}, {"format": "AVIF", "quality": 90, "subsampling": "4:4:4"}
    both = [rgb, grey.convert("RGB")]
    return {
        "rgb.heic": save(rgb, **heif),
        "rgba.heic": save(rgba, **heif),
        "grey.heic": save(grey, **heif),
        "grey10.heic": deep(rng, "L", 16, 16, 10, "444"),
        "turned.heic": save(rgb, exif=orientation(6), **heif),
        "second.heic": save(both[0], save_all=True, append_images=both[1:], primary_index=1, **heif),
        "rgb.avif": save(rgb, **avif),
        "rgb420.avif": save(rgb, format="AVIF", quality=90),
        "rgba.avif": save(rgba, **avif),
        "grey.avif": save(rgb, format="AVIF", quality=90, subsampling="4:0:0"),
        "turned.avif": save(rgb, exif=orientation(6), **avif),
        "mirrored.avif": save(rgb, exif=orientation(5), **avif),
        "sequence.avif": save(both[0], save_all=True, append_images=both[1:], **avif),
    }


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def write_tests():
    for name, data in small_pictures().items():
        stem, kind = name.split(".")
        write(f"{ROOT}/tests/data/heif/{name}", data)
        pixels = Image.open(io.BytesIO(data)).convert("RGB").tobytes()
        write(f"{ROOT}/tests/data/heif/{name}.rgb", pixels)
        write(f"{ROOT}/tests/fuzz/{'avif' if kind == 'avif' else 'heif'}/corpus/{stem}.bin", b"\0" + data)
        write(f"{ROOT}/tests/fuzz/{'avif' if kind == 'avif' else 'heif'}/corpus/{stem}_cut.bin", b"\0" + data[: len(data) * 3 // 4])


def compare(tuwen, n, seed):
    rng = random.Random(seed)
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            kind = rng.choice(sorted(MAKERS))
            side = rng.randint(8, 200)
            width, height = rng.choice(((side, side), (side, rng.randint(8, 200))))
            path, out = f"{folder}/picture", f"{folder}/out.npy"
            # A process of its own: encoders crash on some pictures.
            made = subprocess.run([sys.executable, __file__, "make", kind, str(rng.getrandbits(32)), str(width), str(height)], capture_output=True)
            if made.returncode:
                counts[kind, "-", "not made"] = counts.get((kind, "-", "not made"), 0) + 1
                continue
            write(path, made.stdout)
            im = Image.open(path)
            size = im.width if im.width == im.height else 40
            expected = np.asarray(im.resize((size, size), Image.BICUBIC).convert("RGB")).astype(int)
            done = subprocess.run([tuwen, "preprocess", "--recipe", "chinese-clip", "--resampler", "13", "--size", str(size), "--dtype", "u8", "-o", out, path], capture_output=True, text=True)
            most = int(np.abs(np.load(out) - expected).max()) if done.returncode == 0 else done.stderr.strip().split(": ", 1)[-1]
            counts[kind, im.mode, most] = counts.get((kind, im.mode, most), 0) + 1
    for key in sorted(counts, key=str):
        print(f"{key[0]} {key[1]}: differs by at most {key[2]}: {counts[key]} pictures")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        sys.stdout.buffer.write(MAKERS[sys.argv[2]](random.Random(int(sys.argv[3])), int(sys.argv[4]), int(sys.argv[5])))
    elif sys.argv[1:2] == ["compare"]:
        compare(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    else:
        write_tests()
