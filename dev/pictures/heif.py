"""HEIC and AVIF of dev/picture_variants_heif.py, when pillow-heif and Pillow's AVIF are installed. tuwen is
given the libraries that the Python packages bring: two versions of a decoder need not agree to the bit."""
import glob
import os
import random

import PIL
from PIL import features

from .common import pick_size

try:
    import picture_variants_heif as variants
    import pillow_heif
except ImportError:
    variants = None


def bundled(package, name):
    """The library that came in a package's wheel."""
    folder = os.path.dirname(os.path.abspath(package.__file__))
    wheel = package.__name__.replace("PIL", "pillow")
    return next(iter(glob.glob(os.path.join(folder, "..", f"{wheel}.libs", f"lib{name}-*"))), None)


def in_another_process(make):
    """What make() returns, None when it crashes, as the encoders do on some pictures."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = 1
        try:
            with os.fdopen(writer, "wb") as f:
                f.write(make())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as f:
        data = f.read()
    return data if os.waitpid(child, 0)[1] == 0 else None


def maker_of(kind):
    def make(rng):
        for _ in range(20):
            w, h = pick_size(rng, 200)
            seed = rng.getrandbits(32)
            data = in_another_process(lambda: variants.MAKERS[kind](random.Random(seed), w, h))
            if data:
                return data, []
        raise RuntimeError(f"{kind}: the encoder made none of 20 pictures")

    return make


MAKERS = {}
if variants and features.check("avif"):
    for kind, package in (("avif", PIL), ("heif", pillow_heif)):
        library = bundled(package, kind)
        if library and "TUWEN_LIB" + kind.upper() not in os.environ:
            os.environ["TUWEN_LIB" + kind.upper()] = library
        MAKERS[kind] = maker_of(kind)
