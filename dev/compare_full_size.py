#!/usr/bin/env python3
"""Compares tuwen with the original code on the full-size models of dev/make_random_checkpoints.py.

    dev/compare_full_size.py --folder FOLDER [ARCH ...] [--tuwen build/tuwen] [--threads N]
                             [--delete]

For each architecture: converts the checkpoint (wall time; the largest RssAnon of the process, which
is the memory that is its own and not the mapped files'), embeds the stored pixels and ids, and
prints the largest difference from the original's features over the largest magnitude of those, and
the smallest cosine between a feature of tuwen's and the original's.
Where the f64 features are there, both codes' own rounding errors are printed beside it, and they
judge: a network that amplifies rounding so much that two correct f32 codes differ by more than the
limit passes when tuwen's error is at most one and a half times the original's.
Then the same of the features that are normalised, which the texts themselves go into, the token
ids of the texts and what becomes of a picture, both of which must be equal.
Exit status 0 when all differences are within 1e-5 and converting stayed under 200 MB.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

LIMIT = 1e-5
ANONYMOUS_LIMIT_MB = 200


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


def unit(features):
    features = features.astype(np.float64)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def cosine(got, expected):
    return float((unit(got) * unit(expected)).sum(1).min())


class Case:
    """One architecture: its files, what was found about it."""

    def __init__(self, tuwen, folder, threads):
        self.tuwen, self.folder, self.passed = tuwen, folder, True
        self.model = folder / "model.gguf"
        self.threads = ["--threads", threads] if threads else []
        self.case = json.loads((folder / "case.json").read_text())

    def print(self, what, ok, text):
        self.passed &= ok
        print(f"{self.folder.name:26} {what:11} {text}  {'PASS' if ok else 'FAIL'}", flush=True)

    def load(self, name):
        path = self.folder / f"{name}.npy"
        return np.load(path) if path.exists() else None

    def convert(self):
        checkpoint = self.folder / self.case["checkpoint"]
        seconds, anonymous = run([self.tuwen, "convert", checkpoint, "-o", self.model,
                                  *self.case.get("options", [])])
        n_mb = checkpoint.stat().st_size / 1e6
        self.print("convert", anonymous < ANONYMOUS_LIMIT_MB,
                   f"{n_mb:.0f} MB in {seconds:.2f} s, RssAnon {anonymous:.0f} MB")

    def embed(self, *arguments):
        out = self.folder / "tuwen.npy"
        seconds, _ = run([self.tuwen, "embed", "-m", self.model, *arguments, "-o", out,
                          *self.threads])
        got = np.load(out)
        out.unlink()
        return got, seconds

    def features(self, tower, option, name):
        expected = self.load(f"{tower}_features")
        got, seconds = self.embed(option, self.folder / name, "--no-normalize")
        error = difference(got, expected)
        line = (f"max|difference| / max|feature| {error:.2e}, 1 - cosine "
                f"{max(0, 1 - cosine(got, expected)):.0e}, {seconds:.2f} s")
        exact, own, original = self.load(f"{tower}_features_f64"), 0, 0
        if exact is not None:
            own, original = difference(got, exact), difference(expected, exact)
            line += f"  (against f64: tuwen {own:.2e}, original {original:.2e})"
        self.print(tower, self.is_close(error, own, original), line)

    @staticmethod
    def is_close(error, own, original):
        return error <= LIMIT or 0 < own <= 1.5 * original

    def normalized(self, tower, option, name):
        expected = unit(self.load(f"{tower}_features"))
        got, _ = self.embed(option, self.folder / name)
        error, exact = difference(got, expected), self.load(f"{tower}_features_f64")
        own = original = 0
        if exact is not None:
            own, original = difference(got, unit(exact)), difference(expected, unit(exact))
        self.print(f"{tower}, norm", self.is_close(error, own, original),
                   f"max|difference| / max|feature| {error:.2e}")

    def tokens(self):
        ids = subprocess.run([str(self.tuwen), "tokenize", "-m", str(self.model), "--pad", "--json",
                              "--truncation", "silent", str(self.folder / "texts.txt")],
                             capture_output=True, check=True, text=True).stdout
        got = np.array([json.loads(line)["ids"] for line in ids.splitlines()])
        expected = self.load("ids")
        same = got.shape == expected.shape and bool((got == expected).all())
        self.print("token ids", same, f"{len(expected)} texts")

    def picture(self):
        expected = self.load("picture")
        if expected is None:
            return
        out = self.folder / "tuwen_picture.npy"
        run([self.tuwen, "preprocess", "-m", self.model, self.folder / "picture.png", "-o", out])
        got = np.load(out)
        n_other = int((got != expected).sum()) if got.shape == expected.shape else -1
        self.print("picture", n_other == 0, f"{n_other} of {expected.size} values differ")
        out.unlink()

    def delete(self):
        self.model.unlink()
        (self.folder / self.case["checkpoint"]).unlink()


def compare(tuwen, folder, threads, keep):
    case = Case(tuwen, folder, threads)
    texts = folder / "texts.txt"
    texts.write_text("\n".join(case.case["texts"]) + "\n", encoding="utf-8")
    case.convert()
    case.features("image", "--pixels", "pixels.npy")
    case.features("text", "--ids", "ids.npy")
    case.normalized("image", "--pixels", "pixels.npy")
    case.normalized("text", "--texts", "texts.txt")
    case.tokens()
    case.picture()
    if not keep:
        case.delete()
    return case.passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arch", nargs="*", help="default: all there are")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--tuwen", default="build/tuwen")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--delete", action="store_true",
                        help="remove checkpoint and model after use")
    options = parser.parse_args()
    names = options.arch or sorted(p.parent.name for p in options.folder.glob("*/case.json"))
    if not names:
        raise SystemExit(f"{options.folder}: no ARCH/case.json")
    passed = [compare(options.tuwen, options.folder / a, options.threads, not options.delete)
              for a in names]
    print("PASS" if all(passed) else "FAIL")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
