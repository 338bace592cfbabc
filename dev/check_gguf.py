#!/usr/bin/env python3
"""Opens a model file with the ecosystem's own reader (PyPI gguf) and holds it against
docs/FORMAT.md: every key and every tensor is on that page, shapes and types are right, numbers
are finite, token ids are where they should be.

    python dev/check_gguf.py MODEL.gguf [...]
"""

import pathlib
import re
import sys

import gguf
import numpy as np

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "FORMAT.md"


def documented():
    """Patterns of names in back quotes; {i} stands for a number, .bias and the like for a suffix."""
    text = PAGE.read_text(encoding="utf-8")
    names = set(re.findall(r"`([a-z_]+(?:\.[a-zA-Z0-9_{}]+)+)`", text))
    suffixes = ["", ".weight", ".bias", ".scale", ".bn.weight", ".bn.bias", ".bn.mean", ".bn.var"]
    patterns = []
    for name in names:
        stems = {name, name.removesuffix(".weight")}
        for stem in stems:
            body = re.sub(r"\\{[a-z]\\}", r"\\d+", re.escape(stem))
            patterns += [body + re.escape(s) for s in suffixes]
    return re.compile("|".join(f"(?:{p})" for p in patterns))


def value(reader, key):
    field = reader.get_field(key)
    return None if field is None else field.contents()


def check_tokens(reader):
    tokens = value(reader, "tokenizer.ggml.tokens")
    for name, token in [("padding", "[PAD]"), ("unknown", "[UNK]"), ("cls", "[CLS]"),
                        ("seperator", "[SEP]"), ("mask", "[MASK]")]:
        token_id = value(reader, f"tokenizer.ggml.{name}_token_id")
        assert token_id is None or tokens[token_id] == token, (name, token_id)
    assert len(tokens) == value(reader, "tuwen.text.vocab_size")
    return len(tokens)


def as_f32(tensor):
    if tensor.tensor_type == gguf.GGMLQuantizationType.BF16:
        bits = np.frombuffer(tensor.data.tobytes(), dtype="<u2").astype("<u4") << 16
        return bits.view("<f4")
    return np.asarray(tensor.data, dtype=np.float32)


def check(path):
    reader = gguf.GGUFReader(path)
    known = documented()
    for key in reader.fields:
        if not key.startswith("GGUF."):
            assert known.fullmatch(key), f"key {key} is not in {PAGE.name}"
    types = {}
    for tensor in reader.tensors:
        assert known.fullmatch(tensor.name), f"tensor {tensor.name} is not in {PAGE.name}"
        assert tensor.data_offset % 32 == 0, tensor.name
        assert tensor.tensor_type.name in ("F32", "F16", "BF16", "I8"), tensor.name
        assert np.isfinite(as_f32(tensor)).all(), tensor.name
        types[tensor.tensor_type.name] = types.get(tensor.tensor_type.name, 0) + 1
    if value(reader, "clip.has_vision_encoder"):
        width = value(reader, "clip.vision.embedding_length")
        if value(reader, "tuwen.vision.kind") == "vit":
            shape = {t.name: list(t.shape) for t in reader.tensors}
            patch = value(reader, "clip.vision.patch_size")
            assert shape["v.patch_embd.weight"] == [patch, patch, 3, width]  # innermost first
    n_tokens = check_tokens(reader) if value(reader, "clip.has_text_encoder") else 0
    print(f"{path}: {value(reader, 'tuwen.arch')}, {len(reader.fields)} fields, "
          f"{len(reader.tensors)} tensors {types}, {n_tokens} tokens: ok")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for argument in sys.argv[1:]:
        check(argument)
