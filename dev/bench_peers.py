#!/usr/bin/env python3
"""Times tuwen, ONNX Runtime, OpenVINO and PyTorch on the same weights and inputs, call by call in turn, so that a slow
minute of the machine hits all, and prints Markdown: milliseconds, memory, time to load, and beside each speed its accuracy.

    dev/bench_peers.py MODEL.gguf [--threads 2,1] [--rounds 24] [--sides tuwen,OpenVINO] [--cpu avx2] …

Each side has a process of its own; all but the one whose turn it is are stopped, so no pool of threads can spin into
another's turn. With one thread the time is the process's processor time, which neighbours cannot take; with more it is
the clock on the wall. Batches of 8 get a quarter of the rounds and those of 32 an eighth, at least three; a row that has
taken --seconds ends after three. 1 - cosine is the worst of the first rows, at most 8, against PyTorch in f64. `make
bench-peers` runs it in the environment that it needs.

--cpu caps the instruction set of tuwen (TUWEN_CPU), OpenVINO (ONEDNN_MAX_CPU_ISA) and PyTorch (both that and
ATEN_CPU_CAPABILITY); ONNX Runtime has no such switch and runs as it is. Graphs and weights that peers read are made
once, under --folder: about six times the model file."""
import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import time

import numpy as np

import peers

CAPS = {"avx2": ("AVX2", "avx2"), "avxvnni": ("AVX2_VNNI", "avx2"), "avx512": ("AVX512_CORE", "avx512"),
        "avx512vnni": ("AVX512_CORE_VNNI", "avx512"), "avx512bf16": ("AVX512_CORE_BF16", "avx512"),
        "amx": ("AVX512_CORE_AMX", "avx512")}
PATIENCE = 60  # seconds that one call may be expected to take


class Process:
    """A side in its process, stopped unless asked something."""

    load = 0

    def __init__(self, side, job, target=peers.serve):
        self.name, self.precision, self.problem = side[0], side[2], None
        self.taken, self.skipped = {}, []
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=target, args=(theirs, side, job), daemon=True)
        self.process.start()
        theirs.close()

    def receive(self, patience):
        try:
            if not self.pipe.poll(patience):
                return self.give_up(f"no answer in {patience} s")
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode
            return self.give_up(f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}")
        return value if kind == "ok" else self.give_up(value)

    def ask(self, *message):
        """The answer, or None; from then on `problem` says why."""
        if self.problem:
            return None
        self.go()
        self.pipe.send(message)
        value = self.receive(5 * PATIENCE)
        self.stop()
        return value

    def go(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self):
        if not self.problem:
            os.kill(self.process.pid, signal.SIGSTOP)

    def give_up(self, problem):
        self.problem = problem
        self.end()

    def end(self):
        self.process.kill()
        self.process.join()


def prepare(side, job):
    """Makes a side's files; a problem with them shows when it is loaded."""
    making = Process(side, job, peers.prepare)
    making.receive(1800)
    if making.problem:
        print(f"{side[0]}: its files: {making.problem}", file=sys.stderr)
    making.end()


def start(side, job):
    """A loaded side, or one whose `problem` says why not."""
    one = Process(side, job)
    loaded = one.receive(300)
    one.stop()
    if loaded:
        one.description, one.load, one.first, one.imports = loaded
        print(f"{one.name}: {one.description}, loaded in {one.load:.1f} s", file=sys.stderr, flush=True)
    return one


def rows_of(args, info):
    """(heading, tower, input) of each column of the table."""
    for batch in args.image_batches if "image" in args.towers else []:
        yield f"image b{batch}", "image", peers.inputs(info, "image", batch, 0)
    for padded in [0, info["context"]] if args.padded else [0]:
        for batch in args.text_batches if "text" in args.towers else []:
            name = f"text {args.length} tok{f' of {padded}' if padded else ''} b{batch}"
            yield name, "text", peers.inputs(info, "text", batch, 0, args.length, padded)


def worst_cosine(a, b):
    a, b = a[:len(b)].astype(np.float64), b[:len(a)].astype(np.float64)
    return float(np.max(1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def reference(args, job):
    """{tower: features in f64 of the first 8 inputs}, and a word on where they come from. Kept beside the graphs."""
    kept = pathlib.Path(f"{job['prefix']}.{'-'.join(args.towers)}.{args.length}.npz")
    if kept.exists():
        with np.load(kept) as stored:
            return {t: stored[t] for t in args.towers}, str(stored["by"])
    for side in (peers.REFERENCE, peers.SIDES[0]):
        prepare(side, job)
        one = start(side, {**job, "precision": side[2], "threads": os.cpu_count()})
        out = {t: one.ask("input", t, peers.inputs(job["info"], t, 8, 0, args.length)) for t in args.towers}
        problem = one.problem
        one.end()
        if not problem:
            judge, by = {t: features for t, (features, _) in out.items()}, one.description + side[0][-4:]
            if side is peers.REFERENCE:
                np.savez(kept, by=by, **judge)
            return judge, by
        print(f"no reference by {side[0]}: {problem}", file=sys.stderr)
    raise SystemExit("bench_peers.py: nothing to judge accuracy by")


def time_row(sides, row, args, judge, table):
    """Fills table[side][heading] = (median ms, least ms, 1 - cosine)."""
    heading, tower, x = row
    at_row, times = [], {}
    for one in sides:
        # What took long with fewer rows is not waited for with more.
        expected = min((ms * len(x) / n for (t, n), ms in one.taken.items() if t == tower), default=0) / 1e3
        if expected > PATIENCE:
            one.skipped.append(heading)
        if expected > PATIENCE or one.problem:
            continue
        answer = one.ask("input", tower, x)
        if answer:
            # Each side's own picture of the first rows; a text's padding changes nothing.
            table[one.name][heading] = [worst_cosine(answer[0], judge[tower])]
            times[one.name] = []
            at_row.append(one)
    rounds, begin, i = max(3, args.rounds >> len(x).bit_length() // 2), time.monotonic(), 0
    while i <= 3 or i <= rounds and time.monotonic() - begin < args.seconds:
        for one in at_row[i % len(at_row):] + at_row[:i % len(at_row)]:
            seconds = one.ask("call")
            if seconds is not None and i > 0:  # the first round warms
                times[one.name].append(seconds * 1e3)
        i += 1
    for one in at_row:
        if times[one.name]:
            one.taken[tower, len(x)] = min(times[one.name])
            table[one.name][heading] += [statistics.median(times[one.name]), min(times[one.name])]
    print(f"{heading}: {i - 1} rounds", file=sys.stderr, flush=True)
    return i - 1


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def cell(entry):
    return f"{number(entry[1])} ({number(entry[2])})" if entry and len(entry) == 3 else "–"


def print_table(sides, headings, towers, table):
    print(f"\n| median ms (least) | {' | '.join(headings)} | RSS MB, b1 / most | load s | first s | 1 - cosine {', '.join(towers)} |")
    print("|---" * (len(headings) + 5) + "|")
    for one in sides:
        entries = [table[one.name].get(h) for h in headings]
        if not any(entries):
            continue
        worst = [max(e[0] for h, e in table[one.name].items() if h.startswith(t)) for t in towers
                 if any(h.startswith(t) for h in table[one.name])]
        resident = f"{one.resident:.0f} / {one.most:.0f}" if one.most else "–"
        print(f"| {one.name} | {' | '.join(map(cell, entries))} | {resident} | {one.load:.2f} | {one.first:.2f} | "
              f"{', '.join(f'{w:.0e}' for w in worst)} |")
    for one in sides:
        if one.problem:
            print(f"\n{one.name}: none, or not all: {one.problem}")
        if one.skipped:
            print(f"\n{one.name}: one call of {', '.join(one.skipped)} would take more than {PATIENCE} s")


def print_ratios(sides, headings, table):
    """How many times as fast as each peer tuwen is, by medians and by least times."""
    print(f"\n| tuwen is faster by, medians (least) | {' | '.join(headings)} |")
    print("|---" * (len(headings) + 1) + "|")
    for ours in (s for s in sides if s.name.startswith("tuwen")):
        peer = lambda s: s.precision == ours.precision and not s.name.startswith("tuwen")
        for theirs in (s for s in sides if peer(s) or s.name == "tuwen f32" and ours is not s):
            ratios = []
            for h in headings:
                a, b = table[ours.name].get(h, []), table[theirs.name].get(h, [])
                ratios.append(f"{b[1] / a[1]:.2f} ({b[2] / a[2]:.2f})" if len(a) == len(b) == 3 else "–")
            if any(r != "–" for r in ratios):
                print(f"| {ours.name} against {theirs.name} | {' | '.join(ratios)} |")


def chosen(args):
    return [s for s in peers.SIDES if any(s[0].lower().startswith(b.lower()) for b in args.sides)]


def measure(args, job, judge, threads):
    job = {**job, "threads": threads}
    sides = []
    try:
        for side in chosen(args):
            sides.append(start(side, {**job, "precision": side[2]}))
        for one in sides:
            one.resident, one.most = one.ask("memory") or (0, 0)
        rows, table, before = list(rows_of(args, job["info"])), {s.name: {} for s in sides}, os.getloadavg()[0]
        rounds = [time_row(sides, row, args, judge, table) for row in rows]
        for one in sides:
            one.most = (one.ask("memory") or (0, 0))[1]
        clock = "the process's processor time" if threads == 1 else "wall time"
        print(f"\n{threads} thread{'s' * (threads > 1)}, {clock}; load average {before:.1f} before, "
              f"{os.getloadavg()[0]:.1f} after, of which this is about {threads}; "
              f"{', '.join(map(str, rounds))} rounds; "
              f"{'; '.join(dict.fromkeys(s.description for s in sides if s.load))}."
              f"{f' Capped to {args.cpu}, but for ONNX Runtime, which cannot be.' if args.cpu else ''}")
        headings = [r[0] for r in rows]
        print_table(sides, headings, args.towers, table)
        print_ratios(sides, headings, table)
    finally:
        for one in sides:
            one.end()


def describe_machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    fields = dict(line.split("\t: ", 1) if "\t: " in line else (line, "") for line in text.replace("\t\t", "\t").split("\n"))
    flags = [f for f in ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
             if f in fields.get("flags", "").split()]
    family = f" (family {fields.get('cpu family', '?')} model {fields.get('model', '?')})"
    return f"{fields.get('model name', 'processor').strip()}{family}, {os.cpu_count()} cores, {' '.join(flags) or 'no AVX2'}"


def arguments(description):
    """A parser of what dev/bench_targets.py takes too."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--tuwen", default="build/tuwen", help="and libtuwen.so beside it")
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench-peers")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=120, help="that a row may take")
    parser.add_argument("--length", type=int, default=12, help="tokens of a caption")
    return parser


def parse():
    numbers = lambda s: [int(n) for n in s.split(",")]
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=numbers, default=sorted({os.cpu_count(), 1}, reverse=True))
    parser.add_argument("--towers", type=lambda s: s.split(","), default=["image", "text"])
    parser.add_argument("--image-batches", type=numbers, default=[1, 8, 32])
    parser.add_argument("--text-batches", type=numbers, default=[1, 32])
    parser.add_argument("--padded", action="store_true", help="also captions padded to the context, as Chinese-CLIP runs them")
    parser.add_argument("--sides", type=lambda s: s.split(","), default=[""], help="beginnings of names")
    parser.add_argument("--cpu", choices=CAPS)
    return parser.parse_args()


def set_up(args):
    """What `tuwen info` says, and the job of every side; exports the graphs unless they are there."""
    info = json.loads(subprocess.run([args.tuwen, "info", args.model, "--json"], check=True, capture_output=True).stdout)
    short = {"size": info["vision"]["image_size"], "vocabulary": info["text"]["vocab_size"], "kind": info["text"]["kind"],
             "context": info["text"]["context_length"], "vision": info["vision"]["kind"]}
    stat = args.model.stat()
    prefix = args.folder / f"{args.model.stem}-{stat.st_size:x}-{int(stat.st_mtime):x}" / "model"
    prefix.parent.mkdir(parents=True, exist_ok=True)
    if not prefix.with_name("exported").exists():
        large = ["--external-data"] if stat.st_size > 1.9e9 else []
        subprocess.run([args.tuwen, "export", args.model, "-o", prefix, *large], check=True, stdout=subprocess.DEVNULL)
        for tower in "img", "txt":
            os.replace(f"{prefix}.{tower}.fp32.onnx", f"{prefix}.{tower}.f32.onnx")
        prefix.with_name("exported").touch()
    return info, {"model": str(args.model.resolve()), "prefix": str(prefix.resolve()), "width": info["embed_dim"],
                  "info": short, "library": str(pathlib.Path(args.tuwen).resolve().with_name("libtuwen.so")),
                  "towers": ["image", "text"],
                  "first": {t: peers.inputs(short, t, 1, 0, args.length) for t in ("image", "text")}}


@contextlib.contextmanager
def capped(cpu):
    """Processes started meanwhile use no more than this instruction set."""
    caps = dict(zip(("TUWEN_CPU", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"), (cpu, *CAPS[cpu]))) if cpu else {}
    before = dict(os.environ)
    os.environ.update(caps)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def command_line(script, model):
    """As it was called, less where things lie."""
    given, places = sys.argv[2:], ("--tuwen", "--folder", "--photos")
    given = [w for i, w in enumerate(given) if w not in places and given[max(i - 1, 0)] not in places]
    return shlex.join([script, model.name, *given])


def main():
    args = parse()
    info, job = set_up(args)
    job["towers"] = args.towers
    judge, judged_by = reference(args, job)
    for side in chosen(args):
        prepare(side, job)
    print(f"    {command_line('dev/bench_peers.py', args.model)}\n\n{describe_machine()}. {info['architecture']}, "
          f"{info['weight_bytes'] / 1e6:.0f} MB of weights; reference {judged_by}, load: from files to both towers ready; "
          f"first: imports, load and the first features of both.")
    with capped(args.cpu):  # the files are made by all that the machine has
        for threads in args.threads:
            measure(args, job, judge, threads)


if __name__ == "__main__":
    main()
