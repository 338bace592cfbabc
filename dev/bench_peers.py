#!/usr/bin/env python3
"""Times libtuwen and ONNX Runtime on the same model in one process, call by call in turn, so that
a slow minute of the machine hits both. Prints the fastest and the median call of each, and the
ratio of either.

    dev/bench_peers.py MODEL.gguf ONNX_PREFIX [--library build/libtuwen.so] [--threads 2]
                       [--rounds 15] [--towers image,text] [--batches 1,8] [--precision int8]
    dev/bench_peers.py MODEL.gguf --against own --precision bf16,int8 [--image-size 224] [...]

ONNX_PREFIX.img.fp32.onnx and .txt.fp32.onnx come from dev/export_onnx.py. With --precision int8
ONNX Runtime computes what its quantize_dynamic makes of them (kept as .img.int8.onnx; per channel,
int8 weights); with --against own the other side is libtuwen in f32. With one thread the time
is the thread's own processor time, which neighbours cannot take; with more it is the clock on the
wall, and on a busy machine only the fastest calls mean anything."""
import argparse
import ctypes
import pathlib
import statistics
import time

import numpy as np

IDS = [101, 671, 1372, 2207, 4344, 1762, 5770, 1765, 677, 4381, 671, 702, 4413, 102]  # 12 characters
PADDED = 52  # what Chinese-CLIP computes for any text


class Tuwen:
    """The few calls of include/tuwen/encode.h that are needed, with the library's defaults."""

    class Error(ctypes.Structure):
        _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 508)]

    class Options(ctypes.Structure):
        _fields_ = [("struct_size", ctypes.c_size_t), ("backend", ctypes.c_char_p), ("batch", ctypes.c_int32),
                    ("vision_only", ctypes.c_bool), ("text_only", ctypes.c_bool), ("hooks", ctypes.c_void_p),
                    ("device", ctypes.c_char_p), ("provider", ctypes.c_char_p), ("library", ctypes.c_char_p),
                    ("graphs", ctypes.c_char_p), ("precision", ctypes.c_int), ("settings", ctypes.c_void_p),
                    ("n_settings", ctypes.c_size_t), ("allow_fallback", ctypes.c_bool)]

    PRECISIONS = {"f32": -1, "bf16": 2, "int8": 4}

    def __init__(self, library, model, threads, precision="f32"):
        self.library, self.error = ctypes.CDLL(library), self.Error()
        pool, opened, self.encoder = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("tw_pool_create", ctypes.c_int(threads), ctypes.byref(pool))
        self.call("tw_model_open", model.encode(), ctypes.byref(opened))
        options = self.Options(struct_size=ctypes.sizeof(self.Options), precision=self.PRECISIONS[precision])
        self.call("tw_encoder_create", opened, pool, ctypes.byref(options), ctypes.byref(self.encoder))
        describe = self.library.tw_encoder_description
        describe.restype, describe.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
        self.description = describe(self.encoder).decode()

    def call(self, name, *args):
        if getattr(self.library, name)(*args, ctypes.byref(self.error)) != 0:
            raise RuntimeError(self.error.message.decode())

    def pixels(self, x, out):
        self.call("tw_encode_pixels", self.encoder, x.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(x)),
                  out.ctypes.data_as(ctypes.c_void_p))
        return out

    def ids(self, x, out):
        self.call("tw_encode_ids", self.encoder, x.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(x)),
                  ctypes.c_int32(x.shape[1]), out.ctypes.data_as(ctypes.c_void_p))
        return out

    def run(self, tower, x):
        out = np.full(len(x) * 4096, np.nan, np.float32)  # room for any width
        self.pixels(x, out) if tower == "image" else self.ids(x.astype(np.int32), out)
        return out[:np.count_nonzero(~np.isnan(out))].reshape(len(x), -1)


def session(path, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads may not spin on into the other's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def quantized(path):
    """The path of the dynamically quantised graph, made if it is not there."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    out = path.replace(".fp32.onnx", ".int8.onnx")
    if not pathlib.Path(out).exists():
        quantize_dynamic(path, out, weight_type=QuantType.QInt8, per_channel=True,
                         op_types_to_quantize=["MatMul", "Gemm"], extra_options={"DefaultTensorType": 1})
    return out


def check(name, a, b, precision):
    """Both are features, which must agree: a fast wrong answer is no answer."""
    if precision == "f32":
        scale = np.abs(b).max()
        if not np.abs(a - b).max() <= 1e-4 * scale:
            raise RuntimeError(f"{name}: features differ by {np.abs(a - b).max():g} of {scale:g}")
    else:
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        if not cosine.min() >= 0.99:
            raise RuntimeError(f"{name}: {precision}: cosine {cosine.min():.6f}")


def in_turn(name, sides, rounds, clock):
    """`sides` is [(precision, function)]; the last is the other side."""
    features = [function() for _, function in sides]
    for (precision, _), a in zip(sides[:-1], features):
        check(name, a, features[-1], precision)
    times = [[] for _ in sides]
    for _ in range(rounds):
        for (_, function), list_ in zip(sides, times):
            start = clock()
            function()
            list_.append((clock() - start) * 1e3)
    line = f"{name:32}"
    for figure in (min, statistics.median):
        values = [figure(t) for t in times]
        line += "".join(f" {v:9.2f}" for v in values) + "".join(f" {values[-1] / v:6.2f}" for v in values[:-1]) + "  "
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("prefix", nargs="?", help="not needed with --against own")
    parser.add_argument("--library", default="build/libtuwen.so")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--towers", default="image,text")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--precision", default="f32", help="f32, bf16, int8; with --against own also several")
    parser.add_argument("--image-size", type=int, default=224, help="with --against own")
    parser.add_argument("--against", choices=["ort", "own"], default="ort")
    args = parser.parse_args()
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    precisions, own = args.precision.split(","), args.against == "own"
    if not own and (args.prefix is None or precisions not in (["f32"], ["int8"])):
        parser.error("ONNX Runtime needs ONNX_PREFIX and is compared in f32 or in int8")
    tuwen = {p: Tuwen(args.library, args.model, args.threads, p) for p in precisions + ["f32"] * own}
    for side in tuwen.values():
        print(f"tuwen {side.description}")
    print(f"{args.threads} threads; ms a batch, {'processor' if args.threads == 1 else 'wall'} time, "
          f"{args.rounds} calls each: best and their ratios, median and its")
    other = "f32" if own else "ORT"
    print(f"{'':32}" + 2 * ("".join(f" {p:>9}" for p in precisions + [other]) + 7 * " " * len(precisions) + "  "))
    for tower in args.towers.split(","):
        size = args.image_size
        if not own:
            path = f"{args.prefix}.{'img' if tower == 'image' else 'txt'}.fp32.onnx"
            peer = session(quantized(path) if args.precision == "int8" else path, args.threads)
            source = peer.get_inputs()[0]
            size = source.shape[-1]
        for batch in map(int, args.batches.split(",")):
            if tower == "image":
                inputs = {"image": np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32)}
            else:
                inputs = {f"text, {len(IDS)} tokens": np.array([IDS] * batch, np.int64)}
            if tower == "text" and not own:
                padded = np.zeros((batch, PADDED), np.int64)
                padded[:, :len(IDS)] = IDS
                inputs[f"text, ORT padded to {PADDED}"] = padded
            for name, x in inputs.items():
                sides = [(p, lambda p=p: tuwen[p].run(tower, x)) for p in precisions]
                sides.append((other, (lambda: tuwen["f32"].run(tower, x)) if own
                              else (lambda: peer.run(None, {source.name: x})[0])))
                in_turn(f"{batch} x {name}", sides, args.rounds, clock)


if __name__ == "__main__":
    main()
