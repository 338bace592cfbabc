#!/usr/bin/env python3
"""Measures `tuwen bench` and ONNX Runtime f32 on the same model in one run, turn by turn, so that a
slow minute of the machine hits both. Prints the median of each and the ratio.
usage: bench_peers.py MODEL.gguf ONNX_PREFIX [--tuwen build/tuwen] [--threads 2] [--rounds 3]
ONNX_PREFIX.img.fp32.onnx and .txt.fp32.onnx come from dev/export_onnx.py."""
import argparse
import json
import statistics
import subprocess
import time

import numpy as np
import onnxruntime

TEXT = "一只小猫在草地上玩一个球"  # 12 characters: 14 tokens with [CLS] and [SEP]
IDS = [101, 671, 1372, 2207, 4344, 1762, 5770, 1765, 677, 4381, 671, 702, 4413, 102]


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def time_ort(run, n):
    run()
    times = []
    for _ in range(n):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def time_tuwen(args, batch, n):
    out = subprocess.run([args.tuwen, "bench", "-m", args.model, "--batch", str(batch), "--n", str(n), "--warmup", "1",
                          "--threads", str(args.threads), "--text", TEXT, "--progress", "never", "--json"],
                         check=True, capture_output=True, text=True).stdout
    result = json.loads(out)
    return result["image"]["median_ms"], result["text"]["median_ms"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("prefix")
    parser.add_argument("--tuwen", default="build/tuwen")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    image, text = (session(f"{args.prefix}.{k}.fp32.onnx", args.threads) for k in ("img", "txt"))
    size = image.get_inputs()[0].shape[-1]
    print(f"onnxruntime {onnxruntime.__version__}, {args.threads} threads, median of {args.rounds} turns, ms a batch")
    print(f"{'':24} {'tuwen':>9} {'ORT f32':>9} {'ORT/tuwen':>9}")
    for batch, n in ((1, 10), (8, 4)):
        pixels = np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32)
        real = np.array([IDS] * batch, np.int64)
        padded = np.zeros((batch, 52), np.int64)
        padded[:, :len(IDS)] = real
        rows = {"image": [[], []], "text, real tokens": [[], []], "text, ORT padded to 52": [[], []]}
        for _ in range(args.rounds):
            ours_image, ours_text = time_tuwen(args, batch, n)
            rows["image"][0].append(ours_image)
            rows["text, real tokens"][0].append(ours_text)
            rows["text, ORT padded to 52"][0].append(ours_text)
            rows["image"][1].append(time_ort(lambda: image.run(None, {"image": pixels}), n))
            rows["text, ORT padded to 52"][1].append(time_ort(lambda: text.run(None, {"text": padded}), n))
            try:
                rows["text, real tokens"][1].append(time_ort(lambda: text.run(None, {"text": real}), n))
            except Exception:  # an export whose length is fixed
                rows["text, real tokens"][1].append(float("nan"))
        for name, (ours, peers) in rows.items():
            a, b = statistics.median(ours), statistics.median(peers)
            print(f"b{batch:<3} {name:19} {a:9.2f} {b:9.2f} {b / a:9.2f}")


if __name__ == "__main__":
    main()
