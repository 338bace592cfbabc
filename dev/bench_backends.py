#!/usr/bin/env python3
"""One table of every backend at hand over models: agreement with tuwen's engine in f32, rates, start-up, memory.
usage: bench_backends.py --tuwen build/tuwen --runtimes FOLDER [--n 20] [--batch 1] MODEL.gguf…
FOLDER is what tools/fetch_runtimes.sh filled (onnxruntime, onnxruntime-openvino, openvino). Backends take turns, `--rounds`
times over, and the best mean counts, so that a busy neighbour hurts all alike. Start-up is a whole `tuwen embed` of one
picture less the time of computing it; memory is that process's largest resident size. Prints Markdown."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

F32_LIMIT = 1e-5  # of normalised features


def backends(folder):
    ort, ort_ov, ov = (folder / n for n in ("onnxruntime", "onnxruntime-openvino", "openvino"))
    yield "cpu", "f32", []
    for precision in ("bf16", "int8"):
        # a ResNet has no int8: its image tower stays f32, and says so
        yield "cpu", precision, ["--precision", precision, "--allow-fallback"]
    for precision in ("f32", "f16"):
        yield "onnxruntime cpu", precision, ["--backend", "onnxruntime", "--library", ort, "--precision", precision]
    for precision in ("f32", "f16"):
        yield "onnxruntime openvino", precision, ["--backend", "onnxruntime", "--library", ort_ov, "--provider", "openvino",
                                                  "--precision", precision]
    for precision in ("f32", "f16", "bf16"):
        yield "openvino", precision, ["--backend", "openvino", "--library", ov, "--precision", precision]


def run(words, accept=(0,)):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if result.returncode not in accept:
        raise RuntimeError(result.stderr.strip().splitlines()[-1])
    return json.loads(result.stdout)


def start_up(words):
    """Wall seconds and largest resident MB of a process."""
    begin = time.monotonic()
    process = subprocess.Popen([str(w) for w in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return time.monotonic() - begin, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def measure(args, model, name, precision, options, row):
    timed = run([args.tuwen, "bench", "-m", model, *options, "-b", args.batch, "-n", args.n, "--warmup", 2, "--json"])
    for tower in ("image", "text"):
        row[tower] = max(row.get(tower, 0), timed[tower]["items_per_second"])
    row["used"] = timed["used"]


def agreement(args, model, options):
    if "--backend" not in options: # the same engine: A in this precision, B in f32
        options = ["--against", model, *options, "--b-precision", "f32"]
    report = run([args.tuwen, "verify", model, *options, "--min-cosine", "-1", "--json"])
    parts = report["parts"] if "parts" in report else report["features"]
    return min(p["cosine_min"] for p in parts), max(p["largest_difference"] for p in parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tuwen", type=Path, required=True)
    parser.add_argument("--runtimes", type=Path, required=True)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("models", nargs="+", type=Path)
    args = parser.parse_args()
    ok = True
    print("| model | backend | precision used | cosine, least | largest difference | images/s | texts/s | start-up s | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "p.ppm"
        picture.write_bytes(b"P6 64 64 255\n" + bytes(range(256)) * 48)
        for model in args.models:
            cases = list(backends(args.runtimes))
            rows = [{} for _ in cases]
            for _ in range(args.rounds):
                for (name, precision, options), row in zip(cases, rows):
                    try:
                        measure(args, model, name, precision, options, row)
                    except RuntimeError as error:
                        row["error"] = str(error)
            for (name, precision, options), row in zip(cases, rows):
                if "error" in row:
                    print(f"| {model.stem} | {name} | {precision} | {row['error']} | | | | | |")
                    ok = False
                    continue
                cosine, difference = agreement(args, model, options)
                seconds, mb, status = start_up([args.tuwen, "embed", "-m", model, *options, picture, "-o", Path(folder) / "o.npy"])
                good = status == 0 and (precision != "f32" or difference <= F32_LIMIT)
                ok &= good
                used = row["used"]["precision"]
                print(f"| {model.stem} | {name} {row['used'].get('runtime', '')} | {used} | {cosine:.7f} | {difference:.1e}"
                      f"{'' if good else ' **over**'} | {row['image']:.2f} | {row['text']:.1f} | "
                      f"{seconds - 1 / row['image']:.1f} | {mb:.0f} |", flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
