"""Rows of dev/bench_targets.py on processes: start to the first feature, resident memory, two threads against one, and a
core that another process takes."""
import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import bench_peers
import peers
from bench_peers import number
from target_lab import SIDES, Line, milliseconds, peers_of

# ------------------------------------------------------------------------------------------------- start


def first_byte(words):
    """Milliseconds from exec to the first byte of a command's output; RuntimeError where there is none."""
    begin = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        byte = os.read(process.stdout.fileno(), 1)
        taken = time.perf_counter() - begin
        _, said = process.communicate()
    if not byte or process.returncode:
        raise RuntimeError((said.decode().strip().splitlines() or ["no output"])[-1])
    return taken * 1e3


def start(lab):
    """A tuwen process from exec to its first feature, against what the peers take for loading alone, after imports."""
    with tempfile.TemporaryDirectory() as folder:
        picture, caption, model = Path(folder) / "p.ppm", Path(folder) / "t.txt", lab.file("int8")
        picture.write_bytes(b"P6 64 64 255\n" + bytes(range(256)) * 48)
        caption.write_text("一只猫在沙发上睡觉\n")
        commands = {"picture": (["image"], lab.command("embed", "-m", model, picture, "-o", "-")),
                    "caption": (["text"], lab.command("embed", "-m", model, "--texts", caption, "-o", "-")),
                    "both towers": (["image", "text"], lab.command("similarity", "-m", model, "--text", "猫", picture))}
        for what, (towers, words) in commands.items():
            ours, loads, ready, why = [], {}, {}, {}
            for i in range(max(3, lab.args.rounds // 6) + 1):
                taken = first_byte(words)
                ours += [taken] if i else []  # the first fills the page cache
                for name in peers_of("int8"):
                    with lab.sides((SIDES[name], {"towers": towers})) as (one,):
                        why[name] = one.problem
                        if i and not one.problem:
                            loads.setdefault(name, []).append(one.load * 1e3)
                            ready.setdefault(name, []).append((one.first - one.imports) * 1e3)
            mine = statistics.median(ours)
            for name in peers_of("int8"):
                title = f"start to first feature, int8 file, {what}, against {name}'s load"
                least = 5 if name.startswith("ONNX") else None
                if name not in loads:
                    yield Line(title, f"none: {why[name]}", None, least)
                    continue
                theirs = statistics.median(loads[name])
                yield Line(title, f"{theirs / mine:.2f}x; {milliseconds(mine, min(ours))} from exec, {name} "
                           f"{milliseconds(theirs, min(loads[name]))} after imports, {number(statistics.median(ready[name]))} "
                           "with its first features", theirs / mine, least)


# ------------------------------------------------------------------------------------------------- memory


def resident(words):
    """MB (of now, at most) of `tuwen bench` while texts are computed, pictures having been."""
    samples = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        def watch():
            while process.poll() is None:
                try:
                    samples.append(peers.memory(process.pid))
                except (OSError, KeyError):  # it has ended
                    return
                time.sleep(0.002)
        for line in process.stdout:
            if line.startswith("Begin the text"):
                threading.Thread(target=watch, daemon=True).start()
        said = process.stderr.read()
    if process.returncode or not samples:
        raise RuntimeError((said.strip().splitlines() or ["no memory was seen"])[-1])
    return max(now for now, _ in samples), max(most for _, most in samples)


def memory(lab, batch=8):
    """What a tuwen command holds after both towers have run, against its weights and against the peers' processes."""
    for precision in "f32", "bf16", "int8":
        title = f"resident after both towers, b{batch}, {precision}"
        try:
            model = lab.file(precision)
            weights = lab.weight_bytes(model) / 1e6
            now, most = resident(lab.command("bench", "-m", model, "--precision", precision, "-b", batch, "-n", 5, "--warmup", 1))
        except RuntimeError as e:
            yield Line(title, f"none: {e}")
            continue
        yield Line(f"{title}, against {weights:.0f} MB of weights x 1.15 + 60", f"{now:.0f} MB, {most:.0f} at most", now,
                   most=round(weights * 1.15 + 60), unit=" MB")
        theirs = {name: peer_memory(lab, name, batch) for name in peers_of(precision)}
        known = [mb for mb in theirs.values() if isinstance(mb, float)]
        yield Line(f"{title}, against the least of the peers' processes (Python and runtime included)",
                   f"{now:.0f} MB; " + "; ".join(f"{n} {f'{mb:.0f}' if mb in known else mb}" for n, mb in theirs.items()), now,
                   most=round(min(known)) if known else None, unit=" MB")


def peer_memory(lab, name, batch):
    """MB, or why there is no such figure."""
    with lab.sides(name) as (one,):
        for tower in lab.job["towers"]:
            one.ask("input", tower, peers.inputs(lab.job["info"], tower, batch, 0, lab.args.length))
        held = one.ask("memory")
        return float(held[0]) if held else f"none: {one.problem}"


# ------------------------------------------------------------------------------------------------- threads


class Thief(bench_peers.Process):
    """A process that wants the last of this one's cores for itself, whenever it is let go."""

    def __init__(self):
        super().__init__(("thief", None, ""), max(os.sched_getaffinity(0)), steal)
        self.receive(30)
        self.stop()


def steal(connection, side, core):
    os.sched_setaffinity(0, {core})
    connection.send(("ok", core))
    while True:
        pass


def in_three_ways(lab, one, two, thief, tower, x):
    """Medians in ms: on one thread, on all, on all with a core taken."""
    alone, both, robbed, begin = [], [], [], time.monotonic()
    if not (one.ask("input", tower, x) and two.ask("input", tower, x)):
        return None
    for _ in range(max(3, lab.args.rounds // 6)):
        alone += one.ask("calls", 0.4) or []
        both += two.ask("calls", 0.4) or []
        thief.go()
        robbed += two.ask("calls", 0.8) or []
        thief.stop()
        if not robbed or time.monotonic() - begin > lab.args.seconds:
            break
    return [1e3 * statistics.median(times) for times in (alone, both, robbed)] if robbed else None


def threads(lab):
    """How much faster all threads are than one, and how much slower they get when another process takes a core."""
    n, thief = lab.args.threads, Thief()
    rows = {"picture b1": ("image", 1), "picture b8": ("image", 8), f"{lab.args.length}-token captions b32": ("text", 32)}
    try:
        for precision in "f32", "int8":
            found, ours = {}, f"tuwen {precision}"
            for name in [ours] + [p for p in peers_of(precision) if not p.startswith("PyTorch")]:
                both = [(SIDES[name], {"threads": t, "wall": True}) for t in (1, n)]
                with lab.sides(*both) as (one, two):
                    for row, (tower, batch) in rows.items():
                        x = peers.inputs(lab.job["info"], tower, batch, 0, lab.args.length)
                        found[name, row] = in_three_ways(lab, one, two, thief, tower, x) or f"none: {one.problem or two.problem}"
            for row in rows:
                yield from threads_lines(f"{row}, {precision}", n, {name: f for (name, r), f in found.items() if r == row}, ours)
    finally:
        thief.end()


def threads_lines(what, n, found, ours):
    """Two lines: the gain by threads, the loss by the thief."""
    known = {name: f for name, f in found.items() if not isinstance(f, str)}
    gains = {name: (f"{f[0] / f[1]:.2f}x ({number(f[0])} to {number(f[1])} ms)", f[0] / f[1]) for name, f in known.items()}
    losses = {name: (f"{f[2] / f[1]:.2f}x ({number(f[1])} to {number(f[2])} ms)", f[2] / f[1]) for name, f in known.items()}
    for title, values, asked in ((f"{n} threads against 1", gains, {"least": 1.9}), ("one core stolen", losses, {"most": 2.2})):
        words = [f"{'' if name == ours else f'{name} '}{values[name][0] if name in values else found[name]}" for name in found]
        yield Line(f"{title}, {what}", "; ".join(words), values.get(ours, (0, None))[1], **asked)
