#!/usr/bin/env python3
"""Times libtuwen and ONNX Runtime on the same model in one process, call by call in turn, so that
a slow minute of the machine hits both. Prints the fastest and the median call of each, and the
ratio of either.

    dev/bench_peers.py MODEL.gguf ONNX_PREFIX [--library build/libtuwen.so] [--threads 2]
                       [--rounds 15] [--towers image,text] [--batches 1,8]
                       [--precision int8 [--against own]]

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
import onnxruntime

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

    PRECISIONS = {"f32": -1, "int8": 4}

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
        out = np.empty((len(x), self.width), np.float32)
        return self.pixels(x, out) if tower == "image" else self.ids(x.astype(np.int32), out)


def session(path, threads):
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


def in_turn(name, ours, theirs, rounds, clock, precision):
    """Both functions return features, which must agree: a fast wrong answer is no answer."""
    a, b = ours(), theirs()
    if precision == "f32":
        scale = np.abs(b).max()
        if not np.abs(a - b).max() <= 1e-4 * scale:
            raise RuntimeError(f"{name}: features differ by {np.abs(a - b).max():g} of {scale:g}")
    else:
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        if not cosine.min() >= 0.99:
            raise RuntimeError(f"{name}: cosine {cosine.min():.6f}")
    times = ([], [])
    for _ in range(rounds):
        for function, list_ in zip((ours, theirs), times):
            start = clock()
            function()
            list_.append((clock() - start) * 1e3)
    best, median = [min(t) for t in times], [statistics.median(t) for t in times]
    print(f"{name:32} {best[0]:9.2f} {best[1]:9.2f} {best[1] / best[0]:6.2f}   "
          f"{median[0]:9.2f} {median[1]:9.2f} {median[1] / median[0]:6.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("prefix")
    parser.add_argument("--library", default="build/libtuwen.so")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--towers", default="image,text")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--precision", choices=Tuwen.PRECISIONS, default="f32")
    parser.add_argument("--against", choices=["ort", "own"], default="ort")
    args = parser.parse_args()
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    tuwen = Tuwen(args.library, args.model, args.threads, args.precision)
    own = Tuwen(args.library, args.model, args.threads) if args.against == "own" else None
    other = "f32" if own else "ORT"
    print(f"tuwen {tuwen.description}; onnxruntime {onnxruntime.__version__}, {args.threads} threads; "
          f"ms a batch, {'processor' if args.threads == 1 else 'wall'} time, {args.rounds} calls each")
    print(f"{'':32} {'tuwen':>9} {other:>9} {'ratio':>6}   {'tuwen':>9} {other:>9} {'ratio':>6}\n"
          f"{'':32} {'best':>9} {'best':>9} {'':6}   {'median':>9} {'median':>9}")
    for tower in args.towers.split(","):
        path = f"{args.prefix}.{'img' if tower == 'image' else 'txt'}.fp32.onnx"
        peer = session(quantized(path) if args.precision == "int8" and not own else path, args.threads)
        source, width = peer.get_inputs()[0], peer.get_outputs()[0].shape[-1]
        for side in filter(None, (tuwen, own)):
            side.width = width
        for batch in map(int, args.batches.split(",")):
            if tower == "image":
                size = source.shape[-1]
                inputs = {"image": np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32)}
            else:
                padded = np.zeros((batch, PADDED), np.int64)
                padded[:, :len(IDS)] = IDS
                inputs = {f"text, {len(IDS)} tokens": np.array([IDS] * batch, np.int64),
                          f"text, ORT padded to {PADDED}": padded}
            for name, x in inputs.items():
                theirs = (lambda: own.run(tower, x)) if own else (lambda: peer.run(None, {source.name: x})[0])
                in_turn(f"{batch} x {name}", lambda: tuwen.run(tower, x), theirs, args.rounds, clock, args.precision)


if __name__ == "__main__":
    main()
