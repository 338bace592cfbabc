"""What the makers of pictures share. Everything is drawn from the random.Random that is passed."""
import struct

from PIL import Image


def pick_size(rng, largest, huge=0):
    """Ordinary, tiny, extreme and already right sizes; up to `huge` now and then."""
    kind = rng.random()
    if kind < 0.1:
        return rng.randint(1, 4), rng.randint(1, 4)
    if kind < 0.16:
        size = rng.randint(1, 6), rng.randint(300, 900)
        return size if rng.random() < 0.5 else size[::-1]
    if kind < 0.3:
        return rng.choice((224, 336, 32, 7)), rng.choice((224, 336, 32, 7, 100))
    if huge and kind < 0.32:
        return rng.randint(700, huge), rng.randint(700, huge)
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


def damaged(rng, data):
    """Cut off, or with bytes changed."""
    data = bytearray(data)
    kind = rng.random()
    if kind < 0.3:
        return bytes(data[: rng.randrange(len(data))])
    if kind < 0.4:
        return bytes(data[: max(0, len(data) - rng.randint(1, 20))])
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)
