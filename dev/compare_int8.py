#!/usr/bin/env python3
"""What int8 costs on pictures of one's own: cosine to tuwen's f32 of the image features that tuwen, OpenVINO and ONNX
Runtime compute in int8 (tuwen also in bf16), as Markdown.

    dev/compare_int8.py MODEL.gguf build/bench-peers/MODEL-… PICTURES [--tuwen build/tuwen]

The folder is what `make bench-peers` leaves: its nncf graph was calibrated on that benchmark's random pictures, which says
how far a calibration carries, not what a calibration on PICTURES would reach."""
import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import onnxruntime
import openvino


def tuwen(args, verb, out, *options):
    command = [args.tuwen, verb, "-m", args.model, args.pictures, "-o", out, "--progress", "never", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1]
    return np.load(out), None


def run_openvino(graph, pixels):
    model = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([list(model(row[None]).values())[0] for row in pixels])


def run_onnxruntime(graph, pixels):
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: row[None]})[0] for row in pixels])


def row(side, features, expected, problem=None):
    if features is None:
        return f"| {side} | – | {problem} |"
    cosine = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(features.astype(float), expected)]
    return f"| {side} | {min(cosine):.5f} | {np.mean(cosine):.5f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("graphs", type=pathlib.Path)
    parser.add_argument("pictures")
    parser.add_argument("--tuwen", default="build/tuwen")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out.npy"
        pixels, problem = tuwen(args, "preprocess", out)
        expected, worse = tuwen(args, "embed", out)
        if problem or worse:
            raise SystemExit(problem or worse)
        expected = expected.astype(float)
        print(f"| {pathlib.Path(args.model).stem}, {len(pixels)} pictures | least | mean |\n|---|---|---|")
        for precision in "bf16", "int8":
            features, problem = tuwen(args, "embed", out, "--precision", precision)
            print(row(f"tuwen {precision}", features, expected, problem))
    print(row("ONNX Runtime int8, dynamic", run_onnxruntime(args.graphs / "model.img.int8.onnx", pixels), expected))
    print(row("OpenVINO int8, nncf", run_openvino(args.graphs / "model.img.int8.xml", pixels), expected))


if __name__ == "__main__":
    main()
