"""BMP: every header, depth, palette, bit field, run lengths as an encoder makes them and as none does."""
import struct

from .common import pick_size


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
    w, h = pick_size(rng, 260, 1500)
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
    grey = rng.random() < 0.3
    padding = 3 if header == 12 else 4
    palette = b""
    for i in range(n if bits <= 8 else 0):
        v = 255 * i if n == 2 else i
        palette += (bytes([v, v, v]) if grey else rng.randbytes(3)) + b"\0" * (padding - 3)
    stride = (w * bits + 31) // 32 * 4
    pixels = bmp_runs(rng, w, h, bits == 4) if compression in (1, 2) else rng.randbytes(stride * h)
    facts = [f"{bits} bits", ("stored", "RLE8", "RLE4", "bit fields")[compression], f"header of {header} bytes"]
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
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, at) + head + palette + bytes(gap) + pixels, facts
