"""PNG of every kind. Any row of filtered bytes is a valid one, so pictures are drawn in the filtered
domain. Around the pixels: chunks of every name that Pillow looks into, some of them too short."""
import struct
import zlib

from .common import exif, pick_size

KINDS = [(d, 0) for d in (1, 2, 4, 8, 16)] + [(d, 3) for d in (1, 2, 4, 8)] + [(d, c) for c in (2, 4, 6) for d in (8, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def adam7(w, h):
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        yield (w - x0 + dx - 1) // dx, (h - y0 + dy - 1) // dy


def rows_of(rng, w, h, bits, interlaced):
    smooth = rng.random() < 0.5
    palette = bytes(rng.choice((0, 0, 0, 0, 1, 2, 255, 254, 40)) for _ in range(256))
    rows = bytearray()
    for pw, ph in adam7(w, h) if interlaced else ((w, h),):
        n = (pw * bits + 7) // 8
        for _ in range(ph if pw > 0 else 0):
            rows.append(rng.choice((1, 2, 3, 4)) if smooth else rng.randint(0, 4))
            rows += rng.randbytes(n).translate(palette) if smooth else rng.randbytes(n)
    return bytes(rows)


def extras(rng, facts):
    """Chunks that change nothing; one too short for its name makes Pillow refuse the file."""
    full = {
        b"gAMA": struct.pack(">I", 45455),
        b"cHRM": struct.pack(">8I", *range(8)),
        b"sRGB": b"\0",
        b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
        b"tEXt": b"Comment\0" + b"x" * rng.randint(0, 50),
        b"zTXt": b"Comment\0\0" + zlib.compress(b"x" * rng.randint(0, 50)),
        b"iTXt": b"Comment\0\1\0en\0\0" + zlib.compress(b"x" * rng.randint(0, 50)),
        b"iCCP": b"name\0\0" + zlib.compress(rng.randbytes(rng.randint(0, 50))),
        b"tIME": bytes(7),
        b"vpAg": rng.randbytes(9),
    }
    name = rng.choice(list(full))
    data = full[name]
    if rng.random() < 0.1:
        data = data[: rng.randint(0, len(data))]
        facts.append("a chunk cut short")
    elif rng.random() < 0.05 and name in (b"zTXt", b"iCCP"):
        data = data.replace(b"\0\0", b"\0\1", 1)
        facts.append("unknown compression")
    return chunk(name, data)


def frame_control(rng, number, w, h):
    x, y = 0, 0
    if rng.random() < 0.1:
        w = rng.randint(0, w)
        x = rng.randint(0, w)
    return chunk(b"fcTL", struct.pack(">5I2H2B", number, w, h, x, y, 1, 10, rng.randrange(3), rng.randrange(2)))


def palette(rng, depth, facts):
    entries = rng.choice((1 << depth, 256))
    if rng.random() < 0.2:
        entries = rng.randint(0, (1 << depth) - 1)
        facts.append("short palette")
    return chunk(b"PLTE", rng.randbytes(3 * entries + rng.choice((0, 0, 0, 0, 0, 1))))


def transparency(rng, depth, colour):
    if colour == 3:
        return chunk(b"tRNS", rng.randbytes(rng.randint(1, 1 << depth)))
    if colour in (0, 2):
        return chunk(b"tRNS", struct.pack(">H", rng.randrange(1 << depth)) * CHANNELS[colour])
    return b""


def make_png(rng):
    w, h = pick_size(rng, 260, 1500)
    depth, colour = rng.choice(KINDS)
    interlaced = rng.random() < 0.35
    facts = ["interlaced"] if interlaced else []
    rows = rows_of(rng, w, h, CHANNELS[colour] * depth, interlaced)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlaced))
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        body += extras(rng, facts)
    animated = rng.random() < 0.1
    if animated:
        facts.append("APNG")
        body += chunk(b"acTL", struct.pack(">II", rng.choice((0, 1, 2, 2)), 0))
    if colour == 3 and rng.random() < 0.98:
        body += palette(rng, depth, facts)
    if rng.random() < 0.3:
        body += transparency(rng, depth, colour)
        facts.append("tRNS")
    if rng.random() < 0.2:
        body += chunk(b"eXIf", exif(rng))
        facts.append("EXIF")
    first = animated and rng.random() < 0.7
    if first:
        body += frame_control(rng, 0, w, h)
    data = zlib.compress(rows, rng.choice((0, 1, 6, 9)))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3))))
    for a, b in zip([0] + cuts, cuts + [len(data)]):
        body += chunk(b"IDAT", data[a:b])
    if animated:
        body += frame_control(rng, int(first), w, h)
        body += chunk(b"fdAT", struct.pack(">I", int(first) + 1) + data)
    if rng.random() < 0.15:
        facts.append("chunks after the pixels")
        body += extras(rng, facts)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""), facts
