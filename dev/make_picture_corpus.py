#!/usr/bin/env python3
"""Writes the seed pictures of the fuzz targets: tests/fuzz/{jpeg,png,webp,bmp,pnm,gif,tiff}/corpus.

    python dev/make_picture_corpus.py

One tiny picture for every path through the decoders. The first byte of an input chooses the recipe
(see fuzz.c), the rest is the file. Deterministic for one version of Pillow.
"""
import io
import os
import random
import struct
import zlib

from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/fuzz")


def write(folder, name, recipe, data):
    path = os.path.join(ROOT, folder, "corpus")
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as f:
        f.write(bytes([recipe]) + data)


def exif(orientation, order=">"):
    head = b"MM\0*" if order == ">" else b"II*\0"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def gradient(mode, w, h):
    bands = len(Image.new(mode, (1, 1)).getbands())
    data = bytes((x * 9 + y * 5 + 40 * b) & 255 for y in range(h) for x in range(w) for b in range(bands))
    return Image.frombytes(mode, (w, h), data)


def jpegs():
    def save(im, **options):
        out = io.BytesIO()
        im.save(out, "JPEG", **options)
        return out.getvalue()

    rgb = gradient("RGB", 21, 18)
    files = {
        "grey": save(gradient("L", 19, 11)),
        "444": save(rgb, subsampling=0),
        "422": save(rgb, subsampling=1),
        "420": save(rgb, subsampling=2),
        "progressive": save(rgb, progressive=True),
        "restart": save(rgb, restart_marker_blocks=1),
        "cmyk": save(gradient("CMYK", 17, 9)),
        "cmyk_progressive": save(gradient("CMYK", 9, 17), progressive=True),
        "exif6": save(rgb, exif=b"Exif\0\0" + exif(6)),
        "exif3_little": save(rgb, exif=b"Exif\0\0" + exif(3, "<")),
        "one_pixel": save(gradient("RGB", 1, 1)),
        "tall": save(gradient("RGB", 2, 300)),
    }
    whole = files["420"]
    files["truncated"] = whole[: len(whole) * 2 // 3]
    files["no_end"] = whole[:-2]
    frame = whole.index(b"\xff\xc0")
    files["huge_sides"] = whole[: frame + 5] + b"\xff\xff\xff\xff" + whole[frame + 9 :]
    files["no_sides"] = whole[: frame + 5] + b"\0\0\0\0" + whole[frame + 9 :]
    for i, (name, data) in enumerate(files.items()):
        write("jpeg", name + ".bin", (i * 37) & 255, data)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(w, h, depth, colour, interlaced=0, before=b"", after=b"", cut=None):
    rng = random.Random(f"{depth}/{colour}/{interlaced}")
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(w, h)]
    if interlaced:
        steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
        passes = [((w - x + dx - 1) // dx, (h - y + dy - 1) // dy) for x, y, dx, dy in steps]
    rows = b""
    for pw, ph in passes:
        n = (pw * channels * depth + 7) // 8
        for _ in range(ph if pw else 0):
            rows += bytes([rng.randrange(5)]) + bytes(rng.choice((0, 1, 255, 90)) for _ in range(n))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlaced))
    data = zlib.compress(rows)
    body = chunk(b"IDAT", data) if cut is None else chunk(b"IDAT", data[:cut]) + chunk(b"IDAT", data[cut:])
    return b"\x89PNG\r\n\x1a\n" + head + before + body + after + chunk(b"IEND", b"")


def pngs():
    kinds = [(d, 0) for d in (1, 2, 4, 8, 16)] + [(d, 3) for d in (1, 2, 4, 8)]
    kinds += [(d, c) for c in (2, 4, 6) for d in (8, 16)]
    palette = chunk(b"PLTE", bytes(range(48)))
    files = {}
    for depth, colour in kinds:
        for interlaced in (0, 1):
            before = palette if colour == 3 else b""
            files[f"colour{colour}_{depth}bit_{interlaced}"] = png(11, 9, depth, colour, interlaced, before)
    files["no_palette"] = png(5, 5, 8, 3)
    files["trns"] = png(5, 5, 4, 3, before=palette + chunk(b"tRNS", b"\0\x80\xff"))
    files["exif"] = png(5, 7, 8, 2, before=chunk(b"eXIf", exif(5)))
    files["exif_after"] = png(5, 7, 8, 2, after=chunk(b"eXIf", exif(8, "<")))
    files["two_idat"] = png(5, 7, 8, 2, cut=7)
    files["profile_bomb"] = png(5, 7, 8, 2, before=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 20), 9)))
    files["text_bomb"] = png(5, 7, 8, 2, before=chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20), 9)))
    files["wide"] = png(900, 1, 8, 2)
    files["tall"] = png(1, 900, 8, 6)
    whole = png(5, 7, 8, 2)
    files["truncated"] = whole[:60]
    files["no_iend"] = whole[:-12]
    files["huge_sides"] = whole[:16] + b"\x7f\xff\xff\xff\x7f\xff\xff\xff" + whole[24:]
    files["wrong_crc"] = whole[:29] + b"\0\0\0\0" + whole[33:]
    for i, (name, data) in enumerate(files.items()):
        write("png", name + ".bin", (i * 37) & 255, data)


def write_all(folder, files):
    for i, (name, data) in enumerate(files.items()):
        write(folder, name + ".bin", (i * 37) & 255, data)


def webps():
    def save(im, **options):
        out = io.BytesIO()
        im.save(out, "WEBP", **options)
        return out.getvalue()

    rgb, rgba = gradient("RGB", 21, 18), gradient("RGBA", 13, 18)
    files = {
        "lossy": save(rgb, quality=40),
        "lossless": save(rgb, lossless=True),
        "lossy_alpha": save(rgba, quality=40),
        "lossless_alpha": save(rgba, lossless=True, exact=True),
        "exif6": save(rgb, exif=exif(6)),
        "exif8_prefix": save(rgba, exif=b"Exif\0\0" + exif(8, "<")),
        "animated": save(rgba, save_all=True, append_images=[gradient("RGBA", 13, 18).rotate(90)]),
        "animated_lossless": save(rgb, save_all=True, append_images=[gradient("RGB", 21, 18).rotate(90)], lossless=True),
        "tall": save(gradient("RGB", 2, 300), lossless=True),
        "one_pixel": save(gradient("RGB", 1, 1)),
    }
    animated = files["animated"]
    frame = animated.index(b"ANMF")
    files["frame_outside"] = animated[: frame + 8] + b"\xff\0\0" + animated[frame + 11 :]
    files["frame_lies"] = animated[: frame + 14] + b"\xff\xff\xff" + animated[frame + 17 :]
    files["no_frame"] = animated[:4] + struct.pack("<I", frame - 8) + animated[8:frame]
    files["huge_canvas"] = animated[:24] + b"\xff" * 6 + animated[30:]
    files["truncated"] = files["lossy"][:60]
    files["truncated_inside"] = files["lossy"][:4] + struct.pack("<I", 52) + files["lossy"][8:60]
    files["chunk_lies"] = files["lossless"][:16] + b"\xff\xff\xff\xff" + files["lossless"][20:]
    write_all("webp", files)


def bmp(w, h, bits, header=40, compression=0, colours=0, palette=b"", masks=b"", pixels=None, offset=None):
    stride = (w * bits + 31) // 32 * 4
    if pixels is None:
        pixels = bytes((i * 7 + 13) & 255 for i in range(stride * abs(h)))
    if header == 12:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack("<IIiHHIIIIII", header, w, h, 1, bits, compression, len(pixels), 0, 0, colours, 0)
        head += masks.ljust(max(header - 40, len(masks)), b"\0")
    at = 14 + len(head) + len(palette) if offset is None else offset
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, at) + head + palette + pixels


def bmps():
    colours = lambda n, padding=4: bytes((i * 37) & 255 for i in range(n * padding))
    greys = lambda n: b"".join(bytes([i, i, i, 0]) for i in range(n))
    files = {
        "1bit": bmp(19, 5, 1, palette=colours(2)),
        "1bit_black_white": bmp(19, 5, 1, palette=b"\0\0\0\0\xff\xff\xff\0"),
        "1bit_one_colour": bmp(9, 5, 1, palette=bytes(4), colours=1),
        "4bit": bmp(9, 5, 4, palette=colours(16)),
        "4bit_grey": bmp(9, 5, 4, palette=greys(16)),
        "8bit": bmp(9, 5, 8, palette=colours(256)),
        "8bit_grey": bmp(9, 5, 8, palette=greys(256)),
        "8bit_few": bmp(9, 5, 8, palette=colours(3), colours=3),
        "16bit": bmp(9, 5, 16),
        "24bit": bmp(9, 5, 24),
        "24bit_top_down": bmp(9, -5, 24),
        "32bit": bmp(9, 5, 32),
        "os2": bmp(9, 5, 8, 12, palette=colours(256, 3)),
        "os2_v2": bmp(9, 5, 24, 64),
        "565": bmp(9, 5, 16, 40, 3, masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F)),
        "bgra_v3": bmp(9, 5, 32, 56, 3, masks=struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "rgba_v5": bmp(9, 5, 32, 124, 3, masks=struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        "odd_fields": bmp(9, 5, 32, 124, 3, masks=struct.pack("<4I", 0xF, 0xFF0, 0xFF0000, 0)),
        "rle8": bmp(6, 3, 8, 40, 1, palette=colours(256), pixels=b"\6\5\0\0\2\x07\0\3\1\2\3\0\0\0\0\2\1\0\5\x09\0\1"),
        "rle4": bmp(6, 3, 4, 40, 2, palette=colours(16), pixels=b"\6\x51\0\0\2\x07\0\3\x12\x30\0\0\0\2\1\0\5\x19\0\1"),
        "rle8_short": bmp(6, 3, 8, 40, 1, palette=colours(256), pixels=b"\6\5\0\1"),
        "rle8_far": bmp(6, 3, 8, 40, 1, palette=colours(256), pixels=b"\0\2\xff\xff\6\5\0\1"),
        "rle8_long": bmp(6, 3, 8, 40, 1, palette=colours(256), pixels=b"\xff\5" * 9),
        "no_offset": bmp(9, 5, 8, palette=colours(256), offset=0),
        "offset_outside": bmp(9, 5, 24, offset=0xFFFFFFF0),
        "huge_sides": bmp(0x7FFFFFFF, 0x7FFFFFFF, 8, pixels=b""),
        "many_colours": bmp(9, 5, 8, palette=colours(256), colours=70000),
        "truncated": bmp(9, 5, 24)[:100],
    }
    write_all("bmp", files)


def pnms():
    data = bytes((i * 11 + 3) & 255 for i in range(200))
    files = {
        "p1": b"P1\n# comment\n5 3\n01010 1 1 1 # inside\n0 1\n00110\n",
        "p2": b"P2 3 2 15\n0 1 2\n# x\n7 8 15\n",
        "p2_wide": b"P2 3 2 1000\n0 1 2 500 999 1000\n",
        "p3": b"P3 2 1 255\n1 2 3 4 5 2#\n55\n",
        "p3_wide": b"P3 2 1 65535\n1 2000 3 4 50000 65535",
        "p4": b"P4 11 4\n" + data[:8],
        "p5": b"P5 7 5 255\n" + data[:35],
        "p5_scaled": b"P5 7 5 77\n" + data[:35],
        "p5_wide": b"P5 7 5 65535\n" + data[:70],
        "p5_wide_scaled": b"P5 7 5 300\n" + data[:70],
        "p6": b"P6 7 5 255\n" + data[:105],
        "p6_wide": b"P6 3 5 4000\n" + data[:90],
        "p7": b"P7\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n123",
        "pf": b"Pf\n1 1\n-1.0\n1234",
        "huge_sides": b"P5 999999999 999999999 255\n",
        "long_number": b"P5 00000000000001 1 255\n1",
        "no_maximum": b"P5 1 1 0\n1",
        "too_large": b"P2 1 1 5\n6",
        "negative": b"P2 1 1 5\n-1",
        "truncated": b"P6 7 5 255\n" + data[:100],
        "only_comment": b"P1 # and nothing else",
        "pf_big": b"Pf 3 2 +1_0.5e-1\n" + data[:24],
    }
    write_all("pnm", files)


def gifs():
    def save(im, **options):
        out = io.BytesIO()
        im.save(out, "GIF", **options)
        return out.getvalue()

    grey = gradient("L", 23, 17)
    indexed = Image.frombytes("P", (23, 17), bytes(i * 7 & 63 for i in range(23 * 17)))
    indexed.putpalette(bytes(i * 5 & 255 for i in range(192)))
    files = {
        "indexed": save(indexed),
        "interlaced": save(indexed, interlace=1),
        "plain": save(indexed, interlace=0),
        "grey": save(grey),
        "transparent": save(indexed, transparency=5),
        "comment": save(indexed, comment=b"a comment"),
        "two_frames": save(indexed, save_all=True, append_images=[indexed.rotate(180)], loop=0),
        "one_pixel": save(Image.new("P", (1, 1))),
        "long_codes": save(Image.frombytes("L", (64, 64), random.Random(1).randbytes(4096))),
    }
    whole = files["plain"]
    frame = whole.index(b",")
    files["frame_leaves"] = whole[: frame + 1] + b"\5\0\3\0" + whole[frame + 5 :]
    files["frame_empty"] = whole[: frame + 5] + b"\0\0\0\0" + whole[frame + 9 :]
    files["huge_sides"] = whole[:6] + b"\xff\xff\xff\xff" + whole[10:]
    files["wide_codes"] = whole[: frame + 10] + b"\x0c" + whole[frame + 11 :]
    files["narrow_codes"] = whole[: frame + 10] + b"\0" + whole[frame + 11 :]
    files["truncated"] = whole[: len(whole) * 2 // 3]
    files["no_frame"] = whole[:frame] + b";"
    files["empty_control"] = whole[:frame] + b"!\xf9\0" + whole[frame:]
    write_all("gif", files)


def tiff(tags, data, big=False):
    """A directory of {tag: [values]}, 16 bits each, before the pixels."""
    e = ">" if big else "<"
    at = 8 + 2 + 12 * len(tags) + 4
    where = at + sum(2 * len(v) for v in tags.values() if len(v) > 2)
    entries, values = b"", b""
    for tag in sorted(tags):
        numbers = [where if v == "data" else v for v in tags[tag]]
        packed = struct.pack(e + "H" * len(numbers), *numbers)
        if len(packed) > 4:
            packed, values = struct.pack(e + "I", at + len(values)), values + packed
        entries += struct.pack(e + "HHI", tag, 3, len(numbers)) + packed.ljust(4, b"\0")
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(e + "IH", 8, len(tags))
    return head + entries + bytes(4) + values + data


def tiffs():
    def save(im, compression=None, **tags):
        out = io.BytesIO()
        im.save(out, "TIFF", compression=compression, tiffinfo={int(k[1:]): v for k, v in tags.items()})
        return out.getvalue()

    def plain(w, h, bits, photo, data, big=False, **more):
        tags = {256: [w], 257: [h], 258: [bits], 259: [1], 262: [photo], 273: ["data"], 277: [1], 278: [h], 279: [len(data)]}
        tags.update({int(k[1:]): v for k, v in more.items()})
        return tiff(tags, data, big)

    rgb, data = gradient("RGB", 13, 9), bytes(i * 13 & 255 for i in range(600))
    files = {
        "rgb": save(rgb),
        "packbits": save(rgb, "packbits"),
        "lzw": save(rgb, "tiff_lzw"),
        "lzw_predictor": save(rgb, "tiff_lzw", t317=2),
        "lzw_strips": save(gradient("L", 13, 9), "tiff_lzw", t278=2),
        "deflate": save(rgb, "tiff_adobe_deflate"),
        "rgba": save(gradient("RGBA", 7, 9)),
        "cmyk": save(gradient("CMYK", 7, 9), "packbits"),
        "grey_alpha": save(gradient("LA", 7, 9)),
        "orientation6": save(rgb, t274=6),
        "1bit": plain(11, 5, 1, 1, data[:10]),
        "1bit_white": plain(11, 5, 1, 0, data[:10], True),
        "2bit": plain(11, 5, 2, 1, data[:15]),
        "4bit_palette": plain(11, 5, 4, 3, data[:30], t320=list(range(0, 48000, 1000))),
        "16bit": plain(5, 5, 16, 1, data[:50]),
        "16bit_big": plain(5, 5, 16, 1, data[:50], True),
        "rgb16": plain(5, 5, 16, 2, data[:150], t258=[16] * 3, t277=[3]),
        "premultiplied": plain(5, 5, 8, 2, data[:100], t258=[8] * 4, t277=[4], t338=[1]),
        "huge_sides": plain(65535, 65535, 8, 1, data[:50]),
        "few_offsets": plain(5, 50, 8, 1, data[:250], t278=[1]),
        "offset_outside": plain(5, 5, 8, 1, data[:25], t273=[60000]),
        "huge_tile": tiff({256: [5], 257: [5], 258: [8], 262: [1], 322: [65535], 323: [65535], 324: [200], 325: [9]}, data),
        "no_directory": b"II*\0\xff\xff\xff\0",
        "no_size": tiff({258: [8], 262: [1], 273: ["data"]}, data),
    }
    tags = {256: [20], 257: [20], 258: [8], 262: [1], 322: [16], 323: [16], 324: ["data"] * 4, 325: [256] * 4}
    files["tiles"] = tiff(tags, data)
    files["truncated"] = files["lzw"][:150]
    floats = Image.frombytes("F", (9, 7), struct.pack("63f", *range(-9, 303, 5)[:63]))
    for name, compression in (("floats", None), ("floats_lzw", "tiff_lzw"), ("floats_deflate", "tiff_adobe_deflate")):
        files[name] = save(floats, compression, t317=3, t278=3) if compression else save(floats)
    files["two_heights"] = tiff({256: [20], 257: [20], 258: [8], 259: [32773], 262: [1], 273: ["data"], 278: [20, 20], 279: [9]}, data)
    write_all("tiff", files)


if __name__ == "__main__":
    jpegs()
    pngs()
    webps()
    bmps()
    pnms()
    gifs()
    tiffs()
