#!/usr/bin/env python3
"""Writes tests/fuzz/safetensors/corpus: small safetensors files, honest and hostile. Needs only
Python's standard library; the same files come out every time.

usage: python3 dev/make_safetensors_corpus.py [FOLDER]
"""
import pathlib
import struct
import sys

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / "tests/fuzz/safetensors/corpus")


def tensor(name, dtype, shape, begin, end):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


def file(members, data, n_header=None):
    header = ("{" + ",".join(members) + "}").encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header) if n_header is None else n_header) + header + data


A = tensor("a", "F32", "[2,2]", 0, 16)
DATA = bytes(range(16))
FILES = {
    "plain": file([A], DATA),
    "metadata": file(['"__metadata__":{"format":"pt"}', A], DATA),
    "bad_metadata": file(['"__metadata__":{"format":1}', A], DATA),
    "all_types": file([tensor(t, t, "[1]", i * 8, i * 8 + n) for i, (t, n) in enumerate(
        [("F64", 8), ("I64", 8)])] + [tensor("h", "F16", "[]", 16, 18), tensor("b", "BF16", "[3]", 18, 24),
        tensor("i", "I32", "[1]", 24, 28), tensor("s", "I16", "[1]", 28, 30),
        tensor("u", "U8", "[1]", 30, 31), tensor("t", "BOOL", "[1]", 31, 32)], bytes(32)),
    "empty_extent": file([tensor("e", "F32", "[0,7]", 0, 0), A], DATA),
    "overlap": file([A, tensor("b", "F32", "[2]", 8, 16)], DATA),
    "same_bytes": file([A, tensor("b", "F32", "[4]", 0, 16)], DATA),
    "gap": file([tensor("a", "F32", "[1]", 0, 4), tensor("b", "F32", "[2]", 8, 16)], DATA),
    "left_over": file([A], DATA + b"x"),
    "outside": file([tensor("a", "F32", "[8]", 0, 32)], DATA),
    "backwards": file([tensor("a", "F32", "[2,2]", 16, 0)], DATA),
    "negative": file([tensor("a", "F32", "[-2,-2]", 0, 16)], DATA),
    "product": file([tensor("a", "F32", "[4294967296,4294967296,4]", 0, 16)], DATA),
    "twice": file([A, A], DATA),
    "many_dims": file([tensor("a", "F32", "[1,1,1,1,1,1,1,1,4]", 0, 16)], DATA),
    "float8": file([tensor("a", "F8_E4M3", "[16]", 0, 16)], DATA),
    "name_with_nul": file([tensor("a\\u0000b", "F32", "[4]", 0, 16)], DATA),
    "header_beyond": file([A], DATA, 1000),
    "header_huge": file([A], DATA, 1 << 40),
    "array": struct.pack("<Q", 2) + b"[]",
    "deep": file(['"a":' + "[" * 80 + "]" * 80], b""),
    "short": b"\1\0\0",
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in FILES.items():
    (OUT / f"{name}.safetensors").write_bytes(data)
