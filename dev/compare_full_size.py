#!/usr/bin/env python3
"""Compares tuwen with the original code on the full-size models of dev/make_random_checkpoints.py.

    dev/compare_full_size.py --folder FOLDER [ARCH ...] [--tuwen build/tuwen] [--threads N]
                             [--delete]

For each architecture: converts checkpoint.pt (wall time; the largest RssAnon of the process, which
is the memory that is its own and not the mapped files'), embeds the stored pixels and ids, and
prints the largest difference from the original's features over the largest magnitude of those.
Where the f64 features are there, the original's own rounding error is printed beside it.
Exit status 0 when all differences are within 1e-5 and converting stayed under 200 MB.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

LIMIT = 1e-5
ANONYMOUS_LIMIT_MB = 200
ORDER = ["RN50", "ViT-B-16", "ViT-L-14", "ViT-L-14-336", "ViT-H-14"]


def anonymous_kb(pid):
    try:
        for line in open(f"/proc/{pid}/status", encoding="ascii"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def run(command):
    """Runs to the end; returns wall seconds and the largest RssAnon seen, in MB (sampled every
    2 ms). What the command prints is shown when it fails."""
    start, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, anonymous_kb(process.pid))
            time.sleep(0.002)
        seconds = time.monotonic() - start
        if process.returncode != 0:
            log.seek(0)
            print(log.read().decode(errors="replace"), file=sys.stderr)
            raise SystemExit(f"exit status {process.returncode}: {' '.join(map(str, command))}")
    return seconds, peak / 1000


def difference(got, expected):
    if got.shape != expected.shape:
        raise SystemExit(f"shape {got.shape}, expected {expected.shape}")
    if not np.isfinite(got).all():
        return float("inf")
    expected = expected.astype(np.float64)
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def compare(tuwen, folder, threads, keep):
    arch, model, passed = folder.name, folder / "model.gguf", True
    checkpoint = folder / "checkpoint.pt"
    extra = ["--threads", threads] if threads else []
    seconds, anonymous = run([tuwen, "convert", checkpoint, "-o", model])
    ok = anonymous < ANONYMOUS_LIMIT_MB
    passed &= ok
    n_mb = checkpoint.stat().st_size / 1e6
    print(f"{arch:13} convert  {n_mb:.0f} MB in {seconds:.2f} s, RssAnon {anonymous:.0f} MB  "
          f"{'PASS' if ok else 'FAIL'}", flush=True)
    for tower, option in [("image", ("--pixels", "pixels.npy")), ("text", ("--ids", "ids.npy"))]:
        out = folder / f"tuwen_{tower}_features.npy"
        seconds, _ = run([tuwen, "embed", "-m", model, option[0], folder / option[1],
                          "--no-normalize", "-o", out, *extra])
        got, expected = np.load(out), np.load(folder / f"{tower}_features.npy")
        error = difference(got, expected)
        ok = error <= LIMIT
        passed &= ok
        line = (f"{arch:13} {tower:8} max|difference| / max|feature| {error:.2e}, {seconds:.2f} s  "
                f"{'PASS' if ok else 'FAIL'}")
        exact = folder / f"{tower}_features_f64.npy"
        if exact.exists():
            exact = np.load(exact)
            line += (f"  (against f64: tuwen {difference(got, exact):.2e}, "
                     f"original {difference(expected, exact):.2e})")
        print(line, flush=True)
        if not keep:
            out.unlink()
    if not keep:
        model.unlink()
        checkpoint.unlink()
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arch", nargs="*", help="default: all there are")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--tuwen", default="build/tuwen")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--delete", action="store_true",
                        help="remove checkpoint and model after use")
    options = parser.parse_args()
    names = options.arch or [a for a in ORDER if (options.folder / a / "checkpoint.pt").exists()]
    if not names:
        raise SystemExit(f"{options.folder}: no ARCH/checkpoint.pt")
    passed = [compare(options.tuwen, options.folder / a, options.threads, not options.delete)
              for a in names]
    print("PASS" if all(passed) else "FAIL")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
