"""TIFF: written by Pillow, byte by byte here, and every layout of dev/picture_variants_tiff.py."""
import io
import struct

import picture_variants_tiff as variants
from PIL import Image

from .common import pick_size, pixels


def make_tiff(rng):
    choice = rng.random()
    if choice < 0.45:
        return make_layout(rng)
    return make_float(rng) if choice < 0.5 else make_small(rng)


def make_layout(rng):
    w, h = pick_size(rng, 120)
    if rng.random() < 0.3:
        return variants.make_jpeg_tiff(rng, w, h), ["JPEG"]
    data = variants.make_tiff(rng, w, h, {**variants.KINDS, **variants.FLOATS})
    return data, ["any layout"] + (["BigTIFF"] if data[2:4] in (b"+\0", b"\0+") else [])


def make_float(rng):
    """Mode F, by libtiff or stored."""
    w, h = pick_size(rng, 120)
    n = w * h
    values = [rng.choice((rng.uniform(0, 255), rng.uniform(-40, 300), float(rng.randint(0, 255)))) for _ in range(n)]
    compression = rng.choice((None, "tiff_lzw", "tiff_adobe_deflate", "packbits"))
    tags = {278: rng.randint(1, h)}
    if compression in ("tiff_lzw", "tiff_adobe_deflate"):
        tags[317] = rng.randint(1, 3)
    out = io.BytesIO()
    Image.frombytes("F", (w, h), struct.pack(f"{n}f", *values)).save(out, "TIFF", compression=compression, tiffinfo=tags)
    return out.getvalue(), ["floats"]


def make_small(rng):
    w, h = pick_size(rng, 260)
    big = rng.random() < 0.4
    e = ">" if big else "<"
    photo, samples, bits, extra = rng.choice(
        [(0, 1, b, None) for b in (1, 2, 4, 8)]
        + [(1, 1, b, None) for b in (1, 2, 4, 8)]
        + [(3, 1, b, None) for b in (1, 2, 4, 8)]
        + [(1, 2, 8, 2), (2, 3, 8, None), (2, 3, 8, None), (2, 4, 8, None), (2, 4, 8, 0), (2, 4, 8, 1), (2, 4, 8, 2)]
        + [(2, 3, 16, None), (2, 4, 16, 2), (5, 4, 8, None)]
        + ([] if big else [(1, 1, 16, None)])
    )
    if rng.random() < 0.6 and not (photo == 2 and extra == 1):  # Pillow writes the compressed ones
        mode = {(0, 1): "L", (1, 1): "L", (3, 1): "P", (1, 2): "LA", (2, 3): "RGB", (2, 4): "RGBA", (5, 4): "CMYK"}[photo, samples]
        bands = {"L": 1, "P": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}[mode]
        im = pixels(rng, w, h, bands)
        if mode in ("LA", "RGBA"):
            im.putalpha(pixels(rng, w, h, 1))
        if mode == "P":
            im = Image.frombytes("P", (w, h), im.tobytes())
            im.putpalette(rng.randbytes(768))
        tags = {}
        if rng.random() < 0.3:
            tags[274] = rng.randint(1, 8)
        if rng.random() < 0.5:
            tags[278] = rng.randint(1, h)
        compression = rng.choice((None, "packbits", "tiff_lzw", "tiff_lzw"))
        if compression == "tiff_lzw" and rng.random() < 0.5:
            tags[317] = 2
        out = io.BytesIO()
        im.save(out, "TIFF", compression=compression, tiffinfo=tags)
        return out.getvalue(), [compression or "stored"]
    tags = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * samples), 259: (3, [1]), 262: (3, [photo]), 277: (3, [samples])}
    if extra is not None:
        tags[338] = (3, [extra])
    if photo == 3:
        tags[320] = (3, [rng.randrange(65536) for _ in range(3 << bits)])
    if rng.random() < 0.3:
        tags[274] = (3, [rng.randint(0, 9)])
    tiled = rng.random() < 0.4 and bits >= 8
    if tiled:
        tw, th = 16 * rng.randint(1, 6), 16 * rng.randint(1, 6)
        n, size = -(-w // tw) * -(-h // th), (tw * samples * bits // 8) * th
        tags[322], tags[323] = (4, [tw]), (4, [th])
    else:
        rows = rng.choice((h, rng.randint(1, h)))
        n, size = -(-h // rows), (w * samples * bits + 7) // 8 * rows
        tags[278] = (4, [rows])
    pieces = [rng.randbytes(size) for _ in range(n)]
    where, counts = (324, 325) if tiled else (273, 279)
    tags[where], tags[counts] = (4, [8 + size * i for i in range(n)]), (4, [size] * n)
    body = b"".join(pieces)
    at = 8 + len(body) + (len(body) & 1)
    entries, values = b"", b""
    start = at + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        kind, numbers = tags[tag]
        data = struct.pack(e + {3: "H", 4: "I"}[kind] * len(numbers), *numbers)
        if len(data) > 4:
            entries += struct.pack(e + "HHII", tag, kind, len(numbers), start + len(values))
            values += data
        else:
            entries += struct.pack(e + "HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(e + "I", at)
    return head + body + b"\0" * (len(body) & 1) + struct.pack(e + "H", len(tags)) + entries + bytes(4) + values, ["tiled" if tiled else "strips"]
