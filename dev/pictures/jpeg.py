"""JPEG by Pillow and, for what Pillow cannot write (other samplings, arithmetic codes, scans of one
component), by libjpeg-turbo's cjpeg where it is installed; markers changed afterwards."""
import io
import shutil
import subprocess
import tempfile

from .common import exif, pick_size, pixels

CJPEG = shutil.which("cjpeg")

SAMPLINGS = {
    "4:4:0": "1x2,1x1,1x1",
    "4:1:1": "4x1,1x1,1x1",
    "4:1:0": "4x2,1x1,1x1",
    "4:4:1": "1x4,1x1,1x1",
    "2x2,2x1,1x2": "2x2,2x1,1x2",
    "2x2,1x2,2x1": "2x2,1x2,2x1",
    "1x1,2x2,1x1": "1x1,2x2,1x1",
    "2x1,2x1,2x1": "2x1,2x1,2x1",
    "3x1,1x1,1x1": "3x1,1x1,1x1",
}


def by_cjpeg(rng, w, h):
    bands = rng.choice((1, 3, 3, 3))
    options, facts = [], []
    if bands == 3:
        name = rng.choice(list(SAMPLINGS))
        options += ["-sample", SAMPLINGS[name]]
        facts.append(name)
    coding = rng.random()
    if coding < 0.25:
        options.append("-arithmetic")
        facts.append("arithmetic")
    if rng.random() < 0.25:
        options.append("-progressive")
        facts.append("progressive")
    elif rng.random() < 0.3 and bands == 3:
        facts.append("a scan a component")
    if rng.random() < 0.2:
        options += ["-restart", str(rng.randint(1, 5))]
    if rng.random() < 0.1:
        options += ["-rgb"] if bands == 3 else []
        facts.append("stored as RGB")
    options += ["-quality", str(rng.choice((1, 30, 75, 95, 100))), "-dct", "int"]
    pnm = io.BytesIO()
    pixels(rng, w, h, bands).save(pnm, "PPM")
    with tempfile.NamedTemporaryFile("w", suffix=".scans") as scans:
        if "a scan a component" in facts:
            scans.write(rng.choice(("0; 1; 2;", "0; 1 2;", "2; 1; 0;")))
            scans.flush()
            options += ["-scans", scans.name]
        done = subprocess.run([CJPEG, *options], input=pnm.getvalue(), capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"cjpeg {' '.join(options)}: {done.stderr.decode()}")
    return done.stdout, facts


def set_adobe(rng, data):
    """Changes what the Adobe marker says of the colours: CMYK becomes YCCK, YCbCr RGB and so on."""
    at = data.find(b"\xff\xee\0\x0eAdobe")
    if at >= 0:
        return data[: at + 15] + bytes([rng.choice((0, 1, 2, 2, 77))]) + data[at + 16 :]
    return data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([rng.choice((0, 1, 2))]) + data[2:]


def drop_jfif(data):
    at = data.find(b"\xff\xe0\0\x10JFIF")
    return data[:at] + data[at + 18 :] if at >= 0 else data


def wide_tables(data):
    """The quantization tables again, with 16 bits a value."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        n = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + n]
        if data[at + 1] == 0xDB:
            wide = b""
            while body:
                wide += bytes([body[0] | 0x10]) + b"".join(bytes([0, v]) for v in body[1:65])
                body = body[65:]
            out += b"\xff\xdb" + (len(wide) + 2).to_bytes(2, "big") + wide
        else:
            out += data[at : at + 2 + n]
        at += 2 + n
    return out + data[at:]


def by_pillow(rng, w, h):
    bands = rng.choice((1, 3, 3, 3, 4))
    options, facts = {}, ["CMYK"] if bands == 4 else []
    if rng.random() < 0.3:
        options["exif"] = b"Exif\0\0" + exif(rng)
        facts.append("EXIF")
    if rng.random() < 0.2:
        options["restart_marker_blocks"] = rng.randint(1, 9)
        facts.append("restart markers")
    sampling = rng.randint(0, 2)
    if bands == 3:
        facts.append(("4:4:4", "4:2:2", "4:2:0")[sampling])
    if bands == 3 and rng.random() < 0.1:
        options["keep_rgb"], sampling = True, 0
    if rng.random() < 0.4:
        options["progressive"] = True
        facts.append("progressive")
    out = io.BytesIO()
    pixels(rng, w, h, bands).save(
        out,
        "JPEG",
        quality=rng.choice((1, 10, 50, 75, 90, 95, 100)),
        subsampling=sampling,
        optimize=rng.random() < 0.3,
        **options,
    )
    data = out.getvalue()
    if rng.random() < 0.15:
        data = set_adobe(rng, data)
        facts.append("Adobe marker changed")
    if rng.random() < 0.05:
        data = drop_jfif(data)
    if rng.random() < 0.05:
        data = wide_tables(data)
        facts.append("16-bit tables")
    return data, facts


def make_jpeg(rng):
    w, h = pick_size(rng, 700, 3000)
    return by_cjpeg(rng, w, h) if CJPEG and rng.random() < 0.35 else by_pillow(rng, w, h)
