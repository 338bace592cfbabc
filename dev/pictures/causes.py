"""Why a picture may come out otherwise, or be refused by one side only. Each cause is narrow, known from
the sources of both sides and told in docs/PICTURES.md. A difference that fits none is a defect."""
import re
import struct

import PIL

PILLOW = tuple(int(x) for x in PIL.__version__.split(".")[:2])

RLE8, RLE4 = 1, 2


def bmp_header(data):
    """Length of the header, depth, compression, stated colours, offset of the pixels."""
    if len(data) < 54:
        return None
    at, length = struct.unpack_from("<II", data, 10)
    if length == 12:
        return length, struct.unpack_from("<H", data, 24)[0], 0, 0, at
    return length, *struct.unpack_from("<HI", data, 28), struct.unpack_from("<I", data, 46)[0], at


def has_skip_or_odd_literal(data, at, nibbles):
    while at + 1 < len(data):
        n, code = data[at : at + 2]
        at += 2
        if n > 0:
            continue
        if code == 1:
            return False
        if code == 2 or (code > 2 and nibbles and code % 2):
            return True
        if code > 2:
            n_bytes = code // 2 if nibbles else code
            at += n_bytes + (at + n_bytes) % 2
    return False


def bmp_before_13(kind, data, verdict, ours, theirs):
    if kind != "bmp" or PILLOW >= (13, 0) or not (header := bmp_header(data)):
        return False
    length, bits, compression, colours, at = header
    if compression in (RLE8, RLE4) and colours in (1, 2):
        return True
    if compression in (RLE8, RLE4):
        n = (colours or 1 << bits) * 4
        start = at if at not in (0, 14 + length) else 14 + length + n
        return has_skip_or_odd_literal(data, start, compression == RLE4)
    return (length == 12 and bits <= 8 and at == 26) or (bits <= 8 and colours == 1)


def gif_tables(data):
    """The palette of the screen and that of the first frame, None for one that is not there."""
    flags, at = data[10], 13
    screen = frame = None
    if flags & 0x80:
        screen = data[at : at + 3 * (2 << (flags & 7))]
        at += len(screen)
    while at < len(data) and data[at] != ord(","):
        if data[at] != ord("!"):
            at += 1
            continue
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if at + 9 < len(data) and data[at + 9] & 0x80:
        frame = data[at + 10 : at + 10 + 3 * (2 << (data[at + 9] & 7))]
    return screen, frame


def is_grey(table):
    return all(v == i // 3 for i, v in enumerate(table))


def gif_mixed_palettes(kind, data, verdict, ours, theirs):
    if kind != "gif" or len(data) < 14:
        return False
    screen, frame = gif_tables(data)
    return screen is not None and frame is not None and is_grey(frame) and not is_grey(screen)


def chromaticities_before_13(kind, data, verdict, ours, theirs):
    at = data.find(b"cHRM")
    if kind != "png" or at < 0 or PILLOW >= (13, 0):
        return False
    n = int.from_bytes(data[at - 4 : at], "big")
    return n != 32 and (n % 4 != 0 or n < 32)


def refusing(kind, whose, pattern):
    """Only one side refuses, with this message."""

    def test(this, data, verdict, ours, theirs):
        message = ours if whose == "tuwen" else theirs
        return this == kind and verdict == f"only {whose} refuses" and re.search(pattern, message) is not None

    return test


def beyond_side(kind, data, verdict, ours, theirs):
    return verdict == "only tuwen refuses" and "longest side allowed" in ours


CAUSES = (
    ("BMP: run lengths, OS/2 palettes or a palette of one colour as Pillow 13 reads them, which corrected its reading", bmp_before_13),
    ("GIF: a grey palette of the first frame over a coloured one of the screen, which Pillow mixes up", gif_mixed_palettes),
    ("PNG: a cHRM chunk of another length than 32, checked as Pillow 13 does", chromaticities_before_13),
    ("PNM: kinds that Pillow made up for its tests (PyP, PyRGBA, PyCMYK, P0CMYK)", refusing("pnm", "tuwen", "first bytes 50 (79|30)")),
    ("PNM: PFM, pixels of floats", refusing("pnm", "tuwen", "pnm: Pf")),
    ("WebP: damage behind the pixels of an animation's first frame, which tuwen does not look at", refusing("webp", "Pillow", "could not create decoder")),
    ("WebP: a first frame without pixels, which libwebp passes over", refusing("webp", "tuwen", "no pixels in bytes")),
    ("TIFF: a damaged entry of the directory, which Pillow passes over", refusing("tiff", "tuwen", "tiff: (tag|truncated in a directory)")),
    ("tuwen allows sides of up to 1,000,000 pixels, before and after resizing", beyond_side),
)


def find(kind, data, verdict, ours, theirs):
    for text, test in CAUSES:
        if test(kind, data, verdict, ours or "", theirs or ""):
            return text
    return None
