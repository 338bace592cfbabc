"""WebP: lossless, lossy, alpha, EXIF, animated, frames smaller than the canvas."""
import io
import struct

from .common import exif, pick_size, pixels


def webp_chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def make_webp(rng):
    w, h = pick_size(rng, 500, 2000)
    mode = rng.choice(("RGB", "RGBA"))
    options = {"lossless": rng.random() < 0.5, "quality": rng.choice((0, 30, 80, 100)), "method": rng.choice((0, 2, 4))}
    facts = ["lossless" if options["lossless"] else "lossy"]
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
        return out.getvalue(), facts + ["animated"]
    frame(w, h).save(out, "WEBP", **options)
    if kind > 0.3:
        return out.getvalue(), facts
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
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body, facts + ["frame on a larger canvas"]
