"""Rows of dev/bench_targets.py on pictures: JPEG files to tensors, and a folder of them to features."""
import ctypes
import io
import math
import statistics
import subprocess
import tarfile
import time

import numpy as np

import peers
from target_lab import Line, milliseconds

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIZE, TILES, QUALITY = (1280, 960), 3, 90

# ------------------------------------------------------------------------------------------------- sides


def tensor(picture, size):
    """Chinese-CLIP's image_transform, with numpy where it has torchvision: [3, R, R] of one file's bytes or path."""
    from PIL import Image
    image = Image.open(picture if isinstance(picture, str) else io.BytesIO(picture))
    image = image.resize((size, size), Image.Resampling.BICUBIC).convert("RGB")
    x = np.asarray(image).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return (x - np.float32(MEAN)[:, None, None]) / np.float32(STD)[:, None, None]


class Pillow:
    imports = ["PIL.Image"]

    def __init__(self, job):
        from PIL import __version__, features
        self.size = job["info"]["size"]
        self.description = f"Pillow {__version__} (libjpeg-turbo {features.version_feature('libjpeg_turbo')})"

    def run(self, tower, pictures):
        return np.stack([tensor(p, self.size) for p in pictures])


class TuwenPictures:
    """tw_preprocess_f32 of include/tuwen/image.h, to agree with the Pillow of this environment."""
    imports = []

    class Recipe(ctypes.Structure):
        _fields_ = [("struct_size", ctypes.c_size_t), ("size", ctypes.c_int32), ("resize_mode", ctypes.c_int),
                    ("interpolation", ctypes.c_int), ("resampler", ctypes.c_int), ("rgb_order", ctypes.c_int),
                    ("crop_rounding", ctypes.c_int), ("mean", ctypes.c_float * 3), ("std", ctypes.c_float * 3),
                    ("fast_decode", ctypes.c_bool)]

    def __init__(self, job):
        self.library, self.error, size = ctypes.CDLL(job["library"]), peers.Tuwen.Error(), job["info"]["size"]
        self.recipe = self.Recipe(ctypes.sizeof(self.Recipe), size, resampler=job["resampler"], mean=MEAN, std=STD)
        versions = ctypes.create_string_buffer(256)
        self.library.tw_image_versions(versions, ctypes.c_size_t(256))
        self.description = f"tuwen ({versions.value.decode().split(', ')[0]})"

    def run(self, tower, pictures):
        out = np.empty((len(pictures), 3, self.recipe.size, self.recipe.size), np.float32)
        for data, to in zip(pictures, out):
            if self.library.tw_preprocess_f32(ctypes.byref(self.recipe), data, ctypes.c_size_t(len(data)), None,
                                              to.ctypes.data_as(ctypes.c_void_p), ctypes.byref(self.error)):
                raise RuntimeError(self.error.message.decode())
        return out


class PillowOpenVino(peers.OpenVino):
    """The loop that a person would write: eight pictures by Pillow, then the compiled model."""
    imports = ["PIL.Image", "openvino"]

    def __init__(self, job):
        super().__init__(job)
        self.size = job["info"]["size"]

    def run(self, tower, paths):
        batches = []
        for i in range(0, len(paths), 8):
            batches.append(super().run(tower, np.stack([tensor(p, self.size) for p in paths[i:i + 8]])))
        return np.concatenate(batches)


peers.PREPARE[PillowOpenVino, "int8"] = peers.openvino_int8

# ------------------------------------------------------------------------------------------------- pictures


def photographs(source):
    """Bytes of every JPEG and PNG of a folder or .tar, by name."""
    ends = (".jpg", ".jpeg", ".png")
    if source.is_dir():
        return [p.read_bytes() for p in sorted(source.iterdir()) if p.suffix.lower() in ends]
    with tarfile.open(source) as tar:
        names = sorted(n for n in tar.getnames() if n.lower().endswith(ends))
        return [tar.extractfile(n).read() for n in names]


def mosaics(lab):
    """Paths of --pictures JPEG files of 1280 x 960, each nine of --photos, made once."""
    from PIL import Image
    folder = lab.args.folder / f"jpeg-{lab.args.pictures}-{lab.args.photos.stem}"

    def make(folder):
        folder.mkdir(exist_ok=True)
        sources, rng = photographs(lab.args.photos), np.random.default_rng(1)
        tile = [math.ceil(side / TILES) for side in SIZE]
        for i in range(lab.args.pictures):
            whole = Image.new("RGB", SIZE)
            for j, k in enumerate(rng.integers(0, len(sources), TILES * TILES)):
                one = Image.open(io.BytesIO(sources[k])).convert("RGB").resize(tile, Image.Resampling.LANCZOS)
                whole.paste(one, (j % TILES * tile[0], j // TILES * tile[1]))
            whole.save(folder / f"{i:03}.jpg", "JPEG", quality=QUALITY)
    peers.once(folder, make)
    return sorted(folder.glob("*.jpg"))


def description(lab, paths):
    kilobytes = sum(p.stat().st_size for p in paths) / 1e3 / len(paths)
    return f"{len(paths)} of {SIZE[0]} x {SIZE[1]}, mosaics of {lab.args.photos.name}, {kilobytes:.0f} KB on average"


def resampler():
    """tw_resampler of the Pillow of this environment."""
    from PIL import __version__
    version = tuple(int(n) for n in __version__.split(".")[:2])
    return 0 if version < (10, 4) else 1 if version < (12, 2) else 2 if version < (13, 0) else 3


# ------------------------------------------------------------------------------------------------- rows


def preprocess(lab):
    """JPEG to tensor on one thread, processor time, whether the pixels are the same, and the ratio."""
    paths = mosaics(lab)[:8]
    data = [p.read_bytes() for p in paths]
    changes = {"towers": ["picture"], "first": {"picture": data[:1]}, "threads": 1, "resampler": resampler()}
    wanted = [((cls.__name__, cls, "pictures"), changes) for cls in (TuwenPictures, Pillow)]
    with lab.sides(*wanted) as sides:
        answers = [one.ask("input", "picture", data) for one in sides]
        title = f"JPEG to tensor, 1 thread, {description(lab, paths)}"
        if not all(answers):
            yield Line(title, f"none: {sides[0].problem or sides[1].problem}", None, 2)
            return
        times = [[], []]
        for _ in range(max(3, lab.args.rounds)):
            for one, taken in zip(sides, times):
                taken.append(one.ask("call") * 1e3 / len(paths))
        ours, theirs = (statistics.median(t) for t in times)
        yield Line(title, f"{theirs / ours:.2f}x; {sides[0].description} {milliseconds(ours, min(times[0]))}, "
                   f"{sides[1].description} with numpy {milliseconds(theirs, min(times[1]))} a picture", theirs / ours, 2)
        other = sum(int((a != b).sum()) for a, b in zip(answers[0][0], answers[1][0]))
        yield Line("the same, values that differ from Pillow's", f"{other} of {answers[1][0].size}", other, most=0, unit="")


def folder(lab):
    """A folder of JPEG files to features, int8: `tuwen embed`, start-up included, against Pillow + OpenVINO without theirs."""
    paths, model = mosaics(lab), lab.file("int8")
    place, title = paths[0].parent, f"folder to features, int8, {description(lab, paths)}"
    words = lab.command("embed", "-m", model, place, "-o", place.with_suffix(".npy"))
    loop = ("Pillow + OpenVINO int8", PillowOpenVino, "int8")
    names = [str(p) for p in paths]
    changes = {"towers": ["image"], "first": {"image": names[:1]}, "wall": True}
    with lab.sides((loop, changes)) as (one,):
        answer, ours, theirs = one.ask("input", "image", names), [], []
        for i in range(4):
            begin = time.perf_counter()
            done = subprocess.run(words, capture_output=True, text=True)
            ours += [time.perf_counter() - begin] if i else []
            if done.returncode:
                yield Line(title, f"none: {done.stderr.strip().splitlines()[-1]}", None, 4)
                return
            theirs += [one.ask("call")] if i and answer else []
        start = one.first * 1e3 if not one.problem else 0
        why = one.problem
    mine = statistics.median(ours)
    if theirs and None not in theirs:
        loop = statistics.median(theirs)
        yield Line(f"{title}, against a loop of Pillow and OpenVINO int8, b8",
                   f"{loop / mine:.2f}x; {mine:.2f} s ({min(ours):.2f}) as a process, the loop {loop:.2f} s ({min(theirs):.2f}), "
                   f"its imports, load and first picture, {start / 1e3:.1f} s, left out", loop / mine, 4)
    else:
        yield Line(f"{title}, against a loop of Pillow and OpenVINO int8, b8", f"{mine:.2f} s; the loop: none: {why}", None, 4)
    yield share(lab, model, place)


def share(lab, model, place):
    """What `tuwen bench --pipeline` reaches of what decoding and encoding allow."""
    title = "folder to features, int8, share of what decoding and encoding allow"
    try:
        rates = lab.ask_tuwen("bench", "-m", model, "--pipeline", place)["pipeline"]
    except RuntimeError as e:
        return Line(title, f"none: {e}", None, 85, unit=" %")
    percent = 100 * rates["reached_per_second"] / rates["allowed_per_second"]
    reached, allowed, prepared, encoded = (rates[f"{k}_per_second"] for k in ("reached", "allowed", "preprocess", "encode"))
    return Line(title, f"{percent:.0f} %; {reached:.1f} a second of {allowed:.1f}; decoded and resized {prepared:.1f}, "
                f"encoded {encoded:.1f}", percent, 85, unit=" %")
