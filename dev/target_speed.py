"""Rows of dev/bench_targets.py on speed: towers against the fastest peers and against the processor's own peak, and one
caption against the rate at which its weights can be read."""
import concurrent.futures
import ctypes
import statistics
import time
from typing import NamedTuple

import numpy as np

import bench_peers
import peers
from target_lab import LIMITS, SIDES, Line, milliseconds, peers_of, reason


class Speed(NamedTuple):
    tower: str
    precision: str
    batches: list
    share: float = None  # of the peak of products in this precision
    factors: dict = {}  # {side: how many times as fast as it}; "best" is the fastest of all, where any is, of the accurate
    cpu: str = None
    padded: tuple = ()  # sides that compute texts padded to the context


SPEEDS = {
    "image-int8": Speed("image", "int8", [8, 32], 50, {"OpenVINO int8, nncf": 3, "ONNX Runtime int8, dynamic": 5}),
    "image-int8-b1": Speed("image", "int8", [1], None, {"OpenVINO int8, nncf": 2.5}),
    "image-bf16": Speed("image", "bf16", [8, 32], 60, {"OpenVINO bf16": 3}),
    "image-f32": Speed("image", "f32", [1, 8, 32], 85, {"ONNX Runtime f32": 1.2, "OpenVINO f32": 1.2}),
    "captions": Speed("text", "int8", [32], 40, {"OpenVINO int8, nncf": 3, "PyTorch f32": 20}, padded=("PyTorch f32",)),
    "caption": Speed("text", "int8", [1], None, {"best": 2.5}),
    "large": Speed("image", "int8", [8], 50, {"best": 3}),
    "resnet-int8": Speed("image", "int8", [8], 35, {"best": 2.5}),
    "resnet-bf16": Speed("image", "bf16", [8], 35, {"best": 2.5}),
    "avx512vnni": Speed("image", "int8", [8], 60, {"OpenVINO int8, nncf": 1.5}, "avx512vnni"),
    "avx2-f32": Speed("image", "f32", [1, 8], 85, {"PyTorch f32": 1.3, "OpenVINO f32": 1.3}, "avx2"),
    "avx2-int8": Speed("image", "int8", [1, 8], None, {"tuwen f32": 1.6}, "avx2"),
}


def work(lab, speed, length):
    """(Gop of one input, Gop a second that the threads can do in this precision or None, what runs), by `tuwen bench`."""
    only = "--vision-only" if speed.tower == "image" else "--text-only"
    with bench_peers.capped(speed.cpu):
        said = [lab.ask_tuwen("bench", "-m", lab.args.model, "--precision", speed.precision, only, "--text", "猫" * (length - 2),
                              "-b", max(speed.batches), "-n", 2, "--warmup", 1) for _ in range(2)]
    peak = max(one[speed.tower].get("peak_gflops", 0) for one in said)  # a neighbour makes it less
    return said[0][speed.tower]["gflop"], peak or None, said[0]["used"]["isa"]


def timed(lab, speed, ours):
    """{side: {batch: [1 - cosine, median ms, least ms]}} and what each without figures says."""
    factors = [n for n in speed.factors if n != "best"] + (peers_of(speed.precision) if "best" in speed.factors else [])
    judge, context, table, why = lab.judge(), lab.job["info"]["context"], {}, {}
    with lab.sides(*factors, ours, cpu=speed.cpu) as sides:
        for one in sides:
            table[one.name] = {}
        for batch in speed.batches:
            for padded in {one.name in speed.padded for one in sides}:
                x = peers.inputs(lab.job["info"], speed.tower, batch, 0, lab.args.length, context if padded else 0)
                chosen = [one for one in sides if (one.name in speed.padded) == padded]
                bench_peers.time_row(chosen, (batch, speed.tower, x), lab.args, judge, table)
        why = {one.name: reason(one) for one in sides}
    return {name: {b: e for b, e in row.items() if len(e) == 3} for name, row in table.items()}, why


def against(speed, name, batch, table, why):
    """(peer, its figures), or (None, why there are none)."""
    if name != "best":
        entry = table[name].get(batch)
        return (name, entry) if entry else (None, why[name])
    found = [(peer, table[peer][batch]) for peer in peers_of(speed.precision) if batch in table[peer]]
    accurate = [(peer, e) for peer, e in found if e[0] <= LIMITS[speed.precision]]
    if not found:
        return None, "; ".join(f"{peer}: {why[peer]}" for peer in peers_of(speed.precision))
    return min(accurate or found, key=lambda item: item[1][1])


def peer_line(lab, speed, name, title, batch, mine, table, why):
    """tuwen's figures, [1 - cosine, median, least], against a peer's."""
    factor = speed.factors[name]
    peer, e = against(speed, name, batch, table, why)
    title += f", against {'the best peer' if name == 'best' else name}"
    title += f" on {lab.job['info']['context']} padded tokens" if name in speed.padded else ""
    if not peer:
        return Line(title, f"none: {e}", None, factor)
    loose = SIDES[peer][2] == speed.precision and e[0] > LIMITS[speed.precision]
    shown = f"{peer} " if name == "best" else ""
    return Line(title, f"{e[1] / mine[1]:.2f}x ({e[2] / mine[2]:.2f}); {shown}{milliseconds(*e[1:])}, "
                f"1 - cosine {e[0]:.0e}{', less accurate than asked' if loose else ''}", e[1] / mine[1], factor)


def lines(lab, key):
    speed, length = SPEEDS[key], lab.args.length
    ours, limit = f"tuwen {speed.precision}", LIMITS[speed.precision]
    what = f"{'picture' if speed.tower == 'image' else f'caption of {length} tokens'}, {speed.precision}"
    what += f", TUWEN_CPU={speed.cpu}" if speed.cpu else ""
    table, why = timed(lab, speed, ours)
    try:
        gop, peak, isa = work(lab, speed, length)
    except RuntimeError as e:
        gop, peak, isa = None, None, str(e).removeprefix("tuwen bench: ")
    for batch in speed.batches:
        mine, title = table[ours].get(batch), f"{what}, b{batch}"
        if not mine:
            yield Line(title, f"none: {why[ours]}")
            continue
        took = f"{milliseconds(*mine[1:])}, 1 - cosine {mine[0]:.0e}"
        share = 100 * gop * batch / mine[1] * 1e3 / peak if peak else None
        said = f"{share:.0f} % of {peak:.0f} Gop/s ({isa}); {took}" if peak else f"{took}; tuwen bench has no peak ({isa})"
        yield Line(f"{title}, share of the peak" if speed.share else title, said, share, speed.share, unit=" %")
        if mine[0] > limit:
            yield Line(f"{title}, 1 - cosine", f"{mine[0]:.1e}", mine[0], most=limit, unit="")
        for name in speed.factors:
            yield peer_line(lab, speed, name, title, batch, mine, table, why)


# ------------------------------------------------------------------------------------------------- one caption's floor


def read_rate(threads, n_bytes=1 << 30):
    """GB/s at which this many threads read memory, by the C library's memchr: the best of five passes."""
    memchr = ctypes.CDLL(None).memchr
    memchr.restype, memchr.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    data, part, best = np.ones(n_bytes, np.uint8), n_bytes // threads, 0
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            begin = time.perf_counter()
            found = list(pool.map(lambda i: memchr(data.ctypes.data + i * part, 0, part), range(threads)))
            best = max(best, part * threads / (time.perf_counter() - begin) / 1e9)
            assert not any(found)
    return best


def text_bytes(path):
    """Bytes of a model file that one caption reads: its text tower without the tables of which it takes rows."""
    import gguf
    tables = ("t.token_embd", "t.position_embd", "t.token_type_embd")
    return sum(int(t.n_bytes) for t in gguf.GGUFReader(path).tensors
               if t.name.startswith(("t.", "text_projection")) and not t.name.startswith(tables))


def floor(lab):
    """One caption against the time that reading the text tower's weights takes."""
    x, n_bytes = peers.inputs(lab.job["info"], "text", 1, 0, lab.args.length), text_bytes(lab.file("int8"))
    side, rates = SIDES["tuwen int8"], [read_rate(lab.args.threads)]
    with lab.sides((side, {"model": str(lab.file("int8").resolve())})) as (one,):
        if not one.ask("input", "text", x):
            yield Line("one caption, int8", f"none: {one.problem}", None, most=1.5)
            return
        times = [s * 1e3 for _ in range(5) for s in one.ask("calls", 0.4)]
    rates.append(read_rate(lab.args.threads))
    rate, median = max(rates), statistics.median(times)
    least = n_bytes / rate / 1e6
    yield Line("one caption, int8, against reading its weights", f"{median / least:.2f}x; {milliseconds(median, min(times))}, "
               f"{n_bytes / 1e6:.1f} MB at {rate:.1f} GB/s ({min(rates):.1f}) take {least:.2f} ms", median / least, most=1.5)
