#!/usr/bin/env python3
"""Checks ONNX graphs that `tuwen export` wrote: onnx.checker in full, shape inference, and the features that ONNX
Runtime (and OpenVINO, where it is installed) computes against those of `tuwen embed` on the same inputs.
usage: check_onnx.py TUWEN MODEL.gguf…    e.g. dev/check_onnx.py build/tuwen vit-b-16.gguf
Each model goes through every kind of graph: opset 17 and 13, f32 and f16, free and fixed extents, normalised, fused,
without text projection, weights inside and aside. Status 1 when a limit is missed."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

try:
    import openvino
except ImportError:
    openvino = None

LIMITS = {"f32": (1e-5, 0.999999), "f16": (None, 0.9999)}  # of the largest feature; least cosine
CASES = [(opset, precision, extents, aside) for opset in ("17", "13") for precision in ("f32", "f16")
         for extents in ((), ("--batch", "3", "--context-length", "20")) for aside in (False, True)]
ort.set_default_logger_severity(3)


def tuwen(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout


class Model:
    def __init__(self, program, path, folder):
        self.program, self.path, self.folder = program, path, folder
        info = json.loads(tuwen(program, "info", path, "--json"))
        size = info["vision"]["image_size"]
        text = info["text"]
        rng = np.random.default_rng(1)
        self.pixels = rng.standard_normal((3, 3, size, size)).astype(np.float32)
        length = min(20, text["positions"])
        ids = rng.integers(1, text["vocab_size"] - 1, (3, length))
        for row, n in enumerate((length, 5, 9)):
            ids[row, n - 1] = text["vocab_size"] - 1  # CLIP's end of text is the largest id
            ids[row, n:] = 0
        self.ids = ids.astype(np.int64)
        np.save(folder / "pixels.npy", self.pixels)
        np.save(folder / "ids.npy", self.ids)
        self.expected = {}
        for part, option in (("image", "--pixels"), ("text", "--ids")):
            file = folder / ("pixels.npy" if part == "image" else "ids.npy")
            tuwen(program, "embed", "-m", path, option, file, "--no-normalize", "-o", folder / "out.npy")
            self.expected[part] = np.load(folder / "out.npy")

    def input(self, part):
        return {"image": self.pixels} if part == "image" else {"text": self.ids}


def run_ort(path, inputs):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def run_openvino(path, inputs):
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled(inputs)
    return [result[o] for o in compiled.outputs]


RUNTIMES = [("onnxruntime", run_ort)] + ([("openvino", run_openvino)] if openvino else [])


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def judge(what, got, expected, precision):
    error, cosine = LIMITS[precision]
    difference = np.abs(got - expected).max() / np.abs(expected).max()
    least = (unit(got) * unit(expected)).sum(1).min()
    ok = (error is None or difference <= error) and least >= cosine
    if not ok:
        print(f"FAILED {what}: {difference:.2e} of the largest, cosine {least:.7f}")
    return ok, difference


def towers(model, worst):
    ok = True
    for opset, precision, extents, aside in CASES:
        prefix = model.folder / "graph"
        words = ["--opset", opset, "--precision", precision, *extents] + (["--external-data"] if aside else [])
        tuwen(model.program, "export", model.path, "-o", prefix, *words)
        for part, short in (("image", "img"), ("text", "txt")):
            path = f"{prefix}.{short}.fp{precision[1:]}.onnx"
            onnx.checker.check_model(path, full_check=True)
            for name, run in RUNTIMES:
                got = run(path, model.input(part))[0]
                good, difference = judge(f"{name} {part} {' '.join(words)}", got, model.expected[part], precision)
                ok &= good
                worst[name, part, precision] = max(worst.get((name, part, precision), 0), difference)
    return ok


def others(model):
    prefix, ok = model.folder / "graph", True
    tuwen(model.program, "export", model.path, "-o", prefix, "--normalize")
    for part, short in (("image", "img"), ("text", "txt")):
        got = run_ort(f"{prefix}.{short}.fp32.onnx", model.input(part))[0]
        ok &= judge(f"normalised {part}", got, unit(model.expected[part]), "f32")[0]
    tuwen(model.program, "export", model.path, "-o", prefix, "--fused")
    path = f"{prefix}.fp32.onnx"
    onnx.checker.check_model(path, full_check=True)
    logits, turned = run_ort(path, {"image": model.pixels[:2], "text": model.ids})
    scale = float(next(p.value for p in onnx.load(path).metadata_props if p.key == "tuwen.logit_scale"))
    expected = np.exp(scale) * unit(model.expected["image"])[:2] @ unit(model.expected["text"]).T
    ok &= judge("fused", logits, expected, "f32")[0] and np.array_equal(logits.T, turned)
    tuwen(model.program, "export", model.path, "-o", prefix, "--no-text-projection", "--text-only")
    rows = run_ort(f"{prefix}.txt.fp32.onnx", model.input("text"))[0]
    projection = np.load(f"{prefix}.text_projection.npy")
    clip = json.loads(tuwen(model.program, "info", model.path, "--json"))["text"]["kind"] == "clip"
    at = model.ids.argmax(1) if clip else np.zeros(len(rows), int)
    ok &= judge("split", rows[np.arange(len(rows)), at] @ projection, model.expected["text"], "f32")[0]
    return ok


def main():
    program, paths = Path(sys.argv[1]).resolve(), sys.argv[2:]
    versions = f"onnx {onnx.__version__}, onnxruntime {ort.__version__}"
    print(versions + (f", openvino {openvino.__version__}" if openvino else ", openvino is not installed"))
    ok = True
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            model, worst = Model(program, path, Path(folder)), {}
            good = towers(model, worst)
            good &= others(model)
            ok &= good
            for (name, part, precision), difference in sorted(worst.items()):
                print(f"{Path(path).name}: {name} {part} {precision}: largest difference {difference:.2e}")
    print("PASS" if ok else "FAILED")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
