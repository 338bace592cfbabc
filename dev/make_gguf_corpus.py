#!/usr/bin/env python3
"""Writes clip_cpp_*.gguf into tests/fuzz/gguf/corpus: small checkpoints in clip.cpp's layout, honest
and hostile (the other files there are model files of tuwen's). Needs only Python's standard
library; the same files come out every time.

usage: python3 dev/make_gguf_corpus.py [FOLDER]
"""
import pathlib
import random
import struct
import sys

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / "tests/fuzz/gguf/corpus")
U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
# ggml type -> number, elements and bytes of a block
TYPES = {"f32": (0, 1, 4), "f16": (1, 1, 2), "q4_0": (2, 32, 18), "q4_1": (3, 32, 20), "q5_0": (6, 32, 22),
         "q5_1": (7, 32, 24), "q8_0": (8, 32, 34), "q6_k": (14, 256, 210), "bf16": (30, 1, 2)}
WIDTH, EMBED, TOKENS, POSITIONS, PATCHES = 32, 32, 12, 8, 4


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(v):
    if isinstance(v, bool):
        return struct.pack("<I?", BOOL, v)
    if isinstance(v, int):
        return struct.pack("<II", U32, v)
    if isinstance(v, float):
        return struct.pack("<If", F32, v)
    if isinstance(v, str):
        return struct.pack("<I", STRING) + text(v)
    if isinstance(v, bytes):
        return v
    if isinstance(v[0], str):
        return struct.pack("<IIQ", ARRAY, STRING, len(v)) + b"".join(map(text, v))
    return struct.pack(f"<IIQ{len(v)}f", ARRAY, F32, len(v), *v)


def tower(name):
    prefix = f"clip.{name}."
    return {prefix + "embedding_length": WIDTH, prefix + "feed_forward_length": 64, prefix + "block_count": 1,
            prefix + "projection_dim": EMBED, prefix + "attention.head_count": 2,
            prefix + "attention.layer_norm_epsilon": 1e-5}


def keys(vision=True, words=True):
    k = {"general.architecture": "clip", "clip.has_text_encoder": words, "clip.has_vision_encoder": vision,
         "clip.use_gelu": True}
    if words:
        k |= tower("text") | {"clip.text.context_length": POSITIONS,
                              "tokenizer.ggml.tokens": [f"t{i}" for i in range(TOKENS)]}
    if vision:
        k |= tower("vision") | {"clip.vision.image_size": 8, "clip.vision.patch_size": 4,
                                "clip.vision.image_mean": [0.5, 0.5, 0.5],
                                "clip.vision.image_std": [0.25, 0.25, 0.25]}
    return k


def block(side):
    shapes = {}
    for name, outer, inner in [("attn_q", WIDTH, WIDTH), ("attn_k", WIDTH, WIDTH), ("attn_v", WIDTH, WIDTH),
                               ("attn_out", WIDTH, WIDTH), ("ffn_down", 64, WIDTH), ("ffn_up", WIDTH, 64)]:
        shapes[f"{side}.blk.0.{name}.weight"] = (outer, inner)
        shapes[f"{side}.blk.0.{name}.bias"] = (outer,)
    for name in ["ln1", "ln2"]:
        shapes |= {f"{side}.blk.0.{name}.{x}": (WIDTH,) for x in ("weight", "bias")}
    return shapes


def shapes(vision=True, words=True):
    s = {}
    if words:
        s |= {"t.token_embd.weight": (TOKENS, WIDTH), "t.position_embd.weight": (POSITIONS, WIDTH)} | block("t")
        s |= {f"t.post_ln.{x}": (WIDTH,) for x in ("weight", "bias")} | {"text_projection.weight": (EMBED, WIDTH)}
    if vision:
        s |= {"v.patch_embd.weight": (WIDTH, 3, 4, 4), "v.class_embd": (WIDTH,),
              "v.position_embd.weight": (PATCHES + 1, WIDTH)} | block("v")
        s |= {f"v.{n}.{x}": (WIDTH,) for n in ("pre_ln", "post_ln") for x in ("weight", "bias")}
        s |= {"visual_projection.weight": (EMBED, WIDTH)}
    return s


def file(k, s, matrix="f16", alignment=32, place=None):
    rng = random.Random(7)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(s), len(k))
    head += b"".join(text(name) + value(v) for name, v in k.items())
    data = b""
    for name, shape in s.items():
        kind = matrix if len(shape) == 2 else "f16" if len(shape) == 4 else "f32"
        number, n, n_bytes = TYPES[kind]
        offset = len(data) if place is None else place
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), number, offset)
        elements = 1
        for extent in shape:
            elements *= extent
        payload = elements // n * n_bytes
        # small numbers in every type: high bytes that are exponents stay low
        data += bytes(rng.randrange(32) for _ in range(payload))
        data += bytes(-len(data) % alignment)
    return head + bytes(-len(head) % alignment) + data


V = (True, False)  # the image tower alone
FILES = {
    "f16": file(keys(), shapes(), "f16"),
    "text_bf16": file(keys(False), shapes(False), "bf16"),
    "small_alignment": file({"general.alignment": 8} | keys(*V), shapes(*V), "q4_0", 8),
    "no_alignment": file({"general.alignment": 0} | keys(*V), {}),
    "odd_alignment": file({"general.alignment": 48} | keys(*V), {}),
    "overlap": file(keys(*V), {"a": (8,), "b": (8,)}, place=0),
    "outside": file(keys(*V), {"a": (8,)}, place=1 << 40),
    "unread_type": file(keys(*V), {"v.x.weight": (1, 256)}, "q6_k"),
    "mmproj": file(keys(*V) | {"clip.has_llava_projector": True}, {"v.class_embd": (8,)}),
    "llama": file({"general.architecture": "llama"}, {"token_embd.weight": (4, 32)}),
    "many_strings": file(keys(False) | {"tokenizer.ggml.tokens": struct.pack("<IIQ", ARRAY, STRING, 1 << 60)}, {}),
    "nested": file(keys(False) | {"x": struct.pack("<IIQIQ", ARRAY, ARRAY, 1, ARRAY, 1)}, {}),
    "no_heads": file(keys(*V) | {"clip.vision.attention.head_count": 0}, {"v.class_embd": (8,)}),
}
FILES |= {t: file(keys(*V), shapes(*V), t) for t in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")}

OUT.mkdir(parents=True, exist_ok=True)
for name, content in FILES.items():
    (OUT / f"clip_cpp_{name}.gguf").write_bytes(content)
