#!/usr/bin/env python3
"""Computes in float64 what the tiny network of src/encode/selfcheck.c must give.
usage: make_self_check.py > src/encode/selfcheck_expected.h   (needs numpy)"""
import math

import numpy as np

W, M, E, HEADS, R, P, TOKENS, VOCAB, POSITIONS = 32, 64, 16, 2, 16, 8, 5, 64, 8
MASK = (1 << 64) - 1
seed = 20


def number():
    global seed
    seed = (seed + 0x9E3779B97F4A7C15) & MASK
    z = seed
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return np.float32((z >> 40) / (1 << 23) - 1.0)


def fill(*shape, offset=0.0, scale=1.0):
    n = int(np.prod(shape))
    values = [np.float32(offset) + np.float32(scale) * number() for _ in range(n)]
    return np.array(values, np.float32).astype(np.float64).reshape(shape)


def fill_norm():
    gamma = fill(W, offset=1, scale=0.25)
    return gamma, fill(W, scale=0.25)


def fill_linear(out, into):
    weight = fill(out, into, scale=0.25)
    return weight, fill(out, scale=0.25)


def fill_block():
    names = ["ln1", "ln2"]
    b = {n: fill_norm() for n in names}
    for n, out, into in (("q", W, W), ("k", W, W), ("v", W, W), ("out", W, W), ("fc1", M, W), ("fc2", W, M)):
        b[n] = fill_linear(out, into)
    return b


def norm(x, gb, eps):
    mean = x.mean(-1, keepdims=True)
    var = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + eps) * gb[0] + gb[1]


def linear(x, wb):
    return x @ wb[0].T + wb[1]


def attention(x, b):
    q, k, v = (linear(x, b[n]) for n in "qkv")
    d = W // HEADS
    out = np.empty_like(x)
    for h in range(HEADS):
        s = slice(h * d, (h + 1) * d)
        p = np.exp(q[:, s] @ k[:, s].T / math.sqrt(d))
        out[:, s] = p / p.sum(-1, keepdims=True) @ v[:, s]
    return linear(out, b["out"])


def quick_gelu(x):
    return x / (1 + np.exp(-1.702 * x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def show(name, values):
    print(f"static const double {name}[] = {{")
    for i in range(0, len(values), 4):
        print("    " + " ".join(f"{v:.12g}," for v in values[i:i + 4]))
    print("};")


def main():
    patch = fill(W, 3 * P * P, scale=0.125)
    class_row, position = fill(W), fill(TOKENS, W)
    pre, post, block, projection = fill_norm(), fill_norm(), fill_block(), fill(E, W, scale=0.25)
    token, text_position, token_type = fill(VOCAB, W), fill(POSITIONS, W), fill(2, W)
    embed_norm, text_block, text_projection = fill_norm(), fill_block(), fill(E, W, scale=0.25)
    pixels = np.array([np.float32(2) * number() for _ in range(3 * R * R)], np.float32).astype(np.float64)
    pixels = pixels.reshape(3, R, R)

    g = R // P
    rows = [pixels[:, y * P:(y + 1) * P, x * P:(x + 1) * P].reshape(-1) for y in range(g) for x in range(g)]
    x = np.vstack([class_row, np.array(rows) @ patch.T]) + position
    x = norm(x, pre, 1e-5)
    x = x + attention(norm(x, block["ln1"], 1e-5), block)
    x = x + linear(quick_gelu(linear(norm(x, block["ln2"], 1e-5), block["fc1"])), block["fc2"])
    image = norm(x[0], post, 1e-5) @ projection.T

    ids = [1, 40, 7, 63, 2]
    x = norm(token[ids] + text_position[:len(ids)] + token_type[0], embed_norm, 1e-12)
    x = norm(x + attention(x, text_block), text_block["ln1"], 1e-12)
    x = norm(x + linear(gelu(linear(x, text_block["fc1"])), text_block["fc2"]), text_block["ln2"], 1e-12)
    text = x[0] @ text_projection.T

    print("/* Written by dev/make_self_check.py. */")
    show("expected_image", image)
    show("expected_text", text)


if __name__ == "__main__":
    main()
