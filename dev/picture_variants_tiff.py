#!/usr/bin/env python3
"""TIFF files of every layout that is read: byte order, classic and big, strips and tiles, planes,
compressions, predictor, fill order, kinds of pixels. Written byte by byte, since Pillow writes few of them.

    picture_variants_tiff.py            writes tests/data/tiff and seeds into tests/fuzz/tiff/corpus
    picture_variants_tiff.py compare TUWEN N [SEED]
                                        N random files through `TUWEN preprocess` and Pillow

Needs pillow and numpy."""
import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
STORED, JPEG, DEFLATE, PACKBITS, DEFLATE_OLD = 1, 7, 8, 32773, 32946
REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def directory(tags, pieces, big_endian, wide):
    """A file of one directory; tags: {id: list of numbers}; pieces go under the tags 273/279 or 324/325."""
    order, size = (">" if big_endian else "<"), ("Q" if wide else "I")
    n_size = 8 if wide else 4
    tiled = 322 in tags
    tags = dict(tags)
    tags[324 if tiled else 273] = [0] * len(pieces)
    tags[325 if tiled else 279] = [len(p) for p in pieces]
    entries = sorted(tags)
    start = 16 if wide else 8
    far = start + (8 if wide else 2) + len(entries) * (20 if wide else 12) + n_size

    def kind(tag):
        large = tag in (273, 279, 324, 325)
        return (16, "Q", 8) if large and wide else (4, "I", 4) if large or max(tags[tag]) > 65535 else (3, "H", 2)

    data_at = far + sum(len(tags[t]) * kind(t)[2] for t in entries if len(tags[t]) * kind(t)[2] > n_size)
    at, offsets = data_at, []
    for p in pieces:
        offsets.append(at)
        at += len(p)
    tags[324 if tiled else 273] = offsets
    head = (b"MM" if big_endian else b"II") + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if wide else struct.pack(order + "HI", 42, 8))
    body, tail = struct.pack(order + ("Q" if wide else "H"), len(entries)), b""
    for t in entries:
        number, letter, bytes_each = kind(t)
        values = struct.pack(f"{order}{len(tags[t])}{letter}", *tags[t])
        body += struct.pack(order + "HH" + size, t, number, len(tags[t]))
        if len(values) > n_size:
            body += struct.pack(order + size, far + len(tail))
            tail += values
        else:
            body += values.ljust(n_size, b"\0")
    return head + body + b"\0" * n_size + tail + b"".join(pieces)


def packbits(row):
    out = b""
    for i in range(0, len(row), 128):
        out += bytes([len(row[i : i + 128]) - 1]) + row[i : i + 128]
    return out


def encode(values, bits, order, compression, predictor, fill_order):
    """values: rows x columns x samples of one piece."""
    rows, columns, samples = values.shape
    if predictor == 3:  # the first bytes of a row's floats, then the second ones
        bytes_apart = values.astype(">u4").view("u1").reshape(rows, columns, 4).transpose(0, 2, 1).reshape(rows, -1)
        bytes_apart[:, 1:] -= bytes_apart[:, :-1].copy()
        return zlib.compress(bytes_apart.tobytes(), 6)
    if predictor == 2:
        values = values.copy()
        values[:, 1:] = (values[:, 1:].astype("i8") - values[:, :-1]) % (1 << bits)
    if bits < 8:
        flat = values.reshape(rows, -1)
        unpacked = ((flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1).astype("u1").reshape(rows, -1)
        lines = [r.tobytes() for r in np.packbits(unpacked, axis=1)]
    else:
        lines = [r.astype(f"{order}u{bits // 8}").tobytes() for r in values]
    if compression in (DEFLATE, DEFLATE_OLD):
        data = zlib.compress(b"".join(lines), 6)
    elif compression == PACKBITS:
        data = b"".join(map(packbits, lines))
    else:
        data = b"".join(lines)
    return data.translate(REVERSED) if fill_order == 2 else data


# name: photometric, samples, bits, sample format, extra samples
KINDS = {
    "1": (1, 1, 1, 1, []),
    "1 white": (0, 1, 1, 1, []),
    "L;2": (1, 1, 2, 1, []),
    "L;4": (1, 1, 4, 1, []),
    "L": (1, 1, 8, 1, []),
    "L white": (0, 1, 8, 1, []),
    "I;16": (1, 1, 16, 1, []),
    "I;16S": (1, 1, 16, 2, []),
    "I;32": (1, 1, 32, 1, []),
    "I;32S": (1, 1, 32, 2, []),
    "LA": (1, 2, 8, 1, [2]),
    "P": (3, 1, 8, 1, []),
    "P;4": (3, 1, 4, 1, []),
    "RGB": (2, 3, 8, 1, []),
    "RGB;16": (2, 3, 16, 1, []),
    "RGBA": (2, 4, 8, 1, [2]),
    "RGBX": (2, 4, 8, 1, [0]),
    "RGBA;16": (2, 4, 16, 1, [2]),
    "CMYK": (5, 4, 8, 1, []),
    "CMYK;16": (5, 4, 16, 1, []),
}


# Bits of floats.
FLOATS = {"F": (1, 1, 32, 3, []), "F white": (0, 1, 32, 3, [])}


def make_tiff(rng, width, height, kinds=KINDS):
    photometric, samples, bits, sample_format, extra = kinds[rng.choice(sorted(kinds))]
    big_endian, wide = rng.random() < 0.4, rng.random() < 0.3
    order = ">" if big_endian else "<"
    compression = rng.choice((STORED, DEFLATE, DEFLATE, DEFLATE_OLD, PACKBITS))
    deflate = compression in (DEFLATE, DEFLATE_OLD)
    predictor = 2 if deflate and bits >= 8 and rng.random() < 0.5 else 1
    one_byte = samples == 1 and bits <= 8
    fill_order = 2 if one_byte and rng.random() < 0.25 else 1
    planar = 2 if bits == 8 and samples >= 3 and rng.random() < 0.4 else 1
    y, x = np.mgrid[0:height, 0:width]
    top = (1 << bits) - 1
    planes = [(x * 5 + y * (c + 2) * 3 + rng.randint(0, 99)) * max(1, top // 255) for c in range(samples)]
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, max(2, top // 16), (height, width, samples))
    values = (np.stack(planes, -1) + noise) & top
    if bits == 32 or sample_format == 2:
        values = (values >> (bits - 10)) - (200 if sample_format == 2 else 0) & top  # where clipping is not all
    if sample_format == 3:
        values = (values / 3.7 - 30).astype("f4").view("u4")
        predictor = rng.choice((1, 2, 3)) if deflate else 1
    tags = {256: [width], 257: [height], 258: [bits] * samples, 259: [compression], 262: [photometric], 266: [fill_order], 277: [samples], 284: [planar], 317: [predictor], 339: [sample_format] * samples}
    if photometric == 3:
        tags[320] = [rng.getrandbits(16) for _ in range(3 << bits)]
    if extra:
        tags[338] = extra
    if rng.random() < 0.3:
        tags[274] = [rng.randint(1, 8)]
    layers = [values] if planar == 1 else [values[:, :, c : c + 1] for c in range(samples)]
    pieces = []
    if rng.random() < 0.5:
        rows = rng.choice((1, 7, 16, height))
        tags[278] = [rows]
        for layer in layers:
            for at in range(0, height, rows):
                pieces.append(encode(layer[at : at + rows], bits, order, compression, predictor, fill_order))
    else:
        tile_w, tile_h = 16 * rng.randint(1, 3), 16 * rng.randint(1, 3)
        tags.update({322: [tile_w], 323: [tile_h]})
        for layer in layers:
            wide_layer = np.pad(layer, ((0, -height % tile_h), (0, -width % tile_w), (0, 0)), "edge")
            for ty in range(0, height, tile_h):
                for tx in range(0, width, tile_w):
                    pieces.append(encode(wide_layer[ty : ty + tile_h, tx : tx + tile_w], bits, order, compression, predictor, fill_order))
    return directory(tags, pieces, big_endian, wide)


def make_jpeg_tiff(rng, width, height):
    """JPEG as libtiff writes it; every other one with the colours of YCbCr, put together here."""
    mode = rng.choice(("RGB", "RGB", "L", "CMYK"))
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 40, (height, width, 4))
    planes = np.stack([x * 2, y * 2, x + y, 200 - x], -1) + noise
    im = Image.fromarray(np.clip(planes, 0, 255).astype("u1")[:, :, :3]).convert(mode)
    out = io.BytesIO()
    if mode != "RGB" or rng.random() < 0.3:
        im.save(out, "TIFF", compression="jpeg", quality=rng.choice((50, 75, 95)), tiffinfo={278: rng.choice((8, 16, 32, 4096))})
        return out.getvalue()
    pieces, rows, sub = [], rng.choice((16, 32, 4096)), rng.randint(0, 2)
    for at in range(0, height, rows):
        part = io.BytesIO()
        im.crop((0, at, width, min(at + rows, height))).save(part, "JPEG", quality=rng.choice((50, 75, 95)), subsampling=sub)
        pieces.append(part.getvalue())
    tags = {256: [width], 257: [height], 258: [8, 8, 8], 259: [JPEG], 262: [6], 277: [3], 278: [rows], 530: [(1, 1), (2, 1), (2, 2)][sub]}
    return directory(tags, pieces, rng.random() < 0.5, False)


MAKERS = {"tiff": make_tiff, "tiff_jpeg": make_jpeg_tiff}


def write_seeds():
    rng = random.Random(3)
    for i in range(30):
        data = (make_tiff if i < 24 else make_jpeg_tiff)(rng, 19, 13)
        with open(f"{ROOT}/tests/fuzz/tiff/corpus/layout{i:02}.bin", "wb") as f:
            f.write(b"\0" + data)


def write_data():
    """JPEG inside, once with tables that strips share and once with colours to convert."""
    y, x = np.mgrid[0:16, 0:16]
    im = Image.fromarray(np.stack([x * 16, y * 16, x * 8 + y * 8], -1).astype("u1"))
    shared, part = io.BytesIO(), io.BytesIO()
    im.save(shared, "TIFF", compression="jpeg", quality=90, tiffinfo={278: 8})
    im.save(part, "JPEG", quality=90, subsampling=2)
    tags = {256: [16], 257: [16], 258: [8, 8, 8], 259: [JPEG], 262: [6], 277: [3], 278: [16], 530: [2, 2]}
    for name, data in (("jpeg_tables", shared.getvalue()), ("jpeg_ycbcr", directory(tags, [part.getvalue()], True, False))):
        os.makedirs(f"{ROOT}/tests/data/tiff", exist_ok=True)
        with open(f"{ROOT}/tests/data/tiff/{name}.tif", "wb") as f:
            f.write(data)
        with open(f"{ROOT}/tests/data/tiff/{name}.tif.rgb", "wb") as f:
            f.write(Image.open(io.BytesIO(data)).convert("RGB").tobytes())


def expected_of(path):
    """The picture at a size of its own, unless it is square."""
    im = Image.open(path)
    size = im.width if im.width == im.height else 40
    im.load()
    return im.mode, size, np.asarray(im.resize((size, size), Image.BICUBIC).convert("RGB")).astype(int)


def compare(tuwen, n, seed):
    rng = random.Random(seed)
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        path, out = f"{folder}/picture.tif", f"{folder}/out.npy"
        for i in range(n):
            side = rng.randint(1, 90)
            make = make_jpeg_tiff if rng.random() < 0.2 else make_tiff
            data = make(rng, side, rng.choice((side, rng.randint(1, 90))))
            with open(path, "wb") as f:
                f.write(data)
            try:
                mode, size, expected = expected_of(path)
            except Exception as e:  # Pillow's ways to refuse are many
                mode, size, expected = "-", 32, f"Pillow: {type(e).__name__} {e}"
            done = subprocess.run([tuwen, "preprocess", "--recipe", "chinese-clip", "--resampler", "13" if Image.__version__ >= "13" else "12.1", "--size", str(size), "--dtype", "u8", "-o", out, path], capture_output=True, text=True)
            got = np.load(out) if done.returncode == 0 else done.stderr.strip().split("picture.tif: ")[-1]
            both = not isinstance(got, str) and not isinstance(expected, str)
            verdict = f"differs by at most {np.abs(got - expected).max()}" if both else f"{'read' if done.returncode == 0 else got}; {'read' if mode != '-' else expected}"
            counts[mode, verdict] = counts.get((mode, verdict), 0) + 1
            if os.environ.get("KEEP") and verdict != "differs by at most 0":
                with open(f"{os.environ['KEEP']}/{seed}_{i}.tif", "wb") as f:
                    f.write(data)
    for (mode, verdict), count in sorted(counts.items()):
        print(f"{mode}: {verdict}: {count} pictures")


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        compare(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    else:
        write_seeds()
        write_data()
