#!/usr/bin/env python3
"""docs/MODEL.md as a program: the networks and the 8-bit resampler in numpy and f64, written from that
document alone, compared with the stored features of the tiny models and with `tuwen preprocess`.

    dev/model_in_numpy.py [--tuwen build/tuwen]

Needs numpy and nothing else. Prints the largest differences; status 1 when one is too large.
"""
import argparse
import io
import json
import math
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib

import numpy as np

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests/data/checkpoints"

# ------------------------------------------------------------------------------- checkpoints


class Dict(dict):
    """OrderedDict: has a __dict__ for what the pickle sets on it."""


class Reader(pickle.Unpickler):
    """Only for our own test files: unlike tuwen, this does run the pickle's few known calls."""

    types = {"HalfStorage": np.float16, "FloatStorage": np.float32, "LongStorage": np.int64}

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        data = next(n for n in self.zip.namelist() if n.endswith("data.pkl"))
        self.top = data.removesuffix("data.pkl")
        super().__init__(io.BytesIO(self.zip.read(data)))

    def persistent_load(self, pid):
        return np.frombuffer(self.zip.read(self.top + "data/" + pid[2]), pid[1])

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, stride, *_: np.lib.stride_tricks.as_strided(
                storage[offset:], shape, [s * storage.itemsize for s in stride]).astype(np.float64)
        if name == "OrderedDict":
            return Dict
        return self.types[name]


def load(path):
    return {k.removeprefix("module."): v for k, v in Reader(path).load()["state_dict"].items()}


# ---------------------------------------------------------------------------- building blocks

erf = np.vectorize(math.erf)


def gelu(x):
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def quick_gelu(x):
    return x / (1 + np.exp(-1.702 * x))


def relu(x):
    return np.maximum(x, 0)


def linear(x, t, name):
    return x @ t[name + ".weight"].T + t[name + ".bias"]


def layer_norm(x, t, name, eps):
    m = x.mean(-1, keepdims=True)
    v = ((x - m) ** 2).mean(-1, keepdims=True)
    return (x - m) / np.sqrt(v + eps) * t[name + ".weight"] + t[name + ".bias"]


def attention(q, k, v, d):
    out = np.empty_like(q)
    for head in range(0, q.shape[1], d):
        s = slice(head, head + d)
        a = q[:, s] @ k[:, s].T / math.sqrt(d)
        a = np.exp(a - a.max(1, keepdims=True))
        out[:, s] = a / a.sum(1, keepdims=True) @ v[:, s]
    return out


def count(t, pattern):
    n = 0
    while pattern.format(n) in t:
        n += 1
    return n


# ------------------------------------------------------------------------------------- towers


def vit(pixels, t, p, d):
    g, w = pixels.shape[1] // p, len(t["visual.class_embedding"])
    patches = pixels.reshape(3, g, p, g, p).transpose(1, 3, 0, 2, 4).reshape(g * g, -1)
    x = patches @ t["visual.conv1.weight"].reshape(w, -1).T
    x = np.vstack([t["visual.class_embedding"], x]) + t["visual.positional_embedding"]
    x = layer_norm(x, t, "visual.ln_pre", 1e-5)
    for i in range(count(t, "visual.transformer.resblocks.{}.ln_1.weight")):
        b = f"visual.transformer.resblocks.{i}."
        qkv = layer_norm(x, t, b + "ln_1", 1e-5) @ t[b + "attn.in_proj_weight"].T + t[b + "attn.in_proj_bias"]
        x = x + linear(attention(*np.split(qkv, 3, 1), d), t, b + "attn.out_proj")
        hidden = quick_gelu(linear(layer_norm(x, t, b + "ln_2", 1e-5), t, b + "mlp.c_fc"))
        x = x + linear(hidden, t, b + "mlp.c_proj")
    return layer_norm(x[0], t, "visual.ln_post", 1e-5) @ t["visual.proj"]


def conv(x, w, stride=1, pad=0):
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    k = w.shape[2]
    n = (x.shape[1] - k) // stride + 1
    last = stride * (n - 1) + 1
    return sum(np.tensordot(w[:, :, y, z], x[:, y:y + last:stride, z:z + last:stride], 1)
               for y in range(k) for z in range(k))


def batch_norm(x, t, name):
    scale = t[name + ".weight"] / np.sqrt(t[name + ".running_var"] + 1e-5)
    shift = t[name + ".bias"] - t[name + ".running_mean"] * scale
    return x * scale[:, None, None] + shift[:, None, None]


def pool(x, s):
    c, h, w = x.shape[0], x.shape[1] // s, x.shape[2] // s
    return x[:, :h * s, :w * s].reshape(c, h, s, w, s).mean((2, 4))


def bottleneck(x, t, b, stride):
    y = relu(batch_norm(conv(x, t[b + "conv1.weight"]), t, b + "bn1"))
    y = relu(batch_norm(conv(y, t[b + "conv2.weight"], pad=1), t, b + "bn2"))
    y = batch_norm(conv(pool(y, stride), t[b + "conv3.weight"]), t, b + "bn3")
    if b + "downsample.0.weight" in t:
        x = batch_norm(conv(pool(x, stride), t[b + "downsample.0.weight"]), t, b + "downsample.1")
    return relu(y + x)


def resnet(x, t, d):
    for i, stride in (1, 2), (2, 1), (3, 1):
        x = relu(batch_norm(conv(x, t[f"visual.conv{i}.weight"], stride, 1), t, f"visual.bn{i}"))
    x = pool(x, 2)
    for layer in 1, 2, 3, 4:
        for b in range(count(t, f"visual.layer{layer}.{{}}.conv1.weight")):
            x = bottleneck(x, t, f"visual.layer{layer}.{b}.", 2 if b == 0 and layer > 1 else 1)
    f = x.reshape(len(x), -1).T
    f = np.vstack([f.mean(0), f]) + t["visual.attnpool.positional_embedding"]
    q, k, v = (linear(y, t, f"visual.attnpool.{n}_proj") for n, y in (("q", f[:1]), ("k", f), ("v", f)))
    return linear(attention(q, k, v, d), t, "visual.attnpool.c_proj")[0]


def bert(ids, t, n_heads):
    e = "bert.embeddings."
    x = t[e + "word_embeddings.weight"][ids] + t[e + "position_embeddings.weight"][:len(ids)]
    x = layer_norm(x + t[e + "token_type_embeddings.weight"][0], t, e + "LayerNorm", 1e-12)
    for i in range(count(t, "bert.encoder.layer.{}.output.dense.weight")):
        b = f"bert.encoder.layer.{i}."
        q, k, v = (linear(x, t, f"{b}attention.self.{n}") for n in ("query", "key", "value"))
        mixed = linear(attention(q, k, v, x.shape[1] // n_heads), t, b + "attention.output.dense")
        x = layer_norm(x + mixed, t, b + "attention.output.LayerNorm", 1e-12)
        hidden = linear(gelu(linear(x, t, b + "intermediate.dense")), t, b + "output.dense")
        x = layer_norm(x + hidden, t, b + "output.LayerNorm", 1e-12)
    return x[0] @ t["text_projection"]


# ---------------------------------------------------------------------------------- resampler


def bilinear(x):
    return max(0.0, 1 - abs(x))


def bicubic(x):
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return -0.5 * (((x - 5) * x + 8) * x - 4) if x < 2 else 0.0


def resample(a, m, kernel, s):
    """Axis 0 of a to m rows."""
    n = len(a)
    scale = n / m
    stretch = max(scale, 1.0)
    out = np.empty((m,) + a.shape[1:], np.uint8)
    for i in range(m):
        center = (i + 0.5) * scale
        begin = max(0, int(center - s * stretch + 0.5))
        end = min(n, int(center + s * stretch + 0.5))
        w = [kernel((begin + j - center + 0.5) * (1 / stretch)) for j in range(end - begin)]
        total = sum(w)
        k = [int(v / total * 2**22 + (0.5 if v / total >= 0 else -0.5)) for v in w]
        acc = (1 << 21) + np.tensordot(np.array(k), a[begin:end].astype(np.int64), 1)
        out[i] = np.clip(acc >> 22, 0, 255)
    return out


def squash(a, r, kernel, version):
    h, w = a.shape[:2]
    s = 2 if kernel is bicubic else 1
    vertical = lambda b: resample(b, r, kernel, s) if h != r else b
    horizontal = lambda b: resample(b.swapaxes(0, 1), r, kernel, s).swapaxes(0, 1) if w != r else b
    if version == "13" and h - r > 0 and h - r > 2 * (w - r):
        return horizontal(vertical(a))
    return vertical(horizontal(a))


def write_png(path, a):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + row.tobytes() for row in a)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" +
                     chunk(b"IHDR", struct.pack(">IIBBBBB", a.shape[1], a.shape[0], 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# --------------------------------------------------------------------------------- comparisons


def compare_towers(name, checkpoint, vision, text):
    folder = DATA / name
    t = load(folder / checkpoint)
    v, b = (json.loads((folder / f).read_text()) for f in (vision, text))
    d = v.get("vision_head_width", 64)
    pixels, ids = np.load(folder / "image_input.npy"), np.load(folder / "input_ids.npy")
    if "vision_patch_size" in v and "visual.proj" in t:
        images = [vit(p.astype(np.float64), t, v["vision_patch_size"], d) for p in pixels]
    else:
        images = [resnet(p.astype(np.float64), t, d) for p in pixels]
    texts = [bert(row[row != 0], t, b["text_num_attention_heads"]) for row in ids]
    errors = [np.abs(np.array(got) - np.load(folder / f"unnorm_{kind}_features.npy")).max()
              for got, kind in ((images, "image"), (texts, "text"))]
    print(f"{name}: image differs by {errors[0]:.1e}, text by {errors[1]:.1e}")
    return max(errors) < 1e-6  # the stored features are f32


def compare_resampler(tuwen, folder):
    rng, good, n = np.random.default_rng(1), 0, 0
    picture, out = folder / "x.png", folder / "x.npy"
    for shape in (300, 500), (500, 300), (37, 41), (900, 3), (224, 100):
        a = rng.integers(0, 256, shape + (3,), np.uint8)
        write_png(picture, a)
        for version in "classic", "13":
            for kernel in bicubic, bilinear:
                subprocess.run([tuwen, "preprocess", "--recipe", "chinese-clip", "--resampler", version,
                                "--interpolation", kernel.__name__, "--size", "224", "--dtype", "u8",
                                "-o", out, picture], check=True, capture_output=True)
                good += np.array_equal(np.load(out), squash(a, 224, kernel, version))
                n += 1
    print(f"resampler: {good} of {n} pictures equal")
    return good == n


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tuwen", default="build/tuwen")
    options = parser.parse_args()
    good = [compare_towers("tiny_cn_vit", "clip_cn_tiny-vit.pt", "tiny-vit.json", "tiny-bert.json"),
            compare_towers("tiny_cn_rn", "clip_cn_tiny-rn.pt", "tiny-rn.json", "tiny-rbt.json")]
    with tempfile.TemporaryDirectory() as folder:
        good.append(compare_resampler(options.tuwen, pathlib.Path(folder)))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
