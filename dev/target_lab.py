"""What the rows of dev/bench_targets.py share: the model in each precision, sides in their processes, verdicts."""
import contextlib
import json
import pathlib
import subprocess

import bench_peers
import peers
from bench_peers import number

# 1 - cosine to f64 that a speed must hold to count (random weights).
LIMITS = {"f32": 1e-6, "bf16": 1e-4, "int8": 1e-3}
SIDES = {side[0]: side for side in peers.SIDES}


class Line:
    """One line of the table: the least or the most that is asked for, and what was measured."""

    def __init__(self, what, measured, value=None, least=None, most=None, unit="x"):
        self.what, self.measured, self.value = what, measured, value
        asked, sign = (least, ">=") if most is None else (most, "<=")
        self.target = "" if asked is None else f"{sign} {asked:g}{unit}"
        self.reached = None if value is None or not self.target else value <= most if least is None else value >= least

    def __str__(self):
        verdict = {None: "–" if self.target else "", True: "reached", False: "**missed**"}[self.reached]
        return f"| {self.what} | {self.measured} | {self.target} | {verdict} |"


class Lab:
    def __init__(self, args):
        self.args = args
        self.info, self.job = bench_peers.set_up(args)
        self.prefix, self.prepared = pathlib.Path(self.job["prefix"]), set()

    def judge(self):
        """{tower: features in f64}, kept between runs."""
        self.args.towers = self.job["towers"]
        return bench_peers.reference(self.args, self.job)[0]

    def command(self, *words):
        """The words of a tuwen command on --threads threads."""
        return [str(w) for w in (self.args.tuwen, *words, "-t", self.args.threads)]

    def ask_tuwen(self, *words):
        """The JSON of a tuwen command; RuntimeError with what it said."""
        done = subprocess.run(self.command(*words, "--json"), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1])
        return json.loads(done.stdout)

    def file(self, precision):
        """The model as a file of its own in this precision, made once."""
        if precision == "f32":
            return self.args.model
        path = self.prefix.with_name(f"{precision}.gguf")
        peers.once(path, lambda p: self.convert(p, precision))
        return path

    def convert(self, path, precision):
        done = subprocess.run([self.args.tuwen, "convert", self.args.model, "-o", path, "--precision", precision],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1])

    def weight_bytes(self, path):
        said = subprocess.run([self.args.tuwen, "info", path, "--json"], check=True, capture_output=True)
        return json.loads(said.stdout)["weight_bytes"]

    @contextlib.contextmanager
    def sides(self, *wanted, cpu=None):
        """Loaded sides, each named or (side, changes to its job), their files made first; ended afterwards."""
        wanted = [w if isinstance(w, tuple) else (SIDES[w], {}) for w in wanted]
        loaded = []
        try:
            for side, _ in wanted:
                if side[0] not in self.prepared:
                    self.prepared.add(side[0])
                    bench_peers.prepare(side, {**self.job, "towers": ["image", "text"]})
            with bench_peers.capped(cpu):
                for side, changes in wanted:
                    job = {**self.job, "threads": self.args.threads, "precision": side[2], **changes}
                    loaded.append(bench_peers.start(side, job))
            yield loaded
        finally:
            for one in loaded:
                one.end()


def milliseconds(median, least):
    return f"{number(median)} ms ({number(least)})"


def peers_of(precision):
    return [name for name, side in SIDES.items() if side[2] == precision and side[1] is not peers.Tuwen]


def reason(one):
    """Why a side has no figure."""
    return one.problem or f"a call would take more than {bench_peers.PATIENCE} s"
