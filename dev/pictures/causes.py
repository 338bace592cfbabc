"""Why a picture may come out otherwise, or be refused by one side only. Each cause is narrow, known from
the sources of both sides and told in docs/COMPATIBILITY.md. A difference that fits none is a defect."""
import io
import re
import struct

import PIL
from PIL import ImageFile

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


def tiff_tags(data):
    """The first value of every tag that a classic file's directory has, by 16 or 32 bits."""
    order = ">" if data[:2] == b"MM" else "<"
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (n,) = struct.unpack_from(order + "H", data, at)
        tags = {}
        for entry in range(at + 2, at + 2 + 12 * n, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            far = count * {3: 2, 4: 4}.get(kind, 1) > 4
            place = struct.unpack_from(order + "I", data, entry + 8)[0] if far else entry + 8
            tags[tag] = struct.unpack_from(order + ("I" if kind == 4 else "H"), data, place)[0]
        return tags
    except struct.error:
        return {}


def tiff_of(verdict_needed, prefix, expected):
    """A TIFF of this byte order in which each of these tags has one of these values (None: it has none)."""

    def test(kind, data, verdict, ours, theirs):
        if kind != "tiff" or verdict != verdict_needed or data[:2] not in prefix:
            return False
        tags = tiff_tags(data)
        return all(tags.get(tag) in values for tag, values in expected.items())

    return test


def tiff_big_both_ways(kind, data, verdict, ours, theirs):
    return kind == "tiff" and verdict == "only Pillow refuses" and data[:4] == b"MM\0+"


def tiff_unused_plane(kind, data, verdict, ours, theirs):
    expected = {284: (2,), 277: (4,), 338: (0,)}
    if PILLOW >= (12, 2):
        expected[259] = (None, 1)
    return tiff_of("only Pillow refuses", (b"MM", b"II"), expected)(kind, data, verdict, ours, theirs)


def arithmetic_in_blocks(kind, data, verdict, ours, theirs):
    """libjpeg's arithmetic decoder cannot wait for the next block that Pillow reads."""
    arithmetic = any(marker in data for marker in (b"\xff\xc9", b"\xff\xca"))
    return kind == "jpeg" and verdict == "only Pillow refuses" and arithmetic and len(data) > ImageFile.MAXBLOCK and "broken data stream" in theirs


def heif_profile(kind, data, verdict, ours, theirs):
    if kind != "heif" or verdict != "only Pillow refuses":
        return False
    import pillow_heif

    try:
        pillow_heif.open_heif(io.BytesIO(data))
    except Exception as e:  # its ways to refuse are many
        return "NCLX" in str(e)
    return False


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
    ("WebP: damage behind the pixels of an animation's first frame, which tuwen does not look at", refusing("webp", "Pillow", "could not create decoder")),
    ("WebP: a first frame without pixels, which libwebp passes over", refusing("webp", "tuwen", "no pixels in bytes")),
    ("TIFF: a damaged entry of the directory, which Pillow passes over", refusing("tiff", "tuwen", "tiff: (tag|truncated in a directory)")),
    ("TIFF: a big-endian BigTIFF, which Pillow takes for a classic file", tiff_big_both_ways),
    ("TIFF: unsigned 32 bits, big-endian, which Pillow does not know", tiff_of("only Pillow refuses", (b"MM",), {258: (32,), 262: (1,), 339: (None, 1)})),
    ("TIFF: big-endian 16-bit grey, which Pillow scrambles when it resizes", tiff_of("different", (b"MM",), {258: (16,), 262: (1,), 277: (None, 1)})),
    ("TIFF: planes of which the fourth is not used: Pillow 12.1 refuses them, 12.2 and 13 those that are stored as they are", tiff_unused_plane),
    ("JPEG: arithmetic codes of more than 64 KiB, which Pillow cannot feed in blocks", arithmetic_in_blocks),
    ("HEIC: a damaged colour profile, which pillow-heif looks at and tuwen does not", heif_profile),
    ("tuwen allows sides of up to 1,000,000 pixels, before and after resizing", beyond_side),
)


def find(kind, data, verdict, ours, theirs):
    for text, test in CAUSES:
        if test(kind, data, verdict, ours or "", theirs or ""):
            return text
    return None
