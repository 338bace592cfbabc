#!/usr/bin/env python3
"""Compares libtuwen's preprocessing with the installed Pillow, byte for byte, on generated pictures.

    python dev/diff_preprocess.py [--library build/libtuwen.so] [-n 2000] [--seed 1]
                                  [--formats FORMAT ...] [--damage PERCENT] [--files PICTURE ...]
                                  [--keep DIR]

Every picture is made from a seed: JPEG (grey, YCbCr, CMYK; all qualities and samplings Pillow
writes, progressive, with EXIF orientation) and PNG (all colour types and depths, interlaced, every
filter, palettes, tRNS, text chunks), WebP (lossless, lossy, alpha, EXIF, animated, frames smaller
than the canvas), BMP (every header, depth, palette, bit field, run lengths), PNM
(P1 to P6, every maximum, comments), GIF (palettes, transparency, frames of
another size than the screen, interlaced, codes of every length), TIFF (stored,
PackBits, LZW with and without predictor, strips, tiles, both byte orders, orientation), of ordinary, tiny and extreme sizes, through a random recipe.
The resampler is set to that of the installed Pillow. With --damage that share of the pictures has
bytes changed or cut off; then both must refuse, or both must agree. Prints a line per difference
and a summary; exit status 1 if anything differs. --keep saves the pictures that differ.
"""
import argparse
import ctypes
import io
import os
import random
import struct
import sys
import warnings
import zlib

import PIL
from PIL import Image, ImageFile, ImageOps

SQUASH, SHORTEST, LONGEST = 0, 1, 2
BICUBIC, BILINEAR = 0, 1
AFTER, FIRST = 0, 1
HALF_EVEN, FLOOR = 0, 1


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
        return (
            f"size={self.size} mode={('squash', 'shortest', 'longest')[self.resize_mode]} "
            f"{('bicubic', 'bilinear')[self.interpolation]} rgb={('after', 'first')[self.rgb_order]} "
            f"crop={('half-even', 'floor')[self.crop_rounding]}"
        )


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
    options = Options(ctypes.sizeof(Options), 0, 0, rotate)
    error = Error()
    out = ctypes.create_string_buffer(recipe.size * recipe.size * 3)
    status = library.tw_preprocess_u8(
        ctypes.byref(recipe), data, ctypes.c_size_t(len(data)), ctypes.byref(options), out, ctypes.byref(error)
    )
    return (out.raw, None) if status == 0 else (None, error.message.decode())


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


def pillows(recipe, data, rotate):
    try:
        im = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "BMP", "PPM", "GIF", "TIFF"))
        if rotate:
            im = ImageOps.exif_transpose(im)
        if recipe.rgb_order == FIRST:
            im = im.convert("RGB")
        return transformed(im, recipe).convert("RGB").tobytes(), None
    except Exception as e:  # any refusal is a refusal
        return None, f"{type(e).__name__}: {e}"


# -------------------------------------------------------------------------------- the pictures


def pick_size(rng, largest):
    kind = rng.random()
    if kind < 0.1:
        return rng.randint(1, 4), rng.randint(1, 4)
    if kind < 0.16:
        return rng.choice(((rng.randint(2, 6), rng.randint(300, 900)), (rng.randint(300, 900), rng.randint(2, 6))))
    if kind < 0.3:
        return rng.choice((224, 32, 7)), rng.choice((224, 32, 7, 100))
    return rng.randint(5, largest), rng.randint(5, largest)


def exif(rng):
    order = rng.choice("<>")
    head = b"II*\0" if order == "<" else b"MM\0*"
    orientation = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 0, 9))
    other = struct.pack(order + "HHIHH", 0x0128, 3, 1, 2, 0)
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    entries = rng.choice(([entry], [entry, other], [other]))
    return head + struct.pack(order + "IH", 8, len(entries)) + b"".join(entries) + b"\0\0\0\0"


def pixels(rng, w, h, bands):
    """Noise, or blurred noise: smooth pictures and saturated edges both matter."""
    im = Image.merge(
        {1: "L", 3: "RGB", 4: "CMYK"}[bands],
        [Image.frombytes("L", (w, h), rng.randbytes(w * h)) for _ in range(bands)],
    )
    if rng.random() < 0.6:
        small = (max(1, w // rng.randint(2, 40)), max(1, h // rng.randint(2, 40)))
        im = im.resize(small, Image.NEAREST).resize((w, h), rng.choice((Image.NEAREST, Image.BICUBIC)))
    return im


def make_jpeg(rng):
    w, h = pick_size(rng, 700)
    bands = rng.choice((1, 3, 3, 3, 4))
    out = io.BytesIO()
    options = {}
    if rng.random() < 0.3:
        options["exif"] = b"Exif\0\0" + exif(rng)
    if rng.random() < 0.2:
        options["restart_marker_blocks"] = rng.randint(1, 9)
    pixels(rng, w, h, bands).save(
        out,
        "JPEG",
        quality=rng.choice((1, 10, 50, 75, 90, 95, 100)),
        subsampling=rng.randint(0, 2),
        progressive=rng.random() < 0.4,
        optimize=rng.random() < 0.3,
        **options,
    )
    return out.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def adam7(w, h):
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        yield (w - x0 + dx - 1) // dx, (h - y0 + dy - 1) // dy


PNG_KINDS = [(d, 0) for d in (1, 2, 4, 8, 16)] + [(d, 3) for d in (1, 2, 4, 8)] + [(d, c) for c in (2, 4, 6) for d in (8, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def make_png(rng):
    """Any row of filtered bytes is a valid one, so pictures are drawn in the filtered domain."""
    w, h = pick_size(rng, 260)
    depth, colour = rng.choice(PNG_KINDS)
    interlaced = rng.random() < 0.35
    smooth = rng.random() < 0.5
    rows = bytearray()
    for pw, ph in adam7(w, h) if interlaced else ((w, h),):
        n = (pw * CHANNELS[colour] * depth + 7) // 8
        for _ in range(ph if pw > 0 else 0):
            if smooth:
                rows.append(rng.choice((1, 2, 3, 4)))
                rows += bytes(rng.choice((0, 0, 0, 0, 1, 2, 255, 254, 40)) for _ in range(n))
            else:
                rows.append(rng.randint(0, 4))
                rows += rng.randbytes(n)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlaced))
    if rng.random() < 0.2:
        body += chunk(b"tEXt", b"Comment\0" + b"x" * rng.randint(0, 50))
    if rng.random() < 0.1:
        body += chunk(b"gAMA", struct.pack(">I", 45455))
    if colour == 3:
        entries = rng.choice((1 << depth, 256))  # entries a file lacks differ between Pillows
        body += chunk(b"PLTE", rng.randbytes(3 * entries))
    if rng.random() < 0.3:
        if colour == 3:
            body += chunk(b"tRNS", rng.randbytes(rng.randint(1, 1 << depth)))
        elif colour in (0, 2):
            body += chunk(b"tRNS", struct.pack(">H", rng.randrange(1 << depth)) * CHANNELS[colour])
    if rng.random() < 0.2:
        body += chunk(b"eXIf", exif(rng))
    data = zlib.compress(bytes(rows), rng.choice((0, 1, 6, 9)))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3))))
    for a, b in zip([0] + cuts, cuts + [len(data)]):
        body += chunk(b"IDAT", data[a:b])
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def webp_chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def make_webp(rng):
    w, h = pick_size(rng, 500)
    mode = rng.choice(("RGB", "RGBA"))
    options = {"lossless": rng.random() < 0.5, "quality": rng.choice((0, 30, 80, 100)), "method": rng.choice((0, 2, 4))}
    if rng.random() < 0.3:
        options["exif"] = rng.choice((b"", b"Exif\0\0")) + exif(rng)

    def frame(w, h):
        im = pixels(rng, w, h, 3)
        if mode == "RGBA":
            im.putalpha(pixels(rng, w, h, 1))
        return im

    out = io.BytesIO()
    kind = rng.random()
    if kind < 0.15:
        frame(w, h).save(out, "WEBP", save_all=True, append_images=[frame(w, h)], **options)
        return out.getvalue()
    frame(w, h).save(out, "WEBP", **options)
    if kind > 0.3:
        return out.getvalue()
    # An animation of one frame, somewhere on a larger canvas.
    data = out.getvalue()
    at, pixels_of = 12, b""
    while at < len(data):
        n = struct.unpack("<I", data[at + 4 : at + 8])[0]
        if data[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            pixels_of += webp_chunk(data[at : at + 4], data[at + 8 : at + 8 + n])
        at += 8 + n + (n & 1)
    u24 = lambda v: struct.pack("<I", v)[:3]
    x, y = rng.randint(0, 9), rng.randint(0, 9)
    head = u24(x) + u24(y) + u24(w - 1) + u24(h - 1) + u24(100) + bytes([rng.randrange(4)])
    body = webp_chunk(b"VP8X", bytes([rng.choice((0x02, 0x12)), 0, 0, 0]) + u24(w + 2 * x + 2) + u24(h + 2 * y + 3))
    body += webp_chunk(b"ANIM", struct.pack("<IH", rng.randrange(1 << 32), 0)) + webp_chunk(b"ANMF", head + pixels_of)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


BMP_FIELDS = {
    32: [
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF000000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
        (0, 0, 0, 0),
    ],
    24: [(0xFF0000, 0xFF00, 0xFF, 0)],
    16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0), (0xF000, 0xF00, 0xF0, 0)],
}


def bmp_runs(rng, w, h, nibbles):
    """Run lengths as an encoder would make them, with skips; sometimes too long, sometimes too short."""
    out, y, x = b"", 0, 0
    while y < h:
        if x >= w or rng.random() < 0.03:
            out += b"\0\0"
            x, y = 0, y + 1
            continue
        left = min(w - x, 255)
        kind = rng.random()
        if kind < 0.6 or left < 3:
            n = rng.randint(1, left) if rng.random() < 0.98 else 255
            out += bytes([n, rng.randrange(256)])
        elif kind < 0.95:
            n = rng.randint(3, left)
            data = rng.randbytes((n + 1) // 2 if nibbles else n)
            out += bytes([0, n]) + data + b"\0" * (len(data) & 1)
        else:
            n, down = rng.randint(0, left - 1), rng.choice((0, 0, 1)) if y + 1 < h else 0
            out += bytes([0, 2, n, down])
            y += down
        x += n
    return out + rng.choice((b"", b"\0\1"))


def make_bmp(rng):
    w, h = pick_size(rng, 260)
    bits = rng.choice((1, 4, 8, 16, 24, 32))
    header = rng.choice((12, 40, 40, 40, 52, 56, 64, 108, 124))
    compression, masks = 0, b""
    if header > 12 and bits in BMP_FIELDS and rng.random() < 0.5:
        compression, masks = 3, struct.pack("<4I", *rng.choice(BMP_FIELDS[bits]))
    elif header > 12 and bits in (4, 8) and rng.random() < 0.5:
        compression = {8: 1, 4: 2}[bits]
    colours = 0
    if bits <= 8 and header > 12:
        colours = rng.choice((0, 1 << bits, rng.randint(1, 1 << bits)))
    n = colours or 1 << bits
    grey = rng.random() < 0.3 and bits != 4  # 4 bits of grey depend on Pillow's buffers
    padding = 3 if header == 12 else 4
    palette = b""
    for i in range(n if bits <= 8 else 0):
        v = 255 * i if n == 2 else i
        palette += (bytes([v, v, v]) if grey else rng.randbytes(3)) + b"\0" * (padding - 3)
    stride = (w * bits + 31) // 32 * 4
    pixels = bmp_runs(rng, w, h, bits == 4) if compression in (1, 2) else rng.randbytes(stride * h)
    top_down = header > 12 and rng.random() < 0.3
    if header == 12:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack("<IIiHHIIIIII", header, w, -h if top_down else h, 1, bits, compression, len(pixels), 0, 0, colours, 0)
        head += (masks if header >= 52 else b"").ljust(header - 40, b"\0")[: header - 40]
        if header == 40 and masks:
            head += masks[:12]
    at = 14 + len(head) + len(palette)
    gap = rng.choice((0, 0, 4))
    at = rng.choice((at + gap, 0 if gap == 0 else at + gap))
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, at) + head + palette + bytes(gap) + pixels


def make_pnm(rng):
    w, h = pick_size(rng, 150)
    kind = rng.randint(1, 6)
    maximum = rng.choice((255, 255, 65535, rng.randint(1, 254), rng.randint(256, 65534)))

    def space():
        return rng.choice((b" ", b"\n", b"\t", b"\r\n", b" # comment 1 2\n", b"\n#\n"))

    head = b"P%d" % kind + rng.choice((b"\n", b" ")) + rng.choice((b"", b"#x\n")) + b"%d" % w + space() + b"%d" % h
    if kind not in (1, 4):
        head += space() + b"%d" % maximum
    head += rng.choice((b"\n", b" ", b"\t"))
    n = w * h * (3 if kind in (3, 6) else 1)
    if kind == 1:
        joined = rng.random() < 0.5
        return head + (b"" if joined else b" ").join(rng.choice((b"0", b"1")) for _ in range(n)) + b"\n"
    if kind in (2, 3):
        return head + b"".join(b"%d" % rng.randint(0, maximum) + (b" " if rng.random() < 0.95 else space()) for _ in range(n))
    if kind == 4:
        return head + rng.randbytes((w + 7) // 8 * h)
    if maximum < 256:
        return head + rng.randbytes(n)
    top = rng.choice((65535, 300, 1000))
    return head + b"".join(struct.pack(">H", rng.randint(0, top)) for _ in range(n))


def lzw_codes(rng, data, bits):
    """GIF's codes of `data`; a table that is cleared early, late or never."""
    clear, acc, n_acc, out = 1 << bits, 0, 0, bytearray()
    clear_at = rng.choice((4096, 4096, 600, 5000, 1 << 30))

    def emit(code, size):
        nonlocal acc, n_acc
        acc |= code << n_acc
        n_acc += size
        while n_acc >= 8:
            out.append(acc & 255)
            acc >>= 8
            n_acc -= 8

    def fresh():
        return {bytes([i]): i for i in range(clear)}, clear + 2, bits + 1

    table, following, size = fresh()
    emit(clear, size)
    word, made = b"", 0
    for v in data:
        longer = word + bytes([v])
        if longer in table:
            word = longer
            continue
        emit(table[word], size)
        made += 1
        if following < 4096:
            table[longer] = following
            if following == 1 << size and size < 12:
                size += 1
            following += 1
        if made > clear_at or (clear_at == 4096 and following == 4096):
            if size < 12 and following == 1 << size:
                size += 1
            emit(clear, size)
            table, following, size = fresh()
            made = 0
        word = bytes([v])
    emit(table[word], size)
    if following == 1 << size and size < 12:
        size += 1
    if rng.random() < 0.9:
        emit(clear + 1, size)
    emit(0, 7)
    return bytes(out)


def make_gif(rng):
    w, h = pick_size(rng, 300)
    bits = rng.randint(1, 8)
    x, y = (rng.randint(0, 9), rng.randint(0, 9)) if rng.random() < 0.3 else (0, 0)
    sw, sh = (max(1, w + rng.randint(-5, 20)), max(1, h + rng.randint(-5, 20))) if rng.random() < 0.3 else (w, h)

    def palette(grey=0.2):
        n = rng.randint(1, 8) if rng.random() < 0.5 else bits
        if rng.random() < grey:
            return n - 1, b"".join(bytes([i, i, i]) for i in range(1 << n))
        return n - 1, rng.randbytes(3 << n)

    flags, table = palette() if rng.random() < 0.8 else (0, b"")
    out = rng.choice((b"GIF87a", b"GIF89a")) + struct.pack("<HHBBB", sw, sh, flags | (0x80 if table else 0), rng.randrange(256), 0)
    out += table
    if rng.random() < 0.4:
        out += b"!\xf9\x04" + bytes([rng.randrange(32), 5, 0, rng.randrange(256), 0])
    if rng.random() < 0.2:
        out += b"!\xfe\x05hello\x03abc\0"
    if rng.random() < 0.2:
        out += b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    # A frame's palette of greys over the file's own palette confuses Pillow, which then mixes modes.
    flags, table = palette(0 if table else 0.2) if rng.random() < 0.4 else (0, b"")
    flags |= (0x80 if table else 0) | rng.choice((0, 0x40))
    out += b"," + struct.pack("<HHHHB", x, y, w, h, flags) + table
    top = 1 << bits
    if rng.random() < 0.5:
        data = bytes(rng.randrange(top) for _ in range(w * h))
    else:
        data = b"".join(bytes([rng.randrange(top)]) * rng.randint(1, 40) for _ in range(w * h // 20 + 1)).ljust(w * h, b"\0")[: w * h]
    lzw_bits = max(bits, 2) if rng.random() < 0.8 else rng.randint(bits, 8)
    codes, body = lzw_codes(rng, data, lzw_bits), b""
    step = rng.choice((255, 255, 1, 100))
    for i in range(0, len(codes), step):
        part = codes[i : i + step]
        body += bytes([len(part)]) + part
    out += bytes([lzw_bits]) + body + b"\0"
    if rng.random() < 0.2:  # a second frame
        out += b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return out + b";"


def make_tiff(rng):
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
        return out.getvalue()
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
    return head + body + b"\0" * (len(body) & 1) + struct.pack(e + "H", len(tags)) + entries + bytes(4) + values


MAKERS = {"jpeg": make_jpeg, "png": make_png, "webp": make_webp, "bmp": make_bmp, "pnm": make_pnm, "gif": make_gif, "tiff": make_tiff}


def damaged(rng, data):
    data = bytearray(data)
    kind = rng.random()
    if kind < 0.3:
        return bytes(data[: rng.randrange(len(data))])
    if kind < 0.4:
        return bytes(data[: max(0, len(data) - rng.randint(1, 20))])
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def pick_recipe(rng, resampler):
    return Recipe(
        ctypes.sizeof(Recipe),
        rng.choice((1, 7, 32, 224, 224, 224, 336)),
        rng.choice((SQUASH, SQUASH, SHORTEST, LONGEST)),
        rng.choice((BICUBIC, BICUBIC, BICUBIC, BILINEAR)),
        resampler,
        rng.choice((AFTER, AFTER, FIRST)),
        rng.choice((HALF_EVEN, FLOOR)),
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="build/libtuwen.so")
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--formats", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--damage", type=float, default=0)
    parser.add_argument("--files", nargs="*")
    parser.add_argument("--keep")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.init()
    ImageFile.MAXBLOCK = 1 << 24  # or Pillow cannot write some optimised JPEGs
    library = ctypes.CDLL(os.path.abspath(args.library))
    resampler = resampler_of_pillow()
    counts = dict.fromkeys(("equal", "both refuse", "only tuwen refuses", "only Pillow refuses", "different"), 0)
    files = args.files or [None] * args.n
    for i, name in enumerate(files):
        rng = random.Random(f"{args.seed}/{i}")
        if name:
            with open(name, "rb") as f:
                data = f.read()
        else:
            data = MAKERS[rng.choice(args.formats)](rng)
            if rng.random() * 100 < args.damage:
                data = damaged(rng, data)
        for _ in range(20 if name else 1):
            recipe = pick_recipe(rng, resampler)
            rotate = rng.random() < 0.5
            got, got_error = ours(library, recipe, data, rotate)
            want, want_error = pillows(recipe, data, rotate)
            if got is None or want is None:
                verdict = "both refuse" if got is want else "only tuwen refuses" if got is None else "only Pillow refuses"
            else:
                verdict = "equal" if got == want else "different"
            counts[verdict] += 1
            if verdict in ("equal", "both refuse"):
                continue
            n = sum(a != b for a, b in zip(got, want)) if got and want else 0
            print(f"{name or i} ({len(data)} bytes, rotate={rotate}, {recipe}): {verdict} {n} bytes; {got_error}; {want_error}")
            if args.keep:
                os.makedirs(args.keep, exist_ok=True)
                with open(os.path.join(args.keep, f"{args.seed}-{i}.bin"), "wb") as f:
                    f.write(data)
    print(f"Pillow {PIL.__version__}: " + ", ".join(f"{v} {k}" for k, v in counts.items()))
    wrong = counts["different"] + counts["only tuwen refuses"] + counts["only Pillow refuses"]
    return 1 if wrong and not args.damage or counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
