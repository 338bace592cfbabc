#!/usr/bin/env python3
"""Writes tests/fuzz/shards/corpus: small indexes of sharded checkpoints, honest and hostile. Needs
only Python's standard library; the same files come out every time.

usage: python3 dev/make_shards_corpus.py [FOLDER]
"""
import json
import pathlib
import sys

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / "tests/fuzz/shards/corpus")


def index(weights, **more):
    return json.dumps({**more, "weight_map": weights}).encode()


TWO = {"b": "model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}
FILES = {
    "two": index(TWO, metadata={"total_size": 64}),
    "pretty": json.dumps({"metadata": {}, "weight_map": TWO}, indent=2).encode() + b"\n",
    "chinese": index({"重": "模型.bin"}),
    "many": index({f"t{i}": f"s{i % 7}.bin" for i in range(100)}),
    "parent": index({"a": "../x.safetensors"}),
    "dots": index({"a": ".."}),
    "absolute": index({"a": "/etc/passwd"}),
    "drive": index({"a": "C:\\x"}),
    "nul": index({"a": "x\0.bin"}),
    "nul_tensor": index({"a\0b": "x.bin"}),
    "line_break": index({"a": "x\ny"}),
    "itself": index({"a": "index.json"}),
    "empty_name": index({"a": ""}),
    "number": index({"a": 1}),
    "empty": index({}),
    "array": index(["a"]),
    "missing": b'{"metadata": {}}',
    "twice": b'{"weight_map": {"a": "x", "a": "y"}}',
    "cut": index(TWO)[:40],
    "no_json": b"PK\3\4",
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in FILES.items():
    (OUT / f"{name}.bin").write_bytes(data)
