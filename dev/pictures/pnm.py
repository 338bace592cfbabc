"""PBM, PGM, PPM, plain and raw, every maximum, comments; the relatives PAM and PFM."""
import struct

from .common import pick_size


def make_p1_to_p6(rng):
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


def make_relative(rng):
    """PAM, PFM and Pillow's own kinds."""
    w, h = pick_size(rng, 60)
    kind = rng.choice((b"P7", b"PF", b"Pf", b"Pf", b"Pf", b"P0CMYK", b"PyP", b"PyRGBA", b"PyCMYK"))
    if kind == b"P7":
        head = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (w, h)
        return head + rng.randbytes(3 * w * h), ["PAM"]
    if kind in (b"PF", b"Pf"):
        scale = rng.choice((b"-1.0", b"1.0", b"-0.5", b"2"))
        order = "<" if scale.startswith(b"-") else ">"
        n = w * h * (3 if kind == b"PF" else 1)
        values = [rng.choice((rng.uniform(0, 255), rng.uniform(-40, 300), float(rng.randint(0, 255)))) for _ in range(n)]
        return b"%s\n%d %d\n%s\n" % (kind, w, h, scale) + struct.pack(f"{order}{n}f", *values), ["PFM"]
    bands = 1 if kind == b"PyP" else 4
    return b"%s\n%d %d\n255\n" % (kind, w, h) + rng.randbytes(w * h * bands), ["Pillow's own kinds"]


def make_pnm(rng):
    if rng.random() < 0.1:
        return make_relative(rng)
    data = make_p1_to_p6(rng)
    return data, [data[:2].decode()]
